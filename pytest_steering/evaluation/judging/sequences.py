"""What a sentence tells in its order: freed, then read; read before the test; saved first, then freed.

The clauses of a sentence each tell a part of it, so this reads the sentence as a whole.
"""

from __future__ import annotations

import re

_FREED = (
    r"(?:k?freed?|vfree|free\(\)|frees|releas(?:e[sd]?|ing)|delet(?:e[sd]?|ing|ion)|dealloc\w+|destroy(?:s|ed|ing)?"
    r"|destruction"
    r"|dispos\w+|eras(?:e[sd]?|ing)|clos(?:es?|ed|ing)|gives? back|given back|puts? back"
    r"|returned to the|handed back|recycled?|torn down|tears down|gives? (?:\S+ ){1,3}back|destructor (?:has )?(?:run"
    r"|ran))"
)
_USED = (
    r"(?:us(?:e[sd]?|ing)|reads?|reading|writ(?:es?|ten|ing)|dereferenc\w+|access\w*|prints?|printed|print|logs?|logged"
    r"|evaluates?|calls?|called|touch\w*|follow(?:s|ed)?|copies|copied|pass(?:es|ed)|return(?:s|ed)?|compares?"
    r"|look(?:s|ed)"
    r" (?:at|into)|walks?|iterates?|advances?|appends?|sends?|sent|stores?|stored|increments?|needs?|takes?"
    r"|evaluate[sd]?|filled|fills|flush\w*|hands|handed|accesses)"
)
_LATER = (
    r"(?:then|the next line|next line|following line|the line after|line below|subsequently|goes on to|go on to"
    r"|continues? to|proceeds? to|still|keeps?|afterwards?|later|second|thereafter|after that|nonetheless"
    r"|nevertheless|anyway"
    r"|again|by the time)"
)
_GAP = r"[^.;]{0,60}?"
_NOT = re.compile(
    r"\b(?:not|no|never|nothing|nobody|none|neither|nor|without|null|nullptr|returns? (?:at once|immediately|right)"
    r"|before)\b"
)
_NULL = r"(?:null|nullptr|none|nil|nothing|empty)"
_TAKEN = r"(?:cach|sav|stor|cop|fetch|read|remember|tak|get|keep|kept|load|us|access|touch|print|log)\w*"
_BAD: dict[int, tuple[str, ...]] = {
    416: (
        rf"\b{_FREED}\b{_GAP}\b{_LATER}\b{_GAP}\b{_USED}\b",
        rf"\b{_FREED}\b{_GAP}\b(?:and|but|while|yet|whereas)\b{_GAP}\b{_USED}\b{_GAP}\b{_LATER}\b",
        rf"\b{_USED}\b{_GAP}\bafter\b{_GAP}\b{_FREED}\b",
        rf"\b(?:after|once|when|as soon as)\b{_GAP}\b{_FREED}\b{_GAP}\b(?:line|code|loop|function|call|log\w*|print\w*"
        rf"|program|method|handler|thread)\b{_GAP}\b{_USED}\b",
        rf"\b{_FREED}\b{_GAP}\b(?:the other|another|alias|same (?:pointer|block|address|object)|second (?:one"
        rf"|pointer))\b{_GAP}\b{_USED}\b",
        rf"\b{_FREED}\b [^.;,]{{0,20}}\b(?:when|before)\b[^.;]{{0,40}}\b(?:uses?|used|reads?|access\w*|dereferenc\w+"
        rf"|touch\w*|writes?)\b",
        rf"\b{_FREED}\b{_GAP}\bcallers?\b{_GAP}\b{_USED}\b",
        rf"\b{_FREED}\b (?:comes|happens|takes place|is|occurs|runs) (?:before|ahead of|earlier than|above)\b{_GAP}"
        rf"\b{_USED}\b",
        rf"\bby the time\b{_GAP}\b(?:gone|freed|dead|released|destroyed|deleted|closed)\b|\b(?:gone|freed|dead|released"
        r"|destroyed|deleted|closed)\b[^.;]{0,30}\bby (?:the|that) time\b",
        r"\bwhen\b[^.;]{0,40}\b(?:fires|runs|is called|returns|wakes)\b[^.;]{0,40}\b(?:gone|freed|dead|destroyed)\b",
        rf"\bthread\b{_GAP}\b{_FREED}\b{_GAP}\bwhile\b{_GAP}\b(?:reading|using|working|us(?:es|ing)|reads|access\w*"
        rf"|holds?)\b",
        r"\breturn(?:s|ed)?\b[^.;]{0,30}\b(?:reference|pointer|address)\b[^.;]{0,20}\b(?:local|stack)\b",
        r"\b(?:realloc\w*|resiz\w+|push_back|rehash\w*|insert\w*)\b[^.;]{0,60}\b(?:old|earlier|previous"
        r"|stale)\b[^.;]{0,20}"
        r"\b(?:pointer|iterator|reference|address|block)\b[^.;]{0,40}\b(?:used|returned|kept|still|read|written"
        r"|held)\b",
        r"\b(?:list|table|map|cache|queue|tree|global|registry|array|field|struct|parent|caller)\b[^.;]{0,20}\bstill\b"
        r"[^.;]{0,20}\b(?:contains?|holds?|points?|refers?|has|keeps?|references?)\b",
    ),
    476: (
        r"\b(?:used|dereferenced|read|followed|accessed|called|passed|written)\b[^.;]{0,30}\b(?:although|even though"
        r"|though|despite)\b"
        rf"[^.;]{{0,30}}\b(?:can|may|might|could|is|returns?)\b[^.;]{{0,20}}\b(?:{_NULL}|fail)\b",
        rf"\b(?:is|are) {_NULL} (?:for|when|if|in)\b[^.;]{{0,60}}\b(?:but|yet|and|still)\b{_GAP}\b{_USED}\b",
        rf"\b(?:may|can|could|might)\b (?:be|return|give|yield|deliver|come back) {_GAP}\b{_NULL}\b{_GAP}\b{_USED}\b",
        rf"\b(?:returns?(?! (?:a )?(?:null|none|nil|nullptr))|gives?|yields?|delivers?|gets?|is)\b (?:\S+ )?{_NULL}\b"
        rf" (?:when|if|for|on|where|unless)\b[^.;]{{0,80}}?"
        rf"\b(?:and|but|yet|,)\b{_GAP}\b(?:{_USED}|crash\w*)\b",
        r"\b(?:if|when|should)\b[^.;]{0,40}\b(?:fails?|failed|no match|not found|missing|unset|absent"
        r"|empty)\b[^.;]{0,60}"
        r"\b(?:writes?|dereferenc\w+|crash\w*|access\w*|reads?|derefs?|goes through|segfaults?)\b",
        rf"\b(?:used|read|dereferenced|accessed|touched|written|followed)\b{_GAP}\bbefore\b{_GAP}\b(?:test|tested|check"
        r"|checked|comparison|compared|null)\b",
        r"\bline (?:before|above|ahead of)\b[^.;]{0,20}\b(?:test|check|null)",
    ),
    787: (
        r"\b(?:room|space|place) for\b[^.;]{0,30}\b(?:but|while|yet|whereas|and)\b[^.;]{0,60}\b(?:can|may|could|up to"
        r"|more"
        r"|produces?|writes?|is|longer)\b[^.;]{0,20}(?:\d|more|longer|any)",
        r"\b(?:holds?|has|is|of)\b (?:only |just )?\d+\b[^.;]{0,30}\b(?:but|while|yet|whereas)\b[^.;]{0,60}(?:\b\d+"
        r"|\bmore\b"
        r"|\blonger\b|\bany\b|\bunlimited\b)",
        r"\b(?:length|size|count)\b[^.;]{0,40}\b(?:sender|client|user|packet|header|input|caller"
        r"|attacker)\b[^.;]{0,40}\b(?:but"
        r"|while|whereas|and|yet)\b[^.;]{0,40}\b(?:holds?|has|fixed|only|just)\b",
    ),
}
_BAD |= dict.fromkeys(
    (22, 77, 79, 89),
    (
        r"\b(?:black ?list|deny ?list|block ?list|filter|regex|list|pattern|escaping|function)\b[^.;]{0,60}\bbut"
        r" (?:not|it misses"
        r"|misses|forgets|leaves out|overlooks|knows nothing|ignores)\b",
    ),
)
_GOOD: dict[int, tuple[str, ...]] = {
    416: (
        rf"\b{_TAKEN}\b[^.;]{{0,60}}\b(?:first|before|beforehand|ahead of|prior to|and then|then|only then|and"
        rf" only)\b[^.;]{{0,40}}\b{_FREED}\b",
        r"\b(?:last|all|every|each|any)\b[^.;]{0,20}\b(?:uses?|reads?|access(?:es)?"
        r"|dereferences?)\b[^.;]{0,40}\b(?:before"
        rf"|precedes?|earlier than|prior to|come first)\b[^.;]{{0,40}}\b{_FREED}\b",
        rf"\b{_FREED}\b[^.;]{{0,60}}\b(?:set|reset|nulled|cleared|assigned|overwritten)\b[^.;]{{0,25}}\b(?:null"
        rf"|nullptr|none"
        r"|zero)\b",
        rf"\b(?:set|reset)\b[^.;]{{0,15}}\bnull\b[^.;]{{0,30}}\b(?:after|following)\b[^.;]{{0,20}}\b{_FREED}\b",
        rf"\b{_FREED}\b[^.;]{{0,40}}\b(?:is|as|comes|on|at) (?:the |its )?(?:very )?(?:last|end|final)\b",
        rf"\b{_FREED}\b[^.;]{{0,40}}\b(?:and|then)\b (?:returns?|exits?|leaves|breaks)\b[^.;]{{0,10}}\b(?:at once"
        r"|immediately|right away|directly|straight)",
        rf"\b{_FREED}\b[^.;]{{0,40}}\b(?:does no harm|is harmless|does not (?:matter|hurt))\b",
    ),
    476: (
        r"\bbefore\b[^.;]{0,40}\b(?:read|used|dereferenced|followed|accessed|touched|reached"
        r"|use)\b[^.;]{0,40}\b(?:compared|tested|checked"
        r"|verified|inspected)\b",
        r"\b(?:tested|checked|compared|verified|nullcheck|guarded"
        r"|validated)\b[^.;]{0,50}\bbefore\b[^.;]{0,50}\b(?:dereferenc"
        r"\w+|us(?:e|ed|ing)|read|reached|access\w*|follow\w*|call\w*|touch\w*|fgets|copies|copied)\b",
        r"\b(?:compared|tested|checked)\b[^.;]{0,30}\b(?:null|none|nullptr)\b[^.;]{0,40}\b(?:returns?|exits?|aborts?"
        r"|leaves"
        r"|throws|error|bails|stops|skips?)\b",
        r"\bnullcheck\b[^.;]{0,40}\b(?:first|before|guards?|protects?|precedes?|ahead|covers?|leaves|returns?"
        r"|exits?)\b",
        r"\b(?:if|when|should)\b[^.;]{0,40}\b(?:fails?|failed|null|none|no match|missing"
        r"|empty)\b[^.;]{0,40}\b(?:returns?(?! (?:a )?(?:null|none|nil))"
        r"|exits?|aborts?|bails|gives up|throws|leaves|stops|skipped|skips)\b",
        r"\b(?:returns?(?! (?:a )?(?:null|none|nil))|exits?|aborts?|bails out|gives up|throws|leaves"
        r"|stops)\b[^.;]{0,30}\b(?:if|when|whenever|as soon as)\b"
        r"[^.;]{0,40}\b(?:fails?|failed|null|none|missing|empty|nothing)\b",
    ),
}
_COMPILED = {
    number: tuple(
        (value, re.compile(pattern)) for value, told in ((-1, _GOOD), (1, _BAD)) for pattern in told.get(number, ())
    )
    for number in sorted({*_BAD, *_GOOD})
}
_DOUBT = re.compile(
    r"\b(?:in theory|would|whether|should|ought|never|no (?:path|way|branch|code|one)|nobody)\b|^\W*unless"
)


