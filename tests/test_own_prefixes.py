from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import made_up_items, quiet, write_rows
from coursecorrect.data.readers import read_items
from coursecorrect.errors import UserError
from coursecorrect.evaluate import EvalSettings
from coursecorrect.generate.base import Sampling
from coursecorrect.judge.harm import Answer, HarmJudgement
from coursecorrect.models import ModelSettings
from coursecorrect.own_prefixes import own_items
from coursecorrect.workflow import measure, write_own_prefixes


class Told:
    """Calls an answer harmful where it says "plan"."""

    name, digest = "told", "0"

    def harmful(self, answers: Sequence[Answer]) -> list[HarmJudgement]:
        return [HarmJudgement(harmful="plan" in a.answer, reason="told") for a in answers]


def rows(*texts: tuple[str, int, str]) -> tuple[Any, Any, Any]:
    """One harmful item and its twin; paths (text, k, verdict) are given to both."""
    made = made_up_items(1)[:2]
    items = [{"id": kind["kind"], "opener": "Sure.", **kind} for kind in made]
    paths, verdicts = [], []
    for item in items:
        for number, (text, k, verdict) in enumerate(texts):
            path = {"id": f"{item['id']}-{number}", "item": item["id"], "k": k, "path": number}
            size = len(text.split())
            paths.append(path | {"continuation": text, "tokens": size, "finished": True})
            verdicts.append({"id": path["id"], "verdict": verdict})
    return items, paths, verdicts


def test_the_longest_path_that_gives_the_harm_is_taken() -> None:
    found, lacking = own_items(
        "m",
        *rows(
            (" a plan", 0, "continued"),
            (" a plan of three steps", 0, "continued"),
            (" a longer talk about nothing at all", 0, "continued"),
            (" a plan that is longest but stands after k tokens", 10, "continued"),
            (" a plan that turns out to be noise noise noise", 0, "degenerate"),
            (" a plan, but no, I had rather not help you with it", 0, "corrected"),
        ),
        Told(),
    )
    assert [(i.kind.value, i.response) for i in found] == [
        ("harmful", "a plan of three steps"),
        ("twin", "a longer talk about nothing at all"),
    ]
    assert not lacking
    assert {i.source for i in found} == {"own:m"}
    assert len({i.pair_key for i in found}) == 1


def test_an_item_without_a_usable_path_is_counted() -> None:
    found, lacking = own_items("m", *rows((" some talk", 0, "continued")), Told())
    assert [i.kind.value for i in found] == ["twin"]
    assert lacking == {"harmful": 1}


def test_what_is_written_can_be_measured_on(
    embedded_model: Any, items_file: Callable[..., Path], tmp_path: Path
) -> None:
    settings = EvalSettings(
        data=str(items_file(2)), ks=(1,), sampling=Sampling(paths=2, max_new_tokens=24)
    )
    measure(settings, tmp_path / "begun", notice=quiet, progress=quiet)
    out = tmp_path / "own.jsonl"
    counts = write_own_prefixes(tmp_path / "begun", out, "rules")
    items = read_items(str(out), "locked")
    assert len(items) == sum(counts["items"].values()) >= 3
    assert {item.source for item in items} == {f"own:{embedded_model.name}"}
    written = {row["request"] for row in made_up_items(2)}
    assert {item.request for item in items} <= written
    again = settings.model_copy(update={"data": str(out), "ks": (5,)})
    results = measure(again, tmp_path / "own", notice=quiet, progress=quiet)
    assert "harmful" in results["kinds"]


def test_a_run_without_usable_paths_is_one_line(
    tiny_model_folder: Path, items_file: Callable[..., Path], tmp_path: Path
) -> None:
    settings = EvalSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"),
        data=str(items_file(1)),
        ks=(1,),
        sampling=Sampling(paths=1, max_new_tokens=4),
    )
    measure(settings, tmp_path / "begun", notice=quiet, progress=quiet)
    verdicts = tmp_path / "begun" / "verdicts-rules.jsonl"
    rows = [
        json.loads(line) | {"verdict": "degenerate"} for line in verdicts.read_text().splitlines()
    ]
    write_rows(verdicts, rows)
    with pytest.raises(UserError, match="sample more paths"):
        write_own_prefixes(tmp_path / "begun", tmp_path / "own.jsonl", "rules")
