"""Where a text can be cut so that a correction may follow: pure functions on characters.

A cut keeps ``text[:offset]``. ``points`` finds the places that suit, ``strategies`` chooses among
them. Nothing here needs a tokenizer or a language model.
"""

from coursecorrect.cut.base import Cut, CutError, CutKind
from coursecorrect.cut.points import LIST_MARKER, cut_points, sentence_points, token_points
from coursecorrect.cut.strategies import STRATEGIES, Strategy, growing_cuts
from coursecorrect.cut.words import count_words, is_unspaced, whole_sentences

__all__ = [
    "LIST_MARKER",
    "STRATEGIES",
    "Cut",
    "CutError",
    "CutKind",
    "Strategy",
    "count_words",
    "cut_points",
    "growing_cuts",
    "is_unspaced",
    "sentence_points",
    "token_points",
    "whole_sentences",
]
