"""Where the bundled suite is found, and what it is called there: the same from a wheel and from a checkout."""

from __future__ import annotations

import itertools
import shutil

import pytest

from conformance.selftest.desk import Desk, both_installs, ids, no_xdist_and_two_workers

SUITE = [
    "conformance/test_alpha.py::test_layers_found[tiny:a]",
    "conformance/test_alpha.py::test_exact_delta[tiny:a-0]",
    "conformance/test_alpha.py::test_exact_delta[tiny:a-2]",
    "conformance/test_alpha.py::test_beams[tiny:a]",
    "conformance/test_beta_two.py::test_same_twice[tiny:a]",
    "conformance/test_beta_two.py::test_overhead[tiny:a]",
]
EXACT = [nodeid for nodeid in SUITE if "exact_delta" in nodeid]


@both_installs
@pytest.mark.parametrize(
    "ini",
    [
        ("python_files = check_*.py", "python_functions = check_*", "python_classes = Check"),
        ("testpaths = tests",),
        ("addopts = --import-mode=importlib",),
        ("addopts = --import-mode=append --doctest-modules",),
        ("norecursedirs = conformance pytest_steering site-packages .*",),
        ("addopts = --strict-markers --strict-config -p no:cacheprovider -p no:xdist",),
        ("addopts = --ignore-glob=*conformance*",),
    ],
    ids=lambda lines: lines[0].partition(" ")[0] + lines[0][-12:],
)
def test_no_setting_of_the_user_hides_the_suite(desk: Desk, ini: tuple[str, ...]) -> None:
    desk.ini(*ini)
    desk.pytester.mkdir("tests").joinpath("test_mine.py").write_text("def test_mine(): pass")
    result = desk.run("--steering-model=tiny:a", "--co", "-q")
    if "--ignore-glob=*conformance*" in ini[0] and desk.house.parent.name == "checkout":
        pytest.skip("in a checkout, to ignore the suite is to ignore the suite")
    assert ids(result) == SUITE
    assert result.ret == 0


@both_installs
@no_xdist_and_two_workers
def test_the_suite_runs_without_a_path(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.write(test_mine="def test_mine(): assert 0")
    result = desk.run("--steering-model=tiny:a", *workers)
    result.assert_outcomes(passed=6)
    assert result.ret == 0


@both_installs
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["conformance"], SUITE),
        (["conformance/test_alpha.py"], SUITE[:4]),
        (["conformance/test_alpha.py::test_exact_delta"], EXACT),
        (["conformance/test_alpha.py::test_exact_delta[tiny:a-2]", "-n", "1"], EXACT[1:]),
    ],
    ids=["suite", "file", "function", "test -n1"],
)
def test_an_id_can_be_typed_anywhere(desk: Desk, typed: list[str], expected: list[str]) -> None:
    result = desk.run("--steering-model=tiny:a", "-v", *typed)
    result.assert_outcomes(passed=len(expected))
    result.stdout.fnmatch_lines_random([f"*{nodeid.replace('[', '[[]')}*" for nodeid in expected])


def test_a_path_of_the_user_comes_first(desk: Desk) -> None:
    desk.pytester.mkdir("conformance").joinpath("test_alpha.py").write_text("def test_mine(): pass")
    assert ids(desk.run("--co", "-q", "conformance/test_alpha.py")) == ["conformance/test_alpha.py::test_mine"]


def test_a_path_that_is_nowhere_is_refused_as_ever(desk: Desk) -> None:
    result = desk.run("--steering-model=tiny:a", "conformance/test_gamma.py")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*file or directory not found: conformance/test_gamma.py*"])


@both_installs
def test_paths_of_the_user_and_of_the_suite_go_together(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(steering_model): pass")
    result = desk.run("--steering-model=tiny:a", "--co", "-q", "test_mine.py", "conformance/test_beta_two.py")
    assert sorted(ids(result)) == sorted([*SUITE[4:], "test_mine.py::test_mine[tiny:a]"])


@both_installs
@pytest.mark.parametrize("options", [("--rootdir=..",), ("-c", "../other.ini"), ("--rootdir=elsewhere",)])
def test_the_root_may_be_elsewhere(desk: Desk, options: tuple[str, ...]) -> None:
    desk.pytester.mkdir("elsewhere")
    inside = desk.pytester.mkdir("inside")
    inside.joinpath("elsewhere").mkdir()
    desk.path.joinpath("other.ini").write_text("[pytest]\n")
    desk.pytester.chdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inside)
        result = desk.run("--steering-model=tiny:a", "--co", "-q", *options)
        assert ids(result) == SUITE
        result = desk.run("--steering-model=tiny:a", *options, EXACT[0])
    result.assert_outcomes(passed=1)


