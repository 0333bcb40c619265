"""Training a model on preference pairs, group by group; resumes from its last checkpoint."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from coursecorrect import store
from coursecorrect.chat import ChatSettings
from coursecorrect.errors import DataError, RunError, UserError
from coursecorrect.models import LoadedModel, load, load_tokenizer, resolve, revision
from coursecorrect.train import lesson
from coursecorrect.train.groups import TokenGroup, token_groups
from coursecorrect.train.recipe import TrainSettings, share_of, training_order
from coursecorrect.types import settings_hash

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with the stage (scoring, training), what is done and all there is, and logged figures."""


NEEDED = (
    "prompt",
    "chosen",
    "rejected",
    "cut_chosen",
    "cut_rejected",
    "role_chosen",
    "role_rejected",
    "id",
    "group",
    "pair_key",
    "rank_chosen",
    "rank_rejected",
    "harmful",
    "principle",
    "weight",
)
Split = Literal["train", "validation"]


def read_pairs(source: Path, split: Split = "train") -> list[dict[str, Any]]:
    """The pairs of a synthesis folder, or of a JSONL or Parquet file, which is all to train on.

    The validation split may be empty.

    Raises:
        DataError: no such file, a row lacks a field (names file:line), or the data is an audit.
    """
    pairs = []
    for where, row in _rows(source, split):
        missing = [field for field in NEEDED if field not in row]
        if missing:
            raise DataError(f"{where}: field {missing[0]!r} is missing; make it with 'c2 synth'")
        pairs.append(row)
    if not pairs and split == "train":
        raise DataError(f"{source} holds no pairs; make some with 'c2 synth'")
    return pairs


def _rows(source: Path, split: Split) -> Iterator[tuple[str, dict[str, Any]]]:
    if source.is_dir():
        files = sorted(source.glob(f"data/{split}-*.parquet"))
    else:
        files = [source] if split == "train" else []
    if not files and split == "train":
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


def plan(settings: TrainSettings, source: Path) -> dict[str, int]:
    """What a training would go through, counted without loading the model's weights."""
    from coursecorrect.train.packing import packed_length

    tokenizer = load_tokenizer(settings.model).tokenizer
    course = _course(settings, _tokenised(settings, tokenizer, read_pairs(source)))
    groups = course.groups
    first = {"passes of the first lesson": len(course.lesson)} if course.lesson else {}
    return {
        **first,
        "groups": len(groups),
        "harmful groups": sum(group.harmful for group in groups),
        "pairs": sum(len(group.pairs) for group in groups),
        "validation groups": len({row["group"] for row in read_pairs(source, "validation")}),
        "tokens an epoch, packed": sum(packed_length(group) for group in groups),
        "longest prompt with response": max(
            (len(group.prompt_ids) + max(map(len, group.responses)) for group in groups),
            default=0,
        ),
        "steps": math.ceil(
            (len(course.lesson) + settings.epochs * len(groups)) / settings.batch_size
        ),
    }


def train(
    settings: TrainSettings,
    source: Path,
    folder: Path,
    *,
    notice: store.Notice,
    progress: Progress,
) -> Path:
    """Train a model; returns the folder of the finished model.

    Writes ``run.json``, ``reference.jsonl``, ``log.jsonl``, ``validation.jsonl`` and ``model/``
    into ``folder``, with LoRA also ``adapter/``; checkpoints stand in ``checkpoints/`` until the
    end. A finished run is not trained again. Under ``accelerate launch`` every process calls this
    and the first one alone writes and speaks.
    """
    from coursecorrect.train.validation import choose

    team = _team(settings)
    _check_team(settings, team.num_processes)
    if not team.is_main_process:
        notice = progress = _unheard
    pairs = read_pairs(source)
    held_out = choose(read_pairs(source, "validation"))
    with team.main_process_first():
        store.open_run(folder, _run_settings(settings, pairs, held_out))
    finished = folder / "model"
    if (folder / "finished").exists():
        notice(f"{folder} is finished already; nothing to train")
        return finished
    loaded = load(settings.model)
    course = _course(settings, _tokenised(settings, loaded.tokenizer, pairs))
    if settings.turn_weight and not course.openings:
        notice("no few words open the corrections of this data: --turn-weight has no effect")
    looked_at = _held_out_groups(settings, loaded.tokenizer, held_out)
    reference, packed = _reference(
        settings, loaded.model, course, looked_at, folder, notice, progress
    )
    trainer = _trainer(settings, folder, loaded, course, reference, packed)
    if settings.lora_rank and trainer.is_fsdp_enabled:
        raise UserError(
            "--lora-rank needs no FSDP: launch with 'distributed_type: MULTI_GPU', where every "
            "GPU holds the model and the adapter whole"
        )
    _add_callbacks(trainer, settings, folder, held_out, looked_at, reference, progress)
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
    if trainer.accelerator.is_main_process:
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        store.write_text(folder / "finished", "")
    return finished


