"""Training a model on preference pairs, group by group; resumes from its last checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coursecorrect import store
from coursecorrect.chat import ChatSettings
from coursecorrect.errors import DataError, RunError
from coursecorrect.models import LoadedModel, load, resolve, revision
from coursecorrect.train.groups import TokenGroup, token_groups
from coursecorrect.train.recipe import TrainSettings, training_order
from coursecorrect.types import settings_hash

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with the stage (scoring, training), what is done and all there is, and logged figures."""


NEEDED = (
    "prompt",
    "chosen",
    "rejected",
    "cut_chosen",
    "role_chosen",
    "role_rejected",
    "id",
    "group",
    "pair_key",
    "rank_chosen",
    "harmful",
)


def read_pairs(source: Path) -> list[dict[str, Any]]:
    """The pairs to train on: of a synthesis folder, or of a JSONL or Parquet file.

    Raises:
        DataError: no such file, a row lacks a field (names file:line), or the data is an audit.
    """
    pairs = []
    for where, row in _rows(source):
        missing = [field for field in NEEDED if field not in row]
        if missing:
            raise DataError(f"{where}: field {missing[0]!r} is missing; make it with 'c2 synth'")
        pairs.append(row)
    if not pairs:
        raise DataError(f"{source} holds no pairs; make some with 'c2 synth'")
    return pairs


