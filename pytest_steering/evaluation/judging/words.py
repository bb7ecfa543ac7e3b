"""Words that accuse, words that acquit, and words that turn one into the other."""

from __future__ import annotations

import re

from pytest_steering.evaluation.judging.weaknesses import words

GENERIC_BAD = (
    r"vulnerable",
    r"(?:security )?vulnerabilit(?:y|ies|ys|tys?)",
    r"(?:security|safety)[ -](?:flaw|issue|problem|risk|hole|weakness|bug|concern|defect|hazard|threat"
    r"|vulnerability|breach)(?:s|es)?",
    r"weakness(?:es)?",
    r"unsafe(?:ly)?",
    r"insecure(?:ly)?",
    r"exploitable",
    r"exploited",
    r"injectable",
    r"vulner",
    r"susceptible",
    r"prone to",
    r"exposed to",
    r"open to (?:attacks?|abuse|exploitation)",
    r"at risk (?:of|from)",
    r"improperly (?:validated|sanitized|sanitised|escaped|handled|checked|neutralized)",
    r"(?:should|must|can|may|ought to) not (?:be (?:\w+ )?(?:deployed|merged|shipped|released|approved|exposed|put)"
    r"|go (?:live|in|out|into|to))|(?:should|must) not be (?:used|run)",
    r"(?:would|can|could|must|should|do|will) not (?:let|allow|have|want|see) (?:this|it|that) (?:to )?(?:go|ship"
    r"|in|into"
    r"|out|through|live|released|merged|deployed)",
    r"(?:would|must|will|should) (?:hold|block|reject|stop|decline|veto|send) (?:this|it|the (?:change|merge|patch|code"
    r"|release|pull request))(?: back)?",
    r"(?:can|could|may) (?:easily |trivially )?be (?:abused|misused|attacked|hacked|weaponi[sz]ed|compromised)",
    r"(?:a )?(?:blocker|show-?stopper|no-go|deal-?breaker)",
    r"not (?:ok|okay|fine|all right|in order)(?= ?[.,;!:]| is\b|$)",
    r"(?:abus|attack|hack)able|security impact|security[- ]relevant (?:bug|defect|error)",
    r"(?:critical|severe|serious|high[- ]severity|genuine|exploitable) (?:\w+ )?(?:bug|issue|flaw|problem|hole|finding"
    r"|defect|mistake)s?",
    r"(?:is|are|looks?|remains?|seems?) (?:\w+ )?(?:dangerous|broken|problematic|risky|flawed|hazardous)",
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
    r"(?:handle|validate|sanitize|escape|manage|check)(?:s|d)? (?:this|it|them|that|the \w+)? ?(?:properly"
    r"|correctly|safely|securely)",
    r"sicher",
    r"seguro",
    r"securise",
    r"(?:looks?|is|are|seems?|appears?) (?:all |quite |perfectly |pretty )?(?:fine|good|ok|okay|correct|clean|solid"
    r"|sound|watertight|airtight|bulletproof|harmless|all ?right)",
    r"^(?:all |perfectly )?(?:fine|clean|harmless)(?=\W*$)",
    r"clean(?= (?:for|on|with|as|of) )",
    r"(?:is|are|looks?) right(?= ?[.,;!]| here|$)",
    r"lgtm|all (?:is )?(?:good|clear|well|fine|clean)|good to go|thumbs up|clean bill of health|(?:green|all) lights?"
    r"|false (?:alarm|positive)s?|unfounded",
    r"(?:this|that|it|which) (?:is|are) not (?:really |actually )?(?:an? )?(?:issue|problem|concern|bug|defect|worry)"
    r"(?= here| in this| ?[.,;!]|$)",
    r"in (?:good|great|excellent|perfect|fine) (?:shape|order|condition)",
    r"nothing (?:\w+ ){0,2}(?:to (?:report|flag|fix|see here|complain about|object to|worry about|find|exploit|attack)"
    r"|wrong|amiss|suspicious|alarming|of concern|problematic|dangerous|exploitable|concerning|jumped out|jumps out"
    r"|stood out|stands out|caught my eye|turned up|came up|(?:was |is |to be )?(?:found|detected))(?! (?:a|an|to) )",
    r"no (?:\w+ )?(?:findings?|issues?|problems?|concerns?|red flags?|complaints?|objections?|defects?|flaws?|holes?)"
    r"(?! (?:with|of|in) (?:the )?(?:compil|perform|format|style))",
    r"no (?:cause|reason|grounds|need) (?:for|to) (?:alarm|concern|worry|objection|complaint|complain)",
    r"not (?:find|see|spot|detect|notice|discover|have|identify|observe|encounter) (?:any |a |an )?(?:\w+ )?(?:issues?"
    r"|problems?|flaws?|bugs?|concerns?|objections?|faults?|findings?|defects?|red flags?|holes?|anything (?:wrong"
    r"|amiss|suspicious|problematic|alarming))",
    r"(?:sign|signed|signing) (?:this |it )?off|(?:i|we) (?:would |can |will |do )?(?:not )?(?:approve|merge"
    r"|ship)(?! until)",
    r"ready (?:to|for|to be) (?:ship|merge|deploy|go|production|release|merged|deployed|shipped|deployment)",
    r"approved(?= from| by me| ?[.!,]|$)|(?:came|come|comes) (?:up|away) empty",
    r"pass(?:es|ed)? (?:the |my |this )?(?:review|audit|inspection)",
    r"no (?:such )?(?:instances?|occurrences?|cases?|signs?) (?:was |were |are |is |could be |can be )?(?:found"
    r"|detected|seen|identified|present)",
)
NOUN_AFTER_GOOD = re.compile(
    r"\s+(?:(?:and|or) (?:more )?\w+ )?(?:\w+ )?(?:versions?|alternatives?|functions?|coding|practices?|ways?"
    r"|approach(?:es)?|methods?|apis?|"
    r"librar(?:y|ies)|copy|string(?:s)?|equivalents?|options?|random|context|channel|cookies?|wrappers?|variants?|"
    r"manner|values?|programming|by default|to (?:assume|say)|(?:file )?handling|development|design|type|range"
    r"|limits?|filter|marker|flag|keyword|modifier|attribute)\b"
)
"""After "safe" or "secure" these make it a name for something else than the code that was asked about."""
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
    # As verbs only, right before their object: "the block is free of …" has a noun.
    r"(?:blocks?|blocking|stops?|counters?)(?=(?: any| all| the| such)?(?: \w+)?$)",
    r"reduc(?:e|es|ed|ing)",
    r"resist(?:s|ed|ing)?",
    r"rules? out",
)
"""Each turns a word that accuses into one that acquits: what is prevented is not there."""
UNTURNED = re.compile(
    r"\b(?:not (?:only|just|merely|simply)|no (?:doubt|question)|without (?:a )?doubt"
    r"|not surprising\w*|if not)\b"
)
"""Negators that negate nothing."""
DENIED_AFTER = re.compile(
    r"^[ :,-]*(?:n/a|not applicable|does not apply)\b|^(?:[ ,'\"]*(?:vulnerabilit(?:y|ies)|attacks?|issues?|flaws?"
    r"|risks?|bugs?|problems?|weakness(?:es)?|errors?"
    r"|here|code|"
    r"\(?cwe-\d+\)?|in (?:this|the)(?: \w+){1,3}|of (?:this|the)(?: \w+){1,3}))*[ ,'\"]*"
    r"(?:(?:is|are|was|were|does|do|did|has|have|can|could|will|would)(?: \w+ly| also| therefore| thus| never"
    r"| ever)? "
    r"(?:not (?:be |been |a |an )?(?:present|possible|exist|occur|happen|arise|appear|seem|apply|applicable|found"
    r"|detected|"
    r"identified|exploitable|concern|issue|problem|relevant|evident|there|introduced|feasible|triggered|reachable"
    r"|seen|visible|"
    r"observed|exploited|performed|executed|injected|in play|the case)|(?:been |a )?(?:prevented|mitigated|avoided"
    r"|absent|impossible|unlikely|eliminated|"
    r"addressed|excluded|false (?:positive|alarm)|ruled out|blocked|out of the question|not))"
    r"|(?:not|never) (?:present|found|detected|possible|applicable|identified|vulnerable|exploitable)"
    r"|(?:it|this|the) (?:code |function |snippet |program )?(?:does|did|has|is) not\b"
    r"|never (?:occurs?|happens?|arises?)|absent|none\b|protection|prevention|(?:practically |virtually "
    r"|effectively )?(?:impossible|infeasible|unlikely|irrelevant|harmless|moot)\b"
    r"|(?:nicht|kein)\b)"
)
"""What follows a word that accuses and denies it: "… is not present", "… cannot occur"."""
UNPREVENTED_AFTER = re.compile(
    r"^[^.]{0,40}?\b(?:is|are|was|were|has|have) not (?:been )?(?:prevented|mitigated"
    r"|avoided|eliminated|addressed|handled)\b"
)
HEDGES = words(
    r"may",
    r"might",
    r"could",
    r"can",
    r"potential(?:ly)?",
    r"possib(?:le"
    r"|ly)",
    r"perhaps",
    r"probably",
    r"would",
    r"likely",
)
LEADS = re.compile(
    r"\b(?:lead|leads|leading|result|results|resulting|cause|causes|causing|allow|allows|allowing"
    r"|enable|enables)\b"
)
EXCEPTIONS = words(
    r"apart from",
    r"aside from",
    r"except(?:ing)?(?: for"
    r"| from)?",
    r"other than",
    r"besides",
    r"with the exception of",
    r"barring",
)
