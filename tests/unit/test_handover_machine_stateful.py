"""8x8 as it is, and what of it reaches the machine: late, doubled, in any order, partly not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.conversation.handover.machine import Machine, Signal, fold

START = datetime(2026, 1, 1, tzinfo=UTC)

#: What truth has happened to the conversation → what the machine must come to once it has heard.
EXPECTED = {"queue": "queued", "agent": "active", "script": "completed"}


#: What a handover that nothing was heard of for a minute learns by looking.
LOOKED = {"queue": "enqueued", "agent": "assigned"}


class Handover(RuleBasedStateMachine):
    """`who` has the conversation in truth; `on_the_way` are the events that tell of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0
        self.who = "script"
        self.agent: str | None = None
        self.agents: list[str] = []
        self.transfers = 0
        self.over = False
        self.on_the_way: list[Signal] = []
        self.heard: list[Signal] = []

    # the truth

    def tell(self, *signals: tuple[str, str | None]) -> None:
        """Events, a second apart."""
        for kind, agent in signals:
            self.seconds += 1
            self.on_the_way.append(Signal(kind, START + timedelta(seconds=self.seconds), agent))

    @precondition(lambda self: self.who == "script" and not self.over)
    @rule(missing=st.sampled_from(["", "queued", "enqueued"]))
    def waits(self, missing: str) -> None:
        """8x8 puts the conversation into the queue."""
        self.who = "queue"
        self.tell(*[(kind, None) for kind in ("enqueued", "queued") if kind != missing])

    @precondition(lambda self: self.who == "queue")
    @rule(missing=st.sampled_from(["", "joined", "assigned"]), writes=st.booleans())
    def is_accepted(self, missing: str, writes: bool) -> None:
        """An agent, another each time, takes it."""
        self.who, self.agent = "agent", f"agent-{len(self.agents)}"
        self.agents.append(self.agent)
        kinds = [kind for kind in ("joined", "assigned") if kind != missing]
        self.tell(*[(kind, self.agent) for kind in kinds], *([("wrote", self.agent)] if writes else []))

    @precondition(lambda self: self.who == "agent")
    @rule()
    def agent_writes(self) -> None:
        """A message of the agent's."""
        self.tell(("wrote", self.agent))

    @precondition(lambda self: self.who == "agent")
    @rule(
        order=st.permutations(["left", "transfer", "enqueued", "queued"]),
        missing=st.sampled_from(["", "left", "transfer", "enqueued", "queued"]),
    )
    def is_transferred(self, order: list[str], missing: str) -> None:
        """The agent moves it to another queue; the events of that come in any order, and one may be lost."""
        self.who, self.transfers = "queue", self.transfers + 1
        said = [kind for kind in order if kind != missing]
        self.tell(*[(kind, self.agent if kind == "left" else None) for kind in said])
        self.agent = None

    @precondition(lambda self: self.who == "agent")
    @rule(missing=st.sampled_from(["", "left", "returned"]))
    def is_done(self, missing: str) -> None:
        """The agent is done and the conversation goes back to the script."""
        self.who, self.over = "script", True
        said = [("left", self.agent), ("returned", None)]
        self.tell(*[each for each in said if each[0] != missing])

    # what is heard

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), again=st.booleans())
    def arrives(self, data: st.DataObject, again: bool) -> None:
        """One of the events on the way, whichever; perhaps it comes once more later."""
        signal = data.draw(st.sampled_from(self.on_the_way))
        if not again:
            self.on_the_way.remove(signal)
        self.hear(signal)

    @precondition(lambda self: self.machine.leaving_since is not None)
    @rule()
    def is_looked_at(self) -> None:
        """Three seconds after a `left`."""
        newest = max(signal.at for signal in self.heard)
        self.hear(Signal("looked", newest, self.agent, value=self.who))

    @rule()
    def nothing_happens(self) -> None:
        """For a while."""

    def hear(self, signal: Signal) -> None:
        """As `apply` does: an end is final."""
        if self.machine.open:
            self.heard.append(signal)

    @property
    def machine(self) -> Machine:
        """What was made of it."""
        return fold(START, self.heard)

    # what must hold

    @invariant()
    def an_end_is_an_end_in_truth(self) -> None:
        """Nothing late or doubled ends a handover that goes on."""
        assert self.machine.open or self.over

    @invariant()
    def nobody_is_made_up(self) -> None:
        """Agents and transfers are those there were."""
        assert set(self.machine.agents) <= set(self.agents)
        assert len(self.machine.agents) == len(set(self.machine.agents))

    def teardown(self) -> None:
        """When all has been heard, and looked at where that is due, the machine is where the truth is."""
        for signal in self.on_the_way:
            self.hear(signal)
        if self.machine.leaving_since is not None:
            self.is_looked_at()
        if self.machine.status in ("requested", "transferred") and self.who in LOOKED:
            newest = max((signal.at for signal in self.heard), default=START)
            self.hear(Signal(LOOKED[self.who], newest, self.agent))
        asked = self.who == "script" and not self.over
        assert self.machine.status == ("requested" if asked else EXPECTED[self.who])
        if self.machine.status != "completed":  # what ended before all was heard knows less
            assert list(self.machine.agents) == self.agents
            assert self.machine.transfers == self.transfers


TestHandover = Handover.TestCase
TestHandover.settings = settings(
    max_examples=150,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
