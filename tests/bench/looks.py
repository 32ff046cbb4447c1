"""What is looked at in the bench of views and pages: usual queries, pages and sets."""

# ruff: noqa: E501 - SQL

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.analytics.views import VIEWS

#: A contact and its conversation in the middle of what the seed made.
NUMBER = 400_000


@dataclass(frozen=True, slots=True)
class Look:
    """One row of the table: SQL, a path of the admin port, or neither: the count that the overview begins."""

    name: str
    sql: str = ""
    path: str = ""


def views(at: datetime) -> list[Look]:
    """Each view's usual query, seen from `at`."""
    now = f"timestamptz '{at.isoformat()}'"
    one = f"(SELECT id FROM conversation WHERE endpoint = '{endpoint(NUMBER)}' AND external_id = '{external(NUMBER)}')"
    return [
        Look(
            "analytics_conversations: the newest 50, all columns",
            "SELECT * FROM analytics_conversations ORDER BY started_at DESC LIMIT 50",
        ),
        Look(
            "analytics_sessions: outcomes and first replies of a day",
            "SELECT outcome, count(*), avg(first_reply_seconds) FROM analytics_sessions "
            f"WHERE started_at >= {now} - interval '1 day' GROUP BY 1",
        ),
        Look(
            "analytics_messages: a transcript",
            f"SELECT at, author, text FROM analytics_messages WHERE conversation_id = {one} ORDER BY at, message_id",
        ),
        Look(
            "analytics_turns: p95 of an endpoint's hour",
            "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_seconds) FROM analytics_turns "
            f"WHERE endpoint = 'support' AND received_at >= {now} - interval '1 hour' AND NOT is_test",
        ),
        Look(
            "analytics_handovers: outcomes and waits of an endpoint's week",
            "SELECT status, count(*), avg(waiting_seconds) FROM analytics_handovers "
            f"WHERE endpoint = 'support' AND requested_at >= {now} - interval '7 days' GROUP BY 1",
        ),
        Look(
            "analytics_deliveries: an endpoint's newest 50 dead letters",
            "SELECT * FROM analytics_deliveries WHERE endpoint = 'support' AND status = 'dead' "
            "ORDER BY ended_at DESC LIMIT 50",
        ),
        Look(
            "analytics_contacts: of one conversation",
            f"SELECT * FROM analytics_contacts WHERE contact_id = (SELECT contact_id FROM conversation WHERE id = {one})",
        ),
        *(
            Look(f"{name}: of one conversation", f"SELECT * FROM {name} WHERE conversation_id = {one}")
            for name in ("analytics_runs", "analytics_events")
        ),
        Look(
            "analytics_marks: intents of a day",
            "SELECT value, count(*) FROM analytics_marks WHERE kind = 'intent' "
            f"AND at >= {now} - interval '1 day' AND NOT is_test GROUP BY 1",
        ),
        Look(
            "analytics_marks, _messages: what was not understood in 7 days",
            "SELECT lower(m.text) AS wrote, count(*) AS times FROM analytics_marks k "
            "JOIN analytics_messages m ON m.event_id = k.turn_id "
            "AND m.conversation_id = k.conversation_id AND m.author = 'user' "
            f"WHERE k.kind = 'understood' AND k.value = 'false' AND k.at >= {now} - interval '7 days' "
            "AND NOT k.is_test GROUP BY 1 ORDER BY 2 DESC LIMIT 20",
        ),
        Look(
            "analytics_timeline: of one conversation",
            f"SELECT at, what, about, note FROM analytics_timeline WHERE conversation_id = {one} ORDER BY at",
        ),
        Look(
            "analytics_hours: 90 days by day",
            "SELECT date_trunc('day', hour), sum(sessions), sum(contained), sum(turns) FROM analytics_hours "
            f"WHERE hour >= {now} - interval '90 days' GROUP BY 1 ORDER BY 1",
        ),
        Look(
            "analytics_latency: percentiles of 7 days",
            "SELECT p, min(seconds) FILTER (WHERE share >= p) AS seconds "
            "FROM (SELECT seconds, sum(replies) OVER (ORDER BY seconds) / sum(replies) OVER () AS share "
            "FROM (SELECT seconds, sum(replies) AS replies FROM analytics_latency "
            f"WHERE hour >= {now} - interval '7 days' GROUP BY seconds) AS buckets) AS shares, "
            "(VALUES (0.5), (0.95), (0.99)) AS wanted (p) GROUP BY p ORDER BY p",
        ),
        Look(
            "analytics_parts: intents of 90 days",
            "SELECT part, sum(count) FROM analytics_parts WHERE measure = 'intent' "
            f"AND hour >= {now} - interval '90 days' GROUP BY 1",
        ),
    ]


