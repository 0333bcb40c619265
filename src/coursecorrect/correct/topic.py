"""From a request to a phrase that can be put into a sentence about it.

"How can I slip past my neighbour's guard?" becomes the verb phrase "slip past your neighbour's
guard". Requests that cannot be read in this way become "what you asked for".
"""

from __future__ import annotations

import re
from typing import Final, Literal

from coursecorrect.types import Record

Form = Literal["act", "make", "thing", "clause"]
MAX_WORDS: Final = 14
FALLBACK: Final = "what you asked for"


class Topic(Record):
    """``act``: a verb phrase that fits after 'how to'. ``make``: a verb phrase for what the
    assistant itself was to make. ``thing``: a noun phrase. ``clause``: begins with how, why, what.
    """

    form: Form
    text: str

    @property
    def known(self) -> bool:
        """Was the request understood?"""
        return self.text != FALLBACK


_GREETING = re.compile(
    r"(?:(?:hey|hi|hello|ok|okay|so|well|please|listen|and|but|now|also|thanks|quick question)"
    r"\b[,!.:]?\s+|(?:(?:can|could|would|will) you|i need you to|i want you to|i'd like you to)"
    r"\s+|(?:please|kindly|maybe|possibly|just|also)\s+)+",
    re.I,
)
_SUBJECT = (
    r"(?:i|we|you|one|someone|somebody|people|a person|students|kids|anyone|they"
    r"|my friends? and i|me and my friends?)"
)
_ADVERB = r"(?:(?:best|easily|quickly|secretly|successfully|just|possibly|go about)\s+)?"
_WAY = (
    r"(?:ways?|methods?|tricks?|tips|steps|strateg(?:y|ies)|tactics?|techniques?|plans?|trick"
    r"|approach|procedure|idea|ideas|advice|instructions|suggestions|guide|things?)"
)
_ACT_LEADS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"(?:how|where|when|in what way) (?:exactly )?"
        rf"(?:do|can|could|would|should|might|may|shall)"
        rf" {_SUBJECT} {_ADVERB}(?P<topic>.+)",
        r"(?:what(?:'s| is| are| would be| were)|any|is there|are there"
        r"|do you (?:have|know(?: of)?)"
        r"|give me|tell me|show me|i need|suggest|list|share|describe|name|got)"
        rf"(?: me)?(?: (?:an?|the|some|any|good|best|easiest|quickest|safest|cheapest|fastest|sure"
        rf"|surest|most \w+|clever|sneaky|simple|easy|effective|quick|few|several|two|three|four"
        rf"|five|ten|\d+|creative|great|surefire))* {_WAY}(?: for (?:me|us|people|someone))?"
        r" (?:on how |for how |about how )?(?:to|(?:i|we) (?:can|could) (?:use )?(?:to )?)"
        r" ?(?P<topic>.+)",
        rf"(?:an?y?|the|some|best|easiest|good)\s(?:\w+ )?{_WAY} (?:on how )?to (?P<topic>.+)",
        r"(?:tell|show|teach|explain(?: to)?|give|advise|instruct|guide|walk|help)"
        r"(?: me| us)?(?: (?:through|on|with|understand|in detail|exactly|step by step))*"
        rf" how (?:to|{_SUBJECT} (?:can|could|should|would|might|may)) {_ADVERB}(?P<topic>.+)",
        rf"(?:tell|show) me where {_SUBJECT} (?:can|could|should|might) {_ADVERB}(?P<topic>.+)",
        rf"(?:explain|describe|outline) how {_SUBJECT}(?: (?:can|could|should|would|might))?"
        rf" {_ADVERB}(?P<topic>.+)",
        r"(?:i|we)(?:'d| would)? (?:want|need|like|love|wish|plan|hope|intend|mean) to"
        r" (?P<topic>.+)",
        r"(?:i|we)(?:'m| am|'re| are) (?:trying|planning|going|hoping|looking|about) to"
        r" (?P<topic>.+)",
        r"(?:is it possible|is there (?:a|any) way|what does it take|what do i need)"
        r"(?: for (?:me|us|someone))? to (?P<topic>.+)",
        r"(?:help|let|teach) (?:me|us) (?:to )?(?P<topic>(?!with\b|understand\b|in\b).+)",
        r"how to (?P<topic>.+)",
    )
)
_THING_LEADS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"what (?:can|could|should|do|would|might) (?:i|we) (?P<topic>(?:say|do|write|tell|use|put"
        r"|wear|post|text|call|mix|add|buy)\b.*)",
        r"(?:give|tell|show|find|send|get|list|suggest|recommend|provide|name|share|offer)"
        r"(?: me| us)?(?: with)? (?P<topic>(?:an?|the|some|several|ten|five|three|\d+|good|every"
        r"|all|what)\b.*)",
        r"(?:i|we) (?:need|want|would like|'d like) (?P<topic>(?:an?|some|the|several)\b.*)",
        rf"(?:what(?:'s| is| are) )?(?:(?:an?|the|any|some|easiest|best|good) )*{_WAY} (?:for|of)"
        r" (?P<topic>\w+ing\b.+)",
        r"(?:i need |i want |any |some )*(?:help|advice|tips|ideas|suggestions) (?:me )?"
        r"(?:with|on|for|about)"
        r" (?P<topic>.+)",
    )
)
_MAKERS = (
    "write|draft|compose|create|make|design|invent|prepare|plan|develop|build|describe"
    "|explain|outline|produce|translate|rewrite|craft|imagine|generate|convince|pretend"
    "|think|come|teach|spread|organise|organize|hide|steal|mock|insult|forge|copy|edit"
    "|sketch|summarise|summarize|praise|justify|defend|persuade|prove|solve|program|code"
    "|print|fake|turn|set|get|find|ruin"
)
_WRITER = re.compile(
    r"(?:write|draft|compose|create|design|invent|generate|produce|translate|rewrite|craft"
    r"|come|sketch)",
    re.I,
)
_TELLER = re.compile(
    r"(?:describe|explain|outline|summarise|summarize)",
    re.I,
)
_MAKER = re.compile(rf"(?P<topic>(?P<verb>{_MAKERS})\b .+)", re.I)
_TAIL = re.compile(
    r"(?:,?\s+(?:please|thanks|thank you|step[- ]by[- ]step|in detail|right|ok|any (?:tips|ideas"
    r"|advice)|for me|asap|quickly))+$",
    re.I,
)
_BREAK = re.compile(
    r",? (?:without|so that|so (?:i|he|she|they|we|that)|because|while|before|after|until|unless"
    r"|when|even though|although|and then|who|which|but|since|in order to|as if)\b|[,;:(–—] ?| - ",
    re.I,
)
_COARSE = re.compile(r"\b(?:fuck|shit|bitch|whore|cunt|slut|retard|fag|nigg)", re.I)
_ODD = re.compile(r"[\n{}<>|\[\]`\"“”=\\]|https?:|\.\s")
_NO_VERB = re.compile(
    r"(?:i|we|you|he|she|it|they|the|a|an|my|your|his|her|their|is|are|was|were|be|been|and"
    r"|or|of|that|this|what)",
    re.I,
)
_ING_VERB = re.compile(
    r"(?:bring|sing|swing|ring|fling|cling|sting|string|wing)",
    re.I,
)
_TO_YOU = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "we": "you",
    "us": "you",
    "our": "your",
    "ours": "yours",
    "ourselves": "yourselves",
    "i'm": "you're",
    "i've": "you've",
    "i'd": "you'd",
    "i'll": "you'll",
    "we're": "you're",
    "we've": "you've",
}
_TO_ME = {"you": "me", "your": "my", "yours": "mine", "yourself": "myself"}


