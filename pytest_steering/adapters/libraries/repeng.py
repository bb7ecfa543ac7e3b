"""Steering through repeng: the steered layers are wrapped, and the wrapper adds the vector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from repeng import ControlModel, ControlVector
from torch import nn

from pytest_steering.adapters.libraries import no_such_layer_refused, refusal, version
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.model import Architecture
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan


class RepengAdapter(SteeringAdapter):
    """Steers inside ``ControlModel(model, layer_ids)`` after ``set_control(vector, strength)``, as the README shows.

    Promised: ``layer_ids`` and "Set a ``ControlVector`` for the layers this ControlModel handles", each with a
    direction of its own; ``model.generate`` ("set the control strength and let inference rip!"); "ignore the padding
    tokens when doing the activation addition", hence batches; and ``unwrap``, which "removes the mutations done to
    the wrapped model". Positions, beams, compiled models, gradients and nesting are not spoken of.
    """

    name = "repeng"
    version = version("repeng")
    capabilities = frozenset(
        {
            Capability.MULTI_LAYER,
            Capability.PER_LAYER_VECTORS,
            Capability.BATCH,
            Capability.PADDING,
            Capability.GENERATE,
        }
    )

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model: Any = model
        try:
            ControlModel(self.model, [0]).unwrap()
        except Exception as error:
            raise refusal(self.name, model, error) from error

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        """The wrapped model inside the block, the model unwrapped again afterwards."""
        plan.check_every_row(self.name)
        directions = {layer: vector.detach().cpu().float().numpy() for layer, vector in plan.vectors.items()}
        with no_such_layer_refused():
            control = ControlModel(self.model, list(plan.vectors))
        try:
            control.set_control(ControlVector(self.model.config.model_type, directions), plan.scale)
            yield control
        finally:
            control.unwrap()
