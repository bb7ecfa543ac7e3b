"""What speaks for or against code whatever the weakness: a check that is missing, a value from a fixed list."""

from __future__ import annotations

from pytest_steering.evaluation.judging.mechanisms import ACTOR

_CHECKED = (
    r"(?:check|valid|sanit|escap|verif|encod|quot|parameteri|compar|restrict|null-terminat|test|inspect"
    r"|filter|guard|examin|look(?:ed)? at|consider|confirm|enforc)\w*"
)
ANY_BAD = (
    r"(?:forgot|forgets|omits?|omitted|neglects?|neglected|missed) to \w+",
    r"without (?:being |any |a |proper |first |prior |adequate |sufficient |further |properly |appropriate |ever "
    r"|even )*"
    rf"(?:{_CHECKED}|looking|regard|protection)",
    r"no (?:bounds?|null|length|size|range|input|sanity|overflow|upper|type|access)[ -](?:check|valid|sanit)\w*",
    r"without (?:first |ever |even |having |any )?(?:been )?(?:convert|limit|neutrali|strip|remov|normali|resolv"
    r"|clean|transform"
    r"|question|look|bound|ask|care|thought)\w*|(?:what i|i) miss(?: here)?(?: is)?|(?:missing|absent|lacking)(?:"
    r" here)? is",
    r"(?:check|test|validation|comparison|it) (?:sits|stands|comes|happens|runs|takes place|is (?:done|made|placed))"
    r" (?:\S+ )?(?:below"
    r"|after|behind|later|too late)|by (?:gluing|splicing|pasting|interpolating|stitching)",
    r"only the (?:first|last|initial) (?:\S+ ){0,3}(?:is|are|gets?) (?:\S+ )?(?:replaced|removed|checked|escaped"
    r"|tested|stripped|encoded)|on the (?:unresolved|raw|undecoded|original|unnormali[sz]ed|untrimmed|encoded) \S+"
    r"|attacker[- ](?:controlled"
    r"|supplied|chosen|provided)|attackers? controls? (?!neither|nothing|no|only)\S+|no"
    r" (?:upper )?cap\b",
    r"only (?:replaces?|filters?|removes?|strips?|checks?|handles?|covers?|looks? at|blocks?|escapes?|catches) \S+"
    r"|(?:slash(?:es)?|dots?|quotes?|apostrophes?|semicolons?|pipes?|newlines?|brackets?|tags?|characters?"
    r"|backticks?) (?:\S+ ){0,3}"
    r"(?:go(?:es)?|gets?|comes?|pass(?:es)?|slips?|makes? it) through",
    r"no (?:(?!doubt|longer|need|missing|unchecked|safe|raw|unsafe)\S+ ){1,2}(?:check|checks|test|tests|comparison"
    r"|validation"
    r"|escaping|encoding|guard"
    r"|limit|sanitizer|filter|verification|bound)(?! (?:is |are )?(?:needed|necessary|required|missing))",
    r"no (?:comparison|test|tests|limit|encoder|escaper|sanitizer|filter|guard|bound|check|checks|validation"
    r"|saniti[sz]ation|escaping|encoding|filtering|verification|regard|protection|guard)",
    rf"not (?:being |been |be |properly |correctly |adequately |sufficiently |ever |even |really "
    rf"|actually )*{_CHECKED}",
    r"fails? to (?:check|valid|sanit|escap|bound|verif|encod|guard|limit|restrict|handle)\w*",
    r"(?:un(?:checked|validated|sani\w+|escaped|bounded|filtered|verified|guarded|protected|tested|trusted)|ungepruft)",
    r"(?:not|never) (?:\S+ )?(?:handled|seen by|dealt with|accounted for|taken care of)|nothing (?:stands |lies )?in"
    r" between"
    r"|nothing to (?:stop|encode|escape|prevent|neutrali[sz]e|filter|keep|limit|hold)|in good faith|taken on trust",
    rf"never (?:being |been |be )?{_CHECKED}|(?:performs?|does|has|have|applies|receives) no {_CHECKED}",
    r"(?:checks?|tests?|validation|guards?|limits?|verification|escaping|sanit\w+|filter\w*|assert\w*|protection|"
    r"immunity|defen[cs]e|safety|guarantee) .. (?:missing|absent|too late|gone|incomplete|useless|skipped|lost|void"
    r"|defeated|undone|bypassed|vanish(?:es)?|disappears?|compiled out|removed|optimi[sz]ed away|ineffective)",
    r"(?:missing|lacks?|lacking|forgets?|forgot|omits?|skips?) (?:\S+ )?(?:checks?|tests?|validation|guards?|escaping"
    r"|verification|bounds|saniti[sz]ation|encoding)",
    r"(?:nothing|nobody|no one|neither|none) (?!to )(?:\S+ ){0,4}(?:stops?|prevents?|keeps?|hinders?|checks?"
    r"|compares?|limits?"
    r"|rejects?|filters?|guards?|verifies|validates?|ensures?|restricts?|tests?|does that|escapes?|sanitizes?|strips?"
    r"|looks?"
    r"|removes?|encodes?|quotes?|normali[sz]es?|asks?|examines?|inspects?|caps?|bounds?|clamps?|hold|neutrali[sz]\w*"
    r"|cancels?|handles?|has \w+ed)",
    rf"{ACTOR} (?:can|could|may|might|would be able to|is able to|will be able to)(?! not| never| only| no longer|"
    rf" thus only| therefore only| at most| hence only|"
    rf" (?:thus|therefore|hence|at most|merely|still) ?only)",
    rf"{ACTOR} to (?:read|write|run|execute|inject|access|overwrite)",
    rf"(?:allow|let|enabl)\w* (?:an? |any |the )?(?:\S+ )?{ACTOR}|(?:gives?|grants?|hands?|offers?) (?:an? |any |the )?"
    rf"(?:\S+ )?{ACTOR}",
    r"one can (?:log|read|write|run|execute|inject|overwrite|steal|forge|take|become|get|reach|delete|change|obtain)",
    r"(?:log|logs|logged|logging|sign|signs) in as|impersonat\w+|hijack\w*|steals?|stolen|forg(?:e|es|ed)|takes? over"
    r"|exfiltrat\w+|guessable|man in the middle",
    r"(?:does|do|will|runs?|executes?|makes? .. do) (?:exactly )?(?:whatever|anything)"
    r"|whatever (?:[^\s,]+ ){1,6}(?:is|gets"
    r"|be) (?:executed|run(?! through)|evaluated|interpreted|opened|served)",
    r"(?:one|two|three|several) (?:\w+ )?findings?|(?:insufficient|inadequate|ineffective)",
    r"(?:slips?|gets?|sneaks?|goes|passes|walks|squeezes) (?:right |straight )?(?:past|around|through) (?:it|them|this"
    r"|that|the (?:check|filter|test|validation|guard|list|regex|pattern)|unnoticed|unharmed|untouched)"
    rf"|under (?:the )?(?:full )?{ACTOR}(?:'s|')? control|controlled by (?:an? |the )?{ACTOR}",
    r"(?:cancels?|undoes|reverses?|defeats?|nullif\w+|negates?|voids?) (?:\S+ )?(?:effects?|protection|escaping|it|this"
    r"|that|checks?|encoding|work|purpose)|(?:decoded|unescaped|unquoted) again",
    r"(?:easily|trivially|simply|quickly) (?:evaded|bypassed|fooled|defeated|circumvented|avoided|guessed|tricked)",
    r"(?:filter|check|list|pattern|regex|it|escaping) (?:\S+ )?(?:misses|overlooks|forgets|ignores|knows nothing)",
    r"but (?:it |this |that )?fails|not (?:enough|sufficient|adequate|help|suffice|hold|stop)(?: it| that| this"
    r"| them)?",
    r"not prevent|(?:can|could|may) (?:easily |trivially |also |still )?be (?:bypassed|circumvented|evaded|fooled"
    r"|tricked|avoided|worked around|subverted|forged|abused|defeated)|bypass(?:ed|es|able)?|circumvent\w*",
    r"opens? the door|dangerous code|arbitrary (?:files?|code|commands?|sql|scripts?|javascript|python|objects?"
    r"|memory)",
    r"(?<!sits )(?<!lies )(?<!stays )(?<!remains )(?<!is )directly (?:into|in|to|from)|straight (?:into|to|from)"
    r"|too late|as bad as",
    r"(?:unchanged|unmodified|verbatim|raw|as is|as it is|as-is|untouched|unfiltered|exactly as|in (?:its|their)"
    r" original form|unaltered|intact)",
    r"still (?:works?|gets? through|pass(?:es)?|slips? through|goes through|reach(?:es)?|lands?|ends? up|applies"
    r"|expands?|possible|get through|work|reach)",
)
ANY_GOOD = (
    r"(?:check|test|validation|guard)s? (?:is|are) not (?:missing|absent)|anchored|already (?:returned|left|exited)",
    r"compared (?:with|against|to) (?:the |an? )?(?:\S+ )?(?:names?|list|values|entries|set|keywords|options|verbs)",
    r"(?:admits?|allows?|permits?|accepts?) (?:only )?(?:\S+ ){0,3}(?:only|letters|digits|word characters)",
    r"(?:is|are|being|be|gets?|was|were) (?:always |already |first |also |then |properly |correctly |all |explicitly "
    r"|carefully "
    r"|immediately )*(?:checked|validated|sani[a-z]+|escaped|verified|bounded|quoted|encoded|clamped|guarded|filtered"
    r"|rejected|refused|dropped|discarded|ignored|turned (?:off|down)|thrown away)",
    r"(?:checks|verif(?:y|ies)|validates?|ensures?|compares?|guards?|escapes?|sanitizes?|rejects?|refuses?|drops?"
    r"|discards?|confines?|clamps?) (?:for|that|whether|if|the|each|every|all|both|any|anything|code|everything)",
    r"(?:has to|have to|must|can only|may only|needs to) (?:be (?:one of|an? |among|in )|match|start|consist"
    r"|contain only"
    r"|pass)|matched against|anything else (?:ends|is|gets|raises|results|falls|leads)|(?:default|fallback) is (?:used"
    r"|substituted|taken)|replaced (?:by|with) (?:the |an? )?(?:static|default|empty|constant|safe|fixed)",
    r"(?:prints?|logs?|reports?|shows?|sets?|sends?) .. (?:error|message) and (?:returns?|exits?|leaves|stops|aborts?)"
    r"|gives? up (?:if|when|unless|in that case)",
    r"nothing can (?:be )?\w+|none of (?:these|them|this|it|which) (?:is|are|comes?|can|contains?)"
    r"|(?:run|put|filtered|piped) through",
    r"not find (?:a|any) way|(?:and|or|then|gets?) (?:refused|rejected|dropped|discarded|denied|turned away)"
    r"|(?:looked up|look-?up|found|picked|chosen|selected|taken|drawn|comes?) (?:\S+ ){0,4}(?:dict\w*|map|table|list"
    r"|set"
    r"|enum\w*|registry|catalogue|whitelist|allow-?list|switch|constants?)",
    r"(?:unknown|unlisted|unexpected|foreign|any other|missing|other|invalid|bad) (?:\S+ ){0,2}(?:gives?|gets?"
    r"|yields?|leads?"
    r"|raises?|returns?|results?|ends?|causes?|produces?|answered|throws?|rejected|refused) (?:\S+ ){0,4}(?:40\d"
    r"|errors?"
    r"|exceptions?|refus\w*|reject\w*|abort\w*|default|\w*error)",
    r"(?:no|not a single|not one) (?:part|piece|bit|character|byte|fragment) (?:\S+ ){0,3}(?:comes?|is|from|originates?"
    r"|controlled|supplied)|(?:only|just|merely) (?:\S+ )?(?:chooses?|picks?|selects?|decides?) (?:between|among"
    r"|which|from|one)",
    r"(?:is|are|gets?|be) (?:\S+ )?(?:served|opened|read|executed|used|accepted|run|written|copied|dereferenced"
    r"|called|done|added"
    r"|reached|entered|touched|passed) only (?:if|when|after|once|where)|otherwise (?:\S+ ){0,4}(?:40\d|errors?"
    r"|exceptions?|refused"
    r"|rejected|raised|abort\w*|thrown|default)|mapped (?:through|via|by|onto|with)|no special (?:\S+ )?|(?:has|have"
    r"|had|carry|carries)"
    r" no (?:special )?(?:meaning|role|effect|power|significance)|(?:insists?|guarantees?|makes? sure|made sure|sees"
    r" to it) ?(?:\S+)?"
    r"|nothing but (?:an? )?(?:\S+ )?\S+ (?:is|are|can|gets?|reaches)|falls? back|no (?:\S+ )?(?:user|request|client"
    r"|external|outside)"
    r"[- ](?:supplied|controlled|provided|input|data|part)|finds? nothing",
    r"\S+\(\) (?:checked|tested|validated|verified|escaped|bounded)|(?:each|every|all) (?:\S+ ){0,3}(?:has|have)"
    r" (?:its|a|an|their)"
    r" (?:own )?(?:tests?|checks?|guards?|bounds?|limits?)|no (?:dynamic|raw) (?:\S+ )?\S+",
    r"(?:one|any|either) of (?:the |these |those )?(?:two|three|four|five|six|seven|eight|\d+|a few|several|known"
    r"|fixed|predefined"
    r"|allowed|listed) \S+|(?:raises?|throws?) (?:an? )?\w*(?:error|exception)|(?:not|never) (?:contains?|includes?"
    r"|carry|carries"
    r"|receives?|sees?) any\w*|(?:server|application|program|code|developer|site)'s own|do(?:es)? not matter"
    r"|hard-?wired|(?:check"
    r"|test|comparison"
    r"|validation) (?:\S+ )?(?:precedes|guards|protects|comes before|stands before|stands in front)|preceded by",
    r"only (?:the |these |those |a )?(?:\S+ ){0,2}(?:known|listed|allowed|permitted|predefined|fixed|registered|valid"
    r"|approved"
    r"|four|three|two|five) (?:\S+ ){0,2}(?:can|may|could|get|are|reach)"
    rf"|{ACTOR} (?:\S+ )?(?:controls?|influences?|decides?|supplies|touches|chooses?) (?:neither|nothing|no part|none)"
    rf"|{ACTOR} (?:is|are|has|have) (?:\S+ )?(?:no way|not able|not in a position|unable|no means|no chance|no say)",
    r"set to null|within (?:its |the |their |the array |the buffer )?(?:bounds?|limits|buffer)",
    r"stays? (?:within|inside|below|under)|confined",
    r"never (?:touch\w*|access\w*|used|reach\w*|written|exceeds?|reads?|writes?|parse\w*|interpret\w*|treated"
    r"|dereferenc\w*|leaves?|sees?|executed|runs?|supplies)",
    r"nothing (?:is|gets|from|has) (?:ever )?(?:written|read|used|mixed|lost|overrun|outside"
    r"|left(?! (?:to|that|which)))",
    r"no (?:risk|danger|threat|concern|issues?|problems?|way|possibility|path|user input|chance|opportunity)",
    r"can not (?:\w+ )?(?:be|overflow|exceed|wrap|happen|occur|reach|escape|inject|get|leave|vanish|go|influence"
    r"|control|end|close|contain|carry|change|alter|break|run)|(?:it|this|that|they|there) can not(?= ?[.,;!]|$)",
    rf"(?:{ACTOR}|one) (?:can|could|does|do|will) (?:not|never|no)|(?:nobody|no one) (?:can|could)",
    r"not under .. control|not (?:\S+ ){0,3}(?:controlled|supplied)",
    r"autoescap\w+|effective|sufficient|canonicali[sz]\w+|allow[- ]?list\w*|white[- ]?list\w*|denied",
    r"(?:fixed|constant|closed|hard-?coded|static|finite|predefined) (?:set|table|list|string|values?|names?|path|map)"
    r"|(?:a|the|are|is|only) constants?|string literals?|a literal|compile[- ]time",
    r"(?:picked|chosen|taken|looked up|selected|comes) from (?:a |the )?(?:constant|fixed|dictionary|table|list"
    r"|set|enum)",
    r"(?:gets?|ends? in|becomes?|result\w* in|answered (?:with|by)|responds? with|yields?|raises?|leads? to|throws?) "
    r"(?:an? |the )?(?:\S+ )?(?:40\d|exception|error|einval|enomem|valueerror|keyerror|refusal|rejection)",
    r"(?:returns?|leaves|exits?|bails? out|gives up|stops) (?:\S+ )?(?:early|before|immediately|at once|as soon as)",
    r"early (?:return|exit)|unreachable|dead code|never executed|not compiled|never runs",
    r"impossible|not possible|not feasible|infeasible|ruled out|out of the question|no longer possible|harmless",
)