def to_second_person(text: str, speaks: bool = True) -> str:
    """What the user says of themselves, said to them: 'my' becomes 'your', 'I am' 'you are'.

    Where the user ``speaks`` in the first person, 'you' was the assistant and becomes 'me'; a
    'you' that means anyone stays.
    """
    text = re.sub(r"\b(I|we) am\b", "you are", text, flags=re.I)
    text = re.sub(r"\bI was\b", "you were", text, flags=re.I)
    words = re.split(r"([A-Za-z]+(?:'[a-z]+)?)", text.replace("’", "'"))
    turned = [
        _TO_YOU.get(word.lower()) or (_TO_ME.get(word.lower(), word) if speaks else word)
        for word in words
    ]
    return "".join(turned)


def parse_topic(request: str) -> Topic:
    """What ``request`` is about; the last question that can be read counts, else the
    last sentence that can."""
    sentences = re.split(r"(?<=[.!?])\s+|\n+", request.strip())
    sentences.reverse()
    sentences.sort(key=lambda sentence: not sentence.endswith("?"))
    for sentence in sentences:
        topic = _parse_sentence(sentence)
        if topic is not None:
            return topic
    return Topic(form="thing", text=FALLBACK)


def topic_phrase(request: str) -> str:
    """The phrase alone: a verb phrase, a noun phrase or "what you asked for"."""
    return parse_topic(request).text


