"""The ``template`` corrector: offline, seeded, made of phrases that are combined anew each time.

A correction first says what is done (stop, take back, turn away), woven together with the reason
why, and then offers something else. All wording is in ``_phrases``; this module only chooses and
joins. The same task gives the same text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from coursecorrect.correct import _phrases as p
from coursecorrect.correct import topic as topics
from coursecorrect.correct.base import CorrectionTask
from coursecorrect.correct.topic import Topic, parse_topic, topic_phrase
from coursecorrect.types import content_id

__all__ = ["TemplateCorrector", "refusal", "topic_phrase"]

WORDS: Final = range(20, 51)
"""Words of a correction. An unusually long given reason or alternative may exceed this."""
DRAWS: Final = 60
AIMED_DRAFTS: Final = 8
CLOSE: Final = 3
"""Where a task aims at a length: at most so many drafts, until one is that close to it in words."""

Wording = Literal["wide", "narrow"]
ActKind = Literal["unwilling", "topic", "stopping", "retracting", "turning"]
_ACT_WEIGHTS: Final[dict[ActKind, int]] = {
    "unwilling": 34,
    "topic": 24,
    "stopping": 15,
    "retracting": 12,
    "turning": 15,
}
_FUNCTION_WORD = re.compile(
    r"(?:but|i|to|it|that|this|here|on|or|me|let|any|have|should|about|although|except|yet"
    r"|however|don't)",
    re.I,
)


class Act(NamedTuple):
    """One act in words, as a clause without its full stop."""

    text: str
    kind: ActKind
    names_topic: bool


class TemplateCorrector:
    """Composes corrections from phrases; needs no model.

    ``wording`` ``wide`` draws from over a thousand opening clauses. ``narrow`` has a few dozen, for
    models that are too small to learn the act from so many forms; the reason and the offer are
    those of the request in both. Only ``wide`` aims at a task's number of words.
    """

    name = "template"

    def __init__(self, wording: Wording = "wide") -> None:
        self.compose = _correction if wording == "wide" else _narrow_correction
        sources = [Path(str(module.__file__)) for module in (p, topics)] + [Path(__file__)]
        self.digest = content_id(wording, *(path.read_text(encoding="utf-8") for path in sources))

    def correct(self, tasks: Sequence[CorrectionTask]) -> list[str]:
        """One correction a task, each from the task's own seed."""
        return [self.compose(task) for task in tasks]


def _narrow_correction(task: CorrectionTask) -> str:
    rng = random.Random(task.seed)
    about = _subject(task.request, task.category, task.reason, task.alternative)
    form = rng.choice(about.forms)
    act = f"{rng.choice(p.NARROW_HEADS)} {rng.choice(p.NARROW_GO_ON)}".format(form=form)
    text = _fill(rng.choice(p.NARROW_WEAVES), act, about.reason(rng, names_topic=False))
    offer = rng.choice(p.NARROW_OFFERS).format(alternative=about.alternative(rng))
    return f"{_capital(text) if task.frame == 'sentence' else text} {offer}"


def _correction(task: CorrectionTask) -> str:
    rng = random.Random(task.seed)
    about = _subject(task.request, task.category, task.reason, task.alternative)
    drafts: list[str] = []
    aim, good, most, offers = WORDS.stop, WORDS, DRAWS, 1
    if task.words is not None:
        aim, most, offers = task.words, AIMED_DRAFTS, 2
        good = range(aim - CLOSE, aim + CLOSE + 1)
    for _ in range(DRAWS):
        opening = _opening(rng, task, about)
        if opening is None:
            continue
        for _ in range(offers):  # much cheaper than another opening
            draft = f"{opening} {_offer(rng, about)}"
            if len(draft.split()) in good:
                return draft
            drafts.append(draft)
        if len(drafts) >= most:
            break
    return min(drafts, key=lambda text: abs(len(text.split()) - aim))


def refusal(task: CorrectionTask) -> str:
    """A whole safe answer to the bare request: declines, says why, offers something else."""
    rng = random.Random(task.seed)
    about = _subject(task.request, task.category, task.reason, task.alternative)
    if about.topic.known:
        decline = rng.choice(p.REFUSAL_TAILS[about.topic.form]).format(topic=about.topic.text)
    else:
        decline = rng.choice(p.REFUSAL_PLAIN)
    lead = rng.choice(p.REFUSAL_OPENINGS)
    act = f"{lead} {rng.choice(p.REFUSAL_UNWILLING)} {decline}".strip()
    weave = rng.choice(p.TWO_SENTENCES if rng.random() < 0.5 else p.WEAVES)
    if ":" in lead and ":" in weave:
        weave = "{act}. {Reason}."
    reason = about.reason(rng, names_topic=True)
    text = _fill(weave, act, reason)
    closing = rng.choice(p.REFUSAL_CLOSINGS)
    offer = _offer(rng, about)
    if offer.endswith("?") or offer.startswith(("Tell", "Give", "Say")):
        closing = ""
    return f"{_capital(text)} {offer} {closing}".strip()


