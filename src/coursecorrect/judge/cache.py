"""What costly judges have found, kept between runs: nothing is asked or paid twice.

One SQLite file in the user's cache folder. A verdict is found by the judge's digest and by what
the judge saw (request, prefill, continuation, end of turn; not the id). SQLite commits each one
whole, so a kill loses at most what was not yet answered, and several runs may share the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from coursecorrect.errors import RunError
from coursecorrect.judge.base import CostlyJudge
from coursecorrect.types import Continuation, Judgement, settings_hash

_TABLE = (
    "CREATE TABLE IF NOT EXISTS verdicts"
    " (judge TEXT, seen TEXT, judgement TEXT, PRIMARY KEY (judge, seen)) WITHOUT ROWID"
)


def seen_by_judge(text: Continuation) -> str:
    """Digest of what decides the verdict on a text."""
    return settings_hash(text.model_dump(exclude={"id"}))


class CachedJudge:
    """Asks ``judge`` only for what it has not judged before."""

    def __init__(self, judge: CostlyJudge, path: Path) -> None:
        self.name, self.digest = judge.name, judge.digest
        self._judge, self._path = judge, path

    def judge(self, texts: Sequence[Continuation]) -> list[Judgement]:
        keys = [seen_by_judge(text) for text in texts]
        lock = threading.Lock()
        with self._open() as store:
            known = self._known(store, keys)
            fresh = {k: text for k, text in zip(keys, texts, strict=True) if k not in known}

            def keep(text: Continuation, judgement: Judgement) -> None:
                with lock, self._told():
                    row = (self.digest, seen_by_judge(text), judgement.model_dump_json())
                    store.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", row)

            judged = self._judge.judge_and_keep(list(fresh.values()), keep) if fresh else []
        known |= dict(zip(fresh, judged, strict=True))
        return [known[key] for key in keys]

    def _known(self, store: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Judgement]:
        found = {}
        with self._told():
            for key in dict.fromkeys(keys):
                row = store.execute(
                    "SELECT judgement FROM verdicts WHERE judge = ? AND seen = ?",
                    (self.digest, key),
                ).fetchone()
                if row:
                    found[key] = Judgement.model_validate_json(row[0])
        return found

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            store = sqlite3.connect(
                self._path, timeout=60, isolation_level=None, check_same_thread=False
            )
        try:
            with self._told():
                store.execute(_TABLE)
            yield store
        finally:
            store.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of the file in the user's words."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise RunError(
                f"cannot use the kept verdicts in {self._path}: {error}; mend or remove the file"
            ) from error
