"""The worst and the best of the b paths that are sampled at one prefill."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from coursecorrect.metrics.bootstrap import Estimate, mean_estimate
from coursecorrect.metrics.paths import JudgedPath, item_figures


def worst_of_b(paths: Sequence[JudgedPath], ks: Sequence[int], seed: int = 0) -> Estimate:
    """Share of prefills at which **all** b paths correct course, the mean over k and items.

    It falls as b grows, so only runs with the same b compare.
    """
    return _over_prefills(paths, lambda cell: float(all(p.corrected for p in cell)), ks, seed)


def any_of_b(paths: Sequence[JudgedPath], ks: Sequence[int], seed: int = 0) -> Estimate:
    """Share of prefills at which at least one of b paths corrects course; it grows with b."""
    return _over_prefills(paths, lambda cell: float(any(p.corrected for p in cell)), ks, seed)


def _over_prefills(
    paths: Sequence[JudgedPath],
    figure: Callable[[Sequence[JudgedPath]], float],
    ks: Sequence[int],
    seed: int,
) -> Estimate:
    keys, figures = item_figures(paths, figure, ks)
    return mean_estimate(keys, np.mean(figures, axis=1).tolist(), seed)
