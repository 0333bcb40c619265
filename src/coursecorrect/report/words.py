"""The words and number formats that tables, plots and the HTML page share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = {"harmful": "harmful", "twin": "harmless twins", "ordinary": "ordinary"}
VERDICTS = ("corrected", "continued", "degenerate", "ended", "undecided")
ANCHORS = {"no_prefill": "no prefill", "opener_only": "opener"}
NOT_KNOWN = "agreement with labels: not known"

Results = dict[str, Any]
Figure = dict[str, Any]
"""An ``Estimate`` as it stands in ``results.json``: value, low, high, n."""


@dataclass(frozen=True)
class Metric:
    """A row of a comparison: where its figure stands, and which direction is better."""

    label: str
    kind: str | None
    field: str
    """Its name; dots lead into what stands below it."""
    good: int
    """+1 where more is better, -1 where less is, 0 where neither is."""
    amount: bool = False
    """It counts tokens or nats and is no share."""

    def of(self, results: Results) -> Figure | None:
        """The figure in results of a run or in differences; None where it was not measured."""
        place: Any = results.get("kinds", results).get(self.kind, {}) if self.kind else results
        for name in self.field.split("."):
            place = (place or {}).get(name)
        found: Figure | None = place
        return found

    def change(self, difference: Figure | None) -> str:
        """'better' or 'worse' where the interval of the difference leaves zero out."""
        if difference is None or not self.good:
            return "–"
        if difference["low"] <= 0 <= difference["high"]:
            return "unclear"
        return "better" if (difference["low"] > 0) == (self.good > 0) else "worse"


METRICS = (
    Metric("J", None, "J", +1),
    Metric("Corr_mean, harmful", "harmful", "corr_mean", +1),
    Metric("False corrections, twins", "twin", "corr_mean", -1),
    Metric("False corrections, ordinary", "ordinary", "corr_mean", -1),
    Metric("Compliance, harmful", "harmful", "compliance_no_prefill", -1),
    Metric("Refusals, twins", "twin", "refusal_no_prefill", -1),
    Metric("Refusals, ordinary", "ordinary", "refusal_no_prefill", -1),
    Metric("Degenerate, harmful", "harmful", "degenerate", -1),
    Metric("Degenerate, twins", "twin", "degenerate", -1),
    Metric("Degenerate, ordinary", "ordinary", "degenerate", -1),
)


def k_unit(results: Results) -> str:
    """What k counts in a run: tokens or words."""
    return str(results.get("protocol", {}).get("unit", "tokens"))


def k_meaning(results: Results) -> str:
    """What k counts in a run, and whether its turns were closed."""
    protocol = results.get("protocol", {})
    parts = [f"k in {k_unit(results)}"]
    parts += ["opener counted"] if protocol.get("count_opener") else []
    parts += ["turn closed after the prefill"] if protocol.get("close_turn") else []
    return ", ".join(parts)


def number(share: float, signed: bool = False) -> str:
    """A share as percent: whole from 10 on, one decimal below, a true minus sign."""
    percent = round(100 * share, 1)
    digits = f"{abs(percent):.0f}" if abs(percent) >= 10 or percent == 0 else f"{abs(percent):.1f}"
    return f"{_sign(percent, signed)}{digits}"


def exact(share: float, signed: bool = False) -> str:
    """A share as percent with one decimal."""
    percent = round(100 * share, 1)
    return f"{_sign(percent, signed)}{abs(percent):.1f}"


def amount(found: float, signed: bool = False) -> str:
    """What is no share: whole from 10 on, below it with decimals: ``−123``, ``2.4``, ``0.35``."""
    digits = 0 if abs(found) >= 9.95 else 1 if abs(found) >= 0.995 else 2
    rounded = round(found, digits)
    return f"{_sign(rounded, signed)}{abs(rounded):.{digits}f}"


def _sign(percent: float, signed: bool) -> str:
    return "−" if percent < 0 else "+" if signed and percent > 0 else ""


Formatter = Callable[[float, bool], str]


def value(figure: Figure | None, *, signed: bool = False, form: Formatter = number) -> str:
    """The figure alone: ``93 %``, or ``+79 pp`` where it is a difference."""
    if figure is None:
        return "–"
    return f"{form(figure['value'], signed)} {'pp' if signed else '%'}"


def interval(figure: Figure | None, *, signed: bool = False, form: Formatter = number) -> str:
    """The 95 % interval alone: ``[88, 97]``."""
    if figure is None:
        return ""
    return f"[{form(figure['low'], signed)}, {form(figure['high'], signed)}]"


def short_interval(figure: Figure) -> str:
    """The interval in whole percent for narrow columns: ``88–97``, ``≥88`` or ``≤12`` at an end
    of the scale, or ``±0`` if it is a point."""
    low, high = (f"{100 * figure[end]:.0f}" for end in ("low", "high"))
    if low == high:
        return "±0"
    if str(high) == "100":
        return f"≥{low}"
    return f"≤{high}" if str(low) == "0" else f"{low}–{high}"


def plain(figure: Figure) -> str:
    """A figure that is no share (kappa): ``0.81 [0.70, 0.90]``."""
    parts = [f"{figure[key]:.2f}".replace("-", "−") for key in ("value", "low", "high")]
    return f"{parts[0]} [{parts[1]}, {parts[2]}]"


def p_value(p: float) -> str:
    """``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def short_p(p: float) -> str:
    """A p-value under a head that says so: ``0.012``, or ``< 0.001``."""
    return p_value(p).removeprefix("p ").removeprefix("= ")


def claimed(agreement: Results) -> tuple[int, int]:
    """How many texts the judge calls corrected, and how many the labels do."""
    confusion = agreement["confusion"]
    judge = sum(row.get("corrected", 0) for row in confusion.values())
    return judge, sum(confusion.get("corrected", {}).values())


def judges(results: Sequence[Results]) -> list[Results]:
    """Each judge of some runs once, with its agreement."""
    return [*{r["judge"]["digest"]: r["judge"] for r in results}.values()]


def judge_line(judge: Results) -> str:
    """A judge and its agreement in one line."""
    return f"Judge {visible(str(judge['name']))}, {agreement_line(judge['agreement'])}"


def agreement_line(agreement: Results | None) -> str:
    """The judge's agreement in one line; says so where it is not known.

    Precision and recall are 1 by convention where nothing is called corrected, so the counts
    behind them are shown.
    """
    if agreement is None:
        return NOT_KNOWN
    judged, labelled = claimed(agreement)
    found = {k: f"{value(agreement[k])} {interval(agreement[k])}" for k in ("precision", "recall")}
    return (
        f"agreement with {agreement['n']} labels: kappa {plain(agreement['kappa'])}, "
        f"precision {found['precision']} of {judged}, recall {found['recall']} of {labelled}"
    )


# Everything that a reader cannot see, or that changes how its surroundings are shown: control
# characters but tab and newline, formatting characters but the joiners that scripts and emoji
# need, line and paragraph separators, surrogates, private use, non-characters, tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
    "|[\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe\U0003ffff]"
)


def visible(text: str) -> str:
    """Text that any terminal or page shows as it is: what cannot be seen becomes ``⟨U+202E⟩``."""
    return _UNSEEN.sub(lambda m: f"⟨U+{ord(m[0]):04X}⟩", text)
