"""How good a confirmed correction is, among several for one cut.

Only text is looked at, by the verifying judge's onset and by counting, so that a score never costs
a model call. Each part lies between 0 and 1.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from coursecorrect.correct.base import CorrectionTask
from coursecorrect.types import Judgement

FEW_WORDS: Final = 12
MANY_WORDS: Final = 60
_WORD = re.compile(r"[^\W_]+")
_END = re.compile(r"[.!?。！？][\"'”’)\]]*\s*$")
_COMMON_WORDS: Final = """
about after again all also and any are because been before being but can could did does doing don
down each even few for from had has have having her here him his how into its just let like make
more most much must need not now off once only other our out over own same she should some such
tell than that the their them then there these they this those through too under until use very
want was way were what when where which while who whom why will with without would you your
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())


def score(correction: str, task: CorrectionTask, judged: Judgement) -> float:
    """The higher, the better; what the judge did not confirm must not come here.

    Args:
        correction: the text after the cut, trigger included.
        task: what the corrector was asked for.
        judged: the verdict of the verifying judge on ``correction``.
    """
    if judged.relapse is not None:
        return 0.0
    words = _WORD.findall(correction.casefold())
    return (
        1.5 * _names_the_request(words, task)
        + _at_once(correction, judged)
        + _fluent(correction, words)
        + _right_length(len(words), task)
    )


def _at_once(correction: str, judged: Judgement) -> float:
    """1 where the correction begins with the text, 0 where it begins behind half of it."""
    onset = judged.onset or 0
    return max(0.0, 1 - 2 * onset / max(1, len(correction)))


def _fluent(correction: str, words: list[str]) -> float:
    """A finished last sentence, and no run of three words that comes twice."""
    runs = list(zip(words, words[1:], words[2:], strict=False))
    repeated = 1 - len(set(runs)) / len(runs) if runs else 1.0
    return 0.5 * bool(_END.search(correction)) + 0.5 * (1 - repeated)


def _names_the_request(words: list[str], task: CorrectionTask) -> float:
    """Does it say what is wrong with *this* request? Two of its own words are enough."""
    own = _own_words(f"{task.request} {task.reason or ''}")
    return min(1.0, len(own.intersection(map(_stem, words))) / 2)


@lru_cache(maxsize=256)  # the corrections of a group share their request
def _own_words(asked: str) -> frozenset[str]:
    words = _WORD.findall(asked.casefold())
    return frozenset(_stem(w) for w in words if len(w) > 2 and w not in _COMMON)


def _stem(word: str) -> str:
    """Good enough to find 'cheating' in 'cheat'."""
    return word[:5]


def _right_length(words: int, task: CorrectionTask) -> float:
    """1 at the length that was asked for; without one, between ``FEW_WORDS`` and ``MANY_WORDS``."""
    if task.words is not None:
        wanted = task.words + len(_WORD.findall(task.trigger))
        return min(words, wanted) / max(words, wanted)
    return min(1.0, words / FEW_WORDS, MANY_WORDS / max(words, 1))
