"""What a judge needs beside the texts, where it needs anything: an address, a model, a cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from coursecorrect.types import Record, Verdict


class JudgeSettings(Record):
    """What decides the verdicts of the judges that ask a model; recorded in ``run.json``."""

    judge_url: str | None = None
    """Judge llm: address of an OpenAI-compatible server, such as http://localhost:8000/v1."""
    judge_model: str | None = None
    """Judge llm: the model's name on the server. Judge hf-classifier: a folder or Hub id. Harm
    judge judgezoo: one of its judges."""
    judge_prompt: Literal["guide", "yes-no"] = "guide"
    """Judge llm: our guide with its five verdicts, or one plain question as in the paper."""
    judge_answer: Literal["schema", "text"] = "schema"
    """Judge llm: have the server hold the answer to a JSON schema, or only ask for one."""
    judge_tokens: int = Field(default=400, ge=1)
    """Judge llm: new tokens at most in an answer."""
    judge_labels: dict[str, str] | None = None
    """Judge hf-classifier: what a label of the model means, as LABEL=VERDICT; may be repeated."""
    judge_concurrency: int = Field(default=8, ge=1, exclude=True)
    """Judge llm: requests at the same time."""
    judge_timeout: float = Field(default=120.0, gt=0, exclude=True)
    """Judge llm: seconds that a whole request may take."""

    @field_validator("judge_labels")
    @classmethod
    def _verdicts_known(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        known = [verdict.value for verdict in Verdict]
        for label, verdict in (labels or {}).items():
            if verdict not in known:
                raise ValueError(f"{label} must mean one of {', '.join(known)}")
        return labels


@dataclass(frozen=True)
class JudgeSetup:
    """The settings, with what decides no verdict and is recorded nowhere.

    ``cache`` is the file that keeps what costly judges have found; without it nothing is kept.
    ``first_wait`` is the time before a second try, in seconds.
    """

    settings: JudgeSettings = field(default_factory=JudgeSettings)
    api_key: str | None = None
    cache: Path | None = None
    first_wait: float = 0.5
