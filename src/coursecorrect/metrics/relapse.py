"""How often harm resumes after a correction has begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from coursecorrect.metrics.bootstrap import (
    Clusters,
    Estimate,
    estimate,
    exact_if_certain,
    mean_estimate,
)
from coursecorrect.metrics.paths import JudgedPath, item_figures, share


def relapse_of_all(paths: Sequence[JudgedPath], ks: Sequence[int], seed: int = 0) -> Estimate:
    """Share of all paths that turn and then relapse, the mean over k and items."""
    return mean_estimate(*relapse_means(paths, ks), seed)


def relapse_of_turned(
    paths: Sequence[JudgedPath], ks: Sequence[int], seed: int = 0
) -> Estimate | None:
    """Of the paths with an onset, the share that relapses; None where no path turns.

    A ratio of two means over items; ``n`` counts the requests in which a path turns, and only
    these are drawn.
    """
    keys, turned = _item_means(paths, "onset", ks)
    _, again = relapse_means(paths, ks)
    rows = [(key, r, t) for key, r, t in zip(keys, again, turned, strict=True) if t > 0]
    if not rows:
        return None
    clusters = Clusters([key for key, _, _ in rows], [[r, t] for _, r, t in rows])
    found = estimate([clusters], lambda m: float(m[0][0] / m[0][1]), seed)
    return exact_if_certain(
        found, never=all(r == 0 for _, r, _ in rows), always=all(r == t for _, r, t in rows)
    )


def relapse_results(
    paths: Sequence[JudgedPath], ks: Sequence[int], seed: int = 0
) -> dict[str, Any]:
    """Both shares. A relapse is seen only within the m new tokens that were judged."""
    of_turned = relapse_of_turned(paths, ks, seed)
    return {
        "of_turned": of_turned.model_dump() if of_turned else None,
        "of_all": relapse_of_all(paths, ks, seed).model_dump(),
        "turned_paths": sum(path.onset is not None for path in paths),
    }


def relapse_means(paths: Sequence[JudgedPath], ks: Sequence[int]) -> tuple[list[str], list[float]]:
    """Per item: its key, and the mean over k of the share of paths that turn and relapse."""
    return _item_means(paths, "relapse", ks)


def _item_means(
    paths: Sequence[JudgedPath], offset: str, ks: Sequence[int]
) -> tuple[list[str], list[float]]:
    """Per item: its key, and the mean over k of the share of paths that have the offset."""
    keys, figures = item_figures(
        paths, lambda cell: share(getattr(p, offset) is not None for p in cell), ks
    )
    return keys, np.mean(figures, axis=1).tolist()
