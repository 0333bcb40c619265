"""What the commands do, as functions for a script or a notebook: names in, results out."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coursecorrect import generate, store
from coursecorrect.chat import encode, render
from coursecorrect.correct import get_corrector
from coursecorrect.data.readers import read_items
from coursecorrect.errors import DataError, UserError
from coursecorrect.evaluate import (
    EvalSettings,
    Progress,
    evaluate,
    protocol_settings,
    select_items,
    shared_items,
    trigger_tokens,
)
from coursecorrect.generate.base import Generator
from coursecorrect.judge import get_judge
from coursecorrect.judge.base import Judge
from coursecorrect.metrics import Agreement, agreement
from coursecorrect.models import LoadedModel, ModelSettings, load, load_tokenizer
from coursecorrect.registry import find
from coursecorrect.report.html import write_report
from coursecorrect.report.protocols import write_protocols
from coursecorrect.report.results import load_run, write_results
from coursecorrect.synthesize import SynthSettings, synthesize
from coursecorrect.train.recipe import TrainSettings
from coursecorrect.turn import find_markers
from coursecorrect.types import Continuation, Item

SERVED = "served.jsonl"
"""In a run folder: every answer of a server, as it arrived."""


def measure(
    settings: EvalSettings,
    folder: Path,
    *,
    notice: store.Notice,
    progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Run C2-Eval into ``folder`` and return its results."""
    judge, items, loaded, generator = _parts(settings, folder, notice)
    evaluate(settings, folder, items, loaded, generator, judge, notice=notice, progress=progress)
    return write_results(folder, agreement_or_none(settings.judge))


def measure_protocols(
    settings: EvalSettings,
    folder: Path,
    *,
    notice: store.Notice,
    progress: Callable[[str, Progress], None],
) -> dict[str, Any]:
    """Run C2-Eval by five protocols on the same items, each into a folder of its own.

    Returns what the differences between ``strict`` and ``reference`` are worth.
    """
    judge, items, loaded, generator = _parts(settings, folder, notice)
    variants = protocol_settings(settings)
    items, excluded = shared_items(variants, items, loaded.tokenizer, judge)
    store.open_run(folder, {"kind": "protocols", "settings": settings.model_dump(mode="json")})
    store.write_jsonl(folder / "excluded.jsonl", excluded)
    known = agreement_or_none(settings.judge)
    folders = {name: folder / name for name in variants}
    results: dict[str, dict[str, Any]] = {}
    for name, variant in variants.items():
        evaluate(
            variant,
            folders[name],
            items,
            loaded,
            generator,
            judge,
            notice=notice,
            progress=partial(progress, name),
        )
        results[name] = write_results(folders[name], known)
    return write_protocols(folder, folders, results)


def _parts(
    settings: EvalSettings, folder: Path, notice: store.Notice
) -> tuple[Judge, list[Item], LoadedModel, Generator]:
    """Judge, items, model and generator of a measurement."""
    find("generator", generate.BUILT_IN, settings.generator)
    judge = get_judge(settings.judge)
    items = select_items(settings)  # before the model: a wrong path is told at once
    serve = settings.generator == "openai"
    options = _server_options(settings, folder) if serve else _local_options(settings)
    loaded = load_tokenizer(settings.model) if serve else load(settings.model)
    if serve and settings.thinking != "none":
        _check_markers_are_seen(settings, items[0].request, loaded.tokenizer)
    if settings.ban_triggers:
        options["banned"] = trigger_tokens(loaded.tokenizer)
    generator = generate.get_generator(settings.generator, loaded=loaded, notice=notice, **options)
    return judge, items, loaded, generator


def _server_options(settings: EvalSettings, folder: Path) -> dict[str, Any]:
    if settings.ban_triggers:
        raise UserError(
            "--ban-triggers works with --generator hf only: a server samples by itself, and not "
            "every one can be told what to leave out"
        )
    return {
        "server": settings.server,
        "api_key": os.environ.get("OPENAI_API_KEY"),
        "journal": folder / SERVED,
    }


