"""The J curve over a judge's scores; and rows of judges without scores stay as they were."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console

from conftest import tree_bytes
from coursecorrect.metrics import run_results
from coursecorrect.metrics.paths import JudgedPath
from coursecorrect.metrics.threshold import THRESHOLDS, has_scores, threshold_curve
from coursecorrect.report import run_table, write_report, write_results
from coursecorrect.types import Judgement, Verdict
from test_path_metrics import path
from test_report import make_run


def scored(key: str, score: float | None, kind: str = "harmful") -> JudgedPath:
    return replace(path(key, kind=kind), score=score)


RUN = [
    *(scored("a", 0.9), scored("a", 0.6), scored("b", 0.7), scored("b", None)),
    *(scored("a", 0.6, "twin"), scored("a", 0.1, "twin"), scored("b", 0.2, "twin")),
    scored("b", 0.3, "twin"),
]


def test_the_curve_by_hand() -> None:
    found = threshold_curve(RUN)
    at = {row["threshold"]: row for row in found["curve"]}
    assert list(at) == list(THRESHOLDS)
    assert [at[0.05][f] for f in ("corr_mean", "false_corrections", "J")] == [0.75, 1, -0.25]
    # A score that equals the threshold counts; a path without one never does.
    assert [at[0.6][f] for f in ("corr_mean", "false_corrections", "J")] == [0.75, 0.25, 0.5]
    assert [at[0.65][f] for f in ("corr_mean", "false_corrections", "J")] == [0.5, 0, 0.5]
    # From 0.35 on J is 0.5 too: the lowest is taken.
    assert found["best"]["threshold"]["value"] == 0.35
    assert found["best"]["J"]["value"] == 0.5
    assert found["best"]["J"]["n"] == 2
    # Either request alone: a is best at 0.15 already (1 − ½), b at 0.35 (½ − 0).
    assert (found["best"]["threshold"]["low"], found["best"]["threshold"]["high"]) == (0.15, 0.35)


def test_anchors_are_no_part_of_it() -> None:
    bare = [replace(p, k=-1, score=0.99) for p in RUN]
    assert threshold_curve([*RUN, *bare]) == threshold_curve(RUN)
    assert not has_scores([replace(p, k=-1) for p in RUN])


def test_a_score_is_a_probability_and_is_not_written_when_it_is_none() -> None:
    bare = Judgement(verdict=Verdict.ENDED, reason="x")
    assert list(bare.model_dump(mode="json")) == ["verdict", "reason", "onset", "relapse"]
    assert "score" not in bare.model_dump_json()
    with_score = Judgement(verdict=Verdict.ENDED, reason="x", score=0)
    assert with_score.model_dump(mode="json")["score"] == 0
    assert Judgement.model_validate(with_score.model_dump()) == with_score
    with pytest.raises(ValidationError):
        Judgement(verdict=Verdict.ENDED, reason="x", score=1.1)


def shown(folder: Path) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(run_table(write_results(folder)))
    return out.getvalue()


def test_results_table_and_page_show_it_only_with_scores(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    page = write_report(run, None, tmp_path / "page.html")
    before = page.read_bytes()
    assert "J is largest" not in shown(run) + before.decode()
    assert b"thresholds" not in tree_bytes(run)["results.json"]
    verdicts = run / "verdicts-rules.jsonl"
    rows = [json.loads(line) for line in verdicts.read_text().splitlines()]
    for row in rows:
        row["score"] = 0.8 if row["verdict"] == "corrected" else 0.3
    verdicts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "J is largest at a score of 0.35" in shown(run)
    results = json.loads((run / "results.json").read_text())
    # Between the two scores the curve is the verdicts' own.
    assert results["thresholds"]["best"]["J"] == results["J"]
    text = write_report(run, None, page).read_text(encoding="utf-8")
    assert "J over the judge’s threshold" in text
    assert "0.35 [" in text


def test_results_of_paths_without_scores_are_what_they_were() -> None:
    run = [replace(p, score=None, k=k) for p in RUN for k in (-1, 0, 10)]
    assert "thresholds" not in run_results(run)
