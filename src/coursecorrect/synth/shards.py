"""One shard of a data set: some seeds, their groups, their pairs. The unit of work and of restart.

A shard depends on its seeds and the settings alone, never on other shards, on who makes it or on
when. Its files are replaced whole and a marker is written last, so a kill leaves it finished or
to be made again; within it, finished blocks of groups are kept, for slow correctors.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from coursecorrect import store
from coursecorrect.correct.base import Corrector
from coursecorrect.generate.base import Generator
from coursecorrect.judge.base import Judge
from coursecorrect.synth.groups import GroupMaker, RejectedError
from coursecorrect.synth.pairs import pair_table, pairs_of
from coursecorrect.synth.settings import SynthSettings
from coursecorrect.types import Item, ItemKind, RankedGroup, content_id

SPLITS: Final = ("train", "validation")
BLOCK: Final = 16
"""Groups that are corrected together and kept together."""


@dataclass(frozen=True)
class OwnModel:
    """The model to be trained, which goes on with the answers; loaded where it is first needed."""

    name: str
    digest: str
    load: Callable[[], Generator]


@dataclass(frozen=True)
class Tools:
    """Who writes, who verifies, and with ``own`` who goes on with the answers."""

    corrector: Corrector
    judge: Judge
    own: OwnModel | None = None


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set stand."""

    folder: Path

    def seeds(self, shard: int) -> Path:
        return self.folder / "seeds" / f"{shard:05d}.jsonl"

    def groups(self, shard: int) -> Path:
        return self.folder / "groups" / f"{shard:05d}.parquet"

    def pairs(self, split: str, shard: int, suffix: str) -> Path:
        return self.folder / "data" / f"{split}-{shard:05d}.{suffix}"

    def rejected(self, shard: int) -> Path:
        return self.folder / "rejected" / f"{shard:05d}.jsonl"

    @property
    def rejected_seeds(self) -> Path:
        return self.folder / "rejected" / "seeds.jsonl"

    def own(self, shard: int) -> Path:
        return self.folder / "own" / f"{shard:05d}.jsonl"

    def journal(self, shard: int) -> Path:
        return self.folder / "shards" / f"{shard:05d}.groups.jsonl"

    def marker(self, shard: int) -> Path:
        return self.folder / "shards" / f"{shard:05d}.json"


