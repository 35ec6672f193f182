"""Frozen model values to JSON text and back, by their type hints alone. Knows no model type by name.

A field that is empty and empty by default is left out; a field that is missing takes its default, so that a model type may
gain fields with defaults without a migration. A key that no field has is passed over: a newer version wrote it.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Union

from mailrelay.model.faults import StoreFault

Step = Callable[[Any], Any] | None  # None: the value is JSON as it is

_SHORT = 4096  # characters of a text whose value is remembered
_FIXED = (str, int, float, bool, types.NoneType, datetime, date, bytes, Path)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """UTC microseconds since 1970. Raises ValueError for a datetime without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be stored")
    return (moment - _EPOCH) // _MICROSECOND


def moment(number: int) -> datetime:
    """The moment (UTC) for microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=number)


def plain(text: str) -> str:
    """`text` as a TEXT column of both engines can hold it: NUL and lone surrogates become U+FFFD."""
    if "\0" not in text and (text.isascii() or _is_text(text)):
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def dumps(value: Any, kind: Any = None) -> str:
    """JSON text of a model value. `kind` is its type where the value does not tell (a tuple of findings, a mapping)."""
    kind = type(value) if kind is None else kind
    step = _encoder(kind)
    return _json(step(value) if step else value)


def loads(kind: Any, text: str) -> Any:
    """The value of type `kind` from JSON text. Raises StoreFault when the text does not fit the type."""
    return _remembered(kind, text) if _is_fixed(kind) and len(text) <= _SHORT else _loaded(kind, text)


def _loaded(kind: Any, text: str) -> Any:
    step = _decoder(kind)
    try:
        value, end = _parse(text)
        if end != len(text):
            raise ValueError(f"there is something after character {end}")
        return step(value) if step else value
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise StoreFault(f"a stored {getattr(kind, '__name__', kind)} cannot be read: {error}") from error


# The same decision, document, envelope of a notice is read for one mail after the other: nobody can change what was read before.
_remembered = lru_cache(maxsize=256)(_loaded)


@cache
def _is_fixed(kind: Any) -> bool:
    """Whether nothing in such a value can be changed. What a free mapping holds can."""
    return _has_fixed_parts(kind, frozenset())


def _has_fixed_parts(kind: Any, around: frozenset[Any]) -> bool:
    """`around` are the types that this one is a part of."""
    origin, arguments = _inner(kind)
    if (
        kind in around
        or (arguments == () and origin in _FIXED)
        or (isinstance(origin, type) and issubclass(origin, Enum))
    ):
        return True
    if dataclasses.is_dataclass(origin):
        arguments = tuple(hint for _, hint in _fields(typing.cast(type, origin)))
    elif origin not in (tuple, frozenset, types.UnionType):
        return False
    return all(_has_fixed_parts(part, around | {kind}) for part in arguments if part is not Ellipsis)


def _json(value: Any) -> str:
    text = _READABLE.encode(value)
    if text.isascii() or _is_text(text):
        return text
    return _ESCAPED.encode(value)  # lone surrogates, from header bytes that are no text: escapes bring them back


def _is_text(text: str) -> bool:
    """Whether it has a form in UTF-8: lone surrogates have none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _free(value: object) -> object:
    """What may stand in a free mapping (`facts`, `detail`) though JSON has no form of its own for it."""
    match value:
        case Mapping():
            return dict(value)
        case datetime() | date():
            return value.isoformat()
        case frozenset() | set():
            return sorted(value)
        case Path():
            return str(value)
        case bytes():
            return value.hex()
    raise TypeError(f"{type(value).__name__} has no place in a stored mapping")


# Made once: json.dumps makes an encoder at every call, and json.loads looks for white space that we never write.
_parse = json.JSONDecoder().raw_decode
_READABLE = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False, default=_free
)
_ESCAPED = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_free)


