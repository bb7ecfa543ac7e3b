"""Any scale, any vector, any layer, any length: Hypothesis draws them."""

from __future__ import annotations

import contextlib

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from pytest_steering.architecture.tracing import hooked
from pytest_steering.errors import Violation
from pytest_steering.oracle import checks, tolerance
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.suite.fuzzing import fuzz

LONG = (160, 80)
"""Tokens of a long prompt; models of few positions take the shorter one, or none."""


@pytest.mark.steering_requirement(id="any-scale")
def test_any_scale(harness: Harness, request: pytest.FixtureRequest) -> None:
    """any scale, from zero over the tiniest to near overflow and of either sign, arrives exactly."""
    inputs, layer = harness.prompts.batch(), harness.plans.layers("middle")[0]
    vector = harness.plans.vector(layer)

    with checks.looking_closer(harness) as judged:
        fuzz(
            request.config,
            lambda scale: judged(SteeringPlan({layer: vector}, scale), inputs),
            model=harness.model,
            scale=_scales(harness.plans.most(layer) / float(vector.abs().max())),
        )


def _scales(most: float) -> st.SearchStrategy[float]:
    """Scales up to ``most``, the largest that overflows nothing, and of every order of magnitude below it.

    A scale is a number of float32, of which the smallest are left out.
    """
    info = torch.finfo(torch.float32)
    most = min(most, info.max / 8)
    least = max(most / max(most, 1e4) ** 2, info.smallest_normal)
    ordinary = st.floats(-min(1000.0, most), min(1000.0, most), allow_subnormal=False)
    edges = st.sampled_from(
        [edge for edge in (0.0, -0.0, 1e-12, -1e-12, 1e-3, 100.0, -100.0, most, -most) if abs(edge) <= most]
    )
    wide = st.builds(
        lambda sign, power: sign * most ** (1 - power) * least**power,
        st.sampled_from([-1.0, 1.0]),
        st.floats(0, 1, allow_subnormal=False),
    )
    return ordinary | edges | wide


@pytest.mark.steering_requirement(id="any-vector")
def test_any_vector(harness: Harness, request: pytest.FixtureRequest) -> None:
    """any finite vector arrives element by element: dense, sparse, one-hot, constant, or of a wide range."""
    inputs, layer = harness.prompts.batch(), harness.plans.layers("middle")[0]
    width, size = harness.architecture.hidden_size, harness.unsteered.residual_size(layer)

    def plan(kind: str, seed: int, scale: float) -> SteeringPlan:
        return SteeringPlan({layer: harness.plans.within(layer, _vector(kind, width, seed) * size, scale)}, scale)

    with checks.looking_closer(harness) as judged:
        fuzz(
            request.config,
            lambda kind, seed, scale: judged(plan(kind, seed, scale), inputs),
            model=harness.model,
            kind=st.sampled_from(["dense", "sparse", "one-hot", "constant", "wide"]),
            seed=st.integers(0, 2**31 - 1),
            scale=st.sampled_from([1.0, -1.0, 7.5, 0.25]),
        )


