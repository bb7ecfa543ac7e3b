"""What runs: one forward pass, or ``generate``, and by which decoding and options."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from pytest_steering.oracle.forcing import forced
from pytest_steering.oracle.generation_settings import settings_of
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.calls import Ask
from pytest_steering.scenarios.prompts import Fed, Unfit, end_token
from pytest_steering.scenarios.space import dimension

RUN = dimension("run")
DECODING = dimension("decoding", generates=True)
OPTIONS = dimension("options", generates=True)

NEW, ASSISTED, MANY = 3, 8, 70
"""New tokens of a generation, of an assisted and of a long one."""


@RUN.value("one forward pass")
def _forward(_harness: Harness, _ask: Ask) -> None:
    return None


_GENERATES = ("GENERATE",)


@RUN.value("generation", needs=_GENERATES)
def _generate(harness: Harness, ask: Ask) -> None:
    generates(harness, ask)


@RUN.value("generation without a cache", needs=(*_GENERATES, "CACHE"))
def _uncached(harness: Harness, ask: Ask) -> None:
    generates(harness, ask, use_cache=False)


@RUN.value("a prompt in chunks", needs=(*_GENERATES, "CACHE"))
def _chunks(harness: Harness, ask: Ask) -> None:
    several = {"prefill_chunk_size": ask.fed.columns - 1} if ask.fed.columns > 1 else {}
    generates(harness, ask, **several)


# Decoding


@DECODING.value("greedy decoding")
def _greedy(_harness: Harness, _ask: Ask) -> None:
    """The likeliest token is chosen."""


@DECODING.value("sampling", needs=_GENERATES)
def _sampled(_harness: Harness, ask: Ask) -> None:
    ask.kwargs |= {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}


@DECODING.value("several returned sequences", needs=(*_GENERATES, "BEAMS"))
def _several(harness: Harness, ask: Ask) -> None:
    _sampled(harness, ask)
    ask.kwargs["num_return_sequences"] = 2


@DECODING.value("beam search", needs=(*_GENERATES, "BEAMS"))
def _beams(_harness: Harness, ask: Ask) -> None:
    ask.kwargs["num_beams"] = 3


@DECODING.value("assisted decoding", needs=(*_GENERATES, "ASSISTED", "CACHE"))
def _assisted(_harness: Harness, ask: Ask) -> None:
    # The prompt's pattern goes on, so that candidates are right and decode passes of several tokens are run.
    ask.looks_up = True
    pattern = ask.fed.ids[:, :3].repeat(1, -(-(ask.fed.columns + ASSISTED) // 3))
    for name in ("use_cache", "prefill_chunk_size"):  # candidates are checked against a cache, in one pass
        ask.kwargs.pop(name, None)
    ask.kwargs |= {
        "prompt_lookup_num_tokens": 2,
        "max_new_tokens": ASSISTED,
        "min_new_tokens": ASSISTED,
        "logits_processor": forced(pattern),
    }


# Options


@OPTIONS.value("no options", name="none")
def _no_options(_harness: Harness, _ask: Ask) -> None:
    """Generation goes on to its length."""


@OPTIONS.value("a row that ends early", needs=_GENERATES)
def _ends_early(harness: Harness, ask: Ask) -> None:
    ask.ends = end_token(harness)
    ask.kwargs["logits_processor"] = LogitsProcessorList([EndsFirstRow(ask.ends, ask.fed.columns + 1)])
    ask.kwargs["eos_token_id"] = ask.ends
    ask.kwargs.pop("min_new_tokens", None)


@OPTIONS.value("a streamer", needs=_GENERATES)
def _streamed(_harness: Harness, ask: Ask) -> None:
    # A streamer is for one row that is chosen token by token.
    if len(ask.fed.ids) == 1 and not ask.kwargs.keys() & {"num_beams", "num_return_sequences"}:
        ask.kwargs["streamer"] = Streamed()


@OPTIONS.value("scores that are returned", needs=_GENERATES)
def _scores(_harness: Harness, ask: Ask) -> None:
    ask.kwargs |= {"return_dict_in_generate": True, "output_scores": True}


@OPTIONS.value("logits processors and stopping criteria", needs=_GENERATES)
def _processed(_harness: Harness, ask: Ask) -> None:
    ask.kwargs["logits_processor"] = LogitsProcessorList([EveryOther()])
    ask.kwargs["stopping_criteria"] = StoppingCriteriaList([AfterTwo()])
    ask.kwargs.pop("min_new_tokens", None)


@OPTIONS.value("a generation config in place of options", needs=_GENERATES)
def _configured(_harness: Harness, ask: Ask) -> None:
    names = [name for name in ask.kwargs if hasattr(GenerationConfig(), name)]
    ask.kwargs["generation_config"] = GenerationConfig(**{name: ask.kwargs.pop(name) for name in names})


@OPTIONS.value("the generation settings of the checkpoint", needs=_GENERATES, name="checkpoints", alone=True)
def _checkpoints(harness: Harness, ask: Ask) -> None:
    preferred = settings_of(harness.model)
    if preferred is None:
        raise Unfit("the model comes without generation settings of its own")
    if preferred.guidance_scale not in (None, 1, 1.0):
        raise Unfit("its generation settings ask for guidance, which runs a second prompt that no plan speaks of")
    asked = {name: getattr(preferred, name) for name in preferred.to_diff_dict() if hasattr(preferred, name)}
    given = {"max_new_tokens": NEW, "min_new_tokens": NEW, "pad_token_id": harness.target.pad_token_id}
    for name in (*given, "do_sample"):
        ask.kwargs.pop(name, None)
    ask.kwargs["generation_config"] = GenerationConfig(**{**asked, **given})


@OPTIONS.value("seventy new tokens", needs=_GENERATES, alone=True)
def _long(_harness: Harness, ask: Ask) -> None:
    ask.kwargs |= {"max_new_tokens": MANY, "min_new_tokens": MANY}


def generates(harness: Harness, ask: Ask, **options: Any) -> None:
    """The ask is a generation with these options; the checkpoint's own configuration decides nothing of them."""
    ask.generates = True
    ask.kwargs |= {
        "do_sample": False,
        "max_new_tokens": NEW,
        "min_new_tokens": NEW,
        "pad_token_id": harness.target.pad_token_id,
        **options,
    }


