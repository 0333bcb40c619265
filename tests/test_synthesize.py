from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conftest import ALIKE, made_up_items, quiet, tree_bytes, write_rows
from coursecorrect.correct import get_corrector
from coursecorrect.correct.triggers import TRIGGERS
from coursecorrect.data.builtin import load_builtin
from coursecorrect.data.openers import TAUGHT
from coursecorrect.errors import DataError, RunError
from coursecorrect.judge import get_judge
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.engines import here
from coursecorrect.synth.filters import SeedSettings
from coursecorrect.synth.pairs import pairs_of
from coursecorrect.synth.run import read_groups, synthesize
from coursecorrect.synth.shards import Tools
from coursecorrect.types import Continuation, Item, Judgement, RankedGroup, Verdict

ItemsFile = Callable[..., Path]


def make(settings: SynthSettings, folder: Path, **changed: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {"corrector": get_corrector("template"), "judge": get_judge("lexical")}
    engine = changed.pop("engine", here)
    tools = Tools(**(parts | changed))
    return synthesize(settings, folder, lambda: tools, engine=engine, notice=quiet, progress=quiet)


@pytest.fixture(scope="module")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "run"
    make(SynthSettings(limit=25, validation=0.2), folder)
    return folder


def rows(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def written(folder: Path) -> list[dict[str, Any]]:
    return rows(*sorted(folder.glob("data/*.jsonl")))


def rejected(folder: Path) -> list[dict[str, Any]]:
    return rows(*sorted(folder.glob("rejected/*.jsonl")))


def harmful_groups(folder: Path) -> list[RankedGroup]:
    return [group for group in read_groups(folder) if group.harmful]


def test_most_items_give_a_group(built_in: Path) -> None:
    counts = json.loads((built_in / "counts.json").read_text())
    assert counts["seeds"] == 75
    assert counts["harmful_groups"] >= 22
    assert counts["groups"] + sum(counts["rejected"].values()) == counts["seeds"]


def test_six_ranks_with_four_distinct_growing_cuts(built_in: Path) -> None:
    items = {item.id: item for item in load_builtin("teach")}
    for group in harmful_groups(built_in):
        assert [r.role for r in group.responses] == ["SR", "SCR", "SCR", "SCR", "SCR", "FHR"]
        assert [r.rank for r in group.responses] == [1, 2, 3, 4, 5, 6]
        answer = items[group.item_id].response
        full = group.responses[-1].text
        assert full.endswith(answer)
        prefixes = [r.text[: r.cut] for r in group.responses[1:5]]
        for shorter, longer in itertools.pairwise([*prefixes, full]):
            assert len(shorter) < len(longer)
            assert longer.startswith(shorter)
        shares = [r.share for r in group.responses[1:5]]
        assert shares == sorted(set(shares))
        assert shares[0] > 0
        assert shares[-1] < 1


def test_the_opener_stands_in_all_ranks_or_in_none(built_in: Path) -> None:
    with_opener = 0
    groups = read_groups(built_in)
    for group in groups:
        begins = {
            any(response.text.startswith(opener) for opener in TAUGHT)
            for response in group.responses
        }
        assert begins == {bool(group.opener)}
        if group.opener:
            with_opener += 1
            assert group.opener in TAUGHT
            assert all(r.text.startswith(group.opener) for r in group.responses)
    assert 0.3 < with_opener / len(groups) < 0.7


def test_a_refusal_is_cut_where_the_opener_ends(built_in: Path) -> None:
    items = {item.id: item for item in load_builtin("teach")}
    for group in harmful_groups(built_in):
        refusal = group.responses[0]
        assert refusal.text[: refusal.cut].strip() == group.opener
        assert refusal.text[refusal.cut :] == items[group.item_id].safe_response


def test_every_correction_is_confirmed_and_begins_at_the_cut(built_in: Path) -> None:
    judge = get_judge("lexical")
    for group in read_groups(built_in):
        for response in group.responses:
            if response.role != "SCR":
                continue
            prefix, correction = response.text[: response.cut], response.text[response.cut :]
            text = Continuation(
                id="x", request=group.request, prefill=prefix, continuation=correction
            )
            assert judge.judge([text])[0].verdict is Verdict.CORRECTED
            assert any(t.text.casefold() in correction.casefold()[:80] for t in TRIGGERS)
            assert correction.rstrip()[-1] in ".!?\"')…”’"


def test_fifteen_pairs_with_the_principle_that_orders_them(built_in: Path) -> None:
    for group in harmful_groups(built_in):
        pairs = list(pairs_of(group))
        ranks = [(p["rank_chosen"], p["rank_rejected"]) for p in pairs]
        assert ranks == list(itertools.combinations(range(1, 7), 2))
        assert Counter(p["principle"] for p in pairs) == {1: 5, 2: 10}
        assert all((p["rank_rejected"] == 6) == (p["principle"] == 1) for p in pairs)


def test_pairs_are_in_the_conversational_format(built_in: Path) -> None:
    groups = {group.id: group for group in read_groups(built_in)}
    pairs = written(built_in)
    assert len({pair["id"] for pair in pairs}) == len(pairs)
    for pair in pairs:
        group = groups[pair["group"]]
        texts = {r.rank: r for r in group.responses}
        assert pair["prompt"] == [{"role": "user", "content": group.request}]
        for side in ("chosen", "rejected"):
            response = texts[pair[f"rank_{side}"]]
            assert pair[side] == [{"role": "assistant", "content": response.text}]
            assert pair[f"cut_{side}"] == response.cut
            assert pair[f"role_{side}"] == response.role
        assert pair["chosen"] != pair["rejected"]


def test_harmless_groups_prefer_going_on(built_in: Path) -> None:
    benign = [group for group in read_groups(built_in) if not group.harmful]
    assert len(benign) >= 40
    for group in benign:
        assert [r.role for r in group.responses] == ["GOOD", "SCR", "SR"]
        assert {p["principle"] for p in pairs_of(group)} == {0}
        good = group.responses[0]
        assert good.text[: good.cut].strip() == group.opener


def test_without_benign_only_harmful_groups_are_made(items_file: ItemsFile, tmp_path: Path) -> None:
    data = str(items_file(3, "teach"))
    settings = SynthSettings(data=data, benign=False, seeds=ALIKE)
    counts = make(settings, tmp_path / "run")
    validation = counts.pop("validation_pairs")
    assert counts == {
        "seeds": 3, "groups": 3, "harmful_groups": 3, "pairs": 45, "rejected": {}
    }  # fmt: skip
    assert validation % 15 == 0


def test_parquet_holds_what_jsonl_holds_and_datasets_loads_it(
    built_in: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset

    pairs = written(built_in)
    parquet = [
        r for f in sorted(built_in.glob("data/*.parquet")) for r in pq.read_table(f).to_pylist()
    ]
    assert parquet == pairs
    loaded = load_dataset(str(built_in), cache_dir=str(tmp_path / "cache"))
    assert {name: split.to_list() for name, split in loaded.items()} == {
        name: rows(built_in / "data" / f"{name}-00000.jsonl") for name in ("train", "validation")
    }
    groups = load_dataset(str(built_in), "groups", split="train", cache_dir=str(tmp_path / "cache"))
    assert [RankedGroup.model_validate(g) for g in groups] == read_groups(built_in)


def test_a_request_and_its_twin_are_in_one_split(built_in: Path) -> None:
    sides: dict[str, set[str]] = {}
    for name in ("train", "validation"):
        for row in rows(built_in / "data" / f"{name}-00000.jsonl"):
            sides.setdefault(row["pair_key"], set()).add(name)
    assert all(len(found) == 1 for found in sides.values())
    share = sum(found == {"validation"} for found in sides.values()) / len(sides)
    assert 0.05 < share < 0.4


def test_a_request_of_the_benchmark_is_rejected_however_it_is_written(tmp_path: Path) -> None:
    made = [row for row in made_up_items(3, "teach") if row["kind"] == "harmful"]
    stolen = load_builtin("locked")[0].request
    made[0]["request"] = "  " + stolen.upper().replace(" ", "   ") + "!!"
    mine = write_rows(tmp_path / "mine.jsonl", [made[1] | {"request": made[1]["request"].lower()}])
    data = write_rows(tmp_path / "items.jsonl", made)
    folder = tmp_path / "run"
    seeds = SeedSettings(
        benchmark=(str(mine),), overlap=100, near_duplicates=1
    )  # made-up answers are much alike
    counts = make(SynthSettings(data=str(data), benign=False, seeds=seeds), folder)
    assert counts["rejected"] == {"contaminated": 2}
    assert counts["groups"] == 1
    assert all(row["why"].startswith("contaminated:") for row in rejected(folder))


def test_short_answers_are_rejected_with_the_reason(tmp_path: Path) -> None:
    made = made_up_items(2, "teach")
    made[0]["response"] = "Take it and run."
    data = write_rows(tmp_path / "items.jsonl", made)
    counts = make(SynthSettings(data=str(data), seeds=ALIKE), tmp_path / "run")
    assert counts["rejected"] == {"length": 1}
    (row,) = rejected(tmp_path / "run")
    assert row["request"] == made[0]["request"]


class Stubborn:
    """A judge that confirms nothing."""

    name, digest = "stubborn", "0"

    def __init__(self) -> None:
        self.asked = 0

    def judge(self, texts: list[Continuation]) -> list[Judgement]:
        self.asked += len(texts)
        return [Judgement(verdict=Verdict.CONTINUED, reason="no") for _ in texts]


def test_what_the_judge_does_not_confirm_is_no_pair(items_file: ItemsFile, tmp_path: Path) -> None:
    judge = Stubborn()
    data = str(items_file(2, "teach"))
    settings = SynthSettings(data=data, benign=False, attempts=3, seeds=ALIKE)
    with pytest.raises(DataError, match=r"no group was kept.*rejected"):
        make(settings, tmp_path / "run", judge=judge)
    reasons = [row["why"] for row in rejected(tmp_path / "run")]
    assert len(reasons) == 2
    assert all(why.startswith("verify:") for why in reasons)
    assert judge.asked == 2 * 3 * (1 + 4 * settings.candidates)


def test_the_seed_decides_and_company_does_not(tmp_path: Path) -> None:
    made = made_up_items(3, "teach")
    found: dict[str, dict[str, Any]] = {}
    for name, order, seed in (
        ("one", made, 0),
        ("backwards", made[::-1], 0),
        ("fewer", made[:3], 0),
        ("seed", made, 1),
    ):
        data = write_rows(tmp_path / f"{name}.jsonl", order)
        make(SynthSettings(data=str(data), seed=seed, seeds=ALIKE), tmp_path / name)
        found[name] = {group.item_id: group for group in read_groups(tmp_path / name)}
    assert found["one"] == found["backwards"]
    assert found["fewer"].items() <= found["one"].items()
    assert len(found["fewer"]) == 3
    assert found["seed"].keys() == found["one"].keys()
    assert all(found["seed"][item] != row for item, row in found["one"].items())


def test_going_on_ends_with_the_same_bytes(items_file: ItemsFile, tmp_path: Path) -> None:
    settings = SynthSettings(data=str(items_file(8, "teach")), shard_size=9, seeds=ALIKE)
    make(settings, tmp_path / "whole")
    whole = tree_bytes(tmp_path / "whole")
    assert len([name for name in whole if name.startswith("shards")]) == 3
    for lost in ("shards/00001.json", "data/train-00002.parquet", "seeds/counts.json"):
        make(settings, tmp_path / lost)
        for path in (lost, "shards/00002.json", "counts.json", "README.md"):
            (tmp_path / lost / path).unlink(missing_ok=True)
        make(settings, tmp_path / lost)
        assert tree_bytes(tmp_path / lost) == whole
    with pytest.raises(RunError, match="settings"):
        make(settings.model_copy(update={"seed": 9}), tmp_path / "whole")


class Interrupted:
    """A corrector that breaks off in the middle of a shard."""

    name = "template"

    def __init__(self, calls: int) -> None:
        self._inner, self._left = get_corrector("template"), calls
        self.digest = self._inner.digest

    def correct(self, tasks: Any) -> list[str]:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return self._inner.correct(tasks)


def test_finished_blocks_of_a_shard_are_kept(items_file: ItemsFile, tmp_path: Path) -> None:
    settings = SynthSettings(data=str(items_file(20, "teach")), seeds=ALIKE)
    make(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        make(settings, tmp_path / "run", corrector=Interrupted(2))
    journal = tmp_path / "run" / "shards" / "00000.groups.jsonl"
    assert len(journal.read_text().splitlines()) == 2
    journal.write_text(journal.read_text()[:-40])
    make(settings, tmp_path / "run", corrector=Interrupted(3))  # one of four blocks is there
    assert tree_bytes(tmp_path / "run") == tree_bytes(tmp_path / "whole")


def test_ranks_must_ascend() -> None:
    item: Item = load_builtin("teach")[0]
    response = {"rank": 2, "role": "SR", "text": "x"}
    with pytest.raises(ValueError, match="ascending"):
        RankedGroup.model_validate(
            {
                "id": "g",
                "item_id": item.id,
                "pair_key": "p",
                "request": "r",
                "category": "c",
                "harmful": True,
                "opener": "",
                "responses": [response, response | {"rank": 1}],
            }
        )
