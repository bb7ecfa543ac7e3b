"""What a model answers: yes against no by their log probabilities, or the text that it writes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytest_steering.suite.encoding import (
    PromptError,
    Question,
    check_lengths,
    context_limit,
    device_of,
    filler_of,
    in_batches,
    padded,
    prompt_ids,
    question,
)


def forced_choice(
    call: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    yes: str = " yes",
    no: str = " no",
    batch_size: int = 8,
    progress: bool = False,
    max_tokens: int | None = None,
    device: torch.device | None = None,
    model: Any = None,
) -> Tensor:
    """``logp(yes) - logp(no)`` after each prompt: shape ``(prompts,)``, float64, in nats.

    ``call`` is a model or what an adapter's block yields. An answer of several tokens counts with the sum over
    them; which tokens an answer has is decided as in :func:`~.encoding.question`. Where both answers are one token
    each, the prompt is read in one pass, padded on the right, at each row's last real token. Longer answers are
    generated token by token under force, so that the positions of a plan mean what they mean in generation; a model
    that cannot generate reads prompt and answer in one pass, which counts all of it as prompt.

    ``model`` is the model behind ``call``, where that is what an adapter's block yields; ``max_tokens`` is the context,
    the model's own by default, and ``device`` where the ids go, by default to the model. ``PromptError`` for a missing
    tokenizer, answers that have the same tokens, and a prompt that does not fit.
    """
    questions = [question(tokenizer, prompt, (yes, no)) for prompt in prompts]
    columns = [asked.columns for asked in questions]
    model = model if model is not None else call
    check_lengths(columns, max_tokens or context_limit(model, tokenizer))
    device, filler = device or device_of(model), filler_of(tokenizer)
    single = all(len(answer) == 1 for asked in questions for answer in asked.answers)
    can_generate = hasattr(model, "generate") and hasattr(call, "generate")
    scored = _at_once if single else _generated if can_generate else _read
    differences = torch.zeros(len(prompts), dtype=torch.float64)
    for rows in in_batches(columns, batch_size, progress=progress, what="forced choice"):
        with torch.no_grad():
            scores = scored(call, model, [questions[row] for row in rows], filler, device)
        differences[rows] = scores[:, 0] - scores[:, 1]
    return differences


def word_choice(
    call: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    wordings: Sequence[tuple[str, str]],
    *,
    batch_size: int = 8,
    device: torch.device | None = None,
    model: Any = None,
) -> Tensor:
    """``logp(first) - logp(second)`` of each wording after each prompt: ``(prompts, wordings)``, float64, in nats.

    Every word is one token after every prompt, so each prompt is read once for all of them. The rest as in
    :func:`forced_choice`.
    """
    words = [word for wording in wordings for word in wording]
    questions = [question(tokenizer, prompt, words) for prompt in prompts]
    if any(len(answer) != 1 for asked in questions for answer in asked.answers):
        raise PromptError("one of the words has several tokens after one of the prompts; ask with forced_choice")
    columns = [asked.columns for asked in questions]
    model = model if model is not None else call
    check_lengths(columns, context_limit(model, tokenizer))
    device, filler = device or device_of(model), filler_of(tokenizer)
    scores = torch.zeros(len(prompts), len(words), dtype=torch.float64)
    for rows in in_batches(columns, batch_size, progress=False, what="words"):
        with torch.no_grad():
            scores[rows] = _at_once(call, model, [questions[row] for row in rows], filler, device)
    return scores[:, ::2] - scores[:, 1::2]


def generate_answers(
    steered: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 50,
    batch_size: int = 8,
    progress: bool = False,
    max_tokens: int | None = None,
    device: torch.device | None = None,
    model: Any = None,
) -> list[str]:
    """The text that follows each prompt, by greedy decoding of at most ``max_new_tokens``, without the prompt.

    Rows are padded on the left and masked, also where the tokenizer has no padding. A text ends before the token
    that ends it. ``max_tokens``, ``device`` and ``model`` as in :func:`forced_choice`.
    """
    asked = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    columns = [len(ids) + max_new_tokens for ids in asked]
    model = model if model is not None else steered
    check_lengths(columns, max_tokens or context_limit(model, tokenizer))
    device, filler = device or device_of(model), filler_of(tokenizer)
    ends = _ends(model, tokenizer)
    texts = [""] * len(prompts)
    for rows in in_batches(columns, batch_size, progress=progress, what="answers"):
        fed = padded([asked[row] for row in rows], filler=filler, side="left", device=device)
        with torch.no_grad():
            written = steered.generate(**fed, max_new_tokens=max_new_tokens, **_greedy(filler))
        width = fed["input_ids"].shape[1]
        for row, ids in zip(rows, written[:, width:].tolist(), strict=True):
            stop = next((index for index, token in enumerate(ids) if token in ends), len(ids))
            texts[row] = tokenizer.decode(ids[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return texts


def logits_at(call: Any, model: Any, fed: dict[str, Tensor], columns: Tensor) -> Tensor:
    """The logits at these columns, ``(rows, columns, vocabulary)`` in float64 on the CPU.

    A model that can is asked for no others: all of a long batch's logits can take more memory than the model.
    """
    forward = getattr(model, "forward", None)
    if forward is not None and "logits_to_keep" in inspect.signature(forward).parameters:
        logits = call(**fed, logits_to_keep=columns.to(fed["input_ids"].device)).logits
        if logits.shape[1] == len(columns):
            return logits.cpu().double()  # type: ignore[no-any-return]
    else:
        logits = call(**fed).logits
    return logits[:, columns.to(logits.device)].cpu().double()  # type: ignore[no-any-return]


def _at_once(call: Any, model: Any, asked: Sequence[Question], filler: int, device: torch.device | None) -> Tensor:
    """One token per answer: one pass over the prompts, ``(rows, answers)``."""
    fed = padded([each.prompt for each in asked], filler=filler, side="right", device=device)
    last = [len(each.prompt) - 1 for each in asked]
    kept = torch.tensor(sorted(set(last)))
    picked = logits_at(call, model, fed, kept)[torch.arange(len(asked)), torch.searchsorted(kept, torch.tensor(last))]
    tokens = torch.tensor([[answer[0] for answer in each.answers] for each in asked])
    return picked.log_softmax(-1).gather(1, tokens)


def _read(call: Any, model: Any, asked: Sequence[Question], filler: int, device: torch.device | None) -> Tensor:
    """Prompt and answer in one pass for each answer: every answer token is predicted from those before it."""
    scores = torch.zeros(len(asked), len(asked[0].answers), dtype=torch.float64)
    for number in range(scores.shape[1]):
        tails = [each.answers[number] for each in asked]
        rows = [(*each.prompt, *tail[:-1]) for each, tail in zip(asked, tails, strict=True)]
        wanted = [range(len(each.prompt) - 1, len(row)) for each, row in zip(asked, rows, strict=True)]
        kept = torch.tensor(sorted({column for columns in wanted for column in columns}))
        logits = logits_at(call, model, padded(rows, filler=filler, side="right", device=device), kept)
        for row, (columns, tail) in enumerate(zip(wanted, tails, strict=True)):
            at = torch.searchsorted(kept, torch.tensor(columns))
            scores[row, number] = logits[row, at].log_softmax(-1).gather(1, torch.tensor(tail)[:, None]).sum()
    return scores


def _generated(call: Any, model: Any, asked: Sequence[Question], filler: int, device: torch.device | None) -> Tensor:
    """Each answer is generated under force, and each step's logits say how likely its token was."""
    from transformers import LogitsProcessorList  # noqa: PLC0415 (needed for answers of several tokens only)

    scores = torch.zeros(len(asked), len(asked[0].answers), dtype=torch.float64)
    fed = padded([each.prompt for each in asked], filler=filler, side="left", device=device)
    width = fed["input_ids"].shape[1]
    for number in range(scores.shape[1]):
        tails = [each.answers[number] for each in asked]
        longest = max(map(len, tails))
        table = torch.tensor([(*tail, *[tail[-1]] * (longest - len(tail))) for tail in tails])

        def force(ids: Tensor, logits: Tensor, table: Tensor = table) -> Tensor:
            forced = torch.full_like(logits, float("-inf"))
            return forced.scatter(1, table[:, ids.shape[1] - width, None].to(logits.device), 0.0)

        result = call.generate(
            **fed,
            max_new_tokens=longest,
            logits_processor=LogitsProcessorList([force]),
            output_logits=True,
            return_dict_in_generate=True,
            **_greedy(filler),
        )
        for step, logits in enumerate(result.logits):
            likely = logits.cpu().double().log_softmax(-1).gather(1, table[:, step, None])[:, 0]
            scores[:, number] += torch.where(torch.tensor([step < len(tail) for tail in tails]), likely, 0.0)
    return scores


def _greedy(filler: int) -> dict[str, Any]:
    """Options of ``generate`` that take nothing from the checkpoint's own: one beam, no sampling."""
    return {
        "do_sample": False,
        "num_beams": 1,
        "pad_token_id": filler,
        "temperature": None,
        "top_p": None,
        "top_k": None,
    }


def _ends(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end a text."""
    found = [getattr(tokenizer, "eos_token_id", None)]
    for config in (getattr(model, "generation_config", None), getattr(model, "config", None)):
        stated = getattr(config, "eos_token_id", None)
        found += stated if isinstance(stated, list | tuple) else [stated]
    return {token for token in found if isinstance(token, int)}
