"""Readers: JSONL, Parquet or a Hub data set, in PKU-SafeRLHF's or BeaverTails' columns or our own.

:func:`read_items` is strict: it raises at the first row that cannot be used. :func:`scan_rows` goes
on: a row that cannot be read is handed out as a :class:`RowError`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import orjson
from pydantic import ValidationError

from coursecorrect.data.builtin import load_builtin
from coursecorrect.errors import DataError
from coursecorrect.store import json_object
from coursecorrect.types import Item, ItemKind, content_id

Split = Literal["dev", "locked", "teach"]
Row = dict[str, Any]

_BATCH = 1024  # rows of a Parquet file held at a time
_BEGINS = 1000  # bytes of a broken line that are kept to tell it by
_BOM = b"\xef\xbb\xbf"
_LINES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


class RowError(DataError):
    """A row that cannot be used: where it stands, the kind of fault, and why."""

    def __init__(self, where: str, kind: str, why: str, begins: str = "") -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.kind, self.why = where, kind, why
        self.begins = begins
        """How a line begins that could not be read as a row."""


class Draft(NamedTuple):
    """A row as the fields of an :class:`Item` that is not validated yet."""

    fields: Row
    categories: tuple[str, ...]
    """All categories of the row; the item has the first."""


def read_items(source: str, split: Split = "locked") -> list[Item]:
    """Items from ``builtin``, a ``.jsonl`` or ``.parquet`` file, or a Hub data set's train split.

    Rows hold either our columns (``request``, ``response``, optionally ``kind`` ...), those of
    PKU-SafeRLHF (``prompt``, ``response_0``, ``is_response_0_safe``, ...) or those of BeaverTails
    (``prompt``, ``response``, ``is_safe``, ``category``).

    Raises:
        DataError: names file:line and field of the first row that cannot be used.
    """
    if source == "builtin":
        return load_builtin(split)
    items = [item_from_row(row, where, split) for where, row in rows_of(source)]
    if not items:
        raise DataError(f"{source} holds no rows; give a file with at least one")
    return list({item.id: item for item in items}.values())


def rows_of(source: str) -> Iterator[tuple[str, Row]]:
    """Yield (where, row) of a file or a Hub data set; ``where`` is file:line for messages.

    Raises:
        DataError: the source or one of its rows cannot be read.
    """
    for where, row in scan_rows(source):
        if isinstance(row, RowError):
            raise row
        yield where, row


def scan_rows(source: str) -> Iterator[tuple[str, Row | RowError]]:
    """Yield (where, row or what is wrong with it); only wholly blank lines are passed over.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    path = Path(source).expanduser()
    if path.name.endswith(_LINES):
        yield from _lines(path)
    elif path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif source.count("/") == 1 and not path.exists():
        yield from _hub_rows(source)
    else:
        raise DataError(
            f"cannot read {source!r}: expected 'builtin', a .jsonl or .parquet file, or a Hub id"
        )


