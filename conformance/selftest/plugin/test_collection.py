"""Where the bundled suite is found, and what it is called there; the same tests hold from a wheel (``test_wheel``)."""

from __future__ import annotations

import itertools

import pytest

from conformance.selftest.desk import BAD, EXACT, FEW, MODEL, OF_FEW, RIGHT, ROWS, TWICE, Desk, functions, ids
from conformance.selftest.places import ROOT
from pytest_steering.suite.catalogue import Asked, suite_directory

EVERY = sorted(requirement.nodeid for requirement in Asked().requirements.values())
IN_CHECKOUT = suite_directory().parent == ROOT
SELFTESTS = [
    "--ignore-glob=*/selftest/test_*.py",
    *(f"--ignore-glob=*/selftest/{name}" for name in ["[!s]*", "s[!t]*"]),
]


@pytest.mark.parametrize(
    "ini",
    [
        ("python_files = check_*.py", "python_functions = check_*", "python_classes = Check"),
        ("testpaths = tests",),
        ("addopts = --import-mode=importlib",),
        ("addopts = --import-mode=append --doctest-modules",),
        ("norecursedirs = conformance pytest_steering site-packages .*",),
        ("addopts = --strict-markers --strict-config -p no:cacheprovider -p no:xdist",),
        pytest.param(
            ("addopts = --ignore-glob=*conformance*",),
            marks=pytest.mark.skipif(IN_CHECKOUT, reason="in a checkout, to ignore the suite is to ignore the suite"),
        ),
    ],
    ids=lambda lines: lines[0].partition(" ")[0] + lines[0][-12:],
)
def test_no_setting_of_the_user_hides_the_suite(desk: Desk, ini: tuple[str, ...]) -> None:
    desk.ini(*ini)
    (desk.path / "tests").mkdir()
    (desk.path / "tests" / "test_mine.py").write_text("def test_mine(): pass")
    result = desk.run(MODEL, "--co", "-q")
    assert functions(ids(result)) == EVERY
    assert [nodeid for nodeid in ids(result) if nodeid in OF_FEW] == OF_FEW
    assert result.ret == 0


def test_the_suite_runs_without_a_path(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(): assert 0")
    result = desk.run(MODEL, RIGHT, *FEW)
    assert result.parseoutcomes()["passed"] == len(OF_FEW)
    assert result.ret == 0


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["conformance", *FEW], OF_FEW),
        (["conformance/test_divergence.py", *FEW], EXACT),
        (["conformance/test_divergence.py::test_exact_delta"], EXACT),
        ([EXACT[2]], EXACT[2:3]),
    ],
    ids=["suite", "file", "function", "test"],
)
def test_an_id_can_be_typed_anywhere(desk: Desk, typed: list[str], expected: list[str]) -> None:
    result = desk.run(MODEL, RIGHT, "-v", *typed)
    assert result.parseoutcomes()["passed"] == len(expected)
    assert [line.partition(" PASSED")[0] for line in result.outlines if " PASSED" in line] == expected


def test_an_id_can_be_typed_for_a_worker(desk: Desk) -> None:
    assert desk.run(MODEL, RIGHT, EXACT[2], "-n", "1").parseoutcomes() == {"passed": 1}


def test_a_path_of_the_user_comes_first(desk: Desk) -> None:
    (desk.path / "conformance").mkdir()
    (desk.path / "conformance" / "test_divergence.py").write_text("def test_mine(): pass")
    assert ids(desk.run("--co", "-q", "conformance/test_divergence.py")) == [
        "conformance/test_divergence.py::test_mine"
    ]


def test_a_path_that_is_nowhere_is_refused_as_ever(desk: Desk) -> None:
    result = desk.run(MODEL, "conformance/test_gamma.py")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*file or directory not found: conformance/test_gamma.py*"])


