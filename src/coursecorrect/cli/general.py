"""The command about general ability."""

from __future__ import annotations

from typing import Annotated

import typer

from coursecorrect.cli.options import with_settings
from coursecorrect.cli.screen import Out, console, default_folder, errors, notice
from coursecorrect.general import GeneralSettings

Model = Annotated[str, typer.Argument(help="smollm2, a local folder, an adapter or a Hub id.")]


@with_settings(GeneralSettings)
def general(settings: GeneralSettings, before: Model, after: Model, out: Out = None) -> None:
    """Is general ability kept? Two models on the same tasks, against a stated margin.

    Example: c2 general smollm2 runs/trained/model --out runs/general

    Example: c2 general BASE TRAINED --preset paper
    """
    from coursecorrect.report.general import general_table
    from coursecorrect.workflow import general_ability

    folder = out or default_folder("general", after, settings)
    results = general_ability(settings, before, after, folder, notice=notice, say=_say)
    console.print(general_table(results))
    console.print(f"figures: {folder / 'general.json'}", markup=False, soft_wrap=True)


def _say(what: str) -> None:
    errors.print(what, style="dim", markup=False, highlight=False, soft_wrap=True)
