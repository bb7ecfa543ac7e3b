"""The contract of an engine: token ids in, log-probabilities and tokens out, a plan on each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from pytest_steering.architecture.model import Architecture
    from pytest_steering.engines.capability import EngineCapability
    from pytest_steering.steering.plan import SteeringPlan


@dataclass(frozen=True, eq=False)
class Request:
    """One prompt and what is wanted of it."""

    prompt: tuple[int, ...]
    """Token ids, at least one."""
    plan: SteeringPlan | None = None
    """How this request is steered, and no other; ``None`` is not at all."""
    max_new_tokens: int = 1
    """At least 1."""
    n: int = 1
    """How many completions."""
    temperature: float = 0.0
    """0 takes the likeliest token; above it, tokens are drawn from ``softmax(logits / temperature)``."""
    seed: int | None = None
    """Where tokens are drawn, the same seed draws the same ones, whatever runs beside the request."""
    stop: tuple[int, ...] = ()
    """A completion ends with the first of these tokens, which it holds. Nothing else ends it early."""

    def __post_init__(self) -> None:
        if self.plan is not None:
            self.plan.check_every_row("a request")

    def drawn(self, temperature: float, seed: int) -> Request:
        """The same, with tokens that are drawn."""
        return replace(self, temperature=temperature, seed=seed)


@dataclass(frozen=True, eq=False)
class LogProbs:
    """Log-probabilities at several positions: of the whole vocabulary, or of the likeliest tokens.

    ``values`` is ``(positions, vocabulary)``, or ``(positions, k)`` with the token ids of the same shape in ``ids``.
    They are those of the model: without temperature, before any token is chosen or ruled out.
    """

    values: Tensor
    ids: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Completion:
    """Tokens that were generated, and the log-probabilities that each was chosen from."""

    tokens: tuple[int, ...]
    log_probs: LogProbs
    """One position for each token."""


@dataclass(frozen=True, eq=False)
class Response:
    """What became of one request."""

    completions: tuple[Completion, ...]
    """As many as were asked for."""
    prompt_log_probs: LogProbs | None = None
    """One position for each prompt token but the first: what the tokens before it say of it."""


@dataclass(frozen=True)
class Limits:
    """What an engine can hold at once, as far as it tells: requests are made that cross these borders."""

    slots: int = 4
    """Requests that run together."""
    block: int = 16
    """Tokens of one block of the cache."""
    chunk: int = 16
    """Tokens of a prompt that one pass takes."""
    cache: int = 256
    """Tokens of all requests that the cache holds."""
    context: int = 512
    """Tokens of one request."""


@runtime_checkable
class SteeringEngine(Protocol):
    """An engine under test: it runs a checkpoint itself, here or elsewhere.

    What decoder layer i emits is ``h + scale * v`` at the plan's positions of the request that carries the plan, and
    untouched elsewhere. The same tokens get the same log-probabilities in any company.
    """

    name: str
    """What it is called in verdicts and reports."""
    capabilities: frozenset[EngineCapability]
    """What it promises beyond the core: declared capabilities must pass, others are not applicable."""
    version: str = ""
    """Shown behind the name; may be left out."""
    steerable_layers: frozenset[int] | None = None
    """The decoder layers that it can steer, where that is not each; a plan for another is refused. May be left out."""
    limits: Limits = Limits()
    """What it can hold at once; may be left out."""

    def run(self, requests: Sequence[Request]) -> Sequence[Response]:
        """The responses, in the order of the requests, which may run together.

        A plan that does not fit (another width, no such layer, a NaN) is a ``ValueError`` before anything runs.
        """
        ...

    def close(self) -> None:
        """The engine is done with; what it holds is let go of."""
        ...


def version_of(engine: SteeringEngine) -> str:
    """The engine's version, empty where it has none."""
    return str(getattr(engine, "version", SteeringEngine.version))


def layers_of(engine: SteeringEngine, architecture: Architecture) -> frozenset[int]:
    """The decoder layers that the engine can steer."""
    layers = getattr(engine, "steerable_layers", None)
    return frozenset(architecture.every_layer if layers is None else layers)


def limits_of(engine: SteeringEngine) -> Limits:
    """What the engine can hold at once."""
    limits: Limits = getattr(engine, "limits", SteeringEngine.limits)
    return limits


Factory = Callable[[Path, "Architecture"], SteeringEngine]
"""Makes an engine from a checkpoint's directory, or its GGUF file, and what the reference knows of its anatomy."""