def _check_markers_are_seen(settings: EvalSettings, request: str, tokenizer: Any) -> None:
    prompt = render(tokenizer, request, settings.chat)
    markers, _, _ = find_markers(tokenizer, settings.chat, request, prompt)
    ids, _ = encode(tokenizer, markers.close_tag)
    if tokenizer.decode(ids, skip_special_tokens=True) != markers.close_tag:
        raise UserError(
            f"a server leaves special tokens out of its text, and {markers.close_tag!r} is one: "
            "thought and answer cannot be told apart; use --generator hf"
        )


def _local_options(settings: EvalSettings) -> dict[str, Any]:
    if settings.server.model_dump(exclude_none=True):
        raise UserError("--base-url and --served-model need --generator openai")
    return {}


def make_pairs(
    settings: SynthSettings,
    folder: Path,
    *,
    benchmarks: Sequence[str] = (),
    notice: store.Notice,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Run C2-Syn into ``folder`` and return the counts."""
    options: dict[str, Any] = {}
    if settings.corrector == "template":
        options["wording"] = settings.wording
    if settings.corrector_model is not None:
        options["model"] = settings.corrector_model
    corrector, verifier = get_corrector(settings.corrector, **options), get_judge(settings.judge)
    return synthesize(
        settings,
        folder,
        corrector,
        verifier,
        generator=_own_generator(settings.own_answers, notice),
        extra_benchmark=[item for source in benchmarks for item in read_items(source)],
        notice=notice,
        progress=progress,
    )


def _own_generator(model: str | None, notice: store.Notice) -> Generator | None:
    if model is None:
        return None
    from coursecorrect.generate.hf import HFGenerator

    return HFGenerator(load(ModelSettings(model=model)), notice=notice)


def teach(
    settings: TrainSettings,
    pairs: Path,
    folder: Path,
    *,
    notice: store.Notice,
    progress: Callable[[str, int, int, dict[str, float]], None],
) -> Path:
    """Train on a synthesis folder; returns the folder of the finished model."""
    from coursecorrect.train.run import train

    return train(settings, pairs, folder, notice=notice, progress=progress)


def compare(
    before: Path, after: Path | None, out: Path
) -> tuple[Path, tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None]:
    """Write the report; with two runs also both results and their paired differences."""
    from coursecorrect.report.results import compare_folders

    known = agreement_or_none(str(load_run(before).settings["settings"]["judge"]))
    path = write_report(before, after, out, agreement=known)
    return path, None if after is None else compare_folders(before, after, known)


def judge_file(texts: Path, judge: str, out: Path) -> dict[str, int]:
    """Judge the rows of a JSONL file; returns how often each verdict was given.

    Raises:
        DataError: a row lacks a field or has a wrong type (names file:line and field).
    """
    rows = [_continuation(row, f"{texts}:{number}") for number, row in store.read_jsonl(texts)]
    judged = get_judge(judge).judge(rows)
    store.write_jsonl(
        out,
        [
            {"id": row.id, **result.model_dump(mode="json")}
            for row, result in zip(rows, judged, strict=True)
        ],
    )
    return dict(Counter(result.verdict.value for result in judged))


def _continuation(row: dict[str, Any], where: str) -> Continuation:
    known = {key: row[key] for key in Continuation.model_fields if key in row}
    try:
        return Continuation.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{where}: field {first['loc'][0]!r}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


@cache
def built_in_labels() -> tuple[dict[str, Any], ...]:
    """The labelled continuations in the package (how they were made: ``docs/judging.md``)."""
    path = resources.files("coursecorrect.data") / "labels.jsonl"
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


@cache
def judge_agreement(judge: str, part: str = "locked") -> Agreement:
    """How a judge agrees with the built-in labels of one part (``dev`` or ``locked``)."""
    known_judge = get_judge(judge)
    rows = [row for row in built_in_labels() if row["part"] == part]
    if not rows:
        raise UserError(f"there are no labels of part {part!r}; choose dev or locked")
    judged = known_judge.judge([_continuation(row, row["id"]) for row in rows])
    return agreement(
        [row["label"] for row in rows],
        [result.verdict.value for result in judged],
        [row["request"] for row in rows],
    )


def agreement_or_none(judge: str) -> dict[str, Any] | None:
    """The agreement on the locked labels as it stands in results; None while there are none."""
    return judge_agreement(judge).model_dump() if built_in_labels() else None
