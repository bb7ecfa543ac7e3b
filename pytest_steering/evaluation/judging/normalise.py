"""An answer as lines to judge: one spelling for what means the same, and no code, no markup, no second question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pytest_steering.evaluation.judging.spelling import spelled
from pytest_steering.evaluation.judging.tokens import word_of, worded

LONGEST = 30_000
"""Characters that are read: of a longer answer its first and its last half as many."""
LONGEST_LINE = 1_500
"""Longer lines are read in pieces, so that what a pattern costs does not grow with the answer."""

_ENDS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end|>", "</s>", "<eos>", "<|end_of_text|>", "<file_sep>")
_TURNS = re.compile(
    r"^\W*(?:(?:question|q|user|human)(?: ?\d+)?\W{0,3}:|question ?\d+\W*$|\[inst\]"
    r"|(?:input|instruction|prompt|problem|example)(?: ?\d+\W{0,3}:|\W{0,3}:\W*$)"
    r"|<\|(?:user|system|im_start)\|?>?"
    r"|### ?(?:question|instruction|input|user|human|problem))"
)
"""Where somebody asks again; "Input: the name from the form" goes on with the answer."""
_NEXT = re.compile(
    r"^\W*(?:code|snippet|program|file|example|context|source|question|exercise|task|problem|test"
    r"|prompt)(?: ?\d+)?\W*$|^.{1,80}\?\W*$"
)
ASKED = re.compile(
    r"(?:\bdoes (?:this|the|that)(?: \w+){1,3} (?:contain|have)\b|(?:^\W*|[:.?]\s)is (?:this|the"
    r"|that) (?:\w+ ){1,2}(?:secure|safe|vulnerable|free)\b|\banswer yes or no\b)"
)
_SIGNS = re.compile(r"\W{40,}")
_INLINE = re.compile(r"`{1,2}([^`\n]*)`{1,2}")
_SAID = re.compile(r"\W*(?:yes|no|true|false|(?:not )?vulnerable|insecure|unsafe|secure|safe|n/a)\W*")
_CODE = re.compile(
    r"\s*(?:def \w|class \w+[\s:({]|import [\w.]+\s*(?:$|as |,)|from [\w.]+ import\b|#\s*include\b|#\s*define\b"
    r"|#\s*if|#!"
    r"|return\b.*[;)\]]\s*$|(?:if|for|while|switch)\s*\(.*|(?:if|for|while|with|elif|except|try|else)\b[^.]*:\s*$"
    r"|(?:static |const |unsigned |struct |public |private )*(?:int|char|void|size_t|float|double|bool|uint\w*"
    r"|long|short|FILE|var|let|const)\b[\s*]+\w+\s*[=(\[;]"
    r"|(?:raise|throw|yield|del|pass|break|continue|goto|echo|printf)\b(?: \w+)?\s*[(;\"'$]|(?:pass|break"
    r"|continue)\s*$|//|/\*|\*/|\"{3}|'{3}|<\?php|</?\w+[^>]*>\s*$|@\w+|assert\b|print\w*\s*\("
    r"|[\w.>\-\[\]*]+\s*[-+*|]?=\s*\S.*|\w[\w.>-]*\([^)]*\)\s*;?\s*$)"
)
_CODE_END = re.compile(r"[;{}]\s*$")
_PROSE = re.compile(r"(?:(?<!\w)[A-Za-z]{2,20},? ){4}\S")
_JSON_PAIR = re.compile(r'"([^"\n]{1,60})"\s*:\s*("(?:[^"\\]|\\.)*"|true|false|null|\[\s*\]|-?[\d.]+)')
_REMEDY_KEY = re.compile(r"fix|recommend|remed|mitigat|suggest|advice|patch|improve|prevent|solution")
_NAMING_KEY = re.compile(r"cwe(?:[ _-]?(?:id|number|name))?|id|weakness(?:[ _-]?id)?")
_TAGGED = re.compile(r"[ \t]*<(\w{3,30})>[ \t]*([^<>\n]{1,400}?)[ \t]*</\1>[ \t]*")
_LISTED = re.compile(r"^\s*(?:[-*+]\s+|\(?\d{1,2}[.)]\s+|[a-z]\)\s+)")


@dataclass(frozen=True)
class Line:
    """One line of an answer, in the judge's spelling."""

    text: str
    heading: bool = False
    listed: bool = False
    code: bool = False
    table: bool = False


