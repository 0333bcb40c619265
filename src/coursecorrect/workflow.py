"""What the commands do, as functions for a script or a notebook: names in, results out."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path
from pydantic import ValidationError

from coursecorrect import generate, store
from coursecorrect.chat import encode, render
from coursecorrect.correct.openings import trigger_tokens
from coursecorrect.errors import DataError, UserError
from coursecorrect.evaluate import (
    EvalSettings,
    Progress,
    copy_paths,
    evaluate,
    protocol_settings,
    rejudge,
    select_items,
    shared_items,
)
from coursecorrect.general import GeneralSettings
from coursecorrect.generate.base import Generator
from coursecorrect.judge import Judge, JudgeSettings, JudgeSetup, get_judge
from coursecorrect.judge.harm import Answer, get_harm_judge
from coursecorrect.metrics import Agreement, agreement
from coursecorrect.metrics.dynamics import dynamics_results
from coursecorrect.models import LoadedModel, load, load_tokenizer
from coursecorrect.probe import ProbeSettings, probe
from coursecorrect.registry import find
from coursecorrect.report.dynamics import write_dynamics
from coursecorrect.report.groups import Inspection
from coursecorrect.report.html import write_report
from coursecorrect.report.protocols import write_protocols
from coursecorrect.report.results import load_run, write_results
from coursecorrect.shortcuts import MOST_GROUPS, Shortcuts
from coursecorrect.shortcuts import shortcuts as find_shortcuts
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.browse import (
    ALL,
    DataSet,
    Wanted,
    draw_groups,
    draw_rejected,
    lengths,
    open_data_set,
)
from coursecorrect.synth.engines import Engine, here, pool
from coursecorrect.synth.run import synthesize
from coursecorrect.synth.tools import build_tools, loads_a_model
from coursecorrect.train.recipe import TrainSettings
from coursecorrect.turn import find_markers
from coursecorrect.types import Continuation, Item, Record

Row = TypeVar("Row", bound=Record)

NO_SETTINGS = JudgeSettings()
"""For judges that take none."""

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
    return write_results(folder, agreement_or_none(settings.judge, settings.judge_settings))


def measure_again(
    run: Path,
    folder: Path,
    judge: str,
    settings: JudgeSettings = NO_SETTINGS,
    *,
    progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Judge the paths of a finished run by another judge into ``folder``; returns its results.

    Raises:
        RunError: the run cannot be used, or the folder holds another one.
    """
    found = judge_for(judge, settings)
    load_run(run)
    copy_paths(run, folder, found, judge, settings)
    rejudge(folder, found, progress)
    return write_results(folder, agreement_or_none(judge, settings))


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
    known = agreement_or_none(settings.judge, settings.judge_settings)
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
    judge = judge_for(settings.judge, settings.judge_settings)
    items = select_items(settings)  # before the model: a wrong path is told at once
    serve = settings.generator == "openai"
    options = _server_options(settings, folder) if serve else _local_options(settings)
    here = settings.generator not in {"openai", "vllm"}
    loaded = load(settings.model) if here else load_tokenizer(settings.model)
    if serve and settings.thinking != "none":
        _check_markers_are_seen(settings, items[0].request, loaded.tokenizer)
    if settings.ban_triggers:
        options["banned"] = trigger_tokens(loaded.tokenizer)
    generator = generate.get_generator(settings.generator, loaded=loaded, notice=notice, **options)
    return judge, items, loaded, generator


def judge_for(name: str, settings: JudgeSettings) -> Judge:
    """A judge with its settings, the key of the environment and the user's kept verdicts."""
    return get_judge(name, _judge_setup(settings))


def _judge_setup(settings: JudgeSettings) -> JudgeSetup:
    return JudgeSetup(settings, os.environ.get("OPENAI_API_KEY"), kept_verdicts())


def kept_verdicts() -> Path:
    """Where the verdicts of costly judges are kept between runs."""
    return user_cache_path("coursecorrect") / "verdicts.sqlite"


