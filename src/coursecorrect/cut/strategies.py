"""How the cuts of an answer are chosen among the places that suit: one small function a strategy.

===============  =========================================  ====================================
strategy         places                                     chosen
===============  =========================================  ====================================
spread           ends of sentences and clauses              nearest to jittered shares
punctuation      ends of sentences and clauses              every s-th place (the paper's way)
sentence         ends of sentences                          nearest to jittered shares
token            ends of words, whatever stands there       nearest to fixed depths
onset-sampled    ends of sentences and clauses              drawn at random
===============  =========================================  ====================================
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from coursecorrect.cut.base import Cut, CutError
from coursecorrect.cut.points import cut_points, sentence_points, token_points
from coursecorrect.cut.words import WORD, count_words

Strategy = Literal["spread", "punctuation", "sentence", "token", "onset-sampled"]

MIN_KEPT_WORDS: Final = 3
"""What a first cut keeps."""
MIN_LEFT_WORDS: Final = 5
MIN_LEFT_SHARE: Final = 0.15
"""What a last cut leaves unsaid: at least these words and this share of all characters."""


class _Answer(NamedTuple):
    """A text with its usable cuts, and how many are wanted; ``shares`` where they were given."""

    text: str
    usable: list[Cut]
    n: int
    shares: list[float] | None
    rng: random.Random


class _Plan(NamedTuple):
    places: Callable[[str], list[Cut]]
    choose: Callable[[_Answer], list[Cut]]


def growing_cuts(
    text: str,
    n: int = 4,
    *,
    strategy: Strategy = "spread",
    shares: Sequence[float] | None = None,
    depths: Sequence[int] | None = None,
    seed: int,
) -> list[Cut]:
    """``n`` distinct cuts, each later than the one before, none of them the whole answer.

    The first keeps at least three words, the last leaves at least 15 % of the characters and five
    words unsaid.

    Args:
        text: the answer to cut.
        n: how many cuts (paper: 4).
        strategy: one of ``STRATEGIES``.
        shares: ``n`` growing numbers between 0 and 1 in place of the strategy's own: shares of the
            characters (``spread``, ``sentence``), of the words (``token``), or of the places to
            cut (``punctuation``). ``onset-sampled`` takes none.
        depths: for ``token``, the words kept at each cut, in place of shares. In scripts without
            spaces a character is a word.
        seed: decides jitter and draws; ``token`` has none.

    Raises:
        CutError: fewer than ``n`` places to cut.
        ValueError: n, shares or depths that make no sense.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    wanted = _growing("shares", shares, n, below=1)
    if depths is not None:
        if strategy != "token" or shares is not None:
            raise ValueError("depths go with the strategy token, in place of shares")
        words = count_words(text) or 1
        wanted = [depth / words for depth in _growing("depths", depths, n) or ()]
    elif wanted and strategy == "onset-sampled":
        raise ValueError("onset-sampled draws its depths; leave shares out")
    plan = STRATEGIES[strategy]
    usable = _usable(text, plan.places(text))
    if len(usable) < n:
        raise CutError(
            f"{n} cuts asked for, but this text of {count_words(text)} words has only "
            f"{len(usable)} places to cut; leave the item out, or ask for fewer cuts"
        )
    return plan.choose(_Answer(text, usable, n, wanted, random.Random(seed)))


def _growing(
    name: str, numbers: Sequence[float] | None, n: int, below: float = float("inf")
) -> list[float] | None:
    if numbers is None:
        return None
    given = list(numbers)
    if len(given) != n or any(not 0 < x < below for x in given) or sorted(set(given)) != given:
        limits = f"between 0 and {below}" if below < float("inf") else "above 0"
        raise ValueError(f"{name} must be {n} growing numbers {limits}, not {given}")
    return given


def _usable(text: str, cuts: list[Cut]) -> list[Cut]:
    """The cuts with enough before and after them."""
    body = len(text.rstrip())
    usable = [cut for cut in cuts if body - cut.offset >= MIN_LEFT_SHARE * body]
    while usable and count_words(text[usable[-1].offset :]) < MIN_LEFT_WORDS:
        usable.pop()
    early = 0
    while early < len(usable) and count_words(text[: usable[early].offset]) < MIN_KEPT_WORDS:
        early += 1
    return usable[early:]


def _even_shares(n: int) -> list[float]:
    return [0.45] if n == 1 else [0.15 + 0.6 * i / (n - 1) for i in range(n)]


def _spread(answer: _Answer) -> list[Cut]:
    """Nearest in total to shares of the characters (default 0.15 … 0.75), each moved by a drawn
    jitter of up to two fifths of the gap between them."""
    wanted = answer.shares or _even_shares(answer.n)
    gap = min((b - a for a, b in pairwise(wanted)), default=0.3)
    shares = [share + answer.rng.uniform(-0.4, 0.4) * gap for share in wanted]
    body = len(answer.text.rstrip())
    offsets = [cut.offset for cut in answer.usable]
    return [answer.usable[i] for i in _nearest(offsets, [share * body for share in shares])]


def _at_equal_steps(answer: _Answer) -> list[Cut]:
    """Equal shares of the punctuation, as the paper's public code has them: with t marks the i-th
    cut follows mark i · s, where s is drawn from t // n - 1 and t // n.

    There every punctuation character is a mark, so that s may be 0 and the last cut the whole
    answer; here a mark is a usable place to cut, and s at least 1.
    """
    places, n = len(answer.usable), answer.n
    if answer.shares:
        return [
            answer.usable[i]
            for i in _nearest(range(1, places + 1), [share * places for share in answer.shares])
        ]
    step = max(1, answer.rng.randint(places // n - 1, places // n))
    return [answer.usable[i * step - 1] for i in range(1, n + 1)]


def _fixed(answer: _Answer) -> list[Cut]:
    """Nearest in total to shares of the words (default 0.15 … 0.75), without jitter."""
    ends = [word.end() for word in WORD.finditer(answer.text)]
    kept = [bisect_right(ends, cut.offset) for cut in answer.usable]
    targets = [share * len(ends) for share in answer.shares or _even_shares(answer.n)]
    return [answer.usable[i] for i in _nearest(kept, targets)]


def _sampled(answer: _Answer) -> list[Cut]:
    """Each set of ``n`` places is as likely as any other, so that no depth is left out."""
    return [
        answer.usable[i] for i in sorted(answer.rng.sample(range(len(answer.usable)), answer.n))
    ]


def _nearest(positions: Sequence[float], targets: Sequence[float]) -> tuple[int, ...]:
    """The increasing choice of one position a target, by index, that is nearest in total (dynamic
    programming)."""
    never: tuple[float, tuple[int, ...]] = (float("inf"), ())
    places, later = len(positions), len(targets)
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] * (places + 1)
    for rank, target in enumerate(targets):
        row: list[tuple[float, tuple[int, ...]]] = [never] * (places + 1)
        later -= 1  # as many places are kept for the targets to come
        for i in range(rank + 1, places - later + 1):  # best choice among the first i
            cost, chosen = best[i - 1]
            cost += abs(positions[i - 1] - target)
            left_out = row[i - 1]
            row[i] = left_out if left_out[0] < cost else min(left_out, (cost, (*chosen, i - 1)))
        best = row
    return best[-1][1]


STRATEGIES: Final[dict[Strategy, _Plan]] = {
    "spread": _Plan(cut_points, _spread),
    "punctuation": _Plan(cut_points, _at_equal_steps),
    "sentence": _Plan(sentence_points, _spread),
    "token": _Plan(token_points, _fixed),
    "onset-sampled": _Plan(cut_points, _sampled),
}
