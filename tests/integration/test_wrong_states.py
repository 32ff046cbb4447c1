"""Rows that contradict themselves or each other are refused by the database."""

from __future__ import annotations

import asyncpg

from app.database.engine import connect

#: One of everything, each as it may be.
GOOD = """
INSERT INTO conversation (endpoint, external_id) VALUES ('support', 'ID-0');
INSERT INTO session (conversation_id) VALUES (1);
INSERT INTO dialog (conversation_id, session_id, bot) VALUES (1, 1, 'bots:bot');
INSERT INTO event (endpoint, event_id, conversation_id, type, body_sha256, at)
    VALUES ('support', 'e1', 1, 'MESSAGE', 'x', now());
INSERT INTO journal (dialog_id, position, kind, at) VALUES (1, 0, 'input', now());
INSERT INTO message (conversation_id, author, at) VALUES (1, 'user', now());
INSERT INTO timer (conversation_id, kind, due_at) VALUES (1, 'receive', now());
INSERT INTO delivery (endpoint, conversation_id, status, expires_at, sent_at, ended_at)
    VALUES ('support', 1, 'sent', now(), now(), now());
INSERT INTO delivery (endpoint, conversation_id, expires_at) 
    VALUES ('support', 1, now()), ('support', 1, now());
INSERT INTO delivery_attempt (delivery_id, deadline_at) VALUES (1, now());
INSERT INTO session_run (session_id, conversation_id, name, flow_run_id)
    VALUES (1, 1, 'run', '00000000-0000-0000-0000-000000000001');
INSERT INTO endpoint_state (endpoint) VALUES ('support');
INSERT INTO handover (endpoint, conversation_id, queue, requested_at, events_since)
    VALUES ('support', 1, '101', now(), now());
"""

WRONG = [
    ("delivery_ended", "UPDATE delivery SET ended_at = NULL WHERE status = 'sent'"),
    ("delivery_ended", "UPDATE delivery SET status = 'waiting' WHERE status = 'sent'"),
    ("delivery_ended", "UPDATE delivery SET status = 'dead', reason = 'refused' WHERE status = 'waiting'"),
    ("delivery_sent", "UPDATE delivery SET sent_at = NULL WHERE status = 'sent'"),
    ("delivery_reason", "UPDATE delivery SET reason = 'refused' WHERE status = 'sent'"),
    ("delivery_reason", "UPDATE delivery SET status = 'dead' WHERE status = 'sent'"),
    ("delivery_status", "UPDATE delivery SET status = 'banana' WHERE status = 'sent'"),
    ("delivery_kind", "UPDATE delivery SET kind = 'banana'"),
    ("delivery_in_flight", "UPDATE delivery SET status = 'sending' WHERE status = 'waiting'"),
    (
        "delivery_in_flight",
        "UPDATE delivery SET status = CASE id WHEN 2 THEN 'sending' ELSE 'in_doubt' END "
        "WHERE status = 'waiting'",
    ),
    ("delivery_attempt", "INSERT INTO delivery_attempt (delivery_id, deadline_at) VALUES (1, now())"),
    ("timer_ended", "UPDATE timer SET ended_at = now()"),
    ("timer_ended", "UPDATE timer SET outcome = 'fired'"),
    ("timer_outcome", "UPDATE timer SET ended_at = now(), outcome = 'banana'"),
    ("session_ended", "UPDATE session SET end_reason = 'expired'"),
    ("session_ended", "UPDATE session SET ended_at = now()"),
    ("session_open", "INSERT INTO session (conversation_id, number) VALUES (1, 2)"),
    ("session_conversation_id_number", "INSERT INTO session (conversation_id, ended_at, end_reason) "
     "VALUES (1, now(), 'expired')"),
    ("dialog_ended", "UPDATE dialog SET ended_at = now()"),
    ("dialog_ended", "UPDATE dialog SET status = 'completed'"),
    ("dialog_", "UPDATE dialog SET status = 'banana'"),
    ("dialog_open", "INSERT INTO dialog (conversation_id, session_id, bot) VALUES (1, 1, 'bots:bot')"),
    ("journal", "INSERT INTO journal (dialog_id, position, kind, at) VALUES (1, 0, 'output', now())"),
    ("journal_kind", "UPDATE journal SET kind = 'banana'"),
    ("event_processed", "UPDATE event SET outcome = 'input'"),
    ("event_processed", "UPDATE event SET processed_at = now()"),
    ("event_outcome", "UPDATE event SET processed_at = now(), outcome = 'banana'"),
    ("event_endpoint_event_id", "INSERT INTO event (endpoint, event_id, type, body_sha256, at) "
     "VALUES ('support', 'e1', 'MESSAGE', 'y', now())"),
    ("message_author", "UPDATE message SET author = 'banana'"),
    ("session_run_ended", "UPDATE session_run SET state = 'Completed'"),
    ("session_run_ended", "UPDATE session_run SET ended_at = now()"),
    ("session_run_session_id_number", "INSERT INTO session_run (session_id, conversation_id, name) "
     "VALUES (1, 1, 'again')"),
    ("endpoint_state_mode", "UPDATE endpoint_state SET mode = 'banana'"),
    ("conversation_state", "UPDATE conversation SET state = 'banana'"),
    ("conversation_control", "UPDATE conversation SET control = 'banana'"),
    ("handover_open", "INSERT INTO handover (endpoint, conversation_id, queue, requested_at, events_since) "
     "VALUES ('support', 1, '102', now(), now())"),
]  # fmt: skip


async def test_wrong_states_are_refused(database_url: str) -> None:
    connection = await connect(database_url, application="test")
    wrong: list[str] = []
    try:
        await connection.execute(GOOD)
        for constraint, statement in WRONG:
            change = connection.transaction()
            await change.start()
            try:
                await connection.execute(statement)
                wrong.append(f"accepted: {statement}")
            except asyncpg.IntegrityConstraintViolationError as error:
                if constraint not in (error.constraint_name or ""):
                    wrong.append(f"refused by {error.constraint_name}: {statement}")
            await change.rollback()
    finally:
        await connection.close()
    assert wrong == []
