"""Known failures: the tests that they fit may fail as they say, and one that does so no more is reported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from pytest_steering.errors import SpecError, Violation
from pytest_steering.oracle.diagnosis.causes import Cause
from pytest_steering.plugin.collection import Selection
from pytest_steering.plugin.options import settings_of
from pytest_steering.report.model import Outcome, Record, Result
from pytest_steering.suggesting import meant
from pytest_steering.suite.catalogue import catalogue

SETTING = "steering_known_failures"
UNKNOWN = "unknown"
"""The cause of a failure whose numbers point to none."""

_CONDITION = re.compile(r"""\s*([^\s=,\]"']+)\s*=\s*("[^"]*"|'[^']*'|[^,\]"']*?)\s*([,\]])""")
_EXCEPTION = re.compile(r"[A-Z]\w*")
_FORM = 'is not of the form "requirement-id: reason"'
_LONG_FORM = 'is not of the form "requirement-id[cause=…, model=…]: reason"'


@dataclass(frozen=True)
class KnownFailure:
    """A requirement that is known not to be met, and under which conditions: by name ``cause``, ``model``, ``adapter``,
    or a parameter of its tests.

    A cause is the id of one, ``unknown``, or the name of an exception. Without one, whatever is measured to be wrong is
    known, and nothing that an adapter raises.
    """

    requirement: str
    conditions: Mapping[str, str]
    reason: str

    def __str__(self) -> str:
        """As it is written in the setting, without the reason."""
        said = ", ".join(f"{name}={_quoted(value)}" for name, value in self.conditions.items())
        return f"{self.requirement}[{said}]" if said else self.requirement

    def is_about(self, spec: str, adapter: str) -> bool:
        """Whether it speaks of a model under an adapter."""
        named = {"model": spec, "adapter": adapter}
        return all(_fits(self.conditions[name], value) for name, value in named.items() if name in self.conditions)

    def covers(self, name: str, spec: str, adapter: str, params: Mapping[str, str]) -> bool:
        """Whether it speaks of a test."""
        own = {key: value for key, value in self.conditions.items() if key not in ("cause", "model", "adapter")}
        return (
            name == self.requirement
            and self.is_about(spec, adapter)
            and all(params.get(key) == value for key, value in own.items())
        )

    def explains(self, error: BaseException) -> bool:
        """Whether a test of it that fails so does what is known."""
        if "cause" in self.conditions:
            return self.conditions["cause"] == cause_of(error)
        return isinstance(error, Violation)


KNOWN = pytest.StashKey[tuple[KnownFailure, ...]]()


def known_failures(config: pytest.Config) -> tuple[KnownFailure, ...]:
    """Those of the project, in the order in which it lists them."""
    if KNOWN not in config.stash:
        config.stash[KNOWN] = parse_known_failures(settings_of(config).known_failures)
    return config.stash[KNOWN]


def cause_of(error: BaseException) -> str:
    """The name under which a known failure has the cause of an error."""
    if not isinstance(error, Violation):
        return type(error).__name__
    return error.likely.cause.value if error.likely is not None else UNKNOWN


def parse_known_failures(lines: tuple[str, ...]) -> tuple[KnownFailure, ...]:
    """The known failures that the lines of the setting mean; ``SpecError`` for a line that cannot be meant."""
    found: dict[str, KnownFailure] = {}
    for line in lines:
        failure = _parsed(line)
        same = KnownFailure(failure.requirement, dict(sorted(failure.conditions.items())), "")
        if str(same) in found:
            raise SpecError(f"{SETTING}: {str(failure)!r} is listed twice")
        found[str(same)] = failure
    return tuple(found.values())


def stale(config: pytest.Config, record: Record, selection: Selection) -> list[str]:
    """A sentence for each known failure that no test showed, where all tests of its requirement ran."""
    if getattr(config.option, "lf", False) or any("[" in argument for argument in config.args):
        return []
    found = []
    for failure in known_failures(config):
        results = [result for result in record.judged if result.id == failure.requirement]
        if len(results) != selection.collected[failure.requirement] or failure.requirement in selection.reduced:
            continue
        covered = [each for each in results if failure.covers(each.id, each.spec, each.adapter, each.params)]
        if covered and _is_over(failure, covered):
            found.append(f"{failure} is a known failure and fails no more: remove it from {SETTING}")
        elif results and not covered and _is_judged(failure, record):
            found.append(
                f"{failure} is a known failure and no test of {failure.requirement} is so: mend it in {SETTING}"
            )
    return found


def _is_over(failure: KnownFailure, covered: list[Result]) -> bool:
    outcomes = {result.outcome for result in covered}
    shown = any(str(failure) in result.known_as for result in covered)
    if shown or not outcomes <= {Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.KNOWN}:
        return False
    return Outcome.PASSED in outcomes or any(result.known_as for result in covered)


def _is_judged(failure: KnownFailure, record: Record) -> bool:
    """Whether this run judges what the failure speaks of: a project may have other runs, on other models."""
    judged = (*record.adapters, *record.engines)
    return any(failure.is_about(spec, name) for spec in record.specs for name in judged)


def _parsed(line: str) -> KnownFailure:
    head = re.match(r"\s*([^\[\]:\s]+)\s*([\[:])", line)
    if head is None:
        raise SpecError(f"{SETTING}: {line!r} {_FORM}")
    name, place = head[1], head.end()
    conditions: dict[str, str] = {}
    if head[2] == ":":
        reason = line[place:].strip()
        if not reason:
            raise SpecError(f"{SETTING}: {line!r} {_FORM}")
        check_requirement(name, SETTING)
    else:
        check_requirement(name, SETTING)
        conditions, place = _conditions(line, name, place)
        rest = line[place:].strip()
        reason = rest.removeprefix(":").strip()
        if not rest.startswith(":") or not reason:
            raise SpecError(f"{SETTING}: {line!r} {_LONG_FORM}")
    return KnownFailure(name, conditions, reason)


def _conditions(line: str, requirement: str, place: int) -> tuple[dict[str, str], int]:
    """What stands in the brackets, and where the line goes on behind them."""
    found: dict[str, str] = {}
    while True:
        match = _CONDITION.match(line, place)
        if match is None:
            raise SpecError(f"{SETTING}: {line!r} {_LONG_FORM}")
        name, value, place = match[1], match[2], match.end()
        value = value[1:-1] if value[:1] in ("'", '"') else value
        if name in found:
            raise SpecError(f"{SETTING}: {line!r} names {name} twice")
        _check_condition(requirement, name, value)
        found[name] = value
        if match[3] == "]":
            return found, place


def _check_condition(requirement: str, name: str, value: str) -> None:
    known = ("cause", "model", "adapter", *catalogue()[requirement].parameters)
    if name not in known:
        raise SpecError(f"{SETTING}: {requirement} has no {name!r}: {_hint(name, known)}")
    if not value:
        raise SpecError(f"{SETTING}: {requirement}: {name} is empty")
    causes = (*Cause, UNKNOWN)
    if name == "cause" and value not in causes and not _EXCEPTION.fullmatch(value):
        hint = _hint(value, causes, "name one as a report does, or the type of an exception")
        raise SpecError(f"{SETTING}: there is no cause {value!r}: {hint}")


def check_requirement(name: str, source: str) -> None:
    """There is a requirement of this id; ``SpecError`` says which is close, and where it was named."""
    known: Mapping[str, object] = catalogue()
    if name not in known:
        raise SpecError(f"{source}: there is no requirement {name!r}{meant(name, known, repr, cutoff=0.4)}")


def _hint(name: str, known: tuple[str, ...], otherwise: str = "") -> str:
    otherwise = otherwise or f"known are {', '.join(known)}"
    return meant(name, map(str, known), cutoff=0.7, lead="", otherwise=otherwise)


def _fits(pattern: str, value: str) -> bool:
    """``*`` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, re.DOTALL) is not None


def _quoted(value: str) -> str:
    if not set(value) & set(""",]"'""") and value == value.strip():
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'
