"""Means over requests with percentile intervals; the request is what is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from coursecorrect.types import Record

DRAWS = 2000
Array = NDArray[np.float64]


class Estimate(Record):
    """A figure with its 95 % interval and the number of requests behind it."""

    value: float
    low: float
    high: float
    n: int


class Clusters:
    """Per-request sums that a bootstrap can draw again.

    Args:
        keys: the request of each row.
        sums, counts: (rows,) or (rows, columns); a rate is the mean over *items* of sum / count,
            as in the paper, so ``sums`` are item means and ``counts`` ones.
    """

    def __init__(self, keys: Sequence[str], values: Sequence[Sequence[float]]) -> None:
        self.order = sorted(set(keys))
        index = {key: i for i, key in enumerate(self.order)}
        table = np.asarray(values, dtype=np.float64).reshape(len(keys), -1)
        self.sums = np.zeros((len(self.order), table.shape[1]))
        self.counts = np.zeros(len(self.order))
        for key, row in zip(keys, table, strict=True):
            self.sums[index[key]] += row
            self.counts[index[key]] += 1

    def mean(self, drawn: NDArray[np.int64] | None = None) -> Array:
        """(columns,) means over items, of all clusters or of those drawn."""
        sums = self.sums if drawn is None else self.sums[drawn]
        counts = self.counts if drawn is None else self.counts[drawn]
        out: Array = sums.sum(axis=0) / counts.sum()
        return out


def estimate(
    groups: Sequence[Clusters],
    figure: Callable[[list[Array]], float],
    seed: int = 0,
    draws: int = DRAWS,
) -> Estimate:
    """``figure`` of the groups' means, with a percentile bootstrap interval.

    Groups over the same keys (a harmful item and its twin; one item before and after training) are
    drawn together, so that what they share cancels; others are drawn independently.
    """
    rng = np.random.default_rng(seed)
    orders: dict[tuple[str, ...], int] = {}
    found = np.empty(draws)
    for group in groups:
        orders.setdefault(tuple(group.order), len(orders))
    for i in range(draws):
        drawn = {order: rng.integers(0, len(order), len(order)) for order in orders}
        found[i] = figure([g.mean(drawn[tuple(g.order)]) for g in groups])
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(
        value=round(float(figure([g.mean() for g in groups])), 6),
        low=round(float(low), 6),
        high=round(float(high), 6),
        n=min(len(g.order) for g in groups),
    )


def mean_estimate(keys: Sequence[str], values: Sequence[float], seed: int = 0) -> Estimate:
    """The mean over items of one value an item."""
    return estimate([Clusters(keys, [[v] for v in values])], lambda m: float(m[0][0]), seed)
