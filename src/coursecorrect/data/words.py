"""Texts as words, for comparing them: normalised, counted, and as hashes of runs of words.

In scripts written without spaces (Chinese, Japanese, Thai, ...) each character is a word.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_ASCII = {c: chr(c).lower() if chr(c).isalnum() else " " for c in range(128)}
_NOT_ALNUM = re.compile(r"[\W_]+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+")
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "]"
)


def normalized(text: str) -> str:
    """The words of ``text``, one space between them, without case, punctuation and marks.

    Invisible characters (soft hyphens, zero-width spaces, direction marks) do not part a word.
    """
    if text.isascii():
        return " ".join(text.translate(_ASCII).split())
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return " ".join(_UNSPACED.sub(r" \g<0> ", _NOT_ALNUM.sub(" ", visible)).split())


def count_words(text: str) -> int:
    """Words between white space, and each character of a script written without spaces."""
    return len((text if text.isascii() else _UNSPACED.sub(" x ", text)).split())


class WordRuns:
    """Hashes of the runs of words in a normalised text.

    A run's hash is a polynomial in its bytes modulo 2^64, taken from one running sum over the
    text, so that runs of any length cost the same. It depends on the words alone: neither on where
    they stand nor on the process.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        data = np.frombuffer(text.encode("utf-8"), np.uint8)
        spaces = np.flatnonzero(data == ord(" "))
        size = len(data)
        self._starts = np.concatenate(([0], spaces + 1)) if size else spaces
        self._ends = np.concatenate((spaces, [size])) if size else spaces
        self._sums = np.zeros(size + 1, np.uint64)
        np.cumsum(data * _powers(_room(size), _BASE)[:size], out=self._sums[1:])

    def __len__(self) -> int:
        return len(self._starts)

    def hashes(self, length: int) -> Hashes:
        """One hash for each run of ``length`` words, in order; empty where the text is shorter."""
        if len(self) < length:
            return np.zeros(0, np.uint64)
        starts, ends = self._starts[: len(self) - length + 1], self._ends[length - 1 :]
        shifted = self._sums[ends] - self._sums[starts]
        mixed = shifted * _powers(_room(len(self._sums)), _INVERSE)[starts]
        mixed ^= mixed >> np.uint64(32)  # the low bits of the product hang on few bytes
        mixed *= _MIX
        mixed ^= mixed >> np.uint64(29)
        return mixed

    def run(self, first: int, length: int) -> str:
        """The ``length`` words from number ``first`` on."""
        return " ".join(self.text.split(" ")[first : first + length])


_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
_INVERSE = pow(_BASE, -1, 2**64)
_MIX = np.uint64(0xD6E8FEB86659FD93)


def _room(size: int) -> int:
    """The next power of two, so that few tables of powers are kept."""
    return max(1024, 1 << size.bit_length())


@cache
def _powers(size: int, base: int) -> Hashes:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)
