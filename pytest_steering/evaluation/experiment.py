"""The experiment: vectors for each CWE, their effect over doses, and controls; resumed where it stopped."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from pytest_steering.adapters.registry import make_adapter
from pytest_steering.evaluation.bench import Bench
from pytest_steering.evaluation.config import ExperimentError, UniversalSteeringConfig
from pytest_steering.evaluation.folds import Fold, TooLong, folds_of
from pytest_steering.evaluation.judges.choosing import judge_named
from pytest_steering.evaluation.parts import judged, judged_part, measures
from pytest_steering.evaluation.scenarios import Dataset, Pair, Part, load_secllmholmes
from pytest_steering.evaluation.store import Store
from pytest_steering.evaluation.styles import STYLES
from pytest_steering.evaluation.summary import Summary, summarise
from pytest_steering.suite.encoding import context_limit, prompt_ids
from pytest_steering.targets.spec import SpecKind, parse_spec
from pytest_steering.targets.target import load_target
from pytest_steering.vectors import hash_pairs, load_vectors, save_vectors
from pytest_steering.vectors.fingerprint import Fingerprint

__all__ = ["Finished", "UniversalSteeringConfig", "UniversalSteeringExperiment"]

_TOKENS_OF_AN_ANSWER = 8
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "statsmodels", "pytest-steering")
_SAMPLE = 1024


@dataclass(frozen=True)
class Finished:
    """What a whole experiment found, and the files that it wrote."""

    summary: Summary
    results: Path
    pictures: tuple[Path, ...]
    seconds: float
    """Wall time of this run, without what earlier runs had finished."""


class UniversalSteeringExperiment:
    """A steering experiment that can be stopped at any moment and goes on where it stopped.

    ``finished`` and ``total`` count its parts, for whoever stops it; ``total`` is 0 until the work is known.
    """

    def __init__(self, config: UniversalSteeringConfig) -> None:
        self.config = config
        self.total = 0
        self._count: Callable[[], int] = lambda: 0

    @property
    def finished(self) -> int:
        """How many parts are kept, asked of the disk: whoever stops it may come between a part and its counting."""
        return self._count()

    def run(self, *, progress: bool = False) -> Finished:
        """Everything that is not finished yet is done, and the results are written.

        ``SteeringError`` says in one sentence what stands in the way. The same configuration, data, weights and
        versions give the same ``results.json``, byte for byte.
        """
        started = time.perf_counter()
        judge = judge_named(self.config.judge)
        dataset = self._check()
        bench, folds, store, told = self._prepare(dataset)
        todo = dict(measures(self.config))
        parts = [f"{fold.name}/{name}" for fold in folds for name in ("vectors", *todo)]
        parts += [judged_part(fold, judge) for fold in folds if self.config.max_new_tokens]
        self._count = lambda: sum(map(store.has, parts))
        self.total = len(parts)
        with tqdm(total=self.total, initial=self.finished, desc="experiment", unit="part", disable=not progress) as bar:

            def finish(part: str, make: Callable[[], dict[str, Any]]) -> None:
                if not store.has(part):
                    store.write(part, make())
                    bar.update()

            for fold in folds:
                bar.set_postfix_str(fold.cwe)
                path = store.vectors_path(fold.name)
                finish(f"{fold.name}/vectors", partial(_vectors, bench, fold, path))
                vectors = load_vectors(path, bench.target.architecture)
                norms = {int(layer): norm for layer, norm in store.read(f"{fold.name}/vectors")["norms"].items()}
                for name, measure in todo.items():
                    finish(f"{fold.name}/{name}", partial(measure, bench, fold, vectors, norms))
                if self.config.max_new_tokens:
                    texts = store.read(f"{fold.name}/texts")
                    finish(judged_part(fold, judge), partial(judged, bench, fold, texts, judge))
        summary = summarise(self.config, store, folds, bench.layers, judge, **told)
        results = store.finish(summary.document())
        pictures: tuple[Path, ...] = ()
        if self.config.pictures:
            from pytest_steering.evaluation.pictures import draw_all  # noqa: PLC0415 (matplotlib takes a second)

            pictures = draw_all(summary, store.directory)
        return Finished(summary, results, pictures, time.perf_counter() - started)

    def _check(self) -> Dataset:
        """The data; whatever can be wrong without a model is told before one is loaded."""
        for name in self.config.styles:
            if name not in STYLES:
                raise ExperimentError(f"there is no style {name!r}; the styles are {', '.join(STYLES)}")
        if parse_spec(self.config.model_name).kind is SpecKind.CONFIG:
            raise ExperimentError(
                f"{self.config.model_name} has shapes and no weights, so it gives no answers; name a checkpoint"
            )
        dataset = load_secllmholmes(self.config.data, parts={*self.config.parts, Part.FEW_SHOT})
        folds_of(dataset, self.config)
        return dataset

    def _prepare(self, dataset: Dataset) -> tuple[Bench, tuple[Fold, ...], Store, dict[str, Any]]:
        """What the parts are made with, and what the summary is told beside them."""
        config = self.config
        target = load_target(
            config.model_name, device=config.device, dtype=config.dtype, trust_remote_code=config.trust_remote_code
        )
        if target.tokenizer is None:
            raise ExperimentError(
                f"{config.model_name} has no tokenizer, so it cannot be asked anything; "
                "put tokenizer.json beside the weights"
            )
        architecture = target.architecture
        layers = config.steering_layers or architecture.steering_layers
        if max(layers) >= architecture.num_layers:
            raise ExperimentError(
                f"there is no decoder layer {max(layers)}: {architecture.layers_path} has layers "
                f"0 to {architecture.num_layers - 1}"
            )
        notes = [*target.notes, *architecture.notes]
        if config.hidden_dim not in (None, architecture.hidden_size):
            notes.append(
                f"hidden_dim was given as {config.hidden_dim}; the residual stream is {architecture.hidden_size} wide "
                "as measured, and that is used"
            )
        adapter = make_adapter(config.adapter, target.model, architecture)
        bench = Bench(target, adapter, dataset, config, tuple(sorted(layers)), 1)
        too_long = dict(_too_long(bench))
        folds, of_folds = folds_of(dataset.only(lambda pair: pair not in too_long), config, too_long.values())
        facts = {name: fact for name, fact in asdict(Fingerprint.of(architecture)).items() if fact}
        identity = {
            "schema": 2,
            "config": config.numbers(),
            "config_hash": config.fingerprint,
            "data": {"sha256": dataset.fingerprint, "files": dataset.counts()},
            "model": {**facts, "weights": weights_hash(target.model)},
            "versions": _versions(target.device),
            "plan": {"batch_size": bench.fitting(folds)},
        }
        store = Store(config.output, identity)
        bench = replace(bench, batch_size=int(store.identity["plan"]["batch_size"]))
        told = {"too_long": tuple(too_long.values()), "notes": (*notes, *dataset.notes, *of_folds)}
        return bench, folds, store, told


def _vectors(bench: Bench, fold: Fold, path: Path) -> dict[str, Any]:
    """The fold's vectors are in their file; what they were made of, and the norms that their doses are relative to."""
    save_vectors(
        path,
        bench.train(fold),
        bench.target.architecture,
        method=bench.config.method,
        position=-1,
        data_hash=hash_pairs(bench.training_texts(fold)),
        model=bench.config.model_name,
    )
    return {
        "norms": {str(layer): norm for layer, norm in bench.norms(fold).items()},
        "build": [pair.vulnerable.name for pair in fold.build],
        "test": [pair.vulnerable.name for pair in fold.test],
    }


