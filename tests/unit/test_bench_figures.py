"""What the benchmark says of its figures: how noisy they are, and better, same or worse."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.figures import Figure, latency, p50, p99
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