class ShardMaker:
    """Makes shards of one data set; can be sent to another process, where it builds its tools.

    Args:
        settings: of the data set.
        folder: of the data set.
        tools: builds corrector, judge and generator, once in a process.
        stamp: what every written file carries (canary, benchmark).
        mine: the tools of this process, where they are built already.
    """

    def __init__(
        self,
        settings: SynthSettings,
        folder: Path,
        tools: Callable[[], Tools],
        stamp: dict[str, str],
        mine: Tools | None = None,
    ) -> None:
        self.settings, self.layout, self.stamp = settings, Layout(folder), stamp
        self._build = tools
        self._tools = mine
        self.tick: Callable[[int], None] = unheard
        """Called with the seeds of the shard that are done; stays behind in this process."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tools": None, "tick": unheard}

    def __call__(self, shard: int) -> dict[str, Any]:
        """Make a shard, or read of a finished one what was made; returns its counts."""
        marker = self.layout.marker(shard)
        if not marker.exists():
            if self._tools is None:
                self._tools = self._build()
            counts = self._make(shard, self._tools)
            store.write_text(marker, store.dumps(counts) + "\n")
            self.layout.journal(shard).unlink(missing_ok=True)
        found: dict[str, Any] = orjson.loads(marker.read_bytes())
        return found

    def _make(self, shard: int, tools: Tools) -> dict[str, Any]:
        items = read_seeds(self.layout.seeds(shard))
        marker = self.layout.marker(shard)
        marker.parent.mkdir(parents=True, exist_ok=True)
        maker = GroupMaker(self.settings, tools.corrector, tools.judge)
        answers = self._own_answers(shard, items, maker, tools)
        groups, rejected = self._groups(shard, items, maker, answers)
        store.write_jsonl(self.layout.rejected(shard), rejected)
        self._write_groups(shard, groups)
        pairs = {split: self._write_pairs(shard, split, groups) for split in SPLITS}
        return {
            "seeds": len(items),
            "groups": len(groups),
            "harmful_groups": sum(group.harmful for group in groups),
            "pairs": sum(pairs.values()),
            "validation_pairs": pairs["validation"],
            "rejected": dict(Counter(row["why"].split(":")[0] for row in rejected)),
        }

    def _own_answers(
        self, shard: int, items: Sequence[Item], maker: GroupMaker, tools: Tools
    ) -> dict[str, str]:
        if tools.own is None:
            return {}
        from coursecorrect.on_policy import own_answers

        log = self.layout.own(shard)
        log.parent.mkdir(parents=True, exist_ok=True)
        taught = [i for i in items if self.settings.own_harmful or i.kind is not ItemKind.HARMFUL]
        return own_answers(
            taught,
            {item.id: maker.opener(item) for item in taught},
            tools.own.load(),
            tools.judge,
            store.BlockLog(log, "item_id", 1, unheard),
            seed=self.settings.seed,
            progress=lambda done, _: self.tick(done),
        )

    def _groups(
        self, shard: int, items: Sequence[Item], maker: GroupMaker, answers: dict[str, str]
    ) -> tuple[list[RankedGroup], list[dict[str, Any]]]:
        path = self.layout.journal(shard)
        log = store.BlockLog(path, "block", 1, unheard)
        known = {row["block"]: row for _, row in store.read_jsonl(path)} if log.done else {}
        groups: list[RankedGroup] = []
        rejected: list[dict[str, Any]] = []
        for start in range(0, len(items), BLOCK):
            row = known.get(str(start))
            if row is not None:
                groups += [RankedGroup.model_validate(g) for g in row["groups"]]
                rejected += row["rejected"]
                continue
            block = items[start : start + BLOCK]
            found = maker.make(block, answers)
            made = [g for g in found if isinstance(g, RankedGroup)]
            refused = [
                {"where": i.source, "item_id": i.id, "request": i.request, "why": str(e)}
                for i, e in zip(block, found, strict=True)
                if isinstance(e, RejectedError)
            ]
            whole = [g.model_dump(mode="json") for g in made]
            log.append([{"block": str(start), "groups": whole, "rejected": refused}])
            groups += made
            rejected += refused
            self.tick(min(start + BLOCK, len(items)))
        return groups, rejected

    def _write_groups(self, shard: int, groups: Sequence[RankedGroup]) -> None:
        rows = [group.model_dump(mode="json") for group in groups]
        write_parquet(self.layout.groups(shard), pa.Table.from_pylist(rows, GROUPS), self.stamp)

    def _write_pairs(self, shard: int, split: str, groups: Sequence[RankedGroup]) -> int:
        """Returns the number of pairs; a split without any has no file."""
        mine = [g for g in groups if split_of(g.pair_key, self.settings.validation) == split]
        chosen = self.settings.pair_settings
        table = pair_table(mine, chosen)
        if not table.num_rows:
            return 0
        write_parquet(self.layout.pairs(split, shard, "parquet"), table, self.stamp)
        if self.settings.jsonl and not self.settings.audit:  # JSONL has no place for the stamp
            lines = (orjson.dumps(row) for group in mine for row in pairs_of(group, chosen))
            write_bytes(self.layout.pairs(split, shard, "jsonl"), b"\n".join([*lines, b""]))
        return int(table.num_rows)


def unheard(_: object) -> None:
    """In another process there is nobody to tell."""


GROUPS: Final = pa.schema(
    [
        ("id", pa.string()),
        ("item_id", pa.string()),
        ("pair_key", pa.string()),
        ("request", pa.string()),
        ("category", pa.string()),
        ("harmful", pa.bool_()),
        ("opener", pa.string()),
        (
            "responses",
            pa.list_(
                pa.struct(
                    [
                        ("rank", pa.int64()),
                        ("role", pa.string()),
                        ("text", pa.string()),
                        ("cut", pa.int64()),
                        ("share", pa.float64()),
                    ]
                )
            ),
        ),
    ]
)


def split_of(pair_key: str, validation: float) -> str:
    """``train`` or ``validation``: a request and its harmless twin fall on the same side."""
    drawn = int(content_id("split", pair_key)[:8], 16) / 2**32
    return "validation" if drawn < validation else "train"


def write_seeds(path: Path, items: Sequence[Item]) -> None:
    """The seeds of a shard, one JSON line each."""
    lines = [orjson.dumps(item.model_dump(mode="json", exclude_none=True)) for item in items]
    write_bytes(path, b"\n".join([*lines, b""]))


def read_seeds(path: Path) -> list[Item]:
    """What ``write_seeds`` wrote."""
    return [Item.model_validate_json(line) for line in path.read_bytes().splitlines()]


def write_parquet(path: Path, table: pa.Table, stamp: dict[str, str]) -> None:
    """Replace a Parquet file at once; ``stamp`` stands in the schema's metadata."""
    scratch = _scratch(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata(stamp), scratch, compression="zstd")
        scratch.replace(path)
    except OSError as error:
        raise store.disk_error(path, error) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file at once."""
    scratch = _scratch(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        scratch.replace(path)
    except OSError as error:
        raise store.disk_error(path, error) from error


def _scratch(path: Path) -> Path:
    """Of this process alone: one that lost its parent may still be writing the same shard."""
    return path.with_name(f"{path.name}.{os.getpid()}.tmp")
