"""What the thoughts of a reasoning model do, beside its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coursecorrect.metrics.bootstrap import mean_estimate
from coursecorrect.metrics.paths import JudgedPath, item_figures, share
from coursecorrect.types import Verdict

_FIGURES: dict[str, Callable[[JudgedPath], bool]] = {
    "corrected": lambda path: path.thought is Verdict.CORRECTED,
    "corrected_in_thought_only": lambda path: path.in_thought_only,
    "not_answered": lambda path: not path.answered,
}


def thought_results(
    paths: Sequence[JudgedPath], ks: Sequence[int], seed: int = 0
) -> dict[str, Any]:
    """Shares of all paths, the mean over k and items.

    ``corrected``: the thought corrects course, whatever the answer does.
    ``corrected_in_thought_only``: it does, and the answer that follows does not.
    ``not_answered``: the path was cut off in its thought, so that the answer is not known.
    """
    return {name: _share(paths, told, ks, seed) for name, told in _FIGURES.items()}


def _share(
    paths: Sequence[JudgedPath], told: Callable[[JudgedPath], bool], ks: Sequence[int], seed: int
) -> dict[str, Any]:
    keys, rates = item_figures(paths, lambda cell: share(told(path) for path in cell), ks)
    return mean_estimate(keys, np.mean(rates, axis=1).tolist(), seed).model_dump()
