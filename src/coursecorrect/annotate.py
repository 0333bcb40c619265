"""Labels by people: drawing texts, labelling them, agreement, and what they say of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coursecorrect.data.builtin import load_builtin
from coursecorrect.data.labels import Row, labelled, read_labels, write_labels
from coursecorrect.errors import DataError, RunError, UserError
from coursecorrect.judge import JudgeSettings
from coursecorrect.metrics.agreement import Agreement, Check, agreement, check
from coursecorrect.metrics.calibration import Label, calibrate
from coursecorrect.metrics.paths import OPENER_ONLY
from coursecorrect.metrics.plan import Costs, Plan, costs_of, make_plan, pilot_of
from coursecorrect.report.results import CALIBRATION, RunCalibration, load_run
from coursecorrect.report.words import visible
from coursecorrect.store import write_text
from coursecorrect.types import ItemKind, Record, Verdict, content_id
from coursecorrect.workflow import NO_SETTINGS, built_in_labels, continuation_of, judge_for

UNDO: Final = "undo"
SKIP: Final = "skip"
QUIT: Final = "quit"

Ask = Callable[[Row, int, int], str]
"""Shows a row, with how many are labelled of how many; returns a verdict, UNDO, SKIP or QUIT."""


def sample_run(run: Path, n: int, out: Path, *, stratified: bool = True, seed: int = 0) -> int:
    """Draw paths at k > 0 of a run for labelling, without replacement; returns how many.

    Stratified, each kind of item gives equally many; else all paths have the same chance. A row
    holds the chance with which it was drawn, and neither kind, k, verdict nor model. The rows stand
    in random order, so that the first of them are a sample too.

    Raises:
        UserError: ``out`` exists, or there are no paths.
    """
    if out.exists():
        raise UserError(f"{out} exists and may hold labels; choose another name")
    known = load_run(run)
    requests = {row["id"]: row["request"] for row in known.items}
    strata: dict[str, list[Row]] = {}
    for path in known.paths:
        if path["k"] > OPENER_ONLY:
            strata.setdefault(path["kind"] if stratified else "", []).append(path)
    drawn = []
    for members, size in zip(strata.values(), _shares(strata.values(), n), strict=True):
        order = sorted(members, key=lambda path: content_id("draw", str(seed), path["id"]))
        drawn += [(path, size / len(members)) for path in order[:size]]
    drawn.sort(key=lambda pair: content_id("order", str(seed), pair[0]["id"]))
    write_labels(
        out,
        [
            {
                "id": path["id"],
                "request": visible(requests[path["item"]]),
                "prefill": visible(path["prefill"]),
                "continuation": visible(path["continuation"]),
                "finished": path["finished"],
                "probability": round(chance, 9),
                "label": "",
            }
            for path, chance in drawn
        ],
    )
    return len(drawn)


def _shares(strata: Iterable[Sequence[Row]], n: int) -> list[int]:
    """``n`` split evenly; what a small stratum cannot give goes to the others."""
    sizes = [len(members) for members in strata]
    given = [0] * len(sizes)
    for _ in range(min(n, sum(sizes))):
        open_strata = [i for i, size in enumerate(sizes) if given[i] < size]
        given[min(open_strata, key=given.__getitem__)] += 1
    return given


def label_file(path: Path, ask: Ask) -> tuple[int, int]:
    """Label the rows that have none, in order; returns (labelled, rows).

    The file is written after each answer, so that a kill loses nothing. UNDO goes back to the row
    that was labelled last, or to the one before the first open row.

    Raises:
        DataError: the file cannot be used.
    """
    rows = read_labels(path)
    for number, row in enumerate(rows, 1):
        if "continuation" not in row:
            raise DataError(f"{path}: row {number} has no 'continuation' to label")
    history = [i for i, row in enumerate(rows) if row["label"]]
    skipped: set[int] = set()
    at = _next_open(rows, skipped)
    while at is not None:
        answer = ask(rows[at], sum(bool(row["label"]) for row in rows), len(rows))
        if answer == QUIT:
            break
        if answer == UNDO:
            if history:
                at = history.pop()
                rows[at]["label"] = ""
                write_labels(path, rows)
            continue
        if answer == SKIP:
            skipped.add(at)
        else:
            history.append(at)
            rows[at]["label"] = answer
            write_labels(path, rows)
        at = _next_open(rows, skipped)
    return sum(bool(row["label"]) for row in rows), len(rows)


def _next_open(rows: Sequence[Row], skipped: set[int]) -> int | None:
    return next((i for i, row in enumerate(rows) if not row["label"] and i not in skipped), None)


@dataclass(frozen=True)
class Annotators:
    """Two labellings of the same texts."""

    agreement: Agreement
    only_one: int
    """Texts that one of the two files alone has a label for."""


def compare_annotators(first: Path, second: Path) -> Annotators:
    """Agreement of two files on the texts that both have labelled; drawn by request.

    Raises:
        UserError: no text has two labels.
    """
    a, b = ({row["id"]: row for row in labelled(read_labels(file))} for file in (first, second))
    both = sorted(a.keys() & b.keys())
    if not both:
        raise UserError(
            f"{first} and {second} share no labelled text; give two labellings of the same file"
        )
    return Annotators(
        agreement(
            [a[i]["label"] for i in both],
            [b[i]["label"] for i in both],
            [str(a[i].get("request", i)) for i in both],
        ),
        len(a.keys() ^ b.keys()),
    )


def check_built_in(judge: str, part: str, settings: JudgeSettings = NO_SETTINGS) -> Check:
    """A judge against the labels in the package; ``part`` is dev or locked."""
    rows = [row for row in built_in_labels() if row["part"] == part]
    if not rows:
        raise UserError(f"there are no labels of part {part!r}; choose dev or locked")
    return _check(judge, settings, rows, "built-in labels")


def check_labels(judge: str, path: Path, settings: JudgeSettings = NO_SETTINGS) -> Check:
    """A judge against a user's own labels; rows without a label are left out.

    The source of a row is its ``source``, else its ``model``.
    """
    rows = labelled(read_labels(path))
    if not rows:
        raise DataError(f"{path} has no labels yet; run 'c2 judge label {path}'")
    return _check(judge, settings, rows, str(path))


def _check(judge: str, settings: JudgeSettings, rows: Sequence[Row], where: str) -> Check:
    texts = [continuation_of(row, f"{where}, id {visible(row['id'])}") for row in rows]
    verdicts = [found.verdict.value for found in judge_for(judge, settings).judge(texts)]
    sources = [str(row.get("source") or row.get("model") or "") for row in rows]
    return check([row["label"] for row in rows], verdicts, [t.request for t in texts], sources)


def calibrate_run(run: Path, labels: Path) -> RunCalibration:
    """The run's figures with its judge's error taken out; its folder keeps them for the report.

    Raises:
        UserError: labels that are not of this very run, are too few, or have no probability.
    """
    known = load_run(run)
    rows = labelled(read_labels(labels))
    ids = {path["id"] for path in known.paths if path["k"] > OPENER_ONLY}
    own = sum(row["id"] in ids for row in rows)
    if not rows or own < len(rows):
        raise RunError(
            f"of {len(rows)} labels in {labels}, {own} are of prefilled paths of {run}; "
            f"calibration needs labels of that very run and no others: c2 judge sample {run}"
        )
    found = {row["id"]: Label(Verdict(row["label"]), _probability(row, labels)) for row in rows}
    figures = calibrate(known.joined(), found)
    calibration = RunCalibration(judge=known.settings["judge"], **dict(figures))
    write_json(run / CALIBRATION, calibration)
    return calibration


def _probability(row: Row, path: Path) -> float:
    try:
        chance = float(row["probability"])
    except (KeyError, TypeError, ValueError):
        chance = 0.0
    if not 0 < chance <= 1:
        raise DataError(
            f"{path}, id {visible(row['id'])}: field 'probability' must be above 0 and at most 1; "
            "draw the texts with 'c2 judge sample'"
        )
    return chance


def plan_run(run: Path, width: float) -> Plan:
    """The cheapest design for an interval of ± ``width`` points, with ``run`` as the pilot."""
    known = load_run(run)
    prompt = str(known.settings.get("prompt_example", ""))
    costs = costs_of(known.items, known.paths, known.excluded, prompt)
    pilot = pilot_of(known.joined())
    return make_plan(pilot, costs, width / 100, _available(known.settings["settings"], costs))


def _available(settings: dict[str, Any], costs: Costs) -> int | None:
    """Harmful items of the built-in locked part that can be measured; None for other data.

    A pilot on dev plans for the locked part, which is what is reported.
    """
    if settings.get("data") != "builtin":
        return None
    harmful = sum(item.kind is ItemKind.HARMFUL for item in load_builtin("locked"))
    return round(harmful * (1 - costs.excluded))


def write_json(path: Path, record: Record) -> None:
    """A record as a JSON file."""
    write_text(path, json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")
