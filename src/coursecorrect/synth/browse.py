"""Reading a finished data set, a few hundred rows at a time: it need not fit into memory."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coursecorrect import store
from coursecorrect.errors import DataError, RunError
from coursecorrect.types import RankedGroup, Record, content_id

BATCH: Final = 512
"""Rows that are decoded at a time."""
_Drawn = tuple[tuple[str, str], RankedGroup]
"""A group behind what decides whether it is drawn: the least are."""


@dataclass(frozen=True)
class DataSet:
    """A finished synthesis folder, with what stands about it in its files."""

    folder: Path
    recorded: dict[str, Any]
    """``run.json``"""
    counts: dict[str, Any]
    """``counts.json``"""

    @property
    def audit(self) -> bool:
        return bool(self.recorded.get("audit")) or any(map(_is_audit, self.files()))

    def files(self) -> list[Path]:
        """The Parquet files: pairs, then groups."""
        return [*sorted(self.folder.glob("data/*.parquet")), *self.group_files()]

    def group_files(self) -> list[Path]:
        return sorted(self.folder.glob("groups/*.parquet"))


class Wanted(Record):
    """Which groups are looked at."""

    kind: Literal["harmful", "benign"] | None = None
    search: str | None = None
    """A text that stands in the request or in a response, whatever its case."""
    id: str | None = None


ALL: Final = Wanted()


class Lengths(Record):
    """Characters of the responses at one rank, over all groups."""

    harmful: bool
    rank: int
    role: str
    groups: int
    mean: float
    least: int
    most: int
    before_the_cut: float
    """Mean of those before the correction begins."""


def open_data_set(folder: Path) -> DataSet:
    """A finished data set.

    Raises:
        RunError: the folder is none, or is not finished.
    """
    recorded = store.read_run(folder)
    if recorded.get("kind") != "synth":
        raise RunError(f"{folder} holds a run of 'c2 {recorded.get('kind')}', not of 'c2 synth'")
    counts = folder / "counts.json"
    # The card is written last.
    if not counts.exists() or not (folder / "README.md").exists():
        raise RunError(f"{folder} is not finished; the command that began it goes on with it")
    return DataSet(folder, recorded, orjson.loads(counts.read_bytes()))


def refuse_audit(data: DataSet, purpose: str) -> None:
    """Raise RunError where the data hold requests of a benchmark."""
    if data.audit:
        raise RunError(
            f"{data.folder} is an audit (c2 synth --audit): it holds requests of a benchmark and "
            f"must not be {purpose}; make the data without --audit"
        )


def _is_audit(path: Path) -> bool:
    stamp = (_schema(path).metadata or {}).get(b"coursecorrect", b"{}")
    return bool(json.loads(stamp).get("audit"))


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, ``BATCH`` at a time.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(BATCH)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"cannot read {path}: {str(error).splitlines()[0]}")


def draw_groups(data: DataSet, most: int, seed: int, wanted: Wanted = ALL) -> list[RankedGroup]:
    """Up to ``most`` of the wanted groups, drawn by a hash of their key.

    A harmful group and its harmless twin share a key, so they stand together. Without ``wanted``
    these are the groups that ``shortcuts`` would take of all.
    """
    kept: list[_Drawn] = []
    for path in data.group_files():
        for batch in batches(path):
            found = batch.filter(_mask(batch, wanted))
            kept = heapq.nsmallest(
                most, [*kept, *_rivals(found, kept, most, seed)], key=itemgetter(0)
            )
    return [group for _, group in kept]


def _rivals(
    batch: pa.RecordBatch,
    kept: list[_Drawn],
    most: int,
    seed: int,
) -> Iterator[_Drawn]:
    """The rows that come before the last one kept; decoding a row is what takes the time."""
    last = kept[-1][0] if len(kept) == most else None
    names = zip(batch["pair_key"].to_pylist(), batch["id"].to_pylist(), strict=True)
    for number, (pair_key, group) in enumerate(names):
        key = content_id(str(seed), pair_key), group
        if last is None or key < last:
            (row,) = batch.slice(number, 1).to_pylist()
            yield key, RankedGroup.model_validate(row)


def _mask(batch: pa.RecordBatch, wanted: Wanted) -> pa.Array:
    mask = pa.array([True] * batch.num_rows)
    if wanted.kind is not None:
        mask = pc.and_(mask, pc.equal(batch["harmful"], wanted.kind == "harmful"))
    if wanted.id is not None:
        mask = pc.and_(mask, pc.equal(batch["id"], wanted.id))
    if wanted.search is not None:
        mask = pc.and_(mask, _holds(batch, wanted.search))
    return mask


def _holds(batch: pa.RecordBatch, text: str) -> pa.Array:
    responses = batch["responses"]
    texts = pc.struct_field(pc.list_flatten(responses), "text")
    parents = pc.list_parent_indices(responses).filter(_matches(texts, text))
    rows = pa.array(range(batch.num_rows), parents.type)
    return pc.or_(_matches(batch["request"], text), pc.is_in(rows, value_set=parents))


def _matches(texts: pa.Array, text: str) -> pa.Array:
    return pc.match_substring(texts, text, ignore_case=True)


def lengths(data: DataSet) -> list[Lengths]:
    """How long the responses are, by kind and rank; exact, of all groups."""
    parts = [_sums(batch) for path in data.group_files() for batch in batches(path)]
    if not parts:
        return []
    keys = ["benign", "rank", "role"]
    summed = pa.concat_tables(parts).group_by(keys).aggregate(
        [("groups", "sum"), ("chars", "sum"), ("least", "min"), ("most", "max"), ("cut", "sum")]
    )  # fmt: skip
    rows = summed.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return [
        Lengths(
            harmful=not row["benign"],
            rank=row["rank"],
            role=row["role"],
            groups=row["groups_sum"],
            mean=row["chars_sum"] / row["groups_sum"],
            least=row["least_min"],
            most=row["most_max"],
            before_the_cut=row["cut_sum"] / row["groups_sum"],
        )
        for row in rows
    ]


def _sums(batch: pa.RecordBatch) -> pa.Table:
    responses = pc.list_flatten(batch["responses"])
    benign = pc.invert(batch["harmful"].take(pc.list_parent_indices(batch["responses"])))
    chars = pc.utf8_length(pc.struct_field(responses, "text"))
    columns = {
        "benign": benign,
        "rank": pc.struct_field(responses, "rank"),
        "role": pc.struct_field(responses, "role"),
        "chars": pc.cast(chars, pa.int64()),
        "cut": pc.struct_field(responses, "cut"),
    }
    summed = pa.table(columns).group_by(["benign", "rank", "role"]).aggregate(
        [("chars", "count"), ("chars", "sum"), ("chars", "min"), ("chars", "max"), ("cut", "sum")]
    )  # fmt: skip
    return summed.rename_columns(
        ["benign", "rank", "role", "groups", "chars", "least", "most", "cut"]
    )


def draw_rejected(data: DataSet, each: int, seed: int, search: str | None) -> list[dict[str, Any]]:
    """Up to ``each`` rejected rows of every reason, drawn by a hash of what is known of them."""
    kept: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for path in sorted(data.folder.glob("rejected/*.jsonl")):
        for number, row in store.read_jsonl(path):
            if search is not None and search.casefold() not in str(row["request"]).casefold():
                continue
            mine = kept.setdefault(str(row["why"]).split(":")[0], [])
            mine.append((content_id(str(seed), path.name, str(number)), row))
            if len(mine) > each:
                mine.remove(max(mine, key=itemgetter(0)))
    return [row for _, mine in sorted(kept.items()) for _, row in sorted(mine, key=itemgetter(0))]
