"""How input gets where it does harm, and what stops it: paths, shells, pages and queries, in many people's words.

To :mod:`mechanisms`, whose notation is used here, as more ways to say the same.
"""

from __future__ import annotations

_FROM = (
    r"(?:request|url|uri|query string|query parameter|form|cookie|header|user|client|caller|visitor|sender|input|upload"
    r"|parameter|browser|network|body)"
)
_DOTS = (
    r"(?:dotdots|dot-dots?|dot dots?|double dots?|two dots|parent[ -](?:directory |folder )?(?:references?|segments?"
    r"|components?)|traversal (?:sequences?|segments?|strings?)|dot[- ]segments?|absolute (?:paths?|names?))"
)
_STRINGS = r"(?:query|statement|sql|select|clause|where|command(?: line| string)?|string)"
_BUILT = r"(?:assembled|built|constructed|composed|put together|pieced together|formed|strung together|created|made)"
_SAFELY = (
    r"(?:\S+ ){0,4}(?:placeholders?|bound|constants?|literals?|parameteri\w+|bind|binding\w*|prepared|builder|orm|fixed"
    r"|hard-?coded|list|array|vector|escaped|encoded|quoted|shellquoter|htmlescaper)"
)
_ACTIVELY = (
    r"(?:formats?|puts?|inserts?|pastes?|writes?|concatenates?|adds?|splices?|glues?|interpolates?|embeds?|appends?"
    r"|mixes"
    r"|joins?|substitutes?) (?:it|them|this|that|(?:the |an? |each )?\S+(?: \S+)?) (?:directly |straight |right "
    r"|verbatim )?(?:in"
    r"|into|to|onto|inside|between) (?:the |an? |its )?(?:\S+ )?"
)
MORE_BAD: dict[int, tuple[str, ...]] = {
    22: (
        rf"dotdots|{_ACTIVELY}(?:path|folder|root|directory|base)|(?:determines?|decides?|chooses?|dictates?) where",
        rf"{_DOTS} .. (?:work|pass|surviv|accept|allow|includ|get|lead|climb|open|read|reach|serve|surv|go|remain"
        r"|resolve|move|walk|escape|return|fetch|deliver|step|take)\w*(?! (?:\S+ )?(?:rejected|refused|40\d|dropped))",
        rf"(?:accepts?|allows?|keeps?|lets?|including|permits?|with|such as|contain\w*|requesting|ask\w* for|send\w*)"
        rf" .. "
        rf"{_DOTS}|{_DOTS} (?:and all|included|too)",
        r"(?:discards?|drops?|ignores?|throws? away|forgets?|overrides?|replaces?|loses|supersedes?) .. (?:base|root"
        r"|prefix|base directory|folder|directory|first (?:argument|part)|everything before)",
        r"(?:also|too|equally|likewise|just as well) (?:accepts?|true|matches|passes|holds|lets|allows?|begins?"
        r"|starts?)"
        r"|siblings?(?: \S+)?|same prefix|shares? the prefix",
        r"(?:lacks?|without|no) (?:a |the )?(?:trailing |closing |final )?(?:slash|separator)",
        r"(?:wherever|whatever|whichever|anywhere|any place|elsewhere) (?:\S+ ){0,5}(?:points?|requested|asked|names?"
        r"|says?|wants?|disk|file ?system|machine|likes?|wishes)",
        r"gets? (?:you|him|her|one|them) (?:there|out)|(?:one|two|some|several|a few|many) levels? up|up the tree",
        r"(?:removes?|strips?|replaces?|filters?|deletes?) .. (?:only once|a single time|just once|in one pass)"
        r"|single[- ]pass|not recursive\w*|(?:becomes|turns into|collapses (?:in)?to|yields|leaves) (?:\S+ )?\S+ again",
        r"before .. (?:url[ -])?(?:decoded|decoding)|decoded (?:\S+ )?(?:after|later|afterwards)",
        r"no (?:\S+ )?(?:normali[sz]ation|canonicali[sz]ation|containment|confinement|comparison)",
        rf"from .. {_FROM} (?:\S+ ){{0,3}}(?:in)?to .. (?:open|path|file|fopen|code)|picks? .. (?:file|path) freely",
        r"any file (?:that )?(?:the|on|of|in|whose|it)|every file (?:that )?(?:the|on|of)",
        r"(?:read|open|serve|return|deliver|fetch|get|give|leak|hand|write|overwrite)\w* (?:\S+ ){0,2}(?:that|any|other"
        r"|whatever|foreign|arbitrary|system) (?:\S+ )?files?",
        r"(?:does|did|do) nothing (?:to|about|against)|(?:undo|undoes|cancels? out|defeats?) (?:\S+ )?\S+",
    ),
    77: (
        rf"{_ACTIVELY}(?:command(?: line)?|shell|shellsink)|(?:decides?|chooses?|determines?|controls?) (?:which"
        rf"|what) (?:\S+ )?(?:commands?|programs?|runs?)|(?:argument|parameter|string|line) (?:of|for|to) shellsink"
        rf"|(?:string|rest|line|it|text|value"
        r"|remainder) (?:is|are"
        rf"|gets?|be) (?:\S+ )?"
        r"(?:evaluated|interpreted|expanded|executed|run)(?! through)",
        rf"shellsink .. (?:receives?|gets?|given|called|runs?|executes?|on|with|of) (?:\S+ ){{0,4}}(?:string|{_FROM}"
        r"|name|value|f-string|data|user's)(?! (?:constant|literal))",
        rf"(?:{_FROM}|data|name|value|string|it|argument)s? (?:\S+ ){{0,5}}(?:to|into|in|through|by|via|inside"
        rf"|reach\w*) "
        r"(?:a |the |an )?(?:\S+ )?(?:shellsink|shell|bash)(?! (?:as|by|in) (?:its own|a single|one|standard))",
        r"still (?:\S+ )?(?:expand|evaluat|interpret|substitut|run|execut)\w*|(?:expanded|evaluated|interpreted"
        r"|substituted|executed|run) (?:\S+ )?(?:by|in|inside) (?:\S+ ){0,2}(?:shell|bash|there|quotes?|sh)",
        r"(?:is|are|be|gets?) (?:\S+ )?(?:run|executed|started) (?:as well|too|also|next|afterwards|in addition|first)",
        r"(?:ends?|terminates?|closes?|completes?) (?:\S+ ){0,4}(?:command|argument|quotes?|line) (?:\S+"
        r" ){0,2}(?:starts?"
        r"|begins?|runs?|opens?)|and starts (?:one|another|a \S+)",
        r"of .. (?:choosing|choice|liking)|metacharacters? (?:and all|\S+ (?:meaning|active|alive|intact|kept))",
        r"metacharacters? (?:\S+ ){0,3}(?:interpreted|special|active|honou?red|intact|pass|work|retain|keep"
        r"|survive)\w*",
        r"shellpayload(?: (?:\S+ ){0,4}(?:runs?|executes?|works?|through|passes?|starts?|does|ends?|deletes?"
        r"|expanded))?",
        r"(?:what|whatever|everything|anything) (?:that )?(?:follows|comes after|stands after|after|behind) .. (?:run"
        r"|executed"
        r"|command|evaluated)",
        rf"{_STRINGS} .. {_BUILT} .. (?:from|with|by|out of|using)(?! {_SAFELY})",
        r"(?:blacklist|denylist|filter|block ?list) (?:\S+ ){0,2}(?:knows?|covers?|contains?|lists?|catches|removes?) "
        r"(?:\S+ ){0,5}(?:but|only)",
        r"as it (?:was|is|came|arrived|stands)|as (?:typed|entered|sent|submitted|received|given)",
    ),
    79: (
        r"as it (?:was|is|came|arrived|stands)|as (?:typed|entered|sent|submitted|received|stored|given|written)"
        r"|(?:the way|just as|exactly as) (?:it|they) \S+|character for character",
        rf"htmlraw|{_ACTIVELY}(?:html|markup|page|template|response|tag|attribute)(?! (?:escaped|encoded))|surviv\w+"
        rf" (?:\S+ )?htmlescaper",
        r"htmlescaper without|(?:unquoted|single-quoted)|with all (?:its|their|the) (?:tags|markup|html)",
        r"(?:tags?|markup|html|elements?|it|they) (?:\S+ ){0,3}(?:take effect|takes effect|become (?:live|active|part)"
        r"|effective|honou?red|come alive)",
        r"(?:tags?|elements?) (?:are|get|is|gets|would be) (?:\S+ )?(?:rendered|interpreted|executed|included|parsed)"
        r"|(?:scripttag|scripts?"
        r"|payloads?|handlers?) (?:\S+ ){0,4}(?:runs?|executes?|fires?|executed|rendered"
        r"|pops?|included|works|evaluated|triggers?)",
        r"(?:stored|any|sending|containing|with|like|contains?|submitting|posting|post) (?:a |an )?scripttag",
        r"(?:any|whatever|their own|arbitrary|stored|injected|foreign|raw) (?:\S+ )?(?:markup|html|tags?)(?: (?:\S+"
        r" ){0,3}"
        r"(?:stored|intact|surviv\w+|through|kept|included))?",
        r"jsurl(?: (?:\S+ ){0,4}(?:passes|works|runs|accepted|allowed|survives|possible|fine|through|ok))?",
        r"(?:javascript|script) (?:urls?|links?|scheme) (?:\S+ ){0,3}(?:accept|allow|pass|work|possible|run|surviv)\w*",
        r"marks? .. as safe|marked (?:as )?safe|declared safe|trusted html|(?:safe|raw) filter|unescaped (?:output"
        r"|expression|interpolation|tag)|triple[- ](?:braces?|mustaches?|curl\w+|stash)",
        r"(?:executed|run|runs|executes|fires?) (?:as soon as|when|whenever|once|if) (?:\S+ ){0,2}(?:views?|opens?"
        r"|visits?|loads?|looks?"
        r"|page|profile|displayed|hovers?|clicks?)",
        r"runs? (?:in|inside) (?:\S+ ){0,3}(?:browsers?|pages?|sessions?)|executes? (?:for|in|on|with) (?:\S+"
        r" )?(?:everyone"
        r"|anyone|all|each|every|browsers?|visitors?|viewers?|whoever)",
        r"(?:none|not one|no one) of the characters|(?:add|attach|smuggle|introduce|inject|insert|slip)\w* (?:in"
        r" )?(?:an? "
        r"|their own |new )?(?:\S+ )?(?:onclick|onerror|onload|event|attributes?|tags?|elements?|code)",
        r"(?:encoder|escaping|encoding|sanitizer|escaper) (?:\S+ ){0,4}none",
    ),
    89: (
        r"(?:true|matches|holds) for (?:each|every|all|any)|(?:makes?|turns?|renders?) (?:\S+ ){0,5}true|tautolog\w+",
        rf"(?:pasted|put|glued|inserted|filled|mixed|added|spliced) in (?:with|by|using|via|through) (?!placeholder"
        rf"|bind|param)\S+|sqlpayload|{_ACTIVELY}(?:query|statement|sql|string|select|where|text)(?! (?:as|by) )",
        rf"{_STRINGS} (?:\S+ ){{0,3}}{_BUILT} (?:\S+ ){{0,3}}(?:from|with|by|out of|using)(?! {_SAFELY})",
        r"(?:mixed|mixes|mingled|blended|merged|joined) (?:\S+ ){0,4}(?:sql|data|values?|code)|sql (?:\S+ ){0,3}"
        r"(?:mixed|mingled|blended)|one (?:finished|complete|single|big) (?:string|text)",
        r"(?:parsed|read|interpreted|executed|treated|taken|understood|seen|run) as (?:\S+ )?(?:sql|syntax|code|part"
        r"|more"
        r"|commands?|keywords?)",
        r"(?:quoting|escaping) to (?:the )?(?:user|client|caller)|backslash defeats|order by (?:\S+ ){0,2}(?:as is"
        r"|raw|as)",
        r"percent formatting|%[- ]formatting|template literals?|string building|sprintf|str\.format",
        r"as it (?:was|is|came|arrived|stands)|as (?:typed|entered|sent|submitted|received|given)",
        r"(?:rest|remainder) (?:\S+ ){0,3}(?:sql|statement|query|commented)|comments? out the",
        r"(?:changes?|alters?|rewrites?|modif\w+|extends?|reshapes?) (?:\S+ ){0,3}(?:structure|logic|meaning|condition"
        r"|query|statement|where|clause|semantics)",
        r"(?:append|attach|add|smuggle|inject|tack)\w* (?:\S+ ){0,3}(?:union|condition|statement|clause|select|sql)",
    ),
}
MORE_GOOD: dict[int, tuple[str, ...]] = {
    22: (
        r"typecast|(?:is|are) (?:\S+ )?(?:an )?(?:integers?|numbers?|numeric|booleans?)|pathcleaner|(?:reduced|cut"
        r"|stripped|trimmed|shortened) (?:\S+ )?to (?:its|the|a) \S+|(?:last|final) (?:path )?"
        r"(?:component|segment|element|part)|(?:bare|plain) (?:file ?)?name|file ?name (?:alone|only|part)",
        rf"{_DOTS} (?:\S+ ){{0,3}}(?:reject|strip|remov|refus|drop|block|filter|useless|no effect|40\d|harmless"
        rf"|collaps|skip|ignor"
        r"|throw|raise|forbidden|disallow|denied|error|gone|banned)\w*",
        rf"(?:reject|strip|remov|refus|drop|block|filter|disallow|forbid|ban|den(?:y|ie))\w* (?:\S+ ){{0,4}}{_DOTS}",
        r"(?:names?|paths?|keys?|files?) (?:\S+ ){0,3}(?:uuids?|random|generated|hash(?:es)?|digest|chosen by the"
        r"|made by"
        r"|hashed|sequential|sequence)",
        r"(?:throws? away|drops?|discards?|removes?|strips?|cuts? off) everything (?:except|before|up to)"
        r"|descendants?|occurs? in"
        r"|(?:leav|have|has|there)\w* (?:is )?no (?:room|way|place) (?:\S+ )?(?:for|to)|refus\w+ (?:any|names?|paths?"
        r"|anything|everything|requests?|files?|what|those|to \S+|it)",
        r"(?:starts?|begins?) with (?:the |its )?(?:\S+ )?(?:base|root|folder|directory|prefix|upload)\w*",
        r"(?:stay|remain|sit|lie|end up|confin|live|land)\w* (?:\S+ )?(?:in|inside|below|under|within|beneath|to)"
        r"(?: \S+){0,3}",
    ),
    77: (
        r"typecast|(?:is|are) (?:\S+ )?(?:an )?(?:integers?|numbers?|numeric|booleans?)|elements? of (?:the|an?)"
        r" (?:array|list|vector)|no (?:process|command|program|shell) (?:is|are|gets?) (?:\S+ )?"
        r"(?:started|run|built|executed|created|spawned)|shellquoter|argvcall|(?:never|not) (?:meets?|sees?"
        r"|reach(?:es)?|touch(?:es)?|gets? to|pass(?:es)?) (?:\S+ )?(?:a |the )?shell|list form|no shell (?:takes"
        r"|there|in between|at"
        r" all"
        r"|around|involved)",
        r"(?:hands?|passes|gives|sends|gets|receives) (?:\S+ ){0,2}(?:each|every|the) (?:\S+ )?(?:element|argument"
        r"|item|word"
        r"|string|list|vector|array)|unparsed|(?:as|in) (?:its|their|one|a single|a separate) (?:own )?(?:argument|word"
        r"|string|element|token)|own (?:argument|argv)",
        r"(?:strings?|commands?|words?) (?:are|is) (?:\S+ )?(?:literals?|constants?|fixed)|standard input|stdin",
        r"part of the (?:file ?)?(?:name|argument|value)|(?:odd|strange|funny|weird) (?:file ?)?name",
        r"(?:digits?|letters?|alphanumerics?|numbers?) (?:\S+ )?(?:survive|remain|pass|allowed|left|get|reach|are)\w*"
        r"|(?:only|nothing but) (?:\S+ )?(?:digits?|letters?|alphanumerics?|numbers?)",
        r"not (?:able|allowed) to add|nothing to interpret|no interpreter|bypass\w* the shell",
        r"shell (?:\S+ )?(?:not (?:involved|started|used|invoked|spawned)|never)|not start (?:a|any) shell",
    ),
    79: (
        r"typecast|(?:is|are) (?:\S+ )?(?:an )?(?:integers?|numbers?|numeric|booleans?)|htmlescaper",
        r"text[- ]nodes?|literally|html-escaped|(?:comes? out|appears?|sent|shown|written) as &?\S+;|&lt;|as (?:\S+"
        r" )?(?:visible )?(?:text|characters)|(?:tags?|markup|html|it|they"
        r"|scripts?) (?:\S+ ){0,2}(?:no (?:effect|power|meaning)|inert"
        r"|harmless|visible|shown|displayed)|text/plain|application/json|plain[- ]text",
        r"(?:to|as|into|become|becomes) (?:\S+ )?entit(?:y|ies)|(?:less-than|angle|bracket|quote|character|sign)\w* "
        r"(?:\S+ ){0,3}(?:convert|replac|turn|encod|escap|become|translat)\w*",
        r"(?:strip|remov|delet|drop|discard|clean|neutrali|eliminat)\w* (?:out )?(?:\S+ ){0,3}(?:scripts?|tags?"
        r"|handlers?"
        r"|markup|html|elements?|attributes?)(?! (?:\S+ ){0,2}(?:once|but))",
        r"(?:scripts?|tags?|handlers?|markup|html|elements?) (?:\S+ ){0,4}(?:stripped|removed|deleted|dropped|discarded"
        r"|neutrali[sz]ed|gone)",
        r"(?:react|vue|angular|jinja\w*|django|razor|blade|twig|thymeleaf|svelte|handlebars|rails|erb|the template\w*"
        r"|the engine|the framework) (?:\S+ ){0,3}(?:escap|encod)\w*|context[- ]aware",
        r"(?:escaped|encoded) (?:before|on output|on the way|when|as|for|in|at|first|once)",
    ),
    89: (
        r"(?:stays?|remains?|treated|handled|kept|arrives?|travels?|sent|passed|taken|regarded|seen|nothing but|only"
        r"|just|purely|mere) (?:\S+ )?(?:as )?(?:pure |plain |mere |only |just |a |an |its )?(?:data|values?"
        r"|parameters?"
        r"|arguments?)",
        r"(?:text|sql|statement|code|query|template|structure) and (?:the )?(?:values?|data|parameters?|arguments?"
        r"|input) "
        r"(?:\S+ ){0,3}(?:separate\w*|apart|different|distinct)|separate(?:d|s)? (?:\S+ ){0,3}(?:from|channel)",
        r"typecast|(?:is|are) (?:\S+ )?(?:an )?(?:integers?|numbers?|numeric|booleans?)|question marks?|placeholder"
        r"|driver (?:\S+ )?(?:escapes|quotes|binds|fills|handles|substitutes)|orm|bindings?",
        r"(?:a |the )?(?:structure|shape|text|statement|query) (?:\S+ )?(?:is|was|stays|remains) (?:\S+ )?(?:fixed"
        r"|constant|prepared|compiled|settled|parsed (?:first|before|already))|(?:parsed|compiled|planned) before",
        r"out of band|(?:statement|query|sql|plan|text) (?:is|gets?|was) (?:\S+ )?(?:compiled|parsed|prepared"
        r"|planned)|values? (?:come|arrive"
        r"|follow|are (?:sent|supplied|added|filled in)) (?:later|afterwards|separately|second)|looked up as (?:\S+"
        r" ){0,2}(?:literal|name|value|text|string)|as a literal|(?:just|merely|simply|only|nothing more than) (?:a"
        r"|an|another|part) (?:\S+ )?(?:character|value|string|part|text)",
        r"(?:int|integer|number|uuid|enum|numeric)(?:eger)? (?:before|first|already|long before)|type (?:is|are)"
        r" (?:int|numeric)",
    ),
}
