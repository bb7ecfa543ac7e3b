"""Above a measured floor engines are judged, with all log-probabilities or the likeliest; below it they are not."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_steering.fixtures.engines.batching import OwnEngine
from pytest_steering.fixtures.engines.http_engine import HttpEngine
from pytest_steering.fixtures.engines.known_bad.habits import SecondBest
from pytest_steering.fixtures.engines.known_bad.plans import InFloat16
from pytest_steering.fixtures.engines.known_bad.tokens import PrefillOnly
from torch import nn

from conformance.selftest.engines.completions_server import serving
from pytest_steering.engines.protocol import Limits, LogProbs, Request, Response
from pytest_steering.errors import EngineError, Violation
from pytest_steering.oracle.diagnosis.causes import Cause
from pytest_steering.oracle.engines.expected import Expected
from pytest_steering.oracle.engines.harness import EngineHarness
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.targets.directories import directory_of
from pytest_steering.targets.target import load_target


class Coarse(OwnEngine):
    """Its weights are rounded to 32 steps."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.model: nn.Module = copy.deepcopy(self.model)
        self.layers = [self.model.get_submodule(layer.name) for layer in self.architecture.decoder_layers]
        for weight in self.model.parameters():
            step = weight.abs().amax() / 32
            weight.copy_((weight / step).round() * step)


class Answers(OwnEngine):
    """What it answers is changed by one function."""

    change: Any = staticmethod(lambda response: response)

    def run(self, requests: Sequence[Request]) -> list[Response]:
        return [self.change(response) for response in super().run(requests)]


@pytest.fixture(scope="module")
def expected() -> Expected:
    target = load_target("tiny:llama")
    return Expected(target, Unsteered.of(target))


@pytest.fixture(scope="module")
def directory(expected: Expected, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return directory_of(expected.target, tmp_path_factory.mktemp("checkpoint"))


def _harness(expected: Expected, directory: Path, kind: Any, change: Any = None) -> EngineHarness:
    engine = kind(directory, expected.architecture)
    if change is not None:
        engine.change = change
    return EngineHarness(expected, engine, lambda: kind(directory, expected.architecture))


def _ask(harness: EngineHarness) -> None:
    harness.check(harness.request(5, harness.plan(), seed=1), harness.request(3, seed=2))


def test_the_floor_is_far_below_the_smallest_bug(expected: Expected, directory: Path) -> None:
    harness = _harness(expected, directory, OwnEngine)
    assert 0 < harness.floor < 1e-4
    assert expected.smallest_effect[0] > 1000 * harness.allowed
    assert "at layer" in expected.smallest_effect[1]


def test_what_cannot_be_judged_says_so_with_the_figures(expected: Expected, directory: Path) -> None:
    harness = _harness(expected, directory, Coarse)
    for _ in range(2):
        with pytest.raises(EngineError) as raised:
            harness.check_floor()
        assert "own cannot be judged on tiny:llama: unsteered, its log-probabilities are off by" in str(raised.value)
        assert "less than 50 times the floor" in str(raised.value)


def test_the_likeliest_tokens_are_enough(expected: Expected, directory: Path) -> None:
    def likeliest(response: Response) -> Response:
        def top(part: LogProbs) -> LogProbs:
            found = part.values.topk(5)
            return LogProbs(found.values, found.indices)

        assert response.prompt_log_probs is not None
        completions = [type(each)(each.tokens, top(each.log_probs)) for each in response.completions]
        return Response(tuple(completions), top(response.prompt_log_probs))

    _ask(_harness(expected, directory, Answers, likeliest))
    wrong = type("Wrong", (Answers, PrefillOnly), {})
    with pytest.raises(Violation) as raised:
        _ask(_harness(expected, directory, wrong, likeliest))
    assert raised.value.likely is not None
    assert raised.value.likely.cause is Cause.PROMPT_ONLY


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda response: Response(response.completions), "no log-probabilities of the prompt"),
        (lambda response: Response(response.completions * 2, response.prompt_log_probs), "2 completions; asked for 1"),
        (
            lambda response: Response(response.completions, LogProbs(response.prompt_log_probs.values[:-1])),
            "log-probabilities of shape (3, 264) for 4 prompt tokens but the first",
        ),
        (
            lambda response: Response(response.completions, LogProbs(response.prompt_log_probs.values.exp())),
            "a log-probability is no number, or above 0",
        ),
        (
            lambda response: Response(response.completions, LogProbs(response.prompt_log_probs.values - 1)),
            "probabilities add up to 0.368",
        ),
        (
            lambda response: Response(response.completions, LogProbs(response.prompt_log_probs.values * torch.nan)),
            "a log-probability is no number, or above 0",
        ),
    ],
    ids=["no prompt", "two", "short", "probabilities", "unnormalised", "nan"],
)
def test_what_holds_not_what_was_asked_for(expected: Expected, directory: Path, change: Any, said: str) -> None:
    with pytest.raises(Violation) as raised:
        _ask(_harness(expected, directory, Answers, change))
    assert said in raised.value.detail


def test_a_greedy_tie_is_no_failure(expected: Expected, directory: Path) -> None:
    """An engine that takes another token than the reference would is judged on its own: alike is what may be off."""
    tied = _harness(expected, directory, SecondBest)
    tied.floor = 1.0
    _ask(tied)
    with pytest.raises(Violation, match="less likely than the likeliest"):
        _ask(_harness(expected, directory, SecondBest))


def test_precision_is_told(expected: Expected, directory: Path) -> None:
    harness = _harness(expected, directory, InFloat16)
    with pytest.raises(Violation, match="off by up to") as raised:
        _ask(harness)
    assert raised.value.likely is not None
    assert raised.value.likely.cause is Cause.ROUNDED


def test_our_own_engine_limits_are_crossed() -> None:
    limits: Limits = OwnEngine.limits
    assert limits.chunk % limits.block
    assert limits.cache < limits.slots * (limits.cache // limits.slots + 2 * limits.block)


def test_an_engine_behind_a_server(expected: Expected, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OwnEngine(directory, expected.architecture)) as address:
        monkeypatch.setenv("STEERING_SERVER", address)
        harness = _harness(expected, directory, HttpEngine)
        harness.check_floor()
        _ask(harness)
        harness.check(harness.request(4, harness.plan(), seed=3, n=2))
        architecture = expected.architecture
        with pytest.raises(ValueError, match="there is no decoder layer"):
            vector = torch.ones(architecture.hidden_size)
            harness.engine.run([Request((1, 2), SteeringPlan({architecture.num_layers: vector}))])
    with serving(PrefillOnly(directory, expected.architecture)) as address:
        monkeypatch.setenv("STEERING_SERVER", address)
        with pytest.raises(Violation, match="off by up to"):
            _ask(_harness(expected, directory, HttpEngine))
