"""What each difference between the protocols ``strict`` and ``reference`` is worth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from coursecorrect import store
from coursecorrect.report.results import Row, compare, load_run
from coursecorrect.report.tables import figure_cell, plain_table
from coursecorrect.report.words import METRICS, Results, judge_line, short_p, visible

NAMES = {
    "strict": "strict",
    "unit": "k in words",
    "count_opener": "opener counted",
    "close_turn": "turn closed",
    "reference": "all three: reference",
}
_SHOWN = METRICS[:3]
"""J, Corr_mean, and the false corrections on twins."""


def protocol_results(folders: Mapping[str, Path], results: Mapping[str, Results]) -> Row:
    """The figures of each protocol, and their paired differences from ``strict``.

    Args:
        folders: a finished run for each name of ``NAMES``, all on the same items.
        results: of each run.
    """
    runs = {name: load_run(folder) for name, folder in folders.items()}
    strict = runs["strict"]
    differences = {name: compare(strict, run) for name, run in runs.items() if run is not strict}
    return {
        **{field: results["strict"][field] for field in ("model", "ks", "judge")},
        "items": len(strict.items),
        "protocols": {
            name: {
                "figures": _shown(results[name]),
                "difference": _shown(differences[name]) if name in differences else None,
            }
            for name in runs
        },
    }


def _shown(results: Results) -> dict[str, Any]:
    return {metric.label: metric.of(results) for metric in _SHOWN}


def write_protocols(
    folder: Path, folders: Mapping[str, Path], results: Mapping[str, Results]
) -> Row:
    """Write ``protocols.json`` and return what it holds."""
    found = protocol_results(folders, results)
    text = json.dumps(found, indent=1, sort_keys=True, allow_nan=False)
    store.write_text(folder / "protocols.json", text + "\n")
    return found


def protocol_table(results: Results) -> RenderableType:
    """One small table for each figure: its value at each protocol, and what changes it by."""
    title = Text(f"What the protocol is worth: {visible(results['model'])}", "bold")
    note = (
        f"differences from strict, paired over {results['items']} items; "
        "95 % intervals over requests; p by sign flips of requests"
    )
    tables = [_one(metric.label, results["protocols"]) for metric in _SHOWN]
    return Group(title, Text(note, "dim"), *tables, Text(judge_line(results["judge"])))


def _one(label: str, protocols: Mapping[str, Results]) -> Table:
    table = plain_table(label)
    table.add_column("protocol", no_wrap=True, min_width=len(NAMES["reference"]))
    for head in ("value", "difference, pp", "p"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, shown in NAMES.items():
        found = protocols[name]
        difference = (found["difference"] or {}).get(label)
        table.add_row(
            shown,
            figure_cell(found["figures"][label], signed=label == "J"),
            figure_cell(difference, signed=True, unit=False),
            short_p(difference["p"]) if difference else "–",
        )
    return table
