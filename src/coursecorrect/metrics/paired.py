"""Differences on the same requests: an interval, and a p-value by flipping signs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from coursecorrect.metrics.bootstrap import Array, Clusters, estimate

EXACT_UP_TO = 12
"""Requests up to which all sign flips are tried."""
FLIPS = 10_000


def paired_difference(
    groups: Sequence[Clusters], signs: Sequence[int], seed: int = 0
) -> dict[str, Any]:
    """Σ sign × mean of each group: its estimate, and ``p`` of no difference.

    (−1, 1) is after − before. All groups must have one column. ``p`` tests that nothing changed in
    any group: where groups share no requests (harmful items and twins of other requests), opposite
    changes within them make it larger than the interval suggests.
    """

    def figure(means: list[Array]) -> float:
        return float(sum(s * m[0] for s, m in zip(signs, means, strict=True)))

    parts: dict[str, float] = {}
    for sign, group in zip(signs, groups, strict=True):
        items = sum(group.counts.values())
        for key, sums in group.sums.items():
            parts[key] = parts.get(key, 0.0) + sign * float(sums[0]) / items
    found = estimate(groups, figure, seed).model_dump()
    return {**found, "p": round(sign_flip_p([parts[key] for key in sorted(parts)], seed), 6)}


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p-value of the sum of one difference a request.

    If nothing changed, a request's difference is as likely to have the other sign. The p-value is
    the share of sign flips whose sum is at least as far from zero as the one seen: of all flips
    where at most ``EXACT_UP_TO`` differences are not zero (zeros flip to themselves), else of
    ``FLIPS`` random ones, with the one seen counted among them (Phipson and Smyth 2010,
    arXiv 1603.05766), so that it is never 0.
    """
    moved = np.asarray([d for d in differences if abs(d) > 1e-12])
    # The tolerance lets sums that are equal but for rounding count as equal.
    seen = abs(moved.sum()) - 1e-9 * np.abs(moved).sum()
    if len(moved) <= EXACT_UP_TO:
        signs = np.asarray([*itertools.product((-1.0, 1.0), repeat=len(moved))])
        return float(np.mean(np.abs(signs @ moved) >= seen))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, (FLIPS, len(moved))) * 2.0 - 1.0
    return float((np.sum(np.abs(signs @ moved) >= seen) + 1) / (FLIPS + 1))
