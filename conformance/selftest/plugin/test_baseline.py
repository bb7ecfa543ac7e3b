"""--steering-baseline: a run fails on what is worse or missing, and writes only what passes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import pytest_steering
from conformance.selftest.desk import MODEL, Desk, refused

SCHEMA = json.loads((Path(pytest_steering.__file__).parent / "report" / "schema.json").read_text())
FILE, UPDATE = "--steering-baseline=b.json", "--steering-baseline-update"
OTHER = "--steering-model=my_models:b"
MINE = "--steering-adapter=mine:Mine"
WHO = "my_models:a with mine:Mine on cpu float32"
SOME = ("-k", "layers_found or every_row or same_twice")
"""Three requirements, of one, three and one tests."""

ADAPTER = """
from my_steering import FirstRowOnly, Right, Timid

class Mine({base}):
    version = {version!r}
"""


def library(desk: Desk, base: str = "Right", version: str = "1.0") -> None:
    """The user's library, in one of its versions."""
    desk.write(mine=ADAPTER.format(base=base, version=version))


def said(desk: Desk, *args: str) -> tuple[int, list[str]]:
    """The exit status, and what stands in the block about the baseline."""
    result = desk.run(MODEL, MINE, *args)
    lines = result.outlines
    heads = [number for number, line in enumerate(lines) if line.strip("- ") == "baseline"]
    block = lines[heads[0] + 1 :] if heads else []
    return int(result.ret), [line for line in block if not line.startswith(("=", "FAILED", "ERROR"))]


def total(missing: int = 0, worse: int = 0) -> str:
    counts = f"{worse} worse, {missing} missing, 0 better"
    return f"--steering-baseline=b.json: {counts}; what is meant to be so is written with --steering-baseline-update"


@pytest.fixture(scope="module")
def kept(shared_desk: Desk) -> tuple[Desk, str]:
    """A project with a baseline, and its text."""
    library(shared_desk)
    assert said(shared_desk, *SOME, FILE, UPDATE) == (0, ["b.json: written"])
    return shared_desk, (shared_desk.path / "b.json").read_text()


@pytest.fixture
def project(kept: tuple[Desk, str]) -> Desk:
    """The same project, as good as new."""
    desk, text = kept
    (desk.path / "b.json").write_text(text)
    (desk.path / "pytest.ini").unlink(missing_ok=True)
    library(desk)
    return desk


def test_a_run_like_it_passes_with_and_without_workers_and_in_another_version(project: Desk) -> None:
    library(project, version="1.1")
    for workers in ((), ("-n1",)):
        assert said(project, *SOME, FILE, "--steering-report=r.json", *workers) == (0, ["b.json: nothing changed"])
    document = project.report("r.json")
    jsonschema.validate(document, SCHEMA)
    assert document["baseline"] == {"files": ["b.json"], "updated": False, "changes": []}
    before = (project.path / "b.json").read_bytes()
    assert said(project, *SOME, FILE, UPDATE, "-n1") == (0, ["b.json: nothing changed"])
    assert (project.path / "b.json").read_bytes() == before


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
def test_what_is_not_promised_any_more_is_worse(project: Desk, workers: tuple[str, ...]) -> None:
    library(project, "Timid")
    status, lines = said(project, *SOME, FILE, "--steering-report=r.json", *workers)
    assert (status, lines) == (
        1,
        [f"worse: {WHO}: every-row: passed, is not applicable now", total(worse=1)],
    )
    document = project.report("r.json")
    jsonschema.validate(document, SCHEMA)
    (change,) = document["baseline"]["changes"]
    assert (change["kind"], change["requirement"], change["model"]) == ("worse", "every-row", "my_models:a")


