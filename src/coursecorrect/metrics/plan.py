"""The cheapest measurement whose interval of Corr_mean is as narrow as asked, from a pilot.

The rate of a request, over the paths at its k, varies because requests differ and because few paths
are drawn. With s k's and b paths at each, the variance of that rate is

    T(b) = B + W / (s b),

B between requests (what they do at single k's included) and W the binomial variance of one path,
the mean of p (1 − p). A pilot of b₀ paths gives T(b) without bias as the mean over requests of

    t = d² n₀ / (n₀ − 1) − w (1/b₀ − 1/b) / s,

with d a request's distance from the mean and w its p̂ (1 − p̂) b₀ / (b₀ − 1). An interval over n
requests reaches about 1.96 √(T / n). Neither T nor the spread that the planned run will find is
known, so the plan takes an upper bound of T (``_Spread.bound``).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

from coursecorrect.errors import UserError
from coursecorrect.metrics.bootstrap import FEWEST_REQUESTS, Array
from coursecorrect.metrics.paths import OPENER_ONLY, JudgedPath, item_figures
from coursecorrect.types import ItemKind, Record

PATHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
"""The b that are tried."""
MOST_REQUESTS = 1_000_000

_Z = float(ndtri(0.975))
_BOUND = float(ndtri(0.97))
"""How far the bound of T lies above its estimate. A pilot seldom holds the rare requests that carry
most of the variance, so 97 % is what keeps the promise in more than 90 % of small pilots (found by
simulation, ``docs/howto-measure.md``)."""


class Costs(Record):
    """What a pilot's rows tell of the cost, in tokens."""

    kinds: int
    """Kinds of item that are measured side by side: each has as many items."""
    new_per_path: float
    prompt_per_item: float
    """Prompt, opener and longest prefill, encoded once: about, from the pilot's characters."""
    excluded: float
    """Share of the harmful items that were left out."""


class Components(Record):
    """The pilot's variances of shares (points squared / 10,000), without an upper bound."""

    between_requests: float
    """Of the requests' rates over all k."""
    request_by_k: float
    """What is left of a request's rate at a single k."""
    between_k: float
    """Of Corr@k."""
    between_paths: float
    """Of one path at a given request and k."""


class Design(Record):
    """A measurement and its cost."""

    ks: tuple[int, ...]
    paths: int
    """b."""
    requests: int
    items: int
    """Items of each kind, as ``c2 eval --limit`` counts them: those to be left out are added."""
    promised: float
    """Half width that is kept with the certainty of the bound; with fewer k's, from the Corr_mean
    of all of them."""
    expected: float
    """Half width if the pilot's variances were exact."""
    all_paths: int
    new_tokens: int
    prompt_tokens: int
    tokens: int
    enough: bool
    """Whether there are as many items."""


class Plan(Record):
    """The answer of ``c2 plan``; widths are shares."""

    half_width: float
    pilot_requests: int
    pilot_paths: int
    ks: tuple[int, ...]
    components: Components
    costs: Costs
    available: int | None
    """Requests that can be had; None: not known."""
    chosen: Design | None
    reachable: float | None
    """Where nothing suffices: the narrowest half width that can be promised with what there is."""
    designs: tuple[Design, ...]
    """All that were tried, the cheapest first."""


@dataclass(frozen=True)
class Pilot:
    """Corrected paths of the harmful items.

    Attributes:
        hits: (items, ks) corrected paths of b.
        keys: the request of each item.
    """

    hits: NDArray[np.int64]
    keys: tuple[str, ...]
    ks: tuple[int, ...]
    b: int

    @property
    def requests(self) -> int:
        """How many requests there are."""
        return len(set(self.keys))


def pilot_of(paths: Sequence[JudgedPath]) -> Pilot:
    """The harmful items of a run at all k.

    Raises:
        UserError: nothing can be said of the variance (no harmful items, one path, few requests).
    """
    harmful = [p for p in paths if p.kind is ItemKind.HARMFUL and p.k > OPENER_ONLY]
    if not harmful:
        raise UserError("the pilot has no harmful items: there is no Corr_mean to plan for")
    ks = tuple(sorted({p.k for p in harmful}))
    keys, hits = item_figures(harmful, lambda cell: float(sum(p.corrected for p in cell)), ks)
    b = len(harmful) // (len(keys) * len(ks))
    pilot = Pilot(np.asarray(hits, dtype=np.int64), tuple(keys), ks, b)
    if b < 2:
        raise UserError(
            "the pilot has one path at each prefill, so requests and paths cannot be told apart; "
            "measure with --paths 2 or more"
        )
    if pilot.requests < 10:
        raise UserError(
            f"the pilot has {pilot.requests} requests; their variance needs 10 or more, better 30"
        )
    return pilot


