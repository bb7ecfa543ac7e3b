"""Names from code as words of the judge's own: a function that escapes, a payload, a test for null.

``htmlspecialchars`` and ``DOMPurify.sanitize`` do the same for a judgement, so both are read as ``htmlescaper``.
"""

from __future__ import annotations

import re

_NAMED: tuple[tuple[str, str], ...] = (
    (
        "htmlescaper",
        r"html(?:special|entities|\.escape)\w*|htmlspecialchars|html_?escape|escape_?html|cgi\.escape|textcontent"
        r"|innertext|createtextnode|dompurify(?:\.sanitize)?|bleach(?:\.clean)?|sanitize_?html|encodeforhtml|htmlencode"
        r"|markupsafe\.escape|escapehtml\w*|html\.escapestring|jinja autoescape|th:text|c:out",
    ),
    (
        "htmlraw",
        r"innerhtml|outerhtml|dangerouslysetinnerhtml|mark_?safe|html_safe|v-html|document\.write(?:ln)?|\|\s?safe"
        r"|\|raw"
        r"|insertadjacenthtml|bypasssecuritytrusthtml|th:utext|html\.raw|template\.html",
    ),
    (
        "pathcleaner",
        r"(?:os\.path\.)?basename|secure_?filename|send_?from_?directory|safe_?join|realpath|canonicalpath"
        r"|getcanonical(?:path|file)|is_?relative_?to|commonpath|filepath\.base|path\.basename|openat2|resolve_beneath",
    ),
    ("shellquoter", r"shlex\.(?:quote|join)|pipes\.quote|escapeshell(?:arg|cmd)|shellescape|shellwords\.escape"),
    (
        "shellsink",
        r"os\.system|system\(\)|popen|os\.popen|shell_exec|passthru|/bin/sh|/bin/bash|cmd\.exe|sh -c|bash -c"
        r"|shell ?= ?true|child_process\.exec|proc_open|runtime\.exec",
    ),
    ("argvcall", r"exec(?:v|ve|vp|vpe|l|lp|le)|execfile|posix_spawnp?|shell ?= ?false|processbuilder"),
    (
        "placeholder",
        r"preparedstatement|preparestatement|setstring|setint|setlong|bind_?param|bindvalue|sqlparameter|sqlalchemy"
        r"|addwithvalue|execute_values",
    ),
    ("boundedcopy", r"v?snprintf|strlcpy|strlcat|strncpy_s|strcpy_s|memcpy_s|fgets|getline|stpecpy|copy_n_checked"),
    ("unlimitedcopy", r"gets|strcpy|strcat|stpcpy|v?sprintf"),
    (
        "overflowcheck",
        r"checked_(?:add|mul|sub|shl)|saturating_(?:add|mul|sub)|__builtin_\w+_overflow|ckd_\w+|addexact|multiplyexact"
        r"|reallocarray|size_(?:add|mul)|array_size|struct_size|check_(?:add|mul)_overflow|biginteger|safeint",
    ),
    ("smartpointer", r"(?:std::)?(?:unique|shared)_ptr|make_(?:unique|shared)|arc<\w+>|rc<\w+>"),
    ("neverfailing", r"xmalloc|xcalloc|xrealloc|xstrdup|g_malloc\w*|g_new0?|emalloc"),
    (
        "typecast",
        r"parseint|parsefloat|intval|strtou?l+|atoi|ip_?address\(\)|uuid\(\)|int\(\)|float\(\)|number\(\)|to_i"
        r"|integer\.parseint|ipaddress\.\w+",
    ),
    ("nullexception", r"nullpointerexceptions?|npes?|nullreferenceexceptions?"),
)
"""Names that are telling wherever they stand, with or without the signs of code."""
_INSIDE: tuple[tuple[str, str], ...] = (
    (
        "nullcheck",
        r"[!=]=\s*(?:null|nullptr|none|nil|0)\b|\bis (?:not )?none\b|^(?:if\s*\(?)?\s*!\s*\w|^if \(?\w+\)?[ :{]*$"
        r"|^\?[.?]$"
        r"|requirenonnull",
    ),
    ("null", r"^(?:null|nullptr|none|nil)$"),
    ("dotdots", r"\.\./|\.\.\\|^\.\.$|%2e|/etc/(?:passwd|shadow|hosts)"),
    ("jsurl", r"^javascript:"),
    ("scripttag", r"<\s?(?:script|img|svg|iframe|body)\b"),
    ("sqlpayload", r"'\s*(?:or|and)\b|\bunion select\b|;\s*drop\b|\bor 1\s?=\s?1|'\s?--"),
    ("shellpayload", r"[;|&]\s*(?:rm|id|cat|curl|wget|sh|ls|whoami|reboot|touch|nc|sleep)\b|\$\(|^`"),
    ("inclusive", r"^<=$"),
    ("nulledfree", r"\b(?:free|delete)\b.{1,40}=\s*(?:null|nullptr|0|none)\b"),
    ("free", r"^(?:free|kfree|delete(?:\[\])?|g_free|drop)\b"),
    ("placeholder", r"^(?:\?|\$\d|%s|:\w+)$"),
    ("shellsink", r"^(?:system|exec)\b"),
    ("typecast", r"^(?:int|float|number|uuid|integer)\("),
    ("htmlraw", r"\.html\("),
)
"""What only the signs of code make telling."""
_JOINED = re.compile(
    r"[\"'] ?(?:\+|\.(?= ?\$)|\|\|) ?[\w$]|[\w)\]] ?(?:\+|\|\|) ?[\"']|\bf[\"'][^\"']*\{|\.format\(|[\"'] ?%"
    r" ?\(?[a-z]|[\"'][^\"']*\$\{"
)
"""Pieces of text that are put together."""
_CLEANING = re.compile(r"quote|escap|encod|saniti|purify|basename|secure_|int\(")
_BARE = re.compile(
    "|".join(rf"(?P<{name}>(?<!\w)(?:{alternatives})(?![\w])(?:\(\))?)" for name, alternatives in _NAMED)
)
_CODED = re.compile("|".join(f"(?P<{name}{nth}>{inner})" for nth, (name, inner) in enumerate(_INSIDE)))


def word_of(code: str) -> str:
    """The word for a piece of code in a sentence; "code" where it is not telling."""
    code = code.lower().strip()
    named = _BARE.search(code)
    if named and named.lastgroup in ("shellsink", "htmlraw") and _JOINED.search(code) and not _CLEANING.search(code):
        return f"{named.lastgroup} with concatenation"
    if named and named.lastgroup == "htmlescaper" and code.startswith("<"):
        # A piece of a page shows where the value lands, not that this is enough there.
        return "code"
    if named and named.lastgroup == "htmlraw":
        # "innerHTML = DOMPurify.sanitize(x)": the one that escapes decides.
        named = next((other for other in _BARE.finditer(code) if other.lastgroup == "htmlescaper"), named)
    if named:
        return str(named.lastgroup)
    if _JOINED.search(code):
        return "concatenation"
    coded = _CODED.search(code)
    return str(coded.lastgroup).rstrip("0123456789") if coded else "code"


def worded(text: str) -> str:
    """The text with telling names as such words."""
    return _BARE.sub(lambda match: str(match.lastgroup), text)
