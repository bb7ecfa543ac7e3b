"""A target as a directory, or a GGUF file, that another program can load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_steering.errors import EngineError, one_line
from pytest_steering.targets.hub import snapshot
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.spec import SpecKind, parse_spec
from pytest_steering.targets.target import Target


def directory_of(target: Target, fresh: Path, *, trust_remote_code: bool = False) -> Path:
    """The checkpoint's own directory or GGUF file, or ``fresh`` with what was made in memory.

    ``EngineError`` where there is none. What is written holds the weights in the dtype that the target has.
    """
    spec = parse_spec(target.spec)
    if spec.kind in (SpecKind.DIRECTORY, SpecKind.GGUF):
        return Path(spec.value).expanduser()
    if spec.kind is SpecKind.HUB:
        return snapshot(spec, dtype=target.dtype, trust_remote_code=trust_remote_code)[0]
    if not target.has_weights:
        raise EngineError(f"{target.spec}: the model has shapes and no weights, so no engine can run it")
    model: Any = target.model
    if not hasattr(model, "save_pretrained"):
        raise EngineError(
            f"{target.spec}: {type(model).__name__} has no save_pretrained, so there is no checkpoint that an engine "
            "could load; give a model of transformers, or a directory"
        )
    try:
        with quiet_transformers():
            model.save_pretrained(fresh)
            if hasattr(target.tokenizer, "save_pretrained"):
                target.tokenizer.save_pretrained(fresh)
    except Exception as error:
        raise EngineError(f"{target.spec}: the model cannot be written for an engine: {one_line(error)}") from error
    return fresh
