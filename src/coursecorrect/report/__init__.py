"""From a run folder to figures, terminal tables, plots and one HTML file; nothing else is read."""

from coursecorrect.report.html import write_report
from coursecorrect.report.results import (
    Run,
    compare,
    compare_folders,
    load_run,
    results_of,
    write_results,
)
from coursecorrect.report.tables import agreement_table, comparison_table, run_table

__all__ = [
    "Run",
    "agreement_table",
    "compare",
    "compare_folders",
    "comparison_table",
    "load_run",
    "results_of",
    "run_table",
    "write_report",
    "write_results",
]
