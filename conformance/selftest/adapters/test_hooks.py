"""What the built-in ``hooks`` adapter steers is what a layer returns, for everyone who looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from pytest_steering import SteeringPlan, load_target
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.architecture.tracing import hooked
from pytest_steering.steering.plan import Positions
from pytest_steering.targets.target import Target

TYPES = ["gpt2", "gpt_bigcode", "llama", "mixtral", "qwen2", "starcoder2"]
LAYER, HIDDEN = 1, 32
IDS = torch.arange(40, 52).unsqueeze(0)
of_version_5 = pytest.mark.skipif(
    transformers.__version__ < "5", reason="it captures inside of what hooks see, and no hook can show it more"
)
FIRST, SECOND = torch.linspace(-1, 1, HIDDEN), torch.linspace(3, -1, HIDDEN)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    return load_target(f"tiny:{getattr(request, 'param', 'llama')}")


@contextmanager
def next_layer(target: Target) -> Iterator[list[Tensor]]:
    """What the layer after the steered one receives."""
    received: list[Tensor] = []

    def keep(_module: object, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        received.append(next(each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)))

    with hooked(target.architecture.layers[LAYER + 1].register_forward_pre_hook(keep, with_kwargs=True)):
        yield received


def captured(call: Callable[..., object]) -> Tensor:
    """What ``output_hidden_states`` shows of the steered layer."""
    with torch.no_grad():
        states: tuple[Tensor, ...] = call(input_ids=IDS, output_hidden_states=True).hidden_states  # type: ignore[attr-defined]
    return states[LAYER + 1]


@of_version_5
@pytest.mark.parametrize("asked_before", [False, True], ids=["first asked inside", "asked before"])
@pytest.mark.parametrize("target", TYPES, indirect=True)
def test_hidden_states_show_what_the_next_layer_received(target: Target, asked_before: bool) -> None:
    plain = captured(target.model) if asked_before else captured(load_target(target.spec).model)
    adapter = HooksAdapter(target.model, target.architecture)
    with adapter.steer(SteeringPlan({LAYER: FIRST})) as steered, next_layer(target) as received:
        shown = captured(steered)
    assert torch.equal(shown, received[0])
    torch.testing.assert_close(shown, plain + FIRST)
    assert torch.equal(captured(target.model), plain)


@of_version_5
@pytest.mark.parametrize("asked_before", [False, True], ids=["first asked inside", "asked before"])
def test_hidden_states_show_all_nested_blocks(target: Target, asked_before: bool) -> None:
    plain = captured(target.model) if asked_before else captured(load_target(target.spec).model)
    adapter = HooksAdapter(target.model, target.architecture)
    with adapter.steer(SteeringPlan({LAYER: FIRST})) as outer:
        with adapter.steer(SteeringPlan({LAYER: SECOND}, 0.5)) as inner, next_layer(target) as received:
            both = captured(inner)
        assert torch.equal(both, received[0])
        torch.testing.assert_close(both, plain + FIRST + 0.5 * SECOND)
        torch.testing.assert_close(captured(outer), plain + FIRST)
    assert torch.equal(captured(target.model), plain)


def test_a_hook_that_was_there_before_sees_what_is_steered(target: Target) -> None:
    seen: list[Tensor] = []
    layer = target.architecture.layers[LAYER]
    with hooked(layer.register_forward_hook(lambda _module, _args, output: seen.append(output))):
        adapter = HooksAdapter(target.model, target.architecture)
        with adapter.steer(SteeringPlan({LAYER: FIRST})) as steered, next_layer(target) as received:
            steered(input_ids=IDS)
    assert torch.equal(seen[0], received[0])


def test_two_adapters_on_one_model_know_of_each_others_generation(target: Target) -> None:
    one, other = (HooksAdapter(target.model, target.architecture) for _ in range(2))
    outer = SteeringPlan({LAYER: FIRST}, 4.0, Positions.GENERATED)
    inner = SteeringPlan({LAYER: SECOND}, 4.0, Positions.PROMPT)

    def generated(adapter: HooksAdapter) -> Tensor:
        with one.steer(outer), adapter.steer(inner) as steered, torch.no_grad():
            found = steered.generate(
                input_ids=IDS, max_new_tokens=4, do_sample=False, output_scores=True, return_dict_in_generate=True
            )
        return torch.stack(found.scores)

    assert torch.equal(generated(other), generated(one))


@pytest.mark.parametrize("positions", list(Positions))
@pytest.mark.parametrize("target", ["llama", "mamba"], indirect=True)
def test_a_call_inside_a_generation_is_no_part_of_it(target: Target, positions: Positions) -> None:
    inside: list[Tensor] = []
    steered: Any

    def asks(_ids: Tensor, scores: Tensor) -> Tensor:
        inside.append(steered(input_ids=IDS[:, 3:]).logits)
        return scores

    options = {"input_ids": IDS, "max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "output_logits": True}
    plan = SteeringPlan({LAYER: FIRST}, 3.0, positions)
    with HooksAdapter(target.model, target.architecture).steer(plan) as steered, torch.no_grad():
        alone = steered.generate(**options, return_dict_in_generate=True)
        outside = steered(input_ids=IDS[:, 3:]).logits
        found = steered.generate(**options, return_dict_in_generate=True, logits_processor=[asks])
    assert len(inside) == 4
    assert all(torch.equal(each, outside) for each in inside)
    assert all(map(torch.equal, found.logits, alone.logits))
