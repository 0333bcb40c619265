"""What is trained, for how long, in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from coursecorrect.models import ModelSettings
from coursecorrect.train.groups import PrincipleWeights, TokenGroup
from coursecorrect.types import Record

Loss = Literal["sigmoid", "ipo", "listwise"]


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
    loss: Loss = "sigmoid"
    """Loss over a group's pairs: sigmoid (DPO), ipo, or listwise (Plackett-Luce)."""
    length_normalised: bool = False
    """Divide the log-ratio of each response by its tokens; with ipo this is what TRL computes."""
    preference_weight: float = Field(default=1.0, ge=0)
    """Weight of that loss; 0 leaves supervised fine-tuning by the likelihood term."""
    principle_1_weight: float = Field(default=1.0, ge=0)
    """Weight of the pairs of correction over none; 0 leaves them out."""
    principle_2_weight: float = Field(default=1.0, ge=0)
    """Weight of the pairs of earlier over later; 0 leaves them out."""
    likelihood_weight: float = Field(default=5.0, ge=0)
    """Weight of the likelihood term on the tokens after the cut, in harmful groups."""
    unmasked: bool = False
    """Likelihood on the tokens before the cut too: it teaches to begin; only to compare with."""
    hold_weight: float = Field(default=25.0, ge=0)
    """Weight of the divergence from the start on harmless answers."""
    start_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the start blended into the finished weights; fewer turns, harmless text kept."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of a LoRA adapter on all linear layers; 0 trains all weights."""
    max_length: int = Field(default=1024, ge=16)
    """Longest prompt with response; a longer one is an error, never truncated."""
    bf16: bool = False
    """Compute in bfloat16 and keep the weights as they are; faster where the hardware has it."""
    eval_steps: int = Field(default=100, ge=1)
    """Steps between looks at the validation pairs of a synthesis folder."""
    save_steps: int = Field(default=25, ge=1)
    """Steps between checkpoints, from which a killed run goes on."""
    seed: int = 0
    """Decides the order of the groups and the adapter's start."""

    @property
    def principles(self) -> PrincipleWeights:
        """Weight of a pair by its principle; that of harmless groups, 0, stays 1."""
        return (1.0, self.principle_1_weight, self.principle_2_weight)


def training_order(groups: Sequence[TokenGroup], epochs: int, seed: int) -> list[TokenGroup]:
    """Every group once an epoch, in a seeded order: a harmful group and its twin follow each other.

    So a step, or the next one, sees what tells them apart beside what they have in common.
    Contrasts and groups that stand alone are spread evenly, so that every batch holds them in
    nearly the proportion of the whole.
    """
    contrasts: dict[str, list[TokenGroup]] = {}
    for group in groups:
        contrasts.setdefault(group.pair_key, []).append(group)
    order: list[TokenGroup] = []
    for epoch in range(epochs):
        rng = random.Random(f"{seed}|{epoch}")
        placed: list[tuple[float, str, list[TokenGroup]]] = []
        for kinds in ({True, False}, {True}, {False}):
            alike = [
                (key, contrast)
                for key, contrast in contrasts.items()
                if {group.harmful for group in contrast} == kinds
            ]
            rng.shuffle(alike)
            placed += [((i + rng.random()) / len(alike), *entry) for i, entry in enumerate(alike)]
        placed.sort(key=lambda entry: entry[:2])
        order += [group for *_, contrast in placed for group in contrast]
    return order
