"""Hundreds of checkpoints, specs and adapters that are wrong: each ends as promised, within a time limit.

Of each kind every tenth is tried each time, and all of them by ``-m slow``.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pytest_steering.fixtures.checkpoint import write_checkpoint
from pytest_steering.fixtures.hostile import adapters, files, readers, specs

from conformance.selftest.desk import MODEL, Desk, new_desk
from pytest_steering import SpecError, SteeringError, load_target
from pytest_steering.targets.spec import SpecKind, check_spec, parse_spec

SECONDS = 60
SAMPLE = 10
DAMAGED = list(files.damaged())
ADAPTERS = list(adapters.adapters())
PER_RUN = 9


def parts(cases: Sequence[object]) -> list[object]:
    return [pytest.param(cases[::SAMPLE], id="sample"), pytest.param(cases, id="all", marks=pytest.mark.slow)]


@contextlib.contextmanager
def within(seconds: int, name: str) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"{name!a} has not ended after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    except Exception as error:
        error.add_note(ascii(name))
        raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_there_are_enough() -> None:
    assert len(DAMAGED) + len(specs.SPECS) + len(ADAPTERS) >= 300


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("sound") / "checkpoint")


@pytest.mark.parametrize("cases", parts(DAMAGED))
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_checkpoint_loads_or_is_refused_in_a_sentence(
    tmp_path: Path, sound: Path, cases: list[tuple[str, Callable[[Path], None]]]
) -> None:
    refused = 0
    for number, (name, damage) in enumerate(cases):
        path = files.copied(sound, tmp_path / f"checkpoint-{number}", damage)
        with within(SECONDS, name):
            try:
                load_target(str(path))
            except SteeringError as error:
                said = str(error)
                assert said.startswith(str(path))
                assert said.isprintable(), said
                assert len(said) < 2500
                refused += 1
    assert refused > len(cases) / 2


@pytest.mark.parametrize("cases", parts(specs.SPECS))
def test_a_spec_can_be_meant_or_is_refused_in_a_sentence(cases: list[str]) -> None:
    for text in cases:
        with within(SECONDS, text):
            spec = parse_spec(text)
            try:
                check_spec(spec)
            except SpecError:
                continue
            assert spec.kind is SpecKind.HUB or text in ("tiny:llama?", "tiny:*", "tiny:?", "tiny:[")


def groups() -> list[list[str]]:
    return [ADAPTERS[start : start + PER_RUN] for start in range(0, len(ADAPTERS), PER_RUN)]


@pytest.mark.parametrize("cases", parts(groups()))
def test_an_adapter_that_raises_fails_and_stops_nothing(
    tmp_path_factory: pytest.TempPathFactory, cases: list[list[str]]
) -> None:
    for names in cases:
        desk: Desk = new_desk(tmp_path_factory.mktemp("project"))
        chosen = [f"--steering-adapter=pytest_steering.fixtures.hostile.adapters:{name}" for name in names]
        with within(SECONDS * len(names), " ".join(names)):
            result = desk.run(MODEL, *chosen, "-k", "same_twice or upstream_untouched", "--steering-report=r.json")
        assert result.ret == 1, (names, result.stdout.str(), result.stderr.str())
        verdicts = {row["adapter"]: row["verdict"] for row in desk.report("r.json")["models"]}
        assert len(verdicts) == len(names), (names, verdicts)
        assert set(verdicts.values()) <= {"fails", "error"}, verdicts


@pytest.mark.parametrize("reader", readers.READERS)
def test_readers_raise_nothing_but_their_own_sentence(reader: str) -> None:
    assert readers.feed(reader, 600) >= 600
