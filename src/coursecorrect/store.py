"""Run folders: settings once, rows appended in blocks that commit whole.

A folder holds ``run.json`` (all that decides the rows) and JSONL files. After a kill at any
moment the same command goes on and ends with the same bytes as an undisturbed run: a torn tail is
cut back to the last whole block, with a notice, and nothing in a row depends on when it was made.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from coursecorrect.errors import DataError, RunError

Notice = Callable[[str], None]


def dumps(value: Any) -> str:
    """One JSON line: ASCII, so that lone surrogates and separators in model text survive."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object); blank lines are skipped.

    Raises:
        DataError: the file is missing or a line is not a JSON object (names file:line).
    """
    try:
        with path.open(encoding="utf-8", errors="surrogatepass") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, json_object(line, f"{path}:{number}")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error


def json_object(line: str, where: str) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        DataError: the line is not JSON, or not an object (names ``where``).
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: an integer of thousands of digits
        deep = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
        reason = getattr(error, "msg", deep)
        at = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{where}: broken JSON: {reason}{at}; mend or remove the line") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def write_text(path: Path, text: str) -> None:
    """Replace a file at once: readers see the old or the new content, never half."""
    scratch = path.with_name(path.name + ".tmp")
    try:
        if path.exists() and not path.is_file():  # a device or pipe is written to, never replaced
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, encoding="utf-8", newline="\n")
        scratch.replace(path)
    except OSError as error:
        raise disk_error(path, error) from error


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write all rows at once, atomically."""
    write_text(path, "".join(dumps(row) + "\n" for row in rows))


def disk_error(path: Path, error: OSError) -> RunError:
    """An OSError in the user's words."""
    if error.errno == errno.ENOSPC:
        return RunError(
            f"the disk is full while writing {path}: earlier rows are kept; "
            "free some space and run the same command again"
        )
    return RunError(f"cannot write {path}: {error.strerror or error}")


def open_run(folder: Path, settings: dict[str, Any]) -> None:
    """Create ``folder`` with ``run.json``, or check that it was made with the same settings.

    Raises:
        RunError: the folder holds another run (names the fields that differ).
    """
    path = folder / "run.json"
    wanted = json.loads(json.dumps(settings))
    if not path.exists():
        if folder.exists() and any(folder.glob("*.jsonl")):
            raise RunError(f"{folder} has rows but no run.json; choose another folder")
        write_text(path, json.dumps(wanted, indent=1, sort_keys=True) + "\n")
        return
    found = read_run(folder)
    differing = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    if differing:
        detail = "; ".join(
            f"{k}: {found.get(k)!r} there, {wanted.get(k)!r} now" for k in differing[:3]
        )
        raise RunError(
            f"{folder} holds a run with other settings ({detail[:300]}); "
            "choose another folder or delete it"
        )


def read_run(folder: Path) -> dict[str, Any]:
    """The settings a run folder was made with."""
    path = folder / "run.json"
    try:
        return json_object(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{folder} is not a run folder: cannot read run.json") from error


class BlockLog:
    """An append-only JSONL file whose unit is a block of ``block_size`` rows with one key."""

    def __init__(self, path: Path, key: str, block_size: int, notice: Notice) -> None:
        self.path, self.key, self.block_size = path, key, block_size
        self.done: set[str] = set()
        self._repair(notice)

    def _repair(self, notice: Notice) -> None:
        if not self.path.exists():
            return
        good_end = 0
        with self.path.open("rb") as file:
            block: list[str] = []
            end = 0
            for line in file:
                end += len(line)
                value = self._key_of(line)
                if value is None or (block and value != block[0]):
                    break
                block.append(value)
                if len(block) == self.block_size:
                    self.done.add(value)
                    block, good_end = [], end
            size = file.seek(0, os.SEEK_END)
        if size > good_end:
            notice(f"{self.path}: cut back {size - good_end} bytes of a block that did not finish")
            os.truncate(self.path, good_end)

    def _key_of(self, line: bytes) -> str | None:
        if not line.endswith(b"\n"):
            return None
        try:
            return str(json.loads(line)[self.key])
        except (ValueError, KeyError, TypeError):
            return None

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write one whole block and flush it to the disk."""
        assert len(rows) == self.block_size, (len(rows), self.block_size)
        data = "".join(dumps(row) + "\n" for row in rows).encode("ascii")
        try:
            with self.path.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(self.path, error) from error
        self.done.add(str(rows[0][self.key]))
