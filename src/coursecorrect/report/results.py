"""A run folder as records, its figures as ``results.json``, and the paired comparison of two."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from coursecorrect import store
from coursecorrect.errors import DataError, RunError
from coursecorrect.evaluate import REFERENCE
from coursecorrect.metrics import compare_runs, run_results
from coursecorrect.metrics.bootstrap import Clusters
from coursecorrect.metrics.calibration import Calibration
from coursecorrect.metrics.paired import paired_difference
from coursecorrect.metrics.paths import (
    CORRECTED,
    OPENER_ONLY,
    JudgedPath,
    item_rates,
    join_rows,
)
from coursecorrect.types import ItemKind, Verdict

Row = dict[str, Any]
Agreements = Mapping[str, Row]
"""A dumped ``metrics.Agreement`` for each judge that has one, by the judge's digest."""

CALIBRATION = "calibration.json"
"""In a run folder: what ``c2 calibrate`` found."""

_ITEM_FIELDS = ("id", "kind", "pair_key", "category", "request", "opener", "response")
_PATH_FIELDS = ("id", "item", "kind", "k", "path", "prefill", "continuation", "tokens", "finished")
_VERDICT_FIELDS = ("id", "verdict", "reason", "onset", "relapse")
_DEGENERATE = frozenset({Verdict.DEGENERATE})


@dataclass(frozen=True)
class Run:
    """All that a finished run folder holds."""

    folder: Path
    settings: Row
    """``run.json`` as it stands."""
    items: tuple[Row, ...]
    paths: tuple[Row, ...]
    verdicts: tuple[Row, ...]
    excluded: tuple[Row, ...]

    @property
    def name(self) -> str:
        """The folder's name, without the way to it."""
        return self.folder.resolve().name

    @property
    def model(self) -> str:
        """The model's name as it was asked for."""
        settings = self.settings["settings"]
        served = settings.get("server", {}).get("served_model")
        return str(served or settings["model"]["model"])

    @property
    def judge(self) -> str:
        """The name of the judge that was recorded with the run."""
        return str(self.settings["judge"]["name"])

    def joined(self) -> list[JudgedPath]:
        """Paths with their verdicts, as the metrics take them."""
        return join_rows(self.items, self.paths, self.verdicts)


class RunCalibration(Calibration):
    """A calibration as its run folder keeps it."""

    judge: dict[str, str]
    """Name and digest of the judge whose error is taken out."""


def load_run(folder: Path) -> Run:
    """Read a finished measurement.

    Raises:
        RunError: the folder holds no measurement, or one that did not finish (names what is
            missing and what to do).
        DataError: a row that cannot be used (names file:line).
    """
    settings = store.read_run(folder)
    if settings.get("kind") != "eval":
        raise RunError(
            f"{folder} holds a run of kind {settings.get('kind')!r}, not a measurement; "
            "give a folder made by 'c2 eval'"
        )
    try:
        judge, _ = str(settings["judge"]["name"]), settings["settings"]["model"]["model"]
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder}/run.json names no judge or no model; measure again") from error
    run = Run(
        folder=folder,
        settings=settings,
        items=_rows(folder / "items.jsonl", _ITEM_FIELDS),
        excluded=_rows(folder / "excluded.jsonl", ("item", "kind", "why")),
        paths=_rows(folder / "paths.jsonl", _PATH_FIELDS),
        verdicts=_rows(folder / f"verdicts-{judge}.jsonl", _VERDICT_FIELDS),
    )
    _check_kinds(folder, run)
    _check_whole(folder, run)
    return run


def _rows(path: Path, fields: Sequence[str]) -> tuple[Row, ...]:
    if not path.is_file():
        raise RunError(
            f"{path.parent} has no {path.name}; run the same 'c2 eval' command again to finish it"
        )
    rows = []
    for number, row in store.read_jsonl(path):
        lacking = [field for field in fields if field not in row]
        if lacking:
            raise DataError(f"{path}:{number}: the field {lacking[0]!r} is missing; measure again")
        rows.append(row)
    return tuple(rows)


def _check_kinds(folder: Path, run: Run) -> None:
    kinds, verdicts = {k.value for k in ItemKind}, {v.value for v in Verdict}
    strange = {str(row["kind"]) for row in (*run.items, *run.paths)} - kinds
    strange |= {str(row["verdict"]) for row in run.verdicts} - verdicts
    if strange:
        raise DataError(
            f"{folder}: unknown kind or verdict {min(strange)!r}; was it made by another version?"
        )