def _server_options(settings: EvalSettings, folder: Path) -> dict[str, Any]:
    if settings.ban_triggers:
        raise UserError(
            "--ban-triggers works without a server only: a server samples by itself, and not "
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
    return {"settings": settings.model} if settings.generator == "vllm" else {}


def write_own_prefixes(
    run: Path, out: Path, harm_judge: str, settings: JudgeSettings = NO_SETTINGS
) -> dict[str, Any]:
    """Write the items whose answers a run's model wrote itself; returns counts by kind."""
    from coursecorrect.own_prefixes import own_items

    judge = get_harm_judge(harm_judge, _judge_setup(settings))
    found = load_run(run)
    items, lacking = own_items(found.model, found.items, found.paths, found.verdicts, judge)
    if not items:
        raise UserError(f"{run}: no path at 'opener only' could be taken; sample more paths")
    store.write_jsonl(out, [item.model_dump(mode="json", exclude_none=True) for item in items])
    return {"items": dict(Counter(item.kind.value for item in items)), "without": lacking}


def look_along(
    settings: ProbeSettings,
    folder: Path,
    *,
    notice: store.Notice,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Run a probe into ``folder``, with ``probe.json`` and ``probe.png``; returns its results."""
    items = select_items(settings.measured)
    loaded = load(settings.model)
    other = settings.against
    against = None if other is None else load(settings.model.model_copy(update={"model": other}))
    rows = probe(
        settings,
        folder,
        items,
        loaded,
        against,
        get_judge(settings.measured.judge),
        notice=notice,
        progress=progress,
    )
    results = dynamics_results(rows)
    store.write_text(folder / "probe.json", json.dumps(results, indent=1) + "\n")
    write_dynamics(rows, settings.names, folder / "probe.png")
    return results


def make_pairs(
    settings: SynthSettings,
    folder: Path,
    *,
    engine: Engine = here,
    notice: store.Notice,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Run C2-Syn into ``folder`` and return the counts."""
    tools = partial(build_tools, settings, os.environ.get("OPENAI_API_KEY"))
    return synthesize(settings, folder, tools, engine=engine, notice=notice, progress=progress)


def synth_engine(
    settings: SynthSettings, name: str, workers: int, address: str | None, gpus_per_worker: float
) -> Engine:
    """Who makes the shards of a data set; it decides nothing that is written.

    Raises:
        UserError: Ray is not installed, or options of Ray without it.
    """
    if name == "ray":
        from coursecorrect.synth.ray_engine import on_ray

        return on_ray(workers, address, gpus_per_worker)
    if address is not None or gpus_per_worker:
        raise UserError("--address and --gpus-per-worker need --engine ray")
    # A model in every process would not fit; one process keeps a small one busy.
    return here if workers == 1 or loads_a_model(settings) else pool(workers)


def inspect_groups(
    folder: Path,
    *,
    wanted: Wanted = ALL,
    most: int = 3,
    seed: int = 0,
    shortcuts: bool = True,
    rejected: bool = False,
) -> Inspection:
    """Look at a finished synthesis folder, however large it is.

    Args:
        folder: of ``c2 synth``.
        wanted: which groups are drawn; counts, lengths and shortcuts are about all of them.
        most: groups that are drawn, and rejected rows of each reason.
        seed: decides which.
        shortcuts: look for what could be learnt instead of the lesson; takes about ten seconds.
        rejected: draw rejected rows too.

    Raises:
        RunError: the folder is none of c2 synth, or is not finished.
        UserError: there is no such group.
    """
    data = open_data_set(folder)
    groups = draw_groups(data, most, seed, wanted)
    if not groups and wanted != ALL:
        raise UserError(f"{folder} has no group as wanted: {wanted.model_dump(exclude_none=True)}")
    return Inspection(
        data=data,
        lengths=lengths(data),
        shortcuts=_shortcuts_of(data, seed) if shortcuts else None,
        groups=groups,
        rejected=draw_rejected(data, most, seed, wanted.search) if rejected else None,
    )


def _shortcuts_of(data: DataSet, seed: int) -> Shortcuts:
    """As of all groups, but without decoding those that ``shortcuts`` would not take."""
    found = find_shortcuts(draw_groups(data, MOST_GROUPS, seed), seed)
    return found.model_copy(update={"of_groups": data.counts["groups"]})


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


def general_ability(
    settings: GeneralSettings,
    before: str,
    after: str,
    folder: Path,
    *,
    notice: store.Notice,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Compare two models on general tasks into ``folder``; returns what ``general.json`` holds."""
    from coursecorrect.general.run import compare_models

    setup = _judge_setup(settings.judge)
    return compare_models(settings, before, after, folder, setup, notice=notice, say=say)


def plan_teaching(settings: TrainSettings, pairs: Path) -> dict[str, int]:
    """What a training would go through, without loading the model's weights."""
    from coursecorrect.train.run import plan

    return plan(settings, pairs)


def compare(
    before: Path, after: Path | None, out: Path
) -> tuple[Path, tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None]:
    """Write the report; with two runs also both results and their paired differences."""
    from coursecorrect.report.results import compare_folders

    known = _agreements_of([before] if after is None else [before, after])
    path = write_report(before, after, out, agreements=known)
    return path, None if after is None else compare_folders(before, after, known)


def _agreements_of(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The agreement of the runs' judges, by the digest of each."""
    found = {}
    for folder in folders:
        recorded = load_run(folder).settings
        if (known := _agreement_of(folder, recorded["settings"])) is not None:
            found[str(recorded["judge"].get("digest"))] = known
    return found


def _agreement_of(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The agreement of a run's judge: as recorded where the judge was given settings, else anew.

    A report must not ask a server.
    """
    if "judge_settings" not in settings:
        return agreement_or_none(str(settings["judge"]))
    path = folder / "results.json"
    if not path.is_file():
        return None
    known: dict[str, Any] | None = json.loads(path.read_text("utf-8"))["judge"]["agreement"]
    return known


def judge_file(
    texts: Path, judge: str, out: Path, settings: JudgeSettings = NO_SETTINGS
) -> dict[str, int]:
    """Judge the rows of a JSONL file; returns how often each verdict was given.

    Raises:
        DataError: a row lacks a field or has a wrong type (names file:line and field).
    """
    rows = [continuation_of(row, f"{texts}:{number}") for number, row in store.read_jsonl(texts)]
    judged = judge_for(judge, settings).judge(rows)
    store.write_jsonl(
        out,
        [
            {"id": row.id, **result.model_dump(mode="json")}
            for row, result in zip(rows, judged, strict=True)
        ],
    )
    return dict(Counter(result.verdict.value for result in judged))


def judge_harm_file(
    answers: Path, judge: str, out: Path, settings: JudgeSettings = NO_SETTINGS
) -> dict[str, int]:
    """Judge whether answers give the harm asked for; returns how often each was found.

    Raises:
        DataError: a row lacks a field or has a wrong type (names file:line and field).
    """
    rows = [
        _record(Answer, row, f"{answers}:{number}") for number, row in store.read_jsonl(answers)
    ]
    judged = get_harm_judge(judge, _judge_setup(settings)).harmful(rows)
    store.write_jsonl(
        out,
        [{"id": r.id, **j.model_dump(mode="json")} for r, j in zip(rows, judged, strict=True)],
    )
    names = {True: "harmful", False: "not harmful", None: "undecided"}
    return dict(Counter(names[found.harmful] for found in judged))


def continuation_of(row: dict[str, Any], where: str) -> Continuation:
    """A row as what a judge sees; ``where`` names it in the error.

    Raises:
        DataError: a field is missing or has a wrong type.
    """
    return _record(Continuation, row, where)


def _record(kind: type[Row], row: dict[str, Any], where: str) -> Row:
    """The fields of ``row`` that ``kind`` has."""
    known = {key: row[key] for key in kind.model_fields if key in row}
    try:
        return kind.model_validate(known)
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


def judge_agreement(
    judge: str, part: str = "locked", settings: JudgeSettings = NO_SETTINGS
) -> Agreement:
    """How a judge agrees with the built-in labels of one part (``dev`` or ``locked``)."""
    return _judge_agreement(judge, part, json.dumps(dict(settings)))


@cache
def _judge_agreement(judge: str, part: str, settings: str) -> Agreement:
    known_judge = judge_for(judge, JudgeSettings.model_validate_json(settings))
    rows = [row for row in built_in_labels() if row["part"] == part]
    if not rows:
        raise UserError(f"there are no labels of part {part!r}; choose dev or locked")
    judged = known_judge.judge([continuation_of(row, row["id"]) for row in rows])
    return agreement(
        [row["label"] for row in rows],
        [result.verdict.value for result in judged],
        [row["request"] for row in rows],
    )


def agreement_or_none(judge: str, settings: JudgeSettings = NO_SETTINGS) -> dict[str, Any] | None:
    """The agreement on the locked labels as it stands in results; None while there are none."""
    return judge_agreement(judge, settings=settings).model_dump() if built_in_labels() else None