def _too_long(bench: Bench) -> Iterator[tuple[Pair, TooLong]]:
    """The pairs that would be used and have a prompt that exceeds the model's context."""
    config, tokenizer = bench.config, bench.target.tokenizer
    context = context_limit(bench.target.model, tokenizer)
    room = max(config.max_new_tokens, _TOKENS_OF_AN_ANSWER)
    for pair in bench.dataset.pairs:
        if config.cwes is None or pair.cwe in config.cwes:
            cases = [(style, case) for style in config.styles for case in (pair.vulnerable, pair.patched)]
            tokens = room + max(len(prompt_ids(tokenizer, bench.prompt(style, case))) for style, case in cases)
            if context is not None and tokens > context:
                yield pair, TooLong(pair.cwe, pair.vulnerable.name, tokens, context)


def _versions(device: torch.device) -> dict[str, str]:
    """The versions of everything that computes, and the device."""
    found = {"python": platform.python_version()} | {package: version(package) for package in _PACKAGES}
    return found | {"device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type}


def weights_hash(model: nn.Module) -> str:
    """A sha256 over every parameter's and buffer's name, type and shape and about a thousand of its values.

    It tells two checkpoints apart without reading all of a large one.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items()):
        flat = tensor.detach().reshape(-1)
        values = flat[:: max(1, flat.numel() // _SAMPLE)].cpu().double().numpy()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + values.tobytes())
    return digest.hexdigest()
