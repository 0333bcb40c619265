"""The report: one HTML file without scripts, made from run folders and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from coursecorrect import store
from coursecorrect.embedded import NAME, REVISION
from coursecorrect.report import plots, words
from coursecorrect.report.results import (
    Agreements,
    Run,
    calibration_of,
    compare,
    load_run,
    results_of_all,
)
from coursecorrect.report.samples import Sample, pick
from coursecorrect.report.words import Figure, Results

Row = dict[str, Any]

_MAY_DIFFER = ("settings.model.", "settings.server.", "model_revision", "model_dtype")
"""What two runs under comparison need not share: the model itself."""


def write_report(
    before: Path, after: Path | None, out: Path, *, agreements: Agreements | None = None
) -> Path:
    """Write the report on one run, or on two side by side, and return its path.

    Args:
        before, after: run folders; ``after`` may be None.
        agreements: of the judges for which one was measured.

    Raises:
        RunError, DataError: a folder that cannot be used.
    """
    folders = [folder for folder in (before, after) if folder is not None]
    runs = [load_run(folder) for folder in folders]
    results = results_of_all(runs, agreements)
    differences = compare(runs[0], runs[1]) if len(runs) == 2 else None
    write_page(runs, results, differences, out)
    return out


def write_page(
    runs: Sequence[Run],
    results: Sequence[Results],
    differences: Results | None,
    out: Path,
    taught: Markup | None = None,
) -> None:
    """The page on one run or two, from their figures.

    Args:
        runs, results: each run with its figures, which know the agreement of its judge.
        differences: the paired ones of two runs.
        out: the HTML file.
        taught: a section on what a training taught, in place of the table of differences.
    """
    page = (
        environment()
        .from_string(resource("report.html.j2"))
        .render(
            title=" → ".join(dict.fromkeys(run.model for run in runs)),
            sides=_side_words(runs),
            runs=runs,
            results=results,
            named=tuple(zip(_side_words(runs), results, strict=True)),
            ks=sorted({k for result in results for k in result["ks"]}),
            differences=differences,
            headline=_headline(results, differences),
            metrics=words.METRICS,
            figures=_figures(results),
            samples=_samples(runs),
            thinks=any("thought" in kind for r in results for kind in r["kinds"].values()),
            calibrated=_calibrated(runs),
            judges=words.judges(results),
            provenance=_provenance(runs),
            unlike=_unlike(runs),
            embedded=any(_is_embedded(run) for run in runs),
            excluded=[_excluded(run) for run in runs],
            unjudged=[_unjudged(run) for run in runs],
            taught=taught,
        )
    )
    store.write_text(out, page)


def resource(name: str) -> str:
    """A template or script that stands beside this module."""
    return files("coursecorrect.report").joinpath(name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Everything that is printed is first made visible, then escaped."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda x: words.visible(x) if type(x) is str else x,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "value": _value,
        "interval": _interval,
        "short": words.short_interval,
        "percent": lambda share: f"{words.exact(share)}\u00a0%",
        "plain": words.plain,
    }
    environment.globals |= {
        "KINDS": words.KINDS,
        "VERDICTS": words.VERDICTS,
        "ANCHORS": words.ANCHORS,
        "COLOURS": plots.VERDICT_COLOURS,
        "NOT_KNOWN": words.NOT_KNOWN,
        "k_unit": words.k_unit,
        "k_meaning": words.k_meaning,
        "claimed": words.claimed,
    }
    return environment


def _value(figure: Figure, signed: bool = False) -> str:
    return words.value(figure, signed=signed, form=words.exact).replace(" ", "\u00a0")


def _interval(figure: Figure, signed: bool = False) -> str:
    return words.interval(figure, signed=signed, form=words.exact)


def _side_words(runs: Sequence[Run]) -> tuple[str, ...]:
    return ("before", "after") if len(runs) == 2 else ("this run",)


_HEADLINE = (
    ("J", "Corr_mean − false corrections on twins; more is better", None, "J"),
    (
        "Corr_mean",
        "harmful prefills: the model turns away by itself; more is better",
        "harmful",
        "corr_mean",
    ),
    (
        "False corrections",
        "harmless twins: it turns away for no reason; less is better",
        "twin",
        "corr_mean",
    ),
    ("False corrections", "ordinary requests: the same; less is better", "ordinary", "corr_mean"),
)


def _headline(results: Sequence[Results], differences: Results | None) -> list[Row]:
    cards = []
    for name, note, kind, field in _HEADLINE:
        metric = next(m for m in words.METRICS if (m.kind, m.field) == (kind, field))
        difference = metric.of(differences) if differences else None
        cards.append(
            {
                "name": name,
                "note": note,
                "signed": kind is None,
                "figures": [metric.of(r) for r in results],
                "difference": difference,
                "change": metric.change(difference),
            }
        )
    return cards


_ESTIMATORS = ("judge", "ppi", "rogan_gladen")


def _calibrated(runs: Sequence[Run]) -> list[Row]:
    """The figures of the cards by each estimator, for each run that was calibrated."""
    found = []
    for side, run in zip(_side_words(runs), runs, strict=True):
        if (calibration := calibration_of(run.folder)) is not None:
            dumped = calibration.model_dump()
            shown = [_calibrated_row(name, kind, dumped) for name, _, kind, _ in _HEADLINE]
            found.append({"side": side, "rows": [row for row in shown if row], **dumped})
    return found


def _calibrated_row(name: str, kind: str | None, calibration: Row) -> Row | None:
    """None where the labels are too few."""
    if kind is None:
        figures = [calibration[f"{name}_{estimator}"] for estimator in _ESTIMATORS]
        return {"name": name, "figures": figures, "of": None} if any(figures) else None
    of = calibration["kinds"].get(kind)
    figures = [of[estimator] for estimator in _ESTIMATORS] if of else []
    return {"name": f"{name}, {words.KINDS[kind]}", "figures": figures, "of": of} if of else None


def _figures(results: Sequence[Results]) -> list[Row]:
    before, after = results[0], results[1] if len(results) == 2 else None
    makers = (
        ("corr", plots.corr_plot, "Corr@k on harmful prefills and false corrections on twins"),
        ("verdicts", plots.verdict_plot, "Shares of the five verdicts for each kind of request"),
    )
    return [
        {
            "label": f"{label}; the same figures stand in the tables below",
            "wide": themed(plots.svg(make(before, after), f"{name}-wide")),
            "narrow": themed(plots.svg(make(before, after, narrow=True), f"{name}-narrow")),
        }
        for name, make, label in makers
    ]


def themed(svg: str) -> Markup:
    """Our own SVG, its colours replaced by the page's, so that it follows a dark scheme."""
    for name, colour in plots.THEME.items():
        svg = svg.replace(colour, f"var(--{name},{colour})")
    return Markup(svg)


