from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from pytest_steering import SteeringPlan, load_target
from pytest_steering.adapters.registry import make_adapter
from pytest_steering.evaluation.divergence import (
    compare,
    input_dependence,
    is_saturated,
    next_token_log_probabilities,
    relative_dose,
    residual_norms,
)
from pytest_steering.targets.target import Target

PROMPTS = ["a", "if (x) { return y; }", "while"]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target("tiny:gpt_bigcode")


def test_divergence_is_what_torch_says() -> None:
    left, right = drawn(5, 7), drawn(5, 7, seed=1)
    found = compare(left.log_softmax(-1), right.log_softmax(-1))
    assert found.kl == pytest.approx(float(kl_divergence(Categorical(logits=left), Categorical(logits=right)).mean()))


def test_divergence_from_itself_is_nothing_and_of_strangers_is_infinite() -> None:
    same = drawn(3, 9).log_softmax(-1)
    assert compare(same, same).kl == 0
    apart = torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]], dtype=torch.float64)
    assert compare(apart, apart).kl == 0
    assert compare(apart, apart.flip(0)).kl == math.inf


def test_kl_is_of_the_steered_distribution() -> None:
    """KL is not symmetric: the expectation is over what the steered model says."""
    sure = torch.tensor([[9.0, 0.0]] * 2).log_softmax(-1)
    unsure = torch.tensor([[0.0, 0.0]] * 2).log_softmax(-1)
    assert compare(sure, unsure).kl == pytest.approx(math.log(2), abs=0.01)
    assert compare(unsure, sure).kl > 3


def test_input_dependence_of_known_outputs() -> None:
    constant = drawn(1, 6).log_softmax(-1).repeat(5, 1)
    certain = (torch.eye(4) * 1000).log_softmax(-1)
    assert input_dependence(constant) == pytest.approx(0, abs=1e-12)
    assert input_dependence(certain) == pytest.approx(math.log(4))
    mixed = drawn(4, 6).log_softmax(-1)
    assert 0 < input_dependence(mixed) < math.log(4)
    with pytest.raises(ValueError, match="two rows"):
        input_dependence(certain[:1])


def test_saturation_is_below_half_of_the_unsteered() -> None:
    assert is_saturated(0.24, 0.5)
    assert not is_saturated(0.25, 0.5)
    assert not is_saturated(0.0, 0.0)


def test_nan_is_no_divergence(target: Target) -> None:
    def broken(**fed: torch.Tensor) -> object:
        found = target.model(**fed)
        found.logits[0] = math.nan
        return found

    with torch.no_grad(), pytest.raises(ValueError, match="NaN among the logits"):
        next_token_log_probabilities(broken, target.tokenizer, PROMPTS)


def test_relative_dose_is_length_over_length() -> None:
    vectors = {1: torch.tensor([3.0, 4.0]), 2: torch.tensor([0.0, 2.0])}
    assert relative_dose(vectors, -2.0, {1: 20.0, 2: 8.0}) == {1: 0.5, 2: 0.5}


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_next_token_is_read_at_the_last_real_token(target: Target, batch_size: int) -> None:
    found = next_token_log_probabilities(target.model, target.tokenizer, PROMPTS, batch_size=batch_size)
    for row, prompt in zip(found, PROMPTS, strict=True):
        ids = torch.tensor([target.tokenizer(prompt)["input_ids"]])
        with torch.no_grad():
            alone = target.model(input_ids=ids).logits[0, -1].double().log_softmax(-1)
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=0)


def test_models_that_keep_all_logits_are_read_too(target: Target) -> None:
    def whole(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> object:
        return target.model(input_ids=input_ids, attention_mask=attention_mask)

    with torch.no_grad():
        kept = next_token_log_probabilities(target.model, target.tokenizer, PROMPTS)
        torch.testing.assert_close(next_token_log_probabilities(whole, target.tokenizer, PROMPTS), kept)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_norms_are_of_real_tokens_where_steering_adds(target: Target, batch_size: int) -> None:
    """Padding does not count, and what is measured is what the next layer receives."""
    architecture = target.architecture
    layers = [0, architecture.num_layers - 1]
    found = residual_norms(target.model, architecture, target.tokenizer, PROMPTS, layers=layers, batch_size=batch_size)
    seen: dict[int, list[float]] = {layer: [] for layer in layers}
    for layer in layers:
        handle = architecture.layers[layer].register_forward_hook(
            lambda _m, _a, out, layer=layer: seen[layer].extend(
                (out[0] if isinstance(out, tuple) else out).double().norm(dim=-1).flatten().tolist()
            )
        )
        for prompt in PROMPTS:
            with torch.no_grad():
                target.model(input_ids=torch.tensor([target.tokenizer(prompt)["input_ids"]]))
        handle.remove()
    for layer in layers:
        assert found[layer] == pytest.approx(sum(seen[layer]) / len(seen[layer]), rel=1e-5)


def test_a_huge_dose_leaves_nothing_of_the_prompt(target: Target) -> None:
    architecture = target.architecture
    vectors = {layer: drawn(architecture.hidden_size, seed=layer).float() for layer in architecture.steering_layers}
    adapter = make_adapter("hooks", target.model, architecture)
    before = next_token_log_probabilities(target.model, target.tokenizer, PROMPTS)
    kept = {}
    for scale in (0.0, 1e-3, 1e4):
        with adapter.steer(SteeringPlan(vectors, scale)) as call:
            after = next_token_log_probabilities(call, target.tokenizer, PROMPTS)
        kept[scale] = compare(after, before)
    assert kept[0.0].kl == 0
    assert 0 < kept[1e-3].kl < kept[1e4].kl
    assert not is_saturated(kept[1e-3].input_dependence, input_dependence(before))
    assert is_saturated(kept[1e4].input_dependence, input_dependence(before))
