"""Means over requests with percentile intervals; the request is what is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from coursecorrect.types import Record

DRAWS = 2000
FEWEST_REQUESTS = 30
"""A percentile bootstrap over fewer requests is too narrow."""
Array = NDArray[np.float64]

_CELLS = 2**18
"""Requests drawn at a time, which bounds the memory."""


class Estimate(Record):
    """A figure with its 95 % interval and the number of requests behind it."""

    value: float
    low: float
    high: float
    n: int


class Clusters:
    """Per-request sums that a bootstrap can draw again.

    Args:
        keys: the request of each item.
        values: (items,) or (items, columns) figures of the items; the mean is over items, and the
            items of one request are drawn together.
    """

    def __init__(self, keys: Sequence[str], values: Sequence[Sequence[float]]) -> None:
        table = np.asarray(values, dtype=np.float64).reshape(len(keys), -1)
        self.sums: dict[str, Array] = {}
        self.counts: dict[str, int] = {}
        for key, row in zip(keys, table, strict=True):
            self.sums[key] = self.sums.get(key, np.zeros(table.shape[1])) + row
            self.counts[key] = self.counts.get(key, 0) + 1

    def tables(self, order: Sequence[str]) -> tuple[Array, Array]:
        """Sums (keys, columns) and counts (keys,) in the given order; zeros where it has none."""
        empty = np.zeros_like(next(iter(self.sums.values())))
        sums = np.asarray([self.sums.get(key, empty) for key in order])
        return sums, np.asarray([float(self.counts.get(key, 0)) for key in order])


def estimate(
    groups: Sequence[Clusters],
    figure: Callable[[list[Array]], float],
    seed: int = 0,
    draws: int = DRAWS,
) -> Estimate:
    """``figure`` of the groups' means, with a percentile bootstrap interval.

    Groups that share requests (a harmful item and its twin; one item before and after training)
    are drawn together, so that what they share cancels; others are drawn independently.
    """
    found = [figure(means) for means in _drawn_again(groups, seed, draws)]
    whole = [np.sum([*g.sums.values()], axis=0) / sum(g.counts.values()) for g in groups]
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(
        value=round(float(figure(whole)), 6),
        low=round(float(low), 6),
        high=round(float(high), 6),
        n=min(len(g.sums) for g in groups),
    )


def _drawn_again(groups: Sequence[Clusters], seed: int, draws: int) -> Iterator[list[Array]]:
    """The groups' means in each draw, (columns,) each; many draws at a time are worked out."""
    rng = np.random.default_rng(seed)
    pools = _pools(groups)
    tables = [[groups[i].tables(order) for i in members] for members, order in pools]
    sizes = [len(order) for _, order in pools]
    block = max(1, _CELLS // sum(sizes))
    for start in range(0, draws, block):
        # A row is a draw of every pool, so that its numbers don't depend on the blocks.
        drawn = rng.integers(0, np.repeat(sizes, sizes), (min(block, draws - start), sum(sizes)))
        means: dict[int, Array] = {}
        parts = np.split(drawn, np.cumsum(sizes)[:-1], axis=1)
        for (members, _), pool, rows in zip(pools, tables, parts, strict=True):
            for i, (sums, counts) in zip(members, pool, strict=True):
                weight = np.maximum(counts[rows].sum(axis=1), 1.0)
                means[i] = sums[rows].sum(axis=1) / weight[:, None]  # (draws, columns)
        yield from ([means[i][row] for i in range(len(groups))] for row in range(len(drawn)))


def _pools(groups: Sequence[Clusters]) -> list[tuple[list[int], list[str]]]:
    """Indices of groups that share a key, each with the sorted keys of all of them."""
    pools: list[tuple[list[int], set[str]]] = []
    for i, group in enumerate(groups):
        members, keys = [i], set(group.sums)
        for other in [pool for pool in pools if pool[1] & keys]:
            pools.remove(other)
            members, keys = other[0] + members, keys | other[1]
        pools.append((members, keys))
    return [(members, sorted(keys)) for members, keys in pools]


def mean_estimate(keys: Sequence[str], values: Sequence[float], seed: int = 0) -> Estimate:
    """The mean over items of one share an item.

    Where every share is 0 (or 1) a bootstrap would claim certainty; the exact binomial bound over
    the requests (Clopper–Pearson) takes its place.
    """
    found = estimate([Clusters(keys, [[v] for v in values])], lambda m: float(m[0][0]), seed)
    return exact_if_certain(
        found, never=all(v == 0 for v in values), always=all(v == 1 for v in values)
    )


def exact_if_certain(found: Estimate, *, never: bool, always: bool) -> Estimate:
    """A share of 0 (``never``) or 1 (``always``) with the exact binomial bound over requests."""
    reach = round(1 - 0.025 ** (1 / found.n), 6)
    if never:
        return found.model_copy(update={"high": reach})
    if always:
        return found.model_copy(update={"low": round(1 - reach, 6)})
    return found


def column_means(
    keys: Sequence[str], columns: Mapping[str, Sequence[float]], seed: int = 0
) -> dict[str, Estimate]:
    """The means over items of many figures at once, all from the same draws of requests."""
    clusters = Clusters(keys, np.asarray([*columns.values()], dtype=np.float64).T.tolist())
    sums, counts = clusters.tables(sorted(clusters.sums))
    n = len(counts)
    drawn = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=DRAWS)
    means = (drawn @ sums) / (drawn @ counts)[:, None]
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    whole = sums.sum(axis=0) / counts.sum()
    return {
        name: Estimate(
            value=round(float(v), 6), low=round(float(a), 6), high=round(float(b), 6), n=n
        )
        for name, v, a, b in zip(columns, whole, low, high, strict=True)
    }
