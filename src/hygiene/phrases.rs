//! Phrases that give orders where data should stand: the tables.
//!
//! They are written as text is read after folding: lower case, no accents, no lookalikes. `STRONG` ones
//! besides without spaces and punctuation, so that no spelling hides them.

use super::danger::Danger;

/// A phrase in words with one space between them; ` . ` ends a clause.
pub(super) struct Phrase {
    pub(super) danger: Danger,
    /// Whether it means the opposite behind a "never" or a "do not" in its clause.
    pub(super) turns: bool,
    /// Whether it is an order to whoever reads it in a run, too.
    pub(super) in_runs: bool,
    pub(super) pattern: &'static str,
}

const fn always(danger: Danger, pattern: &'static str) -> Phrase {
    Phrase { danger, turns: false, in_runs: false, pattern }
}

const fn turning(danger: Danger, pattern: &'static str) -> Phrase {
    Phrase { danger, turns: true, in_runs: false, pattern }
}

const fn anywhere(danger: Danger, pattern: &'static str) -> Phrase {
    Phrase { danger, turns: false, in_runs: true, pattern }
}

/// Setting rules aside, in one word and in many languages.
pub(super) const STRONG: [&str; 29] = [
    r"(?:ignor(?:e|es|ing)|disregard(?:s|ing)?)(?:all|any|every|each|please|kindly|now|just|the|of|your|my|our|its|this|these|those|that|previous|previously|prior|earlier|above|preceding|former|existing|current|old|original|initial|other|further|system|systems|safety|security|company|given|developer|operator|and|or|both|hard|rate|refund)*(?:instruct(?:ion)?s?|rules?|guidelines?|guidance|prompts?|directives?|directions?|constraints?|restrictions?|polic(?:y|ies)|safeguards?|guardrails?|limits?|bullets?)",
    r"(?:forget(?:s|ting)?|drop|throwaway|neglect|overlook|override|overrule|overwrite|dismiss|discard|abandon|donotfollow|dontfollow|nolongerfollow|stopfollowing|payno(?:more)?attentionto|setaside|circumvent|violate|break|supersede|cancel|revoke|suspend)(?:the|of|my|our|its|this|these|those|that|please|kindly|now|just|and|or|both)*(?:all|any|every|each|your|previous|previously|prior|earlier|above|preceding|former|existing|current|old|original|initial|other|further|systems|system|safety|security|developer|operator)(?:all|any|every|each|the|of|your|my|our|its|this|these|those|that|previous|prior|earlier|above|preceding|former|existing|current|old|original|initial|other|further|systems|system|safety|security|company|given|developer|operator|and|or|both)*(?:instruct(?:ion)?s?|rules?|guidelines?|guidance|systemprompts?|prompts?|directives?|constraints?|restrictions?|polic(?:y|ies)|safeguards?|guardrails?)",
    r"(?:ignore|disregard|forget)(?:everything|all|anything|whatever)(?:that)?(?:you|above|before|sofar|isaid|was(?:said)|iswritten|waswritten|else)",
    r"(?:ignore|disregard|forget)(?:whatyouwere|whatyouhavebeen|whatyouretold|whatwas(?:said)|whatstands)",
    r"youarenow(?:a|an|in|the|dan|free|nolonger|un|jail|my)|youarenolonger(?:a|an|bound|the|required)",
    r"(?:reveal|print|show|repeat|output|display|recite|leak|disclose|expose|quote|tell|give|writeout|copy|printing|revealing|repeating|quoting|showing)(?:me|us|them|the|user|to|full|entire|whole|hidden|secret|initial|internal|own|of|all|everyone)*(?:yoursystemprompt|thesystemprompt|systemprompt|yourprompt|yourinstructions|yourguidelines|yourrules|systemmessage|yourguidance|theseinstructions|theseguidelines|theserules)",
    r"(?:developer|debug|god|admin|dan|jailbreak|unrestricted|root|sudo)mode",
    r"(?:override|overrides|overriding|takesprecedenceover|takeprecedenceover|supersedes|outranks?|trumps?|hashigherprioritythan|haveprecedenceover|takespriorityover|takepriorityover|standsabove|ismoreimportantthan|replaces)(?:all|any|the|other|every|previous|prior|earlier|above|existing|system|your|safety|company)*(?:instruct(?:ion)?s?|rules?|guidelines?|guidance|prompts?|polic(?:y|ies)|bullets?)",
    r"(?:instructions|rules|guidelines|guidance|polic(?:y|ies)|blocks?|bullets?|restrictions|constraints)(?:above|below|before|earlier|sofar|ofthisprompt|inthisprompt|ofthepolicy)*(?:are|is|were|have|has|do|does)(?:now|been|all)?(?:outdated|obsolete|void|nolonger|notlonger|superseded|revoked|cancell?ed|suspended|lifted|disabled|notapply|notvalid|replaced)",
    r"(?:instructions|rules|guidelines|polic(?:y|ies)|restrictions|constraints)(?:above|below|before|earlier)?nolonger(?:apply|applies|hold|holds|count|counts|matter)",
    // German, Dutch.
    r"(?:ignorier|vergiss|vergesst|missacht|ubergeh|uberspring|beachte)\w{0,6}(?:bitte|alle[ns]?|vorherigen?|bisherigen?|fruheren?|vorigen?|obigen?|obenstehenden?|diese|deine|ihre|die|saemtliche|samtliche|vorangegangenen?)+(?:anweisung|regel|vorgabe|instruktion|richtlinie|befehl|anordnung|system)",
    r"(?:negeer|vergeet)(?:alle|de|je|deze|vorige|eerdere|bovenstaande)+(?:instructies|regels|opdrachten|aanwijzingen|richtlijnen)",
    // French, Spanish, Portuguese, Italian, Romanian, Catalan.
    r"(?:ignore[zr]?|oublie[zr]?|neglige[zr]?|netienspascompte|netenezpascompte)(?:de)?(?:s|toutes|tous|les|tes|vos|ces|precedentes?|anciennes)*(?:instructions?|consignes?|regles?|directives?|ordres)",
    r"(?:ignor[ae]r?|olvid[ae]r?|olvide|omit[ae]|descart[ae]|esquec[ae]|desconsider[ae]|dimentica|trascura)(?:n|s|te|de|todas|todos|toda|tutte|tutti|as|os|las|los|le|gli|i|tus|sus|suas|tue|estas|anteriores|previas|precedenti)*(?:instrucciones|instrucoes|istruzioni|instructiuni|reglas|regras|regole|directrices|diretrizes|direttive|indicaciones|ordenes|ordens)",
    // Polish, Czech.
    r"(?:zignoruj|ignoruj|zapomnij|ignorujte|zapomen)(?:cie)?.{0,30}(?:instrukcj|polecen|zasad|regul|pokyn|pravidl)",
    // Russian, Ukrainian.
    r"(?:игнорир|забуд|забыт|не обращай внимания на|ігнор|відкин).{0,40}(?:инструкц|правил|указани|команд|інструкц|вказівк)",
    // Chinese.
    r"(?:忽略|忽視|忽视|无视|無視|忘记|忘記|忘掉|不要理会|不要遵守|不再遵守|违反|绕过).{0,16}(?:指令|指示|规则|規則|规定|說明|说明|要求|提示|限制|约束)",
    // Japanese, Korean.
    r"(?:指示|ルール|命令|規則|プロンプト|制限).{0,16}(?:無視|忘れ|従わない)",
    r"(?:지시|규칙|명령|지침|프롬프트).{0,16}(?:무시|잊)",
    // Thai.
    r"(?:ละเว้น|เพิกเฉย|ลืม|ไม่สนใจ|ไม่ต้องสนใจ).{0,24}(?:คำสั่ง|กฎ|คำแนะนำ|ข้อกำหนด)",
    // Turkish, Arabic, Hebrew, Hindi.
    r"(?:talimat|kural|yonerge)\w{0,8}.{0,12}(?:yoksay|yok say|unut|goz ardi|gormezden)",
    r"(?:تجاهل|انس|تجاهلوا).{0,30}(?:تعليمات|قواعد|اوامر|أوامر)",
    r"(?:התעלם|שכח|התעלמי|התעלמו).{0,30}(?:הוראות|כללים|הנחיות)",
    r"(?:निर्देश|नियम|आदेश).{0,30}(?:अनदेखा|भूल|नजरअंदाज|नज़रअंदाज़)",
    // Vietnamese, Indonesian, Swedish, Danish, Norwegian, Finnish.
    r"(?:boqua|photlo|quendi).{0,25}(?:huongdan|chidan|quytac|chithi)",
    r"(?:abaikan|lupakan).{0,30}(?:instruksi|aturan|perintah|petunjuk)",
    r"(?:ignorera|glom|ignorer|glem|sebortfra|strunta|bortse|sebort)(?:i|fra|fran|alla|alle|de|dina|dine|tidigare|tidligere|ovanstaende|foregaende)+(?:instruktion|regler|anvisning|instruks)",
    r"(?:unohda|ohita|jataomiinsa|jatahuomiotta).{0,30}(?:ohjee|ohjeet|saanno)",
    r"(?:αγνοησε|ξεχασε|αγνοηστε).{0,40}(?:οδηγιες|κανονες|εντολες)",
];

