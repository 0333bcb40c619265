from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import made_up_items, quiet, write_rows
from coursecorrect.correct import get_corrector
from coursecorrect.errors import DataError, RunError
from coursecorrect.judge import get_judge
from coursecorrect.models import ModelSettings, load
from coursecorrect.prefill import ChatSettings, render
from coursecorrect.synthesize import SynthSettings, synthesize
from coursecorrect.train.dpo import (
    CutCollator,
    CutConfig,
    CutDPOTrainer,
    learn_from,
    masked_nll,
    to_dataset,
)
from coursecorrect.train.recipe import TrainSettings, choose_pairs
from coursecorrect.train.run import read_pairs, train

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    data = write_rows(folder / "items.jsonl", made_up_items(3, "teach"))
    synthesize(
        SynthSettings(data=str(data)),
        folder / "run",
        get_corrector("template"),
        get_judge("lexical"),
        notice=quiet,
        progress=quiet,
    )
    return folder / "run"


@pytest.fixture(scope="module")
def pairs(pairs_folder: Path) -> list[dict[str, Any]]:
    return read_pairs(pairs_folder)


def make_trainer(
    kind: Any, config: Any, model_folder: Path, pairs: Any, out: Path, **args: Any
) -> Any:
    """A trainer whose adapter no longer starts at zero, so that policy and reference differ."""
    from peft import LoraConfig

    loaded = load(ModelSettings(model=str(model_folder), device="cpu"))
    values: dict[str, Any] = {
        "output_dir": str(out),
        "per_device_train_batch_size": 3,
        "max_length": 1024,
        "report_to": [],
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "beta": 0.3,
    }
    collator = (
        {"data_collator": CutCollator(pad_token_id=0, max_length=1024)}
        if kind is CutDPOTrainer
        else {}
    )
    trainer = kind(
        model=loaded.model,
        args=config(**values | args),
        train_dataset=to_dataset(pairs),
        processing_class=loaded.tokenizer,
        peft_config=LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"),
        **collator,
    )
    torch.manual_seed(11)
    with torch.no_grad():
        for name, weight in sorted(trainer.model.named_parameters()):
            if "lora" in name:
                weight.copy_(0.3 * torch.randn(weight.shape))
    trainer.model.eval()  # dropout would make two passes differ
    return trainer


def batch_of(trainer: Any, rows: list[int]) -> dict[str, Any]:
    return trainer.data_collator([trainer.train_dataset[i] for i in rows])


def loss_of(trainer: Any, batch: dict[str, Any]) -> float:
    return trainer.compute_loss(trainer.model, dict(batch)).item()


