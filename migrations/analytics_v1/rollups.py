"""Views of the counts by the hour. Test conversations are left out; times are UTC."""

# ruff: noqa: E501 - SQL and what its columns mean, a line each

from __future__ import annotations

from migrations.analytics_v1.view import View

_HOUR = ("hour", "r.hour", "Beginning of the hour")
_ENDPOINT = ("endpoint", "r.endpoint", "Name of the endpoint, as in endpoints.yaml")


def _column(name: str, comment: str) -> tuple[str, str, str]:
    return (name, f"r.{name}", comment)


HOURS = View(
    "analytics_hours",
    "Counts by hour, endpoint and channel, kept by the flow roll-up; divide sums by their counts for means",
    "FROM rollup_hour r",
    (
        _HOUR,
        _ENDPOINT,
        _column("channel", "The channel; empty where 8x8 named none"),
        _column("conversations", "Conversations whose first session began"),
        _column("sessions", "Sessions that began"),
        _column("contained", "Of these: without a handover so far"),
        _column("returning_contacts", "Of these: of a contact who had a session before"),
        _column("first_replies", "Of these: that got a first reply"),
        _column("first_reply_seconds", "Sum of the times to it"),
        _column("messages_user", "Messages of users"),
        _column("messages_bot", "Messages of bots"),
        _column("messages_agent", "Messages of human agents"),
        _column("events", "Webhook events that arrived"),
        _column("turns", "Turns whose input arrived"),
        _column("unanswered", "Of these: the bot said nothing"),
        _column("replies", "Of these: whose reply 8x8 has taken"),
        _column("latency_seconds", "Sum of the times from post to reply"),
        _column("understood", "Marks of understood turns"),
        _column("not_understood", "Marks of turns that were not understood"),
        _column("dialogs", "Dialogs of the sessions that began"),
        _column("dialogs_failed", "Of these: failed or diverged"),
        _column("handovers", "Handovers asked for"),
        _column("handovers_active", "Of these: that an agent joined"),
        _column("handovers_completed", "Of these: completed"),
        _column("handovers_cancelled", "Of these: cancelled by the user or the bot"),
        _column("handovers_failed", "Of these: refused or not possible"),
        _column("handovers_timed_out", "Of these: nobody came in time"),
        _column("waiting_seconds", "Sum of the waits of those that an agent joined"),
        _column("handlings", "Handovers that an agent joined and that have ended"),
        _column("handling_seconds", "Sum of their times from the first agent to the end"),
        _column("deliveries", "Deliveries created"),
        _column("deliveries_sent", "Of these: taken by 8x8"),
        _column("deliveries_withheld", "Of these: withheld because a human had the conversation"),
        _column("deliveries_dead", "Of these: given up"),
        _column("retries", "Requests of these after the first"),
    ),
)

LATENCY = View(
    "analytics_latency",
    "Replies by how long they took: sum replies by bucket over any span and read percentiles off them",
    "FROM rollup_latency r",
    (
        _HOUR,
        _ENDPOINT,
        ("bucket", "r.bucket", "analytics_bucket(seconds from post to reply)"),
        (
            "seconds",
            "analytics_bucket_seconds(r.bucket)",
            "The bucket's middle; no reply in it is further than 5 % off",
        ),
        ("replies", "r.replies", "Replies in it"),
    ),
)

PARTS = View(
    "analytics_parts",
    "Counts by hour and endpoint of what there are many of",
    "FROM rollup_part r",
    (
        _HOUR,
        _ENDPOINT,
        (
            "measure",
            "r.measure",
            "intent, goal; language (of sessions); drop_off (of sessions); handover (status and reason); queue; "
            "bot_error (bot and error); dead_letter (reason); event (type)",
        ),
        ("part", "r.part", "The intent, the goal, …"),
        ("count", "r.count", "How many"),
    ),
)