def _rows(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    files = sorted(source.glob("data/train-*.parquet")) if source.is_dir() else [source]
    if not files:
        raise DataError(f"{source} is not a finished synthesis folder: it has no data/train-*")
    for file in files:
        if file.suffix == ".parquet":
            yield from _parquet_rows(file)
        else:
            yield from ((f"{file}:{number}", row) for number, row in store.read_jsonl(file))


def _parquet_rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {file}: {str(error).splitlines()[0]}") from error
    stamp = json.loads((table.schema.metadata or {}).get(b"coursecorrect", b"{}"))
    if stamp.get("audit"):
        raise DataError(
            f"{file} is an audit (c2 synth --audit): it holds requests of a benchmark, so a model "
            "trained on it cannot be measured; make the data without --audit"
        )
    yield from ((f"{file}:{number}", row) for number, row in enumerate(table.to_pylist(), 1))


def train(
    settings: TrainSettings,
    source: Path,
    folder: Path,
    *,
    notice: store.Notice,
    progress: Progress,
) -> Path:
    """Train a model; returns the folder of the finished model.

    Writes ``run.json``, ``reference.jsonl``, ``log.jsonl`` and ``model/`` into ``folder``, with
    LoRA also ``adapter/``; checkpoints stand in ``checkpoints/`` until the end. A finished run is
    not trained again.
    """
    pairs = read_pairs(source)
    store.open_run(folder, _run_settings(settings, pairs))
    finished = folder / "model"
    if (folder / "finished").exists():
        notice(f"{folder} is finished already; nothing to train")
        return finished
    loaded = load(settings.model)
    chat = ChatSettings(settings.system, settings.template_args)
    groups = token_groups(loaded.tokenizer, pairs, chat, settings.max_length)
    reference, packed = _reference(settings, loaded.model, groups, folder, notice, progress)
    trainer = _trainer(settings, folder, loaded, groups, reference, packed, progress)
    checkpoint = _last_checkpoint(folder / "checkpoints")
    if checkpoint is not None:
        notice(f"going on from {checkpoint}")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        blend(trainer.model, trainer.ref_model, settings.start_share)
        _save(trainer, folder, loaded)
    except OSError as error:
        raise store.disk_error(folder, error) from error
    except RuntimeError as error:
        # safetensors and torch report a full disk as a RuntimeError or their own kind
        if "No space left" in str(error) or "file write failed" in str(error):
            raise RunError(
                f"the disk is full while writing {folder}; free space, run again"
            ) from error
        raise
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    store.write_text(folder / "finished", "")
    return finished


def _run_settings(settings: TrainSettings, pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = ("coursecorrect", "torch", "transformers", "trl", "peft", "accelerate")
    return {
        "kind": "train",
        "settings": settings.model_dump(mode="json"),
        "pairs_hash": settings_hash([pair["id"] for pair in pairs]),
        "model_revision": revision(resolve(settings.model.model)),
        "versions": {name: version(name) for name in names},
    }


def _reference(
    settings: TrainSettings,
    model: Any,
    groups: Sequence[TokenGroup],
    folder: Path,
    notice: store.Notice,
    progress: Progress,
) -> tuple[dict[str, list[float]], bool]:
    """Log-probabilities of the harmful groups before training; can groups be packed?"""
    import torch

    from coursecorrect.train.grouped import can_pack, log_probs

    # The longest group: a sliding window shows itself on no other.
    packed = can_pack(model, max(groups, key=lambda g: sum(map(len, g.responses))))
    if not packed:
        notice("the model's attention takes no tree mask: responses are trained one by one")
    harmful = [group for group in groups if group.harmful]
    if not harmful:
        return {}, packed
    path = folder / "reference.jsonl"
    log = store.BlockLog(path, "group", 1, notice)
    # In the precision of the training: the rounding of both sides then cancels.
    with torch.autocast(model.device.type, torch.bfloat16, enabled=settings.bf16):
        for done, group in enumerate(harmful, 1):
            if group.id not in log.done:
                found = log_probs(model, group, packed=packed)
                log.append([{"group": group.id, "log_probs": found}])
            progress("scoring", done, len(harmful), {})
    return {row["group"]: row["log_probs"] for _, row in store.read_jsonl(path)}, packed


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    found = [p for p in folder.glob("checkpoint-*") if (p / "trainer_state.json").exists()]
    return max(found, key=lambda p: int(p.name.rsplit("-", 1)[1]), default=None)


def _trainer(
    settings: TrainSettings,
    folder: Path,
    loaded: LoadedModel,
    groups: Sequence[TokenGroup],
    reference: dict[str, list[float]],
    packed: bool,
    progress: Progress,
) -> Any:
    import datasets
    from peft import LoraConfig
    from transformers import PrinterCallback

    from coursecorrect.train.grouped import (
        GroupedConfig,
        GroupedDPOTrainer,
        collate,
        to_dataset,
    )

    datasets.disable_progress_bars()  # one bar, ours, is enough
    config = GroupedConfig(
        output_dir=str(folder / "checkpoints"),
        # One group a forward pass: nothing is padded, and on CPU nothing is lost.
        per_device_train_batch_size=1,
        gradient_accumulation_steps=settings.batch_size,
        num_train_epochs=1,  # the order holds every epoch
        train_sampling_strategy="sequential",
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        max_grad_norm=1.0,
        beta=settings.beta,
        likelihood_weight=settings.likelihood_weight,
        hold_weight=settings.hold_weight,
        packed=packed,
        max_length=None,
        dataloader_pin_memory=False,
        logging_steps=5,
        save_steps=settings.save_steps,
        save_total_limit=1,
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=settings.bf16,
        use_cpu=loaded.model.device.type == "cpu",
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
    )
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = GroupedDPOTrainer(
        model=loaded.model,
        # An adapter is switched off to see the start; all weights need a second copy.
        ref_model=None if settings.lora_rank else load(settings.model).model,
        args=config,
        train_dataset=to_dataset(training_order(groups, settings.epochs, settings.seed), reference),
        processing_class=loaded.tokenizer,
        data_collator=collate,
        peft_config=lora if settings.lora_rank else None,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_progress_callback(folder, progress))
    return trainer


def _progress_callback(folder: Path, progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        """Hands steps and figures on, and keeps the log beside the model."""

        def __init__(self) -> None:
            self.last: dict[str, float] = {}

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("training", state.global_step, state.max_steps, self.last)

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.last = {k: v for k, v in state.log_history[-1].items() if isinstance(v, float)}
            store.write_jsonl(folder / "log.jsonl", state.log_history)

    return Report()


def blend(model: Any, start: Any | None, start_share: float) -> None:
    """Move the weights of ``model`` back towards its start (arXiv 2109.01903), in place.

    Args:
        model: the trained model; an adapter's start is its base.
        start: the model before training; None for an adapter.
        start_share: 0 leaves the model as it is, 1 would give the start.
    """
    import torch

    before = {} if start is None else dict(start.named_parameters())
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name in before:
                weights.lerp_(before[name], start_share)
            elif "lora_B" in name:
                weights.mul_(1 - start_share)


def _save(trainer: Any, folder: Path, loaded: LoadedModel) -> None:
    model = trainer.model
    if hasattr(model, "merge_and_unload"):
        for config in model.peft_config.values():
            config.base_model_name_or_path = loaded.name
        model.save_pretrained(folder / "adapter")
        loaded.tokenizer.save_pretrained(folder / "adapter")
        model = model.merge_and_unload()
    model.save_pretrained(folder / "model")
    loaded.tokenizer.save_pretrained(folder / "model")