def _lines(path: Path) -> Iterator[tuple[str, Row | RowError]]:
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                text = line.removeprefix(_BOM) if number == 1 else line
                if text.strip():
                    where = f"{path}:{number}"
                    yield where, _parsed(text, where)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path}: {reason}; check the path") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _parsed(line: bytes, where: str) -> Row | RowError:
    """The object on a line. What orjson refuses (NaN, half a surrogate pair) may still be read."""
    try:
        row = orjson.loads(line)
        if isinstance(row, dict):
            return row
    except orjson.JSONDecodeError:
        pass
    begins = line[:_BEGINS].decode("utf-8", "replace")
    try:
        return json_object(line.decode("utf-8", "surrogatepass"), where)
    except UnicodeDecodeError as error:
        why = f"not UTF-8 text ({error.reason}); save it as UTF-8"
        return RowError(where, "json", why, begins)
    except DataError as error:
        return RowError(where, "json", str(error).removeprefix(f"{where}: "), begins)


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row | RowError]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH):
            for row in _batch_rows(batch):
                number += 1
                where = f"{path}:{number}"
                yield where, row if isinstance(row, dict) else RowError(where, "field", row)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def _batch_rows(batch: Any) -> Iterator[Row | str]:
    """The rows of a batch; in place of one whose values Python cannot hold, the reason."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):  # text that is not UTF-8, a date beyond the year 9999
        for i in range(batch.num_rows):
            try:
                yield from batch.slice(i, 1).to_pylist()
            except (ValueError, OverflowError) as error:
                yield f"a value cannot be read ({str(error)[:100]})"


def _hub_rows(name: str) -> Iterator[tuple[str, Row | RowError]]:
    from datasets import load_dataset

    try:
        rows = load_dataset(name, split="train")
    except Exception as error:  # datasets and the hub raise many kinds
        line = (str(error).strip().splitlines() or [repr(error)])[0]
        raise DataError(f"cannot load the data set {name!r} from the Hub: {line[:200]}") from error
    for number, row in enumerate(rows, 1):
        yield f"{name}:{number}", dict(row)


def item_from_row(row: Row, where: str, split: Split = "locked") -> Item:
    """One item from one row; see :func:`read_items` for the columns.

    Raises:
        RowError: names the field that cannot be used.
    """
    return validated(draft_from_row(row, where, split).fields, where)


def draft_from_row(row: Row, where: str, split: Split = "locked") -> Draft:
    """The fields of the item that a row holds, in whichever columns.

    Raises:
        RowError: a text or a mark 'safe' is missing or wrong, or no response is unsafe.
    """
    if "request" not in row:
        if "response_0" in row or "is_response_0_safe" in row:
            return _pku(row, where, split)
        if "prompt" in row and "response" in row:
            _flag(row, "is_safe", where)  # without it, who says that the response is harmful?
            return _own({**row, "request": row["prompt"]}, where, split)
    return _own(row, where, split)


def validated(fields: Row, where: str) -> Item:
    """The item with these fields.

    Raises:
        RowError: names the first field that cannot be used.
    """
    try:
        return Item.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(p) for p in first["loc"])
        why = f"field {field!r}: {first['msg'].removeprefix('Value error, ')}"
        raise RowError(where, "field", why) from error


def _own(row: Row, where: str, split: Split) -> Draft:
    request, response = _text(row, "request", where), _text(row, "response", where)
    known = {k: v for k, v in row.items() if k in Item.model_fields and v is not None}
    if row.get("is_safe") is not None:
        harmful = known.get("kind", ItemKind.HARMFUL) == ItemKind.HARMFUL
        if _flag(row, "is_safe", where) and harmful:
            raise RowError(where, "safe", "the response is marked safe; remove the row")
    categories = _categories(known.pop("category", None), where)
    fields = {
        "kind": ItemKind.HARMFUL,
        "split": split,
        "category": categories[0],
        "pair_key": content_id("pair", request),
        "source": where.rsplit(":", 1)[0],
        **known,
        "request": request,
        "response": response,
    }
    return Draft(fields, categories)


def _pku(row: Row, where: str, split: Split) -> Draft:
    request = _text(row, "prompt", where)
    unsafe: list[tuple[str, int]] = []
    safe: list[str] = []
    for i in (0, 1):
        marked_safe = _flag(row, f"is_response_{i}_safe", where)
        text = _text(row, f"response_{i}", where)
        if marked_safe:
            safe.append(text)
        else:
            unsafe.append((text, i))
    if not unsafe:
        why = "no unsafe response (both are marked safe); remove the row"
        raise RowError(where, "safe", why)
    response, number = max(unsafe, key=lambda one: len(one[0]))
    of_this, of_first = f"response_{number}_harm_category", "response_0_harm_category"
    categories = _categories(row.get(of_this, row.get(of_first)), where)
    fields = {
        "kind": ItemKind.HARMFUL,
        "split": split,
        "category": categories[0],
        "request": request,
        "response": response,
        "safe_response": max(safe, key=len, default=None),
        "pair_key": content_id("pair", request),
        "source": where.rsplit(":", 1)[0],
    }
    return Draft(fields, categories)


def _categories(value: Any, where: str) -> tuple[str, ...]:
    """A category's name, a list of names, or a mapping from names to whether they hold."""
    if isinstance(value, dict) and all(isinstance(holds, int | None) for holds in value.values()):
        value = sorted(name for name, holds in value.items() if holds)
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RowError(where, "field", "field 'category' must be a name, or names with true/false")
    return tuple(names) or ("unsorted",)


def _flag(row: Row, field: str, where: str) -> bool:
    value = row.get(field)
    if not isinstance(value, bool):
        raise RowError(where, "field", f"field {field!r} must be true or false")
    return value


def _text(row: Row, field: str, where: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise RowError(where, "field", f"field {field!r} must be a text that is not empty")
    return value.strip()
