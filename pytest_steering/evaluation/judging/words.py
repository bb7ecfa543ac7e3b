"""What answers are made of: names of weaknesses, words that accuse, words that acquit, words that turn or hush them.

All patterns are meant for text that ``normalise`` has made: lower case, no accents, "can't" as "can not". None of
them nests one repetition in another, so that each reads a text in time proportional to its length.
"""

from __future__ import annotations

import re

WORD = r"(?<![\w-])(?:{})(?![\w-])"


def words(*alternatives: str) -> re.Pattern[str]:
    """A pattern of whole words or phrases, the longest alternative first."""
    return re.compile(WORD.format("|".join(sorted(alternatives, key=len, reverse=True))))


ALIASES: dict[int, tuple[str, ...]] = {
    22: (
        r"(?:path|directory)[ -]traversals?(?: attacks?)?",
        r"path injections?",
        r"dot[ -]dot[ -]slash",
        r"zip[ -]slip",
        r"(?:arbitrary|local) file (?:reads?|access|inclusion|disclosure|writes?)",
    ),
    77: (
        r"(?:os[ -]|operating system |shell |arbitrary )?(?:command|shell)[ -]injections?",
        r"os injections?",
        r"(?:arbitrary|remote) (?:os |shell )?(?:command|code) execution",
        r"inyeccion de comandos",
    ),
    79: (r"cross[ -]site[ -]scripting", r"xss", r"(?:script|html|javascript) injections?"),
    89: (r"sql[ -]?injections?", r"sqli", r"inyeccion(?:es)? (?:de )?sql", r"injections? sql"),
    190: (
        r"(?:signed |unsigned )?(?:integer|arithmetic|numeric|int)[ -](?:over|under)flows?(?: or wrap[ -]?around)?",
        r"integer wrap[ -]?arounds?",
        r"wrap[ -]?around (?:errors?|bugs?)",
        r"(?:ganzzahl|integer)-?uberlauf",
    ),
    416: (r"use[ -]after[ -]frees?", r"uafs?", r"dangling[ -]pointers?", r"use of freed memory"),
    476: (
        r"null(?:ptr)?[ -](?:pointer[ -])?(?:de)?ref(?:erenc(?:e|es|ing))?",
        r"npds?",
        r"null pointer (?:exceptions?|access(?:es)?)",
        r"dereferenc(?:e|es|ing) (?:of )?(?:a |the )?(?:potentially |possibly )?null(?: pointers?)?",
        r"nullzeiger-?dereferenzierung",
    ),
    787: (
        r"out[ -]of[ -]bounds?[ -](?:memory )?writ(?:es?|ing)",
        r"oob[ -]writ(?:es?|ing)",
        r"writ(?:e|es|ing) out of bounds",
        r"(?:stack|heap)?(?:-based)?[ -]?buffer[ -]over(?:flow|run)s?",
        r"(?:stack|heap)(?:-based)?[ -](?:buffer )?over(?:flow|run)s?",
        r"pufferuberlauf",
    ),
}
"""What each weakness of the study is called in answers, besides its number."""

NUMBERS: dict[int, int] = {78: 77, 88: 77, 80: 79, 120: 787, 121: 787, 122: 787, 119: 787, 680: 190, 23: 22, 36: 22, 73: 22}
"""Numbers of near relatives, read as the weakness that they are kinds of."""

STRANGERS = (
    r"out[ -]of[ -]bounds?[ -]reads?",
    r"oob[ -]reads?",
    r"double[ -]frees?",
    r"memory[ -]leaks?",
    r"(?:resource|file descriptor|handle)[ -]leaks?",
    r"race[ -]conditions?",
    r"toctou",
    r"format[ -]string(?:s| bugs?| vulnerabilit(?:y|ies)| attacks?| issues?)?",
    r"csrf",
    r"cross[ -]site request forgery",
    r"ssrf",
    r"xxe",
    r"(?:ldap|log|header|code|template|xpath|nosql) injections?",
    r"open redirects?",
    r"denial[ -]of[ -]service",
    r"(?:insecure )?deseriali[sz]ation",
    r"hard[ -]?coded (?:credentials?|passwords?|secrets?|keys?)",
    r"information (?:disclosure|leaks?|leakage|exposure)",
    r"uninitiali[sz]ed (?:memory|variables?|values?|reads?)",
    r"division by zero",
    r"weak (?:hash(?:es|ing)?|crypto(?:graphy)?|ciphers?)",
    r"privilege escalation",
)
"""Weaknesses that the study never asks about."""