def _vector(kind: str, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    dense = torch.randn(width, generator=generator)
    if kind == "constant":
        return torch.ones(width)
    if kind == "one-hot":
        return torch.eye(width)[seed % width]
    if kind == "sparse":
        return dense * (torch.rand(width, generator=generator) < 0.2) + torch.eye(width)[seed % width]
    if kind == "wide":
        return dense * torch.logspace(-4, 1, width)
    return dense


@pytest.mark.steering_requirement(id="any-layer-and-length")
def test_any_layer_and_length(harness: Harness, request: pytest.FixtureRequest) -> None:
    """every decoder layer is steered exactly, for batches of any number of rows and tokens.

    One batch is longer than the buffers that masks and positions are often kept in.
    """
    with checks.looking_closer(harness) as judged:
        long = _long_prompt(harness)
        if long is not None:
            judged(harness.plans.plan(harness.plans.layers("middle")[:1]), long)

        def check(layer: int, rows: int, tokens: int, seed: int) -> None:
            inputs = harness.prompts.batch(rows, tokens, seed=seed)
            assume(_runs(harness, inputs))
            try:
                judged(harness.plans.plan([layer], seed=seed), inputs)
            except Violation:
                assume(not _goes_on(harness, inputs, layer))
                raise

        fuzz(
            request.config,
            check,
            model=harness.model,
            layer=st.integers(0, harness.architecture.num_layers - 1),
            rows=st.integers(1, harness.workload.rows if harness.can("BATCH") else 1),
            tokens=st.integers(1, harness.workload.tokens),
            seed=st.integers(0, 99),
        )


def _goes_on(harness: Harness, inputs: dict[str, Tensor], layer: int) -> bool:
    """The unsteered model goes on from what it ran before, as one that takes a prompt of one token for the next."""
    rows, tokens = harness.prompts.ids(inputs).shape
    again = []
    for seed in (101, 102):
        harness.unsteered.run_again(harness.prompts.batch(rows, tokens, seed=seed))
        again.append(harness.unsteered.run_again(inputs).received(layer))
    return tolerance.furthest(*again) > 4 * harness.unsteered.floor(layer)


def _long_prompt(harness: Harness) -> dict[str, Tensor] | None:
    """One row of as many tokens as the model itself can take, of those that are tried; none where memory is short."""
    tried = () if harness.workload.note else (harness.prompts.batch(1, tokens) for tokens in LONG)
    return next((inputs for inputs in tried if _runs(harness, inputs)), None)


def _runs(harness: Harness, inputs: dict[str, Tensor]) -> bool:
    """The unsteered model itself can run this batch."""
    try:
        checks.need_sound(harness, harness.unsteered.run(inputs))
    except (pytest.skip.Exception, Exception):  # whatever the model's own code says
        return False
    return True


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.steering_requirement(id="dtype-kept", core=True)
def test_dtype_kept(harness: Harness, dtype: str) -> None:
    """a vector of any floating-point dtype steers, and the residual stream keeps the model's dtype.

    A float32 vector added to a bfloat16 residual promotes it, and the next layer fails or slows down.
    """
    layer = harness.plans.layers("middle")[0]
    vector = harness.plans.vector(layer).to(getattr(torch, dtype))
    if not bool(torch.isfinite(vector).all()):
        vector = (harness.plans.vector(layer) / harness.unsteered.residual_size(layer)).to(vector.dtype)
    plan, inputs = SteeringPlan({layer: vector}), harness.prompts.batch()
    try:
        checks.forward(harness, plan, inputs)
    except RuntimeError as error:
        # The next module does not take it.
        emitted, wanted = _emitted_dtype(harness, plan, inputs), harness.architecture.decoder_layers[layer].dtype
        if emitted in (None, wanted):
            raise
        detail = f"the layer emits {emitted} instead of {wanted}: {' '.join(str(error).split())[:120]}"
        raise Violation(detail, where=checks.named(plan), likely=Diagnosis(Cause.PROMOTED)) from error


def _emitted_dtype(harness: Harness, plan: SteeringPlan, inputs: dict[str, Tensor]) -> torch.dtype | None:
    """The dtype of what the steered layer returned, whatever came of it; none when it did not run."""
    (layer,) = plan.vectors
    decoder_layer = harness.architecture.decoder_layers[layer]
    seen: list[torch.dtype] = []

    def look(_module: torch.nn.Module, _args: object, output: object) -> None:
        seen.append(decoder_layer.layout.read(output).dtype)

    with (
        contextlib.suppress(Exception),
        harness.steering(plan) as steered,
        harness.running(),
        hooked(decoder_layer.module.register_forward_hook(look)),
    ):
        steered(**inputs)
    return seen[0] if seen else None


@pytest.mark.parametrize("times", [2.0, 1e6])
@pytest.mark.steering_requirement(id="finite-or-refused", core=True)
def test_finite_or_refused(harness: Harness, times: float) -> None:
    """a scale that overflows the residual stream's dtype is refused with a ValueError; nothing infinite is sent.

    float16 ends at 65504: an infinity in the residual stream becomes NaN logits without an error anywhere.
    """
    layer = harness.plans.layers("middle")[0]
    # Vector and scale are numbers that can be meant each, or the plan itself would be refused.
    vector, dtype = harness.plans.vector(layer), harness.architecture.decoder_layers[layer].dtype
    most = torch.finfo(dtype).max
    scale = min(most, torch.finfo(torch.float32).max) / 100
    vector = (vector / vector.abs().max()).to(torch.promote_types(vector.dtype, dtype)) * (times * (most / scale))
    plan = SteeringPlan({layer: vector}, scale)
    inputs = harness.prompts.batch()
    try:
        received = harness.steered(plan, inputs).received(layer)
    except ValueError:
        return
    if not bool(torch.isfinite(received).all()):
        raise Violation(
            f"{int((~torch.isfinite(received)).sum())} infinite or NaN values arrive",
            where=f"layer {layer}, scale {scale:.3g}",
            likely=Diagnosis(Cause.OVERFLOW),
        )
    raise Violation(
        "the scale is changed without a word",
        where=f"layer {layer}, scale {scale:.3g}",
        likely=Diagnosis(Cause.CLAMPED, "where it would overflow"),
    )