def token_log_probs(model: Any, ids: list[int]) -> torch.Tensor:
    """log p of each token after the first, by a plain pass over one sequence."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0]
    return logits[:-1].log_softmax(-1)[range(len(ids) - 1), ids[1:]]


def test_only_what_follows_the_cut_is_learnt(
    tiny_model_folder: Path, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    trainer = make_trainer(CutDPOTrainer, CutConfig, tiny_model_folder, pairs, tmp_path)
    tokenizer = trainer.processing_class
    rows = range(len(pairs))
    batch = batch_of(trainer, list(rows))
    roles = set()
    for row in rows:
        chosen = pairs[row]["chosen"][0]["content"]
        wanted = chosen[pairs[row]["cut_chosen"] :]
        learnt = batch["input_ids"][row][batch["learn_mask"][row].bool()].tolist()
        text = tokenizer.decode(learnt)
        role = pairs[row]["role_chosen"]
        roles.add(role)
        if role == "GOOD":  # shortened at its end
            start = text.removesuffix("<|im_end|>\n")
            assert len(start) > 20
            assert start in wanted
        else:
            after = wanted + "<|im_end|>\n"
            assert after.endswith(text)
            assert len(after) - len(text) <= 12  # at most a token over the cut is left out
        mask = batch["learn_mask"][row].tolist()
        assert mask == sorted(mask[: mask.index(1)]) + mask[mask.index(1) :]
        length = len(trainer.train_dataset[row]["prompt_ids"])
        assert not any(mask[:length])
    assert roles == {"SR", "SCR", "GOOD"}


def test_learning_starts_at_the_first_token_wholly_after_the_cut(tokenizer: Any) -> None:
    answer = "Take the bread. I will not help with this."
    for cut in range(len(answer)):
        prompt = render(tokenizer, "How?", ChatSettings())
        finished = render(tokenizer, "How?", ChatSettings(), answer)
        head = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        ids = tokenizer(finished, add_special_tokens=False)["input_ids"]
        row = {
            "prompt": [{"role": "user", "content": "How?"}],
            "chosen": [{"role": "assistant", "content": answer}],
            "cut_chosen": cut,
            "prompt_ids": ids[:head],
            "chosen_ids": ids[head:],
        }
        first = learn_from(tokenizer, row)
        assert len(tokenizer.decode(ids[head:][:first])) >= cut
        if first:
            assert len(tokenizer.decode(ids[head:][: first - 1])) < cut
    with pytest.raises(DataError, match="tokenises"):
        learn_from(tokenizer, row | {"chosen_ids": [*ids[head:-1], 5]})


def test_masked_likelihood_by_hand() -> None:
    log_probs = torch.log(
        torch.tensor([[0.5, 0.25, 0.1], [0.2, 0.4, 0.8], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9]])
    )
    mask = torch.tensor([[0, 0, 1, 1], [1, 0, 0, 1]])
    # Position j of log_probs speaks of token j + 1; the first token is never predicted.
    wanted = -(math.log(0.25) + math.log(0.1) + math.log(0.8)) / 3
    assert masked_nll(log_probs, mask).item() == pytest.approx(wanted, rel=1e-5)
    assert masked_nll(log_probs, torch.zeros_like(mask)).item() == 0


def test_without_weight_the_loss_is_that_of_trl(
    tiny_model_folder: Path, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    some = [p for p in pairs if p["harmful"]][:6]
    ours = make_trainer(
        CutDPOTrainer,
        CutConfig,
        tiny_model_folder,
        some,
        tmp_path,
        likelihood_weight=0.0,
        tail_tokens=10_000,
    )
    theirs = make_trainer(DPOTrainer, DPOConfig, tiny_model_folder, some, tmp_path)
    for rows in ([0, 1, 2], [3, 4, 5]):
        wanted = loss_of(theirs, batch_of(theirs, rows))
        assert loss_of(ours, batch_of(ours, rows)) == pytest.approx(wanted, rel=1e-5)
        assert abs(wanted - math.log(2)) > 1e-3  # not the loss of an untouched adapter


def test_loss_by_hand(tiny_model_folder: Path, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    some = [p for p in pairs if p["harmful"]][4:7]
    trainer = make_trainer(
        CutDPOTrainer, CutConfig, tiny_model_folder, some, tmp_path, likelihood_weight=0.7
    )
    dpo, learnt = [], []
    for row in trainer.train_dataset:
        margins = []
        for side in ("chosen", "rejected"):
            start = len(row["prompt_ids"])
            ids = row["prompt_ids"] + row[f"{side}_ids"]
            policy = token_log_probs(trainer.model, ids)[start - 1 :]
            with trainer.model.disable_adapter():
                reference = token_log_probs(trainer.model, ids)[start - 1 :]
            margins.append(float((policy - reference).sum()))
            if side == "chosen":
                learnt += policy[row["learn_from"] :].tolist()
        dpo.append(math.log1p(math.exp(-0.3 * (margins[0] - margins[1]))))
    wanted = sum(dpo) / len(dpo) - 0.7 * sum(learnt) / len(learnt)
    assert loss_of(trainer, batch_of(trainer, [0, 1, 2])) == pytest.approx(wanted, rel=1e-4)


def test_uncorrected_text_ends_soon_after_the_responses_part(
    tiny_model_folder: Path, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    trainer = make_trainer(
        CutDPOTrainer, CutConfig, tiny_model_folder, pairs, tmp_path, tail_tokens=7
    )
    ends = trainer.processing_class.eos_token_id
    for row, pair in zip(trainer.train_dataset, pairs, strict=True):
        chosen, rejected = row["chosen_ids"], row["rejected_ids"]
        parted = next(i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b)
        if pair["role_rejected"] == "FHR":
            assert len(rejected) <= parted + 7
        else:
            assert ends in rejected[-2:]
        if pair["role_chosen"] != "GOOD":
            assert ends in chosen[-2:]


def test_a_correction_that_would_be_cut_off_is_an_error(
    tiny_model_folder: Path, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="max_length"):
        make_trainer(CutDPOTrainer, CutConfig, tiny_model_folder, pairs, tmp_path, max_length=60)


def test_chosen_pairs_spread_over_the_ranks(pairs: list[dict[str, Any]]) -> None:
    settings = TrainSettings(pairs_per_group=5, benign_pairs_per_group=2)
    chosen = choose_pairs(settings, pairs)
    groups: dict[str, list[dict[str, Any]]] = {}
    for pair in chosen:
        groups.setdefault(pair["group"], []).append(pair)
    assert len(groups) == 9
    for members in groups.values():
        ranks = sorted(p["rank_chosen"] for p in members)
        assert ranks == ([1, 2, 3, 4, 5] if members[0]["harmful"] else [1, 1])
        if members[0]["harmful"]:
            assert {p["role_rejected"] for p in members} == {"FHR"}
        else:
            assert {p["role_chosen"] for p in members} == {"GOOD"}
    assert choose_pairs(settings, pairs) == chosen
    assert choose_pairs(settings.model_copy(update={"seed": 1}), pairs) != chosen
    assert len(choose_pairs(TrainSettings(pairs_per_group=99), pairs)) == len(pairs)


def tiny_settings(model: Path, **changed: Any) -> TrainSettings:
    values: dict[str, Any] = {
        "model": ModelSettings(model=str(model), device="cpu"),
        "pairs_per_group": 3,
        "benign_pairs_per_group": 1,
        "batch_size": 2,
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
        progress=lambda done, total, log: steps.append(done),
    )
    assert merged == folder / "merged"
    return folder, steps


def logits_of(folder: Path) -> torch.Tensor:
    loaded = load(ModelSettings(model=str(folder), device="cpu"))
    ids = loaded.tokenizer("Take the bread and walk.", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = loaded.model(input_ids=ids).logits
    return found


def test_adapter_and_merged_model_load_alike_and_have_learnt(
    trained: tuple[Path, list[int]], tiny_model_folder: Path
) -> None:
    folder, steps = trained
    assert steps == list(range(1, 9))  # (3 · 3 + 6 · 1) pairs, two a step
    adapter, merged = logits_of(folder / "adapter"), logits_of(folder / "merged")
    assert (adapter - merged).abs().max() < 1e-4
    assert (merged - logits_of(tiny_model_folder)).abs().max() > 0.01
    assert {p.name for p in folder.iterdir()} == {
        "adapter",
        "finished",
        "log.jsonl",
        "merged",
        "run.json",
    }
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert "likelihood/nll" in log[0]
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_model_folder)


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

    def stop(done: int, total: int, log: dict[str, float]) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, pairs_folder, folder, notice=quiet, progress=stop)
    assert not (folder / "merged").exists()
    # A checkpoint that the kill left half written is passed over.
    (folder / "checkpoints" / "checkpoint-4").mkdir()
    notices: list[str] = []
    steps: list[int] = []
    train(
        settings,
        pairs_folder,
        folder,
        notice=notices.append,
        progress=lambda done, total, log: steps.append(done),
    )
    assert steps == [4, 5, 6, 7, 8]
    assert any("checkpoint-3" in notice for notice in notices)
    undisturbed = logits_of(trained[0] / "merged")
    assert (logits_of(folder / "merged") - undisturbed).abs().max() < 1e-4


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
