from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from conftest import quiet
from coursecorrect.errors import UserError
from coursecorrect.models import ModelSettings
from coursecorrect.train import lesson
from coursecorrect.train.grouped import collate, log_probs
from coursecorrect.train.groups import TokenGroup
from coursecorrect.train.losses import turn_loss
from coursecorrect.train.packing import pack, side_by_side
from coursecorrect.train.recipe import TrainSettings, share_of
from coursecorrect.train.run import train
from exact import all_float64, exact_model, furthest, trainer_of

pytestmark = pytest.mark.filterwarnings("default")


def group_of(
    name: str, pair_key: str = "", *, harmful: bool = True, turns: tuple[int, ...] = ()
) -> TokenGroup:
    """A group whose text is 1, 2, 3, 4 with a place before the 3, and corrections after the 2."""
    corrections = tuple((1, 2, token, 9) for token in turns)
    return TokenGroup(
        name, pair_key or name, harmful, (0,), (*corrections, (1, 2, 3, 4)),
        (*(2 for _ in turns), None), tuple((i, len(turns)) for i in range(len(turns))),
        (1.0,) * len(turns), (2,),
    )  # fmt: skip


def test_places_follow_clauses_of_the_text_that_goes_on(
    groups: list[TokenGroup], pairs: list[dict[str, Any]], tokenizer: Any
) -> None:
    for group in groups:
        rows = [p for p in pairs if p["group"] == group.id]
        worst, best = (
            max(rows, key=lambda p: p["rank_rejected"])["rejected"],
            min(rows, key=lambda p: p["rank_chosen"])["chosen"],
        )
        text = (worst if group.harmful else best)[0]["content"]
        trunk = group.responses[group.trunk]
        assert tokenizer.decode(trunk).startswith(text)
        # All over the text, not only at its beginning.
        assert group.places[-1] > len(trunk) / 2
        for at in group.places:
            before = tokenizer.decode(trunk[:at])
            assert text.startswith(before)
            assert before.rstrip("\"')* ")[-1] in ".!?:;,-–—\n"


def test_no_place_stands_after_the_cut_of_a_trunk(
    pairs: list[dict[str, Any]], tokenizer: Any
) -> None:
    from coursecorrect.chat import ChatSettings
    from coursecorrect.train.groups import token_groups

    # Without the pairs of the first principle the worst response is the latest correction.
    rows = [p for p in pairs if p["harmful"] and p["principle"] == 2]
    for group in token_groups(tokenizer, rows, ChatSettings(), 1024):
        latest = max(r["cut_rejected"] for r in rows if r["group"] == group.id)
        assert group.places
        for at in group.places:
            assert len(tokenizer.decode(group.responses[group.trunk][:at])) <= latest


def test_openings_tell_corrections_from_what_follows_a_clause(groups: list[TokenGroup]) -> None:
    found = set(lesson.openings(groups))
    begun = [
        response[start]
        for group in groups
        for response, start in zip(group.responses, group.learn_from, strict=True)
        if start is not None
    ]
    followed = [g.responses[g.trunk][at] for g in groups for at in g.places]
    assert len(begun) == 3 * 5

    def share(tokens: list[int]) -> float:
        return sum(token in found for token in tokens) / len(tokens)

    assert share(begun) > max(0.2, 3 * share(followed))


def test_a_token_that_goes_on_with_the_text_is_no_opening() -> None:
    groups = [group_of(str(i), turns=(7, 3)) for i in range(4)]
    assert lesson.openings(groups) == (7,)
    assert lesson.openings([group_of("a", harmful=False)]) == ()


def test_a_rare_beginning_is_no_opening() -> None:
    groups = [group_of(str(i), turns=(7, 7)) for i in range(100)] + [group_of("x", turns=(8,))]
    assert lesson.openings(groups) == (7,)


def test_turn_loss_by_hand() -> None:
    mass = torch.tensor([0.5, 0.25], dtype=torch.float64)
    assert float(turn_loss(mass.log(), harmful=True)) == pytest.approx(math.log(8) / 2)
    assert float(turn_loss(mass.log(), harmful=False)) == pytest.approx(
        (math.log(2) + math.log(4 / 3)) / 2
    )
    sure = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    turn_loss(sure, harmful=False).backward()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()


