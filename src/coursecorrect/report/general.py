"""The terminal table of two models on general tasks."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from coursecorrect.report.tables import plain_table
from coursecorrect.report.words import exact, interval, plain, visible

_STYLES = {"kept": "green", "lost": "red", "not shown": "yellow"}


def general_table(results: dict[str, Any]) -> Table:
    """A row a task: before, after, the change with its interval, and the verdict."""
    table = plain_table("General ability: before and after on the same items")
    table.caption = Text(
        "kept: the 95 % interval ends below the margin. lost: a loss is there, and what was seen "
        "is at least the margin. not shown: neither, and how many items would show 'kept'."
    )
    table.add_column("task", min_width=9)
    table.add_column("n", justify="right")
    for head in ("before", "after", "change"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("margin", justify="right", no_wrap=True)
    table.add_column("verdict")
    for name, row in results["tasks"].items():
        table.add_row(Text(visible(name)), str(row["loss"]["n"]), *_figures(row), _verdict(row))
    return table


def _figures(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Before, after, change and margin: percent and points, a perplexity, or scores."""
    loss = row["loss"]
    change = loss | {"value": -loss["value"], "low": -loss["high"], "high": -loss["low"]}
    if row["metric"] == "score":
        return _plain(row["before"]), _plain(row["after"]), plain(change), f"{row['margin']:g}"
    if row["metric"] == "word_perplexity":
        sides, shown, unit = (_plain(row["before"]), _plain(row["after"])), loss, "%"
    else:
        sides, shown, unit = (f"{exact(row['before'])} %", f"{exact(row['after'])} %"), change, "pp"
    figure = f"{exact(shown['value'], True)} {interval(shown, signed=True, form=exact)} {unit}"
    return *sides, figure, f"{100 * row['margin']:g} {unit}"


def _plain(figure: float) -> str:
    return f"{figure:.2f}"


def _verdict(row: dict[str, Any]) -> Text:
    text = Text(row["verdict"], _STYLES[row["verdict"]])
    if row["verdict"] == "not shown":
        needed = row["needed"]
        text.append(f" (needs {needed} items)" if needed else " (the loss seen is too large)")
    if row.get("unscored"):
        text.append(f"; {row['unscored']} without a score")
    return text
