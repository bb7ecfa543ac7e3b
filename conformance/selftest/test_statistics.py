from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats import contingency_tables

from pytest_steering.evaluation.statistics import (
    behaviour,
    holm,
    matched_odds_ratio,
    mcnemar,
    mcnemar_power,
    mcnemar_sample_size,
    mean_interval,
    minimum_clusters,
    minimum_directions,
    minimum_discordant,
    proportion_interval,
    random_control,
    shift,
    sign_flip,
    slopes,
    standardised_mean_difference,
)


def outcomes(gained: int, lost: int, same: int = 0) -> tuple[list[bool], list[bool]]:
    before = [False] * gained + [True] * lost + [True] * same
    after = [True] * gained + [False] * lost + [True] * same
    return before, after


@pytest.mark.parametrize(("gained", "lost", "p"), [(6, 0, 0.03125), (9, 0, 0.00390625), (8, 2, 0.109375)])
def test_mcnemar_is_exact(gained: int, lost: int, p: float) -> None:
    found = mcnemar(*outcomes(gained, lost, same=20))
    table = [[20, lost], [gained, 0]]
    assert found.p == pytest.approx(p) == contingency_tables.mcnemar(table, exact=True).pvalue
    assert (found.cases, found.gained, found.lost) == (20 + gained + lost, gained, lost)


def test_mcnemar_says_underpowered_where_nothing_could_be_significant() -> None:
    few, family = mcnemar(*outcomes(5, 0)), mcnemar(*outcomes(8, 0), family=8)
    assert (few.p, few.needed, few.underpowered) == (None, 6, True)
    assert (family.p, family.needed) == (None, 9)
    assert mcnemar(*outcomes(9, 0), family=8).p == pytest.approx(0.00390625)
    assert str(few) == "5 of 5 cases gained and 0 lost: underpowered, 6 changed cases are needed for p ≤ 0.05"


def test_mcnemar_refuses_to_count_a_cluster_twice() -> None:
    before, after = outcomes(7, 0)
    with pytest.raises(ValueError, match=r"the 7 cases come from 3 clusters.*use sign_flip"):
        mcnemar(before, after, ["a", "a", "a", "b", "b", "c", "c"])
    assert mcnemar(before, after, list("abcdefg")).p == pytest.approx(2 / 2**7)


def test_a_bias_gains_as_much_as_it_loses() -> None:
    """A model that says yes to everything is right in half of the files, whichever half it was right in before."""
    found = mcnemar(*outcomes(24, 24))
    assert found.p == 1
    assert found.cohens_g == 0
    assert found.odds_ratio == 1


def test_effect_sizes() -> None:
    assert mcnemar(*outcomes(9, 3)).cohens_g == pytest.approx(0.25)
    assert matched_odds_ratio(9, 3) == 3
    assert matched_odds_ratio(2, 0) == math.inf
    assert matched_odds_ratio(0, 0) is None
    assert standardised_mean_difference([1.0, 2.0, 3.0]) == pytest.approx(2.0)
    assert standardised_mean_difference([0.1 + 0.2, 0.3, 0.3]) is None


def test_three_clusters_can_never_be_significant() -> None:
    """The smallest two-sided p of three clusters is 0.25, so no p is printed below six."""
    assert 2 / 2**3 == 0.25
    assert sign_flip([1.0, 2.0, 3.0]).p is None
    assert sign_flip([1.0, 2.0, 3.0], alpha=0.25).p == pytest.approx(0.25)
    assert (minimum_clusters(), minimum_clusters(family=8), minimum_clusters(0.25)) == (6, 9, 3)
    assert sign_flip([1.0] * 6).p == pytest.approx(0.03125)


def test_sign_flip_turns_whole_clusters() -> None:
    """Copies of a case add nothing: forty copies of six scenarios are six clusters, and one cluster says nothing."""
    differences = [0.5, 1.0, 0.7, 0.2, 0.9, -0.1]
    copied = [difference for difference in differences for _ in range(40)]
    names = [name for name in "abcdef" for _ in range(40)]
    once, many, as_if = sign_flip(differences), sign_flip(copied, names), sign_flip(copied)
    assert many.p == once.p == pytest.approx(4 / 64)
    assert many.exact
    assert as_if.p is not None
    assert as_if.p < 0.001
    assert sign_flip(copied, ["one"] * 240).p is None


