"""The command about what a training taught."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coursecorrect.cli.options import with_settings
from coursecorrect.cli.progress import counting, measuring
from coursecorrect.cli.screen import Out, console, default_folder, notice
from coursecorrect.prove import ProveSettings
from coursecorrect.prove import prove as run_proof

Model = Annotated[
    str, typer.Argument(help="The trained model: a local folder, an adapter or a Hub id.")
]
Against = Annotated[str, typer.Option(help="The model before training, by such a name.")]


@with_settings(ProveSettings)
def prove(settings: ProveSettings, model: Model, against: Against, out: Out = None) -> None:
    """What did training teach? Measure both models, ban the taught words, probe, and report.

    Example: c2 prove runs/trained/model --against smollm2 --out runs/proof
    """
    folder = out or default_folder("prove", model, settings.measured(model))
    show_proof(settings, model, against, folder)


def show_proof(settings: ProveSettings, model: str, against: str, folder: Path) -> None:
    """Make the proof, and show its tables and where it stands."""
    from coursecorrect.report.proof import proof_table

    found = run_proof(
        settings, model, against, folder, measuring=measuring, counting=counting, notice=notice
    )
    console.print(proof_table(found))
    console.print(f"figures: {folder / 'results.json'}", markup=False, soft_wrap=True)
    console.print(f"report: {folder / 'report.html'}", markup=False, soft_wrap=True)
