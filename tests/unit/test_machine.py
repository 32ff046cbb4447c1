"""Whether the machine is busy, from how long its cores were idle."""

from __future__ import annotations

from dataclasses import dataclass

from flows.machine import Machine, idle_seconds


@dataclass
class Clocks:
    """A clock, and the seconds that two cores were idle."""

    now: float = 100.0
    idle: float = 50.0

    def machine(self) -> Machine:
        return Machine(clock=lambda: self.now, idle=lambda: self.idle, cores=2)

    def pass_by(self, seconds: float, *, used: float) -> None:
        """So much time, with this share of both cores used."""
        self.now += seconds
        self.idle += seconds * 2 * (1 - used)


def test_it_is_busy_while_most_of_all_cores_is_used_and_no_longer() -> None:
    clocks = Clocks()
    machine = clocks.machine()
    assert not machine.busy()
    clocks.pass_by(1.0, used=0.9)
    assert machine.busy()
    clocks.pass_by(1.0, used=0.5)
    assert not machine.busy()


def test_a_moment_does_not_make_it_busy() -> None:
    clocks = Clocks()
    machine = clocks.machine()
    clocks.pass_by(0.1, used=1.0)
    assert not machine.busy()
    clocks.pass_by(0.9, used=0.3)
    assert not machine.busy()


def test_the_real_clock_of_idleness_goes_on() -> None:
    before = idle_seconds()
    assert before > 0
    assert idle_seconds() >= before
