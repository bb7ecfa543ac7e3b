"""Models as people have them: a right adapter conforms on them, and what is the model's own is said of the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_steering.fixtures.variants import FORWARD

from conformance.selftest.desk import Desk
from conformance.selftest.verdicts_of import verdicts

MODELS = "pytest_steering.fixtures.variants"
ON_EACH = (
    "architecture or exact or pass or alone or two_models or same_twice or nested or padding or arguments or states or "
    "training or options or threads or dtype"
)


@pytest.mark.slow
def test_a_right_adapter_conforms_on_them(tmp_path: Path) -> None:
    specs = [f"--steering-model={MODELS}:{name}" for name in FORWARD]
    found = verdicts(tmp_path / "report.json", *specs, "--steering-adapter=hooks", "-k", ON_EACH)
    assert len(found) == len(FORWARD)
    assert {name: row["failed"] for name, row in found.items() if row["failed"]} == {}
    copied = [entry for entry in found[f"{MODELS}:patched hooks"]["requirements"] if entry["id"] == "two-models"]
    assert [entry["reason"] for entry in copied] == ["a copy of the unsteered model runs the modules of the original"]


def test_a_model_with_noise_of_its_own_is_an_error(desk: Desk) -> None:
    result = desk.run(f"--steering-model={MODELS}:noisy", "-k", "exact_delta or layers_found or every_row")
    assert result.ret == 1
    said = f"{MODELS}:noisy: two unsteered runs of the same batch differ by "
    assert result.stdout.str().count(f"error: {said}") == 1
    assert "the model has noise of its own, which no steering can be told from" in result.stdout.str()


CONSTRUCTORS = """
from pytest_steering.adapters.hooks import HooksAdapter
import torch


def _raises(*args, **kwargs):
    raise RuntimeError("no")


class Changing(HooksAdapter):
    def __init__(self, model, architecture):
        super().__init__(model, architecture)
        generate = model.generate
        self.change(model, generate)


class Breaks(Changing):
    def change(self, model, generate):
        model.generate = _raises


class Shortens(Changing):
    def change(self, model, generate):
        model.generate = lambda *args, **kwargs: generate(*args, **kwargs)[:, :-1]


class Noisy(Changing):
    def change(self, model, generate):
        self.architecture.layers[0].register_forward_hook(lambda m, a, output: output + torch.randn_like(output))
"""


@pytest.mark.parametrize("adapter", ["Breaks", "Shortens", "Noisy"])
def test_what_making_an_adapter_breaks_is_not_the_models(desk: Desk, adapter: str) -> None:
    desk.write(constructors=CONSTRUCTORS)
    chosen = ("-k", "every_pass or exact_delta or making")
    result = desk.run("--steering-model=tiny:llama", f"--steering-adapter=constructors:{adapter}", *chosen)
    assert result.ret == 1
    assert "making-changes-nothing: " in result.stdout.str()
    assert "it changes what the unsteered model " in result.stdout.str()
