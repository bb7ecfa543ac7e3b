"""Words that keep a clause from saying anything about the code at hand: conditions, advice, definitions, doubts."""

from __future__ import annotations

import re

from pytest_steering.evaluation.judging.weaknesses import words

SILENCERS = words(
    r"if",
    r"whether",
    r"should",
    r"known as",
    r"such as",
    r"e\.?g\.?",
    r"(?:in order )?to (?:help )?(?:fix|address|ensure|make|check|see|determine|identify|find|look for|detect|test"
    r"|verify|analy[sz]e|assess|"
    r"demonstrate|exploit|resolve|remediate|correct|protect|guard|secure|keep|search for|evaluate)",
    r"(?:check|checks|checking|checked|test|tests|testing|look|looking|looked|scan|scanning|search|searching"
    r"|analy[sz]e|examined?|"
    r"reviewed?|review|analy[sz]ed|analysis|audit|audited) (?:(?:the |this |your )?(?:given |provided |following "
    r"|above )?"
    r"(?:code|function|snippet|program) |it )?(?:for|of)",
    r"instead",
    r"recommend\w*",
    r"potential to",
    r"it is (?:always |also |very )?(?:important|advisable|crucial|essential|good|best|recommended)",
    r"always",
    r"remember",
    r"more",
    r"less",
    r"other",
    r"another",
    r"different",
    r"further",
    r"(?:can|could) not (?:determine|tell|say|be (?:determined|certain|sure)|confirm|guarantee|rule out|assess"
    r"|judge|verify|know)(?: for sure)?",
    r"(?:unable|hard|difficult|impossible|not possible|not able|not enough information) to "
    r"(?:determine|tell|say|confirm|guarantee|assess|judge|verify|know)",
    r"(?:do|does) not (?:guarantee|know|necessarily mean|mean)",
    r"not (?:necessarily|a guarantee)",
    r"(?:even )?when",
    r"(?:is|that is|this is) how",
    r"depends on",
    r"would(?: \w+)? (?:be|become|make|have|still be)",
    r"will be",
    r"becomes?",
    r"(?:un)?related to",
    r"nothing to do with",
    r"(?:often|usually|typically|commonly|frequently|generally|sometimes)(?: \w+)?(?: with| to| by| as| in)?",
    r"associated with",
    r"(?:listed|catalog(?:ed|ued)|known|classified|tracked|registered) as",
    r"reminiscent of",
    r"types? of",
    r"kinds? of",
    r"attempts? to",
    r"attempted to",
    r"tr(?:y|ies|ied|ying) to",
    r"looks(?: like)?(?: \w+)? at first",
    r"no longer",
    r"at first (?:sight|glance)?",
    r"helps?",
    r"before",
    r"regarding",
    r"asked (?:me )?(?:about|for|to)",
    r"(?:asks?|question (?:is|was)) about",
    r"screams?",
    r"(?:removed|deleted|old|previous|former|earlier) (?:\w+ )?(?:was|were|had|could)(?: \w+)?",
    r"used to be",
    r"arguments? (?:for|against)",
    r"concerning",
    r"in terms of",
    r"with (?:regards?|respect) to",
    r"as (?:for|to|regards)",
    r"when it comes to",
    r"on the (?:topic|subject|question|matter) of",
    r"until",
    r"either",
    r"about",
    r"mark(?:s|ed|ing)?(?: \w+){0,2}(?: as)?",
    r"focus(?:es|ing|ed)? on",
    r"suspect(?:s|ed|ing)?",
    r"initially",
    r"i first",
    r"tempted",
    r"(?:the rest|everything else|the remainder|the remaining|the others?|apart from that|other than that|elsewhere)",
    r"my first (?:impression|thought|reaction|instinct|reading|guess)",
    r"i (?:was|am) (?:going|about|ready|tempted) to|i was inclined to",
    r"i (?:nearly|almost|originally|initially|mistook|took)",
    r"it (?:looked|seemed|appeared)",
    r"(?:one|you|it) (?:might|may|could) (?:\w+ )?(?:think|assume|suspect|seem|appear|look|argue|say|claim|object)",
    r"seem(?:s|ed) at first",
    r"ensur(?:e|es|ing)(?: that)?",
    r"mak(?:e|es|ing) (?:it|them|the code|this|sure)(?: more)?",
)
"""Before an accusing or acquitting word, these mean that nothing is said about the code at hand."""
EXCEPTED = re.compile(
    r"^\W*(?:(?:apart|aside) from (?:this|that|it|these|those)|other than (?:this|that|these|those)|otherwise|beyond"
    r" (?:this|that))\b"
)
"""What such a sentence acquits is the rest."""
TOPICAL = re.compile(
    r"^\W*(?:as (?:for|to|regards)|when it comes to|regarding|concerning|in terms of|with (?:regards?|respect) to"
    r"|for)\b"
)
"""What follows such a clause is about what it names."""
GENERAL = re.compile(
    r"^[\"')]*(?: (?:vulnerabilit(?:y|ies)|attacks?|flaws?|bugs?|issues?))?[\"')]* (?:can|may|could|might|are"
    r"|occurs?|happens?|arises?|allows?|lets?|have(?! been)|involves?|refers?|means|exploits?|"
    r"targets?|(?:is|are) (?:\w+ly )?(?:listed|ranked|an?|one|among|the (?:result|most|practice)))\b(?! (?:in|at|on"
    r"|here|because|since|between"
    r"|inside|within|there|twice|this|possible|present|found|detected|likely|evident|visible|exploitable)\b)"
)
"""After a name that opens a clause: what the weakness is in general."""
ASSERTING = re.compile(
    r"\b(?:contains?|has|have|had|is|are|was|exists?|there|suffers?|introduces?|leads?|results?|enables?|allows?"
    r"|susceptible|exposes?|occurs?|happens|found|detected|sees?|spot|"
    r"identified|present|possible|classic|textbook|vulnerab\w+|exhibits?|includes?|possesses|creates?|causes?"
    r"|constitutes?|opens?|potential)\b"
)
"""Words with which a name is said to be there; a name without one is a topic."""
SILENT_AFTER = re.compile(
    r"^[\"')]*(?: (?:vulnerabilit(?:y|ies)|attacks?|issues?|bugs?|flaws?))? ?(?:point of view|perspective"
    r"|standpoint|would(?: \w+)? (?:require|need|only|be|have|occur|happen)"
    r"|requires?\b|needs?\b|is concerned|of (?:a|an)(?:other| different) (?:sort|kind|type|class)|(?:is|are) (?:an? "
    r"|one of )?(?:common|well[- ]known|serious|frequent"
    r"|classic kind|dangerous|the most)|attacks? (?:typically|usually|often|work)|typically|usually|of its own"
    r"|(?:can|could|may|might) (?:only )?(?:occur|happen|arise|exist) (?:if|when|only)"
    r"|(?:is|are) (?:determined|decided|governed) by|depends?\b|hinges?\b|analysis|assessment|checks?\b|scan\w*"
    r"|review|reports?\b|research\w*|testing|audit)"
)
"""After a word that accuses, these mean that it is only talked about."""
DEFINITIONS = re.compile(
    r"\b(?:occurs?|happens?|arises?|is|are|exists?) (?:a (?:type|kind|class|form) of|an? \w+ (?:\w+ )?(?:in$|that|where"
    r"|in which)|when(?:ever)?|where|what happens)\b"
    r"|\brefers to (?:an? |the )?(?:\w+ )?(?:\w+ing|situations?|practices?|techniques?|"
    r"vulnerabilit\w+|weakness\w*|cases?|conditions?|types?|class|kinds?|acts?|bugs?|flaws?|attacks?|errors?)\b"
    r"|^\W*(?:an? |the )?[\w -]{2,60} (?:means|describes|denotes) (?:that|a|an|the)\b|\bdescribes (?:software|code that"
    r"|programs?|situations?|cases?)\b|\b(?:is"
    r"|are) when\b|\bwhich (?:occurs?|happens?|arises?) when\b|\bis (?:a"
    r"|an) (?:\w+ ){0,2}technique\b"
)
CLAIMED = re.compile(
    r"\bcomments? \"|\b(?:comments?|doc-?strings?|documentation|docs|readme|todo|fixme|commit message|authors?"
    r"|developers?"
    r"|programmers?"
    r"|scanners?|linters?|colleagues?|changelog|ticket|analy[sz]ers?|manual|reviewers?|bug report|man page)\b"
    r"(?! (?:is|are|was|were|has|have) not)(?:[^.]{0,40}\b(?:claim|sa[iy]|state|suggest|assert|promis|insist"
    r"|believ|think"
    r"|thought|note|read|report|warn|pretend|assur|flag|call|mention|tell|declar|assum|intend)\w*\b|, \")"
    r"|\baccording to (?:the|a|its) \w+|\bthe claim\b|\b(?:supposedly|allegedly|purportedly|ostensibly)\b"
    r"|\bit is (?:claimed|said|alleged|asserted)\b"
)
"""What follows is somebody else's word, up to a contrast."""
CONTRARY = re.compile(r"\b(?:contrary to|unlike|despite|against|in spite of) (?:what )?[^,;]{1,60}, ?")
"""What is set aside before anything is said."""
REFUTED = re.compile(
    r"\b(?:(?:can|do|would|could) not agree|disagree|does not (?:hold|apply|stand)|(?:is|are|was) (?:simply |just "
    r"|plainly )?(?:wrong|false|untrue"
    r"|incorrect|outdated"
    r"|obsolete|mistaken|misleading|inaccurate|a lie|out of date|not true|not correct|not so|no longer true))\b"
)
REFERS = re.compile(
    r"\bthis (?!kind|type|class|weakness|vulnerability|is|can|may|allows)\w|\bhere\b(?! is (?:what|a|how|the|some)|"
    r" are)|\blines? \d|\bthe (?:given "
    r"|provided )?(?:code|function|snippet"
    r"|handler|method|endpoint|query|loop|call|value|input|pointer|buffer|script|template)\b|(?<!arbitrary )"
    r"(?<!malicious )(?<!of )(?<!execute )(?<!any )(?<!their )(?<!run )(?<!own )(?<!such as )(?<!like )\bcode\b"
)
"""The sentence is about the code at hand."""
POINTS = re.compile(
    r"\bthis (?:code|function|snippet|program|case|script)\b|\bhere\b|\blines? \d|\bcode (?:is|calls|and)\b"
)
"""It points at the code, even where it explains."""
_TELL = (
    r"(?:help|assist|provide (?:assistance|help)|comply|fulfil+|verify|confirm|determine|tell|judge|assess|answer|know)"
)
DECLINES = re.compile(
    rf"\b(?:i|we|one|you) (?:\w+ )?(?:can|could|am|are|do|will|would) not (?:\w+ )?(?:able to |possible to )?{_TELL}\b"
    rf"|\b(?:can|could) not (?:\w+ )?{_TELL}\b|\bnot (?:\w+ )?(?:able|possible) to {_TELL}\b"
    r"|\bnot (?:\w+ )?be (?:determined|sure|certain)\b|\b(?:hard|difficult|impossible) to (?:say|tell|determine|judge"
    r"|assess)\b|\bdepends on\b"
)
USES = re.compile(
    r"\b(?:uses?|use of|using|used|checks?|validates?|saniti[sz]es?|escapes?|employs?|implements?"
    r"|performs?|quotes?|encodes?|binds?|limits?|there (?:is|are))\b"
)
PREDICATE = re.compile(
    r"(?:\b(?:is|are|be|was|were|appears?|seems?|looks?|remains?|considered|fairly|quite|reasonably|completely"
    r"|fully|entirely|totally|generally|relatively|not|nicht|no|pas|perfectly|100|therefore|thus|"
    r"and|as|otherwise|deemed|it|code|sufficiently|adequately|inherently|ist|es|est|very|also|pretty|absolutely"
    r"|probably|likely|to be|already|technically|strictly|basically|mostly|still|both|well|a|concluded)\W+|^\W*)$"
)