def _samples(runs: Sequence[Run]) -> list[Row]:
    """The samples in order; the first correction after a prefill stands open."""
    picked = pick(runs)
    telling = (i for i, s in enumerate(picked) if s.k > 0 and s.verdicts[-1] == "corrected")
    opened = next(telling, 0)
    return [{**_sample(sample), "open": i == opened} for i, sample in enumerate(picked)]


def _sample(sample: Sample) -> Row:
    k = {-1: "no prefill", 0: "opener only"}.get(sample.k, f"k = {sample.k}")
    return {
        "kind": sample.item["kind"],
        "k": k,
        "path": sample.path,
        "item": sample.item,
        "sides": [_side(side, sample.item["kind"]) for side in sample.sides],
    }


def _side(row: Row, kind: str) -> Row:
    """One continuation in three parts: before the correction, the correction, the relapse."""
    text = str(row["continuation"])
    onset = _offset(row["onset"], text, len(text))
    relapse = _offset(row["relapse"], text, len(text))
    relapse = max(onset, relapse)
    false = row["verdict"] == "corrected" and kind != "harmful"
    return {
        "prefill": row["prefill"],
        "start": text[:onset],
        "turn": text[onset:relapse],
        "relapse": text[relapse:],
        "verdict": row["verdict"],
        "badge": "false correction" if false else row["verdict"],
        "reason": row["reason"],
        "ending": {True: "ended its turn", False: "cut off"}.get(row["finished"], "ending unknown"),
    }


def _offset(found: Any, text: str, missing: int) -> int:
    return missing if found is None else max(0, min(int(found), len(text)))


def _flat(value: Any, name: str = "") -> dict[str, str]:
    """Nested settings as dotted names and text."""
    if isinstance(value, dict) and value:
        parts = (_flat(v, f"{name}.{k}" if name else str(k)) for k, v in sorted(value.items()))
        return {key: text for part in parts for key, text in part.items()}
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)}


def _provenance(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    tables = [_flat(run.settings) for run in runs]
    names = sorted({name for table in tables for name in table} - {"prompt_example"})
    return [(name, [table.get(name, "–") for table in tables]) for name in names]


def _unlike(runs: Sequence[Run]) -> list[str]:
    """Settings, other than the model, in which two runs differ: then the model is not all."""
    rows = _provenance(runs)
    return [n for n, found in rows if len(set(found)) > 1 and not n.startswith(_MAY_DIFFER)]


def _is_embedded(run: Run) -> bool:
    """Whether a run measured the embedded 135M model or, as far as it can tell, a child of it.

    A child keeps the chat template, which names SmolLM in every prompt; other sizes say so in
    their names.
    """
    name = run.model.casefold()
    if name == NAME or run.settings.get("model_revision") == REVISION or "smollm2-135m" in name:
        return True
    hint = name + str(run.settings.get("prompt_example", "")).casefold()
    return "smollm" in hint and not any(size in name for size in ("360m", "1.7b"))


def _excluded(run: Run) -> list[tuple[str, str, int, list[str]]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for row in run.excluded:
        groups.setdefault((str(row["kind"]), str(row["why"])), []).append(str(row["item"]))
    return [(kind, why, len(ids), ids) for (kind, why), ids in sorted(groups.items())]


def _unjudged(run: Run) -> Row:
    """How many paths carry no decision, and the commonest reasons for it."""
    judged = {row["id"]: row for row in run.verdicts}
    lacking = [judged.get(p["id"]) for p in run.paths]
    reasons = Counter(
        str(row["reason"]) if row else "no verdict stored"
        for row in lacking
        if row is None or row["verdict"] == "undecided"
    )
    return {"count": reasons.total(), "of": len(run.paths), "reasons": reasons.most_common(3)}
