"""llama.cpp through the low-level calls of llama-cpp-python, steered by its control vectors.

A control vector belongs to a context and not to a request, so requests run one after the other; tokens that a plan
does not mean go through in a pass of their own, with the vector cleared. llama.cpp checks the width and nothing else.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import llama_cpp
import numpy as np
import torch
from torch import Tensor

from pytest_steering.architecture.model import Architecture
from pytest_steering.engines.capability import EngineCapability
from pytest_steering.engines.gguf_checkpoint import gguf_of
from pytest_steering.engines.protocol import Completion, Limits, LogProbs, Request, Response
from pytest_steering.errors import EngineError
from pytest_steering.steering.plan import Positions, SteeringPlan

_CONTEXT = 256
_CHUNK = 16


class LlamaCppEngine:
    """One context of llama.cpp, float32 keys and values, without flash attention."""

    name = "llama-cpp"
    version = version("llama-cpp-python")
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(EngineCapability) - {EngineCapability.SPECULATIVE}
    limits = Limits(slots=3, block=_CHUNK, chunk=_CHUNK, cache=3 * 64, context=_CONTEXT)

    def __init__(self, directory: Path, architecture: Architecture) -> None:
        self._hidden, self._layers = architecture.hidden_size, architecture.num_layers
        self.steerable_layers = frozenset(range(1, self._layers))  # there is no control vector for the first
        with tempfile.TemporaryDirectory() as temporary:
            path = gguf_of(directory, Path(temporary) / "model.gguf")
            settings = llama_cpp.llama_model_default_params()
            settings.use_mmap = False
            _silence()
            self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
        if not self._model:
            raise EngineError(f"llama.cpp cannot load {path.name} of {directory}")
        of_context = llama_cpp.llama_context_default_params()
        of_context.n_ctx = of_context.n_batch = _CONTEXT
        of_context.n_ubatch = _CHUNK
        of_context.type_k = of_context.type_v = llama_cpp.GGML_TYPE_F32
        of_context.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        of_context.n_threads = of_context.n_threads_batch = torch.get_num_threads()
        self._context = llama_cpp.llama_init_from_model(self._model, of_context)
        if not self._context:
            raise EngineError(f"llama.cpp makes no context for {directory}")
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))

    def run(self, requests: Sequence[Request]) -> list[Response]:
        """The responses, each request on its own."""
        for request in requests:
            if request.plan is not None:
                self._use(request.plan)
        self._use(None)
        return [self._answered(request) for request in requests]

    def close(self) -> None:
        """The context and the model are freed."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _answered(self, request: Request) -> Response:
        prompt: Tensor | None = None
        completions = []
        for copy in range(request.n):
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
            rows = self._passed(request, list(request.prompt), 0)
            prompt = rows[:-1] if prompt is None else prompt
            draws = None if request.seed is None else torch.Generator().manual_seed(1000 * request.seed + copy)
            completions.append(self._generated(request, rows[-1], draws))
        return Response(tuple(completions), None if prompt is None else LogProbs(prompt))

    def _generated(self, request: Request, row: Tensor, draws: torch.Generator | None) -> Completion:
        tokens: list[int] = []
        rows: list[Tensor] = []
        while True:
            rows.append(row)
            if request.temperature:
                heated = (row.double() / request.temperature).softmax(-1)
                tokens.append(int(torch.multinomial(heated, 1, generator=draws)))
            else:
                tokens.append(int(row.argmax()))
            if tokens[-1] in request.stop or len(tokens) == request.max_new_tokens:
                return Completion(tuple(tokens), LogProbs(torch.stack(rows)))
            row = self._passed(request, tokens[-1:], len(request.prompt) + len(tokens) - 1)[-1]

    def _passed(self, request: Request, tokens: list[int], start: int) -> Tensor:
        """Log-probabilities after each of these tokens: those that the plan means and those that it does not, apart."""
        rows = []
        place = 0
        while place < len(tokens):
            steered = _means(request, start + place)
            end = place + 1
            while end < len(tokens) and _means(request, start + end) == steered:
                end += 1
            self._use(request.plan if steered else None)
            rows.append(self._decoded(tokens[place:end], start + place))
            place = end
        self._use(None)
        return torch.cat(rows)

    def _decoded(self, tokens: list[int], start: int) -> Tensor:
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            for place, token in enumerate(tokens):
                batch.token[place], batch.pos[place] = token, start + place
                batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, 0, True
            if status := llama_cpp.llama_decode(self._context, batch):
                raise EngineError(f"llama_decode returns {status} for {len(tokens)} tokens from position {start}")
            rows = [
                np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, place), (self._vocabulary,)).copy()
                for place in range(len(tokens))
            ]
        finally:
            llama_cpp.llama_batch_free(batch)
        return torch.log_softmax(torch.from_numpy(np.stack(rows)).double(), -1)

    def _use(self, plan: SteeringPlan | None) -> None:
        """The control vector of the context is that of the plan, or none."""
        if plan is None:
            llama_cpp.llama_set_adapter_cvec(self._context, None, 0, 0, -1, -1)
            return
        for layer in plan.vectors:
            if layer not in self.steerable_layers:
                raise ValueError(f"llama.cpp has control vectors for layers 1 to {self._layers - 1}, not for {layer}")
        widths = {len(vector) for vector in plan.vectors.values()}
        if len(widths) > 1:
            raise ValueError(f"the vectors of a plan are {sorted(widths)} wide; llama.cpp takes one width")
        width = widths.pop()
        data = np.zeros((self._layers - 1, width), dtype=np.float32)
        for layer, vector in plan.vectors.items():
            data[layer - 1] = (vector.detach().cpu().double() * plan.scale).numpy()
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        status = llama_cpp.llama_set_adapter_cvec(self._context, pointer, data.size, width, 1, self._layers - 1)
        if status:
            raise ValueError(f"llama.cpp refuses a control vector {width} wide; the model is {self._hidden} wide")


def _means(request: Request, position: int) -> bool:
    """Whether the request's plan means this position."""
    plan, prompt = request.plan, len(request.prompt)
    if plan is None or not plan.scale:
        return False
    first = {Positions.ALL: 0, Positions.PROMPT: 0, Positions.GENERATED: prompt, Positions.LAST: prompt - 1}
    return position >= first[plan.positions] and (plan.positions is not Positions.PROMPT or position < prompt)


@llama_cpp.llama_log_callback
def _unheard(_level: int, _text: bytes, _data: Any) -> None:
    """llama.cpp says on stderr what it loads, line by line."""


def _silence() -> None:
    llama_cpp.llama_log_set(_unheard, ctypes.c_void_p(0))