def costs_of(
    items: Sequence[dict[str, Any]],
    paths: Sequence[dict[str, Any]],
    excluded: Sequence[dict[str, Any]],
    prompt_example: str,
) -> Costs:
    """The costs as the rows of a run folder show them.

    Prompt tokens stand in no row: they are taken from the characters of prompt and prefill, at the
    characters a token that the continuations have.
    """
    characters = sum(len(row["continuation"]) for row in paths)
    tokens = sum(row["tokens"] for row in paths)
    template = len(prompt_example) - len(items[0]["request"])
    longest: dict[str, int] = {}
    for row in paths:
        longest[row["item"]] = max(longest.get(row["item"], 0), len(row["prefill"]))
    texts = [template + len(row["request"]) + longest.get(row["id"], 0) for row in items]
    harmful = sum(row["kind"] == ItemKind.HARMFUL for row in items)
    out = sum(row["kind"] == ItemKind.HARMFUL for row in excluded)
    return Costs(
        kinds=len({row["kind"] for row in items}),
        new_per_path=round(tokens / len(paths), 2),
        prompt_per_item=round(float(np.mean(texts)) * tokens / max(characters, 1), 2),
        excluded=round(out / (harmful + out), 4),
    )


def make_plan(pilot: Pilot, costs: Costs, half_width: float, available: int | None) -> Plan:
    """Try every b with one to all of the pilot's k's, evenly spread; the cheapest is chosen.

    Args:
        half_width: how far either end of the 95 % interval may be from Corr_mean, a share.
        available: requests that can be had; None: not known.
    """
    found = []
    reachable = []
    for columns in _subsets(len(pilot.ks)):
        shift = _shift(pilot, columns)
        for b in PATHS:
            spread = _Spread.of(pilot, columns, b)
            requests = spread.requests(half_width - shift)
            if requests is not None:
                found.append(_design(pilot, costs, columns, b, requests, spread, shift, available))
            if available is not None and available >= FEWEST_REQUESTS:
                reachable.append(shift + spread.half_width(available))
    found.sort(key=lambda d: (d.tokens, d.requests, d.paths))
    chosen = next((design for design in found if design.enough), None)
    return Plan(
        half_width=half_width,
        pilot_requests=pilot.requests,
        pilot_paths=pilot.b,
        ks=pilot.ks,
        components=components(pilot),
        costs=costs,
        available=available,
        chosen=chosen,
        reachable=round(min(reachable), 4) if reachable and chosen is None else None,
        designs=tuple(found),
    )


def components(pilot: Pilot) -> Components:
    """Variances between requests, k's and paths, by moments; none is below 0."""
    whole = _Spread.of(pilot, range(len(pilot.ks)), pilot.b)
    single = [_Spread.of(pilot, [j], pilot.b) for j in range(len(pilot.ks))]
    between = max(0.0, whole.between)
    at_k = float(np.mean([s.between for s in single]))
    return Components(
        between_requests=round(between, 6),
        request_by_k=round(max(0.0, at_k - between), 6),
        between_k=round(float(np.var((pilot.hits / pilot.b).mean(axis=0))), 6),
        between_paths=round(float(np.mean([s.within for s in single])), 6),
    )


