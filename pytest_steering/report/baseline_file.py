"""The file of a baseline, made to be committed: it has no times, no machine and no order of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pytest_steering.errors import SpecError
from pytest_steering.report.baseline import Baseline, Judged, Standing, Subject, add_subject, head_of, of_report
from pytest_steering.report.model import Outcome
from pytest_steering.report.reading import OUTCOMES, Unfit, numbers, only, read_json, rows, table, words

SCHEMA: Final = 1


def read(path: Path, name: str) -> Baseline:
    """The baseline in a file, or that of a report; ``SpecError`` names the file as ``name`` and says what is wrong."""
    document = read_json(path, name)
    is_report = "models" in document
    try:
        return of_report(document) if is_report else _parsed(document)
    except Unfit as error:
        kind = "report" if is_report else "baseline"
        raise SpecError(f"{name} is no {kind} that can be read: {error}") from None


def text_of(baseline: Baseline) -> str:
    """The file: sorted, and a line for each requirement and each count."""
    subjects = ",\n".join(_subject_text(subject, baseline.subjects[subject]) for subject in sorted(baseline.subjects))
    inner = f"[\n{subjects}\n ]" if subjects else "[]"
    head = f' "baseline": {SCHEMA},\n "suite": {_json(baseline.suite)},\n "profile": {_json(baseline.profile)}'
    return f'{{\n{head},\n "subjects": {inner}\n}}\n'


def _parsed(document: Mapping[str, Any]) -> Baseline:
    if document.get("baseline") != SCHEMA:
        raise Unfit(f'it has no "baseline": {SCHEMA}')
    only(document, "baseline", "suite", "profile", "subjects")
    subjects: dict[Subject, Judged] = {}
    for entry in rows(document, "subjects"):
        only(entry, "model", "adapter", "device", "dtype", "requirements", "ratios")
        subject = Subject(*words(entry, "model", "adapter", "device", "dtype"))
        requirements = {
            name: _read_standing(name, table(table(entry, "requirements"), name))
            for name in table(entry, "requirements")
        }
        ratios = {
            name: _read_ratio(table(entry["ratios"], name))
            for name in (table(entry, "ratios") if "ratios" in entry else ())
        }
        add_subject(subjects, subject, Judged(requirements, ratios))
    return Baseline(*head_of(document), subjects)


def _read_standing(name: str, entry: Mapping[str, Any]) -> Standing:
    only(entry, *OUTCOMES, "measured")
    measured = numbers(table(entry, "measured")) if "measured" in entry else {}
    named: dict[str, Outcome] = {}
    counted: dict[Outcome, int] = {}
    for key, value in entry.items():
        if key == "measured":
            continue
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9:
            counted[Outcome(key)] = value
        elif (
            isinstance(value, list) and value and all(isinstance(each, str) for each in value) and key != Outcome.PASSED
        ):
            named |= dict.fromkeys(value, Outcome(key))
        else:
            raise Unfit(f"{name}: {key} is neither a number of tests nor a list of them")
    listed = sum(len(value) for value in entry.values() if isinstance(value, list))
    if len(named) != listed:
        raise Unfit(f"{name}: a test stands in it twice")
    if not counted and len(set(named.values())) < 2:
        raise Unfit(f"{name}: it says of no test what became of it")
    if len(counted) > 1 or (named and counted.keys() - {Outcome.PASSED}):
        raise Unfit(f"{name}: the tests that did not pass are not named")
    rest, count = next(iter(counted.items()), (Outcome.PASSED, 0))
    return Standing(count + len(named), rest, named, measured)


def _read_ratio(entry: Mapping[str, Any]) -> Mapping[str, float]:
    only(entry, "ratio", "low", "high")
    found = numbers(entry)
    if len(found) != 3 or not found["low"] <= found["ratio"] <= found["high"]:
        raise Unfit("a ratio does not lie in its interval")
    return found


def _subject_text(subject: Subject, judged: Judged) -> str:
    lines = [f"    {_json(name)}: {_standing_text(judged.requirements[name])}" for name in sorted(judged.requirements)]
    place = f'   "device": {_json(subject.device)}, "dtype": {_json(subject.dtype)},'
    text = f'  {{\n   "model": {_json(subject.model)}, "adapter": {_json(subject.adapter)},\n{place}\n'
    inner = ",\n".join(lines)
    text += '   "requirements": {' + (f"\n{inner}\n   " if lines else "") + "}"
    if judged.ratios:
        ratios = [f"    {_json(name)}: {_json(dict(judged.ratios[name]))}" for name in sorted(judged.ratios)]
        text += ',\n   "ratios": {\n' + ",\n".join(ratios) + "\n   }"
    return f"{text}\n  }}"


def _standing_text(standing: Standing) -> str:
    parts: dict[str, Any] = {}
    unnamed = standing.count - len(standing.named)
    if unnamed:
        parts[standing.rest.value] = unnamed
    for name in sorted(standing.named):
        parts.setdefault(standing.named[name].value, []).append(name)
    text = _json({key: parts[key] for key in sorted(parts)})
    if not standing.measured:
        return text
    counts = ",\n".join(f"     {_json(name)}: {_json(standing.measured[name])}" for name in sorted(standing.measured))
    return f'{text[:-1]}, "measured": {{\n{counts}\n    }}}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
