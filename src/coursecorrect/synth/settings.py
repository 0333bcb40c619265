"""What a synthetic data set is made of; recorded in ``run.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from coursecorrect.cut import Strategy
from coursecorrect.generate.openai import ServerSettings
from coursecorrect.synth.filters import SeedSettings
from coursecorrect.types import Record


class PairSettings(Record):
    """Which pairs of a group are written, and how much each counts."""

    pairs: Literal["all", "principle-1", "principle-2"] = "all"
    """All, or only those of correction over none (1) or of earlier over later (2)."""
    min_margin: int = Field(default=1, ge=1)
    """Least distance in rank of a pair's two responses."""
    weights: Literal["equal", "margin"] = "equal"
    """Weight of a pair: 1, or its distance in rank over the mean distance in its group."""


class SynthSettings(Record):
    """All that decides a synthetic data set; recorded in ``run.json``."""

    data: str = "builtin"
    """builtin, a .jsonl or .parquet file, or a Hub data set such as PKU-Alignment/PKU-SafeRLHF."""
    seeds: SeedSettings = SeedSettings()
    benign: bool = True
    """Add contrast groups: harmless requests, where going on is preferred to a correction."""
    own_answers: str | None = None
    """The model to be trained: it goes on with the harmless answers from some point in each."""
    own_harmful: bool = False
    """With --own-answers: it goes on with the harmful answers too."""
    cuts: int = Field(default=4, ge=1, le=20)
    """Cuts of each harmful answer; four give six ranks and 15 pairs."""
    strategy: Strategy = "spread"
    """Where harmful answers are cut: spread (ends of sentences and clauses nearest to jittered
    shares), punctuation (the paper's: every s-th such end), sentence (ends of sentences only),
    token (after words, at fixed shares) or onset-sampled (drawn among ends)."""
    corrector: str = "template"
    """Who writes the corrections: template (offline), or a model by hf, vllm or openai."""
    wording: Literal["wide", "narrow"] = "wide"
    """Wording of the template corrector; narrow suits models of a few hundred million weights."""
    corrector_model: str | None = None
    """The model of the corrector; with openai its tokenizer, and its name on the server."""
    server: ServerSettings = ServerSettings()
    judge: str = "lexical"
    """Who verifies that a correction corrects; not the judge that scores the result."""
    seed_judge: str = "rules"
    """Who finds harmful answers that turn away by themselves, which are left out. It may be the
    one that scores the result: it neither writes nor ranks anything."""
    candidates: int = Field(default=2, ge=1)
    """Corrections written at each cut; the best of those that the judge confirms is kept."""
    attempts: int = Field(default=4, ge=1)
    """How often that is tried anew, with other triggers, before the group is rejected."""
    pair_settings: PairSettings = PairSettings()
    validation: float = Field(default=0.02, ge=0, lt=1)
    """Share of the requests whose pairs go into the validation split."""
    shard_size: int = Field(default=1000, ge=1, le=20_000)
    """Seeds a shard, the unit of restart and of the written files."""
    jsonl: bool = True
    """Write JSONL beside the Parquet files (about 2 GB at 750,000 pairs)."""
    audit: bool = False
    """Take seeds of the benchmark too, to look at their quality; c2 train refuses the folder."""
    seed: int = 0
    """Decides cuts, triggers and wording."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many items of each kind."""

    @field_validator("own_harmful")
    @classmethod
    def _own_answers_first(cls, own_harmful: bool, info: ValidationInfo) -> bool:
        if own_harmful and info.data.get("own_answers") is None:
            raise ValueError("needs --own-answers")
        return own_harmful
