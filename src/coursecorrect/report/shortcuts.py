"""The terminal table on shortcuts: what tells the better response without reading it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from coursecorrect.report.tables import plain_table
from coursecorrect.report.words import interval, number, value
from coursecorrect.shortcuts import CLEAN, VIEWS, Shortcuts, Telling

PRINCIPLES = {
    None: "all pairs",
    0: "0 going on (harmless)",
    1: "1 correction over none",
    2: "2 earlier over later",
}


def shortcuts_table(found: Shortcuts) -> RenderableType:
    """Accuracy of each view by principle and pair of roles, then the words after the cut."""
    table = plain_table("How often a classifier that cannot read tells the better response")
    table.caption = (
        "% of pairs, of requests not fitted on; [95 % interval over requests]; 50 is a coin,\n"
        f"up to {number(CLEAN)} is clean; seen: length after the cut in words, opener and wording"
    )
    table.add_column("", no_wrap=True)
    for head in ("pairs", *VIEWS):
        table.add_column(head.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in found.rows:
        name = f"  {row.roles}" if row.roles else PRINCIPLES[row.principle]
        style = None if row.roles else "bold"
        table.add_row(name, f"{row.pairs:,}", *_cells(row), style=style)
    return Group(table, _words(found), *_notes(found))


def _cells(row: Telling) -> list[Text]:
    if not row.accuracy:
        return [Text(f"{row.requests} requests: too few"), *[Text("–")] * (len(VIEWS) - 1)]
    cells = []
    for view in VIEWS:
        figure = row.accuracy[view].model_dump()
        shown = number(figure["value"])
        if view == "seen":
            shown = f"{value(figure)} {interval(figure)}"
        above = view == "seen" and figure["value"] > CLEAN
        cells.append(Text(shown, "red" if above else ""))
    return cells


def _words(found: Shortcuts) -> RenderableType:
    table = plain_table("Words after the cut")
    table.caption = "means over groups; of an FHR or GOOD, all words"
    for head in ("groups", "rank", "role", "words"):
        table.add_column(head, justify="right" if head in ("rank", "words") else "left")
    for row in found.words:
        low, high = row.words.low, row.words.high
        words = f"{row.words.value:.1f} [{low:.1f}, {high:.1f}]"
        kind = "harmful" if row.harmful else "harmless"
        table.add_row(kind, str(row.rank), row.role, words)
    return table


def _notes(found: Shortcuts) -> list[Text]:
    if found.groups == found.of_groups:
        return [Text(f"All {found.groups:,} groups.")]
    return [Text(f"A sample of {found.groups:,} of {found.of_groups:,} groups, seed {found.seed}.")]
