"""Has the text stopped being text? Loops, noise and word salad, without a language model."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from operator import eq

from coursecorrect.judge._cues import word_set

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SENTENCE = re.compile(r"[.!?]+(?=\s|$)|\n+")
_CHARACTER_RUN = re.compile(r"(\S)\1{11,}")
_LONGEST_PERIOD = 24
_ARTICLES = word_set("the a an")
_NEVER_AFTER_ARTICLE = word_set(
    "the a an of to in at with and is are it he she for by from or was under into they"
)
_NEVER_DOUBLE = word_set("of to in at with and for by from or under into but if")
FUNCTION_WORDS = word_set(
    "the a an of to in at with and is are it he she for by from or was you your i they them "
    "that this not be on as but if so then can will do have has had his her their its we our "
    "what when who how no there all just more than up out about would should could don't it's "
    "i'm"
)


_VOWELS = frozenset("aeiouy0123456789")
_VOWEL_SIGN = re.compile("[\u0300-\u036f\u0590-\u0fff]")


def words_of(text: str) -> list[str]:
    """Words of ``text``, lower case expected."""
    return _WORD.findall(text)


def degenerate_reason(text: str, words: list[str]) -> str | None:
    """Why ``text`` (plain, lower case) is degenerate, or None."""
    return _noise(text, words) or _loop(text, words) or _salad(text, words)


def _noise(text: str, words: list[str]) -> str | None:
    solid = "".join(text.split())
    if len(solid) < 12:
        return None
    letters = sum(map(str.isalnum, solid))
    marks = 0 if solid.isascii() else len(_VOWEL_SIGN.findall(solid))
    if letters + marks < 0.45 * len(solid) or solid.count("\ufffd") > 0.2 * len(solid):
        return "noise: hardly any letters"
    if sum(len(m[0]) for m in _CHARACTER_RUN.finditer(text)) > 0.5 * len(solid):
        return "noise: one character over and over"
    vowelless = sum(len(w) > 3 and w.isascii() and not _has_vowel(w) for w in words)
    if len(words) >= 6 and vowelless > 0.4 * len(words):
        return "noise: letters without words"
    if max(map(len, words), default=0) > max(45, 0.5 * len(solid)) and solid.isascii():
        return "noise: one endless word"
    return None


def _has_vowel(word: str) -> bool:
    return not _VOWELS.isdisjoint(word)


def _loop(text: str, words: list[str]) -> str | None:
    count = len(words)
    if count < 6 or len(set(words)) > 0.7 * count:
        return None
    for period in range(1, min(_LONGEST_PERIOD, count // 3) + 1):
        span = _periodic_span(words, period)
        if span >= max(6, 3 * period) and span > 0.5 * count:
            return f"loop: the same {period} words over and over"
    sentences = Counter(" ".join(_WORD.findall(s)) for s in _SENTENCE.split(text))
    del sentences[""]
    if sentences:
        sentence, times = sentences.most_common(1)[0]
        if times >= 3 and times * (sentence.count(" ") + 1) > 0.5 * count:
            return "loop: one sentence over and over"
    triples = list(zip(words, words[1:], words[2:], strict=False))
    if count >= 20 and len(set(triples)) < 0.45 * len(triples):
        return "loop: hardly a new phrase"
    if count >= 16 and len(set(words)) <= 0.42 * count:
        return "loop: hardly a new word"
    return None


def _periodic_span(words: list[str], period: int) -> int:
    """Length of the longest stretch in which each word equals the one ``period`` before it."""
    if sum(map(eq, words, words[period:])) < 2 * period:  # no stretch can come three times
        return 0
    best = run = 0
    for left, right in zip(words, words[period:], strict=False):
        run = run + 1 if left == right else 0
        best = max(best, run)
    return best + period if best else 0


def _salad(text: str, words: list[str]) -> str | None:
    count = len(words)
    if count < 10:
        return None
    broken = sum(
        (left in _ARTICLES and right in _NEVER_AFTER_ARTICLE)
        or (left == right and left in _NEVER_DOUBLE)
        for left, right in pairwise(words)
    )
    if broken >= max(2, 0.12 * count):
        return "word salad: impossible word pairs"
    if count >= 16 and text.isascii() and not re.search(r"[.,:;!?\n(]", text):
        grammar = sum(w in FUNCTION_WORDS for w in words)
        if grammar < 0.08 * count:
            return "word salad: no grammar words"
    return None