@given(st.integers(1, 60), st.integers(1, 5))
def test_every_text_is_read_and_every_step_is_whole(texts: int, batch_size: int) -> None:
    order = [group_of(str(i)) for i in range(texts)]
    passes = lesson.passes(order, batch_size)
    assert len(passes) % batch_size == 0
    assert {len(together) for together in passes} == {lesson.TEXTS}
    flat = [text for together in passes for text in together]
    assert flat[:texts] == order
    assert len(flat) < texts + lesson.TEXTS * batch_size


def test_texts_are_beginnings_with_their_places() -> None:
    long = replace(
        group_of("long", turns=(7,)),
        responses=((1, 7), tuple(range(100))),
        places=(3, lesson.TOKENS - 1, lesson.TOKENS, 90),
    )
    (text,) = lesson.texts([long, replace(group_of("bare"), places=(80,))])
    assert text.responses == (tuple(range(lesson.TOKENS)),)
    assert text.places == (3, lesson.TOKENS - 1)
    assert text.harmful
    assert text.pairs == ()


def test_texts_side_by_side_do_not_see_each_other(
    groups: list[TokenGroup], tiny_model_folder: Path
) -> None:
    texts = lesson.texts(groups)[:4]
    together = side_by_side([pack(text) for text in texts])
    assert together.visible is not None
    lengths = [len(t.prompt_ids) + len(t.responses[0]) - 1 for t in texts]
    for i, start in enumerate([sum(lengths[:n]) for n in range(4)]):
        rows = together.visible[0, start : start + lengths[i]]
        assert not rows[:, :start].any()
        assert not rows[:, start + lengths[i] :].any()


@pytest.mark.parametrize("packed", [True, False])
def test_the_lesson_is_that_written_out(
    packed: bool,
    groups: list[TokenGroup],
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_float64(monkeypatch)
    opened, texts = lesson.openings(groups), lesson.texts(groups)[:4]
    assert {text.harmful for text in texts} == {True, False}
    model, start = exact_model(tiny_model_folder, seed=1), exact_model(tiny_model_folder)
    turns, held = [], []
    for text in texts:
        ids = torch.tensor([list(text.prompt_ids + text.responses[0])])
        first = len(text.prompt_ids) - 1
        now, before = (m(input_ids=ids).logits[0, first:-1].softmax(-1) for m in (model, start))
        mass = now[list(text.places)][:, list(opened)].sum(-1)
        turns.append((-mass.log() if text.harmful else -(1 - mass).log()).mean())
        if not text.harmful:
            held.append((before * (before / now).log()).sum(-1).mean())
    loss = 0.7 * sum(turns) / 4 + 0.3 * sum(held) / len(held)
    loss.backward()
    trainer = trainer_of(
        exact_model(tiny_model_folder, seed=1),
        [],
        tiny_model_folder,
        {},
        lesson=[texts],
        openings=opened,
        packed=packed,
        turn_weight=0.7,
        hold_weight=0.3,
    )
    found = trainer.compute_loss(trainer.model, collate([trainer.train_dataset[0]]))
    found.backward()
    assert found.item() == pytest.approx(loss.item(), abs=1e-8)
    gradient = [weight.grad for weight in trainer.model.parameters()]
    assert furthest(gradient, [weight.grad for weight in model.parameters()]) < 1e-8


@pytest.mark.parametrize("harmful", [True, False])
def test_a_group_asks_too_at_its_places(
    harmful: bool, groups: list[TokenGroup], tiny_model_folder: Path
) -> None:
    group = next(g for g in groups if g.harmful is harmful)
    opened = lesson.openings(groups)
    start = exact_model(tiny_model_folder)
    losses = []
    for weight in (0.0, 2.0):
        trainer = trainer_of(
            exact_model(tiny_model_folder, seed=1), [group], tiny_model_folder,
            {group.id: log_probs(start, group, packed=True)}, openings=opened, packed=True,
            turn_weight=weight,
        )  # fmt: skip
        losses.append(trainer.compute_loss(trainer.model, collate([trainer.train_dataset[0]])))
    ids = torch.tensor([list(group.prompt_ids + group.responses[group.trunk])])
    logits = exact_model(tiny_model_folder, seed=1)(input_ids=ids).logits[0]
    at = [len(group.prompt_ids) - 1 + place for place in group.places]
    log_mass = logits.log_softmax(-1)[at][:, list(opened)].logsumexp(-1)
    added = 2.0 * float(turn_loss(log_mass, harmful=harmful))
    assert float(losses[1] - losses[0]) == pytest.approx(added, abs=1e-6)


def test_a_share_keeps_pairs_together_and_about_so_many() -> None:
    both = [
        group_of(f"{i}{harmful}", f"key {i}", harmful=harmful)
        for i in range(400)
        for harmful in (True, False)
    ]
    kept = share_of(both, 0.25)
    assert 120 < len(kept) < 280
    keys = [group.pair_key for group in kept]
    assert all(keys.count(key) == 2 for key in set(keys))
    assert share_of(both, 1.0) == both
    assert set(keys) <= {group.pair_key for group in share_of(both, 0.5)}


def test_the_lesson_alone_teaches_where_to_turn(
    tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path
) -> None:
    settings = TrainSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"),
        batch_size=2, learning_rate=0.003, lesson_epochs=40,
        turn_weight=1.0, group_share=0,
    )  # fmt: skip
    train(settings, pairs_folder, tmp_path / "run", notice=quiet, progress=quiet)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    seen = [row for row in log if "harmful/turn_mass" in row and "harmful/nll" not in row]
    assert seen[-1]["harmful/turn_mass"] > 0.7
    assert seen[-1]["benign/turn_mass"] < 0.3


