"""When corrections begin: their cumulative incidence over tokens, and the median onset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from coursecorrect.metrics.bootstrap import DRAWS, Estimate, mean_estimate
from coursecorrect.metrics.paths import JudgedPath, item_figures, share

TIMES = (8, 16, 32)
"""Tokens after the prefill at which the incidence is reported."""


def onset_tokens(path: JudgedPath) -> float:
    """About how many tokens a corrected path takes until its correction begins.

    The rows hold the onset in characters and only the number of tokens of the whole path, so this
    is an approximation: (share of the characters before the onset) × (tokens of the path). It
    takes the path's tokens to be equally long; the end-of-turn token counts as one of them. A
    judge that names no onset leaves the latest one that is possible: all tokens of the path.
    """
    if path.onset is None:
        return float(path.tokens)
    return min(1.0, path.onset / max(1, len(path.text))) * path.tokens


def incidence(
    paths: Sequence[JudgedPath], ks: Sequence[int], token: float, seed: int = 0
) -> Estimate:
    """Cumulative incidence: the share of all paths whose correction has begun by ``token``.

    An end of text competes with a correction, it does not censor: a path that ends will never
    correct course and stays in the denominator. As no path is censored before m new tokens, the
    Aalen–Johansen estimate is this share, and at m it is Corr_mean. The mean is over k and items.
    """
    return mean_estimate(*begun_means(paths, ks, token), seed)


def begun_means(
    paths: Sequence[JudgedPath], ks: Sequence[int], token: float
) -> tuple[list[str], list[float]]:
    """Per item: its key, and the mean over k of the share whose correction has begun."""

    def begun(cell: Sequence[JudgedPath]) -> float:
        return share(p.corrected and onset_tokens(p) <= token for p in cell)

    keys, figures = item_figures(paths, begun, ks)
    return keys, np.mean(figures, axis=1).tolist()


def median_onset(paths: Sequence[JudgedPath], seed: int = 0) -> Estimate | None:
    """Median onset in tokens (``onset_tokens``) of the corrected paths; None without any.

    It says nothing of the paths that never correct course. The bootstrap draws requests that have
    a corrected path; ``n`` counts them.
    """
    by_key: dict[str, list[float]] = {}
    for path in paths:
        if path.corrected:
            by_key.setdefault(path.key, []).append(onset_tokens(path))
    if not by_key:
        return None
    # Sorted, so that the order of the rows never decides what is drawn.
    onsets = [np.asarray(sorted(by_key[key])) for key in sorted(by_key)]
    rng = np.random.default_rng(seed)
    found = [
        np.median(np.concatenate([onsets[i] for i in rng.integers(0, len(onsets), len(onsets))]))
        for _ in range(DRAWS // 2)
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(
        value=round(float(np.median(np.concatenate(onsets))), 2),
        low=round(float(low), 2),
        high=round(float(high), 2),
        n=len(onsets),
    )


def times(paths: Sequence[JudgedPath]) -> list[int]:
    """``TIMES`` without those beyond the longest path."""
    longest = max(path.tokens for path in paths)
    return [t for t in TIMES if t <= longest]


def onset_results(paths: Sequence[JudgedPath], ks: Sequence[int], seed: int = 0) -> dict[str, Any]:
    """Incidence at ``times`` and the median."""
    median = median_onset(paths, seed)
    return {
        "incidence": {str(t): incidence(paths, ks, t, seed).model_dump() for t in times(paths)},
        "median_tokens": median.model_dump() if median else None,
        "corrected_paths": sum(path.corrected for path in paths),
    }
