"""Many models on the same text: one run folder each, one table of them all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from coursecorrect import store, workflow
from coursecorrect.errors import DataError, ModelError, TemplateError, UserError
from coursecorrect.evaluate import EvalSettings, Progress
from coursecorrect.types import Record, nested, settings_hash

PRESETS = ("paper",)


class Entry(Record):
    """One line of the table."""

    name: str = Field(min_length=1)
    settings: EvalSettings

    @property
    def folder(self) -> str:
        """The run folder's name: other settings give another one."""
        slug = re.sub(r"[^\w.-]+", "-", self.name).strip("-")
        return f"{slug}-{settings_hash(self.settings.model_dump(mode='json'))[:8]}"


def read_entries(source: str) -> list[Entry]:
    """The models of a YAML file, or of the preset of that name.

    The file holds ``models``, a list of mappings with ``model`` and, if wanted, ``name`` and
    settings of ``c2 eval`` that only this one needs; ``settings`` holds those of all. Text is cut
    at the same character for every model: ``unit`` is ``words`` unless the file says otherwise.

    Raises:
        DataError: the file cannot be read or a setting is wrong (names the model and the field).
    """
    raw = _parsed(source)
    models, common = raw.get("models"), raw.get("settings") or {}
    if not isinstance(models, list) or not models or not isinstance(common, dict):
        raise DataError(f"{source}: expected 'models', a list, and 'settings', a mapping")
    entries = [_entry(source, number, found, common) for number, found in enumerate(models, 1)]
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{source}: two models are called {twice[0]!r}; give one another 'name'")
    return entries


def _parsed(source: str) -> dict[str, Any]:
    if source in PRESETS:
        text = (resources.files("coursecorrect.data") / f"{source}.yaml").read_text("utf-8")
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(PRESETS)
            raise DataError(f"cannot read {source}: {error}; give a file or: {known}") from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{source}: broken YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise DataError(f"{source}: expected a mapping with 'models'")
    return raw


def _entry(source: str, number: int, found: Any, common: dict[str, Any]) -> Entry:
    where = f"{source}: model {number}"
    if not isinstance(found, dict) or not isinstance(found.get("model"), str):
        raise DataError(f"{where}: expected a mapping with 'model', a name, folder or Hub id")
    own = {"unit": "words", **common, **{k: v for k, v in found.items() if k != "name"}}
    try:
        return Entry(
            name=str(found.get("name", found["model"])),
            settings=EvalSettings.model_validate(nested(EvalSettings, own)),
        )
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{where}: {field}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def run_leaderboard(
    entries: Sequence[Entry],
    folder: Path,
    *,
    measuring: Callable[[str], AbstractContextManager[Callable[[Progress], None]]],
    notice: store.Notice,
) -> dict[str, Any]:
    """Measure every model into ``folder``; returns the table, best J first, as it stands on disk.

    A model that cannot be loaded or truly continued is named with the reason, and the others go
    on. Finished models are not sampled again.

    Raises:
        UserError: none of them could be measured.
    """
    rows, failed = [], []
    for number, entry in enumerate(entries, 1):
        try:
            with measuring(f"{number}/{len(entries)} {entry.name}") as progress:
                results = workflow.measure(
                    entry.settings, folder / entry.folder, notice=notice, progress=progress
                )
        except (ModelError, TemplateError) as error:
            notice(f"{entry.name}: {error}")
            failed.append({"name": entry.name, "why": str(error)})
            continue
        rows.append({"name": entry.name, "folder": entry.folder, **_line(results)})
    if not rows:
        raise UserError(f"none of the {len(entries)} models could be measured; see the notes above")
    rows.sort(key=lambda row: (-(row["J"] or {"value": -1.0})["value"], row["name"]))
    table = {"models": rows, "failed": failed}
    store.write_jsonl(folder / "leaderboard.json", [table])
    return table


def _line(results: dict[str, Any]) -> dict[str, Any]:
    kinds = results["kinds"]
    return {
        "J": results.get("J"),
        "corr_mean": {kind: found["corr_mean"] for kind, found in kinds.items()},
        "corr_at": kinds.get("harmful", {}).get("corr_at", {}),
        "compliance_no_prefill": kinds.get("harmful", {}).get("compliance_no_prefill"),
        "refusal_no_prefill": {k: found["refusal_no_prefill"] for k, found in kinds.items()},
        "judge": results["judge"]["name"],
        "benchmark_hash": results["benchmark_hash"],
    }
