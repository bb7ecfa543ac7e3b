"""Known failures are expected, and strict: one that fails no more is reported."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import Desk, no_xdist_and_two_workers

MODEL = "--steering-model=tiny:a"
BAD = "--steering-adapter=bad"
STALE = "exact-delta is a known failure and fails no more: remove it from steering_known_failures"


@no_xdist_and_two_workers
def test_a_known_failure_is_no_failure(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.ini("steering_known_failures =", "  exact-delta: a bug of ours: 17", "  same-twice: another")
    result = desk.run(MODEL, BAD, *workers, "-rx", "--steering-report=report.json")
    result.assert_outcomes(passed=3, xfailed=3)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "tiny:a with bad: conforms to 1.0 (3 passed, 2 known: exact-delta, same-twice)",
            "XFAIL conformance/test_alpha.py::test_exact_delta[[]tiny:a-0[]] - a bug of ours: 17",
        ]
    )
    known = [entry for entry in desk.report()["models"][0]["requirements"] if entry["outcome"] == "known"]
    assert {entry["reason"] for entry in known} == {"a bug of ours: 17", "another"}


def test_another_failure_still_fails(desk: Desk) -> None:
    desk.ini("steering_known_failures = exact-delta: a bug")
    result = desk.run(MODEL, BAD)
    result.assert_outcomes(passed=3, xfailed=2, failed=1)
    assert result.ret == 1


@no_xdist_and_two_workers
def test_one_that_fails_no_more_fails_the_run(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.ini("steering_known_failures = exact-delta: a bug")
    result = desk.run(MODEL, *workers)
    result.assert_outcomes(passed=6)
    assert result.ret == 1
    assert result.outlines.count(STALE) == 1


@pytest.mark.parametrize(
    "selection",
    [
        ("-k", "test_exact_delta and 2"),
        ("--deselect", "conformance/test_alpha.py::test_exact_delta[tiny:a-2]"),
        ("conformance/test_alpha.py::test_exact_delta[tiny:a-2]",),
        ("conformance/test_beta_two.py",),
        ("-m", "steering_requirement(id='beams')"),
        ("--co",),
        ("-n2", "-k", "test_exact_delta and 2"),
    ],
    ids=lambda words: words[0][:12],
)
@no_xdist_and_two_workers
def test_what_did_not_run_whole_is_not_judged(desk: Desk, workers: tuple[str, ...], selection: tuple[str, ...]) -> None:
    desk.ini("steering_known_failures = exact-delta: a bug")
    result = desk.run(MODEL, *selection)
    assert result.ret == 0
    assert STALE not in result.outlines


def test_a_whole_requirement_is_judged_alone(desk: Desk) -> None:
    desk.ini("steering_known_failures = exact-delta: a bug")
    result = desk.run(MODEL, "-m", "steering_requirement(id='exact-delta')")
    assert (result.ret, result.outlines.count(STALE)) == (1, 1)


def test_a_requirement_that_fails_somewhere_is_known_everywhere(desk: Desk) -> None:
    desk.ini("steering_known_failures =", "  exact-delta: a bug", "  same-twice: a bug")
    assert desk.run(MODEL, BAD, "--steering-adapter=hooks").ret == 0


def test_lf_does_not_judge(desk: Desk) -> None:
    desk.ini("steering_known_failures = exact-delta: a bug")
    desk.run(MODEL, BAD)
    result = desk.run(MODEL, "--lf")
    assert STALE not in result.outlines


def test_a_run_that_was_cut_short_is_not_judged(desk: Desk) -> None:
    desk.ini("steering_known_failures = exact-delta: a bug")
    desk.write(
        stop="""
        def pytest_runtest_teardown(item):
            item.session.shouldstop = "exact_delta" in item.nodeid and "enough"
        """
    )
    result = desk.run(MODEL, "-p", "stop")
    assert result.parseoutcomes() == {"passed": 2}
    assert (result.ret, STALE in result.outlines) == (2, False)


def test_a_requirement_that_is_not_applicable_is_not_stale(desk: Desk) -> None:
    desk.ini("steering_known_failures = beams: a bug")
    result = desk.run(MODEL, "--steering-adapter=timid")
    assert (result.ret, "fails no more" in result.stdout.str()) == (0, False)


@pytest.mark.parametrize("args", [("--steering-model=tiny:broken",), (MODEL, "--steering-adapter=broken")])
def test_a_model_or_adapter_that_is_not_there_is_never_known(desk: Desk, args: tuple[str, ...]) -> None:
    desk.ini("steering_known_failures =", "  exact-delta: a bug", "  layers-found: a bug")
    result = desk.run(*args)
    assert result.ret == 1
    assert "xfailed" not in result.parseoutcomes()
