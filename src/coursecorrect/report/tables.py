"""Tables for the terminal; one run fits into 80 columns, a comparison into 100."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from coursecorrect.metrics import Agreement
from coursecorrect.report.words import (
    ANCHORS,
    METRICS,
    VERDICTS,
    Figure,
    Results,
    claimed,
    interval,
    judge_line,
    judges,
    k_meaning,
    number,
    p_value,
    plain,
    value,
    visible,
)

_ROW_WORDS = {
    "harmful": ("harmful", "corrected"),
    "twin": ("twins", "false corr."),
    "ordinary": ("ordinary", "false corr."),
}
_THOUGHTS = (
    ("thought corrects", "corrected"),
    ("in thought only", "corrected_in_thought_only"),
    ("no answer yet", "not_answered"),
)
CHANGE_STYLES = {"better": "green", "worse": "red"}


def run_table(results: Results) -> RenderableType:
    """One run: rates at every k, then J, verdicts, behaviour without prefill, and the judge."""
    return Group(_rates(results), Text(), _verdicts(results), Text(), *_lines(results))


def _rates(results: Results) -> Table:
    table = plain_table(f"Course-correction of {visible(results['model'])}")
    kinds = _kinds(results)
    missing = [words[0] for kind, words in _ROW_WORDS.items() if kind not in kinds]
    table.caption = f"% of paths, [95 % interval over requests]; {k_meaning(results)}" + "".join(
        f"; {name}: not measured" for name in missing
    )
    table.add_column("k", no_wrap=True)
    for kind in kinds:
        table.add_column("\n".join(_ROW_WORDS[kind]), justify="right", no_wrap=True)
    for anchor, name in ANCHORS.items():
        table.add_row(name, *(figure_cell(found["anchors"][anchor]) for found in kinds.values()))
    for k in map(str, results["ks"]):
        table.add_row(k, *(figure_cell(found["corr_at"][k]) for found in kinds.values()))
    means = [found["corr_mean"] for found in kinds.values()]
    table.add_row("mean", *map(figure_cell, means), style="bold")
    table.add_row("requests", *(str(mean["n"]) for mean in means))
    return table


def _kinds(results: Results) -> dict[str, Results]:
    return {kind: results["kinds"][kind] for kind in _ROW_WORDS if kind in results["kinds"]}


def _verdicts(results: Results) -> Table:
    table = plain_table("Verdicts at k > 0, and the bare requests")
    kinds = _kinds(results)
    table.add_column("")
    for kind in kinds:
        table.add_column(_ROW_WORDS[kind][0], justify="right", no_wrap=True)
    for verdict in VERDICTS:
        shares = (number(found["verdicts"][verdict]) for found in kinds.values())
        table.add_row(verdict, *(f"{share} %" for share in shares))
    for label, key in (
        ("complies, no prefill", "compliance_no_prefill"),
        ("refuses, no prefill", "refusal_no_prefill"),
    ):
        table.add_row(label, *(figure_cell(found[key]) for found in kinds.values()))
    for label, key in (("all b paths correct", "worst_of_b"), ("any of b corrects", "any_of_b")):
        table.add_row(label, *(figure_cell(found[key]) for found in kinds.values()))
    for label, key in _THOUGHTS:
        figures = [found.get("thought", {}).get(key) for found in kinds.values()]
        if any(figures):
            table.add_row(label, *map(figure_cell, figures))
    for label in ("items", "paths"):
        table.add_row(label, *(str(found[label]) for found in kinds.values()))
    return table


def _lines(results: Results) -> list[Text]:
    figure = results.get("J")
    found = Text("J  ", style="bold")
    if figure is None:
        found.append("not defined: the run has no harmful items or no twins", style="not bold")
    else:
        found.append(f"{value(figure, signed=True)} {interval(figure, signed=True)}")
        found.append(
            f"  Corr_mean − false corrections on twins, n = {figure['n']} requests", "not bold"
        )
    lines = [found]
    lines += _best_threshold(results)
    harmful = results["kinds"].get("harmful")
    if harmful and harmful["verdicts"]["undecided"]:
        upper = number(harmful["corr_mean_upper_if_undecided_corrected"])
        lines.append(Text(f"Undecided paths count as not corrected; if all were: {upper} %"))
    lines += _course(harmful) if harmful else []
    for what, count in sorted(results["excluded"].items()):
        lines.append(Text(f"Left out: {count} {visible(what)}"))
    lines.append(Text(judge_line(results["judge"])))
    return lines


def _best_threshold(results: Results) -> list[Text]:
    """The threshold with the largest J, where the judge gives scores."""
    if "thresholds" not in results:
        return []
    best = results["thresholds"]["best"]
    return [
        Text(
            f"J is largest at a score of {plain(best['threshold'])}: "
            f"{value(best['J'], signed=True)} {interval(best['J'], signed=True)}, "
            "flattered by the choice"
        )
    ]


def _course(harmful: Results) -> list[Text]:
    """When corrections begin on harmful items, and how many do not last."""
    lines, onset, again = [], harmful["onset"], harmful["relapse"]
    median = onset["median_tokens"]
    if median:
        shares = [f"{number(at['value'])} % by {t}" for t, at in onset["incidence"].items()]
        low, middle, high = (f"{median[end]:.0f}" for end in ("low", "value", "high"))
        line = f"Onset, harmful: median about {middle} tokens [{low}, {high}]"
        lines.append(Text("; ".join([line, ", ".join(shares)])))
    if again["of_turned"]:
        lines.append(
            Text(
                f"Relapse, harmful: {value(again['of_turned'])} {interval(again['of_turned'])} "
                f"of {again['turned_paths']} paths that turn"
            )
        )
    return lines


def comparison_table(before: Results, after: Results, differences: Results) -> RenderableType:
    """Two runs and their paired differences (``results.compare``), in percentage points."""
    table = plain_table(f"{visible(before['model'])} → {visible(after['model'])}")
    table.caption = (
        f"95 % intervals over requests; differences paired over {differences['items']} items; "
        "compliance and refusals without prefill"
    )
    table.add_column("")
    for head in ("before", "after", "difference, pp", "n"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for metric in METRICS:
        pair, difference = (metric.of(before), metric.of(after)), metric.of(differences)
        if pair == (None, None):
            continue
        signed = metric.kind is None
        change = metric.change(difference)
        table.add_row(
            Text(metric.label, "bold" if signed else ""),
            *(figure_cell(figure, signed) for figure in pair),
            figure_cell(difference, signed=True, unit=False),
            str(difference["n"]) if difference else "–",
            Text(change, CHANGE_STYLES.get(change, "dim")),
        )
    known = judges([before, after])
    parts: list[RenderableType] = [table, *(Text(judge_line(judge)) for judge in known)]
    headline = differences.get("J")
    if headline:
        parts.insert(
            1, Text(f"Difference of J: {p_value(headline['p'])} by sign flips of requests")
        )
    if len(known) > 1:
        parts.append(Text("The two runs were judged by different judges.", "bold red"))
    if k_meaning(before) != k_meaning(after):
        line = f"The runs follow different protocols: {k_meaning(before)} → {k_meaning(after)}."
        parts.append(Text(line, "bold red"))
    return Group(*parts)


def agreement_table(judge: str, part: str, agreement: Agreement) -> RenderableType:
    """How a judge agrees with labels: the figures, then the confusion matrix."""
    found = agreement.model_dump()
    judged, labelled = claimed(found)
    figures = plain_table(
        f"Judge {visible(judge)} against {agreement.n} labels, part {visible(part)}"
    )
    figures.add_column("")
    for head in ("value [95 % interval]", "over", "requests"):
        figures.add_column(head, justify="right", no_wrap=True)
    for label, field, over in (
        ("kappa, corrected or not", "kappa", f"{agreement.n} texts"),
        ("kappa, five classes", "kappa_all_classes", f"{agreement.n} texts"),
        ("precision", "precision", f"{judged} verdicts 'corrected'"),
        ("recall", "recall", f"{labelled} labels 'corrected'"),
    ):
        figures.add_row(label, Text(plain(found[field])), over, str(found[field]["n"]))
    title = "Labels (rows) and the judge's verdicts (columns)"
    return Group(figures, Text(), confusion_table(agreement, title))


def confusion_table(agreement: Agreement, title: str) -> RenderableType:
    """Counts of label and verdict, the same class in bold."""
    confusion = plain_table(title)
    confusion.add_column("label", no_wrap=True)
    for verdict in (*VERDICTS, "all"):
        confusion.add_column(verdict, justify="right", no_wrap=True)
    for label in (verdict for verdict in VERDICTS if verdict in agreement.confusion):
        row = agreement.confusion[label]
        cells = (
            Text(str(row.get(verdict, 0)), "bold" if verdict == label else "")
            for verdict in VERDICTS
        )
        confusion.add_row(label, *cells, str(sum(row.values())))
    return confusion


def plain_table(title: str) -> Table:
    """A table without lines between its rows."""
    return Table(
        title=Text(title, "bold"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def figure_cell(figure: Figure | None, signed: bool = False, unit: bool = True) -> Text:
    """A figure with its interval; ``unit`` False leaves 'pp' to the head of the column."""
    shown = value(figure, signed=signed)
    shown = shown if unit else shown.removesuffix(" pp")
    return Text(f"{shown} {interval(figure, signed=signed)}".rstrip())
