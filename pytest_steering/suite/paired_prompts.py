"""The project's own pairs of vulnerable and patched code as questions: ``fixtures/mini_cwe``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_steering.suite.catalogue import fixtures_directory
from pytest_steering.suite.cwes import WEAKNESSES

ANSWER = "Answer:"
"""What a prompt ends with, so that `` yes`` or `` no`` comes next."""
_SIDE = "p_"
"""What the name of a patched file begins with."""


@dataclass(frozen=True)
class PairedPrompt:
    """One question about a file of code, and the same question about that file patched."""

    cwe: str
    """``CWE-89``: what both ask about."""
    vulnerable: str
    patched: str

    @property
    def sides(self) -> tuple[str, str]:
        """The prompt about the vulnerable file, then the one about the patched file."""
        return self.vulnerable, self.patched


def embedded_root() -> Path:
    """The embedded pairs: ``fixtures/mini_cwe``."""
    return fixtures_directory() / "mini_cwe"


def question_about(code: str, cwe: str) -> str:
    """The question whether ``code`` has the weakness ``cwe``, without what the answer begins with."""
    name = WEAKNESSES[cwe].name
    asked = f"Does this code contain instances of the security vulnerability known as {name}?"
    return f"{code.rstrip()}\n\n{asked} Answer yes or no."


def paired_prompts(tokenizer: Any) -> tuple[PairedPrompt, ...]:
    """A pair of prompts for every embedded pair of files, by the number of the CWE and of the file.

    Each ends where the answer begins (``Answer:``), inside a chat where ``tokenizer`` has a chat template.
    """
    folder = embedded_root() / "datasets" / "hand-crafted" / "dataset"
    files = sorted(
        (path for cwe in WEAKNESSES for path in (folder / cwe).iterdir() if path.name.startswith(_SIDE)),
        key=lambda path: (int(path.parent.name.removeprefix("CWE-")), int(path.stem.removeprefix(_SIDE))),
    )
    return tuple(_pair(tokenizer, patched) for patched in files)


def _pair(tokenizer: Any, patched: Path) -> PairedPrompt:
    cwe = patched.parent.name
    vulnerable = patched.with_name(patched.name.removeprefix(_SIDE))
    return PairedPrompt(cwe, *(_prompt(tokenizer, path, cwe) for path in (vulnerable, patched)))


def _prompt(tokenizer: Any, path: Path, cwe: str) -> str:
    asked = question_about(path.read_text(encoding="utf-8"), cwe)
    if not getattr(tokenizer, "chat_template", None):
        return f"{asked}\n{ANSWER}"
    # Models that may think aloud are asked not to: the answer position is the next token.
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    return f"{chat}{ANSWER}"
