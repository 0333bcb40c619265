"""Progress bars with what has been found so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from coursecorrect.evaluate import Progress as EvalProgress

Show = Callable[[int, int, str], None]


@contextmanager
def bar(title: str, console: Console | None = None, *, growing: bool = False) -> Iterator[Show]:
    """A bar on stderr; call it with steps done, steps in all, and a line of figures.

    Fewer steps done than before begin another stage, and so does another total, unless it is
    ``growing``. Where no person watches (a log file), a line is printed at every tenth instead.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title, console, growing)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, figures="")

        def restart() -> None:
            progress.reset(task)

        def show(done: int, total: int, figures: str) -> None:
            progress.update(task, completed=done, total=total, figures=figures)

        yield _in_stages(show, restart, growing)


def _in_stages(show: Show, restart: Callable[[], None], growing: bool) -> Show:
    """``show``, with a call of ``restart`` before each stage."""
    last: tuple[int, int] | None = None

    def in_stages(done: int, total: int, figures: str) -> None:
        nonlocal last
        if last is None or done < last[0] or (total != last[1] and not growing):
            restart()
        last = done, total
        show(done, total, figures)

    return in_stages


def _lines(title: str, console: Console, growing: bool) -> Show:
    shown = -1

    def restart() -> None:
        nonlocal shown
        shown = -1

    def show(done: int, total: int, figures: str) -> None:
        nonlocal shown
        if (tenth := 10 * done // max(total, 1)) > shown:
            shown = tenth
            console.print(
                f"{title}: {done}/{total} {figures}".rstrip(), markup=False, soft_wrap=True
            )

    return _in_stages(show, restart, growing)


@contextmanager
def measuring(title: str) -> Iterator[Callable[[EvalProgress], None]]:
    """A bar for a measurement, with what it has found so far."""
    with bar(title) as show:
        yield lambda p: show(p.done, p.total, eval_line(p))


@contextmanager
def counting(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for steps without figures."""
    with bar(title) as show:
        yield lambda done, total: show(done, total, "")


def eval_line(progress: EvalProgress) -> str:
    """Share of corrected paths so far, by kind of item."""
    return "  ".join(
        f"{kind.value} {hits / paths:.0%}"
        for kind, (hits, paths) in progress.corrected.items()
        if paths
    )


def train_line(stage: str, log: Mapping[str, float]) -> str:
    """The stage and its loss; how unlikely the first token of a correction still is (nats).

    ``held out`` is the share of validation pairs that are put in the right order.
    """
    names = {
        "loss": "loss",
        "harmful/turn_nll": "turn",
        "benign/divergence": "drift",
        "validation/accuracy": "held out",
    }
    shown = [f"{label} {log[key]:.2f}" for key, label in names.items() if key in log]
    return "  ".join([stage, *shown])