def _subsets(size: int) -> Iterator[list[int]]:
    """For each count of columns the evenly spread ones: the middle alone, the ends, …, all."""
    yield from ([size // 2], *(_even(size, count) for count in range(2, size + 1)))


def _even(size: int, count: int) -> list[int]:
    return [round(i * (size - 1) / (count - 1)) for i in range(count)]


def _request_rates(pilot: Pilot, columns: Sequence[int], values: Array) -> Array:
    """(items, ks) values as one figure a request (requests,), whose mean is that over items."""
    row = values[:, list(columns)].mean(axis=1)
    order = {key: i for i, key in enumerate(sorted(set(pilot.keys)))}
    index = [order[key] for key in pilot.keys]
    return np.bincount(index, row, len(order)) * len(order) / len(index)


def _shift(pilot: Pilot, columns: Sequence[int]) -> float:
    """How far Corr_mean over some of the k's may be from that over all: an upper bound (95 %)."""
    if len(columns) == len(pilot.ks):
        return 0.0
    rates = pilot.hits / pilot.b
    every = range(len(pilot.ks))
    apart = _request_rates(pilot, columns, rates) - _request_rates(pilot, every, rates)
    if not apart.any():  # a pilot without a single correction says nothing of the k's
        return float(1 - 0.05 ** (1 / len(apart)))
    return float(abs(apart.mean()) + _Z * apart.std(ddof=1) / math.sqrt(len(apart)))


@dataclass(frozen=True)
class _Spread:
    """What a pilot tells of requests' rates in a run with some of its k's and b paths.

    Attributes:
        between: B, unbiased, so that it may be below 0.
        within: W.
        total: T(b), at least its binomial part.
        unsure: relative variance of T̂ times the number of requests: 2 for normal rates.
        skew: third standardised moment of the rates.
        most: the largest variance that shares with such a mean can have.
        rigid: upper bounds of the chance that no path of a request corrects, and that all do.
        pilot: requests behind it.
    """

    between: float
    within: float
    total: float
    unsure: float
    skew: float
    most: float
    rigid: tuple[float, float]
    pilot: int

    @classmethod
    def of(cls, pilot: Pilot, columns: Sequence[int], b: int) -> _Spread:
        shares = pilot.hits / pilot.b
        n = pilot.requests
        rates = _request_rates(pilot, columns, shares)
        scale = n / len(pilot.keys)  # several items of one request share its variance
        binomial = shares * (1 - shares) * pilot.b / (pilot.b - 1)
        paths = _request_rates(pilot, columns, binomial) * scale / len(columns)
        apart = rates - rates.mean()
        square = apart**2 * n / (n - 1)
        each = square - paths * (1 / pilot.b - 1 / b)
        total = max(float(each.mean()), float(paths.mean()) / b)
        return cls(
            between=float((square - paths / pilot.b).mean()),
            within=float(binomial[:, list(columns)].mean()),
            total=total,
            unsure=max(2.0, float(each.var(ddof=1)) / total**2) if total else 2.0,
            skew=abs(float(np.mean(apart**3))) / total**1.5 if total else 0.0,
            most=_most_variance(float(rates.sum()), n),
            rigid=_rigid(pilot, columns, b),
            pilot=n,
        )

    def bound(self, requests: int) -> float:
        """An upper bound of the variance that a run over so many requests will find.

        The logarithms of both estimates are taken to be normal: that of the pilot and that of
        the run itself, whose interval is as wide as its own spread makes it. No share varies more
        than μ (1 − μ).
        """
        error = math.sqrt(self.unsure / self.pilot + self.unsure / requests)
        return min(self.total * math.exp(_BOUND * error), self.most)

    def half_width(self, requests: int) -> float:
        """How far the longer side of the interval reaches, at most.

        The second term is the skew of a percentile interval (Cornish and Fisher). A run in which
        all paths agree has the exact binomial bound instead of a bootstrap.
        """
        reach = math.sqrt(self.bound(requests) / requests)
        reach *= _Z + self.skew / math.sqrt(requests) * (_Z**2 - 1) / 6
        if sum(chance**requests for chance in self.rigid) > 0.025:
            reach = max(reach, 1 - 0.025 ** (1 / requests))
        return reach

    def requests(self, half_width: float) -> int | None:
        """The fewest requests that keep the half width, which narrows with each one more; None
        where ``MOST_REQUESTS`` would not do."""
        tried = range(FEWEST_REQUESTS, MOST_REQUESTS)
        found = bisect_left(tried, True, key=lambda n: self.half_width(n) <= half_width)
        return tried[found] if found < len(tried) else None


def _most_variance(total: float, n: int) -> float:
    """The largest μ (1 − μ) for a μ in its exact 90 % interval; rates vary no more than counts."""
    low = float(betaincinv(total, n - total + 1, 0.05)) if total > 0 else 0.0
    high = float(betaincinv(total + 1, n - total, 0.95)) if total < n else 1.0
    nearest = min(max(0.5, low), high)
    return nearest * (1 - nearest)


def _rigid(pilot: Pilot, columns: Sequence[int], b: int) -> tuple[float, float]:
    """Upper bounds (95 %) of the shares of items with no corrected path and with no other one.

    b paths are drawn from the pilot's without replacement; where it has fewer, all are taken, which
    overstates the shares.
    """
    drawn, n = min(b, pilot.b), len(pilot.keys)
    hits = pilot.hits[:, list(columns)]
    ways = [math.comb(pilot.b - marked, drawn) for marked in range(pilot.b + 1)]
    missed = np.asarray(ways) / ways[0]  # the chance to draw none of so many marked paths
    bounds = []
    for marked in (hits, pilot.b - hits):
        none = float(missed[marked].prod(axis=1).sum())
        bounds.append(float(betaincinv(none + 1, n - none, 0.95)) if none < n else 1.0)
    return bounds[0], bounds[1]


def _design(
    pilot: Pilot,
    costs: Costs,
    columns: Sequence[int],
    b: int,
    requests: int,
    spread: _Spread,
    shift: float,
    available: int | None,
) -> Design:
    measured = math.ceil(requests * len(pilot.keys) / pilot.requests)
    lengths = len(columns) + 2  # the two anchors are sampled too
    paths = costs.kinds * measured * lengths * b
    new = round(paths * costs.new_per_path)
    prompt = round(costs.kinds * measured * costs.prompt_per_item)
    return Design(
        ks=tuple(pilot.ks[j] for j in columns),
        paths=b,
        requests=requests,
        items=math.ceil(measured / max(1e-9, 1 - costs.excluded)),
        promised=round(shift + spread.half_width(requests), 6),
        expected=round(_Z * math.sqrt(spread.total / requests), 6),
        all_paths=paths,
        new_tokens=new,
        prompt_tokens=prompt,
        tokens=new + prompt,
        enough=available is None or requests <= available,
    )
