"""Adapters are found by name, built, and refused with one sentence; the built-in ones agree with each other."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.adapters.registry import GROUP, find_factory, make_adapter
from pytest_steering.architecture.detection import detect_architecture
from pytest_steering.errors import AdapterError, SpecError
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.targets.tiny.models import tiny_model

ADAPTERS = """
class NoSteer:
    name, capabilities = "no-steer", frozenset()
    def __init__(self, model, architecture): pass

class Nameless:
    capabilities = frozenset()
    def __init__(self, model, architecture): pass
    def steer(self, plan): pass

class Declares:
    name = "declares"
    def __init__(self, model, architecture): pass
    def steer(self, plan): pass

class OneWord(Declares):
    capabilities = "batch"

class Nothing(Declares):
    capabilities = None

class UpperCase(Declares):
    capabilities = {"BATCH", "generate"}

class Misspelt(Declares):
    capabilities = ["generat"]

class Unknown(Declares):
    capabilities = {7}

class Plain(Declares):
    capabilities = ["batch", "generate"]

class Raises:
    def __init__(self, model, architecture):
        raise RuntimeError("no licence\\nfound")

number = 7
"""

KNOWN = ", ".join(sorted(point.name for point in entry_points(group=GROUP)))


@pytest.fixture
def my_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_adapters.py").write_text(ADAPTERS)
    (tmp_path / "broken_adapters.py").write_text("import nothing_of_the_kind\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("my_adapters")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hook", "there is no steering adapter 'hook': did you mean 'hooks'?"),
        ("xyz", f"there is no steering adapter 'xyz': known are {KNOWN}, or module:attribute"),
        (
            "not_there:Adapter",
            "steering adapter 'not_there:Adapter': module 'not_there' cannot be imported "
            "(ModuleNotFoundError: No module named 'not_there')",
        ),
        (
            "broken_adapters:Adapter",
            "steering adapter 'broken_adapters:Adapter': module 'broken_adapters' cannot be imported "
            "(ModuleNotFoundError: No module named 'nothing_of_the_kind')",
        ),
        (
            "my_adapters:Adapter",
            "steering adapter 'my_adapters:Adapter': module 'my_adapters' has no attribute 'Adapter'",
        ),
        (
            "my_adapters:number",
            "steering adapter 'my_adapters:number' is a int, not a callable (model, architecture) -> adapter",
        ),
    ],
)
def test_a_name_that_cannot_be_meant(name: str, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        find_factory(name)
    assert str(refusal.value) == sentence


@pytest.mark.usefixtures("my_adapters")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("my_adapters:Raises", "adapter my_adapters:Raises cannot be built: RuntimeError: no licence found"),
        (
            "my_adapters:NoSteer",
            "adapter my_adapters:NoSteer made a NoSteer, which has no steer(plan) method: "
            "see the contract of an adapter in the README",
        ),
        (
            "my_adapters:Nameless",
            "adapter my_adapters:Nameless has no attribute 'name': the contract asks for it",
        ),
        (
            "my_adapters:OneWord",
            "adapter my_adapters:OneWord: capabilities is the str 'batch': give a set, as in "
            "frozenset({Capability.BATCH})",
        ),
        (
            "my_adapters:Nothing",
            "adapter my_adapters:Nothing: capabilities is the NoneType None: give a set, as in "
            "frozenset({Capability.BATCH})",
        ),
        (
            "my_adapters:UpperCase",
            "adapter my_adapters:UpperCase declares 'BATCH', which is no capability: did you mean Capability.BATCH?",
        ),
        (
            "my_adapters:Misspelt",
            "adapter my_adapters:Misspelt declares 'generat', which is no capability: did you mean "
            "Capability.GENERATE?",
        ),
        (
            "my_adapters:Unknown",
            f"adapter my_adapters:Unknown declares 7, which is no capability: known are {', '.join(Capability)}",
        ),
    ],
)
def test_an_adapter_that_breaks_the_protocol(name: str, sentence: str) -> None:
    model = tiny_model("llama")
    with pytest.raises(AdapterError) as refusal:
        make_adapter(name, model, detect_architecture(model))
    assert str(refusal.value) == sentence


@pytest.mark.usefixtures("my_adapters")
def test_capabilities_are_words_too() -> None:
    model = tiny_model("llama")
    assert make_adapter("my_adapters:Plain", model, detect_architecture(model)).name == "declares"


@pytest.mark.usefixtures("my_adapters")
def test_someone_elses_package_registers_one(tmp_path: Path) -> None:
    package = tmp_path / "my_package-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[pytest_steering.adapters]\nmine = my_adapters:NoSteer\ntheirs = not_there:Adapter\n"
    )
    assert find_factory("mine").__name__ == "NoSteer"
    with pytest.raises(SpecError, match=r"steering adapter 'theirs' cannot be imported .*install its package"):
        find_factory("theirs")


def test_a_provided_adapter_comes_first() -> None:
    def mine(model: Any, architecture: Any) -> Any:
        raise NotImplementedError

    assert find_factory("hooks", {"hooks": mine}) is mine


@pytest.mark.parametrize("name", ["hooks", "nnsight", "folded"])
def test_the_built_in_ones_agree(name: str) -> None:
    model = tiny_model("llama")
    architecture = detect_architecture(model)
    adapter = make_adapter(name, model, architecture)
    assert isinstance(adapter, SteeringAdapter)
    plan = SteeringPlan({1: torch.linspace(-1, 1, 32), 3: torch.linspace(1, -1, 32)}, 0.5)
    ids = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        with adapter.steer(plan) as steered:
            found = steered(input_ids=ids).logits
        with make_adapter("hooks", model, architecture).steer(plan) as steered:
            wanted = steered(input_ids=ids).logits
        assert not torch.equal(wanted, model(input_ids=ids).logits)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_folded_says_what_it_cannot() -> None:
    model = tiny_model("llama")
    adapter = make_adapter("folded", model, detect_architecture(model))
    with (
        pytest.raises(ValueError, match=r"cannot steer positions=last"),
        adapter.steer(SteeringPlan({0: torch.ones(32)}, positions=Positions.LAST)),
    ):
        pass
    mixture = tiny_model("mixtral")
    with pytest.raises(AdapterError, match=r"model.layers.0 has no bias to fold a vector into"):
        make_adapter("folded", mixture, detect_architecture(mixture))


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        ({}, "a steering plan needs at least one steering vector; got none"),
        ({0: torch.ones(1, 32)}, "the steering vector of layer 0 must have shape (hidden_size,); got (1, 32)"),
        ({0: torch.ones(32, dtype=torch.int64)}, "the steering vector of layer 0 must be a floating-point tensor"),
        ({-1: torch.ones(32)}, "a decoder layer index is a whole number from 0; got -1"),
        ({1: torch.full((32,), torch.nan)}, "the steering vector of layer 1 holds a NaN or an infinity"),
    ],
)
def test_a_plan_that_means_nothing(vectors: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"steering|layer") as refusal:
        SteeringPlan(vectors)
    assert str(refusal.value).startswith(sentence)


def test_a_plan_that_does_not_fit() -> None:
    architecture = detect_architecture(tiny_model("llama"))
    with pytest.raises(ValueError, match=r"the steering vector of layer 0 has 31 elements; the residual stream of "):
        SteeringPlan({0: torch.ones(31)}).check(architecture)
    with pytest.raises(ValueError, match=r"there is no decoder layer 4: model.layers has layers 0 to 3"):
        SteeringPlan({4: torch.ones(32)}).check(architecture)
