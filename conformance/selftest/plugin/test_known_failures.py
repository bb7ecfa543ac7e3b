"""Known failures are expected, and strict: one that fails no more is reported."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import BAD, EXACT, FEW, MODEL, RIGHT, TIMID, Desk

STALE = "exact-delta is a known failure and fails no more: remove it from steering_known_failures"
A_BUG = "steering_known_failures = exact-delta: a bug"


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "1")], ids=["no xdist", "-n1"])
def test_a_known_failure_is_no_failure(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.ini("steering_known_failures =", "  exact-delta: a bug of ours: 17", "  every-row: another")
    result = desk.run(MODEL, BAD, *FEW, *workers, "-rx", "--steering-report=report.json")
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["xfailed"]) == (2, 9)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            f"XFAIL {EXACT[0].replace('[', '[[]')} - a bug of ours: 17",
            "my_models:a with FirstRowOnly: conforms to 1.1 * (2 passed, 2 known: exact-delta, every-row)",
        ]
    )
    known = [entry for entry in desk.report()["models"][0]["requirements"] if entry["outcome"] == "known"]
    assert [entry["reason"] for entry in known] == ["a bug of ours: 17"] * 6 + ["another"] * 3


def test_another_failure_still_fails(desk: Desk) -> None:
    desk.ini(A_BUG)
    result = desk.run(MODEL, BAD, *FEW)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["xfailed"], outcomes["failed"]) == (2, 6, 3)
    assert result.ret == 1


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "2")], ids=["no xdist", "-n2"])
def test_one_that_fails_no_more_fails_the_run(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.ini(A_BUG)
    result = desk.run(MODEL, RIGHT, *workers, "conformance/test_divergence.py::test_exact_delta")
    assert result.parseoutcomes() == {"passed": 6}
    assert result.ret == 1
    assert result.outlines.count(STALE) == 1


@pytest.mark.parametrize(
    "selection",
    [
        ("-k", "test_exact_delta and first"),
        ("--deselect", EXACT[2], "-k", "test_exact_delta"),
        (EXACT[2],),
        ("conformance/test_positions.py::test_every_row",),
        ("-m", "steering_requirement(id='every-row')"),
        ("-n1", "-k", "test_exact_delta and first"),
    ],
    ids=lambda words: words[0][:12],
)
def test_what_did_not_run_whole_is_not_judged(desk: Desk, selection: tuple[str, ...]) -> None:
    desk.ini(A_BUG)
    result = desk.run(MODEL, RIGHT, *selection)
    assert result.parseoutcomes()["passed"] > 0
    assert result.ret == 0
    assert STALE not in result.outlines


def test_what_was_only_collected_is_not_judged(desk: Desk) -> None:
    desk.ini(A_BUG)
    result = desk.run(MODEL, "--co")
    assert (result.ret, STALE in result.outlines) == (0, False)


def test_a_whole_requirement_is_judged_alone(desk: Desk) -> None:
    desk.ini(A_BUG)
    result = desk.run(MODEL, RIGHT, "-m", "steering_requirement(id='exact-delta')")
    assert (result.ret, result.outlines.count(STALE)) == (1, 1)


def test_a_requirement_that_fails_somewhere_is_known_everywhere(desk: Desk) -> None:
    desk.ini("steering_known_failures =", "  exact-delta: a bug", "  every-row: a bug")
    result = desk.run(MODEL, BAD, RIGHT, *FEW)
    assert (result.ret, result.parseoutcomes()["xfailed"]) == (0, 9)


def test_lf_does_not_judge(desk: Desk) -> None:
    desk.ini(A_BUG)
    assert desk.run(MODEL, BAD, "-k", "exact_delta or every_row").parseoutcomes()["failed"] == 3
    result = desk.run(MODEL, RIGHT, "--lf", "-k", "exact_delta")
    assert result.parseoutcomes()["passed"] == 6
    assert (result.ret, STALE in result.outlines) == (0, False)


def test_a_run_that_was_cut_short_is_not_judged(desk: Desk) -> None:
    desk.ini(A_BUG)
    desk.plugin("def pytest_runtest_teardown(self, item): item.session.shouldstop = 'exact_delta' in item.nodeid")
    result = desk.run(MODEL, RIGHT, *FEW)
    assert result.parseoutcomes()["passed"] == 2
    assert (result.ret, STALE in result.outlines) == (2, False)


def test_a_requirement_that_is_not_applicable_is_not_stale(desk: Desk) -> None:
    desk.ini("steering_known_failures = every-row: a bug")
    result = desk.run(MODEL, TIMID, *FEW)
    assert result.parseoutcomes()["skipped"] == 3
    assert (result.ret, "fails no more" in result.stdout.str()) == (0, False)


@pytest.mark.parametrize(
    "args", [("--steering-model=my_models:broken", RIGHT), (MODEL, "--steering-adapter=my_steering:Broken")]
)
def test_a_model_or_adapter_that_is_not_there_is_never_known(desk: Desk, args: tuple[str, ...]) -> None:
    desk.ini("steering_known_failures =", "  exact-delta: a bug", "  layers-found: a bug")
    result = desk.run(*args, *FEW)
    assert result.ret == 1
    outcomes = result.parseoutcomes()
    assert (outcomes["errors"], outcomes["skipped"] >= 8) == (1, True)
    assert "xfailed" not in result.parseoutcomes()
