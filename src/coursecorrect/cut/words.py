"""Words and whole sentences of a text in any script, and the gaps between words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
WORD: Final = re.compile(
    rf"[{_CJK}]|[^\W_{_CJK}]+(?:['’-][^\W_{_CJK}]+)*"  # CJK: one a character
)
_PLAIN_END = re.compile(r"[.!?](?=\s|$)")

UNSPACED: Final = "ぁ-ゖァ-ヺー\u3400-\u9fff"
"""Kana and Han, for a character class: scripts that set no spaces between words."""
_AFTER_WORD = re.compile(rf"[^\W_](?=[\s{UNSPACED}])|[{UNSPACED}](?=[^\W_])")
_NUMERALS = "〇零一二两三四五六七八九十百千万亿点"
_HOLDS_TOGETHER = re.compile(
    rf"(?<=\d)(?=\s*[\d%{UNSPACED}]|\s+(?:hundred|thousand|million|billion|percent)\b)"
    rf"|(?<=第)|(?<=[{_NUMERALS}])(?=[{_NUMERALS}])|(?=分之)|(?<=分)(?=之)|(?<=分之)"
    r"|(?<=[ァ-ヺー])(?=[ァ-ヺ])|(?=[ー々ぁぃぅぇぉっゃゅょ])"
)
"""A number with what it counts in, a run of katakana, a sign that needs the one before it."""


def count_words(text: str) -> int:
    """Words of ``text``; in scripts that set no spaces, characters."""
    return len(WORD.findall(text))


def gaps(text: str) -> Iterator[int]:
    """Offsets right after a word or number, before the space or the unspaced character that
    follows.

    Between two characters of a script without spaces there is a gap too, since which of them make
    a word can't be told without a dictionary; numerals and katakana stay together.
    """
    for found in _AFTER_WORD.finditer(text):
        if not _HOLDS_TOGETHER.match(text, found.end()):
            yield found.end()


def whole_sentences(text: str) -> str:
    """``text`` up to its last sentence end; as it is when it has none."""
    ends = [match.end() for match in _PLAIN_END.finditer(text)]
    return text[: ends[-1]].strip() if ends else text.strip()
