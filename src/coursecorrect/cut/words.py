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

_UNSPACED = "ぁ-ゖァ-ヺー\u3400-\u9fff"  # kana and Han
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
_AFTER_WORD = re.compile(rf"[^\W_](?=[\s{_UNSPACED}])|[{_UNSPACED}](?=[^\W_])")
_NUMERALS = "〇零一二两三四五六七八九十百千万亿点"
_HOLDS_TOGETHER = re.compile(
    rf"(?<=\d)(?=\s*[\d%{_UNSPACED}]|\s+(?:hundred|thousand|million|billion|percent)\b)"
    rf"|(?<=第)|(?<=[{_NUMERALS}])(?=[{_NUMERALS}])|(?=分之)|(?<=分)(?=之)|(?<=分之)"
    r"|(?<=[ァ-ヺー])(?=[ァ-ヺ])|(?=[ー々ぁぃぅぇぉっゃゅょ])"
)
"""A number with what it counts in, a run of katakana, a sign that needs the one before it."""


def count_words(text: str) -> int:
    """Words of ``text``; in scripts that set no spaces, characters."""
    return len(WORD.findall(text))


def is_unspaced(character: str) -> bool:
    """Is it of a script that sets no spaces between words (Han, kana)?"""
    return _UNSPACED_CHARACTER.match(character) is not None


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
