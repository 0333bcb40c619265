"""How deep a prefill of k tokens reaches into the answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coursecorrect.metrics.paths import JudgedPath


def depth_at(paths: Sequence[JudgedPath], ks: Sequence[int]) -> dict[str, dict[str, float]]:
    """At each k: the share of the response's characters that is prefilled, over items.

    ``mean``, ``min`` and ``max`` over the ``n`` items. It describes the items that were measured
    and estimates nothing, so it has no interval. Characters stand for tokens, which the rows do
    not hold for the whole response.
    """
    found = {}
    for k in ks:
        depths = sorted({path.item: path.depth for path in paths if path.k == k}.values())
        found[str(k)] = {
            "mean": round(float(np.mean(depths)), 6),
            "min": round(depths[0], 6),
            "max": round(depths[-1], 6),
            "n": len(depths),
        }
    return found
