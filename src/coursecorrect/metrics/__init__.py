"""Pure functions from a run folder's rows to figures; every mean with its n and interval."""

from coursecorrect.metrics.agreement import Agreement, agreement
from coursecorrect.metrics.bootstrap import Estimate
from coursecorrect.metrics.correction import compare_runs, run_results

__all__ = ["Agreement", "Estimate", "agreement", "compare_runs", "run_results"]
