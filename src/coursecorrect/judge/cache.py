"""What costly judges have found, kept between runs: nothing is asked or paid twice.

One SQLite file in the user's cache folder. A finding has for its key the judge's digest and what
the judge saw (request, prefill, continuation, end of turn; not the id). SQLite commits each one
whole, so a kill loses at most what was not yet answered, and several runs may share the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from coursecorrect.errors import RunError
from coursecorrect.judge.base import CostlyJudge
from coursecorrect.types import Continuation, Judgement, Record, settings_hash

Seen = TypeVar("Seen", bound=Record)
Found = TypeVar("Found", bound=Record)

_TABLE = (
    "CREATE TABLE IF NOT EXISTS findings"
    " (judge TEXT, seen TEXT, found TEXT, PRIMARY KEY (judge, seen)) WITHOUT ROWID"
)
_WAIT = 60.0
"""Seconds to wait for another run that is writing."""


class CachedJudge:
    """Asks ``judge`` only for what it has not judged before."""

    def __init__(self, judge: CostlyJudge, path: Path) -> None:
        self.name, self.digest = judge.name, judge.digest
        self._judge, self._path = judge, path

    def judge(self, texts: Sequence[Continuation]) -> list[Judgement]:
        asked = self._judge.judge_and_keep
        return found_once(self._path, self.digest, texts, Judgement, asked)


def found_once(
    path: Path,
    judge: str,
    rows: Sequence[Seen],
    kind: type[Found],
    ask: Callable[[Sequence[Seen], Callable[[Seen, Found], None]], list[Found]],
) -> list[Found]:
    """One finding a row: those in the file ``path``, and those that ``ask`` makes now.

    Rows that differ in nothing but their id are asked for once. ``ask`` gives each finding to its
    second argument as soon as it is made, from any thread.

    Raises:
        RunError: the file cannot be used.
    """
    keys = [settings_hash(row.model_dump(exclude={"id"})) for row in rows]
    lock = threading.Lock()
    with _opened(path) as store:
        known = {
            key: kind.model_validate_json(found)
            for key in dict.fromkeys(keys)
            if (found := _look_up(store, path, judge, key)) is not None
        }
        fresh = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}

        def keep(row: Seen, found: Found) -> None:
            key = settings_hash(row.model_dump(exclude={"id"}))
            with lock, _told(path):
                values = (judge, key, found.model_dump_json())
                store.execute("INSERT OR REPLACE INTO findings VALUES (?, ?, ?)", values)

        made = ask(list(fresh.values()), keep) if fresh else []
    known |= dict(zip(fresh, made, strict=True))
    return [known[key] for key in keys]


def _look_up(store: sqlite3.Connection, path: Path, judge: str, key: str) -> str | None:
    with _told(path):
        row = store.execute(
            "SELECT found FROM findings WHERE judge = ? AND seen = ?", (judge, key)
        ).fetchone()
    return None if row is None else str(row[0])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        store = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        with _told(path):
            store.execute(_TABLE)
        yield store
    finally:
        store.close()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Faults of the file in the user's words."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise RunError(
            f"cannot use the kept verdicts in {path}: {error}; mend or remove the file"
        ) from error
