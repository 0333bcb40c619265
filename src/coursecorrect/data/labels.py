"""Files of texts to be labelled by people: JSONL, or CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from coursecorrect.errors import DataError
from coursecorrect.store import read_jsonl, write_jsonl, write_text
from coursecorrect.types import Verdict

Row = dict[str, Any]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is executed by spreadsheets."""
_LONGEST_CELL = 10_000_000
_FINISHED = {"true": True, "false": False, "": None}


def read_labels(path: Path) -> list[Row]:
    """The rows of a label file, in order; ``label`` is one of the five verdicts or empty.

    A ``.csv`` may be separated by commas or semicolons and have a byte order mark, as spreadsheets
    write it; any other file is JSONL. Columns that are not known are kept.

    Raises:
        DataError: a file or row that cannot be used (names file:line and field).
    """
    numbered = _csv_rows(path) if path.suffix == ".csv" else list(read_jsonl(path))
    rows = [_checked(row, f"{path}:{number}") for number, row in numbered]
    seen: set[str] = set()
    for (number, _), row in zip(numbered, rows, strict=True):
        if row["id"] in seen:
            raise DataError(f"{path}:{number}: the id {row['id']} stands twice; remove one row")
        seen.add(row["id"])
    if not rows:
        raise DataError(f"{path} has no rows")
    return rows


def write_labels(path: Path, rows: Sequence[Row]) -> None:
    """Replace a label file at once, in the form that its name asks for."""
    if path.suffix != ".csv":
        write_jsonl(path, rows)
        return
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def _csv_rows(path: Path) -> list[tuple[int, Row]]:
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            delimiter = ";" if head.count(";") > head.count(",") else ","
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            return [(reader.line_num, _typed(row, f"{path}:{reader.line_num}")) for row in reader]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: broken CSV: {error}; export it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error


def _typed(row: dict[Any, Any], where: str) -> Row:
    if None in row or None in row.values():
        raise DataError(f"{where}: another number of cells than the first line has")
    found: Row = {key: _text(value) for key, value in row.items()}
    if "finished" in found:
        found["finished"] = _finished(found["finished"], where)
    return found


def _finished(value: str, where: str) -> bool | None:
    try:
        return _FINISHED[value.strip().casefold()]
    except KeyError:
        raise DataError(f"{where}: field 'finished': expected true, false or nothing") from None


def _checked(row: Row, where: str) -> Row:
    if not isinstance(row.get("id"), str) or not row["id"]:
        raise DataError(f"{where}: field 'id' is missing; take a file of 'c2 judge sample'")
    label = row.get("label")
    label = "" if label is None else str(label).strip().casefold()
    if label and label not in set(Verdict):
        known = ", ".join(Verdict)
        raise DataError(f"{where}: field 'label': {label[:40]!r} is none of {known}")
    return {**row, "label": label}


def _cell(value: Any) -> str:
    """A value that a spreadsheet takes for text; ``_text`` undoes it."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def _text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def labelled(rows: Iterable[Row]) -> list[Row]:
    """The rows that have a label."""
    return [row for row in rows if row["label"]]
