"""Seconds a ranked group: grouped and packed training against TRL's DPOTrainer on its 15 pairs.

Same model, groups, loss (sigmoid DPO, β = 0.1, all weights), AdamW, float32 and machine, one run.
TRL gets the 15 pairs of a group at the batch size that was fastest (``--batch``), once with its
reference model and once with precomputed reference log-probabilities (computed before the clock
starts, as ours are). ``grouped`` scores each distinct response in a row of its own, ``packed`` all
in one sequence. The contenders take turns, group by group, and the medians are compared.

``memory_ratio`` is the peak of a process that trains one packed group, all 15 pairs in flight, over
that of one in which TRL has ``--batch`` pairs in flight: with all 15 TRL doesn't fit in 23 GiB.

    python benchmarks/train_speed.py [--quick] [--batch 4]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
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

PAIRS = 15
"""Pairs of a group."""


def main() -> None:
    """Run the benchmark; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two groups instead of six")
    parser.add_argument("--batch", type=int, default=4, help="pairs a forward pass for TRL")
    parser.add_argument("--peak", help=argparse.SUPPRESS)  # a process of its own, for its memory
    arguments = parser.parse_args()
    keep_freed_memory()
    if arguments.peak:
        print(_peak_of_one_step(arguments.peak, arguments.batch))
        return
    count = 2 if arguments.quick else 6
    peaks = {name: _peak(name, arguments.batch) for name in ("trl", "packed")}
    with tempfile.TemporaryDirectory() as place:
        rows = _pairs(Path(place), count)
        contenders = {n: _contender(n, rows, Path(place), arguments.batch) for n in CONTENDERS}
        tokens = _tokens(rows)
        seconds = _race(contenders, count)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, median in medians.items():
        print(f"{name:16} {median:7.2f} s a group   {tokens[name]:8.0f} tokens through the model")
    for name, pairs in (("trl", arguments.batch), ("packed", PAIRS)):
        print(f"{name:16} {peaks[name] / 2**20:7.2f} GiB at most, {pairs} pairs in flight")
    print(
        json.dumps(
            {
                "grouped": round(medians["trl"] / medians["grouped"], 2),
                "packed": round(medians["trl"] / medians["packed"], 2),
                "grouped_precomputed": round(medians["trl_precomputed"] / medians["grouped"], 2),
                "packed_precomputed": round(medians["trl_precomputed"] / medians["packed"], 2),
                "memory_ratio": round(peaks["packed"] / peaks["trl"], 3),
                "groups": count,
            }
        )
    )


def _peak(name: str, batch: int) -> int:
    """Largest resident size of a process that takes one step, in KiB."""
    command = [sys.executable, __file__, "--peak", name, "--batch", str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def _peak_of_one_step(name: str, batch: int) -> int:
    with tempfile.TemporaryDirectory() as place:
        rows = _pairs(Path(place), 1)
        _contender(name, rows, Path(place), batch)[0]()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _pairs(place: Path, count: int) -> list[dict[str, Any]]:
    settings = SynthSettings(wording="narrow", benign=False, limit=count, validation=0)
    workflow.make_pairs(settings, place / "pairs", notice=print, progress=lambda *_: None)
    return read_pairs(place / "pairs")


CONTENDERS = ("trl", "trl_precomputed", "grouped", "packed")


def _contender(
    name: str, rows: list[dict[str, Any]], place: Path, batch: int
) -> list[Callable[[], Any]]:
    """One function a group that takes an optimiser step on it."""
    shared: dict[str, Any] = {
        "bf16": False,
        "use_cpu": True,
        "report_to": [],
        "gradient_checkpointing": False,
        "max_length": None,
        "beta": 0.1,
        "disable_tqdm": True,
        "output_dir": str(place / name),
    }
    return (_trl if name.startswith("trl") else _ours)(name, rows, batch, shared)


def _trl(
    name: str, rows: list[dict[str, Any]], batch: int, shared: dict[str, Any]
) -> list[Callable[[], Any]]:
    loaded = load(ModelSettings())
    trainer = DPOTrainer(
        model=loaded.model,
        args=DPOConfig(
            per_device_train_batch_size=batch,
            precompute_ref_log_probs=name == "trl_precomputed",
            **shared,
        ),
        train_dataset=Dataset.from_list(
            [{k: row[k] for k in ("prompt", "chosen", "rejected")} for row in rows]
        ),
        processing_class=loaded.tokenizer,
    )
    starts = range(0, len(rows), PAIRS)
    return [_step(trainer, list(_batches(trainer, start, batch))) for start in starts]


def _ours(
    name: str, rows: list[dict[str, Any]], _: int, shared: dict[str, Any]
) -> list[Callable[[], Any]]:
    loaded, packed = load(ModelSettings()), name == "packed"
    groups = token_groups(loaded.tokenizer, rows, ChatSettings(), 1024)
    reference = {g.id: log_probs(loaded.model, g, packed=packed) for g in groups}
    trainer = GroupedDPOTrainer(
        model=load(ModelSettings()).model,
        ref_model=loaded.model,
        args=GroupedConfig(packed=packed, likelihood_weight=0.0, **shared),
        train_dataset=to_dataset(groups, reference),
        processing_class=loaded.tokenizer,
        data_collator=collate,
    )
    return [_step(trainer, [collate([row])]) for row in trainer.train_dataset]


def _tokens(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Tokens that go through a model for a group, the reference's too where it reads them."""
    groups = token_groups(load(ModelSettings()).tokenizer, rows, ChatSettings(), 1024)
    both_ways = sum(
        2 * PAIRS * len(g.prompt_ids) + sum(len(g.responses[i]) for pair in g.pairs for i in pair)
        for g in groups
    )
    return {
        "trl": 2 * both_ways / len(groups),
        "trl_precomputed": both_ways / len(groups),
        "grouped": statistics.mean(spread(g).ids.numel() for g in groups),
        "packed": statistics.mean(pack(g).ids.numel() for g in groups),
    }


def _batches(trainer: DPOTrainer, start: int, size: int) -> Any:
    rows = [trainer.train_dataset[i] for i in range(start, start + PAIRS)]
    return (trainer.data_collator(rows[i : i + size]) for i in range(0, PAIRS, size))


def _step(trainer: Any, batches: list[Any]) -> Callable[[], None]:
    if trainer.optimizer is None:
        trainer.optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-5)
        # The optimiser's state is made at its first step, once in a training: before the clock.
        for weights in trainer.model.parameters():
            weights.grad = torch.zeros_like(weights)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

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
