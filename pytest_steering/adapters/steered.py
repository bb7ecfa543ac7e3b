"""A model while it is steered, for adapters that follow the passes themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pytest_steering.feed import fed_mask, fed_tokens
from pytest_steering.positions import PassPositions


class Steered:
    """A model that is called and generates like itself, with ``_run`` around each call."""

    def __init__(self, model: nn.Module, passes: PassPositions) -> None:
        self._model = model
        self._passes = passes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the model returns, steered."""
        return self._run(self._model, args, kwargs)

    def generate(self, inputs: Tensor | None = None, **options: Any) -> Any:
        """What the model generates, steered in every pass."""
        given = options if inputs is None else {"input_ids": inputs, **options}
        with self._passes.generating(fed_tokens(given), fed_mask(given)):
            generate: Callable[..., Any] = self._model.generate  # type: ignore[assignment]
            return self._run(generate, () if inputs is None else (inputs,), options)

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)
