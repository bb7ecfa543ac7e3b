"""Steering through TransformerLens: a hook on the output of each steered block of a TransformerBridge."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoTokenizer

from pytest_steering.adapters.libraries import refusal, version
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.model import Architecture
from pytest_steering.byte_tokenizer import tiny_tokenizer
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan


class TransformerLensAdapter(SteeringAdapter):
    """Steers inside ``bridge.hooks(fwd_hooks=[("blocks.i.hook_resid_post", ...)])``, as its docstring shows.

    Promised: "add in functions to edit, remove or replace these activations as the model runs", at each block, for
    batches of tokens; ``hf_generate`` "provides direct access to HuggingFace's generation API", "and any other HF
    generation parameters", with ``use_past_kv_cache``; "hooks the caller attached beforehand are left alone", hence
    nesting. What a hook adds, and at which tokens, is the caller's own code: so the plan is checked here, and positions
    and padding are not declared.
    """

    name = "transformer-lens"
    version = version("transformer-lens")
    capabilities = frozenset(
        {
            Capability.MULTI_LAYER,
            Capability.PER_LAYER_VECTORS,
            Capability.BATCH,
            Capability.GENERATE,
            Capability.CACHE,
            Capability.BEAMS,
            Capability.NESTING,
        }
    )

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.architecture = architecture
        name = type(model).__name__
        # It reads the tokenizer again from where it was loaded, to have it put a first token.
        with tempfile.TemporaryDirectory() as folder:
            tiny_tokenizer().save_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            # It would install torchvision, and with it another torch, into the environment that is being judged.
            forbidden = patch.object(subprocess, "check_call", side_effect=OSError("nothing is installed here"))
            try:
                # The class is named in a checkpoint's config; a model that was never saved does not say it.
                with forbidden:
                    self.bridge: Any = TransformerBridge.boot_transformers(
                        name,
                        hf_config_overrides={"architectures": [name]},
                        hf_model=model,
                        tokenizer=tokenizer,
                        device=next(model.parameters()).device,
                    )
            except Exception as error:
                raise refusal(self.name, model, error) from error

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        """The bridge with its hooks inside the block."""
        plan.check_every_row(self.name)
        plan.check(self.architecture)
        hooks = [
            (f"blocks.{layer}.hook_resid_post", _adds(plan.scale * vector)) for layer, vector in plan.vectors.items()
        ]
        with self.bridge.hooks(fwd_hooks=hooks) as bridge:
            yield _Bridged(bridge)


class _Bridged:
    """A bridge that is called by the names that transformers has for its inputs."""

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge

    def __call__(self, *, input_ids: Tensor, **inputs: Any) -> Any:
        return self._bridge(input_ids, return_type="logits", **inputs)

    def generate(self, *, input_ids: Tensor, **options: Any) -> Any:
        """What the bridge generates by transformers' own generation."""
        options["use_past_kv_cache"] = options.get("use_cache", True)
        return self._bridge.hf_generate(input_ids, stop_at_eos=False, return_type="tokens", **options)


def _adds(delta: Tensor) -> Callable[..., Tensor]:
    return lambda residual, hook: residual + delta.to(residual)