def test_what_fails_and_what_is_known_is_worse(project: Desk) -> None:
    library(project, "FirstRowOnly")
    assert said(project, *SOME, FILE)[1][0] == f"worse: {WHO}: every-row: passed, fails now"
    project.ini("steering_known_failures = every-row: a bug")
    assert said(project, *SOME, FILE) == (
        1,
        [f"worse: {WHO}: every-row: passed, is a known failure now", total(worse=1)],
    )
    assert said(project, *SOME, FILE, UPDATE) == (
        0,
        ["b.json: written", f"worse: {WHO}: every-row: passed, is a known failure now"],
    )
    library(project)
    project.ini()
    assert said(project, *SOME, FILE) == (0, [f"better: {WHO}: every-row: was a known failure, passes now"])


def test_what_a_project_has_skipped_is_worse(project: Desk) -> None:
    skip = "[item.add_marker('skip') for item in items if 'same' in item.name]"
    project.write(conftest=f"def pytest_collection_modifyitems(items):\n    {skip}")
    try:
        assert said(project, *SOME, FILE)[1][0] == f"worse: {WHO}: same-twice: passed, is not applicable now"
    finally:
        (project.path / "conftest.py").unlink()


@pytest.mark.parametrize(
    ("args", "missing"),
    [
        (("-k", "layers_found or every_row"), ["same-twice: did not run"]),
        (("-k", "layers_found or same_twice or (every_row and first)"), ["every-row: 1 of 3 tests ran"]),
        (
            ("-k", "layers_found or every_row or same_twice or residual_shape"),
            ["residual-shape: the baseline does not know it"],
        ),
    ],
    ids=["requirement", "test", "new"],
)
def test_what_did_not_run_or_is_new_is_missing(project: Desk, args: tuple[str, ...], missing: list[str]) -> None:
    assert said(project, *args, FILE) == (1, [*(f"missing: {WHO}: {each}" for each in missing), total(missing=1)])


def test_models_adapters_and_dtypes_that_either_does_not_know_are_missing(project: Desk) -> None:
    assert said(project, OTHER, *SOME, FILE) == (
        1,
        ["missing: my_models:b with mine:Mine on cpu float32: the baseline does not know it", total(missing=1)],
    )
    assert said(project, "--steering-dtype=bf16", *SOME, FILE) == (
        1,
        [
            "missing: my_models:a with mine:Mine on cpu bfloat16: the baseline does not know it there, but on cpu "
            "float32",
            total(missing=1),
        ],
    )
    result = project.run(MODEL, "--steering-adapter=my_steering:Right", *SOME, FILE)
    assert result.ret == 1
    assert f"missing: {WHO}: did not run" in result.outlines
    result = project.run("--steering-model=my_models:broken", MINE, "-k", "layers_found", FILE)
    assert result.ret == 1
    assert any(
        line.startswith("worse: my_models:broken with mine:Mine: cannot be judged now: ") for line in result.outlines
    )


def test_what_fails_or_is_cut_short_writes_nothing(project: Desk) -> None:
    before = (project.path / "b.json").read_bytes()
    library(project, "FirstRowOnly")
    status, lines = said(project, *SOME, FILE, UPDATE)
    assert (status, lines[0]) == (1, "nothing is written: the run fails")
    library(project)
    project.ini("steering_known_failures = every-row: a bug")
    assert said(project, *SOME, FILE, UPDATE)[0] == 1, "a known failure that fails no more"
    project.ini()
    assert project.run(MODEL, MINE, "-k", "no_such_test", FILE, UPDATE).ret == 5
    assert said(project, "--co", "-q", FILE, UPDATE)[0] == 4
    assert (project.path / "b.json").read_bytes() == before


def test_a_part_keeps_the_rest_and_says_so(project: Desk) -> None:
    before = (project.path / "b.json").read_bytes()
    status, lines = said(project, "-k", "layers_found or (every_row and first)", FILE, UPDATE)
    assert (status, lines) == (
        0,
        [
            f"b.json: {WHO}: 2 requirements did not run whole, and are kept as they were: every-row, same-twice",
            "b.json: nothing changed",
        ],
    )
    assert (project.path / "b.json").read_bytes() == before
    result = project.run(OTHER, MINE, "-k", "layers_found", FILE, UPDATE)
    assert f"b.json: {WHO}: did not run, and is kept as it was" in result.outlines
    document = json.loads((project.path / "b.json").read_text())
    assert [(each["model"], len(each["requirements"])) for each in document["subjects"]] == [
        ("my_models:a", 3),
        ("my_models:b", 1),
    ]


