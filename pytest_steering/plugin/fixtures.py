"""The fixtures that a test of steering asks for, and the models that it runs on."""

# A project that never asks for a model must never pay for torch.
# ruff: noqa: PLC0415

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_steering.errors import AdapterError, ArchitectureError, SteeringError
from pytest_steering.importing import unwarned
from pytest_steering.plugin.options import GIVEN, parsed, settings_of
from pytest_steering.targets.patterns import expanded
from pytest_steering.targets.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from pytest_steering.adapters.protocol import SteeringAdapter
    from pytest_steering.oracle.inputs import Batch
    from pytest_steering.targets.target import Target

MODEL = "steering_model"
ADAPTER = "steering_adapter"
ENGINE = "steering_engine"
NO_MODEL = (
    "no model to run on: type --steering-model=SPEC (for example --steering-model=tiny:llama), "
    "set steering_models in the pytest configuration, or name one in the steering_model marker"
)


class VectorFactory(Protocol):
    """Makes seeded steering vectors for the current model."""

    def __call__(self, layer: int = 0, seed: int = 0) -> Tensor:
        """A zero-mean vector ``(hidden_size,)`` of unit root mean square, the same on every device."""
        ...


@dataclass
class Failures:
    """What could not be loaded or built: each is tried once."""

    models: dict[str, SteeringError] = field(default_factory=dict)
    adapters: dict[tuple[str, str], SteeringError] = field(default_factory=dict)

    @contextmanager
    def once(self, failed: dict[Any, SteeringError], key: object) -> Iterator[None]:
        """What is made inside is made once: where that failed before, the same error is raised again."""
        if key in failed:
            raise failed[key]
        try:
            yield
        except SteeringError as error:
            failed[key] = error.with_traceback(None)
            raise

    def holds(self, error: BaseException) -> bool:
        """Whether this is why a model could not be loaded, or an adapter not be built."""
        return any(error is each for each in (*self.models.values(), *self.adapters.values()))


FAILURES = pytest.StashKey[Failures]()
ADAPTER_NAME = pytest.StashKey[str]()
"""The name under which the current adapter was asked for."""


