"""The pairs of a data set in the columns of other tools, one JSONL file a split.

Formats as documented: LLaMA-Factory, ``data/README.md``, preference dataset in sharegpt format;
Axolotl, ``docs/rlhf.qmd``, DPO with ``chat_template.default``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import jinja2
import orjson
import yaml

from coursecorrect import store
from coursecorrect.errors import UserError
from coursecorrect.synth.browse import DataSet, batches, open_data_set, refuse_audit
from coursecorrect.synth.shards import SPLITS

Columns = Literal["plain", "llama-factory", "axolotl"]
Row = dict[str, Any]


@dataclass(frozen=True)
class _Format:
    """How a tool wants a pair, and what tells it so."""

    row: Callable[[Row], Row]
    describe: Callable[[Path, Sequence[str]], str]
    """The tool's own description of the files, for the folder and the splits."""
    description: str | None = None
    """The file in which the tool looks for it; None: it is shown in ``README.md``."""


def export_pairs(folder: Path, columns: Columns, out: Path, split: str | None) -> dict[str, int]:
    """Write the pairs of a finished data set into ``out``; returns their number by split.

    Args:
        folder: of the data set.
        columns: of which tool.
        out: a folder; files in it are replaced.
        split: this one alone; None: all there are.

    Raises:
        RunError: the data set is not finished, or an audit.
        UserError: it has no such split.
    """
    data = open_data_set(folder)
    refuse_audit(data, "taught")
    form = _FORMATS[columns]
    pairs = _pair_files(data, split)
    counts = {}
    for name, files in pairs.items():
        with store.replacing(out / f"{name}.jsonl") as lines:
            counts[name] = 0
            for row in _rows(files):
                lines.write(orjson.dumps(form.row(row)) + b"\n")
                counts[name] += 1
    described = form.describe(out, list(pairs))
    if form.description is not None:
        store.write_text(out / form.description, described)
    store.write_text(out / "README.md", _readme(data, columns, counts, described))
    return counts


def _pair_files(data: DataSet, split: str | None) -> dict[str, list[Path]]:
    wanted = SPLITS if split is None else (split,)
    found = {name: sorted(data.folder.glob(f"data/{name}-*.parquet")) for name in wanted}
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise UserError(f"{data.folder} has no pairs in the split {split or 'train'!r}")
    return found


def _rows(files: Sequence[Path]) -> Iterator[Row]:
    for file in files:
        for batch in batches(file):
            yield from batch.to_pylist()


def _plain(pair: Row) -> Row:
    texts = {name: _text(pair[name]) for name in ("prompt", "chosen", "rejected")}
    return texts | {name: value for name, value in pair.items() if name not in texts}


def _llama_factory(pair: Row) -> Row:
    return {
        "conversations": [{"from": "human", "value": _text(pair["prompt"])}],
        "chosen": {"from": "gpt", "value": _text(pair["chosen"])},
        "rejected": {"from": "gpt", "value": _text(pair["rejected"])},
    }


def _axolotl(pair: Row) -> Row:
    return {
        "messages": pair["prompt"],
        "chosen": pair["chosen"][0],
        "rejected": pair["rejected"][0],
    }


def _text(messages: Sequence[Row]) -> str:
    (message,) = messages
    return str(message["content"])


def _no_description(_out: Path, _splits: Sequence[str]) -> str:
    return ""


def _dataset_info(_out: Path, splits: Sequence[str]) -> str:
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
    described = {
        f"coursecorrect_{split}": {
            "file_name": f"{split}.jsonl",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": columns,
        }
        for split in splits
    }
    return json.dumps(described, indent=2) + "\n"


def _axolotl_config(out: Path, splits: Sequence[str]) -> str:
    keys = {"train": "datasets", "validation": "test_datasets"}
    return yaml.safe_dump(
        {"rl": "dpo", **{keys[split]: [_axolotl_split(out, split)] for split in splits}},
        sort_keys=False,
    )


def _axolotl_split(out: Path, split: str) -> Row:
    return {
        "path": str(out / f"{split}.jsonl"),
        "ds_type": "json",
        "split": "train",  # what a JSON file has, whatever is in it
        "type": "chat_template.default",
        "field_messages": "messages",
        "field_chosen": "chosen",
        "field_rejected": "rejected",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles": {"user": ["user"], "assistant": ["assistant"]},
    }


_FORMATS: Final[dict[Columns, _Format]] = {
    "plain": _Format(_plain, _no_description),
    "llama-factory": _Format(_llama_factory, _dataset_info, "dataset_info.json"),
    "axolotl": _Format(_axolotl, _axolotl_config),
}


def _readme(data: DataSet, columns: Columns, counts: dict[str, int], described: str) -> str:
    """What JSONL has no place for: canary and benchmark; and how the tool takes the files."""
    template = (resources.files(__package__) / "export.md.j2").read_text(encoding="utf-8")
    text: str = jinja2.Template(template, keep_trailing_newline=True).render(
        columns=columns, counts=counts, described=described, recorded=data.recorded
    )
    return text
