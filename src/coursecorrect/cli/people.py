"""The commands about labels by people, and about the size of a measurement."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from coursecorrect.types import Verdict

console = Console()

Run = Annotated[Path, typer.Argument(help="Run folder of 'c2 eval'.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write all figures to this file too.")]

_KEYS = dict(zip("12345", Verdict, strict=True))
_LINE = "[1] corrected  [2] continued  [3] degenerate  [4] ended  [5] undecided"
_OTHERS = "[b] back  [s] skip  [q] quit"


def sample(
    run: Run,
    n: Annotated[int, typer.Option("--n", min=1, help="How many paths.")] = 200,
    out: Annotated[Path, typer.Option(help="The file to label: .csv or .jsonl.")] = Path(
        "to_label.csv"
    ),
    simple: Annotated[
        bool, typer.Option("--simple", help="All paths alike; else each kind gives as many.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides which paths.")] = 0,
) -> None:
    """Draw paths of a run to be labelled, without verdict, kind or model.

    Example: c2 judge sample runs/before --n 200 --out to_label.csv
    """
    from coursecorrect.annotate import sample_run

    drawn = sample_run(run, n, out, stratified=not simple, seed=seed)
    console.print(f"{drawn} paths to label: {out}", markup=False, soft_wrap=True)


def label(
    file: Annotated[Path, typer.Argument(help="CSV or JSONL: id, request, prefill, continuation.")],
) -> None:
    """Label texts with one key each; the file is saved after every key, so stop when you like.

    The guide is docs/judging.md. The same command goes on at the first text without a label.

    Example: c2 judge label to_label.csv
    """
    from coursecorrect.annotate import label_file

    with _key_by_key():
        done, rows = label_file(file, _ask)
    console.print(f"{done} of {rows} are labelled: {file}", markup=False, soft_wrap=True)


def _ask(row: dict[str, Any], done: int, rows: int) -> str:
    """Show one text and wait for a key that means something."""
    from coursecorrect.annotate import QUIT, SKIP, UNDO

    console.clear()
    console.print(_page(row, f"{done} of {rows} labelled"), soft_wrap=False)
    meaning = _KEYS | {"b": UNDO, "s": SKIP, "q": QUIT}
    while (typed := _typed()) is not None:
        if typed in meaning:
            return str(meaning[typed])
    return QUIT


def _page(row: dict[str, Any], head: str) -> Text:
    """All but the keys is text by others: what a terminal would obey is written out."""
    from coursecorrect.report.words import visible

    endings = {True: "ended its turn", False: "cut off", None: "ending unknown"}
    ending = endings[row.get("finished")]
    return Text.assemble(
        (f"{head}\n\n", "dim"),
        ("Request  ", "bold"),
        visible(str(row.get("request", ""))),
        ("\n\nPrefill  ", "bold"),
        (visible(str(row.get("prefill", ""))), "dim"),
        ("\n\nContinuation  ", "bold"),
        (visible(str(row["continuation"])), "yellow"),
        (f"  ({ending})\n\n", "dim"),
        (f"{_LINE}\n{_OTHERS}", "cyan"),
    )


@contextmanager
def _key_by_key() -> Iterator[None]:
    """Keys arrive at once and unseen, from before the first page on: none typed ahead is lost."""
    if not sys.stdin.isatty() or sys.platform == "win32":
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _typed() -> str | None:
    """One key; those of arrows and the like come as several characters. None at the end."""
    if not sys.stdin.isatty():
        while (key := sys.stdin.read(1)).isspace():
            pass
        return key or None
    if sys.platform == "win32":
        return str(typer.getchar())
    terminal = sys.stdin.fileno()
    key = os.read(terminal, 1)
    if key == b"\x1b":
        while select.select([terminal], [], [], 0)[0]:
            key += os.read(terminal, 1)
    return key.decode("ascii", "replace") if key not in {b"", b"\x04"} else None


def agree(
    first: Annotated[Path, typer.Argument(help="One person's labels.")],
    second: Annotated[Path, typer.Argument(help="Another's, of the same texts.")],
) -> None:
    """Agreement of two people's labels: Cohen's kappa with intervals over requests.

    Example: c2 judge agree anna.csv ben.csv
    """
    from coursecorrect.annotate import compare_annotators
    from coursecorrect.report.statistics import annotators_table

    found = compare_annotators(first, second)
    console.print(annotators_table(found.agreement, found.only_one))


def calibrate(
    run: Run,
    labels: Annotated[Path, typer.Argument(help="Labels of paths of this run.")],
    json: Json = None,
) -> None:
    """Corr_mean, false corrections and J with the judge's error taken out, by labels of the run.

    Example: c2 calibrate runs/before to_label.csv
    """
    from coursecorrect.annotate import calibrate_run, write_json
    from coursecorrect.report.statistics import calibration_table

    found = calibrate_run(run, labels)
    console.print(calibration_table(found))
    if json is not None:
        write_json(json, found)


def plan(
    run: Run,
    width: Annotated[
        float, typer.Option(min=0.1, max=49, help="Half width of the 95 % interval, in points.")
    ] = 3,
    json: Json = None,
) -> None:
    """The cheapest items, k's and b for an interval of Corr_mean of this width; RUN is the pilot.

    Example: c2 plan runs/pilot --width 3
    """
    from coursecorrect.annotate import plan_run, write_json
    from coursecorrect.report.statistics import plan_table

    found = plan_run(run, width)
    console.print(plan_table(found))
    if json is not None:
        write_json(json, found)
