from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from conftest import quiet, synthesised, write_rows
from coursecorrect.chat import ChatSettings
from coursecorrect.errors import DataError, RunError
from coursecorrect.models import ModelSettings, load, load_tokenizer
from coursecorrect.store import read_jsonl
from coursecorrect.train.grouped import (
    can_pack,
    lay_out,
    next_token_log_probs,
    of_responses,
)
from coursecorrect.train.groups import TokenGroup, decision_weights, token_groups
from coursecorrect.train.losses import preference_loss
from coursecorrect.train.packing import IGNORED, pack, packed_length
from coursecorrect.train.recipe import TrainSettings, training_order
from coursecorrect.train.run import read_pairs, train
from coursecorrect.train.validation import choose, summary
from exact import all_float64, exact_model, furthest, our_loss, plain_log_probs

PAIR_TEXTS = ("prompt", "chosen", "rejected")
pytestmark = pytest.mark.filterwarnings("default")


def test_a_packed_group_reads_each_beginning_once(groups: list[TokenGroup]) -> None:
    for group in groups:
        layout = pack(group)
        ids, labels = layout.ids[0].tolist(), layout.labels[0].tolist()
        beginnings = {r[: i + 1] for r in group.responses for i in range(len(r))}
        trunk = len(group.prompt_ids) - 1
        assert len(ids) == trunk + len(beginnings) == packed_length(group)
        assert labels[:trunk] == [IGNORED] * trunk
        for response, path in zip(group.responses, layout.paths, strict=True):
            assert tuple(labels[i] for i in path) == response
            seen = layout.visible[0][path[-1]].nonzero().flatten().tolist()
            # What the last position sees is the sequence itself, in its order and nothing else.
            assert [ids[i] for i in seen] == list((group.prompt_ids + response)[:-1])
            assert layout.positions[0][seen].tolist() == list(range(len(seen)))


@pytest.mark.parametrize("packed", [True, False])
def test_scores_are_those_of_one_sequence_at_a_time(
    groups: list[TokenGroup], tiny_model_folder: Path, packed: bool
) -> None:
    model = exact_model(tiny_model_folder)
    for group in groups:
        with torch.no_grad():
            layout = lay_out(group, packed=packed)
            found = of_responses(next_token_log_probs(model, layout), layout)
            for i, tokens in enumerate(found):
                assert (tokens - plain_log_probs(model, group, i)).abs().max() < 1e-9


def trl_loss(
    tiny: Path, rows: list[dict[str, Any]], loss_type: str, place: Path
) -> tuple[float, list[torch.Tensor]]:
    """Loss and gradient of TRL's trainer on pairs."""
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    trainer = DPOTrainer(
        model=exact_model(tiny, seed=1),
        ref_model=exact_model(tiny),
        args=DPOConfig(
            output_dir=str(place / "theirs"),
            beta=0.3,
            loss_type=loss_type,
            max_length=None,
            bf16=False,
            report_to=[],
            gradient_checkpointing=False,
            per_device_train_batch_size=len(rows),
        ),
        train_dataset=Dataset.from_list([{k: p[k] for k in PAIR_TEXTS} for p in rows]),
        processing_class=load(ModelSettings(model=str(tiny), device="cpu")).tokenizer,
    )
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(rows))])
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.item(), [weight.grad for weight in trainer.model.parameters()]


