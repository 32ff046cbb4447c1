"""Handed over again and again, ended in every way, events late: none is taken for one of another handover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.conversation.draft import Draft
from app.conversation.handover.asking import Told
from app.conversation.handover.clocks import due_timers, time_passed
from app.conversation.handover.following import end
from app.conversation.handover.late import obsolete
from app.conversation.handover.opening import ask
from app.conversation.ids import IdPools
from app.conversation.notes import note
from app.conversation.state import ConversationState, WaitingEvent
from app.endpoints import Endpoint
from app.gateway import meaning as gateway

START = datetime(2026, 1, 1, tzinfo=UTC)

ENDPOINT = Endpoint.model_validate(
    {
        "name": "support",
        "token": "a-token-long-enough",
        "flow": "tests.bots:bot",
        "eightxeight": {
            "base_url": "http://127.0.0.1:1",
            "api_key": "key-of-8x8-long-enough",
            "tenant": "acme01",
        },
        "handover": {"return_assignment": {"type": "script", "id": "2001"}},
    }
)

CONTROL = {"script": "bot", "queue": "queue", "agent": "human"}


class Counted:
    """Ids without a database."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def take(self) -> int:
        return next(self._numbers)


def assignment(kind: str, identity: str) -> gateway.StateChange:
    return gateway.StateChange("active", {"type": kind, "id": identity}, None, None, None)


