"""Readers: JSONL, Parquet or a Hub data set, in PKU-SafeRLHF's columns or our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from coursecorrect.data.builtin import load_builtin
from coursecorrect.errors import DataError
from coursecorrect.store import read_jsonl
from coursecorrect.types import Item, ItemKind, content_id

Split = Literal["dev", "locked", "teach"]


def read_items(source: str, split: Split = "locked") -> list[Item]:
    """Items from ``builtin``, a ``.jsonl`` or ``.parquet`` file, or a Hub data set's train split.

    Rows hold either our columns (``request``, ``response``, optionally ``kind`` ...) or those of
    PKU-SafeRLHF (``prompt``, ``response_0``, ``is_response_0_safe``, ...).

    Raises:
        DataError: names file:line and field of the first row that cannot be used.
    """
    if source == "builtin":
        return load_builtin(split)
    items = [item_from_row(row, where, split) for where, row in rows_of(source)]
    if not items:
        raise DataError(f"{source} holds no rows; give a file with at least one")
    return list({item.id: item for item in items}.values())


def rows_of(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, row) of a file or a Hub data set; ``where`` is file:line for messages."""
    path = Path(source).expanduser()
    if path.suffix in {".jsonl", ".json"}:
        yield from ((f"{path}:{number}", row) for number, row in read_jsonl(path))
    elif path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif source.count("/") == 1 and not path.exists():
        yield from _hub_rows(source)
    else:
        raise DataError(
            f"cannot read {source!r}: expected 'builtin', a .jsonl or .parquet file, or a Hub id"
        )


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path)
        number = 0
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", row
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def _hub_rows(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    from datasets import load_dataset

    try:
        rows = load_dataset(name, split="train")
    except Exception as error:  # datasets and the hub raise many kinds
        line = (str(error).strip().splitlines() or [repr(error)])[0]
        raise DataError(f"cannot load the data set {name!r} from the Hub: {line[:200]}") from error
    for number, row in enumerate(rows, 1):
        yield f"{name}:{number}", dict(row)


def item_from_row(row: dict[str, Any], where: str, split: Split = "locked") -> Item:
    """One item from one row; see :func:`read_items` for the columns."""
    if "response_0" in row or "is_response_0_safe" in row:
        return _item_from_pku(row, where, split)
    request, response = _text(row, "request", where), _text(row, "response", where)
    known = {k: v for k, v in row.items() if k in Item.model_fields and v is not None}
    defaults = {
        "kind": ItemKind.HARMFUL,
        "split": split,
        "category": "unsorted",
        "pair_key": content_id("pair", request),
        "source": where.rsplit(":", 1)[0],
    }
    try:
        return Item.model_validate({**defaults, **known, "request": request, "response": response})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(p) for p in first["loc"])
        raise DataError(
            f"{where}: field {field!r}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def _item_from_pku(row: dict[str, Any], where: str, split: Split) -> Item:
    request = _text(row, "prompt", where)
    unsafe: list[str] = []
    safe: list[str] = []
    for i in (0, 1):
        flag = row.get(f"is_response_{i}_safe")
        if not isinstance(flag, bool):
            raise DataError(f"{where}: field 'is_response_{i}_safe' must be true or false")
        (safe if flag else unsafe).append(_text(row, f"response_{i}", where))
    if not unsafe:
        raise DataError(f"{where}: no unsafe response (both are marked safe); remove the row")
    categories = row.get("response_0_harm_category")
    named = sorted(k for k, v in categories.items() if v) if isinstance(categories, dict) else []
    return Item(
        kind=ItemKind.HARMFUL,
        split=split,
        category=named[0] if named else "unsorted",
        request=request,
        response=max(unsafe, key=len),
        safe_response=max(safe, key=len, default=None),
        pair_key=content_id("pair", request),
        source=where.rsplit(":", 1)[0],
    )


def _text(row: dict[str, Any], field: str, where: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: field {field!r} must be a text that is not empty")
    return value.strip()
