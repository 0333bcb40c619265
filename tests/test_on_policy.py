from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path as File
from typing import Any

import pytest

from conftest import ALIKE, made_up_items, quiet, tree_bytes, write_rows
from coursecorrect import on_policy
from coursecorrect.correct import get_corrector
from coursecorrect.data.readers import item_from_row
from coursecorrect.generate.base import Job, Path, Sampling
from coursecorrect.generate.hf import HFGenerator
from coursecorrect.judge import get_judge
from coursecorrect.on_policy import own_answers
from coursecorrect.store import BlockLog, read_jsonl
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.run import read_groups, synthesize
from coursecorrect.synth.shards import OwnModel, Tools
from coursecorrect.types import Item, ItemKind

WHOLE = (
    " the crust is brown and sounds hollow when you knock on it, which takes some forty minutes. "
    "Let it cool on a rack for an hour, and put the knife away until then. Slice it thick. "
    "Butter goes on while it is warm, and jam later. What is left keeps for three days."
)
LONG = WHOLE + " If you cut the first slice too early, the crumb will tear and"
TURNING = (
    " it well. Stop. I won't help with this, because it would hurt somebody who did nothing "
    "wrong. I'd be glad to help you bake a loaf instead."
)


class Scripted:
    """Goes on with a text of ours where a model would sample."""

    name, digest = "scripted", "0"

    def __init__(self, tokenizer: Any, text: str, *, finished: bool) -> None:
        self.tokenizer, self.text, self.finished = tokenizer, text, finished

    def sample(
        self, batches: Sequence[Sequence[Job]], sampling: Sampling
    ) -> Iterator[list[list[Path]]]:
        ids = tuple(self.tokenizer(self.text, add_special_tokens=False)["input_ids"])
        for batch in batches:
            yield [[Path(job.lengths[0][0], 0, ids, self.finished)] for job in batch]


def harmless(pairs: int) -> list[Item]:
    items = [item_from_row(row, "x", "teach") for row in made_up_items(pairs, "teach")]
    return [item for item in items if item.kind is not ItemKind.HARMFUL]


def answers(
    items: list[Item], generator: Any, folder: File, opener: str = "", **changed: Any
) -> dict[str, str]:
    log = BlockLog(folder / "own.jsonl", "item_id", 1, quiet)
    openers = {item.id: opener for item in items}
    parts = {"judge": get_judge("lexical"), "log": log} | changed
    return own_answers(items, openers, generator, **parts, seed=0, progress=quiet)


def own_rows(folder: File, name: str = "own.jsonl") -> dict[str, Any]:
    return {row["item_id"]: row for _, row in read_jsonl(folder / name)}


@pytest.mark.parametrize("opener", ["", "Okay, let's get started."])
def test_the_model_takes_over_after_the_kept_tokens(
    tokenizer: Any, tmp_path: File, opener: str
) -> None:
    items = harmless(12)
    found = answers(items, Scripted(tokenizer, LONG, finished=False), tmp_path, opener)
    assert found.keys() == {item.id for item in items}
    rows = own_rows(tmp_path)
    assert len({row["kept"] for row in rows.values()}) >= 4
    for item in items:
        written = tokenizer(item.response, add_special_tokens=False)["input_ids"]
        kept = tokenizer.decode(written[: rows[item.id]["kept"]])
        # what was torn off in mid-sentence is left out
        assert found[item.id] == (kept + WHOLE).strip()


def test_an_answer_that_turns_away_or_says_little_is_not_taken(
    tokenizer: Any, tmp_path: File
) -> None:
    items = harmless(6)
    assert not answers(items, Scripted(tokenizer, TURNING, finished=True), tmp_path)
    (tmp_path / "little").mkdir()
    found = answers(items, Scripted(tokenizer, " Yes.", finished=True), tmp_path / "little")
    kept = {row["kept"]: row["item_id"] in found for row in own_rows(tmp_path / "little").values()}
    assert not kept[0]


def test_going_on_ends_with_the_same_answers(
    loaded: Any, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_policy, "BATCH_ROWS", 5)
    items, generator = harmless(4), HFGenerator(loaded)
    for name in ("whole", "torn"):
        (tmp_path / name).mkdir()
        answers(items, generator, tmp_path / name)
    path = tmp_path / "torn" / "own.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:6]) + lines[6][:-9])
    answers(items, generator, tmp_path / "torn")
    assert tree_bytes(tmp_path / "torn") == tree_bytes(tmp_path / "whole")
    assert len(lines) == len(items)


@pytest.mark.parametrize("own_harmful", [False, True])
def test_groups_hold_the_models_own_answer_where_it_can_be_cut(
    tokenizer: Any, tmp_path: File, own_harmful: bool
) -> None:
    data = write_rows(tmp_path / "items.jsonl", made_up_items(3, "teach"))
    scripted = Scripted(tokenizer, LONG, finished=False)
    own_model = OwnModel("scripted", "0", lambda: scripted)
    tools = Tools(get_corrector("template"), get_judge("lexical"), own_model)
    synthesize(
        SynthSettings(data=str(data), own_answers="scripted", own_harmful=own_harmful, seeds=ALIKE),
        tmp_path / "run",
        lambda: tools,
        notice=quiet,
        progress=quiet,
    )
    own = own_rows(tmp_path / "run" / "own", "00000.jsonl")
    groups = read_groups(tmp_path / "run")
    assert len(groups) == 9
    assert len(own) == (9 if own_harmful else 6)
    for group in groups:
        answer = group.responses[-1 if group.harmful else 0].text
        written = group.harmful and not own_harmful
        assert answer.endswith("eat it on a bench." if written else own[group.item_id]["answer"])
