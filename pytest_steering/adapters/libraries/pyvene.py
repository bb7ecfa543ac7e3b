"""Steering through pyvene: an addition intervention with a constant source on the output of each steered block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyvene
from pyvene.models.intervenable_modelcard import type_to_module_mapping
from torch import nn

from pytest_steering.adapters.libraries import no_such_layer_refused, version
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.model import Architecture
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan


class PyveneAdapter(SteeringAdapter):
    """Steers by an ``IntervenableModel`` with ``AdditionIntervention``s, as the tutorial on adding activations shows.

    A model type that pyvene knows is addressed by ``layer`` and ``"block_output"``, another by its module's path
    ("string access"): "you can intervene with any HuggingFace model". Promised: several interventions ("parallel"),
    batches of base examples, and ``generate`` with interventions. Positions exist in a forward pass and, for
    generation, "in the prompt only", so they are not declared; the rest is not spoken of.
    """

    name = "pyvene"
    version = version("pyvene")
    capabilities = frozenset(
        {Capability.MULTI_LAYER, Capability.PER_LAYER_VECTORS, Capability.BATCH, Capability.GENERATE}
    )
    intervenable: Any = pyvene.IntervenableModel

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model, self.architecture = model, architecture

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        """The intervenable model, called as pyvene asks for."""
        plan.check_every_row(self.name)
        representations = [
            {
                **self._component(layer),
                "intervention": pyvene.AdditionIntervention(source_representation=plan.scale * vector),
            }
            for layer, vector in plan.vectors.items()
        ]
        with no_such_layer_refused():
            intervenable = self.intervenable(representations, model=self.model)
        yield _Intervened(intervenable)

    def _component(self, layer: int) -> dict[str, Any]:
        if type(self.model) in type_to_module_mapping:
            return {"layer": layer, "component": "block_output"}
        return {"component": f"{self.architecture.layers_path}[{layer}].output"}


class KeepingHooks(pyvene.IntervenableModel):  # type: ignore[misc]
    """The same, except that it removes from the model only the hooks that pyvene has put there."""

    def _remove_forward_hooks(self) -> None:
        """The hooks of others stay where they are."""
        for module in self.model.modules():
            for hooks in (module._forward_hooks, module._forward_pre_hooks):
                for key in [key for key, hook in hooks.items() if hook.__module__.startswith("pyvene.")]:
                    del hooks[key]


class KeepingHooksAdapter(PyveneAdapter):
    """Shows what pyvene does beside removing every hook of the model, which leaves nothing to be watched."""

    name = "pyvene-keeping-hooks"
    intervenable = KeepingHooks


class _Intervened:
    """An intervenable model that returns only the steered outputs."""

    def __init__(self, intervenable: Any) -> None:
        self._intervenable = intervenable

    def __call__(self, **inputs: Any) -> Any:
        _, steered = self._intervenable(inputs, unit_locations=None)
        return steered

    def generate(self, **options: Any) -> Any:
        """What the model generates with the interventions, which without locations are made in every pass."""
        inputs = {name: options.pop(name) for name in ("input_ids", "attention_mask") if name in options}
        _, steered = self._intervenable.generate(inputs, unit_locations=None, intervene_on_prompt=True, **options)
        return steered
