"""The commands about synthetic preferences."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from coursecorrect.cli.options import with_settings
from coursecorrect.cli.progress import bar
from coursecorrect.cli.screen import Out, console, default_folder, notice
from coursecorrect.synth import SynthSettings

app = typer.Typer()

Engine = Literal["plain", "ray"]
Folder = Annotated[Path, typer.Argument(help="A finished folder of c2 synth.")]

PAGE_GROUPS = 200
"""Groups of an HTML page, where no more are asked for."""


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


@app.command()
def inspect(
    folder: Folder,
    n: Annotated[
        int | None,
        typer.Option("--n", min=1, help="Groups to show: 3 on the screen, 200 in HTML."),
    ] = None,
    group: Annotated[str | None, typer.Option(help="This group alone, by its id.")] = None,
    kind: Annotated[
        Literal["harmful", "benign"] | None, typer.Option(help="Groups of this kind.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Groups with this text in request or responses.")
    ] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Show rejected rows of each reason too.")
    ] = False,
    shortcuts: Annotated[
        bool, typer.Option(help="Look for what could be learnt instead of the lesson.")
    ] = True,
    html: Annotated[
        Path | None, typer.Option(help="Write an HTML page of its own to this file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which groups are shown.")] = 0,
) -> None:
    """Look at a data set: counts, lengths, shortcuts, and some of its groups.

    Example: c2 synth inspect runs/pairs --kind harmful --html groups.html
    """
    from coursecorrect.report.groups import groups_view, inspection_view, write_groups_page
    from coursecorrect.synth.browse import Wanted
    from coursecorrect.workflow import inspect_groups

    on_screen = n or 3
    with console.status("reading"):
        found = inspect_groups(
            folder,
            wanted=Wanted(kind=kind, search=search, id=group),
            most=max(on_screen, n or PAGE_GROUPS) if html else on_screen,
            seed=seed,
            shortcuts=shortcuts and (group is None or html is not None),
            rejected=rejected,
        )
    if group is not None:
        console.print(groups_view(found.groups))
    else:
        console.print(inspection_view(found, on_screen))
    if html is not None:
        page = write_groups_page(found, html)
        console.print(f"page: {page}", markup=False, soft_wrap=True)


@app.command()
def export(
    folder: Folder,
    columns: Annotated[
        Literal["plain", "llama-factory", "axolotl"], typer.Option(help="Columns of which tool.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    split: Annotated[
        Literal["train", "validation"] | None, typer.Option(help="This split alone.")
    ] = None,
) -> None:
    """Write the pairs as JSONL in the columns of other tools.

    Example: c2 synth export runs/pairs --columns llama-factory --out runs/for-llama-factory
    """
    from coursecorrect.synth.export import export_pairs

    for name, pairs in export_pairs(folder, columns, out, split).items():
        console.print(f"{name}: {pairs} pairs", markup=False)
    console.print(f"how to load it: {out / 'README.md'}", markup=False, soft_wrap=True)


@app.command()
def push(
    folder: Folder,
    to: Annotated[str, typer.Option(help="OWNER/NAME on the Hugging Face Hub.")],
    private: Annotated[
        bool, typer.Option("--private/--public", help="Who may see it: you, or everybody.")
    ] = True,
) -> None:
    """Upload card, pairs and groups to the Hugging Face Hub, with your login there.

    Example: c2 synth push runs/pairs --to OWNER/NAME
    """
    from coursecorrect.synth.push import push_data_set

    with console.status(f"uploading to {to}"):
        address = push_data_set(folder, to, private=private)
    console.print(f"data set: {address}", markup=False, soft_wrap=True)
