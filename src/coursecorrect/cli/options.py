"""Command-line flags made from settings records, so that a field's help is written once."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError

from coursecorrect.errors import UserError
from coursecorrect.types import Record

Command = Callable[..., None]
Base = Callable[[str], dict[str, Any]]
"""From the name of a recipe to its settings, nested as the record has them."""


def with_settings(
    record: type[Record], recipes: Base | None = None
) -> Callable[[Command], Command]:
    """Give a command one flag for each field of ``record`` (nested records are flattened).

    The command receives the assembled record as its first argument. With ``recipes`` it also takes
    ``--recipe``, whose settings hold where no flag says otherwise.
    """
    fields = _flatten(record)

    def decorate(command: Command) -> Command:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        flags = [_parameter(name, annotation, info) for name, _, annotation, info in fields]
        extra = [] if recipes is None else [_CONTEXT, _RECIPE]

        def run(**values: Any) -> None:
            mine = {p.name: values.pop(p.name) for p in own}
            chosen: dict[str, Any] = {}
            if recipes is not None and (recipe := values.pop("recipe")) is not None:
                chosen = recipes(recipe)
                context = values["context"]
                values = {name: v for name, v in values.items() if _is_given(context, name)}
            values.pop("context", None)
            command(_assemble(record, fields, values, chosen), **mine)

        parameters = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *extra, *flags]
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
_RECIPE = inspect.Parameter(
    "recipe",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option("--recipe", help="A recipe ('c2 recipes') or a YAML file; flags override it."),
    ],
)


def _is_given(context: typer.Context, name: str) -> bool:
    """Does the flag stand on the command line?"""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _flatten(
    record: type[BaseModel], path: tuple[str, ...] = ()
) -> list[tuple[str, Any, Any, Any]]:
    """(flag name, path to the field, annotation, field) of every leaf field."""
    found = []
    for name, info in record.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found += _flatten(annotation, (*path, name))
        else:
            found.append((name, (*path, name), annotation, info))
    return found


def _parameter(name: str, annotation: Any, info: Any) -> inspect.Parameter:
    shown, default = annotation, info.default
    flag = "--" + name.replace("_", "-")
    origin = typing.get_origin(_plain(annotation))
    if origin is tuple:
        shown, default = str, ",".join(str(v) for v in default or ())
    elif origin is dict:
        shown, default, flag = list[str], [], "--" + name.removesuffix("s").replace("_", "-")
    elif annotation is bool:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[shown, typer.Option(flag, help=info.description)],
    )


def _plain(annotation: Any) -> Any:
    """``T`` of ``T | None``."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next(a for a in typing.get_args(annotation) if a is not type(None))
    return annotation


def _assemble(
    record: type[Record], fields: Any, values: dict[str, Any], nested: dict[str, Any]
) -> Record:
    for name, path, annotation, _ in fields:
        if name not in values:
            continue
        place = nested
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = _parsed(name, annotation, values[name])
    try:
        return record.model_validate(nested)
    except ValidationError as error:
        first = error.errors()[0]
        flag = "--" + str(first["loc"][-1] if first["loc"] else "").replace("_", "-")
        raise UserError(
            f"{flag}: {first['msg'].removeprefix('Value error, ')}, not {first['input']!r}"
        ) from error


def _parsed(name: str, annotation: Any, value: Any) -> Any:
    origin = typing.get_origin(_plain(annotation))
    if origin is tuple:
        kind = typing.get_args(_plain(annotation))[0]
        try:
            parts = tuple(kind(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            raise UserError(
                f"--{name}: expected numbers separated by commas, not {value!r}"
            ) from error
        return parts if parts or _plain(annotation) is annotation else None
    if origin is dict:
        of = typing.get_args(_plain(annotation))[1]
        return dict(_key_value(name, part, of) for part in value) or None
    return value


def _key_value(name: str, text: str, of: Any) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise UserError(f"--{name.removesuffix('s')}: expected KEY=VALUE, not {text!r}")
    if of is str:  # a column may be called 1 or true
        return key, value
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