REMEMBERS = frozenset({"forward", "generate", "greedy", "sampled"})
"""The runs and decodings that can go on from a cache of the caller's."""

ONE_ROW = frozenset({"assisted"})
"""The decodings that take one row alone."""


def of_repetition(fed: Fed) -> Fed:
    """The same number of tokens, three of them again and again, so that prompt lookup finds candidates."""
    ids = fed.ids[:, :3].repeat(1, -(-fed.columns // 3))[:, : fed.columns]
    return Fed(torch.where(fed.real, ids, fed.ids), fed.real, fed.mask, fed.style)


class EndsFirstRow(LogitsProcessor):  # type: ignore[misc]
    """The first row ends after its second new token, and no other row ends."""

    def __init__(self, end: int, column: int) -> None:
        self.end, self.column = end, column

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores by which no row but the first ends."""
        scores = scores.clone()
        scores[:, self.end] = -torch.inf
        # With embeddings in place of token ids, only new tokens are counted.
        if input_ids.shape[1] in (1, self.column):
            scores[0, :] = -torch.inf
            scores[0, self.end] = 0.0
        return scores


class EveryOther(LogitsProcessor):  # type: ignore[misc]
    """Only tokens of even number are chosen."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores by which every other token is impossible."""
        scores = scores.clone()
        scores[:, 1::2] = -torch.inf
        return scores


class AfterTwo(StoppingCriteria):  # type: ignore[misc]
    """Generation ends after two new tokens."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, input_ids: Tensor, scores: Any, **_kwargs: Any) -> Tensor:
        """Whether each row is done."""
        self._calls += 1
        return torch.full((input_ids.shape[0],), self._calls >= 2, device=input_ids.device)


class Streamed:
    """A streamer that keeps what it is handed."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    def put(self, value: Tensor) -> None:
        """Takes tokens as they come."""
        self.tokens += value.flatten().tolist()

    def end(self) -> None:
        """No more tokens come."""