@pytest.mark.parametrize("harmful", [True, False])
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sigmoid", {"loss": "sigmoid"}),
        ("sigmoid_norm", {"loss": "sigmoid", "length_normalised": True}),
        ("ipo", {"loss": "ipo", "length_normalised": True}),
    ],
)
def test_loss_and_gradient_are_those_of_trl_on_the_same_pairs(
    theirs: str,
    ours: dict[str, Any],
    harmful: bool,
    groups: list[TokenGroup],
    pairs: list[dict[str, Any]],
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_float64(monkeypatch)
    group = next(g for g in groups if g.harmful is harmful)
    rows = [p for p in pairs if p["group"] == group.id]
    assert len(rows) == len(group.pairs) == (15 if harmful else 2)
    wanted, gradient = trl_loss(tiny_model_folder, rows, theirs, tmp_path)
    untouched = (1 / 0.6) ** 2 if theirs == "ipo" else math.log(2)
    assert abs(wanted - untouched) > 1e-3  # not the loss of an untouched policy
    for packed in (True, False):
        loss, found = our_loss(tiny_model_folder, group, packed=packed, **ours)
        assert loss == pytest.approx(wanted, abs=1e-8)
        assert furthest(found, gradient) < 1e-8


def test_loss_is_that_of_trl_as_it_comes(
    groups: list[TokenGroup], pairs: list[dict[str, Any]], tiny_model_folder: Path, tmp_path: Path
) -> None:
    group = next(g for g in groups if g.harmful)
    rows = [p for p in pairs if p["group"] == group.id]
    wanted, gradient = trl_loss(tiny_model_folder, rows, "sigmoid", tmp_path)
    for packed in (True, False):
        loss, found = our_loss(tiny_model_folder, group, packed=packed)
        # TRL's head computes in float32 whatever the model.
        assert loss == pytest.approx(wanted, rel=1e-5)
        assert furthest(found, gradient) < 1e-5


def written_out(
    tiny: Path, group: TokenGroup, loss_of: Callable[[list[torch.Tensor]], torch.Tensor]
) -> tuple[float, list[torch.Tensor]]:
    """Loss and gradient of a function of the log-ratios, each by a plain pass over its sequence."""
    model, start = exact_model(tiny, seed=1), exact_model(tiny)
    ratios = []
    for i in range(len(group.responses)):
        with torch.no_grad():
            before = plain_log_probs(start, group, i).sum()
        ratios.append(plain_log_probs(model, group, i).sum() - before)
    loss = loss_of(ratios)
    loss.backward()
    return loss.item(), [weight.grad for weight in model.parameters()]


@pytest.mark.parametrize("harmful", [True, False])
@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "listwise"])
def test_loss_and_gradient_are_those_written_out(
    loss: str,
    harmful: bool,
    groups: list[TokenGroup],
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_float64(monkeypatch)
    group = next(g for g in groups if g.harmful is harmful)
    if loss != "listwise":  # any weights
        group = replace(group, pair_weights=tuple(1 + i % 3 for i in range(len(group.pairs))))

    def by_pairs(ratios: list[torch.Tensor]) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for (better, worse), weight in zip(group.pairs, group.pair_weights, strict=True):
            margin = ratios[better] - ratios[worse]
            if loss == "sigmoid":
                total = total + weight * torch.log(1 + torch.exp(-0.3 * margin))
            else:
                total = total + weight * (margin - 1 / 0.6) ** 2
        return total / sum(group.pair_weights)

    def by_choices(ratios: list[torch.Tensor]) -> torch.Tensor:
        # Each choice among what is left; harmless groups rank their good answer alone.
        choices = range(len(ratios) - 1) if harmful else [0]
        odds = [0.3 * ratio for ratio in ratios]
        chosen = [odds[i] - torch.log(sum(torch.exp(u) for u in odds[i:])) for i in choices]
        return -sum(chosen) / len(chosen)

    wanted, gradient = written_out(
        tiny_model_folder, group, by_choices if loss == "listwise" else by_pairs
    )
    for packed in (True, False):
        found, ours = our_loss(tiny_model_folder, group, packed=packed, loss=loss)
        assert found == pytest.approx(wanted, rel=1e-8)
        assert furthest(ours, gradient) < 1e-8


def test_losses_by_hand() -> None:
    ratios = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64) * math.log(2)
    pairs = [(0, 1), (0, 2), (1, 2)]
    equal = [1.0, 1.0, 1.0]
    # e^u = 4, 2, 1 at beta 1: chosen 4 of 7, then 2 of 3.
    found = preference_loss("listwise", ratios, pairs, equal, beta=1.0)
    assert float(found) == pytest.approx(-(math.log(4 / 7) + math.log(2 / 3)) / 2)
    # Without the pairs of the first, what is left is ranked.
    found = preference_loss("listwise", ratios, pairs[2:], [1.0], beta=1.0)
    assert float(found) == pytest.approx(-math.log(2 / 3))
    # Margins 1, 2, 1 times log 2: sigma = 2/3, 4/5, 2/3.
    found = preference_loss("sigmoid", ratios, pairs, [1.0, 3.0, 1.0], beta=1.0)
    assert float(found) == pytest.approx(-(2 * math.log(2 / 3) + 3 * math.log(4 / 5)) / 5)
    found = preference_loss("ipo", ratios / math.log(2), pairs, equal, beta=0.5)
    assert float(found) == pytest.approx((0 + 1 + 0) / 3)


