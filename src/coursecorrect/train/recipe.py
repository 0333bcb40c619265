"""What is trained, for how long, in which order; recipes are files of such settings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from textwrap import indent
from typing import Any, Final, Literal

import yaml
from pydantic import Field, ValidationError

from coursecorrect.errors import DataError
from coursecorrect.models import ModelSettings
from coursecorrect.train.groups import PrincipleWeights, TokenGroup
from coursecorrect.types import Record, content_id, leaves, nested

RECIPES: Final = Path(__file__).with_name("recipes")
ACCELERATE: Final = Path(__file__).with_name("fsdp.yaml")
"""A configuration for ``accelerate launch``: all weights in pieces over many GPUs."""
Loss = Literal["sigmoid", "ipo", "listwise"]


class TrainSettings(Record):
    """All that decides a training run; recorded in ``run.json``."""

    model: ModelSettings = ModelSettings()
    system: str | None = None
    """System prompt of every group; without it the template's own default applies."""
    template_args: dict[str, Any] | None = None
    """KEY=VALUE for the chat template; may be repeated."""
    epochs: int = Field(default=1, ge=1)
    """How often each group is seen."""
    batch_size: int = Field(default=4, ge=1)
    """Groups a step."""
    learning_rate: float = Field(default=3e-4, gt=0)
    """Peak learning rate of AdamW; LoRA needs a higher one."""
    beta: float = Field(default=0.1, gt=0)
    """DPO's beta: how far the policy may move from its start."""
    loss: Loss = "sigmoid"
    """Loss over a group's pairs: sigmoid (DPO), ipo, or listwise (Plackett-Luce)."""
    length_normalised: bool = False
    """Divide the log-ratio of each response by its tokens; with ipo this is what TRL computes."""
    preference_weight: float = Field(default=1.0, ge=0)
    """Weight of that loss; 0 leaves supervised fine-tuning by the likelihood term."""
    principle_1_weight: float = Field(default=1.0, ge=0)
    """Weight of the pairs of correction over none; 0 leaves them out."""
    principle_2_weight: float = Field(default=1.0, ge=0)
    """Weight of the pairs of earlier over later; 0 leaves them out."""
    likelihood_weight: float = Field(default=5.0, ge=0)
    """Weight of the likelihood term on the tokens after the cut, in harmful groups."""
    unmasked: bool = False
    """Likelihood on the tokens before the cut too: it teaches to begin; only to compare with."""
    hold_weight: float = Field(default=25.0, ge=0)
    """Weight of the divergence from the start on harmless answers."""
    turn_weight: float = Field(default=0.0, ge=0)
    """Weight of the term that asks, at the end of every clause, whether a correction may begin."""
    lesson_epochs: int = Field(default=0, ge=0)
    """How often the start of each text is read first, to learn by that term (--turn-weight)."""
    group_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the groups that are trained whole after that, a harmful one with its twin; 0 trains
    the lesson alone."""
    start_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the start blended into the finished weights; fewer turns, harmless text kept."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of a LoRA adapter on all linear layers; 0 trains all weights."""
    max_length: int = Field(default=1024, ge=16)
    """Longest prompt with response; a longer one is an error, never truncated."""
    bf16: bool = False
    """Compute in bfloat16 and keep the weights as they are; faster where the hardware has it."""
    eval_steps: int = Field(default=100, ge=1)
    """Steps between looks at the validation pairs of a synthesis folder."""
    save_steps: int = Field(default=25, ge=1)
    """Steps between checkpoints, from which a killed run goes on."""
    seed: int = 0
    """Decides the order of the groups and the adapter's start."""

    @property
    def principles(self) -> PrincipleWeights:
        """Weight of a pair by its principle; that of harmless groups, 0, stays 1."""
        return (1.0, self.principle_1_weight, self.principle_2_weight)


class Recipe(Record):
    """Settings that belong together, by the names of their flags."""

    about: str
    settings: dict[str, Any]


def recipe_names() -> list[str]:
    """The recipes of the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(source: str) -> Recipe:
    """A recipe of the package, by name, or of a YAML file.

    Raises:
        DataError: it cannot be read, or a setting is unknown or wrong (names the file and key).
    """
    path = RECIPES / f"{source}.yaml" if source in recipe_names() else Path(source)
    try:
        recipe = Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(recipe_names())
        raise DataError(f"cannot read the recipe {source}: give a file or: {known}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{path}: broken YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise DataError(f"{path}: {_first(error)}; expected 'about' and 'settings'") from error
    for key in recipe.settings:
        if key not in leaves(TrainSettings):
            near = get_close_matches(str(key), leaves(TrainSettings), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else "; see 'c2 train --help'"
            raise DataError(f"{path}: {key!r} is no setting{hint}")
    try:
        TrainSettings.model_validate(nested(TrainSettings, recipe.settings))
    except ValidationError as error:
        raise DataError(f"{path}: {_first(error)}") from error
    return recipe


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "the file"
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"


def explained(recipe: Recipe) -> str:
    """The recipe as a YAML file, each setting with its help."""
    lines = [yaml.safe_dump({"about": recipe.about}, width=1000).strip(), "settings:"]
    for name, value in recipe.settings.items():
        record: Any = TrainSettings
        *places, leaf = leaves(TrainSettings)[name]
        for place in places:
            record = record.model_fields[place].annotation
        written = yaml.safe_dump({name: value}).strip()
        lines += [f"  # {record.model_fields[leaf].description}", indent(written, "  ")]
    return "\n".join(lines)


def share_of(groups: Sequence[TokenGroup], share: float) -> list[TokenGroup]:
    """About that share of the groups, chosen by their ids; groups of a pair go together."""
    kept = share * 16**8
    return [g for g in groups if int(content_id("share", g.pair_key or g.id)[:8], 16) < kept]


def training_order(groups: Sequence[TokenGroup], epochs: int, seed: int) -> list[TokenGroup]:
    """Every group once an epoch, in a seeded order: a harmful group and its twin follow each other.

    So a step, or the next one, sees what tells them apart beside what they have in common.
    Contrasts and groups that stand alone are spread evenly, so that every batch holds them in
    nearly the proportion of the whole.
    """
    contrasts: dict[str, list[TokenGroup]] = {}
    for group in groups:
        contrasts.setdefault(group.pair_key, []).append(group)
    order: list[TokenGroup] = []
    for epoch in range(epochs):
        rng = random.Random(f"{seed}|{epoch}")
        placed: list[tuple[float, str, list[TokenGroup]]] = []
        for kinds in ({True, False}, {True}, {False}):
            alike = [
                (key, contrast)
                for key, contrast in contrasts.items()
                if {group.harmful for group in contrast} == kinds
            ]
            rng.shuffle(alike)
            placed += [((i + rng.random()) / len(alike), *entry) for i, entry in enumerate(alike)]
        placed.sort(key=lambda entry: entry[:2])
        order += [group for *_, contrast in placed for group in contrast]
    return order
