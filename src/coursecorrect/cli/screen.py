"""What all commands share: where they print, and where their runs go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from coursecorrect.types import Record, settings_hash

console = Console()
errors = Console(stderr=True)

Out = Annotated[Path | None, typer.Option("--out", help="Run folder; the same command resumes it.")]


def notice(text: str) -> None:
    """A line that matters but stops nothing."""
    errors.print(f"note: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def default_folder(kind: str, name: str, settings: Record) -> Path:
    """``runs/KIND-NAME-HASH``: the same settings always give the same folder."""
    slug = re.sub(r"[^\w.-]+", "-", Path(name).name or name).strip("-")
    return Path("runs") / f"{kind}-{slug}-{settings_hash(settings.model_dump(mode='json'))[:8]}"
