"""Both models through all tasks and open questions, and the comparison of each.

What a model did on a task stands in ``rows/TASK-DIGEST.jsonl``, where the digest is of everything
that decides it (model, task, harness, limit, template). So a finished task is never run again, in
this comparison or in another one in the same folder, and a model compared with itself runs once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from coursecorrect import store
from coursecorrect.errors import UserError
from coursecorrect.general import sandbox
from coursecorrect.general.harness import PERPLEXITY, Harness, Row
from coursecorrect.general.questions import (
    Question,
    answer_all,
    exchanges,
    means,
    read_answers,
    read_questions,
    score_all,
)
from coursecorrect.general.settings import CODE_TASK, GeneralSettings
from coursecorrect.judge.scores import HIGHEST, LOWEST, ScoreJudge
from coursecorrect.judge.setup import JudgeSetup
from coursecorrect.metrics.kept import compare_perplexity, compare_scores
from coursecorrect.models import LoadedModel, ModelSettings, load, resolve, revision
from coursecorrect.types import settings_hash

OPEN: Final = "open questions"

Say = Callable[[str], None]
"""Told what begins: a side and a task."""


class Side:
    """One of the two models, loaded only where rows are missing."""

    def __init__(self, name: str, settings: GeneralSettings) -> None:
        self.name = name
        self._settings = ModelSettings(
            model=name,
            dtype=settings.dtype,
            device=settings.device,
            trust_remote_code=settings.trust_remote_code,
        )
        self._loaded: LoadedModel | None = None
        # A local folder is known by its digest; the commit of a Hub model only once it is loaded.
        self.revision = revision(resolve(name)) or self.loaded.revision

    @property
    def loaded(self) -> LoadedModel:
        """The model, loaded when it is first needed."""
        if self._loaded is None:
            self._loaded = load(self._settings)
        return self._loaded

    def release(self) -> None:
        """Let go of the weights."""
        self._loaded = None

    @property
    def identity(self) -> dict[str, Any]:
        """What the rows depend on, beside the task."""
        settings = self._settings
        return {
            "revision": self.revision or settings.model,
            "dtype": settings.dtype,
            "device": settings.device,
            "transformers": version("transformers"),
            "torch": version("torch"),
        }


def compare_models(
    settings: GeneralSettings,
    before: str,
    after: str,
    folder: Path,
    setup: JudgeSetup,
    *,
    notice: store.Notice,
    say: Say,
) -> dict[str, Any]:
    """Run what is missing, and write and return ``general.json``.

    Raises:
        UserError: no task, an unknown one, data that cannot be had, no sandbox, no judge.
    """
    names, questions = settings.task_names, _questions(settings)
    if not names and not questions:
        raise UserError("nothing to compare: give --tasks, another --preset or --open-questions")
    if CODE_TASK in names:
        if not settings.run_model_code:
            raise UserError(f"{CODE_TASK} runs code that the models wrote; add --run-model-code")
        sandbox.check()
    harness = Harness(settings)
    judge = ScoreJudge(setup) if questions else None
    sides: list[dict[str, Any]] = []
    for where, name in (("before", before), ("after", after)):
        side = Side(name, settings)
        files: dict[str, Path] = {}
        for task in names:
            say(f"{where}: {task}")
            files[task] = _task_rows(harness, task, side, folder)
        if questions:
            say(f"{where}: {OPEN}")
            files[OPEN] = _answers(questions, side, settings, folder, notice)
        sides.append({"model": name, "revision": side.revision, "rows": files})
        side.release()  # two large models at once may not fit
    found: dict[str, Any] = {
        task: _compare_task(task, settings, *(side["rows"][task] for side in sides))
        for task in names
    }
    if judge is not None:
        say(f"scores: {OPEN}")
        answers = [side["rows"][OPEN] for side in sides]
        found[OPEN] = _compare_answers(questions, answers, judge, settings, folder, notice)
    return _write(folder, settings, sides, found)


def _questions(settings: GeneralSettings) -> list[Question]:
    if settings.open_questions is None:
        return []
    return read_questions(settings.open_questions, settings.limit)


def _task_rows(harness: Harness, task: str, side: Side, folder: Path) -> Path:
    """The file of a task's rows, made where it is missing."""
    path = _place(folder, task, side.identity | harness.identity(task))
    if not path.exists():
        rows = harness.run(task, side.loaded)
        store.write_jsonl(path, [row.model_dump(mode="json") for row in rows])
    return path


def _answers(
    questions: Sequence[Question],
    side: Side,
    settings: GeneralSettings,
    folder: Path,
    notice: store.Notice,
) -> Path:
    asked = [(str(question.question_id), question.turns) for question in questions]
    what = {"questions": asked, "tokens": settings.answer_tokens}
    path = _place(folder, "answers", side.identity | what)
    path.parent.mkdir(parents=True, exist_ok=True)
    answer_all(questions, lambda: side.loaded, settings.answer_tokens, path, notice)
    return path


def _place(folder: Path, name: str, identity: dict[str, Any]) -> Path:
    slug = re.sub(r"[^\w.-]+", "-", name)
    return folder / "rows" / f"{slug}-{settings_hash(identity)}.jsonl"


def _compare_task(
    name: str, settings: GeneralSettings, before: Path, after: Path
) -> dict[str, Any]:
    sides = [[Row.model_validate(row) for _, row in store.read_jsonl(p)] for p in (before, after)]
    keys = [[row.key for row in rows] for rows in sides]
    if keys[0] != keys[1]:
        raise UserError(
            f"the items of task {name} are not the same before and after: its data has changed "
            f"in between; delete {before} and {after} and run the command again"
        )
    metric = sides[0][0].metric
    values: list[list[Any]] = [[row.value for row in rows] for rows in sides]
    old, new = values
    compared = (
        compare_perplexity(keys[0], old, new, settings.margin_perplexity / 100)
        if metric == PERPLEXITY
        else compare_scores(keys[0], old, new, settings.margin / 100)
    )
    return {"metric": metric, **compared.model_dump()}


def _compare_answers(
    questions: Sequence[Question],
    answers: Sequence[Path],
    judge: ScoreJudge,
    settings: GeneralSettings,
    folder: Path,
    notice: store.Notice,
) -> dict[str, Any]:
    scored = []
    for path in answers:
        asked = [*exchanges(questions, read_answers(path))]
        what = {"judge": judge.digest, "asked": [e.model_dump(mode="json") for e in asked]}
        scored.append(score_all(asked, judge, _place(folder, "scores", what), notice))
    ids, (before, after), unscored = means(questions, scored)
    if not ids:
        first = next(iter(scored[0].values()))
        raise UserError(f"no question has a score on both sides; the first says: {first.reason}")
    compared = compare_scores(ids, before, after, settings.margin_score, HIGHEST - LOWEST)
    return {"metric": "score", "unscored": unscored, **compared.model_dump()}


def _write(
    folder: Path, settings: GeneralSettings, sides: Sequence[dict[str, Any]], found: dict[str, Any]
) -> dict[str, Any]:
    packages = ["coursecorrect", "torch", "transformers"]
    packages += ["lm_eval"] if settings.task_names else []
    for side in sides:
        side["rows"] = {task: str(path.relative_to(folder)) for task, path in side["rows"].items()}
    result = {
        "kind": "general",
        "settings": settings.model_dump(mode="json"),
        "before": sides[0],
        "after": sides[1],
        "versions": {name: version(name) for name in packages},
        "tasks": found,
    }
    store.write_text(folder / "general.json", json.dumps(result, indent=1) + "\n")
    return result
