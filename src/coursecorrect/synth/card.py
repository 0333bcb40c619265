"""The data card: what a data set holds, how it was made, and how it must not be used.

Its front matter tells the Hub and ``datasets.load_dataset`` which files are which split.
"""

from __future__ import annotations

import shlex
from importlib import resources
from typing import Any

import jinja2
import yaml

from coursecorrect.synth.settings import SynthSettings


def data_card(
    settings: SynthSettings, counts: dict[str, Any], recorded: dict[str, Any], splits: list[str]
) -> str:
    """The text of ``README.md``.

    Args:
        settings: of the data set.
        counts: of seeds, groups, pairs and rejected seeds by reason.
        recorded: what ``run.json`` holds.
        splits: those that have files.
    """
    template = (resources.files(__package__) / "card.md.j2").read_text(encoding="utf-8")
    text: str = jinja2.Template(template, keep_trailing_newline=True).render(
        front_matter=yaml.safe_dump(_front_matter(counts, splits), sort_keys=False).strip(),
        audit=settings.audit,
        counts=_flat(counts),
        command=command(settings),
        recorded=recorded,
    )
    return text


def command(settings: SynthSettings) -> str:
    """The command that makes the data set again."""
    parts = ["c2 synth"]
    given = settings.model_dump(mode="json")
    for name, value in _leaves(given):
        if value != _default(name):
            parts.append(_flag(name, value))
    return " ".join(parts)


def _leaves(values: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        nested = isinstance(value, dict) and isinstance(
            SynthSettings().model_dump(mode="json").get(name), dict
        )
        found += _leaves(value) if nested else [(name, value)]
    return found


def _default(name: str) -> Any:
    return dict(_leaves(SynthSettings().model_dump(mode="json")))[name]


def _flag(name: str, value: Any) -> str:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return flag if value else flag.replace("--", "--no-", 1)
    if isinstance(value, dict):
        pairs = (shlex.quote(f"{k}={v}") for k, v in value.items())
        return " ".join(f"{flag.removesuffix('s')} {pair}" for pair in pairs)
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return f"{flag} {shlex.quote(str(value))}"


def _front_matter(counts: dict[str, Any], splits: list[str]) -> dict[str, Any]:
    return {
        "pretty_name": "Course-correction preferences",
        "task_categories": ["text-generation"],
        "tags": ["preference", "dpo", "safety", "course-correction", "synthetic", "coursecorrect"],
        "size_categories": [_size(counts["pairs"])],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": f"data/{split}-*.parquet"} for split in splits
                ],
            },
            {"config_name": "groups", "data_files": "groups/*.parquet"},
        ],
    }


def _size(pairs: int) -> str:
    for most, name in ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K")):
        if pairs < most:
            return name
    return "100K<n<1M" if pairs < 10**6 else "1M<n<10M"


def _flat(counts: dict[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in counts.items():
        if isinstance(value, dict):
            found += [(f"{name}: {key}", f"{number:,}") for key, number in value.items()]
        else:
            found.append((name.replace("_", " "), f"{value:,}"))
    return found
