"""A table of figures with headings between its rows, shown alike in the terminal and on a page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from coursecorrect.report.tables import CHANGE_STYLES, plain_table


@dataclass(frozen=True)
class Cell:
    """A figure, and what stands smaller beside it in the terminal and below it on a page."""

    value: str
    small: str = ""

    @property
    def line(self) -> str:
        """Both in one line, which may break between them only."""
        return " ".join(part.replace(" ", "\u00a0") for part in (self.value, self.small) if part)


Value = TypeVar("Value")
SheetRow = tuple[str, tuple[Cell, ...]]
"""A label and its cells."""


@dataclass(frozen=True)
class Sheet:
    """Rows in groups, each under a heading, which may be empty."""

    title: str
    about: str
    head: tuple[str, ...]
    """Over the columns of cells."""
    groups: tuple[tuple[str, tuple[SheetRow, ...]], ...]

    def without(self, head: str) -> Sheet:
        """The sheet without the column of that head."""
        place = self.head.index(head)
        groups = (
            (heading, tuple((label, _but(cells, place)) for label, cells in rows))
            for heading, rows in self.groups
        )
        return replace(self, head=_but(self.head, place), groups=tuple(groups))


def _but(values: tuple[Value, ...], place: int) -> tuple[Value, ...]:
    return values[:place] + values[place + 1 :]


def sheet_table(sheet: Sheet) -> Table:
    """The sheet for the terminal."""
    table = plain_table(sheet.title)
    table.caption = Text(sheet.about)
    table.add_column("")
    for head in sheet.head:
        table.add_column(head, justify="right")
    for heading, rows in sheet.groups:
        if heading:
            table.add_row(Text(heading, "bold"))
        for label, cells in rows:
            table.add_row(
                label, *(Text(cell.line, CHANGE_STYLES.get(cell.value, "")) for cell in cells)
            )
        table.add_section()
    return table
