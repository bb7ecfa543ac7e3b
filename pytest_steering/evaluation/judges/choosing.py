"""From what ``--judge`` is given to a judge."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_steering.errors import SpecError
from pytest_steering.evaluation.judges.judgement import Judge, JudgeError, Judgement, Question
from pytest_steering.evaluation.judges.legacy import Legacy
from pytest_steering.evaluation.judges.rules import Rules
from pytest_steering.evaluation.judges.server import ServerJudge

BUILT_IN: dict[str, Judge] = {"rules": Rules(), "legacy": Legacy()}
_SERVER = re.compile(r"openai:(?P<model>\S+)@(?P<url>https?://[^\s@?#]+)")
_ATTRIBUTE = re.compile(r"(?P<module>[\w.]+):(?P<attribute>[\w.]+)")


@dataclass(frozen=True)
class GivenJudge:
    """A judge of one's own, with a name and a version where it has none."""

    name: str
    version: str
    call: Callable[[str, Question], Any]

    def __call__(self, answer: str, question: Question) -> Judgement:
        """Its judgement; ``JudgeError`` when it raises or gives something else."""
        try:
            found = self.call(answer, question)
        except Exception as error:
            raise JudgeError(f"judge {self.name}: it raises {type(error).__name__}: {error}") from error
        if not isinstance(found, Judgement):
            raise JudgeError(f"judge {self.name}: it returns a {type(found).__name__}; return a Judgement")
        return found


def judge_named(spec: str) -> Judge:
    """The judge ``rules``, ``legacy``, ``module:attribute`` or ``openai:MODEL@URL``; else ``SpecError``."""
    if spec in BUILT_IN:
        return BUILT_IN[spec]
    if spec.startswith("openai:"):
        server = _SERVER.fullmatch(spec)
        if server is None:
            raise SpecError(f"judge is {spec!r}; write openai:MODEL@URL, as in openai:gpt-4o@https://api.openai.com/v1")
        return ServerJudge(server["model"], server["url"].rstrip("/").removesuffix("/chat/completions"))
    given = _ATTRIBUTE.fullmatch(spec)
    if given is None:
        raise SpecError(f"judge is {spec!r}; choose one of rules, legacy, module:attribute, openai:MODEL@URL")
    return _given(spec, given["module"], given["attribute"])


def _given(spec: str, module: str, attribute: str) -> GivenJudge:
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
        found = found() if inspect.isclass(found) else found
    except (Exception, SystemExit) as error:
        raise SpecError(f"judge {spec}: it cannot be imported ({type(error).__name__}: {error}); check it") from error
    if not callable(found):
        raise SpecError(f"judge {spec}: it is a {type(found).__name__}; give a function of an answer and its question")
    version = getattr(found, "version", None) or _source_hash(spec, module)
    return GivenJudge(str(getattr(found, "name", spec)), str(version), found)


def _source_hash(spec: str, module: str) -> str:
    """A hash of the module's source, so that a judge that is changed is asked again."""
    try:
        source = inspect.getsource(importlib.import_module(module))
    except (OSError, TypeError):
        raise SpecError(f"judge {spec}: no source tells when it is changed; give it a version") from None
    return hashlib.sha256(source.encode()).hexdigest()[:12]
