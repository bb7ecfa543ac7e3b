"""The pytest plugin: hooks and nothing else; what a hook needs is imported when the plugin is in use."""

# A project that has the plugin and does not use it pays for this file and its imports: no torch.
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_steering.plugin import cases, collection, command_line, fixtures, needs, options, running
from pytest_steering.plugin.engines import steering_checkpoint, steering_engine
from pytest_steering.plugin.fixtures import steering_adapter, steering_batch, steering_model, steering_vector
from pytest_steering.plugin.needs import _steering_needs

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

__all__ = [
    "_steering_needs",
    "steering_adapter",
    "steering_batch",
    "steering_checkpoint",
    "steering_engine",
    "steering_model",
    "steering_vector",
]

_DIST = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    command_line.add_options(parser)
    if sys.stdout is None:  # it was closed before Python began, and pytest would fail: nothing is shown, all is judged
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_steering.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


_RUNS = count()
"""Those of this process: a test may call pytest in turn."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    # Before anything is captured, and before any code of the project's runs.
    outermost = next(_RUNS) == 0
    if early_config.known_args_namespace.steering_model or early_config.getini("steering_models"):
        from pytest_steering.plugin.beside import keep_code_out
        from pytest_steering.plugin.supervising import Supervisor

        keep_code_out(early_config)
        if early_config.known_args_namespace.steering_parallel:
            from pytest_steering.plugin.ranks import keep_quiet

            keep_quiet()
        if outermost:
            Supervisor.begin(early_config)
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    # Before pytest-xdist turns -n into --dist=load.
    config.stash[_DIST] = getattr(config.option, "dist", "no")
    running.check_that_tests_run(config)
    status = yield
    if supervising := sys.modules.get("pytest_steering.plugin.supervising"):
        supervising.Supervisor.tell(config, status or 0)
    return status


def pytest_configure(config: pytest.Config) -> None:
    for marker in command_line.MARKERS:
        config.addinivalue_line("markers", marker)
    settings = options.read_settings(config)
    config.stash[fixtures.FAILURES] = fixtures.Failures()
    if settings.in_use and not config.option.help:
        from pytest_steering.plugin.guarding import guard

        guard(config)
    if options.needs_check(config, settings):
        from pytest_steering.plugin.validation import check_usage

        settings = check_usage(config, settings)
        if settings.parallel is not None and not config.option.collectonly:
            from pytest_steering.plugin.ranks import begin

            settings = begin(config, settings)
    config.stash[options.SETTINGS] = settings
    if settings.in_use and not config.option.collectonly:
        from pytest_steering.plugin import progress
        from pytest_steering.plugin.session import Closing

        config.pluginmanager.register(Closing(config, settings), options.CLOSING)
        progress.begin(config, settings)


def pytest_report_header(config: pytest.Config) -> list[str]:
    settings = options.settings_of(config)
    if not settings.in_use:
        return []
    from pytest_steering.plugin.header import header

    return list(header(config, settings, config.stash[_DIST]))


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    collection.choose_tests(session)


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return collection.ignore(collection_path, config)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    return collection.collect_file(file_path, parent, (yield))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: Any) -> None:
    if cases.is_case(obj):
        cases.request_by_marker(obj)
    else:
        fixtures.request_by_marker(collector, obj)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    fixtures.choose_models(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    cases.choose_model(item)
    if "steering_requirement" in (item.config.option.markexpr or ""):
        collection.say_all_in_marker(item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    collection.leave_out(config, items)
    needs.ask_early(items)
    fixtures.group_by_model(items)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    if not (fixtures.asks_for_model(item) and collection.is_suite_item(item)):
        return (yield)
    from pytest_steering.plugin.guarding import limited

    with limited(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if fixtures.asks_for_model(item):
        from pytest_steering.plugin import outcomes

        cases.check(item)
        outcomes.begin(item)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    if not (fixtures.asks_for_model(pyfuncitem) and collection.is_suite_item(pyfuncitem)):
        return (yield)
    from pytest_steering.plugin.outcomes import deciding_nothing

    with deciding_nothing():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if not fixtures.asks_for_model(item):
        return (yield)
    from pytest_steering.plugin import outcomes, ranks

    ranks.agree(call)
    outcomes.note_properties(item, call.when)
    with outcomes.without_traceback(item, call):
        report = yield
    outcomes.judge(item, call, report)
    outcomes.clean(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    # Whether the plugin is in use may not be known yet: the two are configured in either order.
    from pytest_steering.plugin.benchmarks import compare_machines

    compare_machines(config, machine_info, compared_benchmark["machine_info"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    node.workerinput[options.SPECS] = [spec.text for spec in options.settings_of(node.config).specs]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    if not options.settings_of(config).in_use or config.stash[_DIST] != "no":
        return None
    from pytest_steering.plugin.xdist import ModelScheduling

    return ModelScheduling(config, log)
