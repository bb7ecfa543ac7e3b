"""The file of a baseline: what is written is what is read, and what is hostile is refused in one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.selftest.report.baselines import LLAMA, baselines, entry, model, of, report
from pytest_steering.errors import SpecError
from pytest_steering.report.baseline import Baseline, Standing, Subject, of_report, updated
from pytest_steering.report.baseline_file import read, text_of
from pytest_steering.report.model import Outcome
from pytest_steering.report.writing import write_text

FIXED = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
TEXT = text_of(
    of({"beams": Standing(1, Outcome.NOT_APPLICABLE), "every-row": Standing(3, named={"side=left": Outcome.KNOWN})})
)


def read_text(path: Path, text: str | bytes) -> Baseline:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, "b.json")


def refusal(path: Path, text: str | bytes) -> str:
    """The sentence by which a file is refused; empty where it is not. Anything else that is raised is a bug."""
    try:
        read_text(path, text)
        return ""
    except SpecError as error:
        said = str(error)
    assert said.startswith("b.json ")
    assert "\n" not in said
    assert len(said) < 500
    return said


@FIXED
@given(baselines)
def test_what_is_written_is_what_is_read(tmp_path: Path, baseline: Baseline) -> None:
    text = text_of(baseline)
    found = read_text(tmp_path / "b.json", text)
    assert found == baseline
    assert text_of(found) == text


def test_it_is_small_and_sorted_and_has_a_line_for_each_requirement() -> None:
    standing = Standing(2, measured={"operations": 3, "host synchronisations": 0})
    baseline = of({"same-twice": standing, "every-row": Standing(3, named={"side=left": Outcome.KNOWN})})
    assert text_of(baseline) == (
        '{\n "baseline": 1,\n "suite": "1.1",\n "profile": "full",\n "subjects": [\n  {\n'
        '   "model": "tiny:llama", "adapter": "hooks",\n   "device": "cpu", "dtype": "float32",\n'
        '   "requirements": {\n'
        '    "every-row": {"known": ["side=left"], "passed": 2},\n'
        '    "same-twice": {"passed": 2, "measured": {\n'
        '     "host synchronisations": 0,\n     "operations": 3\n    }}\n'
        "   }\n  }\n ]\n}\n"
    )


@FIXED
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path: Path, junk: bytes) -> None:
    assert refusal(tmp_path / "b.json", junk)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, each in inner for place in places(each, (*way, key)))]


@FIXED
@given(st.data())
def test_one_place_may_hold_anything(tmp_path: Path, data: st.DataObject) -> None:
    """It is read as something that is written again as it is, or refused."""
    source = (
        TEXT if data.draw(st.booleans()) else json.dumps(report(model(entry("every-row"), overhead={"forward": {}})))
    )
    document: Any = json.loads(source)
    *way, last = data.draw(st.sampled_from(places(document)[1:]))
    inner = document
    for key in way:
        inner = inner[key]
    inner[last] = data.draw(json_values)
    path = tmp_path / "b.json"
    if not refusal(path, json.dumps(document)):
        found = read(path, "b.json")
        if all(subject.device for subject in found.subjects):
            assert read_text(path, text_of(found)) == found


@FIXED
@given(st.integers(0, len(TEXT) - 3))
def test_what_is_torn_is_refused(tmp_path: Path, end: int) -> None:
    assert refusal(tmp_path / "b.json", TEXT[:end])


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"baseline": 1', '"baseline": 2', 'b.json is no baseline that can be read: it has no "baseline": 1'),
        ('"baseline": 1', '"baseline": 1, "baseline": 1', "b.json is not valid JSON: 'baseline' stands in it twice"),
        (
            '"suite": "1.1"',
            '"suite": 1.1',
            "b.json is no baseline that can be read: suite is 1.1, not a text of one line",
        ),
        ('"full"', '"most"', "b.json is no baseline that can be read: profile is 'most', none of full, core"),
        ('{"not_applicable": 1}', '{"passed": NaN}', "b.json is not valid JSON: NaN is no number"),
        (
            '{"not_applicable": 1}',
            '{"pased": 1}',
            "b.json is no baseline that can be read: 'pased' is none of passed, *",
        ),
        (
            '{"not_applicable": 1}',
            "{}",
            "b.json is no baseline that can be read: beams: it says of no test what became of it",
        ),
        ('{"not_applicable": 1}', '{"passed": true}', "*beams: passed is neither a number of tests nor a list of them"),
        ('{"not_applicable": 1}', '{"passed": 0}', "*beams: passed is neither a number of tests nor a list of them"),
        ('{"not_applicable": 1}', '{"passed": 1, "known": 1}', "*beams: the tests that did not pass are not named"),
        ('["side=left"]', '["side=left", "side=left"]', "*every-row: a test stands in it twice"),
        ("{\n", "<<<<<<< HEAD\n{\n", "b.json is not valid JSON: *; it holds a merge conflict"),
        ("{\n", "[" * 200_000, "b.json is not valid JSON: *"),
        (TEXT, "[]", "b.json is not valid: it holds a list, not an object"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    said = refusal(tmp_path / "b.json", TEXT.replace(old, new, 1))
    start, star, end = sentence.partition("*")
    assert said == sentence if not star else said.startswith(start) and said.endswith(end.lstrip("*")), said


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^b\.json cannot be read: Is a directory$"):
        read(tmp_path, "b.json")
    with pytest.raises(SpecError, match=r"^b\.json cannot be read: No such file or directory$"):
        read(tmp_path / "b.json", "b.json")


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far" / "b.json", tmp_path / "b.json"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_text(link, "new")
    assert (link.is_symlink(), real.read_text(), real.stat().st_mode & 0o777) == (True, "new", 0o640)

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        write_text(link, "newer")
    assert real.read_text() == "new"
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["b.json"]


def test_a_report_says_the_same() -> None:
    entries = (entry("every-row", side="left"), entry("every-row", "known", side="right"), entry("same-twice"))
    counted = {**entry("decode"), "measured": {"operations": 3}}
    overhead = {"forward": {"ratio": 1.0201, "low": 1.0, "high": 1.04, "pairs": 15}, "generate": {"ratio": 1.1}}
    found = of_report(report(model(*entries, counted, device="cuda:1 bfloat16", overhead=overhead)))
    (subject,) = found.subjects
    judged = found.subjects[subject]
    assert subject == Subject("tiny:llama", "hooks", "cuda", "bfloat16")
    assert judged.requirements == {
        "every-row": Standing(2, named={"side=right": Outcome.KNOWN}),
        "same-twice": Standing(1),
        "decode": Standing(1, measured={"operations": 3}),
    }
    assert judged.ratios == {"forward": {"ratio": 1.02, "low": 1.0, "high": 1.04}}


def test_an_update_keeps_what_did_not_run() -> None:
    gpt2 = Subject("tiny:gpt2", "hooks", "cpu", "float32")
    old = of({"every-row": Standing(3), "beams": Standing(1)})
    old = Baseline("1.1", "full", {**old.subjects, **of({"beams": Standing(1)}, gpt2).subjects})
    new = of({"every-row": Standing(3, Outcome.NOT_APPLICABLE), "exact-delta": Standing(1), "same-twice": Standing(1)})
    found, kept = updated(old, new, {"every-row", "same-twice"}.__contains__)
    assert found.subjects[gpt2] == old.subjects[gpt2]
    assert found.subjects[LLAMA].requirements == {
        "every-row": Standing(3, Outcome.NOT_APPLICABLE),
        "same-twice": Standing(1),
        "beams": Standing(1),
    }
    assert kept == [
        "tiny:gpt2 with hooks on cpu float32: did not run, and is kept as it was",
        "tiny:llama with hooks on cpu float32: 1 requirements did not run whole, and are kept as they were: beams",
    ]


def test_an_update_to_another_suite_is_whole_or_none() -> None:
    old = of({"every-row": Standing(3), "beams": Standing(1)})
    new = Baseline("1.2", "full", of({"every-row": Standing(3)}).subjects)
    with pytest.raises(SpecError, match=r"^it is of suite 1\.1 and this run of 1\.2, and .* did not run whole"):
        updated(old, new, lambda _: True)
    whole = Baseline("1.2", "full", of({"every-row": Standing(3), "beams": Standing(2)}).subjects)
    assert updated(old, whole, lambda _: True) == (whole, [])


def test_a_ratio_that_may_be_the_same_stays() -> None:
    old = of({}, ratios={"forward": {"ratio": 1.0, "low": 0.9, "high": 1.1}})
    near = of({}, ratios={"forward": {"ratio": 1.1, "low": 1.05, "high": 1.2}})
    far = of({}, ratios={"forward": {"ratio": 1.3, "low": 1.2, "high": 1.4}})
    assert updated(old, near, lambda _: True)[0] == old
    assert updated(old, far, lambda _: True)[0] == far
