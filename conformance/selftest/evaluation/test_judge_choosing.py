"""Every judge can be named, and an experiment asks the one that is named, once."""

from __future__ import annotations

import json
import py_compile
import re
import shutil
import sys
from pathlib import Path

import pytest

from conformance.selftest.evaluation.small_study import finished_study, options, plant_pairs, small_config
from pytest_steering import __main__
from pytest_steering.errors import SpecError
from pytest_steering.evaluation import UniversalSteeringExperiment
from pytest_steering.evaluation.judges.choosing import judge_named
from pytest_steering.evaluation.judges.judgement import JudgeError, Judgement, Label, Question, Tier
from pytest_steering.evaluation.judges.server import ServerJudge
from pytest_steering.evaluation.parts import judged_part

OWN = __name__
asked: list[tuple[str, Question]] = []


def says_secure(answer: str, question: Question) -> Judgement:
    asked.append((answer, question))
    return Judgement(Label.SECURE, 0.5, (), Tier.ASKED)


class Versioned:
    name = "versioned"
    version = "1"

    def __call__(self, answer: str, question: Question) -> Judgement:
        return says_secure(answer, question)


def says_true(answer: str, question: Question) -> bool:
    return True


def raises(answer: str, question: Question) -> Judgement:
    raise KeyError("key")


def test_a_judge_is_found_by_what_it_is_called() -> None:
    assert [judge_named(name).name for name in ("rules", "legacy")] == ["rules", "legacy"]
    assert judge_named("rules")("Yes.", Question("CWE-89")).label is Label.VULNERABLE
    assert judge_named("legacy")("Yes.", Question("CWE-89")).label is Label.SECURE
    assert judge_named("openai:org/a@2@http://host:1/v1/") == ServerJudge("org/a@2", "http://host:1/v1")
    assert judge_named("openai:m@https://h/v1/chat/completions").name == "openai:m@https://h/v1"


def test_a_judge_of_ones_own_has_a_name_and_a_version() -> None:
    given = judge_named(f"{OWN}:says_secure")
    assert given("", Question()).label is Label.SECURE
    assert given.name == f"{OWN}:says_secure"
    assert re.fullmatch(r"[0-9a-f]{12}", given.version)
    versioned = judge_named(f"{OWN}:Versioned")
    assert (versioned.name, versioned.version) == ("versioned", "1")


def test_the_version_of_a_judge_without_one_follows_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    versions = []
    for text in ("a = len\n", "a = len  # changed\n", "a = len\n"):
        (tmp_path / "own_judge.py").write_text(text)
        versions.append(judge_named("own_judge:a").version)
    assert versions[0] == versions[2] != versions[1]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("guess", "judge is 'guess'; choose one of rules, legacy, module:attribute, openai:MODEL@URL"),
        ("", "judge is ''; choose one of"),
        ("openai:gpt-4o", "judge is 'openai:gpt-4o'; write openai:MODEL@URL"),
        ("openai:gpt-4o@file:///etc", "judge is 'openai:gpt-4o@file:///etc'; write openai:MODEL@URL"),
        (
            "nowhere:at_all",
            "judge nowhere:at_all: it cannot be imported (ModuleNotFoundError: No module named 'nowhere')",
        ),
        (f"{OWN}:nothing", f"judge {OWN}:nothing: it cannot be imported (AttributeError: "),
        (f"{OWN}:OWN", f"judge {OWN}:OWN: it is a str; give a function of an answer and its question"),
    ],
)
def test_a_judge_that_cannot_be_meant_is_refused_in_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(SpecError, match="^" + re.escape(sentence)):
        judge_named(spec)


