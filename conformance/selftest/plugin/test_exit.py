"""Exit statuses are pytest's own: 0 conforms, 1 fails, 4 cannot be meant, 5 nothing ran."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import BAD, FEW, FOUND, MODEL, RIGHT, TIMID, Desk, refused


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ((MODEL, RIGHT, *FEW), 0),
        ((MODEL, TIMID, *FEW), 0),
        ((MODEL, BAD, *FEW), 1),
        ((MODEL, "--steering-adapter=my_steering:Raising", *FEW), 1),
        ((MODEL, "--steering-adapter=my_steering:Broken", *FEW), 1),
        ((MODEL, "--steering-model=my_models:broken", RIGHT, *FEW), 1),
        (("--steering-model=lama!",), 4),
        ((MODEL, "-k", "no_such_test"), 5),
        ((MODEL, TIMID, "-k", "test_beams"), 5),
        ((MODEL, TIMID, "-k", "test_beams or every_row"), 5),
        ((FOUND.partition("[")[0],), 1),
        ((MODEL, "-k", "no_such_test", "-n1"), 5),
        ((MODEL, TIMID, "-k", "every_row", "-n1"), 5),
        ((MODEL, RIGHT, *FEW, "--setup-only"), 5),
        ((MODEL, RIGHT, *FEW, "--setup-plan"), 5),
    ],
    ids=lambda value: " ".join(value).replace("--steering-", "") if isinstance(value, tuple) else "",
)
def test_status(desk: Desk, args: tuple[str, ...], status: int) -> None:
    assert desk.run(*args).ret == status


@pytest.mark.parametrize(
    "inherited",
    ["--collect-only", "--co", "--fixtures", "--fixtures-per-test", "--cache-show", "--markers", "--version"],
)
def test_an_option_that_runs_nothing_is_typed_or_refused(desk: Desk, inherited: str) -> None:
    desk.ini(f"addopts = {inherited}")
    result = desk.run(MODEL, RIGHT, *FEW)
    assert (result.ret, desk.loaded()) == (4, [])
    assert "with which pytest runs no test and judges nothing: take it out" in result.stderr.str()
    desk.ini("")
    assert desk.run(MODEL, RIGHT, *FEW, inherited).ret == 0


@pytest.mark.parametrize("wanted", ["--steering-report=x.json", "--steering-strict", "--steering-bundle=out"])
def test_what_judges_nothing_has_nothing_to_tell(desk: Desk, wanted: str) -> None:
    refused(desk, MODEL, wanted, "--co", sentence=f"--collect-only judges nothing that {wanted.partition('=')[0]} *")
    desk.ini(f"addopts = {wanted}")  # as an editor lists the tests of a project
    assert desk.run(MODEL, "--co").ret == 0


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
def test_a_report_that_cannot_be_written_at_the_end_is_a_failure(desk: Desk, workers: tuple[str, ...]) -> None:
    reports = desk.path / "reports"
    reports.mkdir()
    desk.plugin("def pytest_runtest_teardown(self): __import__('shutil').rmtree('reports', ignore_errors=True)")
    result = desk.run(MODEL, RIGHT, *FEW, *workers, "--steering-report=reports/x.json")
    assert result.ret == 1
    assert "--steering-report=reports/x.json cannot be written: No such file or directory" in result.outlines


def test_a_report_of_nothing_is_a_failure(desk: Desk) -> None:
    desk.ini("steering_models = my_models:a", "testpaths = .")
    desk.write(test_mine="def test_mine(): pass")
    result = desk.run("test_mine.py", "--steering-report=x.json")
    assert result.ret == 1
    assert "--steering-report tells of nothing: no requirement was judged in this run" in result.outlines


def test_a_suite_without_a_model_says_what_to_type(desk: Desk) -> None:
    result = desk.run("conformance/test_architecture.py::test_layers_found")
    result.stdout.fnmatch_lines(["*no model to run on: type --steering-model=SPEC*"])


def test_skipped_tests_of_the_user_do_not_change_the_status(desk: Desk) -> None:
    desk.write(test_mine="import pytest\ndef test_mine(steering_model): pytest.skip('today')")
    result = desk.run(MODEL, "test_mine.py")
    assert (result.ret, result.parseoutcomes()) == (0, {"skipped": 1})


def test_a_test_of_the_user_makes_a_run_of_nothing_applicable_one_of_something(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(): pass")
    assert desk.run(MODEL, TIMID, "test_mine.py", "conformance/test_positions.py::test_every_row").ret == 0
