"""Every model type goes to JSON and back unchanged."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mailrelay.model
from mailrelay.model.document import Document
from mailrelay.model.envelope import Envelope, Origin
from mailrelay.model.faults import StoreFault
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from mailrelay.model.message import Content
from mailrelay.store.codec import dumps, loads, microseconds, moment, plain
from tests.store.samples import NOW, document, envelope, record


def _model_types() -> list[type]:
    found = []
    for info in pkgutil.iter_modules(mailrelay.model.__path__, "mailrelay.model."):
        if info.name == "mailrelay.model.ldap_filter":  # a setting, never stored, and made of itself
            continue
        module = importlib.import_module(info.name)
        found += [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == info.name]
    return [kind for kind in found if dataclasses.is_dataclass(kind)]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _strategy(hint: Any) -> st.SearchStrategy[Any]:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_strategy(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_strategy(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(_strategy(argument) for argument in arguments))
    if origin is frozenset:
        return st.frozensets(_strategy(arguments[0]), max_size=3)
    if origin in (Mapping, dict) or hint in (Mapping, dict):
        values = _JSON if arguments[1] is Any else _strategy(arguments[1])
        return st.dictionaries(st.text(), values, max_size=3)
    if dataclasses.is_dataclass(hint):
        return _record(typing.cast(type, hint))
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        types.NoneType: st.none(),
        str: st.text(),
        datetime: st.datetimes(timezones=st.just(UTC)),
        Path: st.sampled_from([Path("/var/x.eml"), Path("tương/đối")]),
    }
    return scalars[hint] if hint in scalars else st.from_type(hint)


def _record(kind: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{item.name: _strategy(hints[item.name]) for item in dataclasses.fields(kind) if item.init})


@pytest.mark.parametrize("kind", _model_types(), ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_model_type_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    value = data.draw(_record(kind))
    text = dumps(value)
    back = loads(kind, text)
    assert back == value
    assert type(back) is kind
    assert dumps(back) == text
    text.encode()  # what a TEXT column can hold


@given(st.text(st.characters()))  # lone surrogates included: an undecodable header byte
def test_text_with_lone_surrogates_comes_back_as_it_was(text: str) -> None:
    written = dumps((text,), tuple[str, ...])
    assert "\0" not in written and written.encode()
    assert loads(tuple[str, ...], written) == (text,)


@given(st.binary())
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    assert loads(tuple[bytes, ...], dumps((data,), tuple[bytes, ...])) == (data,)


def test_json_is_readable_and_says_nothing_that_is_empty() -> None:
    written = json.loads(dumps(document()))
    assert written["summary"] == "Ứng dụng văn bản điện tử trong hoạt động của cơ quan nhà nước"
    assert "Ứng dụng" in dumps(document())
    assert json.loads(dumps(Finding(Check.SPF, Verdict.NONE))) == {"check": "spf", "verdict": "none"}


def test_a_default_that_is_not_empty_is_written() -> None:
    origin = json.loads(dumps(Origin(envelope().origin.door)))
    assert origin == {"door": "submission", "esmtp": True}


@dataclass(frozen=True, slots=True)
class Older:
    name: str


@dataclass(frozen=True, slots=True)
class Newer:
    name: str
    colour: str = "red"
    parts: tuple[int, ...] = (1, 2)
    facts: Mapping[str, Any] = field(default_factory=dict)


def test_a_type_may_gain_fields_with_defaults() -> None:
    assert loads(Newer, dumps(Older("x"))) == Newer("x")
    assert loads(Older, dumps(Newer("x", "blue"))) == Older("x")


def test_an_emptied_field_does_not_come_back_as_its_default() -> None:
    assert loads(Newer, dumps(Newer("x", "", ()))) == Newer("x", "", ())


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"name": 1, "name2": 2', '{"colour": "red"}', "null"])
def test_text_that_is_no_such_value_is_a_fault(text: str) -> None:
    with pytest.raises(StoreFault):
        loads(Older, text)


def test_a_word_that_an_enum_does_not_know_is_a_fault() -> None:
    with pytest.raises(StoreFault):
        loads(Finding, '{"check":"astrology","verdict":"pass"}')


def test_free_mappings_take_what_has_an_obvious_form() -> None:
    facts = types.MappingProxyType(
        {
            "at": NOW,
            "on": date(2026, 1, 2),
            "path": PurePosixPath("x"),
            "raw": b"\x00\xff",
            "words": frozenset({Check.SPF, Check.DKIM}),
            "deep": types.MappingProxyType({"a": (1, 2)}),
        }
    )
    with pytest.raises(TypeError):
        dumps(facts, Mapping[str, Any])  # a PurePath is none of ours
    written = json.loads(dumps({**facts, "path": Path("x")}, Mapping[str, Any]))
    assert written == {
        "at": "2026-11-22T07:30:00.123456+00:00",
        "on": "2026-01-02",
        "path": "x",
        "raw": "00ff",
        "words": ["dkim", "spf"],
        "deep": {"a": [1, 2]},
    }


def test_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError):
        dumps({"x": float("nan")}, Mapping[str, Any])


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_moments_are_utc_microseconds(at: datetime) -> None:
    back = moment(microseconds(at))
    assert back == at.astimezone(UTC)
    assert back.utcoffset() == timedelta(0)


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    hanoi = NOW.astimezone(timezone(timedelta(hours=7)))
    assert microseconds(hanoi) == microseconds(NOW) == 1795332600123456


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError):
        microseconds(datetime(2026, 1, 1))
    with pytest.raises(ValueError):
        dumps(dataclasses.replace(record().message, received_at=datetime(2026, 1, 1)))


@given(st.text(st.characters()))
def test_plain_text_fits_a_column_and_keeps_what_can_be_kept(text: str) -> None:
    kept = plain(text)
    assert "\0" not in kept and len(kept) == len(text)
    kept.encode()
    assert all(a == b or b == "\ufffd" for a, b in zip(text, kept, strict=True))


def test_an_envelope_is_small() -> None:
    """What is empty is left out: an ordinary envelope takes little room in its row."""
    assert len(dumps(Envelope("a@b", envelope().recipients[:1], Origin(envelope().origin.door)))) < 260


def test_what_nobody_can_change_is_read_once() -> None:
    text = dumps(document())
    assert loads(Document, text) is loads(Document, text)


def test_what_can_be_changed_is_read_anew() -> None:
    """A finding and whatever holds one: its facts are a mapping."""
    findings = (Finding(Check.SPF, Verdict.PASS, facts={"domain": "x"}),)
    for kind, value in (
        (Finding, findings[0]),
        (tuple[Finding, ...], findings),
        (Findings, Findings(Content(), findings)),
    ):
        text = dumps(value, kind)
        assert loads(kind, text) is not loads(kind, text)
        assert loads(kind, text) == value
