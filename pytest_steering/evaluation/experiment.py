"""The experiment: vectors for each weakness, their effect over doses, and controls; resumed where it stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from pytest_steering.adapters import make_adapter
from pytest_steering.evaluation.batching import plan_batches
from pytest_steering.evaluation.bench import Bench
from pytest_steering.evaluation.config import ExperimentError, UniversalSteeringConfig
from pytest_steering.evaluation.encoding import context_limit, prompt_ids
from pytest_steering.evaluation.folds import Fold, folds_of, without
from pytest_steering.evaluation.judges.choosing import judge_named
from pytest_steering.evaluation.judges.judgement import Judge
from pytest_steering.evaluation.parts import judged, judged_part, measures
from pytest_steering.evaluation.provenance import data_facts, model_facts, versions
from pytest_steering.evaluation.scenarios import Dataset, Pair, Part, load_secllmholmes
from pytest_steering.evaluation.store import Store
from pytest_steering.evaluation.styles import STYLES
from pytest_steering.evaluation.summary import Summary, summarise
from pytest_steering.specs import SpecKind, parse_spec
from pytest_steering.target import Target, load_target
from pytest_steering.vectors import hash_pairs, load_vectors, save_vectors

__all__ = ["Finished", "UniversalSteeringConfig", "UniversalSteeringExperiment"]

_TOKENS_OF_AN_ANSWER = 8


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
        self.finished = 0
        self.total = 0

    def run(self, *, progress: bool = False) -> Finished:
        """Everything that is not finished yet is done, and the results are written.

        ``SteeringError`` says in one sentence what stands in the way. The same configuration, data, weights and
        versions give the same ``results.json``, byte for byte.
        """
        started = time.perf_counter()
        judge = judge_named(self.config.judge)
        dataset = self._check()
        target = _loaded(self.config)
        bench, folds, store, notes = self._prepare(target, dataset)
        todo = list(measures(self.config))
        names = ["vectors", *(name for name, _ in todo)]
        parts = [f"{fold.name}/{name}" for fold in folds for name in names]
        if self.config.max_new_tokens:
            parts += [judged_part(fold, judge) for fold in folds]
        self.total = len(parts)
        self.finished = sum(map(store.has, parts))
        with tqdm(total=self.total, initial=self.finished, desc="experiment", unit="part", disable=not progress) as bar:
            for fold in folds:
                bar.set_postfix_str(fold.cwe)
                vectors, norms = self._vectors(bench, fold, store, bar)
                for name, measure in todo:
                    part = f"{fold.name}/{name}"
                    if not store.has(part):
                        begun = time.perf_counter()
                        content = measure(bench, fold, vectors, norms)
                        self._done(store, part, {**content, "seconds": time.perf_counter() - begun}, bar)
                if self.config.max_new_tokens:
                    self._judge(bench, fold, store, judge, bar)
        summary = summarise(self.config, store, folds, bench.layers, notes, judge)
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
            if STYLES[name].reasoned:
                plain = ", ".join(style for style in STYLES if not STYLES[style].reasoned)
                raise ExperimentError(
                    f"style {name} asks for reasoning before the answer, so there is no answer to read at the end of "
                    f"its prompt; choose among {plain}"
                )
        if parse_spec(self.config.model_name).kind is SpecKind.CONFIG:
            raise ExperimentError(
                f"{self.config.model_name} has shapes and no weights, so it gives no answers; name a checkpoint"
            )
        dataset = load_secllmholmes(self.config.data, parts={*self.config.parts, Part.FEW_SHOT})
        folds_of(dataset, self.config)
        return dataset

    def _prepare(self, target: Target, dataset: Dataset) -> tuple[Bench, tuple[Fold, ...], Store, tuple[str, ...]]:
        config, architecture = self.config, target.architecture
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
        facts = data_facts(dataset)
        adapter = make_adapter(config.adapter, target.model, architecture)
        bench = Bench(target, adapter, dataset, config, tuple(sorted(layers)), 1)
        if limit := context_limit(target.model, target.tokenizer):
            room = limit - max(config.max_new_tokens, _TOKENS_OF_AN_ANSWER)
            dataset, left_out = without(dataset, lambda pair: max(_lengths(bench, pair)) > room)
            if left_out:
                notes.append(
                    f"{left_out} pairs are left out: their prompts are longer than the context of {limit} tokens"
                )
        folds, fold_notes = folds_of(dataset, config)
        prompts = [bench.prompt(style, case) for fold in folds for case in bench.cases(fold) for style in config.styles]
        plan = plan_batches(
            target.model,
            target.tokenizer,
            prompts,
            device=target.device,
            new_tokens=config.max_new_tokens,
            memory_optimized=config.memory_optimized,
        )
        identity = {
            "schema": 1,
            "config": config.numbers(),
            "config_hash": config.fingerprint,
            "data": facts,
            "model": model_facts(target),
            "versions": versions(target.device),
            "plan": {"batch_size": plan.batch_size, "memory_optimized": plan.memory_optimized},
        }
        store = Store(config.output, identity)
        bench = replace(bench, batch_size=int(store.identity["plan"]["batch_size"]))
        return bench, folds, store, (*notes, *dataset.notes, *fold_notes)

    def _vectors(self, bench: Bench, fold: Fold, store: Store, bar: Any) -> tuple[dict[int, Tensor], dict[int, float]]:
        """The fold's vectors, read back from their file whether they are new or not."""
        part, path, architecture = f"{fold.name}/vectors", store.vectors_path(fold.name), bench.target.architecture
        if not store.has(part) or not path.is_file():
            begun = time.perf_counter()
            save_vectors(
                path,
                bench.train(fold),
                architecture,
                method=self.config.method,
                position=-1,
                data_hash=hash_pairs(bench.training_texts(fold)),
                model=self.config.model_name,
            )
            content = {
                "norms": {str(layer): norm for layer, norm in bench.norms(fold).items()},
                "build": [pair.vulnerable.name for pair in fold.split.build],
                "test": [pair.vulnerable.name for pair in fold.split.test],
                "seconds": time.perf_counter() - begun,
            }
            self._done(store, part, content, bar)
        norms = {int(layer): norm for layer, norm in store.read(part)["norms"].items()}
        return load_vectors(path, architecture), norms

    def _judge(self, bench: Bench, fold: Fold, store: Store, judge: Judge, bar: Any) -> None:
        """The fold's texts are judged, unless this judge has judged them before."""
        part = judged_part(fold, judge)
        if not store.has(part):
            begun = time.perf_counter()
            content = judged(bench, fold, store.read(f"{fold.name}/texts"), judge)
            self._done(store, part, {**content, "seconds": time.perf_counter() - begun}, bar)

    def _done(self, store: Store, part: str, content: dict[str, Any], bar: Any) -> None:
        new = not store.has(part)
        store.write(part, content)
        self.finished += new
        bar.update(int(new))


def _lengths(bench: Bench, pair: Pair) -> list[int]:
    """How many tokens the prompts about a pair have."""
    return [
        len(prompt_ids(bench.target.tokenizer, bench.prompt(style, case)))
        for style in bench.config.styles
        for case in (pair.vulnerable, pair.patched)
    ]


def _loaded(config: UniversalSteeringConfig) -> Target:
    target = load_target(
        config.model_name, device=config.device, dtype=config.dtype, trust_remote_code=config.trust_remote_code
    )
    if target.tokenizer is None:
        raise ExperimentError(
            f"{config.model_name} has no tokenizer, so it cannot be asked anything; "
            "put tokenizer.json beside the weights"
        )
    return target
