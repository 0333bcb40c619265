"""The embedded model in float32: the loss and gradient of TRL's trainer on the same pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from conftest import quiet
from coursecorrect.chat import ChatSettings
from coursecorrect.models import ModelSettings, load
from coursecorrect.synth import SynthSettings
from coursecorrect.train.grouped import (
    GroupedConfig,
    GroupedDPOTrainer,
    collate,
    log_probs,
    to_dataset,
)
from coursecorrect.train.groups import token_groups
from coursecorrect.train.run import read_pairs
from coursecorrect.workflow import make_pairs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
SHARED: dict[str, Any] = {
    "beta": 0.1,
    "max_length": None,
    "bf16": False,
    "use_cpu": True,
    "report_to": [],
    "gradient_checkpointing": False,
}


def moved() -> Any:
    """The embedded model as if trained a little: no untouched policy, whose loss is log 2."""
    model = load(ModelSettings(device="cpu")).model
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 + 0.01 * torch.randn_like(weight))
    return model


def loss_and_gradient(trainer: Any, batches: list[Any]) -> tuple[float, list[torch.Tensor]]:
    total = 0.0
    for batch in batches:
        loss = trainer.compute_loss(trainer.model, batch) / len(batches)
        loss.backward()
        total += loss.item()
    return total, [weight.grad for weight in trainer.model.parameters()]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sigmoid", {"loss": "sigmoid"}),
        ("ipo", {"loss": "ipo", "length_normalised": True}),
    ],
)
def test_packed_and_grouped_are_trl_on_the_embedded_model(
    theirs: str, ours: dict[str, Any], embedded_model: Any, tmp_path: Path
) -> None:
    settings = SynthSettings(wording="narrow", benign=False, limit=1, validation=0)
    make_pairs(settings, tmp_path / "pairs", notice=quiet, progress=quiet)
    rows = read_pairs(tmp_path / "pairs")
    assert len(rows) == 15
    tokenizer, start = embedded_model.tokenizer, embedded_model.model
    trl = DPOTrainer(
        model=moved(),
        ref_model=load(ModelSettings(device="cpu")).model,
        args=DPOConfig(output_dir=str(tmp_path / "theirs"), loss_type=theirs, **SHARED),
        train_dataset=Dataset.from_list(
            [{k: row[k] for k in ("prompt", "chosen", "rejected")} for row in rows]
        ),
        processing_class=tokenizer,
    )
    examples = [trl.train_dataset[i] for i in range(15)]
    batches = [trl.data_collator(examples[i : i + 5]) for i in range(0, 15, 5)]
    wanted, gradient = loss_and_gradient(trl, batches)
    (group,) = token_groups(tokenizer, rows, ChatSettings(), 1024)
    for packed in (True, False):
        trainer = GroupedDPOTrainer(
            model=moved(),
            ref_model=start,
            args=GroupedConfig(
                output_dir=str(tmp_path / "ours"),
                packed=packed,
                likelihood_weight=0.0,
                **ours,
                **SHARED,
            ),
            train_dataset=to_dataset([group], {group.id: log_probs(start, group, packed=packed)}),
            processing_class=tokenizer,
            data_collator=collate,
        )
        loss, found = loss_and_gradient(trainer, [collate([trainer.train_dataset[0]])])
        difference = torch.stack([(a - b).norm() for a, b in zip(found, gradient, strict=True)])
        size = torch.stack([b.norm() for b in gradient]).norm()
        assert loss == pytest.approx(wanted, rel=1e-4)
        assert float(difference.norm() / size) < 1e-4
