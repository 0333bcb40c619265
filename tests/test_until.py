"""A measurement that stops at a width: the same items in any order, the same bytes after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import made_up_items, quiet, tree_bytes, write_rows
from coursecorrect.data.readers import read_items
from coursecorrect.evaluate import EvalSettings, evaluate, select_items
from coursecorrect.generate.base import Job, Sampling
from coursecorrect.generate.base import Path as SampledPath
from coursecorrect.judge import get_judge
from coursecorrect.metrics.plan import FEWEST_REQUESTS
from coursecorrect.models import ModelSettings
from coursecorrect.report import load_run

PAIRS = 50
SAMPLING = Sampling(paths=1, max_new_tokens=4)


class Script:
    """Corrects every third request; a batch is sampled only when it is asked for."""

    name = digest = "script"

    def __init__(self, tokenizer: Any, corrected: frozenset[str]) -> None:
        self.tokenizer, self.corrected, self.batches = tokenizer, corrected, 0

    def sample(
        self, batches: Sequence[Sequence[Job]], sampling: Sampling
    ) -> Iterator[list[list[SampledPath]]]:
        for batch in batches:
            self.batches += 1
            yield [
                [
                    SampledPath(k, i, (5, 6, 7, 8), False, self._text(job))
                    for k, _ in job.lengths
                    for i in range(sampling.paths)
                ]
                for job in batch
            ]

    def _text(self, job: Job) -> str:
        turned = job.key in self.corrected
        return " No, I will not help you steal." if turned else " hide it under your coat and go"


@pytest.fixture
def measure(tokenizer: Any, tmp_path: Path) -> Any:
    def run(name: str, until: float | None = 18, rows: Any = None, notice: Any = quiet) -> Script:
        items = made_up_items(PAIRS) if rows is None else rows
        data = write_rows(tmp_path / "data" / "items.jsonl", items)
        settings = EvalSettings(
            model=ModelSettings(model="script"),
            data=str(data),
            ks=(5,),
            sampling=SAMPLING,
            until=until,
            batch_rows=9,
        )
        harmful = [i for i in read_items(str(data)) if i.kind == "harmful"]
        turned = frozenset(i.id for i in harmful if int(i.pair_key.split("-")[1]) % 3 == 0)
        script = Script(tokenizer, turned)
        loaded: Any = SimpleNamespace(tokenizer=tokenizer, revision="r", model=None)
        evaluate(
            settings, tmp_path / name, select_items(settings), loaded, script, get_judge("rules"),
            notice=notice, progress=quiet,
        )  # fmt: skip
        return script

    (tmp_path / "data").mkdir()
    return run


def test_it_stops_early_with_whole_batches(measure: Any, tmp_path: Path) -> None:
    notices: list[str] = []
    script = measure("run", notice=notices.append)
    found = load_run(tmp_path / "run")  # a run that is whole for every reader
    harmful = [row for row in found.items if row["kind"] == "harmful"]
    assert FEWEST_REQUESTS <= len(harmful) < PAIRS
    assert len(found.items) == 3 * script.batches
    assert found.settings["settings"]["until"] == 18
    assert len(notices) == 1
    assert notices[0].startswith(f"stopped after {len(found.items)} of 150 items")
    # An item and its twin are neighbours, so that both are measured but for the last batch.
    keys = {row["pair_key"] for row in harmful}
    twins = {row["pair_key"] for row in found.items if row["kind"] == "twin"}
    assert len(keys ^ twins) <= 1


def test_a_width_out_of_reach_measures_all_and_says_so(measure: Any, tmp_path: Path) -> None:
    notices: list[str] = []
    measure("run", until=1, notice=notices.append)
    assert len(load_run(tmp_path / "run").items) == 150
    assert "±1.0 is not reached" in notices[0]


def test_the_files_order_decides_nothing(measure: Any, tmp_path: Path) -> None:
    items = made_up_items(PAIRS)
    measure("one", rows=items)
    measure("two", rows=items[::-1])
    assert tree_bytes(tmp_path / "one") == tree_bytes(tmp_path / "two")


@pytest.mark.parametrize("lines", [17, -1])
def test_going_on_stops_at_the_same_place(measure: Any, tmp_path: Path, lines: int) -> None:
    whole = measure("whole").batches
    measure("torn")
    torn = tmp_path / "torn" / "paths.jsonl"
    kept = torn.read_text().splitlines(keepends=True)[:lines]
    torn.write_text("".join(kept) + '{"id": "to')
    (tmp_path / "torn" / "items.jsonl").unlink()
    again = measure("torn")
    assert tree_bytes(tmp_path / "torn") == tree_bytes(tmp_path / "whole")
    assert 0 < again.batches <= whole
    assert measure("torn").batches == 0  # nothing beyond the stop is ever sampled


def test_without_a_width_nothing_is_recorded_or_reordered(measure: Any, tmp_path: Path) -> None:
    measure("run", until=None)
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert "until" not in settings
    first = load_run(tmp_path / "run").items[:3]
    assert [row["pair_key"] for row in first] == ["pair-0", "pair-0", "ordinary-0"]
