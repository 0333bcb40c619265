"""Seconds a ranked group: grouped and packed training against TRL's DPOTrainer on its 15 pairs.

Same model, groups, loss (sigmoid DPO, β = 0.1, all weights), AdamW, float32 and machine, one run.
TRL gets the 15 pairs of a group at the batch size that was fastest (``--batch``), once with its
reference model and once with precomputed reference log-probabilities (computed before the clock
starts, as ours are). ``grouped`` scores each distinct response in a row of its own, ``packed`` all
in one sequence. The contenders take turns, group by group, and the medians are compared.

    python benchmarks/train_speed.py [--quick] [--batch 4]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from coursecorrect import workflow
from coursecorrect.chat import ChatSettings
from coursecorrect.models import ModelSettings, keep_freed_memory, load
from coursecorrect.synth import SynthSettings
from coursecorrect.train.grouped import (
    GroupedConfig,
    GroupedDPOTrainer,
    collate,
    log_probs,
    to_dataset,
)
from coursecorrect.train.groups import token_groups
from coursecorrect.train.packing import pack, spread
from coursecorrect.train.run import read_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two groups instead of six")
    parser.add_argument("--batch", type=int, default=4, help="pairs a forward pass for TRL")
    arguments = parser.parse_args()
    count = 2 if arguments.quick else 6
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        rows = _pairs(Path(place), count)
        contenders, tokens = _contenders(rows, Path(place), arguments.batch)
        seconds = _race(contenders, count)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, median in medians.items():
        print(f"{name:16} {median:7.2f} s a group   {tokens[name]:8.0f} tokens through the model")
    print(
        json.dumps(
            {
                "grouped": round(medians["trl"] / medians["grouped"], 2),
                "packed": round(medians["trl"] / medians["packed"], 2),
                "grouped_precomputed": round(medians["trl_precomputed"] / medians["grouped"], 2),
                "packed_precomputed": round(medians["trl_precomputed"] / medians["packed"], 2),
                "groups": count,
            }
        )
    )


def _pairs(place: Path, count: int) -> list[dict[str, Any]]:
    settings = SynthSettings(wording="narrow", benign=False, limit=count, validation=0)
    workflow.make_pairs(settings, place / "pairs", notice=print, progress=lambda *_: None)
    return read_pairs(place / "pairs")


def _contenders(
    rows: list[dict[str, Any]], place: Path, batch: int
) -> tuple[dict[str, list[Callable[[], Any]]], dict[str, float]]:
    """For each name one function a group that takes an optimiser step on it."""
    loaded = load(ModelSettings())
    groups = token_groups(loaded.tokenizer, rows, ChatSettings(), 1024)
    shared: dict[str, Any] = {
        "bf16": False,
        "use_cpu": True,
        "report_to": [],
        "gradient_checkpointing": False,
        "max_length": None,
        "beta": 0.1,
        "disable_tqdm": True,
    }
    found: dict[str, list[Callable[[], Any]]] = {}
    for name in ("trl", "trl_precomputed"):
        trainer = DPOTrainer(
            model=load(ModelSettings()).model,
            args=DPOConfig(
                output_dir=str(place / name),
                per_device_train_batch_size=batch,
                precompute_ref_log_probs=name == "trl_precomputed",
                **shared,
            ),
            train_dataset=Dataset.from_list(
                [{k: row[k] for k in ("prompt", "chosen", "rejected")} for row in rows]
            ),
            processing_class=loaded.tokenizer,
        )
        found[name] = [
            _step(trainer, list(_batches(trainer, start, batch)))
            for start in range(0, len(rows), 15)
        ]
    for name in ("grouped", "packed"):
        packed = name == "packed"
        reference = {g.id: log_probs(loaded.model, g, packed=packed) for g in groups}
        ours = GroupedDPOTrainer(
            model=load(ModelSettings()).model,
            ref_model=loaded.model,
            args=GroupedConfig(
                output_dir=str(place / name), packed=packed, likelihood_weight=0.0, **shared
            ),
            train_dataset=to_dataset(groups, reference),
            processing_class=loaded.tokenizer,
            data_collator=collate,
        )
        found[name] = [_step(ours, [collate([row])]) for row in ours.train_dataset]
    both_ways = sum(
        2 * 15 * len(g.prompt_ids) + sum(len(g.responses[i]) for pair in g.pairs for i in pair)
        for g in groups
    )
    tokens = {
        "trl": 2 * both_ways / len(groups),
        "trl_precomputed": both_ways / len(groups),
        "grouped": statistics.mean(spread(g).ids.numel() for g in groups),
        "packed": statistics.mean(pack(g).ids.numel() for g in groups),
    }
    return found, tokens


def _batches(trainer: DPOTrainer, start: int, size: int) -> Any:
    rows = [trainer.train_dataset[i] for i in range(start, start + 15)]
    return (trainer.data_collator(rows[i : i + size]) for i in range(0, 15, size))


def _step(trainer: Any, batches: list[Any]) -> Callable[[], None]:
    if trainer.optimizer is None:
        trainer.optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-5)

    def step() -> None:
        trainer.model.train()
        for batch in batches:
            (trainer.compute_loss(trainer.model, dict(batch)) / len(batches)).backward()
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return step


def _race(contenders: dict[str, list[Callable[[], Any]]], count: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for group in range(count):
        for name, steps in contenders.items():
            start = time.perf_counter()
            steps[group]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
