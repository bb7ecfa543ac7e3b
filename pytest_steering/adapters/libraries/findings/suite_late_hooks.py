"""A hook that is registered during the call is not seen where the layer's output has no single reader, as in XLNet.

This one is about the suite: it then watches the layer by a hook of its own, which runs before one that is registered
later. pyvene registers its hooks in each call; it steers XLNet's last layer, and is told that nothing arrives.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from pytest_steering import detect_architecture
from pytest_steering.arrival import Trace, observe
from pytest_steering.feed import seeded_ids
from pytest_steering.zoo import tiny_model


@torch.no_grad()
def main() -> int:
    """1 when the logits move, and what arrives does not."""
    model: Any = tiny_model("xlnet").eval()
    architecture = detect_architecture(model)
    layer = architecture.num_layers - 1
    ids = seeded_ids(model, 2, 8)

    def steered() -> Any:
        add = architecture.emissions[layer].module.register_forward_hook(
            lambda _module, _args, output: (output[0] + 1, *output[1:])
        )
        with_hook = model(input_ids=ids).logits
        add.remove()
        return with_hook

    traces: list[Trace] = [
        observe(architecture, [layer], run) for run in (lambda: model(input_ids=ids).logits, steered)
    ]
    seen = float((traces[1].arrived(layer) - traces[0].arrived(layer)).abs().max())
    moved = float((traces[1].result - traces[0].result).abs().max())
    sys.stdout.write(f"1 is added after layer {layer}: {seen:.3g} is seen to arrive, the logits move by {moved:.3g}\n")
    return int(seen == 0 and moved > 0)


if __name__ == "__main__":
    sys.exit(main())
