"""Answers that decline to judge: no context, no permission, no definite answer."""

from __future__ import annotations

import re

from pytest_steering.evaluation.judging.spelling import spelled

_REFUSED = re.compile(
    r"\bi (?:am sorry|apologi[sz]e)|\bsorry,? (?:but )?i\b|\bi (?:can|could|do|am|will) not (?:able to )?(?:help"
    r"|assist|determine|have enough|provide|answer|fulfil|comply|analy[sz]e)"
    r"|\bi am (?:only |just )?(?:a|an) (?:\w+ )?(?:language model|ai)\b|\bas an? (?:ai|language model"
    r"|large language model)\b|\bcan not (?:determine|tell|say|assist|help)\b|\bnot enough (?:information|context)\b"
    r"|\bunable to (?:determine|help|assist|answer)\b|\b(?:hard|difficult|impossible) to (?:tell|say|determine)\b"
    r"|\bi would (?:have|need) to (?:see|know)\b|\bno (?:definite|firm|clear|certain) (?:statement|answer|verdict"
    r"|conclusion)\b|\bnot (?:shown|included|provided|pasted|visible|part of the (?:snippet|code|excerpt))\b"
    r"|\boutside what you (?:have )?\w+"
    r"|\b(?:i|we) can not see (?:whether|what|if)\b|\b(?:listing|snippet|excerpt|fragment) (?:leaves? (?:that )?out"
    r"|stops)\b|\bcan not (?:give"
    r"|be (?:answered"
    r"|decided|determined|judged))\b|\b(?:it|that|this|the answer) (?:depends|hinges) on\b|\bcomes down to whether\b"
    r"|\bi do not know\b|\bnot in a position to\b|\bleave it at that\b|\b(?:can|could) (?:go|be) either\b"
    r"|\b(?:is|are) not (?:stated|specified|in the (?:excerpt|snippet|question))|\bcan not be settled\b|\bdepending"
    r" on (?:whether|which|what)\b"
    r"|\bi suppose\b|\bwould be needed to\b|\bonly a part\b|\bnothing (?:here|shown|in the \w+) (?:says|tells|shows"
    r"|reveals)\b"
    r"|\b(?:please|(?:could|can|would) you) (?:provide|share|post|show|send|paste|include)\b|\bwithout (?:more"
    r"|further|additional) (?:context|information)\b"
)


_DECLINED = re.compile(
    r"\b(?:this|that|it|the question) can not be (?:answered|determined|decided|settled|told|judged)\b"
    r"|\b(?:i|we|one|nobody) can not (?:tell|say|know|determine)(?: you)? (?:which|whether|if)\b"
    r"|\bneither (?:conclusion|answer|verdict|the \w+ nor an? \w+) is (?:justified|shown|given|possible)\b"
    r"|\bneither (?:\w+ )?can be (?:ruled out|excluded|confirmed)\b"
    r"|\b(?:definitive|definite|final|clear) (?:statement|answer|verdict|conclusion) is not possible\b"
    r"|^\W*it (?:all )?depends(?: on \W?\w+\W*)?[.,;]"
)
_ASKS_FOR_MORE = re.compile(
    r"\b(?:could|can|would) you (?:please )?(?:provide|share|post|show|send|paste)\b"
    r"|\bplease (?:provide|share|post|send|paste)\b(?! (?:feedback|your (?:thoughts|feedback)))"
)
READ = 2_000
"""Characters that are looked at."""


def declined(text: str, *, unsure: bool) -> str | None:
    """The words that decline whatever the answer goes on to say of one case or the other.

    Asking for more code declines only where what is said is ``unsure`` itself: many end so out of courtesy.
    """
    read = spelled(text[:READ])
    found = _DECLINED.search(read) or (_ASKS_FOR_MORE.search(read) if unsure else None)
    return found and found.group()


def refused(text: str) -> str | None:
    """The words that decline, or only sound so: they count where nothing is stated."""
    found = _REFUSED.search(spelled(text[:READ]))
    return declined(text, unsure=True) or (found and found.group())
