from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import contingency_tables

from pytest_steering.evaluation.answers import behaviour, shift, slopes
from pytest_steering.evaluation.statistics import (
    Interval,
    control,
    holm,
    least_units,
    mcnemar,
    mean_interval,
    share_interval,
    sign_flip,
)


def outcomes(gained: int, lost: int, same: int = 0) -> tuple[list[bool], list[bool]]:
    before = [False] * gained + [True] * lost + [True] * same
    after = [True] * gained + [False] * lost + [True] * same
    return before, after


def covers(interval: Interval, truth: float) -> bool:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low - 1e-12 <= truth <= interval.high + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("scenarios", range(2, 11))
def test_t_interval_of_few_scenarios_covers_what_it_says(scenarios: int) -> None:
    """Of 1500 normal data sets, in clusters of three alike, about 95% of the intervals hold the true mean."""
    random = np.random.default_rng(scenarios)
    names = np.repeat(np.arange(scenarios), 3).tolist()
    data = 1 + np.repeat(random.normal(size=(1500, scenarios)), 3, axis=1)
    data += 0.3 * random.normal(size=data.shape)
    assert 0.93 <= np.mean([covers(mean_interval(row, names), 1) for row in data]) <= 0.97


@pytest.mark.parametrize("scenarios", range(2, 11))
def test_share_interval_of_few_scenarios_covers_at_every_share(scenarios: int) -> None:
    """Exactly, not drawn: the coverage at each share is the sum of the binomial chances of what covers it."""
    ends = [share_interval([1.0] * right + [0.0] * (scenarios - right)) for right in range(scenarios + 1)]
    for share in np.linspace(0.01, 0.99, 99):
        chances = stats.binom.pmf(range(scenarios + 1), scenarios, share)
        assert sum(chance for chance, end in zip(chances, ends, strict=True) if covers(end, share)) >= 0.95


@pytest.mark.parametrize("scenarios", [2, 3, 5, 8])
def test_shares_of_alike_answers_are_not_counted_often(scenarios: int) -> None:
    """Ten versions of a scenario that are answered alike are one answer; taken for ten, a third would miss."""
    random = np.random.default_rng(scenarios)
    names = np.repeat(np.arange(scenarios), 10).tolist()
    alike = np.repeat(random.random((1000, scenarios)) < 0.6, 10, axis=1).astype(float)
    assert np.mean([covers(share_interval(row, names), 0.6) for row in alike]) >= 0.95
    assert np.mean([covers(share_interval(row), 0.6) for row in alike]) < 0.7


def test_no_interval_where_the_data_carry_none() -> None:
    one, same = mean_interval([1.0, 2.0], ["a", "a"]), mean_interval([2.0, 2.0, 2.0])
    assert (one.low, one.high, one.method) == (same.low, same.high, same.method) == (None, None, "none")
    assert str(one) == "+1.5 without an interval (one scenario has no spread)"
    assert str(same) == "+2 without an interval (all 3 scenarios are equal, so no spread is seen)"
    assert share_interval([1.0, 1.0], ["a", "a"]).low is None
    assert not same.excludes_zero


def test_all_right_is_not_certain() -> None:
    found = share_interval([1.0] * 10)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 10))
    assert share_interval([1.0, 1.0]).low == pytest.approx(0.158, abs=1e-3)


