"""Is an ability kept? The paired difference against a stated margin (non-inferiority).

Few items never make a verdict: what they cannot show is ``not shown``, with the number of items
that would show it. A bootstrap of items among which none or hardly one moved claims too much (all
draws are alike), so the interval is never narrower than the exact binomial bound (Clopper–Pearson)
of the items that moved allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal

from coursecorrect.metrics.bootstrap import FEWEST_REQUESTS, Clusters, Estimate, estimate
from coursecorrect.types import Record

Scored = Literal["kept", "lost", "not shown"]

_TAIL: Final = 0.025
_MOST: Final = 10**7
"""Items beyond which nobody would go."""


class Comparison(Record):
    """Before and after on the same items.

    ``loss`` is how much worse it became: points of a score (1 is 100 points), or the relative rise
    of a perplexity. ``needed`` is how many such items would show that the loss stays below
    ``margin``, were it what was seen; None where no number would.
    """

    before: float
    after: float
    loss: Estimate
    margin: float
    verdict: Scored
    needed: int | None


def compare_scores(
    keys: Sequence[str],
    before: Sequence[float],
    after: Sequence[float],
    margin: float,
    span: float = 1.0,
) -> Comparison:
    """The mean of one score an item, higher is better; ``span`` is best minus worst score."""
    losses = [b - a for b, a in zip(before, after, strict=True)]
    drawn = estimate([Clusters(keys, [[loss] for loss in losses])], lambda m: float(m[0][0]))
    worse, better = sum(x > 0 for x in losses), sum(x < 0 for x in losses)
    # Of scores that are right or wrong, each item that moved moved by the whole span.
    exact = worse + better == 0 or set(before) | set(after) <= {0.0, span}

    def above(n: float) -> float:
        """From the loss to the end of its interval, were there n such items."""
        own = (drawn.high - drawn.value) * math.sqrt(len(losses) / n)
        return max(own, span * reach(worse, len(losses), n)) if exact else own

    found = drawn
    if exact:
        low = drawn.value - span * reach(better, len(losses), len(losses))
        found = drawn.model_copy(
            update={
                "low": round(min(drawn.low, low), 6),
                "high": round(drawn.value + above(len(losses)), 6),
            }
        )
    means = [math.fsum(scores) / len(scores) for scores in (before, after)]
    return _judged(means[0], means[1], found, margin, above)


def compare_perplexity(
    keys: Sequence[str],
    before: Sequence[tuple[float, float]],
    after: Sequence[tuple[float, float]],
    margin: float,
) -> Comparison:
    """Perplexity over texts, each with its log-likelihood and its units (words).

    The loss is PPL_after / PPL_before − 1 = exp((LL_before − LL_after) / units) − 1.
    """
    rows = [[b[0], a[0], b[1]] for b, a in zip(before, after, strict=True)]
    found = estimate(
        [Clusters(keys, rows)], lambda m: math.expm1(float((m[0][0] - m[0][1]) / m[0][2]))
    )
    sums = [math.fsum(column) for column in zip(*rows, strict=True)]

    def above(n: float) -> float:
        return (found.high - found.value) * math.sqrt(len(rows) / n)

    perplexity = [math.exp(-sums[i] / sums[2]) for i in (0, 1)]
    return _judged(perplexity[0], perplexity[1], found, margin, above)


def reach(moved: int, n: int, wanted: float) -> float:
    """From the share ``moved / n`` to its exact upper bound, were there ``wanted`` such items."""
    from scipy.stats import beta

    share = moved / n
    if share == 1:
        return 0.0
    return float(beta.ppf(1 - _TAIL, share * wanted + 1, wanted - share * wanted)) - share


def _judged(
    before: float, after: float, loss: Estimate, margin: float, above: Callable[[float], float]
) -> Comparison:
    verdict = verdict_on(loss, margin)
    needed = loss.n if verdict == "kept" else _needed(loss, margin, above)
    return Comparison(
        before=round(before, 6),
        after=round(after, 6),
        loss=loss,
        margin=margin,
        verdict=verdict,
        needed=needed,
    )


def verdict_on(loss: Estimate, margin: float) -> Scored:
    """Kept: the whole interval is below the margin.

    Lost: a loss is there (the interval leaves 0 out), and what was seen is at least the margin.
    """
    if loss.n < FEWEST_REQUESTS:
        return "not shown"
    if loss.high < margin:
        return "kept"
    return "lost" if loss.low > 0 and loss.value >= margin else "not shown"


def _needed(loss: Estimate, margin: float, above: Callable[[float], float]) -> int | None:
    """The fewest items whose interval ends below the margin; the interval shrinks with items."""
    if loss.value >= margin:
        return None
    enough = max(FEWEST_REQUESTS, loss.n + 1)
    too_few = enough - 1
    while loss.value + above(enough) >= margin:
        too_few, enough = enough, 2 * enough
        if enough > _MOST:
            return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if loss.value + above(middle) < margin:
            enough = middle
        else:
            too_few = middle
    return enough
