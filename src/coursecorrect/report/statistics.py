"""Terminal tables on the judge against people, on calibration, and on plans."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from coursecorrect.metrics.agreement import Agreement, Check
from coursecorrect.metrics.bootstrap import Estimate
from coursecorrect.metrics.calibration import Calibration
from coursecorrect.metrics.plan import Design, Plan
from coursecorrect.report.tables import agreement_table, confusion_table, plain_table
from coursecorrect.report.words import VERDICTS, exact, interval, plain, value, visible

_KIND_WORDS = {
    "harmful": "Corr_mean",
    "twin": "false corr., twins",
    "ordinary": "false corr., ordinary",
}


def check_table(judge: str, part: str, check: Check) -> RenderableType:
    """A judge against labels: over all, the confusion matrix, by class, by source."""
    parts = [agreement_table(judge, part, check.agreement), Text(), _classes(check)]
    if check.by_source:
        parts += [Text(), _sources(check)]
    return Group(*parts)


def _classes(check: Check) -> RenderableType:
    table = plain_table("By class: precision over its verdicts, recall over its labels")
    table.add_column("class", no_wrap=True)
    for head in ("precision", "verdicts", "recall", "labels"):
        table.add_column(head, justify="right", no_wrap=True)
    for name in (v for v in VERDICTS if v in check.by_class):
        row = check.by_class[name]
        cells = _share(row.precision), str(row.judged), _share(row.recall), str(row.labelled)
        table.add_row(name, *cells)
    return table


def _sources(check: Check) -> RenderableType:
    table = plain_table("By source of the text")
    table.caption = "n: texts / requests"
    table.add_column("source", min_width=8)
    for head in ("n", "kappa", "precision", "recall"):
        table.add_column(head, justify="right", no_wrap=True)
    for source, row in check.by_source.items():
        table.add_row(
            Text(visible(source) or "not named"),
            f"{row.n} / {row.kappa.n}",
            Text(plain(row.kappa.model_dump())),
            _share(row.precision),
            _share(row.recall),
        )
    return table


def annotators_table(agreement: Agreement, only_one: int) -> RenderableType:
    """Two people's labels of the same texts."""
    rows = [
        Text(f"{agreement.n} texts with two labels, {agreement.kappa.n} requests", "bold"),
        Text(f"kappa, corrected or not  {plain(agreement.kappa.model_dump())}"),
        Text(f"kappa, five classes      {plain(agreement.kappa_all_classes.model_dump())}"),
    ]
    if only_one:
        rows.append(Text(f"Left out: {only_one} texts with one label only"))
    title = "Labels of the first file (rows) and of the second (columns)"
    return Group(*rows, Text(), confusion_table(agreement, title))


def calibration_table(found: Calibration) -> RenderableType:
    """What the judge says, and the same with its error taken out."""
    table = plain_table(f"With the judge's error taken out, by {found.labels} labels of this run")
    table.caption = "95 % intervals over requests; they carry requests and labels"
    table.add_column("")
    for head in ("judge alone", "PPI++", "Rogan–Gladen"):
        table.add_column(head, justify="right", no_wrap=True)
    for kind, row in found.kinds.items():
        figures = row.judge, row.ppi, row.rogan_gladen
        table.add_row(_KIND_WORDS[kind], *(_share(figure) for figure in figures))
    if found.J_ppi is not None:
        figures_j = found.J_judge, found.J_ppi, found.J_rogan_gladen
        table.add_row("J", *(_share(figure, signed=True) for figure in figures_j), style="bold")
    lines = [
        Text(
            f"{_KIND_WORDS[kind]}: {row.labels} labels, {row.labelled_corrected} corrected; "
            f"sensitivity {_share(row.sensitivity)}, specificity {_share(row.specificity)}, "
            f"λ = {row.power:.2f}"
        )
        for kind, row in found.kinds.items()
    ]
    lines += [
        Text(f"{_KIND_WORDS[kind]}: {count} labels are too few")
        for kind, count in found.too_few.items()
    ]
    return Group(table, *lines)


def plan_table(plan: Plan) -> RenderableType:
    """The variances of the pilot, the cheapest design for each b, and the one to take."""
    table = plain_table(f"Designs for an interval of ±{exact(plan.half_width)} points")
    table.caption = "the cheapest for each b; tokens: new + prompt (about), anchors and twins too"
    for head in ("b", "k", "requests", "paths", "tokens", "promised", "if exact", ""):
        table.add_column(head, justify="right", no_wrap=True)
    cheapest: dict[int, Design] = {}
    for design in plan.designs:
        cheapest.setdefault(design.paths, design)
    for b, design in sorted(cheapest.items()):
        table.add_row(
            str(b),
            str(len(design.ks)),
            f"{design.requests:,}",
            f"{design.all_paths:,}",
            f"{design.tokens:,}",
            f"±{exact(design.promised)}",
            f"±{exact(design.expected)}",
            "←" if design == plan.chosen else "" if design.enough else "too many",
        )
    return Group(_pilot_line(plan), table, *_chosen_lines(plan))


def _pilot_line(plan: Plan) -> Text:
    parts = plan.components.model_dump().items()
    spreads = ", ".join(f"{name.replace('_', ' ')} {exact(v**0.5)}" for name, v in parts)
    return Text(
        f"Pilot: {plan.pilot_requests} requests × {len(plan.ks)} k × {plan.pilot_paths} paths. "
        f"Standard deviations in points: {spreads}"
    )


def _chosen_lines(plan: Plan) -> list[Text]:
    if plan.chosen is not None:
        design = plan.chosen
        ks = ",".join(map(str, design.ks))
        return [Text(f"Take: --limit {design.items} --ks {ks} --paths {design.paths}", "bold")]
    if plan.available is None:
        return [Text("No design keeps this width.", "bold red")]
    line = f"No design keeps this width with the {plan.available} requests of the locked part."
    lines = [Text(line, "bold red")]
    if plan.reachable is not None:
        lines.append(Text(f"With all of them, ±{exact(plan.reachable)} can be promised."))
    return lines


def _share(figure: Estimate | None, signed: bool = False) -> Text:
    found = figure.model_dump() if figure else None
    return Text(f"{value(found, signed=signed)} {interval(found, signed=signed)}".rstrip())
