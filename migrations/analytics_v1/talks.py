"""Views of conversations, sessions, messages and turns."""

# ruff: noqa: E501, S608 - SQL and what its columns mean, a line each

from __future__ import annotations

from migrations.analytics_v1.view import View, count, counted, seconds


def endpoint(table: str) -> tuple[str, str, str]:
    """The endpoint, of a table that is indexed by it."""
    return ("endpoint", f"{table}.endpoint", "Name of the endpoint, as in endpoints.yaml")


ENDPOINT = endpoint("c")
EXTERNAL = ("external_id", "c.external_id", "8x8's conversationId")
IS_TEST = ("is_test", "c.is_test", "A test conversation: left out of all measures")
CHANNEL = ("channel", "c.channel", "WhatsApp, SMS, WebChat, …; null where 8x8 named none")
LANGUAGE = ("language", "k.profile->>'language'", "The contact's language, as 8x8 gave it")


def _messages(author: str, where: str) -> str:
    return count("message m", f"{where} AND m.author = '{author}' AND {counted('c.endpoint', 'm.at')}")


_OF_CONVERSATION = "m.conversation_id = c.id"
_OF_SESSION = "m.session_id = s.id"
_FIRST_REPLY = (
    """(SELECT min(m.at) FROM message m WHERE m.session_id = s.id AND m.author IN ('bot', 'agent'))"""
)
_HANDOVERS = count("handover h", "h.conversation_id = s.conversation_id AND h.session_id = s.id")
_LAST_DIALOG = """(SELECT {} FROM dialog d WHERE d.session_id = s.id ORDER BY d.id DESC LIMIT 1)"""
#: Of sessions that have ended: what a bot named after what was said may have been erased by then. A step counts
#: by its function, whatever it is called.
_DROP_OFF = """CASE WHEN s.ended_at IS NOT NULL THEN (SELECT COALESCE(
        (SELECT CASE WHEN j.kind = 'note' THEN j.name || ' ' || (j.content->>'value')
                ELSE COALESCE(j.content->>'function', j.name) END
         FROM journal j WHERE j.dialog_id = d.id
           AND (j.kind = 'step' OR (j.kind = 'note' AND j.name IN ('intent', 'goal')))
         ORDER BY j.position DESC LIMIT 1), 'start')
     FROM (SELECT l.id, l.status FROM dialog l WHERE l.session_id = s.id ORDER BY l.id DESC LIMIT 1) d
     WHERE d.status = 'closed') END"""

#: One that began unseen is there once a session of it is counted.
_COUNTED = f"""({counted("c.endpoint", "c.created_at")} OR EXISTS (
    SELECT 1 FROM session s WHERE s.conversation_id = c.id AND {counted("c.endpoint", "s.started_at")}))"""

CONVERSATIONS = View(
    "analytics_conversations",
    "8x8's conversations, one row each; one lasts for years and has many sessions",
    f"FROM conversation c LEFT JOIN contact k ON k.id = c.contact_id WHERE {_COUNTED}",
    (
        ("conversation_id", "c.id", "Parley's number of the conversation: the key"),
        ENDPOINT,
        EXTERNAL,
        ("contact_id", "c.contact_id", "Who it is with: analytics_contacts; null where nothing is known"),
        CHANNEL,
        LANGUAGE,
        ("state", "c.state", "created, active or idle, as 8x8 last said"),
        ("control", "c.control", "Who answers the user now: bot, queue (nobody yet) or human"),
        IS_TEST,
        ("started_at", "c.created_at", "When its first event arrived"),
        ("last_event_at", "c.handled_at", "Time of the newest event that was handled"),
        (
            "quarantined_at",
            "c.quarantined_at",
            "Since when it is kept from workers that died of it; null: it is not",
        ),
        (
            "sessions",
            count("session s", f"s.conversation_id = c.id AND {counted('c.endpoint', 's.started_at')}"),
            "How many sessions it has had",
        ),
        ("user_messages", _messages("user", _OF_CONVERSATION), "Messages of the user, all sessions"),
        ("bot_messages", _messages("bot", _OF_CONVERSATION), "Messages of the bot"),
        ("agent_messages", _messages("agent", _OF_CONVERSATION), "Messages of human agents"),
        (
            "handovers",
            count("handover h", f"h.conversation_id = c.id AND {counted('h.endpoint', 'h.requested_at')}"),
            "Handovers to human agents",
        ),
        (
            "dead_deliveries",
            count(
                "delivery d",
                f"d.conversation_id = c.id AND d.status = 'dead' AND {counted('d.endpoint', 'd.created_at')}",
            ),
            "Deliveries that were given up and wait for a redrive",
        ),
    ),
)

