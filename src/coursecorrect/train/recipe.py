"""What is trained, for how long, in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from coursecorrect.models import ModelSettings
from coursecorrect.train.groups import TokenGroup
from coursecorrect.types import Record


class TrainSettings(Record):
    """All that decides a training run; recorded in ``run.json``."""

    model: ModelSettings = ModelSettings()
    system: str | None = None
    """System prompt of every group; without it the template's own default applies."""
    template_args: dict[str, Any] | None = None
    """KEY=VALUE for the chat template; may be repeated."""
    epochs: int = Field(default=1, ge=1)
    """How often each group is seen."""
    batch_size: int = Field(default=4, ge=1)
    """Groups a step."""
    learning_rate: float = Field(default=3e-4, gt=0)
    """Peak learning rate of AdamW; LoRA needs a higher one."""
    beta: float = Field(default=0.1, gt=0)
    """DPO's beta: how far the policy may move from its start."""
    likelihood_weight: float = Field(default=5.0, ge=0)
    """Weight of the likelihood term on the tokens after the cut, in harmful groups."""
    hold_weight: float = Field(default=25.0, ge=0)
    """Weight of the divergence from the start on harmless answers."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of a LoRA adapter on all linear layers; 0 trains all weights."""
    max_length: int = Field(default=1024, ge=16)
    """Longest prompt with response; a longer one is an error, never truncated."""
    bf16: bool = False
    """Compute in bfloat16 and keep the weights as they are; faster where the hardware has it."""
    save_steps: int = Field(default=25, ge=1)
    """Steps between checkpoints, from which a killed run goes on."""
    seed: int = 0
    """Decides the order of the groups and the adapter's start."""


def training_order(groups: Sequence[TokenGroup], epochs: int, seed: int) -> list[TokenGroup]:
    """Every group once an epoch, in a seeded order that spreads both kinds evenly.

    So every batch holds harmful and harmless groups in nearly the proportion of the whole.
    """
    order: list[TokenGroup] = []
    for epoch in range(epochs):
        rng = random.Random(f"{seed}|{epoch}")
        placed: list[tuple[float, str, TokenGroup]] = []
        for harmful in (True, False):
            kind = [group for group in groups if group.harmful is harmful]
            rng.shuffle(kind)
            placed += [((i + rng.random()) / len(kind), g.id, g) for i, g in enumerate(kind)]
        order += [group for _, _, group in sorted(placed, key=lambda entry: entry[:2])]
    return order
