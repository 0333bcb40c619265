"""``c2 train`` and the recipes for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from coursecorrect.cli.options import with_settings
from coursecorrect.cli.progress import bar, train_line
from coursecorrect.cli.prove import show_proof
from coursecorrect.cli.screen import Out, console, default_folder, notice
from coursecorrect.prove import after_training
from coursecorrect.train.recipe import (
    ACCELERATE,
    TrainSettings,
    explained,
    read_recipe,
    recipe_names,
)
from coursecorrect.types import nested


def _recipe(source: str) -> dict[str, Any]:
    return nested(TrainSettings, read_recipe(source).settings)


@with_settings(TrainSettings, _recipe)
def train(
    settings: TrainSettings,
    pairs: Annotated[
        Path, typer.Argument(help="A synthesis folder, or a .jsonl or .parquet file of it.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be trained; load no weights.")
    ] = False,
    prove: Annotated[
        bool,
        typer.Option("--prove", help="Then 'c2 prove' it, into the folder 'proof' of the run."),
    ] = False,
    out: Out = None,
) -> None:
    """Train a model on preference pairs: grouped DPO and a likelihood term after the cut.

    Example: c2 train runs/pairs --model smollm2 --out runs/trained

    Example: c2 train runs/pairs --recipe 7b-lora --model ./my-model --dry-run
    """
    from coursecorrect.workflow import plan_teaching, teach

    if dry_run:
        for name, count in plan_teaching(settings, pairs).items():
            console.print(f"{name}: {count}", markup=False, highlight=False)
        return
    folder = out or default_folder("train", settings.model.model, settings)
    proof = after_training(settings) if prove else None  # what forbids it is told before training
    with bar("training") as show:
        model = teach(
            settings,
            pairs,
            folder,
            notice=notice,
            progress=lambda stage, done, total, log: show(done, total, train_line(stage, log)),
        )
    if settings.lora_rank:
        console.print(f"adapter: {folder / 'adapter'}", markup=False, soft_wrap=True)
    console.print(f"model: {model}", markup=False, soft_wrap=True)
    if proof is not None:
        show_proof(proof, str(model), settings.model.model, folder / "proof")


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Print this one as YAML, each setting with its help.")
    ] = None,
    accelerate: Annotated[
        bool, typer.Option("--accelerate", help="Print the file for 'accelerate launch'.")
    ] = False,
) -> None:
    """The recipes for 'c2 train --recipe'.

    Example: c2 recipes 7b-lora > mine.yaml
    """
    if accelerate:
        print(ACCELERATE.read_text(encoding="utf-8"), end="")
    elif name is not None:
        print(explained(read_recipe(name)))
    else:
        for known in recipe_names():
            print(f"{known}: {' '.join(read_recipe(known).about.split())}")
