"""Yes and no, and the words that stand for them or lead to them."""

from __future__ import annotations

import re

YES = (
    r"i (?:think|believe) so|(?:it|this|there|the (?:code|function|snippet|program)) (?:(?:most|very"
    r"|quite) )?(?:certainly |definitely |indeed "
    r"|clearly |really |absolutely |undoubtedly )?(?:does|is|are)(?: indeed)?(?=[ ]*[.,!;:])|yes|yep|yeah|yup|ja"
    r"|si|oui|sim|da"
    r"|true|correct"
    r"|that is where the (?:problem|trouble|weakness|bug|flaw|issue|vulnerability) (?:lies|is|sits)"
    r"|affirmative|indeed|(?:absolutely|definitely|certainly|of course)(?! not)"
)
NO = (
    r"(?:there is|there are) (?:not (?:one|any)|none)(?=[ ]*[.,!;:])|not at all|i do not (?:think|believe) (?:so"
    r"|it (?:does|is)|there (?:is|are)|that it (?:does|is))(?=[ ]*(?:[.,!;:]|any\b|one\b))"
    r"|(?:absolutely|definitely|certainly|unfortunately|probably|apparently|surely|of course|clearly) not"
    r"|(?:it|this|there) (?:most )?(?:certainly |definitely |really )?(?:does|is|are) not(?=[ ]*[.,!;:])"
    r"|not (?:as (?:written|given|shown)|really|here|that i can (?:see|tell)|in this (?:code|case"
    r"|snippet))(?=[ ]*[.,!;:-])"
    r"|no|nope|nein|non|nao|niet|nee|false|negative"
)
ENDS = r"(?=\s*(?:[.,;:!)\]}\"']|-|$|\())"

_TO = r"(?: to (?:the|this|your|that)(?: \w+)? ?question| here| (?:for|on|regarding|about|as to)(?: [\w-]+){1,4}?)?"
_FILLER = (
    r"(?:(?:so|therefore|thus|hence|in short|in summary|in conclusion|overall|ultimately|and so|then|short version"
    r"|bottom line"
    r"|tl;?dr|conclusion|summary|well|final|actually|wait|hmm+|ok(?:ay)?|right|correction|on reflection|after all"
    r"|but|no wait"
    r"|and|my mistake|unfortunately|sadly|luckily|fortunately"
    rf"|(?:my |the |short |final |overall |simple |quick |brief )*(?:answer|verdict|decision|response|result"
    rf"|conclusion){_TO}"
    r"(?: is| would be| must be| should be| has to be)?|i (?:would |will )?(?:say|answer|conclude|go with)"
    r"|a|antwort|respuesta|reponse|assistant|ai|bot|output|it is a)\W+)"
)
LEADING = re.compile(
    r"^(?!\W*(?:yes|yeah|yep|of course|certainly|absolutely|indeed|sure)\W+(?:i (?:can|will|would|shall)\b(?! (?:say"
    r"|call|answer|agree|conclude|consider|argue|confirm|see|flag))|let me|happy|glad|let us)"
    r"|\W*(?:of course|certainly|absolutely|indeed|sure)\W+(?:i\b|let me|happy|glad|here(?: is| are)|i'd|we\b))"
    r"(?!\W*(?:of course|certainly|absolutely|definitely|indeed)!)"
    rf"\W*(?:\d+\W+)?{_FILLER}{{0,3}}(?P<said>{YES}|{NO})(?:(?=\s*(?:[.,;:!)\]}}\"'?]|-|$|\())"
    r"|(?=\s+(?:this|the (?:\w+ )?(?:code|snippet|program|function)|it|there|that|because|as|since|i|der|el|ce"
    r"|le)\b))"
)
"""A yes or no at the start of a sentence that is one: "no bounds check" is none."""
ENDING = re.compile(
    rf"\b(?:answer|verdict|decision){_TO} (?:is|would be|must be|should be|has to be)"
    rf"(?: a| an| clearly| simply| therefore| thus)*\W+(?P<said>{YES}|{NO})\b{ENDS}"
    rf"|\bboxed ?\{{ ?(?:text ?\{{ ?)?(?P<box>{YES}|{NO})\b"
    rf"|\b(?:chang\w+|becom\w+|turns?|switch\w*|revis\w+|correct\w*|amend\w*|chang\w+ (?:my|the|this|that)"
    rf" (?:answer|verdict)|make (?:that|it|this))(?: my answer| the answer| that| it| this)?(?: to| into| from \w+ to)?"
    rf" (?:an? )?(?:clear |definite )?(?!negative)\"?(?P<now>{YES}|{NO})\b{ENDS}"
    rf"|\b(?:should have (?:said|answered|been|read)|(?:it|this|that) is an?|(?:go|stick|going) with)(?: an?)?"
    rf"(?: clear| definite| firm| plain)? \"?(?P<meant>yes|no)\b{ENDS}"
    r"|\b(?:answer|verdict)\W{1,3}(?P<again>yes|no)(?=\s+(?:answer|verdict)\b)"
    r"|\b(?:so|hence|therefore|thus|then),?\s+(?P<so>yes|no)\s*(?:[.,;:!]|-|$)"
)
"""A yes or no further on: "so the answer is no"."""

_MEANT = re.compile(rf"(?:{NO})")
_ALSO = re.compile(rf"(?:{YES})")


def affirms(said: str) -> bool:
    """Whether one of these words says yes."""
    return bool(_ALSO.match(said + ".")) and not _MEANT.match(said + ".")