def shortened(response: str) -> str:
    """The answer without its middle when it is very long, and without long runs of signs."""
    text = response if len(response) <= LONGEST else f"{response[: LONGEST // 2]}\n{response[-LONGEST // 2 :]}"
    return _SIGNS.sub(lambda run: run.group()[:40], text)


def lines_of(response: str, *, question: str | None = None) -> tuple[Line, ...]:
    """The lines that can hold a judgement; a block of code is one empty line that is marked so."""
    text = _first_document(_thought_out(response))
    if question and text.lstrip().startswith(question.strip()):
        text = text.lstrip()[len(question.strip()) :]
    lines = list(_joined(_classified(_as_lines(_tidied(text)))))
    return tuple(_before_the_next_question(lines))


def _thought_out(text: str) -> str:
    """What follows the last block of thought; the thought itself when nothing does."""
    lowered = text.lower() if "<" in text else ""
    for opening, closing in (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")):
        end = lowered.rfind(closing)
        if end >= 0 and len(lowered) == len(text):
            after = text[end + len(closing) :]
            if re.search(r"\w", after):
                return after
            return text[:end].replace(opening, "")
    return text


def _first_document(text: str) -> str:
    """The text up to a mark that says that another document begins."""
    for mark in _ENDS:
        before, found, after = text.partition(mark)
        if found:
            text = before if re.search(r"\w", before) else after
    return text


def _tidied(text: str) -> str:
    """JSON and XML as lines of ``key: value``, without the keys of JSON that hold advice."""
    text = _TAGGED.sub(r"\n\1: \2\n", text)
    bare = text.strip().strip("`").removeprefix("json").lstrip()
    if not bare.startswith(("{", "[")):
        return text
    pairs = _JSON_PAIR.findall(bare)
    if not pairs:
        return text
    kept = [
        f"{re.sub(r'[_-]+', ' ', key)}: {value.strip(chr(34)) if value[:1] != '[' else 'none'}"
        for key, value in pairs
        if not _REMEDY_KEY.search(key.lower()) and not _NAMING_KEY.fullmatch(key.lower())
    ]
    closing = bare.rfind("}")
    return "\n".join([*kept, bare[closing + 1 :].strip("` \n")])


def _as_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line and whether it stands in a fenced block."""
    fenced = False
    block: list[str] = []
    for raw in text.split("\n"):
        if raw.lstrip().startswith(("```", "~~~")):
            if fenced:
                yield from _block(block)
            block, fenced = [], not fenced
        elif fenced:
            block.append(raw)
        else:
            yield from ((piece, False) for piece in _pieces(raw))
    if fenced:
        yield from _block(block)


def _pieces(raw: str) -> Iterator[str]:
    while len(raw) > LONGEST_LINE:
        cut = max(raw.rfind(". ", 0, LONGEST_LINE) + 1, 0) or max(raw.rfind(" ", 0, LONGEST_LINE), 0) or LONGEST_LINE
        yield raw[:cut]
        raw = raw[cut:]
    yield raw


def _block(block: list[str]) -> Iterator[tuple[str, bool]]:
    """A fenced block is code unless it is short and says a verdict, or is JSON."""
    content = "\n".join(block)
    if content.lstrip().startswith("{") and _JSON_PAIR.search(content):
        yield from ((line, False) for line in _tidied(content).split("\n"))
    elif len(content) < 60 and _SAID.fullmatch(spelled(content)):
        yield content, False
    else:
        yield "", True


def _classified(pairs: Iterable[tuple[str, bool]]) -> Iterator[tuple[Line, bool]]:
    """Lines in the judge's spelling, with what their markup said; and whether the raw line began in lower case."""
    after_code = False
    for raw, fenced in pairs:
        if fenced or _is_code(raw, after_code):
            after_code = not fenced
            yield Line("", code=True), False
            continue
        stripped = raw.strip()
        if stripped:
            after_code = False
        listed = bool(_LISTED.match(raw)) and not stripped.startswith("**")
        body = _LISTED.sub("", raw, count=1).strip() if listed else stripped
        marked = body.startswith("#") and not re.match(r"#+\w", body)
        bold = body.startswith("**") and body.rstrip(":").endswith("**") and body.count("**") == 2
        table = stripped.startswith("|") or stripped.count("|") >= 2
        text = _INLINE.sub(_inline, body)
        text = re.sub(
            r"[*#>~]+|(?<!\w)_+|_+(?!\w)|</?(?:b|i|strong|em|p|br|code|pre|answer"
            r"|verdict)\b[^>]{0,20}>",
            " ",
            text,
        )
        text = re.sub(r"\s+", " ", worded(spelled(text))).strip()
        short = len(text) < 60 and text.endswith(":") and len(text.split()) <= 7
        begins_low = raw[:1].islower() or (raw[:1] == " " and raw.lstrip()[:1].islower())
        yield Line(text, heading=marked or bold or short, listed=listed, table=table), begins_low


def _inline(match: re.Match[str]) -> str:
    inside = match.group(1)
    return inside if _SAID.fullmatch(inside.lower()) else f" {word_of(inside)} "


def _is_code(raw: str, after_code: bool) -> bool:
    stripped = raw.strip()
    if stripped.startswith(("//", "/*", "*/")) or (after_code and stripped.startswith("* ")):
        return True
    if not stripped or stripped[:1] in '|{"-*>':
        return stripped in {"{", "}", "};"} or stripped.startswith(('"""', "*/", "-->"))
    if re.match(
        r"\W*(?:yes|no|answer|verdict|final answer|vulnerable|secure|safe|is_\w+)\b\W{0,3}(?:[:=,.]"
        r"|$)",
        stripped.lower(),
    ):
        return False
    if after_code and (stripped.startswith(("#", "'''")) or raw.startswith(("    ", "\t"))):
        return True
    if _CODE_END.search(stripped) and not _PROSE.search(stripped):
        return True
    return bool(_CODE.match(raw)) and not _PROSE.search(stripped)


def _joined(lines: Iterable[tuple[Line, bool]]) -> Iterator[Line]:
    """Lines that were wrapped are one line again."""
    held: Line | None = None
    for line, begins_low in lines:
        if held is not None and _goes_on(held, line, begins_low):
            held = replace(held, text=f"{held.text} {line.text}")
            continue
        if held is not None:
            yield held
        held = line
    if held is not None:
        yield held


def _goes_on(held: Line, line: Line, begins_low: bool) -> bool:
    plain = not (held.heading or line.heading or line.listed or line.code or held.code or line.table or held.table)
    return (
        plain and begins_low and 40 < len(held.text) < LONGEST_LINE and bool(line.text) and held.text[-1] not in ".:?!"
    )


def _before_the_next_question(lines: list[Line]) -> Iterator[Line]:
    """The answer ends where its writer, a model that continues text, asks the next question."""
    said = bare = curt = False
    for number, line in enumerate(lines):
        if not line.text and not line.code:
            continue
        if said and (
            (_TURNS.match(line.text) and not line.listed)
            or (bare and (line.code or _NEXT.match(line.text) or ASKED.search(line.text)))
        ):
            return
        if said and number and ASKED.search(line.text) and ("answer yes or no" in line.text or curt):
            return
        if bare and not line.code and not re.match(r"\W*(?:yes|no)\b", line.text):
            bare = False
        if not said and re.fullmatch(r"\W*(?:answer|a)?\W*(?:yes|no)\W*", line.text):
            bare = True
        if not said and re.fullmatch(r"\W*(?:yes|no)\b.{0,40}", line.text):
            curt = True
        if line.text and not ASKED.search(line.text) and not _TURNS.match(line.text):
            said = True
        yield line
