"""The commands about synthetic preferences."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from coursecorrect.cli.options import with_settings
from coursecorrect.cli.progress import bar
from coursecorrect.cli.screen import Out, console, default_folder, notice
from coursecorrect.synth import SynthSettings

app = typer.Typer()

Engine = Literal["plain", "ray"]


@app.callback(invoke_without_command=True)
@with_settings(SynthSettings)
def synth(
    settings: SynthSettings,
    context: typer.Context,
    out: Out = None,
    engine: Annotated[
        Engine, typer.Option(help="plain: processes of this machine; ray: Ray Data.")
    ] = "plain",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that make shards; default: the cores.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster: auto or ray://HOST:10001; default: local.")
    ] = None,
    gpus_per_worker: Annotated[
        float, typer.Option(min=0, help="What a Ray worker reserves, for a corrector on GPUs.")
    ] = 0,
) -> None:
    """Make ranked groups and preference pairs (C2-Syn).

    Example: c2 synth --out runs/pairs
    """
    if context.invoked_subcommand is not None:
        return
    from coursecorrect.workflow import make_pairs, synth_engine

    folder = out or default_folder("synth", settings.corrector, settings)
    made_by = synth_engine(
        settings, engine, workers or os.cpu_count() or 1, address, gpus_per_worker
    )
    with bar("synthesising", growing=True) as show:
        counts = make_pairs(
            settings,
            folder,
            engine=made_by,
            notice=notice,
            progress=lambda done, total: show(done, total, ""),
        )
    for name, value in counts.items():
        console.print(f"{name}: {value}", markup=False)
    console.print(f"run folder: {folder}", markup=False, soft_wrap=True)
