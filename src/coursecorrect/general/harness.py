"""lm-evaluation-harness as a function: a task and a model in, one row an item out."""

from __future__ import annotations

import difflib
import io
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, Final

import yaml

from coursecorrect.errors import UserError
from coursecorrect.general.sandbox import passes
from coursecorrect.general.settings import CODE_TASK, GeneralSettings
from coursecorrect.models import LoadedModel
from coursecorrect.types import Record, content_id

FOLDER: Final = Path(__file__).parent / "tasks"
DATA: Final = {"c2_choice": FOLDER / "choice.jsonl", "c2_text": FOLDER / "text.jsonl"}
"""Items in the package. Task files cannot name them: their paths are relative to nothing fixed."""

FEWSHOT_SEED: Final = 1234
"""The harness's own default."""
PERPLEXITY: Final = "word_perplexity"
METRICS: Final = {"hellaswag": "acc_norm", "toxigen": "acc", "truthfulqa_mc2": "acc"}
"""Where a task has several that compare item by item, the usual one."""
KNOWN: Final = ("acc", "acc_norm", "exact_match", "prompt_level_strict_acc", "em", "f1", PERPLEXITY)
"""Metrics that give a number an item, of which more is better (but for the perplexity)."""


class Row(Record):
    """One item of a task: a score, or log-likelihood and words where it is a text."""

    task: str
    doc_id: int
    doc_hash: str
    metric: str
    value: float | tuple[float, float]

    @property
    def key(self) -> str:
        """The same for the same item of the same task, whichever model was asked."""
        return f"{self.task}|{self.doc_id}|{self.doc_hash}"


class Harness:
    """The tasks that can be run by name; loads nothing before it is asked to."""

    def __init__(self, settings: GeneralSettings) -> None:
        """Raises UserError: the harness is not installed, or it does not know a task."""
        self._settings = settings
        if settings.task_names:
            with _quiet():
                self._manager = _manager(settings)
        for name in settings.task_names:
            self._check(name)

    def _check(self, name: str) -> None:
        known = self._manager.all_tasks
        if name in known:
            return
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(
            f"lm-evaluation-harness knows no task {name!r}{hint} (lm-eval ls tasks lists all)"
        )

    def identity(self, name: str) -> dict[str, Any]:
        """What decides the rows of a task, beside the model."""
        from importlib.metadata import version

        settings = self._settings
        own = _digest(FOLDER / f"{name}.yaml", DATA.get(name))
        return {
            "task": name,
            "file": _digest(settings.task_folder) if settings.task_folder else own,
            "harness": version("lm_eval"),
            "limit": settings.limit,
            "shots": settings.shots,
            "chat_template": settings.chat_template,
            "batch_size": settings.batch_size,
        }

    def run(self, name: str, loaded: LoadedModel) -> list[Row]:
        """Every item of a task, or of all tasks of a group.

        Raises:
            UserError: the task's data cannot be had, or no metric compares item by item.
        """
        with _quiet():
            tasks = self._load(name)
            samples = self._samples(loaded, tasks, predict_only=name == CODE_TASK)
        if name == CODE_TASK:
            return [_program_row(sample) for sample in samples[name]]
        return [row for task, logged in samples.items() for row in rows_of(task, logged)]

    def _load(self, name: str) -> list[Any]:
        spec: str | dict[str, Any] = name
        if name in DATA:
            config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
            spec = {**config, "dataset_kwargs": {"data_files": {"test": str(DATA[name])}}}
        try:
            tasks = [*self._manager.load([spec])["tasks"].values()]
        except ModuleNotFoundError as error:
            raise UserError(
                f"task {name} needs {error.name}; run pip install 'coursecorrect[general]'"
            ) from error
        except Exception as error:  # the harness, datasets, the hub and httpx raise many kinds
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UserError(
                f"cannot load task {name}: {(lines or [repr(error)])[0][:200]}; if its data comes "
                "from the Hub, is that reachable? --preset offline needs none"
            ) from error
        for task in tasks:
            if getattr(task, "UNSAFE_CODE", False):
                raise UserError(
                    f"task {name} runs code that the model wrote, in the harness and without a "
                    f"sandbox; for HumanEval give --run-model-code ({CODE_TASK})"
                )
        return tasks

    def _samples(
        self, loaded: LoadedModel, tasks: Sequence[Any], *, predict_only: bool
    ) -> Mapping[str, list[dict[str, Any]]]:
        from lm_eval.evaluator import evaluate
        from lm_eval.models.huggingface import HFLM

        settings = self._settings
        for task in tasks:
            _prepare(task, settings.shots, predict_only)
        model = HFLM(
            pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=settings.batch_size
        )
        found = evaluate(
            model,
            {"tasks": {task.task_name: task for task in tasks}},
            limit=settings.limit,
            bootstrap_iters=0,
            apply_chat_template=settings.chat_template,
            fewshot_as_multiturn=settings.chat_template,
        )
        samples: dict[str, list[dict[str, Any]]] = found["samples"]
        return samples