def test_a_file_for_each_model(project: Desk) -> None:
    assert project.run(OTHER, MINE, *SOME, "--steering-baseline=c.json", UPDATE).ret == 0
    both = (FILE, "--steering-baseline=c.json")
    assert said(project, OTHER, *SOME, *both) == (0, ["b.json, c.json: nothing changed"])
    assert said(project, OTHER, *SOME, *both, UPDATE) == (0, ["b.json: nothing changed", "c.json: nothing changed"])
    refused_at(
        project,
        *both,
        UPDATE,
        "--steering-model=my_models:d",
        sentence=(
            "--steering-baseline-update: none of the files knows my_models:d with mine:Mine: give one "
            "--steering-baseline at a time"
        ),
    )
    refused_at(
        project,
        FILE,
        "--steering-baseline=./b.json",
        sentence=f"--steering-baseline: more than one file knows {WHO}: *",
    )


def refused_at(desk: Desk, *args: str, sentence: str) -> None:
    """Refused before anything was loaded in this run."""
    (desk.path / "models.log").unlink(missing_ok=True)
    refused(desk, MODEL, MINE, *args, sentence=sentence)


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("no.json", (), "--steering-baseline=no.json: there is no such file; write it with --steering-baseline-update"),
        ("no/b.json", (UPDATE,), "--steering-baseline=no/b.json: there is no directory no"),
        ("dir.json", (), "--steering-baseline=dir.json cannot be read: Is a directory"),
        ("torn.json", (), "--steering-baseline=torn.json is not valid JSON: *"),
        ("torn.json", (UPDATE,), "--steering-baseline=torn.json is not valid JSON: *"),
        ("empty.json", (UPDATE,), "--steering-baseline=empty.json is not valid JSON: *"),
        ("other.json", (UPDATE,), "--steering-baseline=other.json is no baseline that can be read: it has no *"),
        (
            "b.json",
            ("--steering-suite=1.0",),
            "--steering-baseline=b.json is of suite 1.1 and this run of 1.0: ask the same with --steering-suite=1.1 "
            "--steering-profile=full, or write it anew with --steering-baseline-update",
        ),
        (
            "b.json",
            ("--steering-profile=core",),
            "--steering-baseline=b.json is of suite 1.1 and this run of 1.1 core: *",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(project: Desk, name: str, args: tuple[str, ...], sentence: str) -> None:
    (project.path / "dir.json").mkdir(exist_ok=True)
    (project.path / "torn.json").write_text((project.path / "b.json").read_text()[:-9])
    (project.path / "empty.json").write_text("")
    (project.path / "other.json").write_text('{"name": "package"}')
    refused_at(project, f"--steering-baseline={name}", *args, sentence=sentence)


def test_options_that_cannot_be_meant(desk: Desk) -> None:
    refused(desk, FILE, sentence="--steering-baseline has nothing to compare: name a model with --steering-model=SPEC")
    sentence = "--steering-baseline-update has nothing to write to: name a file with --steering-baseline=FILE"
    refused(desk, MODEL, UPDATE, sentence=sentence)
    refused(desk, UPDATE, sentence=sentence)


def test_a_run_that_judges_nothing_fails(project: Desk) -> None:
    project.ini("steering_models = my_models:a", "steering_adapter = mine:Mine")
    project.write(test_mine="def test_mine(): pass")
    result = project.run("test_mine.py", FILE)
    assert result.ret == 1
    assert f"missing: {WHO}: did not run" in result.outlines


def test_a_file_that_changed_meanwhile_is_left_alone(project: Desk) -> None:
    project.plugin("def pytest_runtest_teardown(self): open('b.json', 'w').write('mine')")
    try:
        result = project.run(MODEL, MINE, *SOME, FILE, UPDATE)
        assert result.ret == 1
        assert (project.path / "b.json").read_text() == "mine"
    finally:
        (project.path / "conftest.py").unlink()