def choose_models(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a model runs on those that its marker names, or else on those of the run."""
    if MODEL not in metafunc.fixturenames:
        return
    settings = settings_of(metafunc.config)
    specs = _expanded(named_specs(metafunc.definition)) or settings.specs
    if specs:
        metafunc.parametrize(MODEL, specs, ids=map(str, specs), indirect=True, scope="session")
        if ADAPTER in metafunc.fixturenames and len(settings.adapters) > 1:
            metafunc.parametrize(ADAPTER, settings.adapters, ids=settings.adapters, indirect=True, scope="session")
        if ENGINE in metafunc.fixturenames and len(settings.engines) > 1:
            metafunc.parametrize(ENGINE, settings.engines, ids=settings.engines, indirect=True, scope="session")


def named_specs(node: pytest.Item) -> tuple[Spec, ...]:
    """The models that the closest marker with any names."""
    return parsed(next((mark.args for mark in node.iter_markers(MODEL) if mark.args), ()))


def _expanded(specs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    if not any(spec.is_pattern for spec in specs):
        return specs
    try:
        return expanded(specs)
    except SteeringError as error:
        raise pytest.Collector.CollectError(f"steering_model marker: {error}") from error


def request_by_marker(collector: pytest.Collector, obj: object) -> None:
    """A marked test gets a model without asking for the fixture."""
    usefixtures = pytest.mark.usefixtures(MODEL)
    if any(mark.name == MODEL for mark in collector.own_markers):
        if not any(mark.name == "usefixtures" and MODEL in mark.args for mark in collector.own_markers):
            collector.add_marker(usefixtures)
        return
    marks = vars(obj).get("pytestmark", ()) if callable(obj) and hasattr(obj, "__dict__") else ()
    if not isinstance(obj, type) and isinstance(marks, list):
        names = [mark.name for mark in marks]
        if MODEL in names and not any(mark.name == "usefixtures" and MODEL in mark.args for mark in marks):
            usefixtures(obj)


def group_by_model(items: list[pytest.Item]) -> None:
    """Tests on one model run together, and so do those of one adapter: each model is loaded once."""
    models: dict[str, int] = {}
    places = []
    for place, item in enumerate(items):
        params = parameters(item)
        settings = settings_of(item.config)
        model, adapter = str(params.get(MODEL, "")), params.get(ADAPTER, params.get(ENGINE))
        adapters = (*settings.adapters, *settings.engines)
        number = adapters.index(adapter) if adapter in adapters else -1
        places.append((models.setdefault(model, len(models)), number, place))
    items[:] = [items[place] for _, _, place in sorted(places)]


def asks_for_model(item: pytest.Item) -> bool:
    """Whether a test asks for a model."""
    return MODEL in getattr(item, "fixturenames", ())


def parameters(item: pytest.Item) -> dict[str, Any]:
    """The values that a test is parametrised with, by name."""
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec is not None else {}


@pytest.fixture(scope="session")
def steering_model(request: pytest.FixtureRequest) -> Target:
    """The model under test, loaded once: ``.model``, ``.tokenizer``, ``.architecture``, ``.spec``."""
    settings = settings_of(request.config)
    spec: Spec | None = getattr(request, "param", None)
    if spec is None:
        if len(settings.specs) != 1:
            pytest.fail(NO_MODEL, pytrace=False)
        spec = settings.specs[0]
    failures = request.config.stash[FAILURES]
    with failures.once(failures.models, spec.text):
        _free()
        return _load(request, spec)


@pytest.fixture(scope="session")
def steering_adapter(request: pytest.FixtureRequest, steering_model: Target) -> SteeringAdapter:
    """The steering implementation under test, made for the current model."""
    with unwarned():
        from pytest_steering.adapters.registry import make_adapter

    settings = settings_of(request.config)
    name = getattr(request, "param", settings.adapters[0])
    failures = request.config.stash[FAILURES]
    request.config.stash[ADAPTER_NAME] = name
    with failures.once(failures.adapters, (steering_model.spec, name)):
        adapter = make_adapter(name, steering_model.model, steering_model.architecture, settings.provided)
        _find_again(steering_model, name)
        return adapter


@pytest.fixture(scope="session")
def steering_vector(steering_model: Target) -> VectorFactory:
    """A factory of seeded steering vectors: ``steering_vector(layer=0, seed=0)``."""
    from pytest_steering.oracle.inputs import seeded_vector

    def make(layer: int = 0, seed: int = 0) -> Tensor:
        return seeded_vector(steering_model, layer, seed)

    return make


@pytest.fixture
def steering_batch(steering_model: Target) -> Batch:
    """A dict to call the model with: unequal lengths, padded right; ``.padded("left")`` is its twin."""
    from pytest_steering.oracle.inputs import Batch

    return Batch.seeded(steering_model)


def _load(request: pytest.FixtureRequest, spec: Spec) -> Target:
    from pytest_steering.plugin import progress
    from pytest_steering.plugin.collection import is_suite_item

    with unwarned():
        from pytest_steering.plugin.metering import ForwardPasses
        from pytest_steering.targets.target import load_target

    settings = settings_of(request.config)
    _share_processors()
    with progress.loading(request.config, spec.text) as loaded:
        target = request.config.stash.get(GIVEN, {}).get(spec.text) or load_target(spec, **settings.loading)
        loaded(sum(each.numel() for each in target.model.parameters()), placed(target))
    if any(is_suite_item(item) for item in request.session.items):
        ForwardPasses.of(request.config).watch(target.model)
    return target


def placed(target: Target) -> str:
    """Where a model is and its floating-point type; empty where it has none."""
    try:
        return f"{target.place} {str(target.dtype).removeprefix('torch.')}"
    except SteeringError:
        return ""


def _find_again(target: Target, adapter: str) -> None:
    """An adapter that replaces modules of the model is judged on the model as it now is."""
    try:
        target.find_again(f"since adapter {adapter} was built")
    except ArchitectureError as error:
        raise AdapterError(
            f"adapter {adapter} replaces modules of the model when it is built, and after that {error}"
        ) from error


def _share_processors() -> None:
    """Workers of pytest-xdist share the processors: with all threads in each, they would wait for one another."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch = sys.modules.get("torch")
    if workers > 1 and torch is not None:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def _free() -> None:
    """The model before is gone before the next is loaded: pytest has let go of it, but for the last traceback."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        vars(sys).pop(name, None)
    gc.collect()
    gc.freeze()  # what is imported by now is never garbage: to look through it takes longer than most requirements
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
