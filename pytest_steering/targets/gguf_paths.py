"""GGUF files by their names: a spec that is one, a directory that holds one."""

from __future__ import annotations

from pathlib import Path

from pytest_steering.errors import SpecError
from pytest_steering.suggesting import meant

_SUFFIX = ".gguf"


def is_gguf(text: str) -> bool:
    """The text ends as the name of a GGUF file does, and names no directory."""
    if not text.lower().endswith(_SUFFIX):
        return False
    try:
        return not Path(text).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):  # longer than a path may be, a null byte, nobody's home
        return True


def check_gguf_path(name: str, path: Path) -> None:
    """There is a file at ``path``; otherwise ``SpecError`` names what is like it."""
    try:
        path = path.expanduser()
        if path.is_file():
            return
        siblings = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() == _SUFFIX]
    except (OSError, ValueError, RuntimeError):
        siblings = []
    hint = meant(path.name, siblings, most=3, otherwise="download it, and give its path")
    raise SpecError(f"{name}: there is no such file{hint}")


def gguf_in(name: str, directory: Path) -> Path | None:
    """The one GGUF file in the directory, or ``None``; ``SpecError`` when there are several to choose from."""
    files = sorted(path for path in directory.iterdir() if path.suffix.lower() == _SUFFIX and path.is_file())
    if len(files) > 1:
        shown = ", ".join(path.name for path in files[:3]) + (" …" if len(files) > 3 else "")
        raise SpecError(f"{name}: the directory holds {len(files)} GGUF files ({shown}); give the path of one")
    return files[0] if files else None
