"""--steering-strict: a run fails where its verdict is silent."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import FEW, MODEL, TIMID, Desk

STRICT = "--steering-strict"
WHO = "my_models:a with Timid:"
PART = ("--steering-profile=core", "-k", "not layers_found")


def said(desk: Desk, *args: str) -> tuple[int, list[str]]:
    """The exit status, and what stands below the verdicts."""
    result = desk.run(MODEL, TIMID, *args)
    return int(result.ret), [line for line in result.outlines if line.startswith((WHO, STRICT))]


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
def test_what_did_not_run_fails(desk: Desk, workers: tuple[str, ...]) -> None:
    status, lines = said(desk, *PART, STRICT, *workers)
    assert status == 1
    assert lines[1].endswith("requirements did not run: layers-found")
    assert said(desk, *PART)[0] == 0, "without it this is a part, and a part that passes"


def test_a_whole_run_passes_where_all_that_is_declared_was_judged(desk: Desk) -> None:
    assert said(desk, "--steering-profile=core", STRICT)[0] == 0


SKIPPING = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if "exact_delta" in item.name:
            item.add_marker({marker})
"""


@pytest.mark.parametrize("marker", ["pytest.mark.skip", "pytest.mark.xfail"])
def test_what_a_project_marks_fails(desk: Desk, marker: str) -> None:
    desk.write(conftest=SKIPPING.format(marker=marker))
    status, lines = said(desk, "--steering-profile=core", STRICT)
    if marker.endswith("xfail"):
        # What passes all the same is no failure, and the verdict counts it.
        assert (status, lines[1:]) == (0, [])
    else:
        assert (status, lines[1:]) == (1, [f"{WHO} skipped or expected to fail from outside the suite: exact-delta"])


def test_what_a_project_drops_fails(desk: Desk) -> None:
    desk.write(conftest="def pytest_collection_modifyitems(items): items[:] = items[:40]")
    status, lines = said(desk, "--steering-profile=core", STRICT)
    assert status == 1
    assert " requirements did not run: " in lines[1]


def test_a_promise_that_nothing_was_judged_of_is_told(desk: Desk) -> None:
    # The model has no cache that a caller could go on from; it is judged in batches.
    result = desk.run("--steering-model=tiny:mamba", "-k", "caller_cache or every_row", STRICT)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["tiny:mamba with hooks: declared, and nothing of it could be judged: caller_cache"])


def test_a_run_of_nothing_fails(desk: Desk) -> None:
    desk.ini("steering_models = my_models:a", "testpaths = .")
    desk.write(test_mine="def test_mine(): pass")
    result = desk.run("test_mine.py", STRICT)
    assert result.ret == 1
    assert f"{STRICT}: no requirement was judged in this run" in result.outlines


def test_a_selection_of_few_is_none(desk: Desk) -> None:
    status, lines = said(desk, *FEW, STRICT)
    assert status == 1
    assert len(lines) == 2