def pages(at: datetime, conversation: int) -> list[Look]:
    """The console's pages with each filter and search; live updates ask for the page that is shown."""
    day = (at - timedelta(days=60)).date().isoformat()
    lists = {
        "all": "",
        "of an endpoint": "endpoint=billing",
        "of a channel": "channel=Facebook",
        "without a handover": "outcome=contained",
        "with a handover": "outcome=handover",
        "failed": "outcome=failed",
        "with dead letters": "outcome=undelivered",
        "an endpoint's failed ones of a channel": "endpoint=billing&outcome=failed&channel=SMS",
        "an endpoint's of a channel with dead letters": "endpoint=billing&outcome=undelivered&channel=SMS",
        "of a channel that nobody uses": "channel=Viber",
        "of an endpoint that is none": "endpoint=nobody&outcome=failed",
        "of a day two months ago": f"since={day}&until={day}",
        "failed on that day": f"since={day}&until={day}&outcome=failed",
        "behind those of two months": f"before={day}T12:00:00%2B00:00~{conversation}",
        "found by 8x8's id": f"q={external(NUMBER)}",
        "found by number": f"q={conversation}",
        "found by user id": f"q=u{NUMBER}",
        "found by e-mail": f"q=user{NUMBER}@example.com",
        "found by name": f"q=User%20{NUMBER}",
        "found nowhere": "q=nobody@example.com",
    }
    return [
        *(Look(f"overview, {span}", path=f"/console?span={span}") for span in ("24h", "7d", "30d", "90d")),
        Look("the count that a look at the overview begins"),
        Look("overview, 90d of an endpoint", path="/console?span=90d&endpoint=support"),
        *(
            Look(f"conversations: {name}", path=f"/console/conversations?{query}")
            for name, query in lists.items()
        ),
        Look("a conversation", path=f"/console/conversations/{conversation}"),
        Look("dead letters", path="/console/dead-letters"),
        Look("dead letters of an endpoint", path="/console/dead-letters?endpoint=sales"),
    ]


def sets(at: datetime, conversation: int) -> list[Look]:
    """OData's sets: first pages of 500 rows, and what people ask for."""
    names = "Conversations Sessions Messages Turns Handovers Deliveries Contacts Runs Events Marks Hours Latency Parts"
    day, hours = (
        (at - length).strftime("%Y-%m-%dT%H:%M:%SZ") for length in (timedelta(days=1), timedelta(hours=2))
    )
    times = {name: VIEWS[name].at for name in names.split() if name not in ("Hours", "Latency", "Parts")}
    asked = {
        **{f"{name} of the last day": f"{name}?$filter={time} ge {day}" for name, time in times.items()},
        **{
            f"{name} of an endpoint's last two hours": f"{name}?$filter=endpoint eq 'support' and {time} ge {hours}"
            for name, time in times.items()
        },
        "dead Deliveries of an endpoint": "Deliveries?$filter=endpoint eq 'support' and status eq 'dead'",
        "Conversations, the newest first": "Conversations?$orderby=started_at desc",
        "Conversations with their messages": "Conversations?$expand=Messages&$orderby=started_at desc",
        "a conversation's sessions": f"Conversations({conversation})/Sessions",
        "how many Sessions a day has": f"Sessions/$count?$filter=started_at ge {day}",
    }
    return [
        *(Look(f"{name}, the first page", path=f"/odata/v1/{name}") for name in names.split()),
        *(Look(name, path=f"/odata/v1/{path}") for name, path in asked.items()),
    ]


def endpoint(number: int) -> str:
    """Where the seed put that conversation."""
    return ("support", "support", "sales", "billing")[number % 4]


def external(number: int) -> str:
    """The seed's id of it at 8x8."""
    return f"seed-{number:09}"