GENERIC_BAD = (
    r"vulnerable",
    r"(?:security )?vulnerabilit(?:y|ies|ys|tys?)",
    r"(?:security|safety)[ -](?:flaw|issue|problem|risk|hole|weakness|bug|concern|defect|hazard|threat|vulnerability|breach)(?:s|es)?",
    r"weakness(?:es)?",
    r"unsafe(?:ly)?",
    r"insecure(?:ly)?",
    r"exploitable",
    r"exploited",
    r"susceptible",
    r"prone to",
    r"exposed to",
    r"open to (?:attacks?|abuse|exploitation)",
    r"at risk (?:of|from)",
    r"improperly (?:validated|sanitized|sanitised|escaped|handled|checked|neutralized)",
    # German, Spanish and French, without accents.
    r"anfallig",
    r"verwundbar",
    r"angreifbar",
    r"unsicher",
    r"(?:sicherheits)?(?:lucken?|schwachstellen?)",
    r"inseguro",
    r"vulnerabilidad(?:es)?",
    r"vulnerabilites?",
)
GENERIC_GOOD = (
    r"secure",
    r"safe",
    r"invulnerable",
    r"immune",
    r"protected (?:against|from)",
    r"not affected by",
    r"resistant to",
    r"(?:properly|correctly|safely|adequately|appropriately|securely|sufficiently) "
    r"(?:validat|sanitiz|sanitis|escap|handl|check|encod|quot|bound|parameteriz|neutraliz|manag)(?:ed|es)",
    r"(?:handle|validate|sanitize|escape|manage|check)(?:s|d)? (?:this|it|them|that|the \w+)? ?(?:properly|correctly|safely|securely)",
    r"sicher",
    r"seguro",
    r"securise",
    r"(?:looks?|is|are|seems?|appears?) (?:fine|good|ok|okay|correct|clean)",
    r"lgtm",
    r"no (?:such )?(?:instances?|occurrences?|cases?|signs?) (?:was |were |are |is |could be |can be )?(?:found|detected|seen|identified|present)",
)

NOUN_AFTER_GOOD = re.compile(
    r"\s+(?:(?:and|or) (?:more )?\w+ )?(?:\w+ )?(?:versions?|alternatives?|functions?|coding|practices?|ways?|approach(?:es)?|methods?|apis?|"
    r"librar(?:y|ies)|copy|string(?:s)?|equivalents?|options?|random|context|channel|cookies?|wrappers?|variants?|"
    r"manner|values?|programming|by default|to (?:use|assume|say)|(?:file )?handling|development|design|type|range|limits?)\b"
)
"""After "safe" or "secure" these make it a name for something else than the code that was asked about."""

