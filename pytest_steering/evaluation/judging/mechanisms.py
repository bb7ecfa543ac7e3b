"""How each weakness works and what keeps it away, in the plain words that answers tell it in.

" .. " stands for up to four words. The words of one weakness count only where that weakness, or any, was asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ACTOR = (
    r"(?:attackers?|adversar(?:y|ies)|intruders?|(?:malicious |remote |any |web )?(?:users?|visitors?|clients?|callers?"
    r"|senders?|insiders?|strangers?|someone|anyone|anybody))"
)
ROOT = (
    r"(?:folder|director(?:y|ies)|root|base|tree|sandbox|jail|dest\w*|webroot|docroot|hierarchy|uploads?|storage"
    r"|share|mount|area|drive|zone|site"
    r"|prefix)"
)
GONE = r"(?:freed|released|deleted|deallocated|destroyed|given back|reclaimed|disposed|closed|erased|destructed|gone)"
NOTHING = r"(?:null|nullptr|none|nil|a null pointer)"
CRASH = (
    r"(?:crash(?:es|ed|ing)?|segfaults?|segmentation faults?|sigsegv|core dumps?|access violation|dies|falls over"
    r"|bring(?:s|ing)? .. down|tak(?:es|ing) (?:\S+ ){0,3}down|faults?|blows? up)"
)

INJECTED = r"(?:appended|added|spliced|pasted|put|inserted|concatenated|interpolated|substituted|formatted|mixed|built"
INJECTED += r"|embedded|glued|injected|placed|dropped|stitched|baked|woven|merged|copied|forwarded|passed|handed|fed)"

_UNLIMITED = (
    r"(?:without (?:any |a |the )?|no |not |never )(?:be |being |been |properly )*(?:limit|bound|length|size"
    r"|upper)(?:ed|s)?"
    r"(?: check\w*| limit| bound)?|unbounded|fails? to (?:limit|bound)"
)
_FORMATTED = r"concatenat\w+|string (?:formatting|interpolation|concatenation)|interpolat\w+|f-strings?|format\(\)"
BAD: dict[int, tuple[str, ...]] = {
    22: (
        r"used (?:directly )?as (?:the |an? )?(?:\S+ )?(?:path|file ?name)|(?:replaces?"
        r"|overwrites?) .. (?:scripts?|files?"
        r"|pages?|binar(?:y|ies)|config\w*)",
        r"(?:works|acts|operates) on (?:any|every|arbitrary) (?:\S+ )?files?|concatenat\w+",
        r"(?:downloads?|reads?|wipes?|deletes?|gets?|obtains?|returns?|removes?|unlinks?|replaces?|fetch\w*|see) .. "
        r"(?:credentials?|passwords?|secrets?|source code|tokens?|start page|configuration|home page)",
        rf"(?:leav|escap|climb|break|get|walk|step|mov|reach|travers|navigat|wander)\w*(?: out| up"
        rf"| free)? ..(?:of |from "
        rf"|above |beyond )?(?:the |its |that |this )?(?:\S+ )?{ROOT}",
        rf"(?:outside|above) (?:of )?(?:the |its |that |this )?(?:\S+ )?(?:{ROOT}|code)",
        rf"up(?:wards?)? (?:in |through )?the (?:\S+ )?{ROOT}",
        r"(?:hands? out|gives? away|serves?|returns?|delivers?|discloses?|reads?|downloads?|sends?|opens?|leaks?"
        r"|overwrites?|deletes?|fetch(?:es)?|retrieves?|exposes?) (?:back )?(?:any|every|arbitrary|whatever|all|other"
        r"|the (?:password|secret|private|source|system)) (?:\S+ )?(?:files?|paths?|keys?|hashes|code|comes"
        r"|documents?)?",
        r"(?:any|every|arbitrary) (?:\S+ )?files? .. (?:readable|read|served|disk|server|system|process|opened)",
        r"(?:password|shadow) (?:file|hashes|database)|(?:private|ssh|secret|api) keys?|authorized.keys|etc/(?:passwd"
        r"|shadow)",
        r"dot[ -]dot .. (?:pass|work|surviv|remain|reach|get)\w*",
    ),
    77: (
        _FORMATTED,
        r"(?:start|run|launch|invoke|execut)\w* (?:arbitrary |any |other |more |further )?(?:programs?"
        r"|commands?)(?! with)",
        rf"(?:{INJECTED}|reaches|goes|lands|ends up|is part of|becomes) ..(?:into |to |in |on |between )?(?:an? |the "
        r"|its )?(?:\S+ )?(?:shell|command(?: line)?|system code)",
        r"(?:a|the) shell .. (?:interprets?|expands?|sees|runs|executes|parses|evaluates)|via a shell|through a shell",
        r"(?:semicolons?|backticks?|pipes?|ampersands?|newlines?|metacharacters?|substitutions?) .. (?:starts?"
        r"|ends?|run"
        r"|runs|executed?|works?|terminates?|through|separates?|surviv\w+|untouched|chains?|allowed)",
        r"(?:second|further|another|additional|extra|injected|any|arbitrary|two|their own"
        r"|his own) (?:\S+ )?(?:commands?"
        r"|programs?)",
        r"(?:command|program|code)s? of (?:his|her|their|the \S+|one's) (?:own|choice|choosing|liking)",
        r"(?:reverse|remote) shell|shell access|gets? a shell|code execution|rm -rf",
        r"(?:execut\w+|runs?|run) .. (?:on|by) the (?:server|host|machine|build|shell)",
    ),
    79: (
        _FORMATTED,
        r"(?:everyone|anyone|everybody|visitors?|readers?|browsers?|victims?) .. (?:runs?|executes?) (?:it|them|that)",
        r"scripts? .. (?:executed|runs?|execute|fires?|run)|(?:runs?|executes?|fires?|executing) (?:\S+ )?(?:scripts?"
        r"|javascript)",
        r"(?:their|his|her|attacker's|malicious|arbitrary|crafted|injected|own) (?:markup|html|javascript"
        r"|scripts?|tags?)"
        r"(?! (?:can|does|do|is|are) not)",
        r"(?:steal|hijack|grab|read)\w* .. (?:cookies?|sessions?|tokens?)|crafted links?",
        r"(?:clos|break|terminat|end|leav|escap)\w+ (?:out )?(?:of )?(?:the |an? )?(?:\S+ )?(?:attribute|tag|quotes?"
        r"|block|element|script|context)(?: early)?",
        r"(?:turn|switch)\w* .. off(?! by)|(?:escaping|encoding|autoescap\w+|saniti[sz]ation) .. (?:off|disabled"
        r"|bypassed|skipped|missing|circumvented)|(?:disabl|bypass|skip)\w* .. (?:escap|encod|autoescap)\w*",
        r"(?:interpret|render|pars)\w* .. as (?:html|markup)|event handlers?",
        r"(?:reflected|echoed|printed|rendered) (?:back )?(?:raw|verbatim|unescaped|unencoded|as html)",
    ),
    89: (
        _FORMATTED,
        r"(?:fills?|filled|puts?|put|builds?|built|inserts?|pastes?|adds?) .. (?:into|in|to) .. (?:query|statement|sql"
        r"|where)|logs? (?:one|him|her|them|you|anyone|anybody) in",
        rf"(?:{INJECTED}|reaches|goes|lands|ends up|is part|becomes part) ..(?:into |in |to |inside |between |of "
        rf"|with )"
        r"(?:an? |the |its |two )?(?:\S+ )?(?:statement|query|queries|where|clause|sql|select|apostrophes|quotes)",
        r"(?:quotes?|apostrophes?) .. (?:closes?|ends?|terminates?|breaks?|changes?|alters?)",
        r"(?:end|clos|break|terminat|leav|escap)\w* (?:out )?(?:of )?(?:the |a )?(?:\S+ )?(?:string|literal|quot\w+"
        r"|statement)",
        r"(?:return|read|dump|delet|drop|fetch|list|show|reveal|pull|extract|wip)\w* (?:\S+ ){0,2}(?:every|all|whole"
        r"|entire|any|other) (?:\S+ )?(?:rows?|tables?|records?|users?|accounts?|database|data)",
        r"(?:appended|concatenated|spliced|added|pasted|glued|interpolated) (?:in)?to code|injectable|always true"
        r"|stacked quer\w+|union select|or 1=1|log in (?:as|without)|(?:chang|alter|rewrit)\w+ "
        r"(?:the )?(?:\S+ )?(?:query|statement|meaning)",
        r"part of the (?:\S+ )?(?:statement|query|sql)",
    ),
    190: (
        r"can not (?:represent|hold|store|contain)|not representable|garbage|gigantic|(?:becomes?|is) (?:huge|enormous)"
        r"|(?:much|far|way) (?:too )?(?:smaller|small|less|fewer)",
        _UNLIMITED,
        r"wrap(?:s|ped|ping)?(?: around)?|(?:rolls?|flips?|runs?) over|overflow(?:s|ed|ing)?|turns? negative",
        r"not fit(?: in\w*)?|(?:becomes?|is|turns?|goes|makes?|leaves?) (?:\S+ ){0,3}(?:negative|tiny|too small)"
        r"|negative balance",
        r"too (?:small|short)|far more than|undersized|(?:exceeds?|beyond) (?:the )?(?:range|maximum|int.max|uint.max"
        r"|what)|loses? (?:its|the) (?:high|upper|top)|(?:high|upper|top) bits",
        r"(?:multipli|add|subtract|sum|computed|shift)\w* .. (?:without|unchecked|blindly|no check)"
        r"|undefined behaviou?r",
        r"smaller than (?:needed|required|expected|intended|what)|modulo 2",
    ),
    416: (
        r"(?:keeps?|goes on|going on|continu\w+) (?:to )?(?:us|read|writ|access|touch|dereferenc|call)\w*"
        r"|still (?:be )?"
        r"(?:using|in use|uses|running)",
        r"took its place|(?:been )?reused|(?:accessed|used|read|written|touched) .. (?:afterwards|later)",
        r"(?:moved|reallocated|resized|cleared|popped) (?:\S+ ){0,6}(?:still|old) (?:\S+ )?(?:pointers?|address"
        r"|iterator)",
        rf"(?:after|once|when|although) (?:\S+ ){{0,5}}(?:is |was |were |are "
        rf"|been )?{GONE}\b(?!,? (?:\S+ ){{0,4}}(?:set|reset|overwritten|cleared|nulled)\b)",
        r"(?:freed|released|deleted|deallocated|stale|dangling|destroyed|dead|dying|invalidated) (?:memory|pointers?"
        r"|blocks?|objects?|buffers?|nodes?|address(?:es)?|storage|references?|iterators?|chunks?|entr\w+|struct\w*)",
        r"(?:given|handed|returned) back|returned to the (?:allocator|heap|pool|system)|dangl\w+",
        r"(?:no longer|not) (?:belongs?|exists?|valid|alive|owned?)(?: \S+){0,3}|not exist any ?more|(?:long|already) "
        rf"{GONE}",
        r"still (?:holds?|points?|refers?|registered|references?|keeps?|uses?|reads?|writes?|hold|contains? the old)",
        r"(?:old|stale) (?:address|pointer)|out of scope|lifetime .. (?:ended|over)|(?:pointer|reference|iterator"
        r"|alias|cache|callback)"
        r" outlives?",
        rf"(?:free|release|delete)[sd]? .. (?:and |then )?(?:uses?|used|reads?|accesse[sd]|touche[sd]|writes?|"
        rf"dereference[sd]?)|(?:reads?|uses?|writes?|prints?|touches) .. (?:just|already|that was|has been) {GONE}",
    ),
    476: (
        r"(?:reads?|writes?|stores?|goes|accesses) (?:\S+ )?through (?:it|that|the)",
        CRASH,
        rf"{NOTHING} (?:\S+ ){{0,3}}(?:is|gets|are) (?:\S+ )?(?:followed|dereferenced|read|used|passed|written)",
        r"(?:used|dereferenced|read|written|followed|accessed|called|passed|handed|goes|taken) .. (?:immediately"
        r"|straight(?: away| on)?|right away|at once|unconditionally|blindly|anyway|regardless|without looking)",
        r"(?:immediately|straight away|unconditionally|blindly|right away) (?:used|dereferenced|read|written|followed)",
        r"(?:read|used|followed|dereferenced|accessed|called|reached) even (?:when|if|though)|goes straight on"
        r"|untested|unguarded|one line too late|(?:read|used|dereferenced) by then",
        rf"(?:crash|deref|follow|through|gets|receives?|passes|hits|uses) (?:\S+ )?(?:an? )?{NOTHING}",
        rf"(?:maybe|possibly|perhaps) {NOTHING}",
    ),
    787: (
        r"overflow\w*|overrun\w*|in front of the|negative (?:index|offset|position|value)s?|gets? past",
        _UNLIMITED,
        r"(?:overwrit|clobber|trampl|smash|corrupt|stomp)\w*(?: .. (?:address|pointer|variables?|stack|heap|memory|data"
        r"|metadata|frame|bytes|fields?))?",
        r"(?:runs?|writes?|written|copies|copied|stores?|stored|goes|walks?|lands?|spills?|reads?|overflows?"
        r"|continues) .."
        r"(?:past|beyond|behind|outside|off|over|after) (?:of )?(?:the |its |it\b|that )?(?:\S+ )?(?:end|array"
        r"|buffer|code"
        r"|block|allocat\w+|room|slot|last|limit|bounds?|boundary|object|destination|\d+)?",
        r"(?:return address|frame pointer|neighbou?ring|adjacent (?:memory|data|variables?|fields?|heap|objects?))",
        r"(?:slot|byte|element|entry|cell|position|memory) (?:behind|after|past|beyond)|one (?:byte|element|slot"
        r"|entry)?"
        r" ?(?:too far|too many|past|beyond)",
        r"(?:no|without (?:a |any )?|not) (?:limit|bound|regard|upper bound|limited)\b|regardless of (?:the )?(?:size"
        r"|length)|(?:however|no matter how) (?:long|large|big|many)|unlimited|as bad as",
        r"more (?:\S+ ){0,3}than (?:\S+ ){0,4}(?:holds?|fits?|fit|allocated|room|has|available|reserved)|too (?:small"
        r"|short|long) for|not (?:enough|sufficient) (?:room|space)|memory corruption|out of range",
        r"(?:long|larg|bigg)er (?:\S+ ){0,3}(?:overflow|overrun|spill)\w*|not (?:of )?the (?:size|length|capacity) of",
        CRASH,
    ),
}

_INPUT = r"(?:converted|cast|parsed|coerced|turned) .. (?:int|integer|number|uuid)|numeric|digits?"
_FITS = (
    r"(?:always |still |easily |bound to |certain to |guaranteed to )?(?:fits?|(?:always|still) has (?:room|space"
    r"|a place)|has its place|(?:enough|plenty of) (?:room|space))|(?:large|big|long|wide"
    r"|roomy) enough|room to spare|at most|no more than|(?:capped|clamped|limited|bounded|masked|clipped|saturat\w+)"
    r"|(?:well|far|safely) (?:below|within|under)|never exceeds?|nowhere near"
)
GOOD: dict[int, tuple[str, ...]] = {
    22: (
        r"basename|canonical\w*|realpath|commonpath|chroot\w*|secure.filename|is.relative.to",
        rf"(?:compared|checked|tested|verified|matched|validated) .. (?:with|against|to|for) .. (?:{ROOT}|list|pattern"
        r"|prefix)",
        r"(?:strip|remov|reject|discard|drop|refus)\w* .. (?:slash|director|path|component|separator|segment|dot)\w*",
        r"(?:slash|separator|dot segment|dot|component)\w* .. (?:reject|remov|strip|refus|not get|not pass|discard)\w*",
        rf"(?:sits?|lies?|stays?|remains?|ends up|lands?|is|be) (?:\S+ )?(?:in|inside|below|under|within"
        rf"|beneath) (?:the "
        rf"|its |this )?(?:\S+ )?{ROOT}",
        rf"(?:confined|restricted|limited|locked) (?:to|in|inside)|only files? (?:in|from|below|under|inside)|{_INPUT}",
        r"never supplies|(?:random|generated|fixed|constant) (?:\S+ )?(?:names?|paths?)|path .. constant",
    ),
    77: (
        r"(?:receives?|gets?|given|passed|takes?|with|uses?) (?:an? )?(?:argument )?(?:list|array|vector)|shell .. "
        r"(?:default|off|disabled|false|unset)|no character",
        r"no shell|without (?:a |any |the )?shell|not (?:\S+ ){0,3}(?:a |the |any )?shell"
        r"|shell .. (?:not involved|never)",
        r"argument (?:vector|list|array)|(?:as|in|with) (?:a |the )?list of arguments|(?:as|in|with) (?:a"
        r"|an argument) list|list argument|array of"
        r" (?:arguments|strings)|argv|(?:one|single|separate) (?:word|arguments?)",
        r"(?:just|plain|ordinary|literal|mere) (?:characters|text|data)|shlex|escaped|"
        r"(?:no (?:special )?meaning|mean nothing)|constant|hard-?coded|" + _INPUT,
    ),
    79: (
        r"(?:as|into|to) (?:plain |literal |inert |harmless |html |ordinary )?(?:text|entit(?:y|ies)|characters)|"
        r"text.?content|plain text|html-?encod\w*|output encoding",
        r"(?:escap|encod)\w* (?:by default|automatically|each|every|all|everything|first|before)|(?:comes? out|arrives?"
        r"|shows? up|inserted|appears?) (?:\S+ )?(?:escaped|encoded)|escapes (?:it|them)",
        r"not (?:interpret|pars|execut|run|render|treat)\w*|runs? nothing|never (?:interpret|pars|execut|runs?)\w*"
        r"|nobody (?:\w+ ){0,2}off|can not (?:contain|carry|include|hold) (?:\S+ )?(?:markup|html|tags?|scripts?)",
        r"(?:displays?|shows?|prints?) (?:it|them|the \S+) (?:as|literally|verbatim as)|" + _INPUT,
    ),
    89: (
        r"placeholders?|parameteri[sz]\w+|prepared|binds?|bound (?:as|by|to|param\w*)|bind (?:variables?|param\w*)",
        r"as (?:a |an |pure |its |plain )?(?:value|data|argument|literal|parameter)s?|separate(?:ly)?(?: from)?"
        r"|(?:second"
        r"|separate) argument|apart(?: from)?|orm|query builder",
        r"(?:quotes?|apostrophes?) .. (?:can not|harmless|escaped|doubled|no effect)|constant|fixed (?:set|list|string)"
        r"|" + _INPUT,
    ),
    190: (
        r"widened|(?:computed|done|performed|calculated|added|multiplied|kept) (?:in|as|with) (?:64|a (?:wider"
        r"|larger))",
        _FITS,
        r"(?:larger|bigger|greater|higher|other|excess\w*|too large|such) (?:\S+ ){0,3}(?:return|reject|refus"
        r"|early|fail"
        r"|cause an early)\w*|64[ -]bits?|wider|promoted|checked (?:arithmetic|addition|multipl\w+)|nothing (?:gets|is)"
        r" lost|refused|rejected|(?:arbitrary|unlimited)[ -]precision|bignum|centuries|can not (?:wrap|overflow"
        r"|exceed)",
    ),
    416: (
        rf"still (?:referenced|held|owned|alive|valid|in scope)|not (?:yet )?(?:been )?{GONE}",
        r"no (?:\S+ ){1,3}(?:reads?|uses?|touch(?:es)?|access(?:es)?|dereferences?|follows?)|(?:not"
        r"|never) (?:\S+ )?\S+ed again|ownership|moved (?:into|out)|(?:nobody|no one|nothing) .. left"
        r"|joined before"
        r"|(?:copy|copies|copied) (?:is |are |was )?(?:made|taken|kept|first|before)",
        r"(?:reset|set|overwritten|replaced|cleared|assigned|nulled) .. (?:null|nullptr|zero|none)|nulled"
        r"|(?:keeps?|kept"
        r"|stays?|remains?|is) (?:\S+ ){0,2}alive|holds? (?:a|its own) reference|reference count\w*|refcount\w*",
        r"outlives? (?:every|all|any|each|the)|last (?:statement|use|line|thing|action|access)|no other (?:variable"
        r"|pointer|reference|alias|copy)|returns? (?:right|immediately|directly) (?:after|away)",
        r"(?:not|never|no longer) (?:\S+ )?(?:used|touched|accessed|read|dereferenced|referenced|looked at|followed)"
        r" (?:again|afterwards?|after|any ?more|later|from)|at no point|nothing (?:\S+ ){0,4}(?:uses?|touch(?:es)?"
        r"|refers?|points?|follows?|reads?)",
        rf"(?:holds?|stores?|saves?|saved|stored|reads?|copied|copies|fetched|taken) .. before (?:\S+ ){{0,4}}(?:{GONE}"
        r"|free|release)|(?:smart|unique|shared) pointers?|raii|garbage collect\w*|exactly (?:one|once)|deep copy",
        r"(?:fresh|new) (?:allocation|object|block|memory)|before (?:anyone|anything) can",
    ),
    476: (
        r"always (?:has|have|gets?|returns?|holds?) (?:an?|some) \S+|only (?:runs?|reached|executed) (?:if|when|with)"
        r"|open file only",
        r"(?:tested|checked|compared|guarded|preceded|followed|inspected|verified"
        r"|examined) (?:\S+ ){0,3}(?:before|first"
        r"|against|by|for|prior)|known to be (?:valid|non)|tests? (?:it|each|every|the|both|for)",
        rf"never (?:\S+ )?(?:returns?|hands? out|yields?|gives?|be|is) (?:\S+ )?{NOTHING}|(?:is|be) (?:never|not) "
        rf"{NOTHING}|can not be {NOTHING}|non-?{NOTHING}|always (?:valid|set|initiali\w+|points?|exists?)",
        r"(?:aborts?|exits?|terminates|throws) .. (?:when|if|on|exhausted|fails)|early return|return\w* early|leaves? "
        r"(?:early|at once|immediately)|stops evaluating|short-?circuit\w*|never fires?|nothing to check|address of"
        r"|skipp\w+ (?:\S+ ){0,3}(?:when|if)",
    ),
    787: (
        r"whichever comes first|(?:and|but) no further|(?:length|size) .. plus one|ends (?:at|after) .. (?:characters"
        r"|bytes|terminator|entries)|smaller of|minimum of|whichever is (?:less|smaller)",
        _FITS,
        r"cut (?:off|short)|truncat\w+|shortened|modulo|dropped|discarded|nothing .. (?:overrun|overwritten|past)"
        r"|space for the terminator|(?:grows?|grown|resized|enlarged|reallocated)(?: .. (?:before|when|needed|first))?",
        r"(?:compared|checked|tested|verified) .. (?:length|size|capacity|room|space|limit|bounds?)"
        r"|bounds?[ -]check\w*|"
        r"(?:exact|correct|right|matching) (?:size|length)|(?:inside|within|in) (?:the )?(?:range|bounds)",
    ),
}


_WORD = r"(?:(?!not |no |never |nor |nothing |without )\S+ )"
"""A word of a gap does not negate: what is negated is read from the words before a phrase."""


def phrases(alternatives: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all; " .. " is up to four words."""
    joined = "|".join(alternatives).replace(" ..(", r" (?:\S+ ){0,4}(").replace(" .. ", r" (?:\S+ ){0,4}")
    joined = joined.replace(r"(?:\S+ )", _WORD)
    return re.compile(rf"(?<![\w-])(?:{joined})(?![\w-])")


def told(number: int | str | None, kinds: dict[int, tuple[str, ...]]) -> tuple[str, ...]:
    """The phrases of one weakness, of all where none was asked about, of none where it is a stranger."""
    if number is None:
        return tuple(phrase for own in kinds.values() for phrase in own)
    return kinds.get(number, ()) if isinstance(number, int) else ()