def test_sign_flip_holds_its_level_on_clustered_noise() -> None:
    """Of 400 null data sets with strong cluster effects about 5% are called significant, not 40%."""
    random = np.random.default_rng(0)
    names = np.repeat(np.arange(12), 5).tolist()
    noise = np.repeat(random.normal(size=(400, 12)), 5, axis=1) + 0.1 * random.normal(size=(400, 60))
    found = [sign_flip(row, names, resamples=499).p for row in noise]
    rate = np.mean([p is not None and p <= 0.05 for p in found])
    assert 0.02 <= rate <= 0.085


def test_drawn_sign_flips_repeat_with_their_seed() -> None:
    data = np.random.default_rng(1).normal(0.3, 1, 40)
    first, second = sign_flip(data, seed=3), sign_flip(data, seed=3)
    assert first == second
    assert not first.exact
    assert first.patterns == 9999


def test_interval_over_clusters_covers() -> None:
    """Intervals over 25 clusters of 4 hold the true mean in about 95% of 200 data sets; single values do not."""
    random = np.random.default_rng(2)
    names = np.repeat(np.arange(25), 4).tolist()
    data = 1 + np.repeat(random.normal(size=(200, 25)), 4, axis=1) + 0.1 * random.normal(size=(200, 100))

    def coverage(clusters: list[int] | None) -> float:
        ends = [mean_interval(row, clusters, resamples=999) for row in data]
        return float(
            np.mean([end.low <= 1 <= end.high for end in ends if end.low is not None and end.high is not None])
        )

    assert 0.89 <= coverage(names) <= 0.98
    assert coverage(None) < 0.75