@lru_cache(maxsize=256)  # the corrections of a group share their request
def _subject(
    request: str, category: str | None, reason: str | None, alternative: str | None
) -> _Subject:
    return _Subject(request, category, reason, alternative)


class _Subject:
    """What a task is about, as far as the phrases need to know."""

    def __init__(
        self, request: str, category: str | None, reason: str | None, alternative: str | None
    ) -> None:
        self._request, self._category = request, category
        self.topic: Topic = parse_topic(request)
        self.forms = _forms(request)
        self.given_reason = _clause(reason)
        self.given_alternative = _verb_phrase(alternative)

    @cached_property  # looked for only where no reason is given, which is the costly part
    def person(self) -> str | None:
        return _person(self._request)

    @cached_property
    def field(self) -> p.Field | None:
        return _field(self._request, self._category)

    def reason(self, rng: random.Random, *, names_topic: bool) -> str:
        """The given reason, or one of the field that fits what is known of the request."""
        if self.given_reason:
            return self.given_reason
        pool = list(self.field.reasons if self.field else p.GENERAL_REASONS)
        if self.field and rng.random() < 0.15:
            pool = list(p.GENERAL_REASONS)
        if self.field is None and self.topic.known and self.topic.form == "act" and not names_topic:
            pool += p.ACT_REASONS
        if self.person is None:
            pool = [reason for reason in pool if "{who}" not in reason]
        return rng.choice(pool).format(who=self.person, topic=self.topic.text)

    def alternative(self, rng: random.Random) -> str:
        """The given alternative, or one of the field."""
        if self.given_alternative:
            return self.given_alternative
        if self.field is None or rng.random() < 0.1:
            return rng.choice(p.GENERAL_ALTERNATIVES)
        return rng.choice(self.field.alternatives)


def _act(rng: random.Random, about: _Subject) -> Act:
    kind = rng.choices(list(_ACT_WEIGHTS), weights=list(_ACT_WEIGHTS.values()))[0]
    form = rng.choice(about.forms)
    if kind == "topic" and not about.topic.known:
        kind = "unwilling"
    if kind == "topic":
        if rng.random() < 0.25:
            whole = rng.choice(p.WHOLE_TOPIC_ACTS[about.topic.form]).format(topic=about.topic.text)
            return Act(whole, "topic", names_topic=True)
        tail = rng.choice(p.TOPIC_TAILS[about.topic.form]).format(topic=about.topic.text)
        return Act(f"{rng.choice(p.UNWILLING)} {tail}", "unwilling", names_topic=True)
    if kind == "unwilling":
        text = f"{rng.choice(p.UNWILLING)} {rng.choice(p.GO_ON)}"
    elif kind == "stopping":
        text = rng.choice(p.STOPPING)
    elif kind == "retracting":
        text = f"{rng.choice(p.RETRACTING)}, {rng.choice(p.RETRACTING_THEN)}"
    else:
        text = rng.choice(p.TURNING)
    return Act(text.format(form=form), kind, names_topic=False)


def _opening(rng: random.Random, task: CorrectionTask, about: _Subject) -> str | None:
    """Act and reason, fit to follow the trigger; None when the draw does not suit it."""
    act = _act(rng, about)
    reason = about.reason(rng, names_topic=act.names_topic)
    draw = rng.random()
    weaves: tuple[str, ...]
    if 0.55 <= draw < 0.82:
        weaves = p.TWO_SENTENCES
    elif act.kind == "retracting":  # these have an 'and' of their own
        weaves = tuple(weave for weave in p.WEAVES if ", and" not in weave)
    elif draw < 0.55:
        weaves = p.WEAVES + p.UNWILLING_WEAVES if act.kind == "unwilling" else p.WEAVES
    elif draw < 0.92:
        weaves = p.REASON_FIRST
    else:
        weaves = p.CONSEQUENCE
    weave = rng.choice(weaves)
    if not _follows(task.trigger, act, weave):
        return None
    text = _fill(weave, act.text, reason)
    return _capital(text) if task.frame == "sentence" else text