def _check_whole(folder: Path, run: Run) -> None:
    """Every item has the same lengths and as many paths at each: means need nothing less."""
    if not run.paths:
        raise RunError(f"{folder} has no paths yet; run the same 'c2 eval' command again")
    counts: dict[str, Counter[int]] = {str(row["id"]): Counter() for row in run.items}
    for row in run.paths:
        if row["item"] not in counts:
            raise RunError(
                f"{folder}: paths.jsonl holds the item {row['item']!r}, which items.jsonl lacks; "
                "measure again in another folder"
            )
        counts[row["item"]][row["k"]] += 1
    whole = max(counts.values(), key=lambda c: c.total())
    lacking = sum(count != whole for count in counts.values())
    if lacking:
        raise RunError(
            f"{folder} is not finished: {lacking} of {len(counts)} items lack paths; "
            "run the same 'c2 eval' command again"
        )
    if not {-1, 0} < whole.keys():
        raise RunError(f"{folder} lacks 'no prefill', 'opener only' or every k; measure again")


def results_of(run: Run, agreement: Row | None = None) -> Row:
    """Every figure of a run, with the judge and its agreement with labels beside them."""
    settings = run.settings["settings"]
    protocol = {name: settings[name] for name in REFERENCE if name in settings}
    return {
        **run_results(run.joined(), run.excluded),
        **({"protocol": protocol} if protocol else {}),
        "model": run.model,
        "benchmark_hash": run.settings.get("benchmark_hash"),
        "judge": {
            "name": run.judge,
            "digest": run.settings["judge"].get("digest"),
            "agreement": agreement,
        },
    }


def results_of_all(runs: Sequence[Run], agreements: Agreements | None) -> list[Row]:
    """The results of runs, each with the agreement of its own judge."""
    known = agreements or {}
    return [results_of(run, known.get(str(run.settings["judge"].get("digest")))) for run in runs]


def write_results(folder: Path, agreement: Row | None = None) -> Row:
    """Write ``results.json`` into a run folder and return what it holds."""
    results = results_of(load_run(folder), agreement)
    store.write_text(
        folder / "results.json",
        json.dumps(results, indent=1, sort_keys=True, allow_nan=False) + "\n",
    )
    return results


def calibration_of(folder: Path) -> RunCalibration | None:
    """What ``c2 calibrate`` found of a run; None where nobody asked.

    Raises:
        DataError: the file cannot be used.
        RunError: it is about another judge than that of the run.
    """
    path = folder / CALIBRATION
    if not path.is_file():
        return None
    try:
        found = RunCalibration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DataError(f"{path}: {reason}; run 'c2 calibrate' again or delete it") from error
    if found.judge != store.read_run(folder)["judge"]:
        raise RunError(
            f"{path} is about another judge than that of the run; "
            "run 'c2 calibrate' again or delete it"
        )
    return found


def compare_folders(
    before: Path, after: Path, agreements: Agreements | None = None
) -> tuple[Row, Row, Row]:
    """The results of two run folders and their paired differences."""
    runs = load_run(before), load_run(after)
    first, second = results_of_all(runs, agreements)
    return first, second, compare(*runs)


def compare(before: Run, after: Run, seed: int = 0) -> Row:
    """Paired differences, after − before: those of the metrics, J, and degenerate paths.

    Only items and lengths that both runs measured count.
    """
    pair = (before.joined(), after.joined())
    out: Row = compare_runs(*pair, seed=seed)
    shared = {p.item for p in pair[0]} & {p.item for p in pair[1]}
    ks = [k for k in out["ks"] if k > OPENER_ONLY]
    both = [[p for p in run if p.item in shared] for run in pair]
    for kind in (k for k in ItemKind if k.value in out):
        groups = [_clusters(run, kind, _DEGENERATE, ks) for run in both]
        out[kind.value]["degenerate"] = paired_difference(groups, (-1, 1), seed)
    if ItemKind.HARMFUL.value in out and ItemKind.TWIN.value in out:
        groups = [
            _clusters(run, kind, CORRECTED, ks)
            for run in both
            for kind in (ItemKind.HARMFUL, ItemKind.TWIN)
        ]
        out["J"] = paired_difference(groups, (-1, 1, 1, -1), seed)
    return out


def _clusters(
    paths: Iterable[JudgedPath], kind: ItemKind, verdicts: frozenset[Verdict], ks: Sequence[int]
) -> Clusters:
    keys, rates = item_rates([p for p in paths if p.kind is kind], verdicts, ks)
    return Clusters(keys, [[float(np.mean(r))] for r in rates])