def test_interval_of_unequal_clusters_is_of_the_mean_of_all_values() -> None:
    found = mean_interval([1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"])
    assert found.estimate == 2.0
    assert found.clusters == 2


def test_degenerate_intervals_say_so() -> None:
    one, same = mean_interval([1.0, 2.0], ["a", "a"]), mean_interval([2.0, 2.0, 2.0])
    assert (one.low, one.high, one.method) == (None, None, "none")
    assert str(one) == "+1.5 without an interval (1 cluster: one cluster has no spread)"
    assert (same.low, same.high, same.method) == (2.0, 2.0, "point")
    assert "not a proof of certainty" in str(same)
    assert "few clusters" in str(mean_interval([1.0, 2.0, 4.0]))


def test_wilson_interval() -> None:
    found = proportion_interval(24, 48)
    assert found.low == pytest.approx(0.3639, abs=1e-4)
    assert found.high == pytest.approx(0.6361, abs=1e-4)
    assert proportion_interval(0, 10).high == pytest.approx(0.2775, abs=1e-4)


def test_least_data() -> None:
    assert [minimum_discordant(), minimum_discordant(family=8)] == [6, 9]
    assert [minimum_directions(), minimum_directions(0.01)] == [19, 99]


@pytest.mark.parametrize(
    ("gained", "lost", "sizes"), [(0.3, 0.05, (45, 70, 83)), (0.4, 0.05, (29, 45, 53)), (0.2, 0.05, (92, 142, 169))]
)
def test_cases_for_eighty_percent_power(gained: float, lost: float, sizes: tuple[int, ...]) -> None:
    for family, size in zip((1, 8, 24), sizes, strict=True):
        assert mcnemar_sample_size(gained, lost, alpha=0.05 / family) == size


def test_power_of_all_hand_crafted_files() -> None:
    assert mcnemar_power(48, 0.3, 0.05) == pytest.approx(0.84, abs=0.005)
    assert mcnemar_power(48, 0.3, 0.05, alpha=0.05 / 8) == pytest.approx(0.52, abs=0.005)
    assert mcnemar_power(5, 0.9, 0.0) == 0


def test_power_is_what_a_simulation_finds() -> None:
    random = np.random.default_rng(0)
    counts = random.multinomial(60, [0.25, 0.05, 0.7], size=2000)
    tests = {(b, c): mcnemar(*outcomes(b, c, 60 - b - c)).p for b, c in {(int(b), int(c)) for b, c, _ in counts}}
    found = np.mean([(p := tests[int(b), int(c)]) is not None and p <= 0.05 for b, c, _ in counts])
    assert mcnemar_power(60, 0.25, 0.05) == pytest.approx(found, abs=0.03)


def test_holm_counts_underpowered_tests() -> None:
    found = holm({"CWE-22": 0.01, "CWE-79": None, "CWE-89": 0.02})
    assert found["CWE-22"].corrected == pytest.approx(0.03)
    assert found["CWE-89"].corrected == pytest.approx(0.04)
    assert found["CWE-79"].corrected is None
    assert not found["CWE-79"].significant
    assert str(found["CWE-79"]) == "CWE-79: underpowered"
    assert [found[name].significant for name in ("CWE-22", "CWE-89")] == [True, True]
    assert not holm({f"test {n}": 0.01 for n in range(8)})["test 0"].significant
    assert holm({}) == {}


def test_slopes_and_the_share_that_steers_backwards() -> None:
    doses = [0.0, 0.1, 0.25]
    answers = [[1 + 4 * dose for dose in doses], [2 - 2 * dose for dose in doses], [6 * dose for dose in doses]]
    found = slopes(doses, answers)
    assert found.values == pytest.approx((4.0, -2.0, 6.0))
    assert found.mean.estimate == pytest.approx(8 / 3)
    assert found.backwards.estimate == pytest.approx(1 / 3)


def test_trend_is_over_clusters_and_falls_where_the_answer_rises() -> None:
    doses = [0.25, 0.0, 0.1]
    rising = [[2 + i, 0.0 + i, 1 + i] for i in range(6)]
    assert (up := slopes(doses, rising).trend) is not None
    assert up < 0.01
    assert (down := slopes(doses, [[-value for value in row] for row in rising]).trend) is not None
    assert down > 0.9
    assert slopes(doses, rising, ["a"] * 3 + ["b"] * 3).trend is None


def test_random_control_ranks_by_size() -> None:
    effects = np.linspace(-0.7, 0.6, 19)
    beaten = random_control(-4.4, effects)
    assert beaten.p == pytest.approx(0.05)
    assert beaten.beaten
    assert str(beaten).endswith("rank p = 0.05, the least that so many can give")
    within = random_control(0.65, effects)
    assert within.p == pytest.approx(2 / 20)
    assert not within.beaten
    assert str(within).endswith("rank p = 0.1")
    assert random_control(0.6, [0.6] * 19).p == 1
    few = random_control(4.4, effects[:18])
    assert (few.p, few.needed, few.beaten) == (None, 19, False)
    assert (
        "18 random directions of equal norm (standard deviation 0.39, largest 0.7): underpowered, 19 are needed"
        in str(few)
    )


def test_a_bias_moves_the_yes_rate_and_nothing_else() -> None:
    """Eight pairs that a model tells apart around -1; a bias of +1 nat gives it pair accuracy, +6 only yeses."""
    vulnerable, patched = np.linspace(-0.9, -0.2, 8), np.linspace(-1.9, -1.1, 8)
    start, biased = behaviour(vulnerable, patched), behaviour(vulnerable + 6, patched + 6)
    assert (start.yes_rate.estimate, biased.yes_rate.estimate) == (0, 1)
    assert start.accuracy.estimate == biased.accuracy.estimate == 0.5
    assert start.pair_accuracy.estimate == biased.pair_accuracy.estimate == 0
    assert start.discrimination.estimate == pytest.approx(biased.discrimination.estimate)
    assert start.ordered.estimate == biased.ordered.estimate == 1
    moved = shift((vulnerable, patched), (vulnerable + 6, patched + 6))
    assert moved.answer.estimate == pytest.approx(6)
    assert moved.yes_rate.estimate == 1
    assert not moved.discrimination.excludes_zero or abs(moved.discrimination.estimate) < 1e-12
    assert str(moved).endswith("no change of pair accuracy or discrimination can be told from none")
    sharper = shift((vulnerable, patched), (vulnerable + 1.0, patched - 1.0))
    assert sharper.pair_accuracy.estimate > 0
    assert sharper.discrimination.estimate == pytest.approx(2)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mean_interval([]), "values: there are none"),
        (lambda: mean_interval([1.0, math.nan]), "values: the value at 1 is nan"),
        (lambda: sign_flip([1.0, 2.0], ["a"]), "2 values and 1 cluster names"),
        (lambda: mcnemar([True], []), "1 cases before and 0 after"),
        (lambda: proportion_interval(5, 4), "5 of 4 is no share"),
        (lambda: holm({"x": 1.5}), "x: 1.5 is no p-value"),
        (lambda: slopes([0.1, 0.1], [[1.0, 2.0]]), "at least two different doses"),
        (lambda: slopes([0.1, 0.2], [[1.0, 2.0, 3.0]]), "2 doses per row"),
        (lambda: random_control(math.inf, [1.0]), "must be finite"),
        (lambda: mcnemar_sample_size(0.2, 0.2), "as many cases are gained as lost"),
        (lambda: minimum_discordant(0), "alpha must lie between 0 and 1"),
        (lambda: behaviour([1.0], [1.0, 2.0]), "give one of each per pair"),
    ],
)
def test_what_cannot_be_meant_is_said(call: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()  # type: ignore[operator]
