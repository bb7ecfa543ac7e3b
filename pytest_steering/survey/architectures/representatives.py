"""One model for each distinct anatomy: few enough to be judged on every change."""

from __future__ import annotations

import re

from pytest_steering.survey.architectures.stored import Entry, Survey

_NUMBER = re.compile(r"\d+ ")


def representatives(survey: Survey) -> list[Entry]:
    """The first type of each anatomy, as far as its decoder layers are found.

    Types are alike when they do the same task, their layers return the same kind of value, and the same is peculiar to
    their residual streams; how many streams or positions it is makes no difference.
    """
    firsts: dict[object, Entry] = {}
    for entry in survey["types"]:
        if entry["layers_path"]:
            peculiar = tuple(_NUMBER.sub("", trait) for trait in entry["anatomy"])
            firsts.setdefault((entry["task"], entry["output_kind"], peculiar), entry)
    return list(firsts.values())
