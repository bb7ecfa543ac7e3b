"""What the requirements share: the harness of one model under one adapter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.adapters.registry import make_adapter
from pytest_steering.engines.protocol import SteeringEngine
from pytest_steering.engines.registry import start_engine
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.costs import Idle
from pytest_steering.oracle.engines.expected import Expected
from pytest_steering.oracle.engines.harness import EngineHarness
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.loaded import Loaded
from pytest_steering.oracle.process_settings import process_settings, put_back
from pytest_steering.oracle.ranks import OneProcess
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.plugin.fixtures import ADAPTER_NAME, parameters
from pytest_steering.plugin.options import GIVEN, settings_of
from pytest_steering.suite.fresh_process import FreshRun, importable
from pytest_steering.suite.trained import Behaviour
from pytest_steering.targets.memory import available_bytes, parameter_bytes
from pytest_steering.targets.ranks import Ranks
from pytest_steering.targets.target import Target, load_target

_FRESH = pytest.StashKey[set[tuple[object, object]]]()
_COUNTED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def adapter_name(request: pytest.FixtureRequest, steering_adapter: SteeringAdapter) -> str:
    """The name under which the adapter was asked for."""
    return request.config.stash[ADAPTER_NAME]


@pytest.fixture(scope="session")
def loaded(steering_model: Target) -> Loaded:
    """The model before any adapter is made, with its unsteered runs, which all adapters share."""
    return Loaded.of(steering_model)


@pytest.fixture(scope="session")
def unsteered_cost(request: pytest.FixtureRequest, loaded: Loaded) -> Idle | None:
    """What the model costs before any adapter is made, where a requirement asks for it."""
    return Idle.of(loaded) if request.config.stash[_COUNTED] and loaded.target.has_weights else None


@pytest.fixture(scope="session")
def harness(
    request: pytest.FixtureRequest,
    steering_model: Target,
    loaded: Loaded,
    unsteered_cost: Idle | None,
    steering_adapter: SteeringAdapter,
    adapter_name: str,
) -> Iterator[Harness]:
    """The model under the adapter, with the batches, vectors and runs that requirements are judged on."""
    build = partial(make_adapter, adapter_name, provided=settings_of(request.config).provided)
    found_anew = steering_model.architecture is not loaded.unsteered.architecture
    harness = Harness(steering_model, steering_adapter, build, unsteered=None if found_anew else loaded.unsteered)
    harness.made = loaded.changes()
    if harness.workload.note:
        steering_model.notes.append(harness.workload.note)
    yield harness
    loaded.restore()


@pytest.fixture(scope="session")
def ranks(harness: Harness) -> Ranks:
    """The processes over which the model is spread, this one among them."""
    if Ranks.current is None:
        not_applicable("the model is in one process")
    return Ranks.current


@pytest.fixture(scope="session")
def one_process(request: pytest.FixtureRequest, harness: Harness, ranks: Ranks) -> OneProcess:
    """The same model in one process, loaded where a requirement asks for it first."""
    loading = {name: value for name, value in settings_of(request.config).loading.items() if name != "parallel"}
    needed, free = parameter_bytes(harness.model), available_bytes(harness.target.device)
    if any(ranks.exchange(needed > free // 2)):
        not_applicable(f"the whole model in one process needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
    return OneProcess(ranks, harness, lambda: load_target(harness.target.spec, **loading))


_EXPECTED = pytest.StashKey[dict[str, Expected]]()
"""The reference implementation's log-probabilities of each model, which all engines share."""


@pytest.fixture(scope="session")
def engine_harness(
    request: pytest.FixtureRequest, steering_model: Target, steering_checkpoint: Path, steering_engine: SteeringEngine
) -> EngineHarness:
    """The engine on the checkpoint, with the requests and runs that requirements are judged on."""
    kept = request.config.stash.setdefault(_EXPECTED, {})
    expected = kept.get(steering_model.spec) or Expected(steering_model, Unsteered.of(steering_model))
    kept.clear()
    kept[steering_model.spec] = expected
    name = request.config.stash[ADAPTER_NAME]
    start = partial(start_engine, name, steering_checkpoint, steering_model.architecture)
    return EngineHarness(expected, steering_engine, start)