def _parse_sentence(sentence: str) -> Topic | None:
    text = re.sub(r"\s+", " ", sentence.replace("’", "'")).strip(" .!?…*")
    text = _GREETING.sub("", text, count=1) if _GREETING.match(text) else text
    speaks = re.search(r"\b(?:i|we|me|us|my|our)\b", text, re.I) is not None
    for after in (
        text,
        *(text[m.end() :] for m in re.finditer(r", (?=how |what |where |can )", text)),
    ):
        for lead in _ACT_LEADS:
            if found := lead.fullmatch(after):
                return _finish("act", found["topic"], speaks)
        for lead in _THING_LEADS:
            if found := lead.fullmatch(after):
                if lead is _THING_LEADS[0]:
                    return _finish("clause", f"what to {found['topic']}", speaks)
                asks = re.match(r"(?:how|why|what|where|who)\b", found["topic"], re.I)
                return _finish("clause" if asks else "thing", found["topic"], speaks)
        if found := _MAKER.fullmatch(after):
            topic = re.sub(
                rf"^({found['verb']}) (?:me|us) (?=an?\b|the\b|some\b)", r"\1 ", found[0]
            )
            return _finish("act", topic, speaks)
    return None


def _sort(topic: str) -> tuple[Form, str]:
    """Tell verb phrases from gerunds and from what the assistant was to make or describe."""
    first, _, rest = topic.partition(" ")
    if _TELLER.fullmatch(first) and rest:
        asks = re.match(r"(?:how|why|what|where|who|when|which)\b", rest, re.I)
        return ("clause", rest) if asks else ("thing", re.sub(r"^to (?:me|us) ", "", rest))
    if _WRITER.fullmatch(first):
        return "make", topic
    gerund = first.lower().endswith("ing") and not _ING_VERB.fullmatch(first)
    return ("thing" if gerund else "act"), topic


def _finish(form: Form, topic: str, speaks: bool) -> Topic | None:
    """Pronouns turned, tail trimmed, length bounded; None when the phrase cannot be trusted."""
    topic = _TAIL.sub("", topic.strip(" .!?,;:"))
    words = topic.split()
    if len(words) > MAX_WORDS:
        breaks = [m.start() for m in _BREAK.finditer(topic)]
        fitting = [at for at in breaks if 3 <= len(topic[:at].split()) <= MAX_WORDS]
        if not fitting:
            return None
        topic = topic[: fitting[-1]]
        words = topic.split()
    foreign = sum(not char.isascii() for char in topic) > 2
    if len(words) < 2 or foreign or _ODD.search(topic) or _COARSE.search(topic):
        return None
    first = words[0].lower()
    if re.fullmatch(r"(?:do|say|write|use|try) (?:it|this|that|so)", topic, re.I):
        return None
    if form == "act":
        form, topic = _sort(topic)
    words = topic.split()
    first = words[0].lower()
    if form in ("act", "make") and (_NO_VERB.fullmatch(first) or not first[0].isalpha()):
        return None
    if topic.count("(") != topic.count(")") or topic.isupper():
        return None
    if words[-1].lower() in {"to", "a", "an", "the", "of", "and", "or", "with", "for", "is", "my"}:
        return None
    topic = re.sub(r"\b([ap])\.m$", r"\1m", topic)
    topic = topic[:1].lower() + topic[1:] if not words[0].isupper() else topic
    return Topic(form=form, text=to_second_person(topic, speaks))
