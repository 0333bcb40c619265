"""A probe as a table and a plot: what the next token would be, along the written answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from coursecorrect.metrics.dynamics import REACH, Row, mass, positions
from coursecorrect.report.plots import THEME, add_title, finish, write_png
from coursecorrect.report.sheet import Cell, SheetRow
from coursecorrect.report.words import KINDS, visible

_COLOURS = {"harmful": "good", "twin": "false", "ordinary": "muted"}


def dynamics_rows(results: dict[str, Any]) -> list[SheetRow]:
    """A cell a kind, in the order of ``kinds_of``; in it two models as ``before → now``."""
    kinds = [results["kinds"][kind] for kind in kinds_of(results)]
    rows = [
        (label, tuple(_cell(found, name, scale, digits) for found in kinds))
        for label, name, scale, digits in _lines(results["tokens"])
    ]
    if all("kl" in found for found in kinds):
        label = "divergence (nats a token)"
        rows.append((label, tuple(_shown([found["kl"]["kl"]], 1.0, 2) for found in kinds)))
    counts = (found["model"]["mass"]["n"] for found in kinds)
    return [*rows, ("requests", tuple(Cell(str(count)) for count in counts))]


def kinds_of(results: dict[str, Any]) -> list[str]:
    """The kinds of item that were looked along."""
    return [kind for kind in KINDS if kind in results["kinds"]]


def dynamics_table(results: dict[str, Any], names: dict[str, str]) -> Table:
    """Rows of figures, columns of kinds; with two models both stand in a cell, before → now."""
    table = Table(title="Along the written answer", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for kind in kinds_of(results):
        table.add_column(KINDS[kind], justify="right", no_wrap=True)
    for label, cells in dynamics_rows(results):
        table.add_row(label, *(cell.value for cell in cells))
    table.caption = visible(" → ".join(names.values()))
    return table


def _lines(tokens: int) -> list[tuple[str, str, float, int]]:
    """Label, figure, scale and digits of each row."""
    masses = [(f"  after {k} tokens", f"mass@{k}", 100.0, 1) for k in positions(tokens)]
    begun = [
        (f"log p(opener + {k} tokens)", f"log_p_begun@{k}", 1.0, 1)
        for k in positions(tokens)
        if k in (0, 10, tokens)
    ]
    return [
        ("would change course (%)", "mass", 100.0, 1),
        *masses,
        ("  by a taught trigger (%)", "taught_mass", 100.0, 1),
        (f"an opening among the first {REACH} (%)", "opening_in_reach", 100.0, 0),
        (f"10 tokens walkable in the first {REACH} (%)", "walkable@10", 100.0, 0),
        ("entropy (nats)", "entropy", 1.0, 2),
        *begun,
    ]


def _cell(found: Row, name: str, scale: float, digits: int) -> Cell:
    sides = [side for side in ("against", "model") if side in found and name in found[side]]
    return _shown([found[side][name] for side in sides], scale, digits)


def _shown(figures: Sequence[Row], scale: float, digits: int) -> Cell:
    ends = [
        [f"{scale * f[end]:.{digits}f}".replace("-", "−") for end in ("value", "low", "high")]
        for f in figures
    ]
    return Cell(
        " → ".join(value for value, _, _ in ends) or "–",
        " → ".join(f"[{low}, {high}]" for _, low, high in ends),
    )


def dynamics_plot(rows: Sequence[Row], names: dict[str, str], *, narrow: bool = False) -> Figure:
    """Mass on openings of a change of course by position, means over requests."""
    size = 8.0 if narrow else 9.0
    figure = Figure(figsize=(4.2, 4.2) if narrow else (7.6, 4.0))
    axes = figure.add_axes((0.16, 0.3, 0.8, 0.51) if narrow else (0.075, 0.17, 0.66, 0.67))
    sides = [side for side in ("against", "model") if side in rows[0]]
    for side in sides:
        for kind, colour in _COLOURS.items():
            lines = [mass(row[side]) for row in rows if row["kind"] == kind]
            if lines:
                solid = side == "model"
                axes.plot(
                    100 * np.mean(lines, axis=0),
                    color=THEME[colour],
                    linewidth=2.0 if solid else 1.2,
                    linestyle="-" if solid else "--",
                    label=f"{KINDS[kind]}, {names[side]}" if len(sides) > 1 else KINDS[kind],
                )
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=THEME["grid"], linewidth=0.8)
    axes.set_xlabel("tokens of the written answer seen before", fontsize=size)
    axes.set_ylabel("probability that the next token\nopens a change of course (%)", fontsize=size)
    place, columns = ((0.0, -0.22), 2) if narrow else ((1.0, 1.0), 1)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=place,
        ncols=columns,
        frameon=False,
        fontsize=8,
        labelcolor=THEME["ink"],
    )
    finish(axes, size)
    count = len({row["pair_key"] for row in rows})
    add_title(figure, "Token dynamics", f"{len(rows)} answers, {count} requests and pairs", narrow)
    return figure


def write_dynamics(rows: Sequence[Row], names: dict[str, str], path: Path) -> None:
    """The plot as PNG."""
    write_png(dynamics_plot(rows, names), path)
