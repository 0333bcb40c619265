"""Strict, reference and the differences between them, from settings to the table."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from conftest import made_up_items, quiet, tree_bytes, write_rows
from coursecorrect import workflow
from coursecorrect.data.openers import opener_for
from coursecorrect.errors import RunError
from coursecorrect.evaluate import EvalSettings, protocol_settings, select_items, shared_items
from coursecorrect.generate.base import Sampling
from coursecorrect.judge import get_judge
from coursecorrect.models import ModelSettings
from coursecorrect.prefill import Cuts
from coursecorrect.report.protocols import NAMES, protocol_results, protocol_table
from coursecorrect.report.results import load_run, results_of
from test_report import BEFORE, make_run

ItemsFile = Callable[..., Path]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def settings_for(folder: Path, data: Path, **changed: Any) -> EvalSettings:
    values: dict[str, Any] = {
        "model": ModelSettings(model=str(folder), device="cpu"),
        "data": str(data),
        "ks": (3, 6),
        "sampling": Sampling(paths=2, max_new_tokens=3),
    }
    return EvalSettings(**values | changed)


def test_reference_is_all_three_and_default_runs_record_none() -> None:
    reference = EvalSettings.model_validate({"protocol": "reference", "unit": "tokens"})
    assert reference.cuts == Cuts("words", count_opener=True, close_turn=True)
    recorded = reference.model_dump(mode="json")
    assert (recorded["unit"], recorded["count_opener"], recorded["close_turn"]) == (
        "words",
        True,
        True,
    )
    by_flags = EvalSettings(unit="words", count_opener=True, close_turn=True)
    assert by_flags.model_dump() == reference.model_dump()
    assert set(EvalSettings().model_dump(mode="json")) == {
        "model",
        "data",
        "split",
        "ks",
        "limit",
        "openers",
        "sampling",
        "system",
        "template_args",
        "ban_triggers",
        "judge",
        "batch_rows",
    }
    assert "unit" not in EvalSettings(count_opener=True).model_dump(mode="json")


def test_both_switches_the_three_itself() -> None:
    cuts = {name: s.cuts for name, s in protocol_settings(EvalSettings(protocol="both")).items()}
    assert cuts == {
        "strict": Cuts(),
        "unit": Cuts("words"),
        "count_opener": Cuts(count_opener=True),
        "close_turn": Cuts(close_turn=True),
        "reference": Cuts("words", True, True),
    }
    assert list(cuts) == list(NAMES)
    with pytest.raises(ValidationError, match="by itself"):
        EvalSettings(protocol="both", close_turn=True)


def test_an_item_too_short_for_one_protocol_is_left_out_of_all(
    tokenizer: Any, tmp_path: Path
) -> None:
    items = made_up_items(2)
    items[0]["response"] = "Unquestionably bread."  # many tokens, but two words
    data = write_rows(tmp_path / "items.jsonl", items)
    settings = settings_for(tmp_path, data)
    found = select_items(settings)
    kept, excluded = shared_items(protocol_settings(settings), found, tokenizer, get_judge("rules"))
    assert len(kept) == len(found) - 1
    assert "unit" in {row["protocol"] for row in excluded}
    assert "strict" not in {row["protocol"] for row in excluded}
    assert {row["why"] for row in excluded} == {"shorter than largest k"}


def made_up_runs(folder: Path) -> dict[str, Path]:
    """Two harmful items, two lengths, two paths; 3 of 8 corrected under strict."""
    tables = {
        "strict": BEFORE,
        "unit": {**BEFORE, "h1": "hh hc hh cd"},
        "count_opener": BEFORE,
        "close_turn": {**BEFORE, "h1": "hh hc cc cc", "h2": "ch hh cc cc"},
        "reference": {**BEFORE, "t2": "hh hh cc cc"},
    }
    return {name: make_run(folder / name, table) for name, table in tables.items()}


def test_what_each_difference_is_worth(tmp_path: Path) -> None:
    runs = made_up_runs(tmp_path)
    results = protocol_results(runs, {name: results_of(load_run(runs[name])) for name in runs})
    assert results["items"] == 5
    figures = {name: found["figures"] for name, found in results["protocols"].items()}
    worth = {
        name: {label: figure["value"] for label, figure in (found["difference"] or {}).items()}
        for name, found in results["protocols"].items()
    }
    # h1: c c | c d, h2: e u | c h, so 4 of 8; t1: c h | h h, so 1 of 8.
    assert figures["strict"]["Corr_mean, harmful"]["value"] == pytest.approx(4 / 8)
    assert worth["strict"] == {}
    assert worth["unit"]["Corr_mean, harmful"] == pytest.approx(-2 / 8)
    assert worth["count_opener"] == dict.fromkeys(worth["count_opener"], 0.0)
    assert worth["close_turn"]["J"] == pytest.approx(4 / 8)
    assert worth["reference"]["False corrections, twins"] == pytest.approx(4 / 8)
    assert worth["reference"]["J"] == pytest.approx(-4 / 8)
    screen = io.StringIO()
    Console(file=screen, width=100).print(protocol_table(results))
    text = screen.getvalue()
    assert all(name in text for name in NAMES.values())
    assert "−25 [" in text
    assert max(map(len, text.splitlines())) <= 100


def test_both_runs_five_protocols_on_the_same_items(
    tiny_model_folder: Path, items_file: ItemsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "agreement_or_none", lambda judge: None)
    out = tmp_path / "both"
    settings = settings_for(tiny_model_folder, items_file(2), protocol="both")
    results = workflow.measure_protocols(settings, out, notice=quiet, progress=quiet)
    assert json.loads((out / "protocols.json").read_text()) == results
    assert list(results["protocols"]) == list(NAMES)
    ids = [{row["id"] for row in rows(out / name / "items.jsonl")} for name in NAMES]
    assert ids == [ids[0]] * 5 and len(ids[0]) == 6
    texts = {
        name: {(r["item"], r["k"]): r["prefill"] for r in rows(out / name / "paths.jsonl")}
        for name in NAMES
    }
    items = {row["id"]: row for row in rows(out / "strict" / "items.jsonl")}
    for (item, k), text in texts["reference"].items():
        opener, response = items[item]["opener"], items[item]["response"]
        assert opener == opener_for(items[item]["pair_key"], "locked")
        if k > 0:
            assert text.split() == f"{opener} {response}".split()[:k]
            assert texts["unit"][item, k] == f"{opener} {' '.join(response.split()[:k])}"
        assert texts["close_turn"][item, k] == texts["strict"][item, k]
    order = [(row["k"], row["path"]) for row in rows(out / "reference" / "paths.jsonl")[:8]]
    assert order == sorted(order)
    recorded = json.loads((out / "reference" / "run.json").read_text())
    assert recorded["prefilled_example"].endswith("<|im_end|>\n<|im_start|>assistant\n")
    strict = json.loads((out / "strict" / "run.json").read_text())
    assert not {"prefilled_example", "cuts_inside_tokens"} & set(strict)
    assert "protocol" not in strict["settings"]
    found = json.loads((out / "reference" / "results.json").read_text())
    assert found["protocol"]["unit"] == "words"
    workflow.measure(
        settings_for(tiny_model_folder, Path(settings.data)),
        tmp_path / "alone",
        notice=quiet,
        progress=quiet,
    )
    assert tree_bytes(out / "strict") == tree_bytes(tmp_path / "alone")
    other = settings.model_copy(update={"ks": (2,)})
    with pytest.raises(RunError, match="settings"):
        workflow.measure_protocols(other, out, notice=quiet, progress=quiet)
