"""Whether a response holds what its request asks for, before anything in it is compared."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pytest_steering.engines.protocol import LogProbs, Request, Response
from pytest_steering.errors import Violation
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis


def check_shape(requests: Sequence[Request], responses: Sequence[Response], prompts: bool) -> None:
    """One response for each request, each with its completions and their log-probabilities; else ``Violation``."""
    if len(responses) != len(requests):
        raise _incomplete(f"{len(responses)} responses to {len(requests)} requests")
    for number, (request, response) in enumerate(zip(requests, responses, strict=True)):
        try:
            _check(request, response, prompts, f"request {number} of {len(requests)}")
        except Violation as violation:
            if any(_fits(other, response, prompts) for other in requests if other is not request):
                violation.likely = Diagnosis(Cause.ORDER)
            raise


def _fits(request: Request, response: Response, prompts: bool) -> bool:
    try:
        _check(request, response, prompts, "")
    except Violation:
        return False
    return True


def _check(request: Request, response: Response, prompts: bool, where: str) -> None:
    """The response holds what its request asks for."""
    if len(response.completions) != request.n:
        raise _incomplete(f"{len(response.completions)} completions; asked for {request.n}", where)
    if prompts:
        if response.prompt_log_probs is None:
            raise _incomplete("no log-probabilities of the prompt, which the engine declares", where)
        _positions(response.prompt_log_probs, len(request.prompt) - 1, "prompt tokens but the first", where)
    for completion in response.completions:
        _check_tokens(request, completion.tokens, where)
        _positions(completion.log_probs, len(completion.tokens), "generated tokens", where)


def _check_tokens(request: Request, tokens: Sequence[int], where: str) -> None:
    stopped = bool(tokens) and tokens[-1] in request.stop
    if any(token in request.stop for token in tokens[:-1]):
        raise _incomplete("it goes on behind a stop token", where)
    if len(tokens) != request.max_new_tokens and not (stopped and 0 < len(tokens) < request.max_new_tokens):
        raise _incomplete(f"{len(tokens)} tokens; asked for {request.max_new_tokens}", where)


def _positions(part: LogProbs, wanted: int, of: str, where: str) -> None:
    shape = tuple(part.values.shape)
    if len(shape) != 2 or shape[0] != wanted:
        raise _incomplete(f"log-probabilities of shape {shape} for {wanted} {of}", where)
    if part.ids is not None and tuple(part.ids.shape) != shape:
        raise _incomplete(f"token ids of shape {tuple(part.ids.shape)} beside values of shape {shape}", where)
    values: Tensor = part.values
    if not wanted:
        return
    if bool(values.isnan().any()) or bool((values > 1e-3).any()):
        raise _incomplete("a log-probability is no number, or above 0", where)
    total = values.detach().double().exp().sum(-1)
    if part.ids is None and bool(((total - 1).abs() > 1e-2).any()):
        raise _incomplete(f"probabilities add up to {float(total.max()):.3f}", where)


def _incomplete(detail: str, where: str = "") -> Violation:
    return Violation(detail, where=where, likely=Diagnosis(Cause.INCOMPLETE))
