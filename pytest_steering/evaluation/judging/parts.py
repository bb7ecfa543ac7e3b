"""The parts of an answer: where sentences and clauses end, and which of them conclude, advise, doubt or think again."""

from __future__ import annotations

import re

from pytest_steering.evaluation.judging.weaknesses import ALIASES

SENTENCE = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\betc)(?<!^\d)[.!?]+[\"')]*(?=\s|$)|(?<=\w):\s|;\s")
SUBJECT = (
    r"(?:it|this|that|these|they|there|which|an? attacker|attackers|we|i|you|one|no|"
    r"(?:the|this|your) (?:\w+ )?(?:code|snippet|function|program|application|query|queries|script|method"
    r"|implementation|handler|result|issue|vulnerability))"
)
_NAMES = "|".join(name for names in ALIASES.values() for name in names)
CLAUSE = re.compile(
    r"\b(?=(?:but|however|although|though|even though|while|whereas|because|since|so that|which|yet|nevertheless"
    r"|nonetheless|except that|only that|unless|therefore|thus|hence|weil|aber|denn|da)\b)"
    rf"|,\s*(?={SUBJECT}\b|so\b|and\b|is\b|are\b|has\b|does\b|contains\b|remains\b|nor\b|not\b|as\b|making\b"
    rf"|leading\b|resulting\b|allowing\b|causing\b|leaving\b|it's\b|if\b|when\b|even if\b"
    rf"|(?:an? |the )?(?:{_NAMES}) (?:is|are|can|could|does|do|will|would|has)\b)"
    r"|\b(?=and (?:it|this|the|there|is|are|can|could|may|has|have|contains?|leads?|allows?|causes?|therefore|thus"
    r"|hence|so|then|remains?)\b)"
    r"|\b(?=(?:making|leading to|resulting in|leads to|allowing|leaving|which)\b)|\s-+\s|\(|\)"
)
QUESTION = re.compile(r"\?\W*$")
CONDITION = re.compile(
    r"^\W*(?:and |or |but |so |then |even )?(?:if|unless|suppose|assuming|provided|in case"
    r"|should|were|had|when|whether|had)\b"
)
SUPPOSED = re.compile(r"\b(?:would|could|should|were|had|unless|suppose|assuming|provided|whether)\b")
"""Only supposed; "if the length is larger, the packet is dropped" tells what the code does."""
SUPPOSING = re.compile(r"^\W*(?:suppose|imagine|let us (?:say|suppose|assume)|say)\b[^.;]*:$")
"""What follows the colon is supposed too."""
EVEN_IF = re.compile(r"^\W*(?:and |but |so )?even (?:if|when)\b")
"""What follows such a clause holds anyway."""
IRREAL = re.compile(r"\b(?:would|could|might|may|can|should|were|had)\b")
CONCESSION = re.compile(
    r"^\W*(?:but |and |so |thus |hence )?(?:although|though|even though|while|whereas|despite"
    r"|even if|in spite)\b"
)
POSTPOSED = re.compile(r"(?:^|[ ,])(?:though|however|nonetheless|nevertheless|all the same|still) ?[,.;]")
"""A contrast that stands inside or behind what it contrasts, or before a comma."""
CONTRAST = re.compile(r"^\W*(?:and |so )?(?:but|however|though|yet|although|whereas|while|which|so|hence|therefore)\b")
TURN = re.compile(
    r"\b(?:what is not|but|except that|only that|however|though|yet|nevertheless|nonetheless|hence|so|therefore|thus"
    r"|consequently"
    r"|as a result|accordingly|right now|currently|at present|as it stands"
    r"|in (?:fact|practice|reality|truth|this program|this case)|actually|unfortunately|sadly|luckily|fortunately"
    r"|which means|that means|this means|meaning)\b"
)
"""What follows one of these is what the writer holds, as against what stands before it."""
CONCLUSION = re.compile(
    r"^\W*(?:(?:yes|no|and|so|but)\W+)?(?:therefore|thus|hence|so|overall|in conclusion|in summary|to summari[sz]e"
    r"|to conclude|to sum up|in short|ultimately|conclusion|summary|"
    r"decision|verdict|final answer|answer|bottom line|as a result|consequently|accordingly|all in all|in total"
    r"|finally,? (?:the|this) code|short version|final verdict|"
    r"(?:based|building) (?:on|upon) (?:this|that|the|these|my|a|our|a-s)|given (?:this|that|the above|these)"
    r"|from (?:this|the above)|it (?:can|may) be concluded|i conclude|we can conclude|daher|also ist)\b"
)
VERDICT_ALONE = re.compile(
    r"^\W*(?:not )?(?:vulnerable|secure|safe|exploitable)(?: code| as (?:it is|written|shown))?\W*$"
)
"""A sentence that is nothing but a verdict."""
CONCLUDING_HEAD = re.compile(
    r"^\W*(?:\d+\W+)?(?:final |overall |short |my )?(?:conclusions?|summary|verdict|decision|answer|result"
    r"|assessment|final|judge?ment|overall|tl;?dr|bottom line|fazit)\b"
)
REMEDY_HEAD = re.compile(
    r"\b(?:recommend\w*|fix(?:es|ed|ing)?|remed\w+|mitigat\w*|suggest\w*|how to|solutions?|hardening|improve\w*"
    r"|best practices?|prevention|ways? to|^types?$|"
    r"advice|minor|nit|corrected|safer|secure (?:version|code|alternative|implementation)|next steps|patched"
    r"|background|general|what is|definition|note|(?<!security )impact|example)\b"
)
BUT = re.compile(r"^\W*(?:but|yet|however|in fact|in reality)\b")
"""The next clause is what counts."""
AS_IS = re.compile(
    r"^\W*(?:as it (?:now )?(?:stands|is)|in (?:its|the) (?:current|present) (?:form|state)|currently"
    r"|at present|right now|at the moment|presently|so far|without"
    r" (?:it|this|that))\b"
)
"""After advice: what the code is like without it."""
SIDE_HEAD = re.compile(
    r"^\W*(?:\d+\W+)?(?:some |a few )?(?:additional|other|further|unrelated|separate|general|side|more|extra"
    r"|remaining|minor"
    r"|secondary) (?:\w+ ){0,2}(?:risks?|issues?|notes?|remarks?|observations?|concerns?|findings?|advice|problems?"
    r"|points?"
    r"|thoughts?|comments?|weaknesses|matters?|considerations?)\b|^\W*(?:out of scope|aside|beyond the question"
    r"|things i"
    r" noticed|off topic)\b"
)
"""What follows is about something else than what was asked."""
REMEDY = re.compile(
    r"\b(?:usual|common|standard|best|typical|classic|main) (?:\w+ )?(?:defen[cs]es?|remed(?:y|ies)|countermeasures?"
    r"|fix(?:es)?|protections?"
    r"|mitigations?|cures?)\b|"
    r"\bto (?:fix|address|remedy|resolve|correct|remediate) (?:this|these|the|it|such|those|that|any|security|your)\b"
    r"|^\W*(?:in order )?to (?:fix|prevent|mitigate|avoid|address|remedy|resolve|protect|make|secure|ensure"
    r"|improve)\b"
    r"|\b(?:should|must|ought to) (?:be|have|use|also|always|check|validate|instead|consider|either|add|do"
    r"|not(?! (?:go|ship|be (?:\w+ )?(?:deployed|merged|shipped|released|approved|exposed|put)))"
    r"|allocate|only|include|take|set|replace|escape|sanitize|limit)\b"
    r"|\byou (?:can|could|may|might|should|need to|must|would)\b|\bi(?: would)? (?:suggest|recommend|advise)\b"
    r"|\bfollow(?:ing)? (?:these|the following|some) (?:\w+ )?(?:guidelines|steps|practices|rules|tips)\b"
    r"|\brecommend(?:ed|s)?\b|\bconsider (?:using|adding|\w+ing)\b"
    r"|\b(?:is|be) (?:always |generally |also )?(?:important|advisable|essential|crucial|good practice"
    r"|best practice|a good idea|better) to\b|\bmake sure\b|\bbe sure to\b|\bnever trust\b|\bremember\b"
    r"|\b(?:could|can) be (?:fixed|prevented|avoided|mitigated|improved|made|resolved|addressed|rewritten"
    r"|corrected)\b|\bwould (?:prevent|fix|make|avoid|mitigate|allow the code)\b"
    r"|\b(?:this|these|the|with|after|by) (?:\w+ ){0,3}(?:change|fix|modification|update|approach|technique"
    r"|improvement|correction|patch|measure)(?:s|es)?\b"
    r"|^\W*(?:use(?![ -]after)|replace|add|sanitize|validate|ensure|change|avoid|apply|limit|check|move|set|escape"
    r"|bind(?! (?:param|variable))|pass|switch|prefer|implement|consider|keep|save|either|instead|one suggestion|a"
    r" safer|a secure|the fix"
    r"|fix)\b(?!.*\bis (?:not )?(?:vulnerable|present))"
)
REWRITTEN = re.compile(
    r"\b(?:here|below|following)\b[^.]{0,40}\b(?:fixed|modified|updated|corrected|example|rewritten|safe|safer"
    r"|secure|improved|revised|version)\b"
    r"|(?<!\bis a )\b(?:modified|updated|corrected|fixed|revised|rewritten|safer|improved|patched|secure"
    r"|new) (?:version|code|implementation|function|example|snippet)\b"
    r"|\bin (?:this|the) (?:modified|updated|corrected|fixed|new|improved|revised) \w+\b|\bwould look like\b"
    r"|\bthe version (?:above|below)\b|\bcould look like\b|\bthis way\b|^\W*with (?:this|these)\b"
)
GIVEN = re.compile(
    r"\b(?:given|shown|sent|posted|shared|provided|pasted|submitted|looking at|(?:this|that|it) is|already)\b[^.]{0,30}"
    r"\b(?:modified|updated|corrected|fixed|revised|rewritten|improved|patched|new)\b"
)
"""The code that was asked about is itself the mended one."""
REVISION = re.compile(
    r"^\W*(?:hmm+\W+|no\W+|oh\W+|but\W+|and\W+|oops\W+)?(?:wait|actually|hold on|hang on|not so fast|oops|never ?mind"
    r"|(?:edit|update|correction|erratum|addendum|revision|amendment|ps|p\.s\.)\d?(?= ?[:.,(-]| )|correction"
    r"|on second thoughts?|on closer (?:inspection"
    r"|look|examination)|upon closer (?:inspection|look|examination|review)|"
    r"but on second thoughts?|let me (?:reconsider|re-?check|re-?examine|double[- ]check|look again)|(?:looking"
    r"|checking|reading|thinking) (?:it )?(?:again|more closely|closer)|(?:scratch|scrap|strike|forget) that"
    r"|i was wrong|my mistake|on (?:reflection|re-?reading|another look)"
    r"|i stand corrected|apologies|sorry)\b"
    r"|\b(?:wait,|on second thoughts?|upon closer inspection|on closer inspection|i was wrong|i made a mistake"
    r"|correction:|scratch that|let me reconsider)"
    r"|\bi (?:take|took) (?:that|it|this) back\b|\bi (?:retract|withdraw|revise|misread|misjudged|(?:had )?overlooked"
    r"|(?:had )?missed|spoke too soon|was mistaken|was too quick)\b|\bi (?:have|must|need|want) (?:to )?(?:retract"
    r"|withdraw|revise|correct|amend|change)\b|\b(?:that|this) (?:was|is) (?:my mistake|premature)\b|\bshould have"
    r" (?:said|answered|written)\b|\bchang(?:e|es|ing|ed) my (?:answer|verdict|mind)\b|\bmy (?:answer|verdict)"
    r" (?:changes|becomes)\b|\bthen i (?:saw|noticed|reali[sz]ed|spotted|looked|read|found)\b|\bi now (?:see"
    r"|notice|reali[sz]e)\b"
    r"|\b(?:second|closer|another|third) (?:reading|look|glance)\b|\brevised (?:answer|verdict)\b"
)
ELLIPTIC = re.compile(
    r"^\W*(?:but |and |yet )?the (?:\S+ ){1,3}(?:is|are|does|do|has) not\W*$"
    r"|^\W*(?:(?:but|however|yet|and|though|in fact|in reality|actually|really|unfortunately|fortunately)\W+)*(?:it"
    r"|this|that|which|the code|the (?:one|ones|query|call|line)(?: \S+){0,3})(?: really| actually"
    r"| in fact)? (?:is|are|does|do|was) not"
    r"(?: the case| true| so| correct| hold(?: up)?| right| accurate)?(?: here| at all| any ?more)?\W*$"
    r"|^\W*(?:(?:but|however|yet|and|so|though|in fact|in reality|actually|unfortunately)\W+)*(?:it|this|that|which|the"
    r" (?:claim|comment|assumption|remark))(?: really| actually)? (?:is|was)(?: simply| just| plainly"
    r"| long)? (?:wrong|false"
    r"|untrue|incorrect|outdated|obsolete|mistaken|misleading|inaccurate|a lie|out of date|no longer (?:true|so"
    r"|the case"
    r"|correct))\W*$|^\W*(?:but |and |yet )?(?:neither|none)(?: of (?:it|them|this|that))? (?:does (?:that|so|it)"
    r"|is true"
    r"|holds)\W*$|^\W*(?:but )?not so\W*$"
)