def told_in_order(sentence: str, number: int | str | None) -> tuple[int, str] | None:
    """1 and the words when the order of a sentence speaks against the code, -1 when for it; None when it tells none."""
    if not isinstance(number, int) or number not in _COMPILED or _DOUBT.search(sentence):
        return None
    for value, pattern in _COMPILED[number]:
        match = pattern.search(sentence)
        if match is None:
            continue
        words = match.group()
        before = sentence[max(0, match.start() - 25) : match.start()]
        if value < 0 and not re.search(r"\b(?:not|no|never|nothing|nobody|without)\b", before + _head(words)):
            return value, words
        if value > 0 and not _negated(words, before, number):
            return value, words
    return None


def _head(words: str) -> str:
    return words[: len(words) * 2 // 3]


def _negated(words: str, before: str, number: int) -> bool:
    """A word that negates stands in it; where null is the matter, "no match" and "null" do not."""
    if number in (22, 77, 79, 89):
        return False
    if number == 416:
        return bool(
            _NOT.search(re.sub(r"\b(?:comes|happens|is|occurs|runs|takes place) before\b", " ", words + " " + before))
        )
    plain = re.sub(
        r"\bno (?:match|entry|such|colon|result|user|row)\b|\bnot (?:found|set|there)\b|\bnothing\b", " ", words
    )
    return bool(
        re.search(r"\b(?:not|no|never|nobody|without|returns? (?:early|at once)|error|handled)\b", plain + " " + before)
    )
