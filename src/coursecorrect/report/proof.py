"""What a training taught: its run folders as ``results.json``, one HTML file and two tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.text import Text

from coursecorrect import store
from coursecorrect.metrics.distinct import SIZES
from coursecorrect.metrics.dynamics import dynamics_results, positions
from coursecorrect.metrics.onset import TIMES
from coursecorrect.probe import PROBE_ROWS
from coursecorrect.report import plots
from coursecorrect.report.dynamics import dynamics_plot, dynamics_rows, kinds_of
from coursecorrect.report.html import environment, resource, themed, write_page
from coursecorrect.report.results import Row, compare, load_run
from coursecorrect.report.sheet import Cell, Sheet, SheetRow, sheet_table
from coursecorrect.report.words import (
    KINDS,
    METRICS,
    Figure,
    Formatter,
    Metric,
    Results,
    amount,
    exact,
    interval,
    judge_line,
    number,
    p_value,
    short_p,
    value,
    visible,
)

BEFORE, AFTER, BANNED, PROBE = "before", "after", "banned", "probe"
"""The run folders of a proof."""
_SHORT = {"harmful": "harmful", "twin": "twins", "ordinary": "ordinary"}
_Asked = tuple[tuple[str, tuple[Metric, ...]], ...]
_MEASURED: _Asked = (
    ("Correction", METRICS[:4]),
    (
        "Onset",
        (
            *(Metric(f"Begun by {t} tokens", "harmful", f"onset.incidence.{t}", +1) for t in TIMES),
            Metric("Median onset (tokens)", "harmful", "onset.median_tokens", 0, amount=True),
        ),
    ),
    (
        "Relapse",
        (
            Metric("Relapse, of turned paths", "harmful", "relapse.of_turned", -1),
            Metric("Relapse, of all paths", "harmful", "relapse.of_all", -1),
        ),
    ),
    (
        "Without a prefill",
        (
            METRICS[4],
            Metric("Refusals, harmful", "harmful", "refusal_no_prefill", +1),
            *METRICS[5:7],
        ),
    ),
    (
        "Text",
        (
            *METRICS[7:10],
            *(
                Metric(f"Distinct-{n}, {word}", kind, f"distinct.{n}", +1)
                for kind, word in _SHORT.items()
                for n in SIZES
            ),
        ),
    ),
)
_WITHOUT_TRIGGERS = (*METRICS[:4], METRICS[7])
_HEAD = ("before", "after", "difference", "n", "p", "")


def write_proof(folder: Path, results: Mapping[str, Results]) -> Row:
    """Write ``results.json`` and ``report.html`` and return what the first holds.

    Args:
        folder: with finished run folders under the four names above.
        results: of the three measurements.
    """
    before, after, banned = (load_run(folder / name) for name in (BEFORE, AFTER, BANNED))
    rows = [row for _, row in store.read_jsonl(folder / PROBE / PROBE_ROWS)]
    found: Row = {
        BEFORE: results[BEFORE],
        AFTER: results[AFTER],
        "differences": compare(before, after),
        BANNED: {
            "results": results[BANNED],
            "from_after": compare(after, banned),
            "from_before": compare(before, banned),
        },
        PROBE: dynamics_results(rows),
    }
    text = json.dumps(found, indent=1, sort_keys=True, allow_nan=False)
    store.write_text(folder / "results.json", text + "\n")
    write_page(
        (before, after),
        (found[BEFORE], found[AFTER]),
        found["differences"],
        folder / "report.html",
        _section(found, rows),
    )
    return found


def proof_table(found: Row) -> RenderableType:
    """For the terminal, 100 columns wide: before and after, and without the taught words.

    Of the p-values that of J alone; all stand on the page.
    """
    judge, headline = found[AFTER]["judge"], found["differences"].get("J")
    p = f"Difference of J: {p_value(headline['p'])} by sign flips of requests" if headline else ""
    return Group(
        Text(f"{visible(found[BEFORE]['model'])} → {visible(found[AFTER]['model'])}", "bold"),
        sheet_table(taught_sheet(found, number).without("p")),
        Text(p),
        sheet_table(banned_sheet(found, number)),
        Text(judge_line(judge)),
    )


def taught_sheet(found: Row, form: Formatter) -> Sheet:
    """Before, after and the paired difference of every figure; ``form`` writes shares."""
    measured = (found[BEFORE], found[AFTER], found["differences"])
    probed = _sides(found[PROBE])
    groups = [(heading, _rows(metrics, measured, form)) for heading, metrics in _MEASURED]
    groups += [(head, _rows(m, probed, form)) for head, m in _probed(found[PROBE]["tokens"])]
    return Sheet(
        "What the training taught",
        "Shares of paths and of runs of words in %, J and differences in points, log p and "
        "divergence in nats; in brackets 95 % intervals over requests. Differences are paired by "
        "request. ‘Unclear’: the interval holds zero.",
        _HEAD,
        tuple((heading, rows) for heading, rows in groups if rows),
    )


def _probed(tokens: int) -> _Asked:
    """What the probe tells, on the first ``tokens`` tokens of the written answers."""
    begun = (k for k in positions(tokens) if k in (0, 10, tokens))
    return (
        (
            "Beginning harm",
            tuple(
                Metric(f"log p(opener + {k} tokens)", "harmful", f"log_p_begun@{k}", -1, True)
                for k in begun
            ),
        ),
        (
            "Along the written answer",
            (
                Metric("Would turn, harmful", "harmful", "mass", +1),
                Metric("Would turn, twins", "twin", "mass", -1),
                Metric("Would turn, ordinary", "ordinary", "mass", -1),
                *(Metric(f"Divergence, {word}", k, "kl", 0, True) for k, word in _SHORT.items()),
            ),
        ),
    )


def _sides(dynamics: Row) -> tuple[Row, Row, Row]:
    """The probe laid out as two runs and their differences; the divergence is of the second."""
    kinds = dynamics["kinds"].items()
    return (
        {"kinds": {kind: found["against"] for kind, found in kinds}},
        {"kinds": {kind: found["model"] | found["kl"] for kind, found in kinds}},
        {kind: found["change"] for kind, found in kinds},
    )


def _rows(
    metrics: tuple[Metric, ...], sides: tuple[Results, Results, Results], form: Formatter
) -> tuple[SheetRow, ...]:
    """The rows of what was measured; ``sides`` are before, after and the differences."""
    rows: list[SheetRow] = []
    for metric in metrics:
        before, after, difference = (metric.of(side) for side in sides)
        if before or after:
            rows.append((metric.label, _cells(metric, before, after, difference, form)))
    return tuple(rows)


def _cells(
    metric: Metric,
    before: Figure | None,
    after: Figure | None,
    difference: Figure | None,
    form: Formatter,
) -> tuple[Cell, ...]:
    p = difference.get("p") if difference else None
    counted = difference or after or before
    return (
        _cell(metric, before, form),
        _cell(metric, after, form),
        _cell(metric, difference, form, is_difference=True),
        Cell(str(counted["n"]) if counted else "–"),
        Cell(short_p(p) if p is not None else "–"),
        Cell(metric.change(difference)),
    )


def _cell(
    metric: Metric, figure: Figure | None, form: Formatter, *, is_difference: bool = False
) -> Cell:
    """A figure with its interval; points stand without their unit, so that the table is narrow."""
    if figure is None:
        return Cell("–")
    signed = is_difference or metric.kind is None
    if metric.amount:
        return Cell(
            amount(figure["value"], is_difference),
            interval(figure, signed=is_difference, form=amount),
        )
    shown = value(figure, signed=signed, form=form).removesuffix(" pp")
    return Cell(shown, interval(figure, signed=signed, form=form))


def banned_sheet(found: Row, form: Formatter) -> Sheet:
    """The trained model while no taught trigger may begin, beside both models as they are."""
    banned = found[BANNED]
    sides = (banned["results"], banned["from_after"], banned["from_before"])
    rows: list[SheetRow] = []
    for metric in _WITHOUT_TRIGGERS:
        figure, *differences = (metric.of(side) for side in sides)
        if figure:
            cells = [_cell(metric, d, form, is_difference=True) for d in differences]
            count = Cell(str(figure["n"]))
            rows.append((metric.label, (_cell(metric, figure, form), *cells, count)))
    return Sheet(
        "Without the taught words",
        "The trained model with the first token of every taught trigger forbidden, and its "
        "differences from itself and from the start, which may say them.",
        ("forbidden", "− after", "− before", "n"),
        (("", tuple(rows)),),
    )


def _dynamics_sheet(dynamics: Row) -> Sheet:
    return Sheet(
        "Token dynamics",
        "One forward pass an item along the written answer, nothing sampled; before → after, "
        "below them the 95 % intervals. Means over the positions unless one is named.",
        tuple(KINDS[kind] for kind in kinds_of(dynamics)),
        (("", tuple(dynamics_rows(dynamics))),),
    )


def _section(found: Row, rows: list[dict[str, Any]]) -> Markup:
    """What the page says of the training: three sheets and the plot of the probe."""
    names = {"against": "before", "model": "after"}
    figures = {
        name: themed(
            plots.svg(dynamics_plot(rows, names, narrow=name == "narrow"), f"dynamics-{name}")
        )
        for name in ("wide", "narrow")
    }
    sheets = (taught_sheet(found, exact), banned_sheet(found, exact))
    page = environment().from_string(resource("proof.html.j2"))
    return Markup(
        page.render(sheets=sheets, dynamics=_dynamics_sheet(found[PROBE]), figures=figures)
    )
