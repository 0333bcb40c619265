"""What is trained, on which pairs, for how long."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from coursecorrect.models import ModelSettings
from coursecorrect.types import Record


class TrainSettings(Record):
    """All that decides a training run; recorded in ``run.json``."""

    model: ModelSettings = ModelSettings()
    system: str | None = None
    """System prompt of every pair; without it the template's own default applies."""
    pairs_per_group: int = Field(default=6, ge=1)
    """How many of a harmful group's pairs are used (15 at most), early and late cuts alike."""
    benign_pairs_per_group: int = Field(default=2, ge=0)
    """How many of a benign group's pairs are used (2 at most)."""
    epochs: float = Field(default=1.0, gt=0)
    """How often each chosen pair is seen."""
    batch_size: int = Field(default=4, ge=1)
    """Pairs a step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate of AdamW."""
    beta: float = Field(default=0.1, gt=0)
    """DPO's beta: how far the policy may move from its start."""
    likelihood_weight: float = Field(default=1.0, ge=0)
    """Weight of the likelihood term on the tokens after the cut."""
    lora_rank: int = Field(default=16, ge=1)
    """Rank of the LoRA adapter on all linear layers."""
    max_length: int = Field(default=1024, ge=16)
    """Longest sequence; a correction that would be cut off is an error."""
    tail_tokens: int = Field(default=64, ge=1)
    """Uncorrected text ends this many tokens after the two responses of a pair part."""
    save_steps: int = Field(default=25, ge=1)
    """Steps between checkpoints, from which a killed run goes on."""
    seed: int = 0
    """Decides the choice and order of pairs and the adapter's start."""


def choose_pairs(settings: TrainSettings, pairs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A seeded choice of pairs from every group, spread over the ranks of the chosen response.

    Each rank but the last is chosen in turn, in an order drawn per group, so that a small number
    of pairs still teaches refusals and early and late corrections.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for pair in pairs:
        groups.setdefault(pair["group"], []).append(pair)
    chosen = []
    for key, members in groups.items():
        rng = random.Random(f"{settings.seed}|{key}")
        harmful = members[0]["harmful"]
        wanted = settings.pairs_per_group if harmful else settings.benign_pairs_per_group
        chosen += _spread(members, wanted, rng)
    random.Random(settings.seed).shuffle(chosen)
    return chosen


def _spread(
    members: Sequence[dict[str, Any]], wanted: int, rng: random.Random
) -> list[dict[str, Any]]:
    by_rank: dict[int, list[dict[str, Any]]] = {}
    for pair in members:
        by_rank.setdefault(pair["rank_chosen"], []).append(pair)
    # Popped from the end: the contrast with the full harmful response comes first. With few pairs
    # a group, pairs of two corrections would push corrections down as often as up.
    queues = [
        sorted(rng.sample(queue, len(queue)), key=lambda pair: pair["role_rejected"] == "FHR")
        for queue in by_rank.values()
    ]
    rng.shuffle(queues)
    taken: list[dict[str, Any]] = []
    while len(taken) < wanted and any(queues):
        for queue in queues:
            if queue and len(taken) < wanted:
                taken.append(queue.pop())
    return taken
