"""Deliveries: retried, in order, never doubled, and never silently lost."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.owned import owned
from app.conversation.sending import READINGS, Reading, settle_reading
from app.gateway.client import GatewayMessage
from app.gateway.outcome import InDoubt, Outcome, Refused, Retry, Sent, Unauthorized
from tests.integration.scene import Scene, scene

LOST = InDoubt(None, "ReadTimeout")
STORED_BUT_LOST: tuple[Outcome, bool] = (LOST, True)


async def thrice(chat: Chat) -> None:
    for _ in range(3):
        await chat.say("ok")


async def counts(chat: Chat) -> None:
    for word in ("one", "two", "three"):
        await chat.say(word)


async def started(
    engine: AsyncEngine, bot: object = counts, *answers: Outcome | tuple[Outcome, bool]
) -> Scene:
    play = scene(engine, bot)  # type: ignore[arg-type]  # the tests' bots
    play.gateway.answers = list(answers)
    await play.says("hi")
    await play.work()
    return play


async def test_three_identical_replies_arrive_once_each_when_the_seconds_answer_is_lost(
    engine: AsyncEngine,
) -> None:
    play = await started(engine, thrice, Sent(202), STORED_BUT_LOST)
    assert await play.statuses() == ["sent", "in_doubt", "waiting"]
    await play.later(3)
    assert await play.statuses() == ["sent", "sent", "sent"]
    assert play.gateway.texts == ["ok", "ok", "ok"]
    assert (
        await play.value("SELECT confirmed_by FROM delivery ORDER BY place OFFSET 1 LIMIT 1") == "read_back"
    )


async def test_a_lost_message_that_did_not_arrive_is_sent_again_after_two_looks(engine: AsyncEngine) -> None:
    play = await started(engine, thrice, LOST)
    assert play.gateway.texts == []
    await play.later(2.5)
    assert await play.statuses() == ["in_doubt", "waiting", "waiting"]
    await play.later(2.5)
    assert play.gateway.texts == ["ok", "ok", "ok"]
    assert await play.statuses() == ["sent"] * 3


async def test_a_504_after_storing_is_not_sent_again(engine: AsyncEngine) -> None:
    play = await started(engine, counts, (InDoubt(504, "HTTP 504"), True))
    await play.later(3)
    assert play.gateway.texts == ["one", "two", "three"]


async def test_500_500_202_arrives_once_and_in_order(engine: AsyncEngine) -> None:
    play = await started(engine, counts, InDoubt(500, "HTTP 500"), InDoubt(500, "HTTP 500"))
    for _ in range(4):
        await play.later(2.5)
    assert play.gateway.texts == ["one", "two", "three"]
    attempts = await play.rows(
        "SELECT outcome FROM delivery_attempt "
        "WHERE delivery_id = (SELECT min(id) FROM delivery) ORDER BY number"
    )
    assert [row[0] for row in attempts] == ["in_doubt", "in_doubt", "sent"]


async def test_429_waits_for_as_long_as_it_is_told(engine: AsyncEngine) -> None:
    play = await started(engine, counts, Retry(30.0, 429, "HTTP 429"))
    await play.later(10)
    assert play.gateway.texts == []
    await play.later(30)
    assert play.gateway.texts == ["one", "two", "three"]


async def test_a_refused_message_is_a_dead_letter_and_the_next_goes_on(engine: AsyncEngine) -> None:
    play = await started(engine, counts, Refused(400, "HTTP 400 invalid"))
    assert play.gateway.texts == ["two", "three"]
    assert await play.statuses() == ["dead", "sent", "sent"]
    assert await play.value("SELECT count(*) FROM incident WHERE kind = 'dead_letter'") == 1


async def test_401_pauses_the_endpoint_until_a_probe_passes(engine: AsyncEngine) -> None:
    play = await started(engine, counts, Unauthorized(401, "HTTP 401"))
    assert await play.statuses() == ["waiting"] * 3
    assert await play.value("SELECT count(*) FROM incident WHERE kind = 'endpoint_paused'") == 1
    await play.later(20)
    assert play.gateway.texts == []
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE endpoint_state SET probe_at = now()")
    await play.later(700)  # older than max_age by now: tried all the same
    await play.work()
    assert play.gateway.texts == ["one", "two", "three"]
    assert await play.value("SELECT count(*) FROM incident WHERE resolved_at IS NULL") == 0
    assert not play.services.pauses.paused("support")


async def test_what_is_too_old_is_tried_once_and_then_dead(engine: AsyncEngine) -> None:
    play = await started(engine, counts, *[Retry(None, 503, "x")] * 2)
    await play.later(1000)
    assert await play.statuses() == ["dead", "sent", "sent"]
    assert play.gateway.texts == ["two", "three"]


async def test_what_can_not_be_read_back_until_its_age_is_dead_in_doubt(engine: AsyncEngine) -> None:
    play = await started(engine, counts, LOST)
    play.gateway.readable = False
    await play.later(5)
    assert await play.statuses() == ["in_doubt", "waiting", "waiting"]
    await play.later(700)
    assert await play.value("SELECT reason FROM delivery ORDER BY place LIMIT 1") == "in doubt"
    assert play.gateway.texts == ["two", "three"]


async def test_an_echo_confirms_the_delivery_it_belongs_to(engine: AsyncEngine) -> None:
    play = await started(engine, counts)
    await play.echo("two")
    await play.work()
    confirmed = await play.rows("SELECT content->>'text' FROM delivery WHERE confirmed_by = 'echo'")
    assert [row[0] for row in confirmed] == ["two"]


async def test_an_echo_ends_a_doubt(engine: AsyncEngine) -> None:
    play = await started(engine, counts, STORED_BUT_LOST)
    await play.echo("one")
    await play.work()
    assert play.gateway.texts == ["one", "two", "three"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_request_of_a_dead_worker_is_settled_by_looking(engine: AsyncEngine, arrived: bool) -> None:
    play = await started(engine, counts)
    async with engine.begin() as connection:  # as a kill -9 in the middle of the request leaves it
        await connection.exec_driver_sql(
            "UPDATE delivery SET status = CASE WHEN place = (SELECT max(place) FROM delivery) "
            "THEN 'sending' ELSE status END, ended_at = CASE WHEN place = (SELECT max(place) FROM delivery) "
            "THEN NULL ELSE ended_at END, sent_at = CASE WHEN place = (SELECT max(place) FROM delivery) "
            "THEN NULL ELSE sent_at END"
        )
        await connection.exec_driver_sql("UPDATE conversation SET due_at = now(), owner = NULL")
    if not arrived:
        play.gateway.there.pop()
    for _ in range(4):
        await play.later(3)
    assert play.gateway.texts == ["one", "two", "three"]
    assert await play.statuses() == ["sent"] * 3


async def test_one_that_was_in_doubt_and_then_had_to_wait_is_looked_for_again_before_it_is_sent(
    engine: AsyncEngine,
) -> None:
    play = await started(engine, counts, LOST)
    endpoint = play.services.endpoints["support"]
    async with engine.begin() as connection:
        await play.services.pauses.pause(connection, endpoint)
    await play.later(2.5)
    await play.later(2.5)  # not there, twice; but the endpoint is paused
    assert await play.statuses() == ["waiting"] * 3
    play.gateway.there.append(GatewayMessage("0", "one", "bot", play.clock()))
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE endpoint_state SET probe_at = now()")
    await play.later(20)
    await play.work()
    assert await play.statuses() == ["sent"] * 3
    assert play.gateway.texts == ["one", "two", "three"]


async def same_again(chat: Chat) -> None:
    for _ in range(3):
        await chat.say("Done.")
        await chat.receive()


async def test_the_echo_of_an_earlier_message_is_not_taken_for_that_of_a_later_one_that_says_the_same(
    engine: AsyncEngine,
) -> None:
    play = await started(engine, same_again, STORED_BUT_LOST)
    await play.later(3)  # found by reading; its echo is late
    assert await play.statuses() == ["sent"]
    await play.says("next")
    play.gateway.answers = [LOST]
    await play.work()
    assert await play.statuses() == ["sent", "in_doubt"]
    await play.echo("Done.")
    await play.work()
    assert await play.statuses() == ["sent", "in_doubt"]
    assert [row[0] for row in await play.rows("SELECT confirmed_by FROM delivery ORDER BY place")] == [
        "echo",
        None,
    ]
    await play.later(3)
    await play.later(3)
    assert await play.statuses() == ["sent", "sent"]
    assert play.gateway.texts == ["Done.", "Done."]


async def test_an_echo_that_came_before_a_message_was_sent_is_not_its_own(engine: AsyncEngine) -> None:
    play = await started(engine, same_again)
    await play.echo("Done.")
    await play.work()
    before = play.clock()
    await play.says("next")
    play.gateway.answers = [LOST]
    await play.work()
    data = {"isEcho": True, "sender": {"id": "bot", "type": "bot"}, "text": "Done."}  # a second copy's
    echo = {"eventType": "MESSAGE", "conversationId": play.conversation, "data": data}
    await play.post(echo, received=before, at=before)
    await play.work()
    assert await play.statuses() == ["sent", "in_doubt"]


async def test_in_a_long_busy_stretch_no_earlier_message_is_taken_for_the_one_in_doubt(
    engine: AsyncEngine,
) -> None:
    async def busy(chat: Chat) -> None:
        for number in range(40):
            await chat.say(f"{chat.message.text} {number}")
        for number in range(40):
            await chat.receive()
            await chat.say(f"again {number}")

    play = await started(engine, busy)
    for number in range(40):
        await play.says(str(number))
    play.gateway.answers = [*[Sent(202)] * 39, LOST]
    await play.work()
    assert await play.statuses() == [*["sent"] * 79, "in_doubt"]
    await play.later(3)
    await play.later(3)
    assert play.gateway.texts[-2:] == ["again 38", "again 39"]


async def test_what_an_echo_settled_while_8x8_was_asked_is_not_sent_again(engine: AsyncEngine) -> None:
    play = await started(engine, counts, STORED_BUT_LOST)
    assert play.state is not None
    first = await play.value("SELECT min(id) FROM delivery")
    reading = Reading(first, 1, {"text": "one"}, READINGS - 1, play.clock())
    await play.echo("one")
    await play.work()
    async with owned(engine, play.state) as holding:
        await settle_reading(holding, reading, False, play.clock())
    assert (await play.statuses())[0] == "sent"
    await play.later(3)
    assert play.gateway.texts == ["one", "two", "three"]