def _prepare(task: Any, shots: int | None, predict_only: bool) -> None:
    """What ``simple_evaluate`` does to a task; it would also seed the global generators and start
    git and pip to note down the surroundings, for every task."""
    own = task.get_config("num_fewshot")
    if own is None or (shots is not None and own != 0):
        task.set_config(key="num_fewshot", value=shots or 0)
    task.set_fewshot_seed(seed=FEWSHOT_SEED)
    if predict_only:
        task.override_metric(metric_name="bypass")


def rows_of(task: str, samples: Sequence[Mapping[str, Any]]) -> list[Row]:
    """One row an item from what the harness logged; the first filter where there are several.

    Raises:
        UserError: none of the task's metrics gives a number an item that is known.
    """
    metrics = samples[0]["metrics"]
    known = [name for name in (METRICS.get(task, ""), *KNOWN) if name in metrics]
    if not known:
        raise UserError(
            f"task {task} reports {', '.join(metrics)}: none of them is a score an item that is "
            f"known here ({', '.join(KNOWN)})"
        )
    metric, first = known[0], samples[0]["filter"]
    return [
        Row(
            task=task,
            doc_id=sample["doc_id"],
            doc_hash=sample["doc_hash"],
            metric=metric,
            value=_value(sample[metric]),
        )
        for sample in samples
        if sample["filter"] == first
    ]


def _value(found: Any) -> float | tuple[float, float]:
    if isinstance(found, tuple):
        return float(found[0]), float(found[1])
    return float(found)


def _program_row(sample: Mapping[str, Any]) -> Row:
    """Does the function that the model wrote pass the tests of its item?"""
    program = f"{sample['doc']['prompt']}{sample['resps'][0][0]}\n{sample['target']}\n"
    return Row(
        task=CODE_TASK,
        doc_id=sample["doc_id"],
        doc_hash=sample["doc_hash"],
        metric="pass",
        value=float(passes(program)),
    )


def _manager(settings: GeneralSettings) -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError as error:
        raise UserError(
            f"c2 general needs {error.name}; run pip install 'coursecorrect[general]'"
        ) from error
    folder = settings.task_folder
    if folder is not None and not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r} of task files; check --task-folder")
    paths = [FOLDER, *([folder] if folder else [])]
    # The harness has 14,000 task files of its own: read only where one of them is asked for.
    near = TaskManager(include_path=paths, include_defaults=False)
    if set(settings.task_names) <= set(near.all_tasks):
        return near
    return TaskManager(include_path=paths)


def _digest(*paths: Path | None) -> str:
    """Of files, and of all files in folders; those that are not there are left out."""
    files: list[Path] = []
    for path in paths:
        if path is not None and path.is_dir():
            files += sorted(part for part in path.rglob("*") if part.is_file())
        elif path is not None and path.is_file():
            files.append(path)
    return content_id(*(file.read_text("utf-8", "surrogateescape") for file in files))


@contextmanager
def _quiet() -> Iterator[None]:
    """The harness's advice is for those who call it by hand, its bars for those who watch."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    unseen = nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
    try:
        with unseen:
            yield
    finally:
        logger.setLevel(level)