def test_a_wheel_in_the_projects_own_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = desk.path / ".venv"
    site = environment / "lib" / "python3" / "site-packages"
    shutil.copytree(desk.house, site)
    site.joinpath("test_stray.py").write_text("def test_stray(): assert 0")
    environment.joinpath("pyvenv.cfg").write_text("home = /usr/bin\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    desk.ini("addopts = --ignore-glob=.venv/*conformance*")
    desk.write(
        test_mine="def test_mine(steering_model): pass",
        watch="def pytest_collect_file(file_path): assert 'test_stray' not in file_path.name",
    )
    assert ids(desk.run("--steering-model=tiny:a", "-p", "watch", "--co", "-q")) == SUITE
    desk.run("--steering-model=tiny:a").assert_outcomes(passed=6)
    assert ids(desk.run("--steering-model=tiny:a", "--co", "-q", ".")) == ["test_mine.py::test_mine[tiny:a]"]


def test_a_package_of_the_user_may_have_the_suites_name(desk: Desk) -> None:
    package = desk.pytester.mkpydir("conformance")
    package.joinpath("test_mine.py").write_text("def test_mine(): pass")
    assert ids(desk.run("--steering-model=tiny:a", "--co", "-q")) == SUITE
    desk.run("--steering-model=tiny:a").assert_outcomes(passed=6)


def test_lf_runs_what_failed(desk: Desk) -> None:
    failing = ("--steering-model=tiny:a", "--steering-adapter=bad")
    desk.run(*failing).assert_outcomes(passed=3, failed=3)
    assert len(ids(desk.run(*failing, "--lf", "--co", "-q"))) == 3
    desk.run(*failing, "--lf").assert_outcomes(failed=3, deselected=3)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (("-k", "exact_delta and 2"), EXACT[1:]),
        (("-m", "steering_requirement(id='exact-delta')"), EXACT),
        (("-m", "steering_requirement(id='exact-delta')", "-n", "2"), EXACT),
        (("--deselect", EXACT[0], "-k", "exact"), EXACT[1:]),
    ],
    ids=["-k", "-m", "-m -n2", "--deselect"],
)
def test_selections_select(desk: Desk, selection: tuple[str, ...], expected: list[str]) -> None:
    result = desk.run("--steering-model=tiny:a", *selection)
    deselected = 0 if "-n" in selection else len(SUITE) - len(expected)
    result.assert_outcomes(passed=len(expected), deselected=deselected)


def test_tests_are_grouped_by_model_and_adapter(desk: Desk) -> None:
    models = ("--steering-model=tiny:a", "--steering-model=tiny:b")
    adapters = ("--steering-adapter=hooks", "--steering-adapter=old")
    listed = ids(desk.run(*models, *adapters, "--co", "-q", "-k", "exact_delta or layers_found"))
    subjects = [nodeid.partition("[")[2].rstrip("]").rpartition("-")[0] for nodeid in listed]
    runs = [subject for subject, _ in itertools.groupby(subject for subject in subjects if subject)]
    assert runs == ["tiny:a-hooks", "tiny:a-old", "tiny:b-hooks", "tiny:b-old"]
    assert [nodeid for nodeid in listed if "[tiny:b" in nodeid] == listed[5:]


@pytest.mark.parametrize(
    ("args", "ini", "expected"),
    [
        (["--steering-model=tiny:a"], [], SUITE),
        (["--steering-model=tiny:a", "conformance"], [], SUITE),
        (["--steering-model=tiny:a", "conformance/selftest"], [], ["conformance/selftest/test_self.py::test_self"]),
        ([], ["steering_models = tiny:a"], [*SUITE, "conformance/selftest/test_self.py::test_self"]),
    ],
    ids=["typed model", "typed suite", "typed selftest", "plain pytest"],
)
def test_in_the_checkout_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, args: list[str], ini: list[str], expected: list[str]
) -> None:
    shutil.copytree(desk.house.parent.parent / "checkout" / "site-packages", desk.path, dirs_exist_ok=True)
    monkeypatch.setenv("PYTHONPATH", str(desk.path))
    desk.ini("testpaths = conformance", "addopts = --import-mode=importlib", *ini)
    assert sorted(ids(desk.run(*args, "--co", "-q"))) == sorted(expected)