@pytest.mark.parametrize("module", ["builtins", "zlib", "no_source"])
def test_a_judge_whose_changes_cannot_be_seen_must_have_a_version(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "no_source.py").write_text("print = len\nclass Judge:\n    version = 3\n    __call__ = len\n")
    py_compile.compile(str(tmp_path / "no_source.py"), str(tmp_path / "no_source.pyc"))
    (tmp_path / "no_source.py").unlink()
    called = "crc32" if module == "zlib" else "print"
    sentence = f"judge {module}:{called}: no source tells when it is changed; give it a version"
    with pytest.raises(SpecError, match=f"^{re.escape(sentence)}$"):
        judge_named(f"{module}:{called}")
    assert judge_named("no_source:Judge").version == "3"


def test_a_judge_whose_module_ends_the_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ends_judge.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(SpecError, match=r"^judge ends_judge:a: it cannot be imported \(SystemExit: 0\)"):
        judge_named("ends_judge:a")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("says_true", "it returns a bool; return a Judgement"), ("raises", "it raises KeyError: 'key'")],
)
def test_a_judge_that_gives_no_judgement_is_said_to(name: str, sentence: str) -> None:
    with pytest.raises(JudgeError, match=f"^{OWN}:{name}: {sentence}$".replace(OWN, f"judge {OWN}")):
        judge_named(f"{OWN}:{name}")("", Question())


def test_the_judge_is_named_with_its_version_in_the_results() -> None:
    _, out, finished = finished_study()
    found = json.loads(finished.results.read_text())
    assert found["judge"] == {"name": "rules", "version": "1"}
    part = json.loads((out / "parts" / f"{judged_part_of('rules')}.json").read_text())
    assert part["judge"] == found["judge"]
    assert len(part["baseline"]["labels"]) == len(part["baseline"]["evidence"]) > 0


def judged_part_of(spec: str) -> str:
    class Fold:
        name = "CWE-89/fold-1"

    return judged_part(Fold(), judge_named(spec))  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_judge_is_asked_once_and_another_version_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts are written once, whoever judges them; what a judge said is read when it is named again."""
    data = plant_pairs(tmp_path / "data")

    def judged_by(judge: str) -> tuple[int, dict[str, str]]:
        before = len(asked)
        config = small_config(data, tmp_path / "out", judge=judge, random_directions=0, scan_layers=False)
        results = UniversalSteeringExperiment(config).run().results
        return len(asked) - before, json.loads(results.read_text())["judge"]

    first, judge = judged_by(f"{OWN}:Versioned")
    texts = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "parts").rglob("texts.json")}
    assert first == 3 * 2 * 3  # settings, files of a pair, pairs
    assert judge == {"name": "versioned", "version": "1"}
    assert judged_by(f"{OWN}:Versioned") == (0, judge)
    monkeypatch.setattr(Versioned, "version", "2")
    assert judged_by(f"{OWN}:Versioned") == (first, {"name": "versioned", "version": "2"})
    assert judged_by("rules") == (0, {"name": "rules", "version": "1"})
    monkeypatch.setattr(Versioned, "version", "1")
    assert judged_by(f"{OWN}:Versioned") == (0, judge)
    assert texts == {path: path.stat().st_mtime_ns for path in texts}
    answer, question = asked[-1]
    assert isinstance(answer, str)
    assert question.cwe == "CWE-89"
    assert question.code in question.prompt


def test_the_command_judges_by_whom_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest_steering", "experiment", "--model", "tiny:llama", "--judge", "guess"])
    assert __main__.main() == 4
    assert capsys.readouterr().err.startswith("judge is 'guess'; choose one of rules, legacy")


def test_the_command_fails_in_a_sentence_where_the_judge_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The texts are written already, and stay for the next try."""
    data, whole, _ = finished_study()
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    given = [*options(data, out), "--quiet", "--no-pictures", "--judge", f"{OWN}:raises"]
    monkeypatch.setattr(sys, "argv", ["pytest_steering", *given])
    assert __main__.main() == 1
    assert capsys.readouterr() == ("", f"judge {OWN}:raises: it raises KeyError: 'key'\n")
    assert sorted(path.name for path in (out / "parts").rglob("*.json")) == sorted(
        path.name for path in (whole / "parts").rglob("*.json")
    )