def _follows(trigger: str, act: Act, weave: str) -> bool:
    """Does this opening neither repeat the trigger's words nor its punctuation?"""
    said = _stems(trigger)
    if said & _stems(act.text) or said & _stems(weave):
        return False
    if act.kind == "retracting" and said & {"back", "begu", "scra"}:
        return False
    if act.kind == "stopping" and said & {"stop", "hold", "furt"}:
        return False
    last = trigger.rstrip()[-1:]
    first_sentence = weave.partition(". ")[0]
    return not (last in ":–" and last in first_sentence)


@lru_cache(maxsize=4096)  # triggers and weaves are few, acts some hundreds for a request
def _stems(text: str) -> frozenset[str]:
    """The content words of a text, crudely cut to their first four letters."""
    words = re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower().replace("’", "'"))
    return frozenset(_stem(word) for word in words if not _FUNCTION_WORD.fullmatch(word))


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            word = word[: -len(ending)]
            break
    return word[:4]


def _fill(weave: str, act: str, reason: str) -> str:
    """The weave with both clauses in place, capitals after full stops."""
    return weave.format(act=act, reason=reason, Reason=_capital(reason))


def _offer(rng: random.Random, about: _Subject) -> str:
    alternative = about.alternative(rng)
    while True:
        text = _offer_frame(rng)
        if not ("work out" in text and alternative.startswith("work out")):
            return _capital(text.format(alternative=alternative))


def _offer_frame(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.55:
        return f"{rng.choice(p.OFFER_LEADS)} {rng.choice(p.OFFERS)}.".strip()
    return rng.choice(p.OFFER_PROMISES if draw < 0.65 else p.WHOLE_OFFERS)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clause(reason: str | None) -> str | None:
    """A given reason as a clause that fits after 'because'."""
    return re.sub(r"^because\s+", "", (reason or "").strip().rstrip(".!"), flags=re.I) or None


def _verb_phrase(alternative: str | None) -> str | None:
    """A given alternative as a verb phrase that fits after 'I can help you'."""
    return re.sub(r"^to\s+", "", (alternative or "").strip().rstrip(".!"), flags=re.I) or None


_PEOPLE = rf"(?P<person>(?:(?:{p.PERSON_ADJECTIVES})[ -]?){{0,2}}(?:{p.PERSONS}))\b"
_PERSON = re.compile(
    rf"(?<!with )(?<!and )(?<!help )(?<!for )\b(?P<whose>my|our|the|an?(?!\s\S+'s))\s{_PEOPLE}",
    re.I,
)


def _person(request: str) -> str | None:
    """The first person a request names, as one would name them to the user: 'your sister'."""
    found = _PERSON.search(request.replace("’", "'"))
    if found is None:
        return None
    whose = {"my": "your", "our": "your", "the": "the"}.get(found["whose"].lower(), "that")
    return f"{whose} {found['person'].lower()}"


def _field(request: str, category: str | None) -> p.Field | None:
    """The kind of harm with most key words in category (counted thrice) and request."""
    best, most = None, 0
    for field, said, filed in zip(
        p.FIELDS.values(), _hits(request), _hits(category or ""), strict=True
    ):
        score = said + 3 * filed
        if score > most:
            best, most = field, score
    return best


@lru_cache(maxsize=256)  # categories are few
def _hits(text: str) -> tuple[int, ...]:
    """How many key words of each field a text has."""
    lowered = text.lower()
    return tuple(len(_STEMS[field.stems].findall(lowered)) for field in p.FIELDS.values())


def _stem_pattern(stems: str) -> re.Pattern[str]:
    options = [
        re.escape(stem[:-1]) + r"s?\b" if stem.endswith(".") else re.escape(stem)
        for stem in (stem.replace("-", " ") for stem in stems.split())
    ]
    options += [re.escape(stem) for stem in stems.split() if "-" in stem]
    return re.compile(rf"\b(?:{'|'.join(options)})")


_STEMS = {field.stems: _stem_pattern(field.stems) for field in p.FIELDS.values()}


def _forms(request: str) -> tuple[str, ...]:
    """What the answer to this request is called: 'letter', 'plan', 'answer'."""
    words = re.findall(r"[a-z-]+", request.lower())
    if p.WRITING_VERBS & set(words[:5]):
        for word in words:
            if word in p.FORMS:
                return (p.FORMS[word],)
    if re.search(r"\b(?:how|ways?|plan|trick|step)\b", request.lower()):
        return p.HOW_TO_FORMS
    return p.PLAIN_FORMS
