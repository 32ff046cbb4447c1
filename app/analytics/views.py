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
    """A view. `name` is the entity set's; `key` orders and identifies its rows; `at` is its main time.

    `in_time`: an index has the rows in order of `at`. `in_spans`: one finds those of a span of it, unordered.
    """

    name: str
    entity: str
    table: Table
    key: tuple[str, ...]
    at: str | None
    links: dict[str, Link] = field(default_factory=dict)
    in_time: bool = False
    in_spans: bool = False


def _view(
    name: str,
    entity: str,
    *,
    columns: str,
    key: str,
    at: str | None = None,
    big: str = "",
    time: str = "",
    flag: str = "",
    number: str = "",
    uuid: str = "",
    required: str = "",
    links: dict[str, Link] | None = None,
    in_time: bool = False,
    in_spans: bool = False,
) -> View:
    """A view with these columns, in this order: text, unless they are named among those of another type."""
    kinds: list[tuple[str, TypeEngine[Any]]] = [
        (big, BigInteger()),
        (time, DateTime(timezone=True)),
        (flag, Boolean()),
        (number, Double()),
        (uuid, Uuid()),
    ]
    types = {each: kind for names, kind in kinds for each in names.split()}
    keys = tuple(key.split())
    needed = {*keys, "endpoint", *required.split()}
    made = [
        Column(each, types.get(each, Text()), nullable=each not in needed, primary_key=each in keys)
        for each in columns.split()
    ]
    table = Table(f"analytics_{name.lower()}", metadata, *made)
    return View(name, entity, table, keys, at, links or {}, in_time, in_spans)


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
            columns="conversation_id endpoint external_id contact_id channel language state control "
            "is_test started_at last_event_at quarantined_at sessions user_messages "
            "bot_messages agent_messages handovers dead_deliveries",
            key="conversation_id",
            at="started_at",
            big="conversation_id contact_id sessions user_messages bot_messages agent_messages handovers "
            "dead_deliveries",
            flag="is_test",
            time="started_at last_event_at quarantined_at",
            required="external_id state control is_test started_at sessions",
            links=_OF_CONVERSATION,
            in_time=True,
        ),
        _view(
            "Sessions",
            "Session",
            columns="session_id conversation_id endpoint external_id number contact_id channel "
            "language is_test started_at last_input_at ended_at end_reason turns "
            "user_messages bot_messages agent_messages handovers contained "
            "first_reply_seconds bot outcome drop_off",
            key="session_id",
            at="started_at",
            big="session_id conversation_id number contact_id turns user_messages bot_messages "
            "agent_messages handovers",
            flag="is_test contained",
            time="started_at last_input_at ended_at",
            number="first_reply_seconds",
            required="conversation_id external_id number is_test started_at contained",
            links=_OF_SESSION,
            in_time=True,
        ),
        _view(
            "Messages",
            "Message",
            columns="message_id conversation_id endpoint external_id channel is_test session_id "
            "dialog_id event_id delivery_id handover_id at author author_id kind text late",
            key="message_id",
            at="at",
            big="message_id conversation_id session_id dialog_id event_id delivery_id handover_id",
            flag="is_test late",
            time="at",
            required="conversation_id external_id is_test at author kind late",
            links=_BELONGS,
            in_spans=True,
        ),
        _view(
            "Turns",
            "Turn",
            columns="turn_id conversation_id endpoint external_id channel is_test session_id "
            "dialog_id bot event_type received_at handled_at reply_id replied_at "
            "latency_seconds replies understood intent goal late",
            key="turn_id",
            at="received_at",
            big="turn_id conversation_id session_id dialog_id reply_id replies",
            flag="is_test understood late",
            time="received_at handled_at replied_at",
            number="latency_seconds",
            required="conversation_id external_id is_test event_type received_at late",
            links=_BELONGS,
            in_spans=True,
        ),
        _view(
            "Handovers",
            "Handover",
            columns="handover_id conversation_id endpoint external_id channel is_test session_id "
            "dialog_id queue status reason requested_at queued_at active_at ended_at "
            "waiting_seconds handling_seconds transfers agents inactive_count",
            key="handover_id",
            at="requested_at",
            big="handover_id conversation_id session_id dialog_id transfers agents inactive_count",
            flag="is_test",
            time="requested_at queued_at active_at ended_at",
            number="waiting_seconds handling_seconds",
            required="conversation_id external_id is_test status requested_at transfers",
            links={**_BELONGS, "Messages": Link("Messages", "handover_id", True)},
        ),
        _view(
            "Contacts",
            "Contact",
            columns="contact_id endpoint identity name email phone company language first_seen_at "
            "last_seen_at conversations sessions",
            key="contact_id",
            at="first_seen_at",
            big="contact_id conversations sessions",
            time="first_seen_at last_seen_at",
            required="identity first_seen_at last_seen_at",
            links={"Conversations": Link("Conversations", "contact_id", True)},
            in_time=True,
        ),
        _view(
            "Deliveries",
            "Delivery",
            columns="delivery_id conversation_id endpoint external_id channel is_test session_id "
            "dialog_id turn_id place kind status reason attempts retries created_at sent_at "
            "seconds in_doubt_since confirmed_at confirmed_by ended_at",
            key="delivery_id",
            at="created_at",
            big="delivery_id conversation_id session_id dialog_id turn_id place attempts retries",
            flag="is_test",
            time="created_at sent_at in_doubt_since confirmed_at ended_at",
            number="seconds",
            required="conversation_id external_id is_test place kind status attempts created_at",
            links=_BELONGS,
            in_spans=True,
        ),
        _view(
            "Runs",
            "Run",
            columns="run_id flow_run_id name conversation_id endpoint external_id is_test session_id "
            "number state opened_at ended_at seconds turns retries worker_id",
            key="run_id",
            at="opened_at",
            big="run_id conversation_id session_id number turns retries worker_id",
            flag="is_test",
            time="opened_at ended_at",
            number="seconds",
            uuid="flow_run_id",
            required="conversation_id session_id external_id is_test name state opened_at",
            links=_BELONGS,
            in_time=True,
        ),
        _view(
            "Events",
            "Event",
            columns="event_number event_id endpoint conversation_id external_id is_test type sent_at "
            "received_at handled_at seconds outcome retry late session_id dialog_id",
            key="event_number",
            at="received_at",
            big="event_number conversation_id retry session_id dialog_id",
            flag="is_test late",
            time="sent_at received_at handled_at",
            number="seconds",
            required="event_id type received_at is_test late retry",
            links=_BELONGS,
            in_spans=True,
        ),
        _view(
            "Marks",
            "Mark",
            columns="mark_id conversation_id endpoint external_id channel is_test session_id "
            "dialog_id turn_id kind value at",
            key="mark_id",
            at="at",
            big="mark_id conversation_id session_id dialog_id turn_id",
            flag="is_test",
            time="at",
            required="conversation_id external_id is_test kind value at",
            links=_BELONGS,
            in_time=True,
        ),
        _view(
            "Hours",
            "Hour",
            columns="hour endpoint channel conversations sessions contained returning_contacts "
            "first_replies first_reply_seconds messages_user messages_bot messages_agent "
            "events turns unanswered replies latency_seconds understood not_understood "
            "dialogs dialogs_failed handovers handovers_active handovers_completed "
            "handovers_cancelled handovers_failed handovers_timed_out waiting_seconds "
            "handlings handling_seconds deliveries deliveries_sent deliveries_withheld "
            "deliveries_dead retries",
            key="hour endpoint channel",
            at="hour",
            time="hour",
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
            columns="hour endpoint bucket seconds replies",
            key="hour endpoint bucket",
            at="hour",
            time="hour",
            big="bucket replies",
            number="seconds",
        ),
        _view(
            "Parts",
            "Part",
            columns="hour endpoint measure part count",
            key="hour endpoint measure part",
            at="hour",
            time="hour",
            big="count",
        ),
    )
}