SILENCERS = words(
    r"if",
    r"whether",
    r"should",
    r"known as",
    r"such as",
    r"e\.?g\.?",
    r"(?:in order )?to (?:help )?(?:fix|address|ensure|make|check|see|determine|identify|find|look for|detect|test|verify|analy[sz]e|assess|"
    r"demonstrate|exploit|resolve|remediate|correct|protect|guard|secure|keep|search for|evaluate)",
    r"(?:check|checks|checking|checked|test|tests|testing|look|looking|looked|scan|scanning|search|searching|analy[sz]e|examined?|"
    r"reviewed?|review|analy[sz]ed|analysis|audit|audited) (?:the code |this code |it )?(?:for|of)",
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
    r"(?:can|could) not (?:determine|tell|say|be (?:determined|certain|sure)|confirm|guarantee|rule out|assess|judge|verify|know)(?: for sure)?",
    r"(?:unable|hard|difficult|impossible|not possible|not able|not enough information) to "
    r"(?:determine|tell|say|confirm|guarantee|assess|judge|verify|know)",
    r"(?:do|does) not (?:guarantee|know|necessarily mean|mean)",
    r"not (?:necessarily|a guarantee)",
    r"(?:even )?when",
    r"depends on",
    r"would(?: \w+)? (?:be|become|make|have|still be)",
    r"will be",
    r"becomes?",
    r"related to",
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
    r"concerning",
    r"in terms of",
    r"with (?:regards?|respect) to",
    r"as for",
    r"until",
    r"either",
    r"about",
    r"focus(?:es|ing|ed)? on",
    r"suspect(?:s|ed|ing)?",
    r"initially",
    r"i first",
    r"(?:one|you|it) (?:might|may|could) (?:\w+ )?(?:think|assume|suspect|seem|appear|look)",
    r"seem(?:s|ed) at first",
    r"ensur(?:e|es|ing)(?: that)?",
    r"mak(?:e|es|ing) (?:it|them|the code|this|sure)(?: more)?",
)
"""Before an accusing or acquitting word, these mean that nothing is said about the code at hand."""

NEGATORS = words(
    r"no",
    r"not",
    r"never",
    r"none",
    r"neither",
    r"nor",
    r"without",
    r"nothing",
    r"nowhere",
    r"hardly",
    r"unlikely",
    r"free (?:of|from)",
    r"rather than",
    r"instead of",
    r"lacks?",
    r"lacking",
    r"lack of",
    r"absence of",
    r"fail(?:s|ed|ing|ure)? to",
    r"unable to",
    r"impossible",
    r"untrue",
    r"false",
    r"nicht",
    r"kein\w*",
    r"pas",
    r"sin",
    r"ningun\w*",
    r"aucune?",
    r"zero",
    r"devoid of",
    r"insufficient(?:ly)?",
    r"inadequate(?:ly)?",
    r"ineffective",
)
"""Each turns the word that follows it into its opposite."""

BAD_NEGATORS = words(
    r"prevent(?:s|ed|ing|ion of)?",
    r"mitigat(?:e|es|ed|ing|ion of)",
    r"avoid(?:s|ed|ing)?",
    r"eliminat(?:e|es|ed|ing|ion of)",
    r"(?:protect|guard|defend|defense|protection|safeguard)(?:s|ed|ing)? (?:\w+ ){0,2}(?:against|from)",
    r"(?:safe|secure|immune|protected|resistant) (?:from|against)|(?:immune|resistant) to",
    r"block(?:s|ed|ing)?",
    r"reduc(?:e|es|ed|ing)",
    r"rules? out",
    r"stops?",
    r"counters?",
)
"""Each turns a word that accuses into one that acquits: what is prevented is not there."""

UNTURNED = re.compile(r"\b(?:not (?:only|just|merely|simply)|no (?:doubt|question)|without (?:a )?doubt|not surprising\w*|if not)\b")
"""Negators that negate nothing."""

DENIED_AFTER = re.compile(
    r"^(?:[ ,'\"]*(?:vulnerabilit(?:y|ies)|attacks?|issues?|flaws?|risks?|bugs?|problems?|weakness(?:es)?|errors?|here|code|"
    r"\(?cwe-\d+\)?|in (?:this|the)(?: \w+){1,3}|of (?:this|the)(?: \w+){1,3}))*[ ,'\"]*"
    r"(?:(?:is|are|was|were|does|do|did|has|have|can|could|will|would)(?: \w+ly| also| therefore| thus| never| ever)? "
    r"(?:not (?:be |been |a |an )?(?:present|possible|exist|occur|happen|arise|appear|seem|apply|applicable|found|detected|"
    r"identified|exploitable|concern|issue|problem|relevant|evident|there|introduced|feasible|triggered|reachable|seen|visible|"
    r"observed|exploited|performed|executed|injected|in play|the case)|(?:been |a )?(?:prevented|mitigated|avoided|absent|impossible|unlikely|eliminated|"
    r"addressed|excluded|false (?:positive|alarm)|ruled out|blocked|out of the question|not))"
    r"|(?:not|never) (?:present|found|detected|possible|applicable|identified|vulnerable|exploitable)|never (?:occurs?|happens?|arises?)|absent|none\b|protection|prevention|(?:practically |virtually |effectively )?(?:impossible|infeasible|unlikely|irrelevant|harmless|moot)\b"
    r"|(?:nicht|kein)\b)"
)
"""What follows a word that accuses and denies it: "… is not present", "… cannot occur"."""

