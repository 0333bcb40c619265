"""From a run folder to figures, terminal tables, plots and one HTML file; nothing else is read."""

from coursecorrect.report.html import write_report
from coursecorrect.report.results import Run, compare, load_run, results_of, write_results
from coursecorrect.report.tables import comparison_table, run_table

__all__ = [
    "Run",
    "compare",
    "comparison_table",
    "load_run",
    "results_of",
    "run_table",
    "write_report",
    "write_results",
]
