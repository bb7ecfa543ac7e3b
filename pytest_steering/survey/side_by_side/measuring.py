"""Every adapter beside the unsteered model, in turn within one run: ratios with intervals, and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from pytest_steering.adapters._common import steps
from pytest_steering.adapters.registry import make_adapter
from pytest_steering.architecture.compiled import compiled
from pytest_steering.architecture.inputs import seeded_ids
from pytest_steering.architecture.model import Architecture
from pytest_steering.errors import SpecError, SteeringError, one_line
from pytest_steering.oracle.costs import forward
from pytest_steering.oracle.inputs import seeded_vector
from pytest_steering.oracle.timing import Overhead
from pytest_steering.oracle.work import ROWS, Work
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.targets.target import Target, load_target

SCHEMA = 1
BUILT_IN = ("hooks", "compiled", "folded", "nnsight")
LIBRARIES = ("steering-vectors", "repeng", "nnterp", "transformer-lens", "pyvene")
MODES = ("eager", "compiled")


class BareHook:
    """One forward hook for each steered layer and nothing else: the least that eager code can do. It stays."""

    name = "bare hook"
    capabilities = frozenset({Capability.COMPILE})

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self._model, self._architecture = model, architecture
        self._hooks: list[Any] = []

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[nn.Module]:
        """The model; its hooks are put on in the first block, before anything is compiled."""
        if not self._hooks:
            for layer, step in steps(plan, self._architecture).items():
                module = self._architecture.layers[layer]
                hook = module.register_forward_hook(lambda _m, _a, output, step=step: step(output, True))
                self._hooks.append(hook)
        yield self._model


class Nobody(BareHook):
    """Nothing is steered: what the machine's noise makes of a ratio of one."""

    name = "no steering"

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[nn.Module]:
        """The model as it is."""
        yield self._model


def measure(spec: str, *, modes: tuple[str, ...], pairs: int, say: Callable[[str], None], **options: Any) -> Any:
    """The document: each adapter's ratios by work, its counts, and of what could not be measured the reason."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "model": spec,
        "device": "",
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "pairs": pairs,
        "adapters": {},
    }
    for mode in modes:
        contenders = dict(_contenders(spec, document["adapters"]))
        plain = load_target(spec)
        document["device"] = _device(plain)
        with ExitStack() as stack:
            torch.compiler.reset()
            # Beyond eight graphs of one function torch runs it in eager mode, and says so in a log alone.
            stack.enter_context(torch._dynamo.config.patch(recompile_limit=256))
            if mode == "compiled":
                for name, (target, adapter) in list(contenders.items()):
                    if Capability.COMPILE not in adapter.capabilities:
                        del contenders[name]
                        continue
                    with adapter.steer(_plan(target)):
                        stack.enter_context(compiled(target.model, **options))
                stack.enter_context(compiled(plain.model, **options))
            else:
                _count(plain, contenders, document["adapters"])
            for kind in ("prefill", "decode"):
                for rows in ROWS:
                    work = Work(kind, rows)
                    say(f"{mode} {work}")
                    found = _in_turn(work, plain, contenders, pairs, document["adapters"])
                    for name, cost in found.items():
                        ratios = document["adapters"][name].setdefault("ratios", {})
                        ratios[f"{mode} {kind} {rows}"] = _figures(work, cost)
    return document


def _contenders(spec: str, found: dict[str, Any]) -> Iterator[tuple[str, tuple[Target, Any]]]:
    for name in (Nobody, BareHook, *BUILT_IN, *LIBRARIES):
        title = name if isinstance(name, str) else name.name
        entry = found.setdefault(title, {})
        target = load_target(spec)
        model, architecture = target.model, target.architecture
        try:
            adapter = make_adapter(name, model, architecture) if isinstance(name, str) else name(model, architecture)
            with torch.no_grad(), adapter.steer(_plan(target)) as call:
                call(input_ids=seeded_ids(model, 1, 4))
        except SpecError:
            entry["reason"] = "not installed"
            continue
        except SteeringError as error:
            entry["reason"] = one_line(error, kind=False)
            continue
        except Exception as error:  # a library's own
            entry["reason"] = one_line(error, kind=True)
            continue
        entry["version"] = getattr(adapter, "version", "")
        yield title, (target, adapter)


def _in_turn(
    work: Work, plain: Target, contenders: Mapping[str, tuple[Target, Any]], pairs: int, found: dict[str, Any]
) -> dict[str, Overhead]:
    timers = {name: work.timer(target) for name, (target, _) in contenders.items()}
    unsteered, times = work.timer(plain), {name: [] for name in contenders}  # type: ignore[var-annotated]
    for number in range(-2, pairs):
        order = list(contenders.items())
        turn = number % max(1, len(order))
        for name, (target, adapter) in order[turn:] + order[:turn]:
            if name not in times:
                continue
            try:
                with adapter.steer(_plan(target)) as call:
                    first = _warm(unsteered, plain.model) if number % 2 else 0.0
                    steered = _warm(timers[name], call)
            except Exception as error:  # a library's own; what the others say stays
                found[name].setdefault("cannot", {})[str(work)] = one_line(error, kind=True)
                del times[name]
                continue
            other = first or _warm(unsteered, plain.model)
            if number >= 0:  # two rounds to warm up: graphs for sizes that change are made at the second size
                times[name].append((steered, other))
    return {name: Overhead(tuple(each)) for name, each in times.items()}


def _warm(timer: Callable[[Any], float], model: Any) -> float:
    """The second of two runs: the model that runs most often has its weights in the processor's cache already."""
    timer(model)
    return timer(model)


def _count(plain: Target, contenders: Mapping[str, tuple[Target, Any]], found: dict[str, Any]) -> None:
    inputs = {"input_ids": seeded_ids(plain.model, 8, 1)}
    with torch.no_grad():
        before = forward(plain.model, inputs)
        for name, (target, adapter) in contenders.items():
            try:
                with adapter.steer(_plan(target)) as call:
                    counted = forward(call, inputs)
            except Exception as error:  # a library's own; what the others say stays
                found[name].setdefault("cannot", {})["a pass of one token"] = one_line(error, kind=True)
                continue
            more = counted.total.beyond(before.total).figures()
            found[name]["counts"] = {**more, "peak": counted.peak - before.peak}


def _plan(target: Target) -> SteeringPlan:
    return SteeringPlan({layer: seeded_vector(target, layer) for layer in target.architecture.steering_layers})


def _figures(work: Work, cost: Overhead) -> dict[str, float]:
    low, high = cost.interval
    per_second = work.counted / cost.steered_seconds
    return {"ratio": round(cost.ratio, 4), "low": round(low, 4), "high": round(high, 4), "tokens": round(per_second, 1)}


def _device(target: Target) -> str:
    if target.device.type != "cuda":
        return f"{target.device.type}, {torch.get_num_threads()} threads"
    return str(torch.cuda.get_device_name(target.device))
