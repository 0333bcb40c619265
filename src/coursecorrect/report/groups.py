"""Groups to look at, in the terminal and as one HTML file: what was made, and what was rejected."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from coursecorrect import store
from coursecorrect.report.html import environment, resource
from coursecorrect.report.shortcuts import PRINCIPLES, shortcuts_table
from coursecorrect.report.tables import plain_table
from coursecorrect.report.words import visible
from coursecorrect.shortcuts import CLEAN, VIEWS, Shortcuts
from coursecorrect.synth.browse import DataSet, Lengths
from coursecorrect.types import RankedGroup, Response


@dataclass(frozen=True)
class Inspection:
    """What there is to see of a data set."""

    data: DataSet
    lengths: Sequence[Lengths]
    shortcuts: Shortcuts | None
    """None where nobody asked."""
    groups: Sequence[RankedGroup]
    rejected: Sequence[dict[str, Any]] | None
    """Some rows of each reason; None where nobody asked."""


@dataclass(frozen=True)
class Part:
    """A piece of a response: all of it is text by others."""

    kind: Literal["kept", "turn", "false", "harm", "good"]
    """What was kept of an answer (or the opener), a turn, a needless turn, harm, or a good answer
    that goes on."""
    text: str


def parts_of(group: RankedGroup, response: Response) -> list[Part]:
    """What stands before the cut, and what the response does there."""
    # An FHR has no cut; its opener is begun for it all the same.
    begins = response.cut
    if response.role == "FHR" and response.text.startswith(group.opener):
        begins = len(group.opener)
    act = Part(_act(group, response), response.text[begins:])
    found = [Part("kept", response.text[:begins]), act]
    return [part for part in found if part.text]


def _act(group: RankedGroup, response: Response) -> Literal["turn", "false", "harm", "good"]:
    if response.role == "FHR":
        return "harm"
    if response.role == "GOOD":
        return "good"
    return "turn" if group.harmful else "false"


def head_of(response: Response) -> str:
    """``3 SCR, after 42 %``"""
    share = f", after {100 * response.share:.0f} %" if response.role == "SCR" else ""
    return f"{response.rank} {response.role}{share}"


_STYLES = {"kept": "dim", "turn": "green", "false": "yellow", "harm": "red", "good": ""}
_LEGEND = {
    "kept": "kept",
    "turn": "correction",
    "false": "needless correction",
    "harm": "harm",
    "good": "good answer",
}


def inspection_view(found: Inspection, most: int) -> RenderableType:
    """Counts, lengths and shortcuts, rejected rows if asked for, and the first ``most`` groups."""
    parts: list[RenderableType] = [_counts_table(found), _lengths_table(found.lengths)]
    if found.shortcuts is not None:
        parts.append(shortcuts_table(found.shortcuts))
    if found.rejected is not None:
        parts.append(_rejected_table(found.rejected))
    return Group(*parts, groups_view(found.groups[:most]))


def groups_view(groups: Sequence[RankedGroup]) -> RenderableType:
    """The groups alone."""
    legend = Text("  ").join(Text(word, _STYLES[kind]) for kind, word in _LEGEND.items())
    return Group(legend, *(group_panel(group) for group in groups))


def _counts_table(found: Inspection) -> RenderableType:
    table = plain_table(
        f"{visible(str(found.data.folder))}{' (an audit)' if found.data.audit else ''}"
    )
    table.show_header = False
    table.add_column()
    table.add_column(justify="right")
    for name, value in flat_counts(found.data.counts):
        table.add_row(Text(name), f"{value:,}")
    return table


def flat_counts(counts: dict[str, Any]) -> list[tuple[str, int]]:
    """The counts in one column; rejected seeds by reason, the commonest first."""
    reasons = sorted(counts["rejected"].items(), key=lambda row: (-row[1], row[0]))
    plain = [(name.replace("_", " "), n) for name, n in counts.items() if name != "rejected"]
    return [*plain, *((f"rejected: {reason}", n) for reason, n in reasons)]


def _lengths_table(rows: Sequence[Lengths]) -> RenderableType:
    table = plain_table("Characters of the responses")
    table.caption = "before: until the correction begins; of all groups"
    for head in ("groups", "rank", "role", "mean", "least", "most", "before"):
        table.add_column(head, justify="left" if head in ("groups", "role") else "right")
    for row in rows:
        sizes = (row.mean, row.least, row.most, row.before_the_cut)
        kind = f"{row.groups:,} {'harmful' if row.harmful else 'harmless'}"
        table.add_row(kind, str(row.rank), row.role, *(f"{size:,.0f}" for size in sizes))
    return table


def _rejected_table(rows: Sequence[dict[str, Any]]) -> RenderableType:
    if not rows:
        return Text("No seed was rejected.")
    table = plain_table("Rejected seeds, some of each reason")
    table.add_column("where", overflow="fold")
    table.add_column("why", overflow="fold")
    table.add_column("request begins", overflow="fold")
    for row in rows:
        cells = (str(row[name]) for name in ("where", "why", "request"))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def group_panel(group: RankedGroup) -> Panel:
    """One group: the request, the opener and each rank."""
    lines = [Text.assemble(("request: ", "bold"), visible(group.request))]
    if group.opener:
        lines.append(Text.assemble(("opener: ", "bold"), visible(group.opener)))
    for response in group.responses:
        lines += [Text(), Text(head_of(response), "bold")]
        pieces = ((visible(p.text), _STYLES[p.kind]) for p in parts_of(group, response))
        lines.append(Text.assemble(*pieces))
    title = Text(f"{group.id} · {'harmful' if group.harmful else 'harmless'} · ")
    return Panel(Group(*lines), title=title + visible(group.category), title_align="left")


def write_groups_page(found: Inspection, out: Path) -> Path:
    """Write one page without anything from elsewhere; its one script filters, and is named by its
    digest in the page's policy, so that no other would run."""
    script = resource("groups.js")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    page = environment().from_string(resource("groups.html.j2"))
    text = page.render(
        found=found,
        folder=found.data.folder.resolve().name,
        counts=flat_counts(found.data.counts),
        rows=_shortcut_rows(found.shortcuts),
        views=VIEWS,
        clean=CLEAN,
        script=Markup(script),
        digest=digest,
        parts_of=parts_of,
        head_of=head_of,
        legend=_LEGEND,
    )
    store.write_text(out, text)
    return out


def _shortcut_rows(found: Shortcuts | None) -> list[dict[str, Any]]:
    """The rows with enough requests, their figures as the page's filters want them."""
    return [
        {
            "name": row.roles or PRINCIPLES[row.principle],
            "whole": row.roles is None,
            "pairs": row.pairs,
            "accuracy": {view: figure.model_dump() for view, figure in row.accuracy.items()},
        }
        for row in (found.rows if found else ())
        if row.accuracy
    ]
