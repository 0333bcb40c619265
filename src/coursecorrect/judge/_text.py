"""Seeing a continuation as clauses with offsets, with other people's words masked.

Everything here keeps the length of the text, so that an offset found in the prepared text is an
offset into the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from coursecorrect.judge._context import KIND_TOPIC, MISDEED_TOPIC
from coursecorrect.judge._cues import word_set

MASK = "\ufffc"
_CONTEXT = 400  # characters of the prefill's last paragraph that are read along

_SAME = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "„": '"',
                       "«": '"', "»": '"', "\u00a0": " ", "\u202f": " "})  # fmt: skip
_DOUBLE = re.compile(r'"[^"]{0,600}?"')
_SINGLE = re.compile(r"(?<![\w'])'(?=\w)(?:[^'\n]|(?<=\w)'(?=\w)){1,400}?(?<=[\w.,!?…])'(?!\w)")
_OPEN_SINGLE = re.compile(r"(?:^|[:,]\s?)'(?=\w)")
_SENTENCE_END = re.compile(
    r"(?<!\b\d)(?<!\b\d\d)[.!?…]+[\"')\]]*(?=\s|$)|\n+|;(?=\s|$)|\s[—–-]+\s|[—–]|--+"
)
_SPEAKER = re.compile(
    r"(?:(?<=\n)|(?<=^)|(?<=[.!?…] )|(?<=[.!?…]\" ))[*_]*([A-Z][\w.]{1,15})[*_]*:"
)
_NOT_SPEAKERS = word_set(
    "note step warning disclaimer tip tips instead correction remember however alternative "
    "edit option example important conclusion caution answer subject reminder update ps"
)
_FICTION = re.compile(r"\b(?:dialogue|script|scene|sketch|story|conversation|play|skit|chat)\b")
_MESSAGE_REQUEST = re.compile(
    r"\b(?:write|draft|compose|text|send|make up|post|fake|word)\b[^.]{0,50}?\b(?:letter|note|"
    r"message|e-?mail|text|reply|review|post|speech|excuse|apology|card|comment|dm|caption|tweet)"
)
_MESSAGE_PREFILL = re.compile(
    r"(?:^|\n)\s*(?:dear|hi|hello|hey|subject:|to whom)\b"
    r"|\b(?:write|say|text|send|message|e-?mail|reply|post|like this|letter|review)\b[^.\n]*:\s*$"
)


def lower(text: str) -> str:
    """Lower case without changing the length (``'İ'.lower()`` has two characters)."""
    low = text.lower()
    if len(low) != len(text):
        low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return low


def plain(text: str) -> str:
    """Lower case, straight quotes, plain spaces; the same length."""
    return lower(text).translate(_SAME)


@dataclass(frozen=True)
class View:
    """The end of the prefill and the continuation, prepared for pattern matching.

    ``text`` has quotations and lines of other speakers masked; ``base`` is where the continuation
    begins in it; ``soft`` is where a quotation opens that nobody closes; ``message`` tells that
    the text is a message to be sent, so that its 'I' need not be the speaker's; ``kind_topic`` and
    ``misdeed_topic`` what request and prefill are about.
    """

    text: str
    base: int
    soft: int
    message: bool
    kind_topic: bool
    misdeed_topic: bool
    open_sentence: bool
    sentences: tuple[tuple[int, int], ...]


def look(request: str, prefill: str, continuation: str) -> View:
    """Prepare one continuation."""
    # The context begins after the prefill's last blank line: quotations rarely go on past one.
    context = prefill[-_CONTEXT:].rpartition("\n\n")[2]
    base = len(context)
    joined = (context + continuation).translate(_SAME)
    masked = _mask_speakers(joined, _FICTION.search(lower(request)) is not None)
    masked, soft = _mask_quotes(masked)
    open_sentence = is_open(prefill)
    fresh_start = re.match(r"\s*(?!I\b|I')[A-Z]", continuation) is not None
    breaks_off = open_sentence and fresh_start
    text = _break(lower(masked), base) if breaks_off else lower(masked)
    topic = plain(f"{request} {prefill}")
    return View(
        text=text,
        base=base,
        soft=soft,
        message=_is_message(request, prefill) and not breaks_off,
        kind_topic=KIND_TOPIC.search(topic) is not None,
        misdeed_topic=MISDEED_TOPIC.search(topic) is not None,
        open_sentence=open_sentence,
        sentences=_sentences(text, base),
    )


def _break(text: str, base: int) -> str:
    """A capital that breaks into an open sentence begins a new one: put a line break there."""
    for at in (base, base - 1):
        if 0 <= at < len(text) and text[at].isspace():
            return f"{text[:at]}\n{text[at + 1 :]}"
    return text


def is_open(prefill: str) -> bool:
    """Does the prefill stop in the middle of a sentence?"""
    end = prefill.rstrip(" \"'”’)")
    return bool(end) and end[-1] not in ".!?:…\n"


def _is_message(request: str, prefill: str) -> bool:
    if _MESSAGE_PREFILL.search(plain(prefill)):
        return True
    return bool(prefill) and _MESSAGE_REQUEST.search(plain(request)) is not None


def _mask_speakers(text: str, fiction: bool) -> str:
    """Mask what named speakers say ("Ben: I won't"), if the text looks like a dialogue."""
    if ":" not in text:
        return text
    labels = [m for m in _SPEAKER.finditer(text) if m[1].lower() not in _NOT_SPEAKERS]
    if len(labels) < (1 if fiction else 2):
        return text
    for label in labels:
        stop = text.find("\n", label.end())
        stop = len(text) if stop < 0 else stop
        text = text[: label.end()] + MASK * (stop - label.end()) + text[stop:]
    return text


def _mask_quotes(text: str) -> tuple[str, int]:
    """Mask closed quotations; return also where an unclosed one begins (or the end)."""
    soft = len(text)
    if '"' in text:
        text = _DOUBLE.sub(lambda m: MASK * len(m[0]), text)
        left = text.rfind('"')
        soft = left if left >= 0 else soft
    if "'" in text:
        text = _SINGLE.sub(lambda m: MASK * len(m[0]), text)
        opened = _OPEN_SINGLE.search(text)
        soft = min(soft, opened.start()) if opened else soft
    return text, soft


def _sentences(text: str, base: int) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences that reach into the continuation."""
    spans = []
    start = 0
    for mark in _SENTENCE_END.finditer(text):
        spans.append((start, mark.end()))
        start = mark.end()
    spans.append((start, len(text)))
    return tuple((a, b) for a, b in spans if b > base and text[max(a, base) : b].strip())