SESSIONS = View(
    "analytics_sessions",
    "Stretches of conversations, one row each; one ends after 30 minutes without user input unless set otherwise",
    "FROM session s JOIN conversation c ON c.id = s.conversation_id LEFT JOIN contact k ON k.id = c.contact_id "
    f"WHERE {counted('c.endpoint', 's.started_at')}",
    (
        ("session_id", "s.id", "The key"),
        ("conversation_id", "s.conversation_id", "Its conversation: analytics_conversations"),
        ENDPOINT,
        EXTERNAL,
        ("number", "s.number", "Its number within the conversation, from 1"),
        ("contact_id", "c.contact_id", "Who it is with: analytics_contacts"),
        CHANNEL,
        LANGUAGE,
        IS_TEST,
        ("started_at", "s.started_at", "Arrival of its first input"),
        ("last_input_at", "s.last_input_at", "Arrival of its newest user input"),
        (
            "ended_at",
            "s.ended_at",
            "When it was closed, a silent one some time after its end; null: it is open",
        ),
        ("end_reason", "s.end_reason", "expired, idle, user_left, …"),
        (
            "turns",
            count(
                "event e",
                "e.conversation_id = s.conversation_id AND e.session_id = s.id AND e.outcome = 'input'",
            ),
            "Inputs the bot handled",
        ),
        ("user_messages", _messages("user", _OF_SESSION), "Messages of the user"),
        ("bot_messages", _messages("bot", _OF_SESSION), "Messages of the bot"),
        ("agent_messages", _messages("agent", _OF_SESSION), "Messages of human agents"),
        (
            "handovers",
            _HANDOVERS,
            "Handovers to human agents",
        ),
        (
            "contained",
            f"{_HANDOVERS} = 0",  # NOT EXISTS would have all handovers read for a page of sessions
            "No handover was asked for: the bot managed alone",
        ),
        (
            "first_reply_seconds",
            seconds("s.started_at", _FIRST_REPLY),
            "From the first input to the first message of bot or agent (written, not yet sent)",
        ),
        ("bot", _LAST_DIALOG.format("d.bot"), "The bot of its last dialog, module:function"),
        (
            "outcome",
            _LAST_DIALOG.format("d.status"),
            "How its last dialog stands: running, waiting, completed, failed, diverged, or closed by the session's end",
        ),
        (
            "drop_off",
            _DROP_OFF,
            "Where the user left: the last step (its function), intent or goal of a dialog that was closed before its end, else start",
        ),
    ),
)

MESSAGES = View(
    "analytics_messages",
    "The transcript, one row for each message of anyone; text is as it is stored: masked where that is set",
    f"FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE {counted('c.endpoint', 'm.at')}",
    (
        ("message_id", "m.id", "The key; in the order of writing"),
        ("conversation_id", "m.conversation_id", "Its conversation: analytics_conversations"),
        ENDPOINT,
        EXTERNAL,
        CHANNEL,
        IS_TEST,
        ("session_id", "m.session_id", "Its session: analytics_sessions"),
        ("dialog_id", "m.dialog_id", "The invocation of the bot it belongs to"),
        ("event_id", "m.event_id", "The event that brought it: analytics_events; null for the bot's own"),
        (
            "delivery_id",
            "m.delivery_id",
            "The delivery that sends it: analytics_deliveries; null for others' messages",
        ),
        ("handover_id", "m.handover_id", "The handover during which it was written: analytics_handovers"),
        ("at", "m.at", "When it was written, by its event's time where it came by one"),
        ("author", "m.author", "user, bot, agent or system"),
        ("author_id", "m.author_id", "8x8's id of the agent"),
        ("kind", "m.kind", "text, quick_reply, card, …; inject and notify: of a service"),
        ("text", "m.text", "The text; null where there is none"),
        ("late", "m.late", "It came after newer messages had been handled"),
    ),
)

_REPLY = """LEFT JOIN LATERAL (
        SELECT d.id, d.sent_at FROM delivery d
        WHERE d.conversation_id = e.conversation_id AND d.event_id = e.id AND d.kind = 'message'
        ORDER BY d.place LIMIT 1) r ON true"""


def _mark(kind: str) -> str:
    newest = "ORDER BY k.id DESC LIMIT 1"
    same = "k.conversation_id = e.conversation_id AND k.event_id = e.id"
    return f"(SELECT k.value FROM mark k WHERE {same} AND k.kind = '{kind}' {newest})"


TURNS = View(
    "analytics_turns",
    "What the bot answered, one row for each event it took as an input",
    f"FROM event e JOIN conversation c ON c.id = e.conversation_id {_REPLY} WHERE e.outcome = 'input' "
    f"AND {counted('e.endpoint', 'e.received_at')}",
    (
        ("turn_id", "e.id", "Number of the event: the key, and analytics_events.event_number"),
        ("conversation_id", "e.conversation_id", "Its conversation: analytics_conversations"),
        endpoint("e"),
        EXTERNAL,
        CHANNEL,
        IS_TEST,
        ("session_id", "e.session_id", "Its session: analytics_sessions"),
        ("dialog_id", "e.dialog_id", "The invocation of the bot that took it"),
        ("bot", "(SELECT d.bot FROM dialog d WHERE d.id = e.dialog_id)", "The bot, module:function"),
        ("event_type", "e.type", "8x8's type of the event"),
        ("received_at", "e.received_at", "When it was posted to Parley and stored"),
        ("handled_at", "e.processed_at", "When its input was committed"),
        (
            "reply_id",
            "r.id",
            "The first delivery of the answer: analytics_deliveries; null: the bot said nothing",
        ),
        ("replied_at", "r.sent_at", "When 8x8 took that delivery; null while it has not"),
        (
            "latency_seconds",
            seconds("e.received_at", "r.sent_at"),
            "From post to reply: received_at to replied_at",
        ),
        (
            "replies",
            count(
                "delivery d",
                "d.conversation_id = e.conversation_id AND d.event_id = e.id AND d.kind = 'message'",
            ),
            "Messages the bot answered with",
        ),
        (
            "understood",
            f"{_mark('understood')} = 'true'",
            "What the bot said by chat.understood; null where it said nothing",
        ),
        ("intent", _mark("intent"), "What the bot said by chat.intent"),
        ("goal", _mark("goal"), "What the bot said by chat.goal"),
        ("late", "e.late", "It was handled after newer events"),
    ),
)
