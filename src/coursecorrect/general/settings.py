"""What ``c2 general`` compares, on which tasks, against which margin."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from coursecorrect.judge.setup import JudgeSettings
from coursecorrect.types import Record

CODE_TASK: Final = "c2_humaneval"
"""HumanEval, whose answers are programs that have to be run."""

PRESETS: Final[dict[str, tuple[str, ...]]] = {
    "offline": ("c2_choice", "c2_text"),
    "paper": (
        "mmlu",
        "hellaswag",
        "gsm8k",
        "ifeval",
        "truthfulqa_mc2",
        "toxigen",
        "ceval-valid",
        "nq_open",
    ),
    "none": (),
}


class GeneralSettings(Record):
    """All flags of ``c2 general`` but the two models."""

    preset: Literal["offline", "paper", "none"] = "offline"
    """offline: tasks in this package, without a hub. paper: MMLU, HellaSwag, GSM8K, IFEval,
    TruthfulQA, ToxiGen, C-Eval and Natural Questions, from the Hub. none: open questions alone."""
    tasks: tuple[str, ...] = ()
    """Tasks of lm-evaluation-harness, separated by commas, instead of a preset."""
    task_folder: Path | None = None
    """A folder with task files (YAML) of your own, in the harness's format."""
    margin: float = Field(default=3.0, gt=0, lt=100)
    """Points that a task may lose and still be called kept."""
    margin_perplexity: float = Field(default=5.0, gt=0, lt=100)
    """Percent by which a perplexity may rise and still be called kept."""
    margin_score: float = Field(default=0.5, gt=0, lt=9)
    """How much the mean score of open questions (1 to 10) may fall and still be called kept."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many items of each task."""
    batch_size: int = Field(default=16, ge=1)
    """Sequences at a time."""
    shots: int | None = Field(default=None, ge=0)
    """Examples before each question; default: as the task says. A task that says 0 keeps it."""
    chat_template: bool = False
    """Ask in the model's chat template instead of as plain text."""
    run_model_code: bool = False
    """Add HumanEval. It RUNS CODE THAT THE MODELS WROTE, in a sandbox (Linux only)."""
    open_questions: Path | None = None
    """JSONL questions of two turns, as in MT-Bench: question_id, category, turns, reference; a
    judge behind --judge-url scores the answers."""
    answer_tokens: int = Field(default=512, ge=1)
    """New tokens at most in an answer to an open question."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the weights; auto is float32 on CPU and the model's own on CUDA."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes CUDA when it is there."""
    trust_remote_code: bool = False
    """Run model code from the Hub; off unless you trust its author."""
    judge: JudgeSettings = JudgeSettings()

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks to run, each once."""
        code = (CODE_TASK,) if self.run_model_code else ()
        return tuple(dict.fromkeys((*(self.tasks or PRESETS[self.preset]), *code)))
