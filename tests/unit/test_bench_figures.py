"""What the benchmark says of its figures: how noisy they are, and better, same or worse."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.figures import Figure, latency, p50, p99
from tests.bench.sections import undisturbed_note
from tests.bench.slowness import Slowness, disturbed, slow_moments
from tests.bench.traffic import Measured
from tests.bench.usage import Usage

STEADY = [10.0, 11.0] * 20


@pytest.mark.parametrize(
    ("value", "noise", "said"),
    [
        (80.0, 0.1, "better"),
        (95.0, 0.1, "same"),
        (125.0, 0.1, "worse"),
        (125.0, 0.4, "same"),
        (125.0, 0.6, "too noisy"),
        (900.0, 0.6, "worse"),
        (math.nan, 0.1, "worse"),
    ],
)
def test_a_figure_is_better_or_worse_only_beyond_the_noise_of_both(
    value: float, noise: float, said: str
) -> None:
    before = Figure("p50", 100.0, "ms", 0.1)
    assert Figure("p50", value, "ms", noise).compared(before) == said
    assert before.compared(Figure("p50", 100.0, "ms", noise)) == "same"


def test_more_is_better_where_more_is_wanted() -> None:
    before = Figure("rate", 100.0, "messages/s", lower_is_better=False, reach=150)
    after = Figure("rate", 160.0, "messages/s", lower_is_better=False, reach=150)
    assert after.compared(before) == "better"
    assert (before.reached, after.reached) == (False, True)


def test_nothing_at_all_is_no_small_change() -> None:
    lost = Figure("unanswered", 0, "", reach=0)
    assert Figure("unanswered", 20, "").compared(lost) == "worse"
    assert lost.compared(Figure("unanswered", 20, "")) == "better"
    assert lost.compared(lost) == "same"
    rate = Figure("sustained", 157, "messages/s", lower_is_better=False)
    assert Figure("sustained", 0, "messages/s", lower_is_better=False).compared(rate) == "worse"


def test_a_noisy_figure_does_not_replace_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    report.store([Figure("p50", 10.0, "ms", 0.1)], {}, {}, path)
    report.store([Figure("p50", 90.0, "ms", 9.0), Figure("p99", 95.0, "ms", 9.0)], {}, {}, path)
    kept = report.stored(path)
    assert (kept["p50"].value, kept["p99"].value) == (10.0, 95.0)
    assert kept["p50"].at
    report.store([Figure("p50", 12.0, "ms", 0.2)], {}, {}, path)
    assert report.stored(path)["p50"].value == 12.0


def test_quarters_that_differ_make_a_latency_noisy() -> None:
    assert latency("steady", STEADY, p50).noise == 0.1
    assert latency("drifting", [10.0] * 10 + [20.0] * 30, p50).noise > 0.2


def test_what_the_host_took_widens_the_noise_and_is_said() -> None:
    figure = latency("p99", STEADY, p99, stolen=0.3)
    assert figure.noise == 0.43
    assert figure.note == "30% of the machine stolen"
    assert latency("p99", STEADY, p99, stolen=0.01).note == ""


def test_cpu_is_told_apart_by_who_had_it() -> None:
    before = Usage({"worker": 1.0}, machine=10.0, stolen=2.0, at=100.0)
    after = Usage({"worker": 4.0, "receiver": 1.0}, machine=20.0, stolen=4.0, at=110.0)
    assert after.since(before) == {"worker": 30.0, "receiver": 10.0, "stolen": 20.0, "others": 40.0}


def test_memory_is_slow_where_a_look_takes_much_longer_than_most() -> None:
    looks = [(number, 50 + number % 3) for number in range(100)] + [(100, 151), (101, 400)]
    assert slow_moments(looks) == [101]
    assert slow_moments([]) == []


@pytest.mark.parametrize(
    ("sent", "said"), [(8.89, False), (8.91, True), (9.0, True), (9.39, True), (9.41, False), (12.0, False)]
)
def test_what_was_sent_about_the_time_when_memory_was_slow_is_disturbed(sent: float, said: bool) -> None:
    second = 1_000_000_000
    moments = [2 * second, 9 * second]
    assert disturbed(int(sent * second), moments) is said
    assert not disturbed(int(sent * second), [])


def test_the_memory_is_looked_at_while_the_block_runs() -> None:
    with Slowness() as slowness:
        deadline = time.monotonic() + 10
        while len(slowness.looks) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    seen = list(slowness.looks)
    assert len(seen) >= 3 and all(took > 0 for _, took in seen)
    assert 0.0 <= slowness.share <= 1.0


def test_a_note_says_what_the_figure_was_apart_from_slow_memory() -> None:
    measured = Measured(50, 1000, replies=[9.0] * 950 + [90.0] * 50, undisturbed=[9.0] * 800)
    assert undisturbed_note(measured) == "9.0 ms for the 80% sent while memory was fast"
    assert undisturbed_note(Measured(50, 1000, replies=[9.0] * 1000, undisturbed=[9.0] * 1000)) == ""
    assert undisturbed_note(Measured(50, 1000, replies=[9.0] * 1000, undisturbed=[9.0] * 299)) == ""
