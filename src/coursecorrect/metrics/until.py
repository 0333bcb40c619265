"""When a measurement may stop: the interval of Corr_mean is as narrow as asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from coursecorrect.metrics.bootstrap import FEWEST_REQUESTS, mean_estimate


def narrow_enough(keys: Sequence[str], rates: Sequence[float], half_width: float) -> bool:
    """Whether neither end of the 95 % interval is farther than ``half_width`` from Corr_mean.

    Args:
        keys: the request of each harmful item measured so far.
        rates: Corr_mean of each of them.

    Who stops when the interval is narrow stops sooner where the spread happens to look small, and
    there Corr_mean tends to lie too near to 0 or 1. So at least ``FEWEST_REQUESTS`` are measured,
    and 1/n is added to the variance over n requests, as the sequential rule of Chow and Robbins
    (1965) has it: a spread that looks like nothing stops nothing early.
    """
    requests = len(set(keys))
    guard = 1.96 / max(requests, 1)
    if requests < FEWEST_REQUESTS or guard > half_width:  # so nothing need be drawn
        return False
    found = mean_estimate(keys, rates)
    reach = max(found.high - found.value, found.value - found.low)
    return math.hypot(reach, guard) <= half_width
