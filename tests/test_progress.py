from __future__ import annotations

import io

from rich.console import Console

from coursecorrect.cli.progress import bar


def test_a_log_shows_every_stage_from_its_start() -> None:
    log = io.StringIO()
    with bar("training", Console(file=log, width=200)) as show:
        for done in range(1, 21):
            show(done, 20, "scoring")
        for done in range(1, 11):
            show(done, 10, "loss")
        show(15, 30, "resumed")
    lines = log.getvalue().splitlines()
    assert lines[0] == "training: 1/20 scoring"
    assert lines[-1] == "training: 15/30 resumed"
    assert sum("scoring" in line for line in lines) == 11
    assert sum("loss" in line for line in lines) == 10


def test_a_bar_on_a_terminal_begins_anew_with_a_stage() -> None:
    screen = io.StringIO()
    with bar("training", Console(file=screen, width=120, force_terminal=True)) as show:
        show(7, 7, "scoring")
        show(2, 5, "loss 3.10")
    assert "2/5" in screen.getvalue()
    assert "loss 3.10" in screen.getvalue()


def test_a_total_may_grow_while_work_goes_on() -> None:
    log = io.StringIO()
    with bar("making", Console(file=log, width=200), growing=True) as show:
        for done in range(10, 101, 10):
            show(done, done + 50, "")
        show(5, 50, "again")
    lines = log.getvalue().splitlines()
    assert lines[0] == "making: 10/60"
    assert len(lines) < 8
    assert lines[-1] == "making: 5/50 again"
