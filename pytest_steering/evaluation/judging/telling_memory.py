"""How numbers wrap, pointers dangle or are null and arrays are overrun, and what stops it, in many people's words.

To :mod:`mechanisms`, whose notation is used here, as more ways to say the same.
"""

from __future__ import annotations

_PEER = (
    r"(?:sender|packet|header|user|client|input|file|message|attacker|caller|network|wire|peer|request|image|command"
    r" line"
    r"|argv|outside|payload|frame|stream|socket|record)"
)
_LIMIT = r"(?:int_?max|uint_?max|size_?max|long_?max|2147483647|4294967295|65535|32767|255|127|2\^?\d\d)"
_WHOLE = r"(?:sum|product|result|total|value|size|length|count|counter|addition|multiplication|difference|it|number)"
_SUBJECT = (
    r"(?:pointer|result|return values?|returned (?:value|pointer)|argument|parameter|it|allocation|lookup"
    r"|handle|object|value)"
)
_CELLS = (
    r"(?:array|buffer|end|allocation|block|last|destination|table|bounds?|object|slot|struct|field|memory|stack|string)"
)
MORE_BAD: dict[int, tuple[str, ...]] = {
    190: (
        r"(?:cut|squeez|shrink|shrunk|reduc|narrow|convert|cast)\w* (?:\S+ ){0,4}(?:to|into|in) (?:an?"
        r" )?(?:int|short|char"
        r"|byte|u?int(?:8|16|32)\S*|16|32|8)(?:[- ]bits?)?(?! (?:after|once|before))|bits out|out of the (?:int|type"
        r"|range)|(?:less|smaller|lower|shorter) than (?:\S+ )?(?:either|both|each|one"
        r"|any|its|the (?:operands?|data|real|true|sum"
        r"|input))|(?:comes?|came) out (?:\S+ ){0,2}(?:tiny|small|negative|short|wrong|less|lower|too)",
        rf"{_WHOLE} (?:\S+ )?(?:is|becomes?|gives?|yields?|equals?|gets?|turns?|goes) (?:\S+ )?(?:0|zero|tiny"
        rf"|negative|huge"
        r"|enormous|gigantic|minus)",
        rf"(?:exceed\w*|beyond|above|past|over|more than|larger than|greater than|bigger than|outgrow\w*) (?:\S+"
        rf" )?{_LIMIT}",
        rf"(?:when|if|for) (?:\S+ )?(?:is|equals|reaches|at) {_LIMIT}|(?:near|close to) {_LIMIT}",
        r"(?:larger|more|bigger|greater|higher) than (?:what )?(?:\S+ ){0,4}(?:holds?|represents?|fits?|range|type"
        r"|int|bits|store)|too (?:little"
        r"|few)",
        r"narrow(?:s|ed|ing)|truncat\w+|(?:cuts?|chops?|drops?|throws?|strips?|loses?|discards?) (?:off |away"
        r" )?(?:the |its "
        r")?(?:upper|high|top|leading|most significant) ?\w*",
        r"(?:huge|enormous|gigantic|very large|giant|massive) (?:\S+ )?(?:unsigned|positive|number|value|size|length"
        r"|count|allocation|index)",
        r"as (?:a )?negative (?:number|value|length|size|count)?|goes? (?:negative|below zero)|(?:below|under|less"
        r" than) zero"
        r"|underflows?|sign(?:edness)? (?:changes?|flips?|bit)",
        r"allocat\w+ (?:\S+ ){0,3}(?:only|just|merely|a few|tiny|small|too|far)|(?:tiny|small|short|undersized)"
        r" (?:\S+ )?"
        r"(?:allocation|buffer|block|malloc)",
        r"(?:happens?|comes?|done|made|takes place|tested|checked|compared|performed) (?:\S+ )?(?:before the"
        r" (?:comparison"
        r"|check|test|limit)|after the (?:fact|multiplication|addition|sum|product))",
        r"too (?:large|big|many|much|wide|high) (?:\S+ )?(?:for|to)|(?:32|16|8)[- ]bit (?:arithmetic|multiplication"
        r"|addition|product|sum|operation)|signed overflow|(?:can|could|may|might) (?:\S+ )?(?:wrap|overflow"
        r"|exceed)\w*",
        r"(?:wraps?|folds?|starts?|begins?) (?:over|again|back|round)|past the (?:maximum|range|limit|largest)",
        r"(?:counter|index|total|sum) (?:is|has) (?:an? |only )?(?:uint8\S*|int8\S*|uint16\S*|int16\S*|char|short"
        r"|byte|8|16)"
        r"(?: \S+){0,6} (?:\d{3,}|more|thousand\w*|million\w*)",
    ),
    416: (
        r"(?:one )?(?:free|freed|released|deleted|destroyed|freeing) (?:\S+ )?(?:too early|too soon|prematurely|early)"
        r"|premature(?:ly)?|(?:dead|dying) by (?:then|that time)",
        r"by (?:then|that time) (?:\S+ ){0,4}(?:gone|freed|dead|released|destroyed|deleted|invalid)|(?:gone|freed|dead"
        r"|released|destroyed|deleted) by (?:then|that time|the time)",
        r"(?:reference|pointer|address|view|span|slice|string_view) (?:\S+ )?(?:to|of|into) (?:a |the )?(?:\S+"
        r" )?(?:local"
        r"|stack|temporary|freed|dead|released)",
        r"(?:old|original|previous|stale|former) (?:pointer|address|block|buffer|iterator|reference) (?:\S+"
        r" ){0,4}(?:used"
        r"|returned|kept|read|written|dereferenced|remains|passed|stored|still)",
        r"(?:used|read|dereferenced|accessed|touched|written|called|printed|followed) (?:\S+ ){0,4}(?:after|once|when) "
        r"(?:\S+ ){0,5}(?:freed|released|deleted|destroyed|erased|free|delete|gone|release|destruction|closed)",
        r"(?:that|which|who) (?:has|have|had|is|was) (?:already )?(?:been )?(?:freed|released|deleted|destroyed"
        r"|erased|gone)|invalidat\w+|(?:may"
        r"|can|might|could) (?:re-?allocate|move|relocate)|not (?:cleared|reset|nulled|updated|invalidated|removed"
        r"|cancelled|joined|unregistered|removed|detached"
        r"|unlinked|waited)|dies at",
        r"just (?:freed|released|deleted|destroyed|erased|removed)|(?:already|previously) (?:been )?(?:freed|released"
        r"|deleted|destroyed|erased)",
        r"(?:freed|recycled|released|returned|reclaimed) (?:memory|chunk|slot|storage)|whatever (?:\S+ ){0,4}(?:there"
        r"|heap)",
        r"(?:free|freed|release|released|delete|deleted)s? (?:\S+ ){0,4}while (?:\S+ ){0,5}(?:use|using|reading|uses"
        r"|reads"
        r"|holds?|holding|has|accessing|iterating|running)",
    ),
    476: (
        r"(?:can|may|might|could) (?:\S+ )?fail|nullexception|(?:address|page) zero|(?:zero|null) page|(?:attribute"
        r"|type)error|nil pointer panic",
        r"assum\w+ (?:\S+ ){0,5}(?:valid|non-?null|there|present|succeed\w*|success\w*|exists?|set|works?|never|found)",
        rf"{_SUBJECT} (?:\S+ ){{0,2}}(?:goes|passed|handed|used|given|fed|sent|flows|dereferenced|taken|written|read) "
        r"(?:\S+ )?(?:straight|directly|right|immediately|at once|unconditionally|regardless|anyway|blindly)",
        r"(?:dereferenc|use|read|access|follow|call|written|write)\w* (?:\S+ ){0,3}(?:although|even though|though"
        r"|anyway"
        r"|regardless|all the same|whether or not|no matter|come what may|nevertheless|unconditionally|blindly"
        r"|without)",
        r"(?:read|used|dereferenced|accessed|touched|follow\w*|deref) (?:\S+ ){0,4}before (?:the |any |its |that |it"
        r" )?(?:\S+ )"
        r"?(?:test|check|comparison|null|if|tested|checked|compared)",
        r"(?:test|check|comparison|nullcheck) (?:\S+ ){0,3}(?:only )?(?:after|behind|follows|later|below) (?:\S+"
        r" ){0,4}(?:use"
        r"|used|dereference|dereferenced|read|access|line|call)",
        r"(?:calls?|called|reads?|invoked|looked up|accessed) (?:\S+ ){0,3}on (?:null|none|nothing|nil|nullptr|it"
        r" anyway)",
        r"(?:can|could|may|might) (?:\S+ )?(?:be|return|give|yield|deliver|come back|become) (?:\S+ )?(?:null|none"
        r"|nil|empty"
        r"|nothing|nullptr)",
        r"(?:failure|error|empty|missing|null|not found)[ -]?(?:\S+ )?(?:case|path|result|return|branch) (?:\S+"
        r" ){0,3}(?:ignored"
        r"|overlooked|forgotten|neglected|left out)",
        r"nullcheck (?:\S+ )?(?:missing|absent|too late|late|after)",
    ),
    787: (
        r"negative (?:one|lengths?|numbers?|sizes?|indexe?s?|values?) (?:\S+ )?(?:pass|get|slip|go|come)\w*"
        r"|(?:becomes?|turns? into|ends? up as) (?:\S+ )?(?:giant|huge"
        r"|enormous|gigantic|very large)|(?:may|can|could|might) be (?:\S+ )?(?:larger|longer|bigger|greater) than"
        r"|inclusive|used as (?:the |an?"
        r" )?(?:\S+ )?(?:loop bound|index|length|count|offset|size|bound|limit)|full (?:\S+ )?size"
        r"|off[ -]by[ -](?:one|1)|fence-?post|one (?:\S+ )?too (?:many|far|much|high|long)|one past|instead of"
        r" (?:less|<)"
        r"|(?:<=|less than or equal)",
        rf"(?:behind|after|past|beyond|before|in front of|outside) (?:of )?(?:the |its |that )(?:\S+ )?(?:start of"
        rf"|end of )?"
        rf"{_CELLS}(?! (?:is|are|was) (?:\S+ )?(?:used|written|touched|filled|reached))",
        r"(?:of )?(?:any|arbitrary|whatever|unlimited|unknown) (?:length|size)|as (?:long|much|many|large) as (?:\S+"
        r" )?(?:"
        rf"likes?|wants?|{_PEER}|it|they)|as much as|(?:trusts?|believes?|trusting) (?:\S+ ){{0,3}}(?:length|size|count"
        r"|index|offset|number)",
        rf"(?:length|size|count|index|offset|number|position) (?:\S+ ){{0,3}}(?:from|by|in|of) (?:the |a |an )?(?:\S+"
        rf" )?{_PEER}",
        r"(?:hold|has|have|room for|space for|only|just) (?:\S+ )?\d+ (?:\S+ ){0,5}(?:but|while|whereas|yet)"
        r" (?:\S+ ){0,6}"
        r"(?:\d+|more|longer|any|larger)",
        r"unlimitedcopy (?:\S+ )?(?:copies|reads?|puts|writes|into|with|does|stores|accepts|takes|knows|on)|unbounded"
        r" (?:\S+ )?(?:copy|write|format|%s|string|read)",
        r"(?:holds?|has|offers|provides|takes) (?:\S+ )?(?:only|just|merely|no more than)|more (?:than|bytes"
        r"|characters|data)",
        r"(?:nothing|no one|nobody) (?:\S+ )?(?:keeps?|holds?|bounds?|stops?|caps?)",
        r"(?:longer|larger|bigger|more) (?:\S+ ){0,5}(?:overwrit|spill|run|overflow|smash|clobber|corrupt|go)\w*",
        r"(?:sizeof|size) (?:\S+ )?(?:of )?(?:the |a )?(?:pointer|source)|source's length|by the source",
    ),
}
MORE_GOOD: dict[int, tuple[str, ...]] = {
    190: (
        r"overflowcheck|headroom|leeway|(?:room|margin|space) (?:\S+ )?(?:to spare|left|enough)|ample|plenty",
        r"grows? (?:\S+ )?needed|(?:arbitrary|unlimited|infinite) (?:\S+ )?(?:size|precision|integers?|length)"
        r"|python's "
        r"(?:integers?|ints?)|python integers|bigints?",
        r"(?:both|operands?|values?|factors?|inputs?|they) (?:\S+ )?(?:are|is|have|fit) (?:\S+ )?(?:in |only )?(?:8"
        r"|16|u?int8\S*"
        r"|u?int16\S*|bytes?|single|small|short)",
        r"(?:largest|biggest|greatest|highest|worst[- ]case|maximum|maximal|max) (?:possible |conceivable )?(?:result"
        r"|sum|product"
        r"|total|possible|outcome|count|input|conceivable|case|value is (?:well|far|only))",
        r"(?:holds?|fits?|accommodates?|stores?|takes?) (?:\S+ )?easily|easily (?:\S+ )?(?:holds?|fits?|accommodates?"
        r"|stores?)"
        r"|(?:in|into|as|to) (?:an? )?(?:size_t|u?int64\w*|long long|64|wider|double|u64|i64|__int128|bigger|larger)"
        r" ?(?:type)?",
        r"(?:compared|checked|tested|limited|capped|verified|bounded|validated) (?:\S+ ){0,6}(?:before|first"
        r"|beforehand|up front"
        r"|prior|ahead|earlier)",
        r"(?:detect|notic|report|catch|caught|signal|flag)\w* (?:\S+ ){0,3}(?:wrap|overflow)\w*|(?:wrap|overflow)\w*"
        r" (?:\S+ )?"
        r"(?:is|are|gets?|be) (?:\S+ )?(?:detected|caught|reported|handled|impossible|excluded|noticed|ruled|trapped)",
        r"never (?:\S+ )?(?:past|beyond|over|above|exceeds?) \d+|divid\w+ (?:the )?(?:maximum|max\w*|limit|size_max"
        r"|int_max)|carried out (?:with|in|as|using) \S+|128[- ]bit|saturat\w+|traps?|panics?|promot\w+|divi\w+"
        r" (?:\S+ ){0,5}(?:first|before|back|beforehand)|small (?:constants?"
        r"|range)|never (?:gets? )?(?:near|close|approach\w*|comes? near|more than|above)",
        r"(?:bounded|limited|capped|restricted) (?:to|by|at)|(?:between|from) \d+ (?:and|to) \d+|at (?:the )?most",
    ),
    416: (
        r"nulledfree",
        r"(?:cleared|nulled|reset) (?:\S+ )?(?:together|along|at the same|when|as soon as|after|immediately|with)|can"
        r" not outlive \S+|never outlives? \S+|without (?:touching|using|reading|accessing|looking)|(?:ahead of"
        r"|prior to) (?:\S+ )?(?:free"
        r"|release|releasing|freeing|deletion|deleting)|can not (?:\S+ )?(?:go away|disappear|vanish|die|be (?:freed"
        r"|destroyed|released|deleted))|smartpointer|borrow checker",
        r"(?:takes?|holds?|owns?|acquires?|captures?|keeps?|gets?|retains?|adds?) (?:a |an |its own |the |another "
        r"|one )?"
        r"(?:\S+ )?(?:reference(?! to (?:a |the )?(?:local|stack|freed|session|object|node|entry))|ref|share|strong"
        r" reference"
        r"|ownership|lock(?: until)?)",
        r"lives? (?:\S+ )?(?:as long as|longer|until)|as long as (?:\S+ ){0,3}(?:lives?|needs?|exists?|runs?)"
        r"|outliv\w+",
        r"(?:stays?|remains?|kept|keeps) valid|no harm|(?:last|all|every|each|final) (?:\S+ )?(?:uses?|reads?"
        r"|access(?:es)?|dereferences?) (?:\S+ ){0,4}(?:before"
        r"|precedes?|come first|earlier|prior|happens? first)|precedes? (?:\S+ ){0,2}(?:free|release|deletion"
        r"|destruction)",
        r"(?:very )?last (?:thing|statement|action|line|step|operation|call)|at the (?:very )?end",
        r"(?:successor|next (?:pointer|node|element)|copy|value|name|field) (?:\S+ ){0,4}(?:first|before(?:hand)?)",
        r"(?:returns?|exits?|leaves|breaks|jumps out) (?:\S+ )?(?:at once|immediately|right away|straight away"
        r"|directly)",
        r"by value|deep cop\w+|own copy|(?:a|its own) copy|moved|(?:nothing|nobody|no one|no code|no path|none)"
        r" (?:\S+ ){0,5}"
        r"(?:looks?|reads?|uses?|touch\w*|after|follows?|refers?|access\w*)",
        r"(?:null|nullptr|none) (?:straight |right |immediately |directly )?(?:after|afterwards|as soon as)"
        r"|lifetimes? (?:\S+ )?"
        r"(?:exceeds?|covers?|encloses?|matches|fine|ok|correct)",
        r"(?:joined|waited for|finished|drained|cancelled|unregistered|removed|unlinked|detached) (?:\S+ ){0,4}before",
    ),
    476: (
        r"jumps? to (?:the |an? )?(?:\S+ )?(?:error|cleanup|exit|fail\w*|out|end|label)",
        r"(?:tested|checked|compared) (?:right|immediately|directly|straight) (?:after|afterwards|away)\w*",
        r"neverfailing|references? can not|(?:is|are|takes) (?:a |by )?references?(?: and| so|$| not| ,|\.)",
        r"(?:compared|tested|checked|compares?|tests?|checks?) (?:\S+ )?(?:with|against|for|to) (?:null|none|nullptr"
        r"|nil|zero)"
        r"|nullcheck|null[- ]?check(?:ed|s)?|(?:null|none) (?:\S+ )?(?:handled|caught|answered|covered|dealt)",
        r"return values? (?:\S+ )?(?:compared|tested|checked|verified|examined|inspected)|(?:is|as) the loop condition",
        r"(?:bails? out|returns?(?! (?:values?|null|none|nil))|exits?|aborts?|stops?|leaves|gives? up|errors? out"
        r"|throws|terminates|ends|quits|skips?) "
        r"(?:\S+ ){0,5}(?:when|if|on|in that case|in this case|for|whenever|as soon as|unless) ?(?:\S+"
        r" ){0,4}(?:fails?|failed"
        r"|null|none|missing|empty|failure|nothing|nil|absent|unset|case|error)",
        r"(?:cover|handle|deal with|guard|catch|treat|account for|take care of)s? (?:\S+ )?(?:all|both|every|each|the"
        r"|that|this) "
        r"(?:\S+ ){0,3}(?:null\w*|none|missing|empty|cases?|hops?|failures?|absent|absence|pointers?|errors?)",
        r"callers? (?:\S+ )?(?:has |have |already |must )?(?:checked|tested|guarantees?|ensures?|verified|makes sure"
        r"|validated)",
        r"returns? (?:an? )?(?:\S+ )?(?:error|failure|default|-1|false|40\d|code)(?: code)?|only (?:then|afterwards)"
        r"|answered (?:with|by) (?:\S+ ){0,2}(?:error|40\d|default|return|exception)|error (?:\S+ )?before|reached"
        r" only|skips? the",
        r"only (?:\S+ )?(?:called|dereferenced|used|followed|reached|entered|read|runs?|executed|taken) (?:\S+"
        r" )?(?:if|when|after"
        r"|once|inside)|inside (?:the|an) (?:if|check|guard|branch)",
        r"(?:every|each|all|both) (?:\S+ ){0,4}(?:tested|checked|compared|guarded|verified)|non-?null|never null"
        r"|(?:default"
        r"|fallback|empty string) (?:\S+ )?(?:instead|used|value|returned|takes)",
        r"always (?:\S+ )?(?:non|finds|found|succeeds|there|present|initiali\w+|exists|yields|returns)|address of"
        r"|local (?:array"
        r"|variable|object)|on the stack",
    ),
    787: (
        r"not exceed|not be (?:larger|longer|greater|more|bigger) than|terminator included|inclu\w+ the terminator"
        r"|manages its own"
        r"|(?:helper|wrapper|function|method|setter|accessor) (?:that|which) (?:refuses|checks|rejects|verifies)"
        r"|boundedcopy(?! returns)|(?:gets?|told|given|passed|receives?|knows?|with) (?:\S+ ){0,2}(?:size|length"
        r"|capacity|room) of (?:the |its )?"
        r"(?:\S+ )?(?:buffer|array|destination|target|code)|bounds?[- ]checked|checked access",
        r"(?:limited|restricted|capped|confined|bounded|cut|clipped) (?:to|by|at) (?:\S+ )?(?:sizeof|size|length|\d+"
        r"|code|room"
        r"|capacity|what|number|one less)",
        r"exactly (?:\S+ )?(?:what|as (?:large|big|long|many|much)|the (?:size|length|number)|enough|right|needs?)"
        r"|plus one"
        r"|strlen(?: code)? ?(?:\+|plus) ?(?:1|one)|sized (?:\S+ )?(?:for|to|by|from|after)|large enough",
        r"(?:ends?|stops?|runs? (?:only )?(?:to|up to|until|while)|terminates?) (?:\S+ )?(?:at|before|when|as soon as"
        r"|below|one before)"
        r" (?:\S+ ){0,5}(?:elements?|size|length|full|capacity|n|end|code|limit|last)",
        r"(?:throws?|raises?|panics?) (?:\S+ )?(?:for|on|when|if|rather|instead|an?)|(?:vector|list|string|buffer"
        r"|slice) (?:\S+ )?"
        r"(?:grows?|expands?|extends?|enlarges?)|push_back|append\(\)|memory[- ]safe|safe rust",
        r"(?:larger|longer|bigger|higher|oversized?|excess\w*|too long|too large|exceeding|surplus) (?:\S+"
        r" ){0,5}(?:dropped|refused"
        r"|rejected|return\w*|error|cut|discarded|ignored|truncated|skipped|40\d|turned away)",
        r"(?:index|length|offset|size|count|it|position) (?:\S+ )?(?:is |are |was )?(?:\S+ )?(?:compared|checked"
        r"|tested|masked"
        r"|validated|verified|reduced|taken modulo|bounded)",
        r"(?:less|smaller|lower|shorter|fewer) than (?:the |its )?(?:\S+ )?(?:size|length|capacity|buffer|array"
        r"|number|room"
        r"|destination|bound)|leaves? (?:room|space)",
        r"(?:every|each|all) (?:\S+ )?(?:stores?|writes?|copies|access\w*) (?:\S+ ){0,4}(?:checked|bounded|through"
        r"|within|behind"
        r"|guarded|limited)",
    ),
}
