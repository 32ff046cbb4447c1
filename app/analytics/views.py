"""The views as SQLAlchemy tables: what OData, exports and the console read.

The database has the last word on them (migrations/analytics_v1); a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, MetaData, Table, Text, Uuid
from sqlalchemy.types import TypeEngine

metadata = MetaData()


@dataclass(frozen=True)
class Link:
    """From one view's rows to another's: `column` here equals `column` there."""

    view: str
    column: str
    many: bool


@dataclass(frozen=True)
class View:
    """A view. `name` is the entity set's; `key` orders and identifies its rows; `at` is its main time."""

    name: str
    entity: str
    table: Table
    key: tuple[str, ...]
    at: str | None
    links: dict[str, Link] = field(default_factory=dict)


def _view(
    name: str,
    entity: str,
    *,
    key: str,
    at: str | None = None,
    big: str = "",
    text: str = "",
    time: str = "",
    flag: str = "",
    number: str = "",
    uuid: str = "",
    required: str = "",
    links: dict[str, Link] | None = None,
) -> View:
    kinds: list[tuple[str, TypeEngine[Any]]] = [
        (big, BigInteger()),
        (text, Text()),
        (time, DateTime(timezone=True)),
        (flag, Boolean()),
        (number, Double()),
        (uuid, Uuid()),
    ]
    keys = tuple(key.split())
    needed = {*keys, "endpoint", *required.split()}
    columns = [
        Column(each, kind, nullable=each not in needed, primary_key=each in keys)
        for names, kind in kinds
        for each in names.split()
    ]
    table = Table(f"analytics_{name.lower()}", metadata, *columns)
    return View(name, entity, table, keys, at, links or {})


_CONVERSATION = Link("Conversations", "conversation_id", False)
_SESSION = Link("Sessions", "session_id", False)
_OF_CONVERSATION = {
    "Sessions": Link("Sessions", "conversation_id", True),
    "Messages": Link("Messages", "conversation_id", True),
    "Turns": Link("Turns", "conversation_id", True),
    "Handovers": Link("Handovers", "conversation_id", True),
    "Deliveries": Link("Deliveries", "conversation_id", True),
    "Runs": Link("Runs", "conversation_id", True),
    "Events": Link("Events", "conversation_id", True),
    "Contact": Link("Contacts", "contact_id", False),
}
_OF_SESSION = {
    "Conversation": _CONVERSATION,
    "Messages": Link("Messages", "session_id", True),
    "Handovers": Link("Handovers", "session_id", True),
    "Runs": Link("Runs", "session_id", True),
}
_BELONGS = {"Conversation": _CONVERSATION, "Session": _SESSION}

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        _view(
            "Conversations",
            "Conversation",
            key="conversation_id",
            at="started_at",
            big="conversation_id contact_id sessions user_messages bot_messages agent_messages handovers "
            "dead_deliveries",
            text="endpoint external_id channel language state control",
            flag="is_test",
            time="started_at last_event_at quarantined_at",
            required="external_id state control is_test started_at sessions",
            links=_OF_CONVERSATION,
        ),
        _view(
            "Sessions",
            "Session",
            key="session_id",
            at="started_at",
            big="session_id conversation_id number contact_id turns user_messages bot_messages "
            "agent_messages handovers",
            text="endpoint external_id channel language end_reason bot outcome drop_off",
            flag="is_test contained",
            time="started_at last_input_at ended_at",
            number="first_reply_seconds",
            required="conversation_id external_id number is_test started_at contained",
            links=_OF_SESSION,
        ),
        _view(
            "Messages",
            "Message",
            key="message_id",
            at="at",
            big="message_id conversation_id session_id dialog_id event_id delivery_id handover_id",
            text="endpoint external_id channel author author_id kind text",
            flag="is_test late",
            time="at",
            required="conversation_id external_id is_test at author kind late",
            links=_BELONGS,
        ),
        _view(
            "Turns",
            "Turn",
            key="turn_id",
            at="received_at",
            big="turn_id conversation_id session_id dialog_id reply_id replies",
            text="endpoint external_id channel bot event_type intent goal",
            flag="is_test understood late",
            time="received_at handled_at replied_at",
            number="latency_seconds",
            required="conversation_id external_id is_test event_type received_at late",
            links=_BELONGS,
        ),
        _view(
            "Handovers",
            "Handover",
            key="handover_id",
            at="requested_at",
            big="handover_id conversation_id session_id dialog_id transfers agents inactive_count",
            text="endpoint external_id channel queue status reason",
            flag="is_test",
            time="requested_at queued_at active_at ended_at",
            number="waiting_seconds handling_seconds",
            required="conversation_id external_id is_test status requested_at transfers",
            links={**_BELONGS, "Messages": Link("Messages", "handover_id", True)},
        ),
        _view(
            "Contacts",
            "Contact",
            key="contact_id",
            at="first_seen_at",
            big="contact_id conversations sessions",
            text="endpoint identity name email phone company language",
            time="first_seen_at last_seen_at",
            required="identity first_seen_at last_seen_at",
            links={"Conversations": Link("Conversations", "contact_id", True)},
        ),
        _view(
            "Deliveries",
            "Delivery",
            key="delivery_id",
            at="created_at",
            big="delivery_id conversation_id session_id dialog_id turn_id place attempts retries",
            text="endpoint external_id channel kind status reason confirmed_by",
            flag="is_test",
            time="created_at sent_at in_doubt_since confirmed_at ended_at",
            number="seconds",
            required="conversation_id external_id is_test place kind status attempts created_at",
            links=_BELONGS,
        ),
        _view(
            "Runs",
            "Run",
            key="run_id",
            at="opened_at",
            big="run_id conversation_id session_id number turns retries worker_id",
            text="name endpoint external_id state",
            flag="is_test",
            time="opened_at ended_at",
            number="seconds",
            uuid="flow_run_id",
            required="conversation_id session_id external_id is_test name state opened_at",
            links=_BELONGS,
        ),
        _view(
            "Events",
            "Event",
            key="event_number",
            at="received_at",
            big="event_number conversation_id retry session_id dialog_id",
            text="event_id endpoint external_id type outcome",
            flag="is_test late",
            time="sent_at received_at handled_at",
            number="seconds",
            required="event_id type received_at is_test late retry",
            links=_BELONGS,
        ),
        _view(
            "Marks",
            "Mark",
            key="mark_id",
            at="at",
            big="mark_id conversation_id session_id dialog_id turn_id",
            text="endpoint external_id channel kind value",
            flag="is_test",
            time="at",
            required="conversation_id external_id is_test kind value at",
            links=_BELONGS,
        ),
        _view(
            "Hours",
            "Hour",
            key="hour endpoint channel",
            at="hour",
            time="hour",
            text="endpoint channel",
            big="conversations sessions contained returning_contacts first_replies messages_user "
            "messages_bot messages_agent events turns unanswered replies understood not_understood dialogs "
            "dialogs_failed handovers handovers_active handovers_completed handovers_cancelled "
            "handovers_failed handovers_timed_out handlings deliveries deliveries_sent deliveries_withheld "
            "deliveries_dead retries",
            number="first_reply_seconds latency_seconds waiting_seconds handling_seconds",
        ),
        _view(
            "Latency",
            "LatencyBucket",
            key="hour endpoint bucket",
            at="hour",
            time="hour",
            text="endpoint",
            big="bucket replies",
            number="seconds",
        ),
        _view(
            "Parts",
            "Part",
            key="hour endpoint measure part",
            at="hour",
            time="hour",
            text="endpoint measure part",
            big="count",
        ),
    )
}
