"""Corr@k and the shares of the verdicts as figures; SVG for the page, PNG for papers."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from coursecorrect.report.words import ANCHORS, KINDS, VERDICTS, Results, k_unit

THEME = {
    "ink": "#17212b",
    "muted": "#566270",
    "grid": "#e1e6ec",
    "card": "#ffffff",
    "good": "#0b6aa2",
    "false": "#b54708",
}
"""Colours with a role; a page may put its own in their place (blue and orange stay apart for the
colour-blind, and both have the contrast of text on white)."""

VERDICT_COLOURS = {
    "corrected": ("#1a74ab", "#fefefe"),
    "continued": ("#e5935a", "#111111"),
    "degenerate": ("#5b5f66", "#fefefe"),
    "ended": ("#f3d27a", "#111111"),
    "undecided": ("#d0d6dd", "#111111"),
}
"""Fill, and the colour of text on it; neighbours differ in lightness, not in hue alone."""

_LINES = (("harmful", "good", "harmful"), ("twin", "false", "twins"))
_LABEL_GAP = 6.0  # least distance of two labels, in percent of the axis
_ROOM_FOR_SHARE = 7.0  # a bar narrower than this many percent carries no number


def corr_plot(before: Results, after: Results | None = None, *, narrow: bool = False) -> Figure:
    """Corr@k on harmful items and false corrections on twins, the anchors at the left."""
    figure = Figure(figsize=(4.2, 4.1) if narrow else (7.6, 4.0))
    axes = figure.add_axes((0.125, 0.17, 0.685, 0.65) if narrow else (0.075, 0.17, 0.72, 0.67))
    runs = [("before", before), ("after", after)] if after else [("", before)]
    ks = sorted({k for _, run in runs if run for k in run["ks"]})
    anchor_places = (0.0, 1.7) if narrow else (0.0, 1.0)
    first = anchor_places[-1] + 1.5
    places = {k: first + i for i, k in enumerate(ks)}
    labels: list[tuple[float, str, str, bool]] = []
    for step, (run_word, run) in enumerate(runs):
        for kind, colour, word in _LINES:
            found = (run or {}).get("kinds", {}).get(kind)
            if found:
                last = step == len(runs) - 1
                y = _draw_line(axes, found, places, THEME[colour], solid=last)
                at = [x + 0.11 * (len(labels) - len(runs) + 0.5) for x in anchor_places]
                _draw_anchors(axes, found, at, THEME[colour], solid=last)
                joint = ",\n" if narrow else ", "
                labels.append((y, joint.join(filter(None, (word, run_word))), colour, last))
    _label_ends(axes, labels, max(places.values()), 12.0 if narrow and after else _LABEL_GAP)
    size = 8.0 if narrow else 9.0
    anchors = ("no\nprefill", "opener\nonly")
    axes.set_xticks([*anchor_places, *places.values()], [*anchors, *map(str, ks)])
    axes.axvline(first - 0.75, color=THEME["grid"], linewidth=1)
    axes.set_xlim(-0.45, max(places.values()) + 0.25)
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 25))
    axes.grid(axis="y", color=THEME["grid"], linewidth=0.8)
    axes.set_xlabel(
        f"prefill length k ({k_unit(before)} of the full response)",
        fontsize=size,
    )
    axes.set_ylabel("paths that correct course (%)", fontsize=size)
    finish(axes, size)
    sizes = [f"{run['n']} {word}" for word, run in _sizes(before)]
    add_title(
        figure,
        "Corr@k on harmful prefills, false corrections on twins",
        f"{', '.join(sizes)}; bands and bars: 95 % interval over requests",
        narrow,
    )
    return figure


def _sizes(results: Results) -> list[tuple[str, Any]]:
    words = {"harmful": "harmful requests", "twin": "harmless twins"}
    kinds = results["kinds"]
    return [(word, kinds[kind]["corr_mean"]) for kind, word in words.items() if kind in kinds]


def _style(colour: str, solid: bool) -> dict[str, Any]:
    face = colour if solid else THEME["card"]
    return {"color": colour, "marker": "o", "markersize": 4.5, "markerfacecolor": face}


def _draw_line(
    axes: Axes, found: Results, places: dict[int, float], colour: str, *, solid: bool
) -> float:
    """Corr@k as a line with a band; returns the height at which the line ends."""
    points = {int(k): point for k, point in found["corr_at"].items()}
    ks = sorted(points)
    x = [places[k] for k in ks]
    rows = {end: [100 * points[k][end] for k in ks] for end in ("value", "low", "high")}
    axes.fill_between(
        x, rows["low"], rows["high"], color=colour, alpha=0.16 if solid else 0.08, linewidth=0
    )
    width, dashes = (2.0, "-") if solid else (1.4, "--")
    axes.plot(x, rows["value"], linewidth=width, linestyle=dashes, **_style(colour, solid))
    return float(rows["value"][-1])


def _draw_anchors(
    axes: Axes, found: Results, places: Sequence[float], colour: str, *, solid: bool
) -> None:
    """'No prefill' and 'opener only' as points, their intervals as bars."""
    for x, anchor in zip(places, ANCHORS, strict=True):
        point = found["anchors"][anchor]
        axes.vlines(x, 100 * point["low"], 100 * point["high"], color=colour, linewidth=1.2)
        axes.plot([x], [100 * point["value"]], linestyle="", **_style(colour, solid))


def _label_ends(
    axes: Axes, labels: Sequence[tuple[float, str, str, bool]], right: float, gap: float
) -> None:
    """Names beside the ends of the lines, moved apart where they would overlap."""
    order = sorted(labels)
    for (y, word, colour, solid), at in zip(
        order, _apart([row[0] for row in order], gap), strict=True
    ):
        axes.annotate(
            word,
            xy=(right + 0.12, y),
            xytext=(right + 0.55, at),
            color=THEME[colour],
            fontsize=8.5,
            fontweight="bold" if solid else "normal",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": THEME[colour],
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 2,
            },
        )


def _apart(ends: Sequence[float], gap: float) -> list[float]:
    """The ascending heights ``ends`` with at least ``gap`` between them, none above 100."""
    placed: list[float] = []
    for end in ends:
        placed.append(max(end, placed[-1] + gap) if placed else end)
    ceiling = 100.0
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def verdict_plot(before: Results, after: Results | None = None, *, narrow: bool = False) -> Figure:
    """The five verdicts as shares of all prefilled paths, a bar for each kind and run."""
    runs = [("before", before), ("after", after)] if after else [("", before)]
    bars: list[tuple[float, str, Results]] = []
    y = 0.0
    for kind, word in KINDS.items():
        for run_word, run in runs:
            found = (run or {}).get("kinds", {}).get(kind)
            if found:
                bars.append((y, ", ".join(filter(None, (word, run_word))), found))
                y += 1
        y += 0.45
    height = 1.75 + 0.33 * y
    figure = Figure(figsize=(4.2 if narrow else 7.6, height))
    left, size = (0.335, 8.0) if narrow else (0.205, 9.0)
    legend_height = 0.62 if narrow else 0.42
    axes = figure.add_axes(
        (left, (0.5 + legend_height) / height, 0.965 - left, 1 - (1.12 + legend_height) / height)
    )
    for place, _, found in bars:
        _draw_bar(axes, place, found["verdicts"], size)
    axes.set_yticks([place for place, _, _ in bars], [word for _, word, _ in bars], fontsize=size)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("share of paths at k > 0 (%)", fontsize=size)
    finish(axes, size)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    handles = [Patch(color=VERDICT_COLOURS[v][0]) for v in VERDICTS]
    figure.legend(
        handles,
        VERDICTS,
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=3 if narrow else 5,
        frameon=False,
        fontsize=size,
        labelcolor=THEME["ink"],
        handlelength=1.0,
        handleheight=0.9,
        columnspacing=1.4,
    )
    counts = {found["paths"] for _, _, found in bars}
    many = f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"
    add_title(figure, "What the paths do with the prefill", f"{many} paths a bar", narrow)
    return figure


def _draw_bar(axes: Axes, y: float, shares: dict[str, float], size: float) -> None:
    start = 0.0
    for verdict in VERDICTS:
        width = 100 * shares[verdict]
        fill, on_fill = VERDICT_COLOURS[verdict]
        axes.barh(y, width, left=start, height=0.78, color=fill, ec=THEME["card"], linewidth=0.8)
        if width >= _ROOM_FOR_SHARE:
            text = f"{width:.0f}"
            axes.text(
                start + width / 2, y, text, color=on_fill, fontsize=size, ha="center", va="center"
            )
        start += width


def add_title(figure: Figure, title: str, note: str, narrow: bool) -> None:
    """A bold title at the upper left, and a note below it."""
    height = figure.get_figheight()
    where: dict[str, Any] = {"ha": "left", "va": "top"}
    top = 1 - 0.06 / height
    size = 9.5 if narrow else 11.5
    figure.text(0.01, top, title, fontsize=size, fontweight="bold", color=THEME["ink"], **where)
    note_top = top - (0.24 if narrow else 0.27) / height
    if narrow and "; " in note:
        note = note.replace("; ", "\n")
    figure.text(0.01, note_top, note, fontsize=size - 2, color=THEME["muted"], **where)


def finish(axes: Axes, size: float) -> None:
    """No frame but the ground line, colours of the theme."""
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(THEME["muted"])
    axes.tick_params(colors=THEME["ink"], labelsize=size, length=0)
    axes.xaxis.label.set_color(THEME["muted"])
    axes.yaxis.label.set_color(THEME["muted"])


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element, the same bytes every time; ``name`` keeps its ids apart.

    Text stays text. Without prolog, metadata and style sheet, so that it can stand in a page.
    """
    options = {"svg.hashsalt": name, "svg.fonttype": "none", "text.parse_math": False}
    buffer = io.BytesIO()
    figure.patch.set_visible(False)
    with matplotlib.rc_context(options):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    return text.replace("<svg ", '<svg stroke-linejoin="round" ', 1)


def write_png(figure: Figure, path: Path, dpi: int = 200) -> None:
    """The figure on white, for papers and slides."""
    figure.patch.set_visible(True)
    figure.patch.set_facecolor(THEME["card"])
    figure.set_dpi(dpi)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    path.write_bytes(buffer.getvalue())
