"""llama.cpp as an engine, where its bindings are installed: it steers exactly so, and its own bugs would be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from conformance import test_engine as requirements
from conformance.selftest.places import TRAINED
from pytest_steering import Architecture, load_target
from pytest_steering.engines.control_vectors import Buffer
from pytest_steering.engines.protocol import Request
from pytest_steering.engines.registry import find_engine
from pytest_steering.errors import EngineError, Violation
from pytest_steering.oracle.diagnosis.causes import Cause
from pytest_steering.oracle.engines.expected import Expected
from pytest_steering.oracle.engines.harness import EngineHarness
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.vectors import save_gguf

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def bindings() -> None:
    pytest.importorskip("llama_cpp")


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return load_target("tiny:llama").architecture


@pytest.fixture(params=["qwen2", "starcoder2"])
def started(bindings: None, request: pytest.FixtureRequest) -> Iterator[tuple[Expected, Any]]:
    """A trained checkpoint's reference, and the engine on it."""
    target = load_target(str(TRAINED / request.param))
    engine = find_engine("llama-cpp")(TRAINED / request.param, target.architecture)
    yield Expected(target, Unsteered.of(target)), engine
    engine.close()


def harness_of(expected: Expected, make: Any) -> EngineHarness:
    def start() -> Any:
        return make(Path(expected.target.spec), expected.architecture)

    return EngineHarness(expected, start(), start)


def test_what_save_gguf_writes_is_added_after_its_layer(started: tuple[Expected, Any], tmp_path: Path) -> None:
    """Each layer alone, within what the unsteered logits are off by: starcoder2's GELU comes from a table of halves."""
    expected, engine = started
    architecture, ids = expected.architecture, expected.prompt(11)
    close = 1e-5 if architecture.model_class.__name__.startswith("Qwen2") else 2e-3
    assert sorted(engine.steerable_layers) == list(range(1, architecture.num_layers))
    unsteered = logits(engine, ids)
    for layer in engine.steerable_layers:
        asked = expected.plans.plan([layer])
        save_gguf(tmp_path / "v.gguf", asked.vectors, architecture, method="seeded")
        numbers = np.zeros((architecture.num_layers - 1, architecture.hidden_size), np.float32)
        for tensor in gguf.GGUFReader(tmp_path / "v.gguf").tensors:  # as common_control_vector_load_one reads it
            numbers[int(tensor.name.removeprefix("direction.")) - 1] += tensor.data
        steered = logits(engine, ids, Buffer(numbers.tobytes(), 1, architecture.num_layers - 1))
        right = expected.under(ids, asked, len(ids))
        assert float((steered - right).abs().amax()) < close
        assert float((unsteered - right).abs().amax()) > 1000 * close
    assert torch.equal(logits(engine, ids), unsteered)


def logits(engine: Any, ids: tuple[int, ...], buffer: Buffer | None = None) -> torch.Tensor:
    """Log-probabilities after each token, by llama.cpp."""
    engine._forget()
    engine._steer(buffer)
    return torch.from_numpy(engine._decode(ids, 0)).double().log_softmax(-1)


def test_bugs_planted_in_it_are_told_apart() -> None:
    base: Any = find_engine("llama-cpp")

    class OffByOne(base):
        """The buffer is taken to start at layer 0."""

        def _checked(self, request: Request) -> Buffer | None:
            buffer = super()._checked(request)
            wide = 4 * self.architecture.hidden_size
            return buffer and Buffer(buffer.numbers[-wide:] + buffer.numbers[:-wide], 1, self.architecture.num_layers)

    class FirstChunk(base):
        """The vector is taken away behind the first chunk of a prompt."""

        def _decode(self, tokens: Any, start: int) -> Any:
            size, found = self.limits.chunk, []
            for first in range(0, len(tokens), size):
                if first:
                    self._steer(None)
                found.append(super()._decode(tokens[first : first + size], start + first))
            return np.concatenate(found)

    class Kept(base):
        """A request without a plan gets what is set."""

        def run(self, requests: Any) -> Any:
            self.running = True
            return super().run(requests)

        def _steer(self, buffer: Buffer | None) -> None:
            if buffer is not None or not getattr(self, "running", False):
                super()._steer(buffer)

    target = load_target(str(TRAINED / "qwen2"))
    expected = Expected(target, Unsteered.of(target))
    for make, broken, cause in (
        (OffByOne, lambda each: requirements.test_prompt_steered(each, "first", 1.0), Cause.ANOTHER_LAYER),
        (FirstChunk, requirements.test_long_prompt, Cause.FIRST_CHUNK),
        (Kept, requirements.test_leaves_no_trace, Cause.STALE),
    ):
        harness = harness_of(expected, make)
        try:
            harness.check_floor()
            with pytest.raises(Violation) as raised:
                broken(harness)
        finally:
            harness.engine.close()
        assert raised.value.likely is not None
        assert raised.value.likely.cause is cause


def test_a_file_that_llama_cpp_does_not_load(architecture: Architecture, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(EngineError, match=r"llama[.]cpp does not load it: .*model.gguf: .+"):
        find_engine("llama-cpp")(tmp_path / "model.gguf", architecture)


def test_another_model_in_the_file(architecture: Architecture) -> None:
    with pytest.raises(EngineError, match=r"llama[.]cpp has 4 layers, 96 wide, and model[.]layers 4, 32 wide"):
        find_engine("llama-cpp")(TRAINED / "qwen2", architecture)


def test_a_graph_that_adds_no_control_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of ``plamo2``, where llama.cpp says nothing of it."""
    make = find_engine("llama-cpp")
    monkeypatch.setattr("llama_cpp.llama_set_adapter_cvec", lambda *_: 0)
    with pytest.raises(EngineError, match=r"llama[.]cpp adds no control vector in a qwen2 .*, at no layer: there is"):
        make(TRAINED / "qwen2", load_target(str(TRAINED / "qwen2")).architecture)


def test_nothing_is_left_when_it_is_closed(started: tuple[Expected, Any]) -> None:
    expected, engine = started
    written = Path(engine._directory.name)
    assert [file.name for file in written.iterdir()] == ["model.gguf"]
    engine.close()
    engine.close()
    assert not written.exists()
    with pytest.raises(EngineError, match="llama-cpp was closed; start another"):
        engine.run([Request(expected.prompt(3))])
