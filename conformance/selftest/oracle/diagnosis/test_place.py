"""Where the vector lands first, beside where the plan says."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad.honest import Honest
from torch import Tensor, nn

from pytest_steering.architecture.tracing import hooked
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.place import wrong_place
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_positions import PassPositions
from pytest_steering.targets.target import load_target


class OneLayerLate(Honest):
    """The layer after is steered."""

    def installed(
        self, layer: int, vector: Tensor, plan: SteeringPlan, passes: PassPositions
    ) -> AbstractContextManager[None]:
        hook = self.hook(layer, vector, plan, passes)
        return hooked(self.architecture.layers[layer + 1].register_forward_hook(hook))


class AtAReceiver(Honest):
    """What a module further on receives is steered."""

    further = 0

    def installed(
        self, layer: int, vector: Tensor, plan: SteeringPlan, passes: PassPositions
    ) -> AbstractContextManager[None]:
        decoder_layer = self.architecture.decoder_layers[layer + self.further]
        assert decoder_layer.receiver is not None

        def add(_module: nn.Module, args: Any, kwargs: Any) -> Any:
            residual = decoder_layer.receiver_layout.read((args, kwargs))
            return decoder_layer.receiver_layout.write(
                (args, kwargs), self.add(residual, self.delta(layer, plan), plan)
            )

        return hooked(decoder_layer.receiver.register_forward_pre_hook(add, with_kwargs=True))


class AtALaterReceiver(AtAReceiver):
    """What the module after the next layer receives is steered."""

    further = 1


class AtTheEmbedding(Honest):
    """The embeddings are steered, before any decoder layer."""

    def installed(
        self, layer: int, vector: Tensor, plan: SteeringPlan, passes: PassPositions
    ) -> AbstractContextManager[None]:
        embedding: Any = self.model.get_input_embeddings()
        return hooked(embedding.register_forward_hook(lambda _module, _args, output: output + self.delta(layer, plan)))


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (Honest, None),
        (AtAReceiver, None),
        (OneLayerLate, Diagnosis(Cause.ANOTHER_LAYER, "layer 2 instead of layer 1")),
        (AtALaterReceiver, Diagnosis(Cause.BEHIND, "what model.layers.3 receives changes first")),
        (AtTheEmbedding, Diagnosis(Cause.BEFORE, "the output of model.embed_tokens changes first")),
    ],
)
def test_where_it_lands(adapter: Any, expected: Diagnosis | None) -> None:
    target = load_target("tiny:llama", device=None, dtype=None, trust_remote_code=False)
    harness = Harness(target, adapter(target.model, target.architecture), adapter)
    assert wrong_place(harness, harness.plans.plan([1]), harness.prompts.batch()) == expected