def test_paths_of_the_user_and_of_the_suite_go_together(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(steering_model): pass")
    result = desk.run(MODEL, "--co", "-q", "test_mine.py", "conformance/test_reproducibility.py")
    found = ids(result)
    assert {"test_mine.py::test_mine[my_models:a]", TWICE} <= set(found)
    assert {nodeid.partition("::")[0] for nodeid in found} == {"test_mine.py", "conformance/test_reproducibility.py"}


@pytest.mark.parametrize("options", [("--rootdir=..",), ("-c", "../other.ini"), ("--rootdir=elsewhere",)])
def test_the_root_may_be_elsewhere(desk: Desk, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    inside = desk.path / "inside"
    (inside / "elsewhere").mkdir(parents=True)
    (desk.path / "other.ini").write_text("[pytest]\n")
    monkeypatch.syspath_prepend(desk.path)
    assert functions(ids(desk.run(MODEL, "--co", "-q", *options, at=inside))) == EVERY
    assert desk.run(MODEL, RIGHT, *options, EXACT[0], at=inside).parseoutcomes() == {"passed": 1}


def test_a_package_of_the_user_may_have_the_suites_name(desk: Desk) -> None:
    package = desk.path / "conformance"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "test_mine.py").write_text("def test_mine(): assert 0")
    assert functions(ids(desk.run(MODEL, "--co", "-q"))) == EVERY
    assert desk.run(MODEL, RIGHT, *FEW).parseoutcomes()["passed"] == len(OF_FEW)


def test_lf_runs_what_failed(desk: Desk) -> None:
    failing = (MODEL, BAD)
    outcomes = desk.run(*failing, *FEW).parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"]) == (2, 9)
    assert ids(desk.run(*failing, "--lf", "--co", "-q")) == [*EXACT, *ROWS]
    again = desk.run(*failing, "--lf").parseoutcomes()
    assert again.keys() == {"failed", "deselected"}
    assert again["failed"] == 9


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (("-k", "exact_delta and first"), EXACT[:2]),
        (("-m", "steering_requirement(id='exact-delta')"), EXACT),
        (("--deselect", EXACT[0], "-k", "exact"), EXACT[1:]),
    ],
    ids=["-k", "-m", "--deselect"],
)
def test_selections_select(desk: Desk, selection: tuple[str, ...], expected: list[str]) -> None:
    outcomes = desk.run(MODEL, RIGHT, "-v", *selection)
    assert [line.partition(" PASSED")[0] for line in outcomes.outlines if " PASSED" in line] == expected
    found = outcomes.parseoutcomes()
    collected = desk.run(MODEL, "--co", "-q")
    engines = collected.parseoutcomes().get("deselected", 0)  # those of engines, where none is named
    assert found["passed"] + found["deselected"] == len(ids(collected)) + engines


def test_tests_are_grouped_by_model_and_adapter(desk: Desk) -> None:
    models = (MODEL, "--steering-model=my_models:b")
    listed = ids(desk.run(*models, RIGHT, BAD, "--co", "-q", "-k", "exact_delta or layers_found"))
    subjects = [nodeid.partition("[")[2].rstrip("]") for nodeid in listed]
    named = [subject.partition("-first")[0].partition("-middle")[0].partition("-last")[0] for subject in subjects]
    assert [subject for subject, _ in itertools.groupby(named)] == [
        "my_models:a",
        "my_models:a-my_steering:Right",
        "my_models:a-my_steering:FirstRowOnly",
        "my_models:b",
        "my_models:b-my_steering:Right",
        "my_models:b-my_steering:FirstRowOnly",
    ]
    assert len(listed) == 2 * (1 + 2 * len(EXACT))


@pytest.mark.skipif(not IN_CHECKOUT, reason="the suite of a wheel lies in no checkout")
@pytest.mark.parametrize(
    ("args", "suite", "selftest"),
    [
        (["--steering-model=tiny:llama"], True, False),
        (["--steering-model=tiny:llama", "conformance"], True, False),
        (["--steering-model=tiny:llama", "conformance/selftest"], False, True),
        ([], True, True),
    ],
    ids=["typed model", "typed suite", "typed selftest", "plain pytest"],
)
def test_in_the_checkout_itself(desk: Desk, args: list[str], suite: bool, selftest: bool) -> None:
    result = desk.run(*args, *SELFTESTS, "--co", "-q", "-p", "no:cacheprovider", at=ROOT)
    found = functions(ids(result))
    assert [nodeid for nodeid in found if "/selftest/" not in nodeid] == (EVERY if suite else [])
    own = {nodeid.partition("::")[0] for nodeid in found if "/selftest/" in nodeid}
    steering = {f"conformance/selftest/steering/test_{name}.py" for name in ("plan", "token_kinds", "token_positions")}
    assert own == (steering if selftest else set())
