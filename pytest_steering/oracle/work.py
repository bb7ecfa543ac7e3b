"""What is timed: a prompt's pass, decode steps or a generation, of one row or of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import StaticCache

from pytest_steering.architecture.inputs import seeded_ids
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.oracle.timing import seconds_of
from pytest_steering.targets.target import Target

KINDS: Final = ("prefill", "decode", "generate")
ROWS: Final = (1, 8)


@dataclass(frozen=True)
class Work:
    """One piece of work, the same in every run."""

    kind: str
    rows: int
    tokens: int = 32
    new: int = 8

    def __str__(self) -> str:
        return f"{self.kind} {self.shape}"

    @property
    def shape(self) -> str:
        """The rows and tokens of the prompt, and the new tokens of each row."""
        return f"{self.rows}x{self.tokens}" + (f"+{self.new}" if self.kind != "prefill" else "")

    @property
    def counted(self) -> int:
        """The tokens that one run is for: those of the prompt, or the new ones."""
        return self.rows * (self.tokens if self.kind == "prefill" else self.new)

    def timer(self, target: Target) -> Callable[[Any], float]:
        """A function that takes what is called like the model, and returns the seconds of one run; what comes before
        the work (a prompt, for decode steps) is not timed."""
        ids = seeded_ids(target.model, self.rows, self.tokens)
        if self.kind == "prefill":
            return lambda call: _timed(lambda: call(input_ids=ids, use_cache=False), target)
        if self.kind == "generate":
            options = {"max_new_tokens": self.new, "min_new_tokens": self.new, "do_sample": False}

            def generate(call: Any) -> float:
                with own_settings(target.model):
                    return _timed(lambda: call.generate(ids, pad_token_id=target.pad_token_id, **options), target)

            return generate
        cache = StaticCache(config=target.model.config, max_cache_len=self.tokens + self.new)

        def decode(call: Any) -> float:
            cache.reset()
            _timed(lambda: call(input_ids=ids, past_key_values=cache, use_cache=True), target)
            token = ids[:, :1]
            steps = range(self.new)
            return _timed(lambda: [call(input_ids=token, past_key_values=cache, use_cache=True) for _ in steps], target)

        return decode


@torch.no_grad()
def _timed(run: Callable[[], Any], target: Target) -> float:
    return seconds_of(run, target.device)