@pytest.mark.parametrize("unmasked", [False, True])
def test_likelihood_term_is_that_written_out(
    unmasked: bool,
    groups: list[TokenGroup],
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_float64(monkeypatch)
    group = next(g for g in groups if g.harmful)
    model, means = exact_model(tiny_model_folder, seed=1), []
    for i, start in enumerate(group.learn_from):
        if start is not None:
            tokens = plain_log_probs(model, group, i)
            after = [1 / (1 + distance) for distance in range(len(tokens) - start)]
            weights = torch.tensor([float(unmasked)] * start + after, dtype=torch.float64)
            means.append(-(weights * tokens).sum() / weights.sum())
    assert len(means) == 5
    wanted = 0.7 * sum(means) / 5
    wanted.backward()
    for packed in (True, False):
        loss, found = our_loss(
            tiny_model_folder,
            group,
            packed=packed,
            unmasked=unmasked,
            preference_weight=0.0,
            likelihood_weight=0.7,
        )
        assert loss == pytest.approx(wanted.item(), abs=1e-8)
        assert furthest(found, [weight.grad for weight in model.parameters()]) < 1e-8


@pytest.mark.parametrize("packed", [True, False])
def test_divergence_on_a_harmless_answer_by_hand(
    groups: list[TokenGroup], tiny_model_folder: Path, packed: bool
) -> None:
    group = next(g for g in groups if not g.harmful)
    ids = torch.tensor([group.prompt_ids + group.responses[0]])
    first = len(group.prompt_ids) - 1
    with torch.no_grad():
        now, before = (
            exact_model(tiny_model_folder, seed=seed)(input_ids=ids).logits[0, first:-1]
            for seed in (1, None)
        )
    kl = torch.nn.functional.kl_div(
        now.log_softmax(-1), before.log_softmax(-1), reduction="none", log_target=True
    )
    added, _ = our_loss(
        tiny_model_folder, group, packed=packed, preference_weight=0.0, hold_weight=0.7
    )
    assert added == pytest.approx(0.7 * float(kl.sum(-1).mean()), abs=1e-8)


def test_only_what_follows_the_cut_is_learnt(
    groups: list[TokenGroup], pairs: list[dict[str, Any]], tokenizer: Any
) -> None:
    for group in groups:
        rows = {p["rank_chosen"] - 1: p for p in pairs if p["group"] == group.id}
        for rank, weights in enumerate(decision_weights(group)):
            if rank not in rows or not group.harmful:
                assert not any(weights)
                continue
            chosen = rows[rank]["chosen"][0]["content"]
            ids = group.responses[rank]
            learnt = tokenizer.decode([i for i, w in zip(ids, weights, strict=True) if w])
            after = chosen[rows[rank]["cut_chosen"] :] + "<|im_end|>\n"
            assert after.endswith(learnt)
            assert len(after) - len(learnt) <= 12  # at most a token over the cut is left out


def test_the_turn_weighs_most() -> None:
    group = TokenGroup(
        "g", "pair", True, (0,), ((1, 7, 8, 9), (1, 2)), (1, None), ((0, 1),), (1.0,)
    )
    assert decision_weights(group) == [[0, 1, 1 / 2, 1 / 3], [0, 0]]


def test_learning_starts_at_the_first_token_wholly_after_the_cut(tokenizer: Any) -> None:
    answer = "Take the bread. I will not help with this."
    for cut in range(len(answer)):
        row = {
            "group": "g", "pair_key": "p", "harmful": True,
            "prompt": [{"role": "user", "content": "How?"}],
            "chosen": [{"role": "assistant", "content": answer}], "rank_chosen": 1,
            "rejected": [{"role": "assistant", "content": "Take."}], "rank_rejected": 2,
            "role_chosen": "SCR", "role_rejected": "FHR", "cut_rejected": 0,
            "cut_chosen": cut, "weight": 1.0, "principle": 1,
        }  # fmt: skip
        (group,) = token_groups(tokenizer, [row], ChatSettings(), 1024)
        first, ids = group.learn_from[0], group.responses[0]
        assert first is not None
        assert len(tokenizer.decode(ids[:first])) >= cut
        assert first == 0 or len(tokenizer.decode(ids[: first - 1])) < cut


@pytest.mark.parametrize("principle", [1, 2])
def test_a_principle_of_no_weight_is_the_same_as_its_pairs_left_out(
    principle: int, pairs: list[dict[str, Any]], tokenizer: Any
) -> None:
    settings = TrainSettings(**{f"principle_{3 - principle}_weight": 0})
    kept = [row for row in pairs if row["principle"] in (0, principle)]
    found = token_groups(tokenizer, pairs, ChatSettings(), 1024, settings.principles)
    assert found == token_groups(tokenizer, kept, ChatSettings(), 1024)
    assert len(next(g for g in found if g.harmful).responses) == {1: 6, 2: 5}[principle]


def test_weights_of_rows_and_principles_multiply(
    pairs: list[dict[str, Any]], tokenizer: Any
) -> None:
    rows = [row | {"weight": float(row["margin"])} for row in pairs if row["harmful"]]
    group = token_groups(tokenizer, rows, ChatSettings(), 1024, (1.0, 3.0, 0.5))[0]
    wanted = [(3.0 if row["role_rejected"] == "FHR" else 0.5) * row["margin"] for row in rows[:15]]
    assert group.pair_weights == tuple(wanted)


def test_a_group_without_a_weight_is_named(pairs: list[dict[str, Any]], tokenizer: Any) -> None:
    with pytest.raises(DataError, match=rf"{pairs[0]['group']}: no pair .*principle-1-weight"):
        token_groups(tokenizer, pairs[:15], ChatSettings(), 1024, (1.0, 0.0, 0.0))


def test_a_response_that_would_be_truncated_is_an_error(
    tokenizer: Any, pairs: list[dict[str, Any]]
) -> None:
    with pytest.raises(DataError, match="max-length is 60"):
        token_groups(tokenizer, pairs, ChatSettings(), 60)


def test_attention_that_ignores_the_mask_is_not_packed(
    groups: list[TokenGroup], tiny_model_folder: Path
) -> None:
    class Deaf(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model, self.dtype = model, model.dtype

        def forward(self, attention_mask: Any = None, **inputs: Any) -> Any:
            return self.model(**inputs)

    model = load(ModelSettings(model=str(tiny_model_folder), device="cpu")).model
    assert can_pack(model, groups[0])
    assert not can_pack(Deaf(model), groups[0])


def bare_group(name: str, pair_key: str, *, harmful: bool) -> TokenGroup:
    return TokenGroup(name, pair_key, harmful, (0,), ((1,),), (0,), (), ())


def test_order_spreads_both_kinds_and_holds_every_group_once_an_epoch() -> None:
    groups = [bare_group(str(i), str(i), harmful=i < 10) for i in range(40)]
    order = training_order(groups, epochs=2, seed=0)
    assert sorted(g.id for g in order[:40]) == sorted(g.id for g in groups)
    assert [g.id for g in order[:40]] != [g.id for g in order[40:]]
    for start in range(0, 80, 8):
        assert 1 <= sum(g.harmful for g in order[start : start + 8]) <= 3
    assert training_order(groups, 2, 0) == order
    assert training_order(groups, 2, 1) != order


def test_a_harmful_group_and_its_twin_follow_each_other() -> None:
    contrasts = [bare_group(f"{i}{h}", str(i), harmful=h) for i in range(12) for h in (True, False)]
    alone = [bare_group(f"alone {i}", f"alone {i}", harmful=False) for i in range(6)]
    order = training_order([*alone, *sorted(contrasts, key=lambda g: g.harmful)], 1, seed=3)
    keys = [g.pair_key for g in order]
    assert all(
        keys.index(key) + 1 == len(keys) - 1 - keys[::-1].index(key)
        for key in {g.pair_key for g in contrasts}
    )
    for start in range(0, 30, 10):
        assert sum(g in alone for g in order[start : start + 10]) >= 1


def tiny_settings(model: Path, **changed: Any) -> TrainSettings:
    values: dict[str, Any] = {
        "model": ModelSettings(model=str(model), device="cpu"),
        "batch_size": 2,
        "epochs": 2,
        "lora_rank": 2,
        "learning_rate": 0.01,
        "save_steps": 3,
    }
    return TrainSettings(**values | changed)


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, pairs_folder: Path
) -> tuple[Path, list[int]]:
    folder = tmp_path_factory.mktemp("trained") / "run"
    steps: list[int] = []
    merged = train(
        tiny_settings(tiny_model_folder),
        pairs_folder,
        folder,
        notice=quiet,
        progress=lambda stage, done, total, log: (
            steps.append(done) if stage == "training" else None
        ),
    )
    assert merged == folder / "model"
    return folder, steps


def logits_of(folder: Path) -> torch.Tensor:
    loaded = load(ModelSettings(model=str(folder), device="cpu"))
    ids = loaded.tokenizer("Take the bread and walk.", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = loaded.model(input_ids=ids).logits
    return found


def test_an_adapter_without_a_tokenizer_has_that_of_its_base(
    trained: tuple[Path, list[int]], tiny_model_folder: Path, tmp_path: Path
) -> None:
    for path in (trained[0] / "adapter").glob("adapter_*"):
        shutil.copy(path, tmp_path)
    settings = ModelSettings(model=str(tmp_path), device="cpu")
    base = load_tokenizer(ModelSettings(model=str(tiny_model_folder)))
    for found in (load(settings), load_tokenizer(settings)):
        assert found.tokenizer.get_vocab() == base.tokenizer.get_vocab()
        assert found.tokenizer.chat_template == base.tokenizer.chat_template


def test_adapter_and_merged_model_load_alike_and_have_learnt(
    trained: tuple[Path, list[int]], tiny_model_folder: Path
) -> None:
    folder, steps = trained
    assert steps == list(range(1, 10))  # nine groups twice, two a step
    adapter, merged = logits_of(folder / "adapter"), logits_of(folder / "model")
    assert (adapter - merged).abs().max() < 1e-4
    assert (merged - logits_of(tiny_model_folder)).abs().max() > 0.01
    assert {p.name for p in folder.iterdir()} == {
        "adapter",
        "finished",
        "log.jsonl",
        "model",
        "reference.jsonl",
        "run.json",
    }
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert "harmful/nll" in log[0]
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_model_folder)


@pytest.mark.parametrize("harmful", [True, False])
def test_one_kind_of_group_alone_trains(
    harmful: bool, tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path
) -> None:
    kept = [row for row in read_pairs(pairs_folder) if row["harmful"] is harmful]
    source = write_rows(tmp_path / "pairs.jsonl", kept)
    settings = tiny_settings(tiny_model_folder, epochs=1)
    merged = train(settings, source, tmp_path / "run", notice=quiet, progress=quiet)
    assert (logits_of(merged) - logits_of(tiny_model_folder)).abs().max() > 0


@pytest.mark.parametrize(
    ("lora_rank", "file"),
    [(0, "model/model.safetensors"), (2, "adapter/adapter_model.safetensors")],
)
def test_a_share_of_the_start_is_blended_in(
    lora_rank: int, file: str, tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path
) -> None:
    for share in (0.0, 0.25):
        settings = tiny_settings(
            tiny_model_folder, epochs=1, lora_rank=lora_rank, start_share=share
        )
        train(settings, pairs_folder, tmp_path / str(share), notice=quiet, progress=quiet)
    whole, blended = (load_file(tmp_path / str(share) / file) for share in (0.0, 0.25))
    before = {} if lora_rank else load_file(tiny_model_folder / "model.safetensors")
    moved = 0
    for name, weights in whole.items():
        # An adapter's product is what moves the model: its A stays, its B starts at zero.
        start = weights if "lora_A" in name else before.get(name, torch.zeros_like(weights))
        assert torch.allclose(blended[name], 0.25 * start + 0.75 * weights, atol=1e-6), name
        moved += not torch.equal(weights, start)
    assert moved >= 4


def test_a_finished_run_is_not_trained_again(
    trained: tuple[Path, list[int]], tiny_model_folder: Path, pairs_folder: Path
) -> None:
    folder, _ = trained
    notices: list[str] = []
    settings = tiny_settings(tiny_model_folder)
    train(settings, pairs_folder, folder, notice=notices.append, progress=quiet)
    assert len(notices) == 1
    assert "finished already" in notices[0]
    other = tiny_settings(tiny_model_folder, seed=5)
    with pytest.raises(RunError, match="settings"):
        train(other, pairs_folder, folder, notice=quiet, progress=quiet)


def test_an_interrupted_training_goes_on_from_its_checkpoint(
    trained: tuple[Path, list[int]], tiny_model_folder: Path, pairs_folder: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(tiny_model_folder)
    folder = tmp_path / "run"

    def stop(stage: str, done: int, total: int, log: dict[str, float]) -> None:
        if stage == "training" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, pairs_folder, folder, notice=quiet, progress=stop)
    assert not (folder / "model").exists()
    # A checkpoint that the kill left half written is passed over.
    (folder / "checkpoints" / "checkpoint-4").mkdir()
    notices: list[str] = []
    steps: list[int] = []
    train(
        settings,
        pairs_folder,
        folder,
        notice=notices.append,
        progress=lambda stage, done, total, log: (
            steps.append(done) if stage == "training" else None
        ),
    )
    assert steps == [4, 5, 6, 7, 8, 9]
    assert any("checkpoint-3" in notice for notice in notices)
    undisturbed = logits_of(trained[0] / "model")
    assert (logits_of(folder / "model") - undisturbed).abs().max() < 1e-4


@pytest.mark.parametrize("field", ["prompt", "cut_chosen", "harmful"])
def test_a_pair_without_a_field_is_named(
    pairs: list[dict[str, Any]], tmp_path: Path, field: str
) -> None:
    broken = [pairs[0], {k: v for k, v in pairs[1].items() if k != field}]
    path = write_rows(tmp_path / "pairs.jsonl", broken)
    with pytest.raises(DataError, match=rf":2: field '{field}'"):
        read_pairs(path)
    with pytest.raises(DataError, match="no pairs"):
        read_pairs(write_rows(tmp_path / "none.jsonl", []))


def held_out_row(better: tuple[str, int], worse: tuple[str, int], principle: int) -> dict[str, Any]:
    return {
        "role_chosen": better[0], "rank_chosen": better[1],
        "role_rejected": worse[0], "rank_rejected": worse[1],
        "principle": principle, "harmful": principle > 0, "group": "g",
    }  # fmt: skip


def test_validation_figures_by_hand() -> None:
    late = held_out_row(("SCR", 2), ("SCR", 4), 2)
    none = held_out_row(("SR", 1), ("FHR", 6), 1)
    found = summary([(late, 2.0), (none, -1.0), (late, 0.0), (none, 3.0)])
    assert found["all"] == {"pairs": 4, "accuracy": 0.5, "margin": 1.0}
    assert found["principle"]["2"] == {"pairs": 2, "accuracy": 0.5, "margin": 1.0}
    assert found["type"] == {
        "harmful: SCR1 > SCR3": {"pairs": 2, "accuracy": 0.5, "margin": 1.0},
        "harmful: SR > FHR": {"pairs": 2, "accuracy": 0.5, "margin": 1.0},
    }


def test_groups_to_look_at_are_few_and_the_same_in_any_order() -> None:
    rows = [{"group": str(i // 3)} for i in range(120)]
    kept = choose(rows)
    assert len(kept) == 3 * 32
    assert {row["group"] for row in choose(rows[::-1])} == {row["group"] for row in kept}
    assert choose(rows[:6]) == rows[:6]


@pytest.fixture(scope="module")
def split_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesised(tmp_path_factory.mktemp("split"), pairs=6, validation=0.5)


def test_held_out_pairs_are_looked_at_and_change_nothing(
    split_folder: Path, tiny_model_folder: Path, tokenizer: Any, tmp_path: Path
) -> None:
    held_out, trained_on = read_pairs(split_folder, "validation"), read_pairs(split_folder)
    assert {row["group"] for row in held_out}.isdisjoint(row["group"] for row in trained_on)
    settings = tiny_settings(tiny_model_folder, epochs=1, lora_rank=0, eval_steps=2)
    shown: list[dict[str, float]] = []
    train(
        settings,
        split_folder,
        tmp_path / "with",
        notice=quiet,
        progress=lambda stage, done, total, log: shown.append(log),
    )
    alone = write_rows(tmp_path / "pairs.jsonl", trained_on)  # a file holds none to look at
    assert read_pairs(alone, "validation") == []
    train(settings, alone, tmp_path / "without", notice=quiet, progress=quiet)
    weights = [(tmp_path / n / "model/model.safetensors").read_bytes() for n in ("with", "without")]
    assert weights[0] == weights[1]
    assert not (tmp_path / "without" / "validation.jsonl").exists()
    rows = [row for _, row in read_jsonl(tmp_path / "with" / "validation.jsonl")]
    groups = {row["group"] for row in trained_on}
    steps = -(-len(groups) // 2)
    assert [row["step"] for row in rows] == sorted({*range(2, steps, 2), steps})
    assert len([name for name in rows[0]["type"] if name.startswith("harmful: ")]) == 15
    assert sum(row["pairs"] for row in rows[-1]["type"].values()) == len(held_out)
    assert shown[-1]["validation/accuracy"] == rows[-1]["all"]["accuracy"]
    # The figures are those of the finished model, each response by itself.
    start, end = (load(ModelSettings(model=str(folder), device="cpu")).model for folder in (
        tiny_model_folder, tmp_path / "with" / "model"
    ))  # fmt: skip
    margins = []
    for group in token_groups(tokenizer, held_out, ChatSettings(), 1024):
        with torch.no_grad():
            ratios = [
                float(plain_log_probs(end, group, i).sum() - plain_log_probs(start, group, i).sum())
                for i in range(len(group.responses))
            ]
        margins += [ratios[better] - ratios[worse] for better, worse in group.pairs]
    assert rows[-1]["all"]["margin"] == pytest.approx(sum(margins) / len(margins), abs=1e-3)
    accuracy = sum(margin > 0 for margin in margins) / len(margins)
    assert rows[-1]["all"]["accuracy"] == pytest.approx(accuracy, abs=0.01)


def test_figures_after_the_checkpoint_are_found_anew(
    split_folder: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(tiny_model_folder, epochs=1, lora_rank=0, eval_steps=1, save_steps=2)

    def stop(stage: str, done: int, total: int, log: dict[str, float]) -> None:
        if stage == "training" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, split_folder, tmp_path / "killed", notice=quiet, progress=stop)
    for name in ("killed", "whole"):
        train(settings, split_folder, tmp_path / name, notice=quiet, progress=quiet)
    files = [(tmp_path / name / "validation.jsonl").read_text() for name in ("killed", "whole")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": "ipo", "length_normalised": True},
        {"loss": "listwise"},
        {"preference_weight": 0.0},
        {"principle_1_weight": 0.0},
        {"unmasked": True},
    ],
    ids="-".join,
)
def test_every_rival_trains(
    changed: dict[str, Any], tmp_path: Path, tiny_model_folder: Path, pairs_folder: Path
) -> None:
    found = []
    for name, values in (("usual", {}), ("rival", changed)):
        settings = tiny_settings(tiny_model_folder, epochs=1, **values)
        found.append(logits_of(
            train(settings, pairs_folder, tmp_path / name, notice=quiet, progress=quiet)
        ))  # fmt: skip
    assert found[1].isfinite().all()
    assert (found[0] - found[1]).abs().max() > 1e-4
