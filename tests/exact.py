"""Losses and gradients in float64, ours and plain ones, to compare digit by digit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from coursecorrect.models import ModelSettings, load
from coursecorrect.train.grouped import (
    GroupedConfig,
    GroupedDPOTrainer,
    collate,
    log_probs,
    to_dataset,
)
from coursecorrect.train.groups import TokenGroup


def plain_log_probs(model: Any, group: TokenGroup, response: int) -> torch.Tensor:
    """log p of each token of a response, by a plain pass over that one sequence."""
    ids = list(group.prompt_ids + group.responses[response])
    logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    found = logits[:-1].log_softmax(-1)[range(len(ids) - 1), ids[1:]]
    return found[len(group.prompt_ids) - 1 :]


def exact_model(folder: Path, seed: int | None = None) -> Any:
    """The tiny model in float64; with a seed its weights are moved a little."""
    model = load(ModelSettings(model=str(folder), device="cpu")).model.double()
    if seed is not None:
        torch.manual_seed(seed)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.05 * torch.randn_like(weight))
    return model


def trainer_of(
    model: Any,
    groups: list[TokenGroup],
    tiny: Path,
    reference: Any,
    *,
    unmasked: bool = False,
    lesson: Sequence[Sequence[TokenGroup]] = (),
    openings: Sequence[int] = (),
    **changed: Any,
) -> GroupedDPOTrainer:
    """A trainer in float64 whose start is the tiny model as it is."""
    config = GroupedConfig(
        output_dir=str(tiny.parent / "out"),
        beta=0.3,
        max_length=None,
        bf16=False,
        report_to=[],
        gradient_checkpointing=False,
        disable_tqdm=True,
        **changed,
    )
    return GroupedDPOTrainer(
        model=model,
        ref_model=exact_model(tiny),
        args=config,
        train_dataset=to_dataset(groups, reference, lesson=lesson, unmasked=unmasked),
        processing_class=load(ModelSettings(model=str(tiny), device="cpu")).tokenizer,
        data_collator=collate,
        openings=openings,
    )


def all_float64(patch: pytest.MonkeyPatch) -> None:
    """Take out the two places that compute in float32 even in a float64 model.

    They are Llama's norm and TRL's language-model head, whose kernel casts tile by tile.
    """
    from transformers.models.llama.modeling_llama import LlamaRMSNorm
    from trl.trainer import dpo_trainer

    def norm(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        found: torch.Tensor = self.weight * (hidden * scale)
        return found

    def plain_head(model: Any, outputs: tuple[str, ...] = ()) -> None:
        forward = model.forward

        def with_log_probs(*_: Any, labels: Any = None, fused_lm_head: bool = False, **rest: Any):
            logits = forward(**rest).logits
            if not fused_lm_head:
                return SimpleNamespace(logits=logits)
            wanted = labels[:, 1:]
            found = logits[:, :-1].log_softmax(-1).gather(2, wanted.clamp(min=0)[..., None])[..., 0]
            none = torch.zeros_like(found)
            return SimpleNamespace(
                log_probs=found.masked_fill(wanted < 0, 0),
                entropy=none, mean_logits=none, is_top1=none.bool(),
            )  # fmt: skip

        model.forward = with_log_probs

    patch.setattr(LlamaRMSNorm, "forward", norm)
    patch.setattr(dpo_trainer, "add_fused_lm_head", plain_head)


def our_loss(
    tiny: Path, group: TokenGroup, *, packed: bool, **changed: Any
) -> tuple[float, list[torch.Tensor]]:
    """Loss and gradient of ours; only that of the preferences unless ``changed`` says more."""
    # The trainer finds the reference of a harmless group by itself.
    reference = {group.id: log_probs(exact_model(tiny), group, packed=packed)}
    values = {"likelihood_weight": 0.0, "hold_weight": 0.0, "packed": packed} | changed
    trainer = trainer_of(exact_model(tiny, seed=1), [group], tiny, reference, **values)
    loss = trainer.compute_loss(trainer.model, collate([trainer.train_dataset[0]]))
    loss.backward()
    return loss.item(), [weight.grad for weight in trainer.model.parameters()]


def furthest(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    """Largest difference of two gradients, against the larger of 1 and the largest entry."""
    scale = max(1.0, *(float(grad.abs().max()) for grad in b))
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True)) / scale
