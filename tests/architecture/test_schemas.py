"""docs/schemas/ is valid, closed in itself, and says what the model says; the examples obey and their mutilations do not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mailrelay.model.decision import Action
from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.model.document import Kind, MessageClass, Secrecy, Urgency
from mailrelay.model.entry import Book, EntryStatus, EventKind
from mailrelay.model.envelope import Door
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptKind, ReceiptState
from tests.schemas import FOLDER, problems

SCHEMAS = sorted(path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json"))
EXAMPLES = sorted((FOLDER / "examples").glob("*.json"))

WORDS: dict[str, type[StrEnum]] = {
    "class": MessageClass,
    "mail_state": MessageState,
    "door": Door,
    "action": Action,
    "check": Check,
    "verdict": Verdict,
    "urgency": Urgency,
    "secrecy": Secrecy,
    "kind": Kind,
    "book": Book,
    "entry_status": EntryStatus,
    "dispatch_state": DispatchState,
    "receipt_kind": ReceiptKind,
    "receipt_state": ReceiptState,
    "event_kind": EventKind,
}


def schema_of(example: Path) -> str:
    """trace.letter.json is an example of trace; explain prints the shape of trace."""
    name = example.name.partition(".")[0]
    return "trace" if name == "explain" else name


def load(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_valid(name: str) -> None:
    schema = load(FOLDER / f"{name}.schema.json")
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://mailrelay.invalid/schemas/{name}.schema.json"


@pytest.mark.parametrize("word", WORDS)
def test_words_are_those_of_the_model(word: str) -> None:
    definition = load(FOLDER / "words.schema.json")["$defs"][word]
    assert set(definition["enum"]) == {member.value for member in WORDS[word]}


def test_results_of_tries_are_those_of_the_model() -> None:
    result = load(FOLDER / "words.schema.json")["$defs"]["try"]["properties"]["result"]
    assert set(result["enum"]) == {member.value for member in Result}


def test_every_shape_has_an_example() -> None:
    assert {schema_of(path) for path in EXAMPLES} == set(SCHEMAS) - {"words"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_obeys(path: Path) -> None:
    assert problems(schema_of(path), load(path)) == []


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key of every object, as a path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def without(value: Any, path: tuple[str | int, ...]) -> Any:
    wounded = copy.deepcopy(value)
    holder = wounded
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return wounded


FREE_KEYS = {"intact", "trusted", "statuses"}  # a check's own facts; the history that only `register show` adds
FREE_MAPS = {"detail", "counts"}  # an event's detail, and the states that occur in the queue


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_named_key_may_be_missing(path: Path) -> None:
    example, name = load(path), schema_of(path)
    named = [
        place
        for place in places(example)
        if place[-1] not in FREE_KEYS and (len(place) < 2 or place[-2] not in FREE_MAPS)
    ]
    unnoticed = [place for place in named if not problems(name, without(example, place))]
    assert unnoticed == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mail_id",), "01KB0TX6M4Q8ZC3W5V7N9RDHEI"),  # I is no letter of base 32
        (("class",), "memo"),
        (("class",), "letter"),  # a letter has no document and stands in no book
        (("class",), "exchange"),
        (("document",), None),
        (("received_at",), "2026-11-22 14:05:01"),
        (("received_at",), "2026-11-22T14:05:01"),  # no offset
        (("sha256",), "A1" * 32),
        (("door",), "web"),
        (("size",), -1),
        (("findings", 0, "check"), "virus"),
        (("findings", 0, "verdict"), "ok"),
        (("document", "urgency"), "hoatoc"),
        (("document", "issued_on"), "28/10/2026"),
        (("entries", 0, "seq"), 0),
        (("dispatches", 0, "state"), "lost"),
        (("decision", "action"), "discard"),
        (("log",), {}),
    ],
)
def test_trace_with_a_wrong_value_is_refused(path: tuple[str | int, ...], value: object) -> None:
    trace = load(FOLDER / "examples" / "trace.json")
    holder = trace
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    assert problems("trace", trace)


def test_findings_and_documents_carry_their_own_facts() -> None:
    trace = load(FOLDER / "examples" / "trace.json")
    trace["findings"][0]["signed_at"] = "2026-11-22T14:00:00+07:00"
    trace["document"]["evidence"] = [{"field": "code"}]
    assert problems("trace", trace) == []