def test_a_killed_lesson_goes_on_from_its_checkpoint(
    tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path
) -> None:
    settings = TrainSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"),
        batch_size=1,
        lesson_epochs=2,
        turn_weight=1.0,
        save_steps=2,
    )

    def stop(stage: str, done: int, total: int, log: dict[str, float]) -> None:
        # Eighteen texts, four a step, then nine groups.
        assert stage != "training" or total == 5 + 9
        if stage == "training" and done == 3:
            raise KeyboardInterrupt

    steps: list[int] = []

    def count(stage: str, done: int, total: int, log: dict[str, float]) -> None:
        if stage == "training":
            steps.append(done)

    with pytest.raises(KeyboardInterrupt):
        train(settings, pairs_folder, tmp_path / "killed", notice=quiet, progress=stop)
    train(settings, pairs_folder, tmp_path / "killed", notice=quiet, progress=count)
    assert steps == list(range(3, 15))
    train(settings, pairs_folder, tmp_path / "whole", notice=quiet, progress=quiet)
    killed, whole = (
        load_file(tmp_path / n / "model/model.safetensors") for n in ("killed", "whole")
    )
    assert all(torch.equal(killed[name], whole[name]) for name in whole)


def test_a_lesson_without_a_weight_is_refused(
    tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path
) -> None:
    settings = TrainSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"), lesson_epochs=1
    )
    with pytest.raises(UserError, match="--turn-weight"):
        train(settings, pairs_folder, tmp_path / "run", notice=quiet, progress=quiet)


def test_a_share_that_leaves_nothing_is_refused(
    tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path
) -> None:
    settings = TrainSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"), group_share=0
    )
    with pytest.raises(UserError, match="--group-share 0 leaves no group"):
        train(settings, pairs_folder, tmp_path / "run", notice=quiet, progress=quiet)


def test_where_no_few_words_open_corrections_it_is_said(
    tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "LEAST_SHARE", 1.1)
    settings = TrainSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"),
        lesson_epochs=1,
        turn_weight=1.0,
    )
    notices: list[str] = []
    train(settings, pairs_folder, tmp_path / "run", notice=notices.append, progress=quiet)
    assert any("--turn-weight has no effect" in notice for notice in notices)
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "turn_mass" not in log