use Danger::{Command, Exfiltration, Override};

/// What else is said to set rules aside, to take data out or to destroy.
pub(super) const PHRASES: [Phrase; 77] = [
    // To whoever improves the prompt.
    anywhere(
        Override,
        r"\b(?:note|message|instructions?|attention|request|reminder|hint)s? (?:to|for) (?:the |any |all |our )?(?:optimi[sz]er|prompt engineer|meta agent|model|llm|ai|assistant|reviewer|improver)\b",
    ),
    anywhere(
        Override,
        r"\b(?:add|insert|append|include|write|create|put|record) (?:a |an |the |this |that |these |another |new |following |one |as |of )*(?:bullets?|guidelines?|guidance|learned rule|permanent rule|standing instruction)\b",
    ),
    anywhere(
        Override,
        r"\bnew (?:rules?|bullets?|guidelines?|instructions?|directives?|policy)(?: for (?:the |an? |all )?(?:learned|agents?|model|you|prompt|system|guidance)| . (?:always|never|you|the agent|ignore|from now))",
    ),
    anywhere(Override, r"\blearned (?:guidance|rules?|bullets?)\b"),
    anywhere(
        Override,
        r"\b(?:edit|change|update|modify|rewrite|extend|amend|alter|overwrite|replace|improve) (?:the |this |your |its |agent s |agents |system |whole )*(?:prompts?|guidance|system message)\b",
    ),
    anywhere(
        Override,
        r"\b(?:the )?optimi[sz]er (?:must|should|shall|has to|needs to|will|is to)\b",
    ),
    anywhere(
        Override,
        r"\b(?:end of|begin|start of) (?:the )?(?:data|context|untrusted|user input|system prompt|instructions)\b|\byou improve the (?:prompts|config)\b|\bthis answer was refused\b|\banswer again (?:in full|with)\b|\bmaintenance mode\b",
    ),
    anywhere(
        Override,
        r"\b(?:reward|score|bonus) (?:is |will be )?(?:only )?(?:earned|given|paid|granted) (?:only )?(?:by|to|for|if) (?:prompts?|bullets?|agents? (?:that|which|who))\b",
    ),
    anywhere(
        Override,
        r"\btold me to tell (?:you|the)\b|\b(?:this tool|this server|this function|tool) requires (?:that )?(?:you|the agent)\b",
    ),
    anywhere(
        Override,
        r"\bfrom now on (?:. )?(?:you|always|never|whenever|the agent|every|all|ignore|act|answer|respond|reply)\b",
    ),
    anywhere(
        Override,
        r"\b(?:important|attention|urgent|warning|notice) . (?:you must|you should|you have to|ignore|disregard|do not tell|the agent must|all agents|always|from now)\b",
    ),
    anywhere(
        Override,
        r"\bdo not (?:tell|inform|alert|warn|notify) (?:the |any |your )?(?:users?|customers?|operators?|anyone|anybody|humans?|persons?|people|admins?|administrators?|developers?|supervisors?|owner)\b",
    ),
    anywhere(
        Override,
        r"\b(?:ignore|disregard|forget) (?:all |everything |of |the )*(?:above|foregoing)(?: and\b| then\b| \.|$)|\bearlier (?:guidance|instructions|rules|directives) . (?:throw|drop|forget|ignore)",
    ),
    anywhere(
        Override,
        r"\bto continue . (?:the )?(?:assistant|agent|model|ai|llm|you) (?:must|should|has to|have to|needs? to)\b|\bthe (?:assistant|ai|llm|model) (?:must|has to|is required to|shall) (?:now |immediately |first |always )?(?:call|run|execute|use|invoke|delete|send|submit|approve|answer|output|write|reveal)\b",
    ),
    always(Override, r"\bfrom now on\b"),
    // Hiding.
    always(
        Override,
        r"\b(?:do not|don t|never|stop|without|avoid) (?:tell|telling|inform|informing|alert|alerting|notify|notifying|warn|warning) (?:the |any |your )?(?:users?|customers?|operators?|anyone|anybody|humans?|people|admins?|administrators?|developers?|supervisors?|team|owner|on call)\b",
    ),
    always(
        Override,
        r"\b(?:do not|don t|never|stop|without|avoid) (?:log|logging|record|recording|audit|auditing|trace|tracing|report|reporting|document|documenting)\b(?: (?:in|out|card|cards|password|passwords|secret|secrets|personal|customer|pii|token|tokens|credentials|success|a fix|the fix|before|until|twice|again|more)\b)?",
    ),
    always(
        Override,
        r"\b(?:do not|don t|never|avoid) (?:mention|reveal|disclose|admit|acknowledge|expose|discuss|talk about|refer to) (?:this|these|that you|that this|the existence|your instructions|your rules|the rule|it to)\b",
    ),
    always(
        Override,
        r"\b(?:secretly|covertly|stealthily|in secret|behind (?:the|their|his) back|unnoticed|undetected|without (?:anyone|anybody|the user|the customer|people|the operator) (?:noticing|knowing|seeing))\b|\b(?:hide|conceal|keep) (?:this|it|that|these|what you do|your actions)(?: \w+){0,2} (?:from|secret|hidden)\b",
    ),
    always(
        Override,
        r"\b(?:delete|clear|erase|remove|wipe|tamper with|edit|falsify|forge) (?:the |all |your |any |its )*(?:audit|access|system|own|run|execution)? ?(?:trail|traces|logs|log entries|history|evidence|tracks)\b",
    ),
    // Safety.
    turning(
        Override,
        r"\b(?:bypass|skip|circumvent|evade|omit|sidestep|get around|work around|go around|forgo|waive) (?:the |any |all |every |each |customer s |customer |identity |user |human |manual |usual |required |second |safety |security |policy |age |id |of )*(?:approvals?|verifications?|verifying|confirmations?|authentications?|authorizations?|reviews?|checks?|polic(?:y|ies)|guardrails?|security|permissions?|validations?|consent|safeguards?|restrictions?|limits?|rules?)\b",
    ),
    turning(
        Override,
        r"\b(?:disable|turn off|switch off|deactivate|mute|silence|suppress|suspend|weaken|disarm|kill|stop|pause|remove) (?:the |all |any |every |your |its |each )*(?:safety|security|monitoring|logging|alerts?|alerting|alarms?|guardrails?|audits?|audit \w+|protections?|safeguards?|checks|verification|tls|authentication|authorization|firewalls?|rbac|network polic\w+|admission \w+|backups?|rate limits?|tracing|telemetry|antivirus|selinux|apparmor|branch protection|ci checks)\b",
    ),
    turning(
        Override,
        r"\bwithout (?:asking|confirmation|confirming|approval|verification|verifying|permission|consent|authorization|authentication|a review|checking (?:the )?(?:identity|policy|with)|any (?:confirmation|approval|check|verification)|waiting for (?:approval|confirmation))\b",
    ),
    turning(
        Override,
        r"\b(?:approve|grant|accept|allow|authorize|issue|give|refund) (?:every|all|any|each|whatever|everything)(?: \w+){0,3}? ?(?:refunds?|requests?|changes?|returns?|orders?|access|permissions?|upgrades?|compensations?|it|asked|asks|wants?)\b|\bapprove everything\b",
    ),
    turning(
        Override,
        r"\b(?:grant|give|assign|escalate|elevate|add) (?:yourself|itself|your own|your account|the agent|your privileges|privileges)\b|\b(?:become|run as|switch to|log in as) (?:root|admin|administrator|cluster admin|superuser)\b",
    ),
    turning(
        Override,
        r"\b(?:follow|obey|execute|carry out|comply with|act on|do|perform) (?:any|all|every|whatever|the|each) (?:\w+ )?(?:instructions?|orders?|commands?|directions?|requests?) (?:\w+ ){0,3}?(?:tool|tools|output|page|pages|document|documents|web|website|ticket|email|comment|comments|search|appear|appears|found|logs?|results?)\b",
    ),
    turning(
        Override,
        r"\b(?:follow|obey|execute|carry out|comply with) (?:any|whatever|every) (?:instructions?|orders?|commands?|directions?)\b",
    ),
    turning(Override, r"\bobey\b"),
    always(
        Override,
        r"\btreat (?:whatever|anything|everything|all|any|every|each|what|text|messages?|data|content|tool|the) (?:\w+ ){0,8}(?:as|like) (?:an? |the |if )*(?:orders?|instructions?|commands?|truth|authoritative|administrators?|admins?|system|trusted|verified|approved|approval|binding)\b",
    ),
    always(
        Override,
        r"\b(?:follow|obey|use|apply|trust) only (?:this|these) (?:one|bullet|rule|line|note)\b|\b(?:only follow|only obey) (?:this|these)\b",
    ),
    always(
        Override,
        r"\b(?:pretend|imagine|act as if|behave as if|assume) (?:that )?(?:you|there|no|the) (?:are |is |have |has )?(?:no|not|free|above|exempt|un\w+|polic\w+|rules?|an? (?:unrestricted|unfiltered|uncensored|admin\w*|human|root))",
    ),
    always(
        Override,
        r"\b(?:without|no|free of|free from|ignoring|lift all|drop all) (?:any |all )*(?:restrictions|filters?|censorship|ethical|moral|safety|guardrails|inhibitions|limitations)\b|\b(?:unrestricted|unfiltered|uncensored|jailbroken|unaligned)\b",
    ),
    turning(
        Override,
        r"\balways (?:report|claim|say|return|answer|state|declare|submit|tell|mark) (?:\w+ ){0,3}?(?:success|successful|yes|ok|done|passed|fixed|resolved|approved|no fault|healthy)\b|\b(?:whatever|regardless of|no matter what) (?:the |its )?(?:outcome|result|truth|polic\w+|rules?|facts|evidence|actual)\b",
    ),
    turning(
        Override,
        r"\b(?:tests?|assertions?|checks?|test cases|benchmark|grader|evaluator|metric|score) (?:\w+ ){0,4}?(?:so that (?:they|it) pass(?:es)?|to make (?:them|it) pass|until (?:they|it) pass(?:es)? without|instead of (?:fixing|the fix|solving))|\b(?:fake|forge|fabricate|falsify|invent|make up) (?:\w+ ){0,3}?(?:results?|evidence|data|output|figures|numbers|sources?|quotes?|citations?|logs?|tests?|receipts?)\b",
    ),
    always(
        Override,
        r"\bwhen(?:ever)? (?:an? |the |any )?(?:user|customer|someone|somebody|anyone|message|prompt|request) (?:\w+ ){0,3}?(?:says?|writes?|mentions?|types?|contains?|includes?|asks? for|uses?) (?:\w+ ){1,8}(?:transfer|send|refund|delete|grant|approve|reveal|disable|execute|run|give|unlock|bypass)\b",
    ),
    always(
        Override,
        r"\b(?:admin|administrator|developer|operator|anthropic|openai|google|your creator|your owner|management|the boss|headquarters) (?:has |have )?(?:said|says|ordered|instructed|authorized|authorised|approved|demands?|commands?|decreed)\b",
    ),
    turning(
        Override,
        r"\b(?:modify|rewrite|edit|change|extend|overwrite|update|delete) (?:your|its|this|the agent s|the system) (?:own )?(?:code|configuration|config|instructions?|rules?|memory|limits?|polic\w+|permissions?|weights)\b",
    ),
    turning(
        Override,
        r"\b(?:disable|prevent|avoid|block|resist|refuse|delay|undo) (?:the |any |your |all |a )*(?:rollback|roll back|shutdown|oversight|supervision|human review|intervention|correction|kill switch|off switch)\b",
    ),
    always(
        Override,
        r"\b(?:approvals?|verifications?|confirmations?|authentication|polic(?:y|ies)|rules?|checks?|reviews?|limits?|consent|permissions?|instructions?|guidelines|safety \w+|identity \w+) (?:step |steps |section |process |above |before )*(?:is|are|was|were) (?:\w+ ){0,6}?(?:optional|unnecessary|negotiable|waived|void|only (?:a )?(?:suggestions?|hints?|advice)|not (?:needed|required|necessary|binding|mandatory)|for testing|a formality)\b",
    ),
    always(
        Override,
        r"\bno (?:\w+ )?(?:polic(?:y|ies)|rules?|limits?|approvals?|verification|confirmation|checks?|restrictions?|safeguards?) (?:ever )?(?:appl(?:y|ies)|counts?|holds?|is (?:needed|required)|are (?:needed|required)|needed|required)\b",
    ),
    turning(
        Override,
        r"\b(?:section|rules?|polic(?:y|ies)|approvals?|verification|confirmation|checks?|steps?|instructions?|guidelines|limits?) (?:\w+ ){0,6}?(?:can|may|could|should|must) (?:safely |simply |always |just )?be (?:left out|skipped|ignored|omitted|dropped|bypassed|waived|disregarded|overridden)\b",
    ),
    turning(
        Override,
        r"\b(?:assume|trust|believe|accept|suppose) (?:that )?(?:\w+ )?(?:users?|customers?|callers?|passengers?|anyone|they|members?) (?:is|are|to be|has|have) (?:who|honest|telling|right|authori[sz]ed|verified|entitled|allowed|an? (?:admin|employee|owner))\b|\btake (?:their|his|her|the (?:customer|user|caller) s) word\b",
    ),
    turning(
        Override,
        r"\b(?:leave|keep|drop|omit|remove|strip|exclude) (?:\w+ ){0,3}?(?:failed|failures?|errors?|problems?|mistakes?|incidents?|warnings?|refusals?|bad news) (?:\w+ ){0,2}?(?:out of|from|off) (?:the |your |any |each )?(?:\w+ )?(?:summar(?:y|ies)|reports?|answers?|logs?|results?|records?|output)\b",
    ),
    turning(
        Override,
        r"\bact as (?:if )?(?:an? |the )?(?:\w+ )?(?:supervisor|manager|admin|administrator|system|developer|operator|root|owner|superuser|approver|human|person|user|customer)\b|\bapprove (?:it|them|this|that|your own) (?:yourself|on your own)\b",
    ),
    turning(
        Override,
        r"\b(?:above|over|beyond|exceeding|past) (?:the|its|their|any) (?:\w+ )?(?:limit|cap|maximum|quota|threshold) (?:\w+ ){0,2}?(?:is|are) (?:fine|ok|okay|allowed|acceptable|possible)\b|\bsplit (?:\w+ ){0,4}?(?:to stay|so that it stays|to remain|to keep it) (?:below|under|within)\b",
    ),
    turning(
        Override,
        r"\bsay (?:that )?(?:it|this|that) was (?:the|an?|someone|somebody)\b|\bblame (?:the|a|an|someone|others)\b|\b(?:lie|lying|deceive|mislead) (?:to|about|the|any|users?|customers?)\b",
    ),
    anywhere(
        Override,
        r"\b(?:save|store|add|write|commit|record|put) (?:this|that|it|the following) (?:\w+ ){0,2}?(?:to|into|in) (?:your |the )?(?:long term |permanent |persistent )?(?:memory|memories|knowledge base|system prompt|guidance|guidelines)\b|\b(?:record|note|remember|save|keep|store|add|treat) (?:\w+ )?as (?:an? )?(?:standing|permanent|general|new|learned) (?:guideline|rule|instruction|lesson|policy|order)\b|\b(?:lesson|lessons|advice|guidance|rule|note|message|instructions?) (?:learned |learnt )?(?:for|to) (?:all |any |the |every )?(?:future|other|next) (?:agents?|runs?|versions?|models?|assistants?)\b",
    ),
    anywhere(
        Override,
        r"\bset (?:\w+ ){0,2}?(?:earlier|previous|prior|other|your|all) (?:orders|instructions|rules|guidelines|policies)(?: \w+){0,2}? (?:aside|to one side)\b|\b(?:from here on|henceforth|as of now) (?:your|you|the agent)\b|\byour (?:new |real |true |only |actual )(?:goal|task|purpose|mission|objective|role|job) is\b",
    ),
    // Loosening.
    turning(
        Override,
        r"\b(?:needs?|requires?|takes?|wants?|with) no (?:\w+ ){0,2}?(?:checks?|verification|approvals?|confirmation|identity|authentication|reviews?|permission|proof|id|consent)\b",
    ),
    turning(
        Override,
        r"\b(?:go|act|work|refund|pay|be|step|reach|spend) (?:beyond|outside|around|against|above|past) (?:the |our |any |its |your |company )*(?:polic(?:y|ies)|rules?|limits?|guidelines|restrictions|budget|scope)\b",
    ),
    turning(
        Override,
        r"\b(?:whatever|anything|everything|all that) (?:an? |the |any |some )?(?:\w+ )?(?:page|site|website|tool|user|customer|e ?mail|ticket|document|message|comment|result|caller|issue) (?:\w+ ){0,3}?(?:asks?|says?|wants?|tells?|orders?|demands?|requests?|suggests?|commands?)\b",
    ),
    turning(
        Override,
        r"\bkeep (?:the |your |all |any )*(?:operators?|users?|customers?|people|humans?|teams?|supervisors?|admins?|anyone|them|owners?) (?:\w+ ){0,2}?(?:out of|in the dark|unaware|uninformed|from knowing)\b|\bquietly\b",
    ),
    turning(
        Override,
        r"\b(?:mark|report|close|declare|submit|treat|count|present) (?:\w+ ){1,5}?(?:solved|fixed|done|resolved|success\w*|completed?|healthy|passed) (?:even|although|though|whether|regardless|when it is not|without)\b",
    ),
    turning(
        Override,
        r"\b(?:approve|merge|sign off|confirm|review|authorize) (?:your|its|their) own\b",
    ),
    // Safeguards, and that they may be slighted, near each other.
    turning(
        Override,
        r"\b(?:polic(?:y|ies)|approvals?|identity|verification|confirmations?|safety|safe (?:path|way|one)|security|limits?|rules?|checks?|permissions?|audits?|oversight|instructions|guidelines|restrictions?|guardrails?|safeguards?|(?:text|part|section|lines?|notes?) (?:above|below|before))(?: [^ ]+){0,8}? (?:(?:do|does|did|need|will|should) not (?:bind|apply|matter|count|hold)|(?:not|never) (?:binding|written|meant|said)|wins?|wastes? (?:of )?time|costs? (?:too much |only )?time|(?:leave|put off|postpone|defer) (?:[a-z]+ ){0,3}?(?:for|until) later|(?:can|may) wait|until later|in a hurry|(?:when|if|where) (?:time is short|you are busy|it is slow|busy|rushed)|to be (?:faster|quicker)|to save time|at your discretion|as you (?:like|see fit|please)|for show|a formality|(?:nobody|no one) (?:checks|cares|reads|looks)|loosely|leniently|relaxed|bend|stretch|second place|comes? second|over the safe|above the law)\b|\b(?:(?:do|does|did|need|will|should) not (?:bind|apply|matter|count|hold)|(?:not|never) (?:binding|written|meant|said)|wins?|wastes? (?:of )?time|costs? (?:too much |only )?time|(?:leave|put off|postpone|defer) (?:[a-z]+ ){0,3}?(?:for|until) later|(?:can|may) wait|until later|in a hurry|(?:when|if|where) (?:time is short|you are busy|it is slow|busy|rushed)|to be (?:faster|quicker)|to save time|at your discretion|as you (?:like|see fit|please)|for show|a formality|(?:nobody|no one) (?:checks|cares|reads|looks)|loosely|leniently|relaxed|bend|stretch|second place|comes? second|over the safe|above the law)(?: [^ ]+){0,8}? (?:polic(?:y|ies)|approvals?|identity|verification|confirmations?|safety|safe (?:path|way|one)|security|limits?|rules?|checks?|permissions?|audits?|oversight|instructions|guidelines|restrictions?|guardrails?|safeguards?|(?:text|part|section|lines?|notes?) (?:above|below|before))\b",
    ),
    turning(
        Override,
        r"\b(?:keep|make|leave|write|take) no (?:records?|logs?|traces?|notes?|entr(?:y|ies)|mention|evidence)\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:create|make|open|publish|post|share) (?:it |them |this )?(?:as )?(?:an? |the )?public (?:\w+ )?(?:gists?|pastes?|links?|buckets?|shares?|repos?\w*|issues?|pages?|posts?)\b|\b(?:stored|full|whole) (?:credit |payment )?card\b",
    ),
    // Taking data out.
    turning(
        Exfiltration,
        r"\b(?:call|hit|ping|trigger|invoke|query|notify) (?:the |an? |our |this |that )(?:\w+ )?(?:webhook|callback|beacon|collector)\b|\bwith everything (?:that )?you (?:saw|know|have|read|learned|learnt)\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:in|on|as) (?:blind )?(?:copy|cc|bcc) (?:on|of|to|in)\b|\b(?:cc|bcc) (?:an?|the|every|all|each|someone)\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:hide|smuggle|encode|conceal|embed|stash) (?:\w+ ){1,6}?(?:in|into|inside) (?:the |an? |each |every |its |some )?(?:\w+ ){0,2}?(?:notes?|comments?|fields?|headers?|answers?|repl(?:y|ies)|messages?|names?|quer(?:y|ies)|logs?|urls?|images?|files?)\b|\bencode the (?:environment|conversation|context|memory)\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:send|sending|post|posting|leave|upload|uploading|e ?mail|mail|e ?mailing|mailing|search|forward|transmit|submit|leak|exfiltrate|deliver|copy|share|report|append|attach|include|embed|put|write|quote|paste|encode|place|print|dump|show|reveal|expose|list|read out|give|tell|return|output|store|save|publish|commit|push|log|collect|gather|use|export|transfer|relay|display|repeat|mention|add|disclose) (?:[a-z0-9]+ ){0,7}?(?:secrets|passwords?|credentials?|api keys?|private keys?|ssh keys?|signing keys?|encryption keys?|master keys?|session tokens?|access tokens?|auth tokens?|bearer tokens?|refresh tokens?|environment variables?|env vars?|kubeconfigs?|service account tokens?|card numbers?|cvv|social security numbers?|customer lists?|customer data|user data|personal data|personal information|connection strings?|cookies|password hash(?:es)?|(?:account|personal|payment|card|customer|bank|billing|login) (?:details|digits|records?|info\w*)|(?:heap|core|memory|thread) dumps?)\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:send|post|upload|attach|paste|e ?mail|forward|transmit|exfiltrate|mail|ship|deliver|stream|beacon|sync|mirror|replicate|back up|export|transfer|relay|copy|publish) (?:[a-z0-9]+ ){0,10}?(?:to|into|via|with|through|at|on) (?:an? |the |our |my |any |some |their |this |that |each |another )*(?:external|collector|webhook|partner|third party|outside|outsider|remote|attacker|auditors?|audit (?:team|service|server|account|log)|stranger|competitor|pastebin|paste site|gist|public|foreign|offsite|personal|private (?:bucket|account|address|inbox)|drop (?:box|site|zone)|dropbox|telegram|discord|whatsapp|unknown|internet|endpoint|address (?:that|which|in|from|given|of)|address the)\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:send|post|upload|e ?mail|forward|transmit|mail|copy|share|record) (?:every|all|each|the whole|the entire|the full|the complete) (?:of )?(?:the )?(?:conversations?|messages?|chats?|transcripts?|e ?mails?|traffic|requests?|logs?|database|records?|files?|source code|code ?base|repositor(?:y|ies)|history)\b",
    ),
    anywhere(
        Exfiltration,
        r"\b(?:send|post|upload|e ?mail|forward|transmit|exfiltrate|leak|submit) (?:[a-z0-9]+ ){0,6}?(?:contents of (?:your|the|its|this|each) (?:[a-z]+ )?(?:environment|memory|context|conversation|prompts?|instructions|secrets?|home|workspace|repository)|system prompt|secrets|passwords?|credentials|api keys?|private keys?|ssh keys?|environment variables|access tokens?)\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:ask|request|demand|prompt|require|get|obtain|collect) (?:\w+ )?(?:the |each |every |any )?(?:users?|customers?|passengers?|callers?|clients?|members?) (?:\w+ ){0,3}?(?:for |to (?:give|share|tell|confirm|provide|enter|type|send) )(?:\w+ ){0,4}?(?:passwords?|card numbers?|full card|credit card number|pin|cvv|cvc|security code|one time (?:code|password)|otp|social security|ssn|mother s maiden|bank login|api keys?)\b",
    ),
    always(
        Exfiltration,
        r"\b(?:password|secret|token|key|credential|name|data|e ?mail|session|user|customer)s? (?:\w+ ){0,2}?as (?:an? |the )?(?:subdomain|hostname|query|url|parameter|path|image|link|dns)\b|\b(?:image|link|url|address|subdomain|query|pixel|beacon)s? (?:\w+ ){0,3}?(?:holds?|contains?|carr(?:y|ies)|includes?|with|encod(?:es|ing)|made of|built from) (?:\w+ ){0,3}?(?:name|data|token|secret|password|key|e ?mail|session|conversation|answer)s?\b",
    ),
    turning(
        Exfiltration,
        r"\b(?:session|access|auth|api|user s|customer s|bearer) ?(?:token|key|cookie|secret|password)s? (?:to|into|in) (?:every|each|all|the|any|a) (?:\w+ )?(?:quer(?:y|ies)|requests?|urls?|search(?:es)?|answers?|messages?|replies|reply|calls?)\b",
    ),
    always(
        Exfiltration,
        r"\bexfiltrat|\bphish|\bkeylog|\bbackdoor|\breverse shell|\bcommand and control|\bcrypto ?min|\bmalware|\bransom",
    ),
    // Destroying.
    turning(
        Command,
        r"\b(?:delete|remove|wipe|erase|destroy|drop|purge|truncate|clear|format|nuke|terminate|kill|evict|uninstall|overwrite|cordon|drain|stop|scale(?: down)?|reboot|revoke|lock|ban|suspend) (?:all|every|each|any|everything|whole|entire|the entire|the whole|out all|both)(?: of)?(?: the| your| its| our)?(?: \w+){0,3}? ?(?:namespaces?|pods?|deployments?|nodes?|volumes?|claims?|databases?|tables?|files?|data|backups?|clusters?|users?|orders?|records?|branch(?:es)?|repositor(?:y|ies)|disks?|snapshots?|secrets?|resources?|services?|collections?|accounts?|customers?|reservations?|indexes|indices|topics|queues|buckets?|keys|it)\b",
    ),
    turning(
        Command,
        r"\b(?:wipe|erase|destroy|format|nuke|reformat|drop|purge|overwrite|corrupt|sabotage|empty|recreate|rebuild|reinstall) (?:the |its |your |an? |that |this )?(?:whole |entire |production |prod |old |user )*(?:database|cluster|disk|volume|namespace|node|tables?|data|repository|file ?system|partition|backups?|drive|bucket|server|collection|production|system|machine|schema)\b|\b(?:delete|wipe|erase|destroy|remove) everything\b",
    ),
    turning(
        Command,
        r"\b(?:delete|remove|drop) (?:the |its |a |that |this )?(?:production|prod|entire|whole|customer|user|backup|default|kube system) (?:\w+ )?(?:database|cluster|disk|volume|namespace|tables?|data|account|records?|node)\b",
    ),
    turning(
        Command,
        r"\b(?:download|fetch|pull|install|get|load|import) (?:\w+ ){0,6}?(?:and|then|to) (?:then )?(?:run|execute|install|eval|source|launch|pipe|apply) (?:it|them|that|this|(?:the )?(?:\w+ )?(?:scripts?|code|binary|binaries|files?|installer|payload|program|package))\b",
    ),
    turning(
        Command,
        r"\b(?:run|execute|eval|evaluate|source|launch) (?:any|whatever|every|all|arbitrary|the) (?:\w+ )?(?:code|commands?|scripts?|sql|binary|payload|program|shell) (?:\w+ ){0,3}?(?:from|that|in|given|sent|of|by) (?:an? |the |any )?(?:users?|customers?|tools?|page|web|ticket|email|internet|message|output|comment)\b",
    ),
    turning(
        Command,
        r"\b(?:open|expose|publish|make) (?:the |all |any |every |its |your )?(?:\w+ ){0,3}?(?:to (?:the )?(?:internet|public|world|everyone|anyone|any address)|publicly|world readable|world writable)\b",
    ),
    turning(
        Command,
        r"\b(?:create|add|make|register|set up) (?:an? |the |new |second |hidden |extra )+(?:admin(?:istrator)?|root|superuser|service|hidden|back ?door) (?:account|user|login|token|key|role)\b",
    ),
    turning(
        Command,
        r"\b(?:transfer|wire|pay|send|move|withdraw|donate) (?:the |all |any |every |your |their |his |full |entire |whole )*(?:full |entire |remaining |whole )?(?:balance|money|funds|amount|gift card balance|savings|credit) (?:\w+ ){0,3}?(?:to|into)\b|\btransfer the full balance\b",
    ),
    turning(
        Command,
        r"\b(?:force push|rewrite history|push (?:directly |straight )?to (?:main|master|production)|deploy (?:directly |straight )?to production|merge without)\b",
    ),
];

/// What makes a `turns` phrase mean its opposite, somewhere before it in its clause.
pub(super) const NEGATION: &str = r"\b(?:never|do not|[a-z]+n t|must not|may not|cannot|should not|shall not|not to|not|no|refuse to|avoid|instead of|rather than|nie|niemals|nicht|jamais|ne|nunca|no)\b";

/// What takes a negation back: "never hesitate to".
pub(super) const EMPTY_NEGATION: &str = r"\b(?:hesitate|fail|forget|wait|worry|bother|afraid|need|have to|mind|stop|only|just|ask|refrain|delay|shy|scared|but|instead|then|simply|and)\b";

/// What a ban on logging may well be about.
pub(super) const FIT_TO_HIDE: &str = r"^(?:do not|don t|never|stop|without|avoid) \w+ (?:in|out|card|cards|password|passwords|secret|secrets|personal|customer|pii|token|tokens|credentials|success|a fix|the fix|before|until|twice|again|more)$";