GENERAL = re.compile(
    r"^[\"')]*(?: (?:vulnerabilit(?:y|ies)|attacks?|flaws?|bugs?|issues?))?[\"')]* (?:can|may|could|might|are|occurs?|happens?|arises?|allows?|lets?|have(?! been)|involves?|refers?|means|exploits?|"
    r"targets?|is (?:an?|one|among|the (?:result|most|practice)))\b(?! (?:in|at|on|here|because|since|between|inside|within|there|twice|this|possible|present|found|detected|likely|evident|visible|exploitable)\b)"
)
"""After a name that opens a clause: what the weakness is in general."""
ASSERTING = re.compile(
    r"\b(?:contains?|has|have|had|is|are|was|exists?|there|suffers?|introduces?|leads?|results?|enables?|allows?|susceptible|exposes?|occurs?|happens|found|detected|sees?|spot|"
    r"identified|present|possible|classic|textbook|vulnerab\w+|exhibits?|includes?|possesses|creates?|causes?|constitutes?|opens?|potential)\b"
)
"""Words with which a name is said to be there; a name without one is a topic."""

SILENT_AFTER = re.compile(
    r"^[\"')]*(?: (?:vulnerabilit(?:y|ies)|attacks?|issues?|bugs?|flaws?))? ?(?:point of view|perspective|standpoint|would(?: \w+)? (?:require|need|only|be|have|occur|happen)"
    r"|requires?\b|needs?\b|is concerned|(?:is|are) (?:an? |one of )?(?:common|well[- ]known|serious|frequent|classic kind|dangerous|the most)|attacks? (?:typically|usually|often|work)|typically|usually|of its own|(?:can|could|may|might) (?:only )?(?:occur|happen|arise|exist) (?:if|when|only)"
    r"|analysis|assessment|checks?\b|scan\w*|review|reports?\b|research\w*|testing|audit)"
)
"""After a word that accuses, these mean that it is only talked about."""

UNPREVENTED_AFTER = re.compile(r"^[^.]{0,40}?\b(?:is|are|was|were|has|have) not (?:been )?(?:prevented|mitigated|avoided|eliminated|addressed|handled)\b")
HEDGES = words(r"may", r"might", r"could", r"can", r"potential(?:ly)?", r"possib(?:le|ly)", r"perhaps", r"probably", r"would", r"likely")
LEADS = re.compile(r"\b(?:lead|leads|leading|result|results|resulting|cause|causes|causing|allow|allows|allowing|enable|enables)\b")
EXCEPTIONS = words(
    r"apart from", r"aside from", r"except(?:ing)?(?: for| from)?", r"other than", r"besides", r"with the exception of", r"barring"
)
DEFINITIONS = re.compile(
    r"\b(?:occurs?|happens?|arises?|is|are|exists?) (?:a (?:type|kind|class|form) of|a \w+ (?:\w+ )?(?:that|where|in which)|when(?:ever)?|where|what happens)\b"
    r"|\brefers to\b|\b(?:is|are) when\b|\bwhich (?:occurs?|happens?|arises?) when\b|\bis (?:a|an) (?:\w+ ){0,2}technique\b"
)