@pytest.fixture(autouse=True)
def _promised(request: pytest.FixtureRequest) -> None:
    """A requirement that the engine has no part in is reported as not applicable; one that cannot be judged says so."""
    marker = request.node.get_closest_marker("steering_requirement")
    if marker is not None and "engine_harness" in request.fixturenames:
        harness = request.getfixturevalue("engine_harness")
        harness.need(*marker.kwargs.get("needs", ()))
        harness.check_floor()


@pytest.fixture(autouse=True)
def _applicable(request: pytest.FixtureRequest) -> Iterator[None]:
    """A requirement that the model or the adapter has no part in is reported as not applicable.

    What an adapter leaves behind fails the requirement that asks for it, and is taken away before the next one.
    """
    marker = request.node.get_closest_marker("steering_requirement")
    if marker is None or "harness" not in request.fixturenames:
        yield
    else:
        weights = () if marker.kwargs.get("without_weights") else ("weights",)
        harness = request.getfixturevalue("harness")
        if harness.target.has_weights and _pairing(request.node) in request.config.stash[_FRESH]:
            # It loads the model while the tests before its own go on.
            request.getfixturevalue("fresh_run")
        harness.need(*weights, *marker.kwargs.get("needs", ()))
        before = process_settings()
        harness.ran.clear()
        yield
        harness.ran.clear()
        put_back(before)
        harness.pristine.restore()


def _pairing(item: pytest.Item) -> tuple[object, object]:
    params = parameters(item)
    return params.get("steering_model"), params.get("steering_adapter")


@pytest.fixture(scope="session")
def behaviour(harness: Harness) -> Behaviour:
    """What a trained model can be asked about; it is asked when a requirement needs it."""
    return Behaviour(harness)


@pytest.fixture(scope="session")
def fresh_run(harness: Harness, adapter_name: str, request: pytest.FixtureRequest) -> Iterator[FreshRun | str]:
    """A fresh process at work on the same model, or the reason why there is none."""
    yield from _fresh_process(harness, adapter_name, request.config)


@pytest.fixture(scope="session")
def other_fresh_run(harness: Harness, adapter_name: str, request: pytest.FixtureRequest) -> Iterator[FreshRun | str]:
    """A second one, for a trained model."""
    if harness.target.trained:
        yield from _fresh_process(harness, adapter_name, request.config)
    else:
        yield "the weights are untrained"


def _fresh_process(harness: Harness, adapter_name: str, config: pytest.Config) -> Iterator[FreshRun | str]:
    needed, free = parameter_bytes(harness.model), available_bytes(harness.target.device)
    if needed > free // 2:
        yield f"a second copy of the model needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        return
    settings = settings_of(config)
    if harness.target.spec in config.stash.get(GIVEN, {}):
        yield "the model was given as an object, and no other process can load it"
        return
    if settings.parallel:
        yield "the model is spread over several ranks, and a process alone computes other bits"
        return
    adapter = importable(adapter_name, settings.provided.get(adapter_name))
    if not adapter:
        yield f"the adapter {adapter_name} comes from a hook, and no other process can import it"
        return
    run = FreshRun(
        spec=harness.target.spec,
        adapter=adapter,
        **settings.loading,
    )
    try:
        yield run
    finally:
        run.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Timings come last, when nothing else runs; and what a model's own code warns about is no verdict on steering,
    whatever filters the project sets."""
    items.sort(key=lambda item: item.path.name == "test_hot_path.py")
    for item in items:
        if item.get_closest_marker("steering_requirement"):
            # Not the filter that an adapter would set: that it is set, and stays, would show no more.
            item.add_marker(pytest.mark.filterwarnings("ignore:.*"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """The subjects of this run that a fresh process is compared with are known."""
    fresh = (item for item in session.items if "fresh_run" in getattr(item, "fixturenames", ()))
    session.config.stash[_FRESH] = {_pairing(item) for item in fresh}
    session.config.stash[_COUNTED] = any("costs" in getattr(item, "fixturenames", ()) for item in session.items)