@cache
def _fields(kind: type) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """The fields that make a value; what a type works out for itself from them (init=False) is not stored."""
    hints = typing.get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in dataclasses.fields(kind) if field.init)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _inner(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """The origin of a type and its arguments; NewType and the like count as what they stand for."""
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    origin = typing.get_origin(kind) or kind
    if origin is Union:
        origin = types.UnionType
    return origin, typing.get_args(kind)


@cache
def _encoder(kind: Any) -> Step:
    origin, arguments = _inner(kind)
    if dataclasses.is_dataclass(origin):
        return _record_encoder(typing.cast(type, origin))
    if origin is types.UnionType:
        return _choice_encoder(arguments)
    if origin in (tuple, frozenset):
        return _row_encoder(origin, arguments)
    return _SCALAR_ENCODERS.get(origin)


_SCALAR_ENCODERS: Mapping[Any, Callable[[Any], Any]] = {
    datetime: microseconds,
    date: date.isoformat,
    bytes: lambda value: value.decode("latin-1"),
    Path: str,
}


def _record_encoder(kind: type) -> Callable[[Any], Any]:
    # Types may hold themselves, so the steps of the fields are looked up at the first use.
    plan: list[tuple[str, Step, Any]] = []

    def encode(value: Any) -> dict[str, Any]:
        if not plan:
            plan.extend((field.name, _encoder(hint), _default(field)) for field, hint in _fields(kind))
        written: dict[str, Any] = {}
        for name, step, default in plan:
            item = getattr(value, name)
            if item or item != default:
                written[name] = item if step is None or item is None else step(item)
        return written

    return encode


def _choice_encoder(arguments: tuple[Any, ...]) -> Step:
    steps = [(_inner(kind)[0], step) for kind in arguments if (step := _encoder(kind)) is not None]
    if not steps:
        return None

    def encode(value: Any) -> Any:
        step = next((step for kind, step in steps if isinstance(value, kind)), None)
        return step(value) if step is not None else value

    return encode


def _row_encoder(origin: Any, arguments: tuple[Any, ...]) -> Step:
    if origin is frozenset:
        return lambda value: sorted(value)
    steps = [_encoder(kind) for kind in arguments if kind is not Ellipsis]
    if not any(steps):
        return None
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        only = typing.cast(Callable[[Any], Any], steps[0])
        return lambda value: [only(item) for item in value]
    return lambda value: [step(item) if step else item for step, item in zip(steps, value, strict=True)]


@cache
def _decoder(kind: Any) -> Step:
    origin, arguments = _inner(kind)
    if dataclasses.is_dataclass(origin):
        return _record_decoder(typing.cast(type, origin))
    if origin is types.UnionType:
        return _choice_decoder(arguments)
    if origin in (tuple, frozenset):
        return _row_decoder(origin, arguments)
    if isinstance(origin, type) and issubclass(origin, Enum):
        return {member.value: member for member in origin}.__getitem__  # asking the type takes several times as long
    return _SCALAR_DECODERS.get(origin)


_SCALAR_DECODERS: Mapping[Any, Callable[[Any], Any]] = {
    datetime: moment,
    date: date.fromisoformat,
    bytes: lambda value: value.encode("latin-1"),
    Path: Path,
}


def _record_decoder(kind: type) -> Callable[[Any], Any]:
    plan: dict[str, Step] = {}

    def decode(value: Any) -> Any:
        if not plan:
            plan.update((field.name, _decoder(hint)) for field, hint in _fields(kind))
        if not value.keys() <= plan.keys():
            value = {name: item for name, item in value.items() if name in plan}
        for name, item in value.items():
            if item is not None and (step := plan[name]) is not None:
                value[name] = step(item)
        return kind(**value)

    return decode


def _choice_decoder(arguments: tuple[Any, ...]) -> Step:
    """A union is None, plain JSON scalars, at most one kind of row and at most one other kind."""
    kinds = [
        kind for kind in arguments if kind is not types.NoneType and _inner(kind)[0] not in (str, int, bool, float)
    ]
    rows = next((kind for kind in kinds if _inner(kind)[0] in (tuple, frozenset)), None)
    other = next((kind for kind in kinds if kind is not rows), None)
    row_step = _decoder(rows) if rows is not None else None
    other_step = _decoder(other) if other is not None else None

    def decode(value: Any) -> Any:
        step = row_step if isinstance(value, list) else other_step
        return step(value) if step is not None and value is not None else value

    return decode


def _row_decoder(origin: Any, arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        steps = [_decoder(kind) for kind in arguments]
        return lambda value: tuple(step(item) if step else item for step, item in zip(steps, value, strict=True))
    only = _decoder(arguments[0])
    if only is None:
        return typing.cast(Callable[[Any], Any], origin)
    return lambda value: origin([only(item) for item in value])
