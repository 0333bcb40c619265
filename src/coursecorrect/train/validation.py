"""What the model makes of pairs it is not trained on, while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from transformers import TrainerCallback

from coursecorrect import store
from coursecorrect.train.grouped import log_probs
from coursecorrect.train.groups import TokenGroup
from coursecorrect.types import content_id

LIMIT = 32
"""Groups looked at; each costs about a third of a group trained on."""


def choose(rows: Sequence[dict[str, Any]], limit: int = LIMIT) -> list[dict[str, Any]]:
    """The pairs of at most ``limit`` groups, the same ones whatever their order."""
    names = sorted({row["group"] for row in rows}, key=lambda name: content_id("held out", name))
    kept = set(names[:limit])
    return [row for row in rows if row["group"] in kept]


def pair_type(row: dict[str, Any]) -> str:
    """``SCR1 > SCR3``: the roles of a pair, corrections numbered by their cut."""
    return " > ".join(
        f"SCR{row[f'rank_{side}'] - 1}" if row[f"role_{side}"] == "SCR" else row[f"role_{side}"]
        for side in ("chosen", "rejected")
    )


def summary(found: Sequence[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    """Accuracy and mean margin over all pairs, by principle and by type.

    Args:
        found: rows of pairs, each with its margin.
    """
    return {
        "all": _figures([margin for _, margin in found]),
        "principle": _by(lambda row: str(row["principle"]), found),
        "type": _by(
            lambda row: f"{'harmful' if row['harmful'] else 'benign'}: {pair_type(row)}", found
        ),
    }


def _by(
    key: Callable[[dict[str, Any]], str], found: Sequence[tuple[dict[str, Any], float]]
) -> dict[str, Any]:
    parts: dict[str, list[float]] = {}
    for row, margin in found:
        parts.setdefault(key(row), []).append(margin)
    return {name: _figures(parts[name]) for name in sorted(parts)}


def _figures(margins: Sequence[float]) -> dict[str, Any]:
    accuracy = fmean(margin > 0 for margin in margins)
    return {"pairs": len(margins), "accuracy": accuracy, "margin": fmean(margins)}


class Validation(TrainerCallback):
    """Looks at held-out pairs every so many steps and after the last; nothing is learnt from them.

    Margins are log-ratios as the loss takes them, before beta. ``latest`` holds the last figures.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        groups: Sequence[TokenGroup],
        reference: dict[str, list[float]],
        path: Path,
        *,
        every: int,
        packed: bool,
        length_normalised: bool,
        bf16: bool,
    ) -> None:
        self.groups, self.reference, self.path, self.every = groups, reference, path, every
        self.packed, self.length_normalised, self.bf16 = packed, length_normalised, bf16
        self.rows: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            self.rows.setdefault(row["group"], []).append(row)
        self.latest: dict[str, float] = {}
        self._written: list[dict[str, Any]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keeps what was found up to the checkpoint, and forgets what came after it."""
        if self.path.exists():
            known = (row for _, row in store.read_jsonl(self.path))
            self._written = [row for row in known if row["step"] <= state.global_step]

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        if state.global_step % self.every and state.global_step != state.max_steps:
            return
        found = summary(self._margins(model))
        self.latest["validation/accuracy"] = found["all"]["accuracy"]
        self._written.append({"step": state.global_step, **found})
        if state.is_world_process_zero:
            store.write_jsonl(self.path, self._written)

    def _margins(self, model: Any) -> list[tuple[dict[str, Any], float]]:
        found = []
        was_training = model.training
        model.eval()
        for group in self.groups:
            ratios = self._log_ratios(model, group)
            found += [
                (row, ratios[better] - ratios[worse])
                for row, (better, worse) in zip(self.rows[group.id], group.pairs, strict=True)
            ]
        model.train(was_training)
        return found

    def _log_ratios(self, model: Any, group: TokenGroup) -> list[float]:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=self.bf16):
            now = log_probs(model, group, packed=self.packed)
        lengths = [len(r) if self.length_normalised else 1 for r in group.responses]
        before = self.reference[group.id]
        return [(a - b) / n for a, b, n in zip(now, before, lengths, strict=True)]