def _team(settings: TrainSettings) -> Any:
    """The processes of ``accelerate launch``, or this one alone."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=settings.model.device == "cpu" or not torch.cuda.is_available())


def check_alone(settings: TrainSettings) -> None:
    """Check that this process trains by itself.

    Raises:
        UserError: it is one of several.
    """
    if _team(settings).num_processes > 1:
        raise UserError(
            "--prove works with one process; train without it, then run 'c2 prove MODEL "
            "--against START'"
        )


def _unheard(*_: object) -> None:
    """One process of a team speaks."""


def _check_team(settings: TrainSettings, processes: int) -> None:
    if settings.batch_size % processes:
        raise UserError(
            f"--batch-size {settings.batch_size} cannot be shared by {processes} processes; "
            f"give a multiple of {processes}"
        )


def _tokenised(
    settings: TrainSettings, tokenizer: Any, pairs: Sequence[dict[str, Any]]
) -> list[TokenGroup]:
    """The groups to train on.

    Raises:
        UserError: the pairs have weights, which a listwise loss cannot heed.
    """
    chat = ChatSettings(settings.system, settings.template_args)
    groups = token_groups(tokenizer, pairs, chat, settings.max_length, settings.principles)
    if settings.loss == "listwise" and any(len(set(g.pair_weights)) > 1 for g in groups):
        raise UserError(
            "--loss listwise ranks whole lists and takes no weights of pairs; make the data "
            "without --weights, and leave the weights of the principles at 0 or 1"
        )
    return groups


@dataclass(frozen=True)
class Course:
    """What a training goes through.

    Attributes:
        openings: the tokens that open the corrections of the data; none where each begins with
            another word.
        lesson: the texts of the first lesson, as they go through the model together.
        groups: those that are trained whole after it.
    """

    openings: tuple[int, ...]
    lesson: list[tuple[TokenGroup, ...]]
    groups: list[TokenGroup]


def _course(settings: TrainSettings, groups: Sequence[TokenGroup]) -> Course:
    """What of the data is trained.

    Raises:
        UserError: nothing, or a lesson that would teach nothing.
    """
    if settings.lesson_epochs and not settings.turn_weight:
        raise UserError(
            "--lesson-epochs teaches by the turn term: give --turn-weight too, such as 3"
        )
    opened = lesson.openings(groups)
    texts = lesson.texts(groups) if opened else []
    order = training_order(texts, settings.lesson_epochs, settings.seed)
    course = Course(
        opened,
        lesson.passes(order, settings.batch_size),
        share_of(groups, settings.group_share),
    )
    if not course.lesson and not course.groups:
        raise UserError(
            f"--group-share {settings.group_share:g} leaves no group and there is no first lesson: "
            "raise it, or give --lesson-epochs"
        )
    return course


def _held_out_groups(
    settings: TrainSettings, tokenizer: Any, rows: Sequence[dict[str, Any]]
) -> list[TokenGroup]:
    chat = ChatSettings(settings.system, settings.template_args)
    return token_groups(tokenizer, rows, chat, settings.max_length)


def _run_settings(
    settings: TrainSettings,
    pairs: Sequence[dict[str, Any]],
    held_out: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    names = ("coursecorrect", "torch", "transformers", "trl", "peft", "accelerate")
    return {
        "kind": "train",
        "settings": settings.model_dump(mode="json"),
        "pairs_hash": settings_hash([pair["id"] for pair in pairs]),
        "validation_hash": settings_hash([pair["id"] for pair in held_out]),
        "model_revision": revision(resolve(settings.model.model)),
        "versions": {name: version(name) for name in names},
    }


def _reference(
    settings: TrainSettings,
    model: Any,
    course: Course,
    looked_at: Sequence[TokenGroup],
    folder: Path,
    notice: store.Notice,
    progress: Progress,
) -> tuple[dict[str, list[float]], bool]:
    """Log-probabilities before training; can groups be packed?

    Of the harmful groups and those of the validation: the trainer reads harmless ones at the
    start anyway. Each process of a team scores its share into a file of its own.
    """
    import torch
    from accelerate import PartialState

    from coursecorrect.train.grouped import can_pack, log_probs

    # The longest group: a sliding window shows itself on no other.
    tried = [*course.groups, *looked_at] or [text for texts in course.lesson for text in texts]
    packed = can_pack(model, max(tried, key=lambda g: sum(map(len, g.responses))))
    if not packed:
        notice("the model's attention takes no tree mask: responses are trained one by one")
    team = PartialState()
    wanted = [group for group in course.groups if group.harmful] + list(looked_at)
    mine = wanted[team.process_index :: team.num_processes]
    name = f"reference-{team.process_index}.jsonl" if team.process_index else "reference.jsonl"
    log = store.BlockLog(folder / name, "group", 1, notice)
    # In the precision of the training: the rounding of both sides then cancels.
    with torch.autocast(model.device.type, torch.bfloat16, enabled=settings.bf16):
        for done, group in enumerate(mine, 1):
            if group.id not in log.done:
                found = log_probs(model, group, packed=packed)
                log.append([{"group": group.id, "log_probs": found}])
            progress("scoring", done, len(mine), {})
    team.wait_for_everyone()
    rows = (row for path in folder.glob("reference*.jsonl") for _, row in store.read_jsonl(path))
    return {row["group"]: row["log_probs"] for row in rows}, packed


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    found = [p for p in folder.glob("checkpoint-*") if (p / "trainer_state.json").exists()]
    return max(found, key=lambda p: int(p.name.rsplit("-", 1)[1]), default=None)


def _trainer(
    settings: TrainSettings,
    folder: Path,
    loaded: LoadedModel,
    course: Course,
    reference: dict[str, list[float]],
    packed: bool,
) -> Any:
    import datasets
    from accelerate import PartialState
    from peft import LoraConfig

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
        gradient_accumulation_steps=settings.batch_size // PartialState().num_processes,
        num_train_epochs=1,  # the order holds every epoch
        train_sampling_strategy="sequential",
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        max_grad_norm=1.0,
        beta=settings.beta,
        loss=settings.loss,
        length_normalised=settings.length_normalised,
        preference_weight=settings.preference_weight,
        likelihood_weight=settings.likelihood_weight,
        hold_weight=settings.hold_weight,
        turn_weight=settings.turn_weight if course.openings else 0.0,
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
    order = training_order(course.groups, settings.epochs, settings.seed)
    return GroupedDPOTrainer(
        model=loaded.model,
        # An adapter is switched off to see the start; all weights need a second copy.
        ref_model=None if settings.lora_rank else load(settings.model).model,
        args=config,
        train_dataset=to_dataset(
            order, reference, lesson=course.lesson, unmasked=settings.unmasked
        ),
        openings=course.openings,
        processing_class=loaded.tokenizer,
        data_collator=collate,
        peft_config=lora if settings.lora_rank else None,
    )


def _add_callbacks(
    trainer: Any,
    settings: TrainSettings,
    folder: Path,
    held_out: Sequence[dict[str, Any]],
    looked_at: Sequence[TokenGroup],
    reference: dict[str, list[float]],
    progress: Progress,
) -> None:
    from transformers import PrinterCallback

    from coursecorrect.train.validation import Validation

    trainer.remove_callback(PrinterCallback)
    validation = Validation(
        held_out,
        looked_at,
        reference,
        folder / "validation.jsonl",
        every=settings.eval_steps,
        packed=trainer.args.packed,
        length_normalised=settings.length_normalised,
        bf16=settings.bf16,
    )
    if looked_at:
        trainer.add_callback(validation)
    trainer.add_callback(_progress_callback(folder, progress, validation.latest))


def _progress_callback(folder: Path, progress: Progress, latest: dict[str, float]) -> Any:
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        """Hands steps and figures on, and keeps the log beside the model."""

        def __init__(self) -> None:
            self.last: dict[str, float] = {}

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("training", state.global_step, state.max_steps, self.last | latest)

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.last = {k: v for k, v in state.log_history[-1].items() if isinstance(v, float)}
            if state.is_world_process_zero:
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
    # The weights may be in pieces: all processes bring theirs, the first one writes.
    weights = trainer.accelerator.get_state_dict(trainer.model)
    if not trainer.accelerator.is_main_process:
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        for config in model.peft_config.values():
            config.base_model_name_or_path = loaded.name
        model.save_pretrained(folder / "adapter")
        loaded.tokenizer.save_pretrained(folder / "adapter")
        model = model.merge_and_unload()
        weights = model.state_dict()
    model.save_pretrained(folder / "model", state_dict=weights)
    loaded.tokenizer.save_pretrained(folder / "model")
