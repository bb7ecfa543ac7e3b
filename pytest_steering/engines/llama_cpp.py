"""llama.cpp as an engine: a control vector of its own for each request, set by the low-level calls of its bindings.

A control vector holds for a whole context and for every token of a call of ``llama_decode``. So requests run one
after the other, and where a plan means some positions only, a call ends where they begin or end, and the vector is
set or taken away before the next. There is no control vector for layer 0: ``llama_adapter_cvec::init`` makes none.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import llama_cpp
import numpy as np
import torch
from torch import Tensor

from pytest_steering.architecture.model import Architecture
from pytest_steering.engines.capability import EngineCapability
from pytest_steering.engines.control_vectors import Buffer, buffer_of, parts
from pytest_steering.engines.gguf_models import gguf_of
from pytest_steering.engines.protocol import Completion, Limits, LogProbs, Request, Response
from pytest_steering.errors import EngineError
from pytest_steering.steering.plan import SteeringPlan

_ERROR = 3
_PROBE = 16.0
"""The size of the elements of a vector that is tried: far above what rounding could lose."""


class LlamaCppEngine:
    """Runs a GGUF file in llama.cpp on the CPU: float32 but for the weights of the file, without flash attention.

    Keys and values are in float32, too: in llama.cpp's default of 16 bits, as with flash attention, log-probabilities
    of a small qwen2 are off by 5e-3 nats in place of 6e-6.
    """

    name = "llama-cpp"
    version = str(llama_cpp.__version__)
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(EngineCapability) - {EngineCapability.SPECULATIVE}
    limits = Limits(slots=1, block=16, chunk=16, cache=256, context=256)

    def __init__(self, directory: Path, architecture: Architecture) -> None:
        self.architecture = architecture
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        self._steered_by: Buffer | None = None
        self._directory = TemporaryDirectory(prefix="pytest-steering-")
        try:
            file = gguf_of(directory, Path(self._directory.name), self.limits.context)
            with _listening() as said:
                self._start(file, said)
                self.steerable_layers = self._measured_layers(file)
        except BaseException:
            self.close()
            raise

    def _start(self, file: Path, said: list[str]) -> None:
        """The model is loaded, with a context for one request."""
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        options.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(str(file).encode(), options)
        if not self._model:
            raise _cannot(file, "does not load it", said)
        self._check_model(file)
        options = llama_cpp.llama_context_default_params()
        trained = llama_cpp.llama_model_n_ctx_train(self._model)
        self.limits = replace(self.limits, context=min(trained, self.limits.context))
        options.n_ctx = self.limits.cache
        # A call may take two of its own passes, so that both borders are crossed.
        options.n_batch, options.n_ubatch = 2 * self.limits.chunk, self.limits.chunk
        options.n_threads = options.n_threads_batch = torch.get_num_threads()
        options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
        options.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.offload_kqv = options.op_offload = False
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        if not self._context:
            raise _cannot(file, "makes no context for it", said)
        self._batch = llama_cpp.llama_batch_init(options.n_batch, 0, 1)
        self._most = int(options.n_batch)
        self._vocabulary = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model)))

    def _check_model(self, file: Path) -> None:
        """It is the model that the reference runs, as far as its size tells."""
        if llama_cpp.llama_model_has_encoder(self._model):
            raise EngineError(f"{file} is a model with an encoder, which this engine does not run")
        found = int(llama_cpp.llama_model_n_layer(self._model)), int(llama_cpp.llama_model_n_embd(self._model))
        wanted = self.architecture.num_layers, self.architecture.hidden_size
        if found != wanted:
            raise EngineError(
                f"in {file} llama.cpp has {found[0]} layers, {found[1]} wide, and {self.architecture.layers_path} "
                f"{wanted[0]}, {wanted[1]} wide: a plan would mean something else"
            )

    def _measured_layers(self, file: Path) -> frozenset[int]:
        """The layers whose control vector changes what comes out; ``EngineError`` where there is none."""
        wide = self.architecture.hidden_size
        vector = torch.full((wide,), _PROBE)
        vector[::2] *= -1
        plain = self._logits_of(None)
        found = []
        for layer in range(1, self.architecture.num_layers):
            buffer = buffer_of(SteeringPlan({layer: vector}), self.architecture)
            if not np.array_equal(self._logits_of(buffer), plain):
                found.append(layer)
        self._steer(None)
        if not found:
            raise EngineError(
                f"llama.cpp adds no control vector in a {self._architecture()} ({file}), at no layer: there is nothing "
                "to judge; choose another model, or steer this one elsewhere"
            )
        return frozenset(found)

    def _architecture(self) -> str:
        text = ctypes.create_string_buffer(128)
        llama_cpp.llama_model_meta_val_str(self._model, b"general.architecture", text, len(text))
        return text.value.decode(errors="replace")

    def close(self) -> None:
        """Model, context and the file that was written are let go of."""
        with _listening():
            if self._batch is not None:
                llama_cpp.llama_batch_free(self._batch)
            if self._context:
                llama_cpp.llama_free(self._context)
            if self._model:
                llama_cpp.llama_model_free(self._model)
        self._batch = self._context = self._model = None
        self._directory.cleanup()

    # What is asked for

    def run(self, requests: Sequence[Request]) -> list[Response]:
        """The responses, in the order of the requests."""
        if not self._context:
            raise EngineError(f"{self.name} was closed; start another")
        buffers = [self._checked(request) for request in requests]
        with _listening():
            return [self._answer(request, buffer) for request, buffer in zip(requests, buffers, strict=True)]

    def _checked(self, request: Request) -> Buffer | None:
        """The request can be run, and what it is steered by; ``ValueError`` where it cannot."""
        total = len(request.prompt) + request.max_new_tokens - 1
        if not request.prompt or total > self.limits.context:
            raise ValueError(f"a request is of 1 to {self.limits.context} tokens; got {total}")
        for token in request.prompt:
            if not 0 <= token < self._vocabulary:
                raise ValueError(f"there is no token {token}: there are {self._vocabulary}")
        return None if request.plan is None else buffer_of(request.plan, self.architecture, self.steerable_layers)

    def _answer(self, request: Request, buffer: Buffer | None) -> Response:
        """Every completion from a prompt of its own: of a shared one the state of recurrent layers would be gone."""
        made = [self._complete(request, buffer, copy) for copy in range(request.n)]
        completions = tuple(Completion(tokens, LogProbs(rows)) for tokens, _, rows in made)
        return Response(completions, LogProbs(made[0][1]))

    def _complete(self, request: Request, buffer: Buffer | None, copy: int) -> tuple[tuple[int, ...], Tensor, Tensor]:
        """The generated tokens, and the log-probabilities at the prompt's tokens but the last, and at each of them."""
        self._forget()
        in_prompt, in_generated = parts(request)
        rows = []
        for start, end, steered in in_prompt:
            self._steer(buffer if steered else None)
            rows.append(self._decode(request.prompt[start:end], start))
        prompt = torch.from_numpy(np.concatenate(rows))
        generated, tokens = [prompt[-1]], list[int]()
        with _sampler(request, copy) as sampler:
            while True:
                tokens.append(int(llama_cpp.llama_sampler_sample(sampler, self._context, -1)))
                if len(tokens) == request.max_new_tokens or tokens[-1] in request.stop:
                    break
                self._steer(buffer if in_generated else None)
                (row,) = torch.from_numpy(self._decode(tokens[-1:], len(request.prompt) + len(tokens) - 1))
                generated.append(row)
        before, after = (part.double().log_softmax(-1) for part in (prompt[:-1], torch.stack(generated)))
        return tuple(tokens), before, after

    # What llama.cpp does

    def _steer(self, buffer: Buffer | None) -> None:
        """The calls that follow are steered by the vectors in ``buffer``, or not at all: told only what is new."""
        if buffer == self._steered_by:
            return
        if buffer is None:
            failed = llama_cpp.llama_set_adapter_cvec(self._context, None, 0, self.architecture.hidden_size, -1, -1)
        else:
            numbers = (ctypes.c_float * buffer.length).from_buffer_copy(buffer.numbers)
            failed = llama_cpp.llama_set_adapter_cvec(
                self._context, numbers, buffer.length, self.architecture.hidden_size, buffer.first, buffer.last
            )
        if failed:
            raise EngineError(f"llama.cpp does not take a control vector for layers {buffer and buffer.first} and on")
        self._steered_by = buffer

    def _forget(self) -> None:
        """The context holds no tokens."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def _logits_of(self, buffer: Buffer | None) -> np.ndarray[Any, Any]:
        """The logits after a few tokens that are all steered alike."""
        self._forget()
        self._steer(buffer)
        return self._decode([token % self._vocabulary for token in (5, 3, 8)], 0)

    def _decode(self, tokens: Sequence[int], start: int) -> np.ndarray[Any, Any]:
        """The logits after each of the tokens, which stand at ``start`` and on: ``(tokens, vocabulary)``."""
        found = []
        for first in range(0, len(tokens), self._most):
            taken = tokens[first : first + self._most]
            batch = self._batch
            batch.n_tokens = len(taken)
            for place, token in enumerate(taken):
                batch.token[place], batch.pos[place] = token, start + first + place
                batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, 0, 1
            status = llama_cpp.llama_decode(self._context, batch)
            if status:
                raise EngineError(f"llama_decode fails with status {status}")
            logits = llama_cpp.llama_get_logits(self._context)
            found.append(np.ctypeslib.as_array(logits, (len(taken), self._vocabulary)).copy())
        return np.concatenate(found)


@contextmanager
def _sampler(request: Request, copy: int) -> Iterator[Any]:
    """llama.cpp's own choice of a token: the likeliest, or drawn from all at the request's temperature."""
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    try:
        if request.temperature:
            seed = llama_cpp.LLAMA_DEFAULT_SEED if request.seed is None else (request.seed * 1009 + copy) % 2**32
            llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_temp(request.temperature))
            llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_dist(seed))
        else:
            llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_greedy())
        yield chain
    finally:
        llama_cpp.llama_sampler_free(chain)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What llama.cpp says of errors, in place of all that it writes to the terminal."""
    before, given = llama_cpp.llama_log_callback(), ctypes.c_void_p()
    llama_cpp.llama_log_get(ctypes.byref(before), ctypes.byref(given))
    said: list[str] = []

    def hear(level: int, text: bytes, _given: Any) -> None:
        if level == _ERROR and len(said) < 20:
            said.append(text.decode(errors="replace").strip())

    heard = llama_cpp.llama_log_callback(hear)
    llama_cpp.llama_log_set(heard, None)
    try:
        yield said
    finally:
        llama_cpp.llama_log_set(before, given)


def _cannot(file: Path, what: str, said: Sequence[str]) -> EngineError:
    reason = next((line for line in said if "error" in line), said[0] if said else "it does not say why")
    return EngineError(f"llama.cpp {what}: {file}: {reason}")