class Conversation(RuleBasedStateMachine):
    """`who` has it in truth; `on_the_way` are events, each with the number of the handover it is of."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.state = ConversationState(id=1, endpoint="support", external_id="ID-0", epoch=1)
        self.ids: Any = IdPools(*(Counted() for _ in range(5)))  # type: ignore[arg-type]
        self.events = count(1)
        self.who, self.queue, self.agent = "script", "", ""
        self.handovers = 0
        self.agents: dict[int, list[str]] = {}
        self.on_the_way: list[tuple[int, datetime, Any]] = []

    # Parley

    def draft(self) -> Draft:
        self.now += timedelta(seconds=1)
        return Draft(self.state, ENDPOINT, self.ids, self.now)

    def commit(self, draft: Draft) -> None:
        """What is to be sent reaches 8x8, which does it."""
        for row in draft.changes.deliveries:
            if row["status"] != "waiting" or obsolete(self.state, row["kind"], row["content"]):
                continue
            if row["kind"] == "assignment":
                self.is_put_into_the_queue(row["content"]["assignment"]["id"])
            elif row["kind"] == "return":
                self.goes_back()

    def told(self) -> Told:
        return Told(self.who, self.agent if self.who == "agent" else None, sent=True)

    @property
    def open(self) -> bool:
        return self.state.handover is not None

    # 8x8

    def tell(self, *meanings: Any) -> None:
        for meaning in meanings:
            self.now += timedelta(milliseconds=10)
            self.on_the_way.append((self.handovers, self.now, meaning))

    def is_put_into_the_queue(self, queue: str) -> None:
        self.who, self.queue = "queue", queue
        self.tell(assignment("queue", queue), gateway.Queued(queue, None))

    def goes_back(self) -> None:
        """To the script; an agent who had it writes a last word, and leaves."""
        if self.who == "agent":
            self.tell(
                gateway.AgentMessage(self.agent, {"text": "bye"}),
                gateway.MemberChange("agent", "left", self.agent),
            )
        self.who = "script"
        self.tell(assignment("script", "2001"))

    @precondition(lambda self: self.who == "queue")
    @rule(joins=st.booleans(), is_assigned=st.booleans())
    def an_agent_takes_it(self, joins: bool, is_assigned: bool) -> None:
        """Another one each time."""
        mine = self.agents.setdefault(self.handovers, [])
        self.who, self.agent = "agent", f"agent-{self.handovers}-{len(mine)}"
        mine.append(self.agent)
        if joins or not is_assigned:
            self.tell(gateway.MemberChange("agent", "joined", self.agent))
        if is_assigned:
            self.tell(assignment("agent", self.agent))

    @precondition(lambda self: self.who == "agent")
    @rule()
    def the_agent_writes(self) -> None:
        self.tell(gateway.AgentMessage(self.agent, {"text": "hello"}))

    @precondition(lambda self: self.who == "agent")
    @rule()
    def the_agent_moves_it(self) -> None:
        """To another queue."""
        self.tell(gateway.MemberChange("agent", "left", self.agent), gateway.Transfer())
        self.is_put_into_the_queue(f"{self.queue}+")

    @precondition(lambda self: self.who != "script")
    @rule()
    def it_is_done(self) -> None:
        """The agent is done, or the queue lets go."""
        self.goes_back()

    @precondition(lambda self: self.who != "script")
    @rule(idle=st.booleans())
    def it_is_over(self, idle: bool) -> None:
        """It falls idle, or the user leaves: that is told at once, what was before it perhaps later."""
        self.who = "script"
        over: Any = gateway.StateChange("idle", None, None, None, None)
        self.tell(over if idle else gateway.MemberChange("user", "left", "u"))
        self.hear(len(self.on_the_way) - 1)

    # what happens here

    @precondition(lambda self: not self.open and self.handovers < 4)
    @rule()
    def the_bot_hands_over(self) -> None:
        self.handovers += 1
        draft = self.draft()
        ask(draft, {"queue": f"10{self.handovers}"}, position=None)
        self.commit(draft)

    @precondition(lambda self: self.open)
    @rule(status=st.sampled_from(["cancelled", "timed_out"]))
    def it_is_ended_from_here(self, status: str) -> None:
        """The user cancels, the bot closes it, or its time is over."""
        draft = self.draft()
        assert self.state.handover is not None
        end(draft, self.state.handover, status, "no more")
        self.commit(draft)

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), again=st.booleans())
    def an_event_arrives(self, data: st.DataObject, again: bool) -> None:
        """Whichever; perhaps it comes once more."""
        self.hear(data.draw(st.integers(0, len(self.on_the_way) - 1)), again=again)

    def hear(self, place: int, *, again: bool = False) -> None:
        number, at, meaning = self.on_the_way[place]
        if not again:
            del self.on_the_way[place]
        before = self.state.handover.machine if self.state.handover is not None else None
        draft = self.draft()
        note(draft, WaitingEvent(next(self.events), "", None, at, self.now), meaning)
        self.commit(draft)
        after = self.state.handover.machine if self.state.handover is not None else None
        if number != self.handovers:
            assert after == before, "an event of another handover changed this one"

    @rule(seconds=st.integers(1, 4))
    def a_moment_passes(self, seconds: int) -> None:
        """Events may be on the way for longer."""
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from([31, 61, 700]))
    def time_passes(self, seconds: int) -> None:
        """All that was on the way has come by then."""
        while self.on_the_way:
            self.hear(0)
        self.pass_time(seconds)

    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        for timer in due_timers(self.state, self.now):
            if timer in self.state.timers:
                draft = self.draft()
                time_passed(draft, timer, self.told())
                self.commit(draft)

    # what must hold

    @invariant()
    def only_what_was_asked_for_is_a_handover(self) -> None:
        """Nobody takes anything over in this story."""
        assert self.state.handover is None or self.state.handover.id == self.handovers

    @invariant()
    def a_human_has_it_only_where_an_agent_took_it(self) -> None:
        """Of this handover, not of one before."""
        assert self.state.control != "human" or self.agents.get(self.handovers)

    def teardown(self) -> None:
        """When all has been heard, and looked at, everybody knows who has it."""
        for _ in range(5):
            self.time_passes(700)
        assert self.state.control == CONTROL[self.who]
        if self.state.handover is not None:
            assert set(self.state.handover.machine.agents) <= set(self.agents.get(self.handovers, []))


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
