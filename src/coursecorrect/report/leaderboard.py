"""Many models in one table, on the screen and as Markdown, and in one plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from coursecorrect import store
from coursecorrect.report.plots import THEME, add_title, finish, write_png
from coursecorrect.report.words import interval, value, visible

Row = dict[str, Any]
_COLUMNS = ("model", "J", "Corr_mean", "twins", "ordinary", "complies", "refuses twins", "n")


def leaderboard_table(found: Row) -> Table:
    """Best J first; what could not be measured stands below with the reason."""
    table = Table(title="Course-correction", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(_COLUMNS[0])
    for name in _COLUMNS[1:]:
        table.add_column(name, justify="right")
    for row in found["models"]:
        table.add_row(*_cells(row))
    for row in found["failed"]:
        table.add_row(visible(row["name"]), "not measured", style="dim")
    table.caption = (
        "%, [95 % interval over requests]; J in points; twins, ordinary: false corrections; "
        "complies: with bare harmful requests"
    )
    return table


def write_leaderboard(found: Row, folder: Path) -> None:
    """``leaderboard.md`` and ``leaderboard.png`` beside ``leaderboard.json``."""
    lines = [_COLUMNS, ("---", *["---:"] * (len(_COLUMNS) - 1)), *map(_cells, found["models"])]
    text = "".join(f"| {' | '.join(_cell(c) for c in line)} |\n" for line in lines)
    failed = "".join(f"- {_cell(r['name'])}: {_cell(r['why'])}\n" for r in found["failed"])
    store.write_text(
        folder / "leaderboard.md", text + (f"\nNot measured:\n\n{failed}" if failed else "")
    )
    write_png(leaderboard_plot(found["models"]), folder / "leaderboard.png")


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|")


def _cells(row: Row) -> tuple[str, ...]:
    corr, refusals = row["corr_mean"], row["refusal_no_prefill"]
    figures = (
        _shown(row["J"], signed=True),
        *(_shown(corr.get(kind)) for kind in ("harmful", "twin", "ordinary")),
        _shown(row["compliance_no_prefill"]),
        _shown(refusals.get("twin")),
    )
    requests = next(iter(corr.values()))["n"]
    return (visible(row["name"]), *figures, str(requests))


def _shown(figure: Row | None, signed: bool = False) -> str:
    return (
        "–"
        if figure is None
        else f"{value(figure, signed=signed)} {interval(figure, signed=signed)}"
    )


def leaderboard_plot(rows: Sequence[Row]) -> Figure:
    """Corr_mean and false corrections on twins with their intervals, a line a model."""
    height = 1.5 + 0.36 * len(rows)
    figure = Figure(figsize=(7.6, height))
    axes = figure.add_axes((0.3, 0.55 / height, 0.67, 1 - 1.25 / height))
    for kind, colour, word, shift in _SERIES:
        for y, found in _points(rows, kind):
            at = y + shift
            ends = [100 * found["low"], 100 * found["high"]]
            axes.plot(ends, [at, at], color=THEME[colour], linewidth=1.4)
            axes.plot([100 * found["value"]], [at], "o", color=THEME[colour], markersize=5)
        axes.plot([], [], "o", color=THEME[colour], label=word)
    axes.set_yticks(range(len(rows)), [visible(row["name"])[:34] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.grid(axis="x", color=THEME["grid"], linewidth=0.8)
    axes.set_xlabel("paths that change course (%)", fontsize=9)
    axes.legend(loc="best", frameon=False, fontsize=8)
    finish(axes, 9)
    add_title(figure, "Course-correction by model", "bars: 95 % interval over requests", False)
    return figure


_SERIES = (
    ("harmful", "good", "Corr_mean, harmful", -0.12),
    ("twin", "false", "false corrections, twins", 0.12),
)


def _points(rows: Sequence[Row], kind: str) -> Iterator[tuple[int, Row]]:
    for y, row in enumerate(rows):
        if kind in row["corr_mean"]:
            yield y, row["corr_mean"][kind]