def test_each_scenario_counts_once() -> None:
    found = mean_interval([1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"])
    assert (found.estimate, found.scenarios) == (3.0, 2)
    assert sign_flip([1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"]).mean == 3.0


@pytest.mark.parametrize(("gained", "lost", "p"), [(6, 0, 0.03125), (9, 0, 0.00390625), (8, 2, 0.109375)])
def test_mcnemar_is_exact(gained: int, lost: int, p: float) -> None:
    found = mcnemar(*outcomes(gained, lost, same=20))
    table = [[20, lost], [gained, 0]]
    assert found.p == pytest.approx(p) == contingency_tables.mcnemar(table, exact=True).pvalue
    assert (found.cases, found.gained, found.lost) == (20 + gained + lost, gained, lost)


def test_mcnemar_says_underpowered_where_nothing_could_be_significant() -> None:
    few, family = mcnemar(*outcomes(5, 0)), mcnemar(*outcomes(8, 0), family=8)
    assert (few.p, few.needed) == (None, 6)
    assert (family.p, family.needed) == (None, 9)
    assert mcnemar(*outcomes(9, 0), family=8).p == pytest.approx(0.00390625)
    assert str(few) == "5 of 5 gained and 0 lost: underpowered, 6 that change are needed"


def test_a_bias_gains_as_much_as_it_loses() -> None:
    """A model that says yes to everything is right in half of the files, whichever half it was right in before."""
    found = mcnemar(*outcomes(24, 24))
    assert found.p == 1
    assert str(found).endswith("Cohen's g +0.00")


def test_three_scenarios_can_never_be_significant() -> None:
    """The smallest two-sided p of three scenarios is 0.25, so no p is printed below six."""
    assert sign_flip([1.0, 2.0, 3.0]).p is None
    assert sign_flip([1.0] * 5).p is None
    assert (least_units(), least_units(family=8)) == (6, 9)
    assert sign_flip([1.0] * 6).p == pytest.approx(0.03125)


def test_sign_flip_turns_whole_scenarios() -> None:
    """Copies of a case add nothing: forty copies of six scenarios are six, and one scenario says nothing."""
    differences = [0.5, 1.0, 0.7, 0.2, 0.9, -0.1]
    copied = [difference for difference in differences for _ in range(40)]
    names = [name for name in "abcdef" for _ in range(40)]
    once, many, as_if = sign_flip(differences), sign_flip(copied, names), sign_flip(copied)
    assert many.p == once.p == pytest.approx(4 / 64)
    assert many.drawn == 0
    assert as_if.p is not None
    assert as_if.p < 0.001
    assert sign_flip(copied, ["one"] * 240).p is None


def test_sign_flip_holds_its_level_on_noise() -> None:
    """Of 200 null data sets with strong scenario effects about 5% are called significant, not 40%."""
    random = np.random.default_rng(0)
    names = np.repeat(np.arange(12), 5).tolist()
    noise = np.repeat(random.normal(size=(200, 12)), 5, axis=1) + 0.1 * random.normal(size=(200, 60))
    found = [sign_flip(row, names).p for row in noise]
    rate = np.mean([p is not None and p <= 0.05 for p in found])
    assert 0.015 <= rate <= 0.095


def test_drawn_sign_flips_repeat_with_their_seed() -> None:
    data = np.random.default_rng(1).normal(0.3, 1, 40)
    first, second = sign_flip(data, seed=3), sign_flip(data, seed=3)
    assert first == second
    assert first.drawn == 9999


def test_holm_counts_underpowered_tests() -> None:
    assert holm({"CWE-22": 0.01, "CWE-79": None, "CWE-89": 0.02}) == pytest.approx(
        {"CWE-22": 0.03, "CWE-79": None, "CWE-89": 0.04}
    )
    assert holm({f"test {n}": 0.01 for n in range(8)})["test 0"] == pytest.approx(0.08)
    assert holm({}) == {}


def test_slopes_and_the_share_that_steers_backwards() -> None:
    doses = [0.0, 0.1, 0.25]
    answers = [[1 + 4 * dose for dose in doses], [2 - 2 * dose for dose in doses], [6 * dose for dose in doses]]
    found = slopes(doses, answers)
    assert found.values == pytest.approx((4.0, -2.0, 6.0))
    assert found.mean.estimate == pytest.approx(8 / 3)
    assert found.backwards.estimate == pytest.approx(1 / 3)
    assert str(found).startswith("slope over doses 0, 0.1, 0.25: +2.67 [")


def test_trend_is_over_scenarios_and_falls_where_the_answer_rises() -> None:
    doses = [0.0, 0.1, 0.25]
    rising = [[0.0 + i, 1 + i, 2 + i] for i in range(6)]
    assert (up := slopes(doses, rising).trend) is not None
    assert up < 0.01
    assert (down := slopes(doses, [[-value for value in row] for row in rising]).trend) is not None
    assert down > 0.9
    assert slopes(doses, rising, ["a"] * 3 + ["b"] * 3).trend is None


def test_control_ranks_by_size() -> None:
    effects = np.linspace(-0.7, 0.6, 19)
    beaten = control(-4.4, effects)
    assert beaten.p == pytest.approx(0.05)
    assert beaten.beaten
    assert beaten.against("others").endswith("rank p = 0.05, the least that so many can give")
    within = control(0.65, effects)
    assert within.p == pytest.approx(2 / 20)
    assert not within.beaten
    assert within.against("others").endswith("rank p = 0.1")
    assert control(0.6, [0.6] * 19).p == 1
    few = control(4.4, effects[:18])
    assert (few.p, few.beaten) == (None, False)
    assert few.against("others") == (
        "target +4.4 against 18 others (standard deviation 0.39, largest 0.7): underpowered, 19 are needed"
    )
    assert control(1.0, []).against("others") == "target +1 against 0 others: underpowered, 19 are needed"


def test_a_bias_moves_the_yes_rate_and_nothing_else() -> None:
    """Eight pairs that a model tells apart around -1; a bias of +1 nat gives it pair accuracy, +6 only yeses."""
    vulnerable, patched = np.linspace(-0.9, -0.2, 8), np.linspace(-1.9, -1.1, 8)
    start, biased = behaviour((vulnerable, patched)), behaviour((vulnerable + 6, patched + 6))
    assert (start.yes_rate.estimate, biased.yes_rate.estimate) == (0, 1)
    assert start.accuracy.estimate == biased.accuracy.estimate == 0.5
    assert start.pair_accuracy.estimate == biased.pair_accuracy.estimate == 0
    assert start.discrimination.estimate == pytest.approx(biased.discrimination.estimate)
    assert start.ordered.estimate == biased.ordered.estimate == 1
    moved = shift((vulnerable, patched), (vulnerable + 6, patched + 6))
    assert moved.answer.estimate == pytest.approx(6)
    assert (moved.yes_rate, moved.pair_accuracy) == (1, 0)
    assert str(moved) == (
        "moves the answer by +6.00 nats, the yes-rate by +100%, pair accuracy by +0% and discrimination by +0.00 nats, "
        "which cannot be told from none"
    )
    sharper = shift((vulnerable, patched), (vulnerable + 1.0, patched - 1.0))
    assert sharper.pair_accuracy > 0
    assert sharper.discrimination.estimate == pytest.approx(2)


def test_chance_is_what_a_coin_could_have_had() -> None:
    """Of 24 pairs 8 right is a coin's, 14 is not; of three pairs, not even all three tell."""

    def right_in(count: int, of: int, *, ranked: bool) -> tuple[bool, bool]:
        vulnerable = np.array([1.0] * count + [-1.0] * (of - count))
        found = behaviour((vulnerable, np.full(of, -2.0 if ranked else -1.0)))
        return found.at_chance, found.ranks

    assert right_in(8, 24, ranked=False) == (True, False)
    assert right_in(14, 24, ranked=False)[0] is False
    assert right_in(0, 24, ranked=True) == (True, True)
    assert right_in(2, 2, ranked=False) == (True, False)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mean_interval([]), "there are no values"),
        (lambda: mean_interval([1.0, math.nan]), "the value at 1 is nan"),
        (lambda: sign_flip([1.0, 2.0], ["a"]), "2 values and 1 scenarios"),
        (lambda: share_interval([0.5, 2.0]), "a share lies between 0 and 1; got 0.5 to 2"),
        (lambda: control(math.inf, [1.0]), "must be finite"),
    ],
)
def test_what_cannot_be_meant_is_said(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