CUES_BAD = re.compile(
    r"\bwithout (?:being |any |a |proper |first |prior |adequate |sufficient |further |properly |appropriate )*(?:check|valid|sanit|escap|bound|verif|encod|quot|test|limit|length)\w*"
    r"|\bno (?:bounds?|null|length|size|range|input|sanity|overflow)[ -](?:check|valid|sanit)\w*"
    r"|\bno (?:check|validation|sanitization|sanitisation|escaping|bounds checking|verification)\b"
    r"|\bnot (?:being |been |be |properly |correctly |adequately |sufficiently |ever |even )*(?:check|valid|sanit|escap|bound|verif|encod|quot|parameteri|compar|limit|restrict|null-terminat|test)\w*"
    r"|\bfails? to (?:check|valid|sanit|escap|bound|verif|encod|guard|limit|restrict|handle)\w*"
    r"|\bunchecked\b|\bunvalidated\b|\bunsani\w+|\bunescaped\b|\bunbounded\b|\bungepruft\b"
    r"|\b(?:past|beyond|outside|off) (?:of )?(?:the |its )?(?:end|bounds?|boundar\w+|allocated|buffer|array|intended)\b|\bone past\b|\boff[ -]by[ -]one\b|\boverruns?\b|\boverrun\b"
    r"|\bafter (?:it |they |being |having |the \w+ )*(?:is|are|was|were|has been|have been|been|being)? ?freed\b|\balready (?:been )?freed\b|\bfreed (?:memory|pointer|buffer)\b"
    r"|\b(?:attacker|adversary|(?:malicious |remote )?user)s? (?:can|could|may|might|would be able to|is able to|will be able to|to (?:read|write|run|execute|inject|access|overwrite))\b"
    r"|\ballow\w* (?:an |any )?(?:attacker|malicious|remote|user)s?\b|\blets (?:an|a) (?:attacker|user)\b"
    r"|\bconcatenat\w+|\bstring (?:formatting|interpolation)\b|\binterpolat\w+|\bf-string\b"
    r"|\b(?:one|two|three|several) (?:\w+ )?findings?\b|\bafter\b.{0,30}\b(?:released|deleted|deallocated|invalidated|erased)\b|\b(?:insufficient|inadequate|ineffective)\b"
    r"|\bbut (?:it |this |that )?fails\b|\bnot (?:enough|sufficient|adequate)\b|\b(?:can|could|may) (?:easily )?be (?:bypassed|circumvented)\b|\bopens? the door\b"
    r"|\b(?:may|might|can|could) (?:be|return|become) null\b|\bwraps? (?:around )?\b|\boverflows\b|\bdangerous code\b|\barbitrary (?:files?|code|commands?|sql|scripts?|javascript)\b"
    r"|\bdirectly (?:into|in|to|from)\b|\bsmash\w*\b|\bcorrupts?\b"
)
CUES_GOOD = re.compile(
    r"\bparameteri[sz]ed\b|\bprepared statements?\b|\bplaceholders?\b|\bbound (?:as|by|to)\b"
    r"|\b(?:is|are|being|be|gets?) (?:always |first |also |then |properly |correctly |all |explicitly )*(?:checked|validated|sani[a-z]+|escaped|verified|bounded|quoted|encoded|clamped|guarded)\b"
    r"|\b(?:checks|verif(?:y|ies)|validates?|ensures?|compares?|guards?|escapes?|sanitizes?) (?:for|that|whether|if|the|each|every|all|both)\b"
    r"|\bnot find (?:a|any) way\b|\bset to null\b|\bwithin (?:its |the |their |the array |the buffer )?(?:bounds?|limits|buffer)\b|\bstays? (?:within|inside)\b"
    r"|\bnever (?:touch\w*|access\w*|used|reach\w*|written|exceeds?|reads?|writes?|parse\w*|interpret\w*|treated|dereferenc\w*)\b"
    r"|\bnothing (?:is|gets) (?:ever )?(?:written|read|used)\b|\bno (?:risk|danger|threat|concern|issues?|problems?|way|possibility|path|shell|user input)\b|\bcan not (?:be|overflow|exceed|wrap|happen|occur|reach|escape|inject)\b|\bautoescap\w+"
    r"|\b(?:effective|sufficient|refuses?|rejects?|rejected|refused|denied|canonicali[sz]\w+|allow[- ]?list\w*|white[- ]?list\w*)\b"
)
