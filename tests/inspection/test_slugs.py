"""The one table of slugs holds every slug that the room writes, and the policies know the same words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mailrelay.inspection import limits
from mailrelay.inspection.slugs import SLUGS
from mailrelay.model import fact
from mailrelay.model.finding import Check

ROOM = Path(limits.__file__).parent
KNOWN = {slug for slugs in SLUGS.values() for slug in slugs}


# The functions that make findings, and where the slug stands among their arguments.
MAKERS = {"note": 2, "_structure": 1, "found": 0, "_note": None}


def _words(tree: ast.AST) -> Iterator[str]:
    """The constant slugs in calls of the makers; with a constant check they must stand in its own table."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        place = MAKERS.get(name, -1)
        arguments = node.args if place is None else node.args[place : place + 1] if place >= 0 else []
        if name == "found" and arguments and isinstance(arguments[0], ast.Attribute):
            arguments = node.args[1:2]  # found(verdict, detail)
        for word in (
            a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str) and a.value
        ):
            if name == "note" and isinstance(node.args[0], ast.Attribute) and node.args[0].attr.isupper():
                assert word in SLUGS[Check[node.args[0].attr]], (node.args[0].attr, word)
            yield word


def test_every_slug_that_is_written_stands_in_the_table() -> None:
    sources = [file.read_text() for file in ROOM.rglob("*.py")]
    makers = [source for source in sources if "from mailrelay.inspection.slugs import" in source]
    written = {word for source in makers for word in _words(ast.parse(source))}
    assert len(written) > 30
    assert written <= KNOWN


def test_every_table_of_verdicts_speaks_of_known_slugs() -> None:
    for file in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Dict):
                continue
            if isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("_VERDICTS", "_FAULTS"):
                assert {key.value for key in node.value.keys if isinstance(key, ast.Constant)} <= KNOWN, file


def test_policies_know_the_same_words() -> None:
    ours = {check: frozenset(slugs) for check, slugs in SLUGS.items()}
    theirs = {check: frozenset(slugs) for check, slugs in fact.SLUGS.items()}
    assert {
        check: slugs - theirs.get(check, frozenset())
        for check, slugs in ours.items()
        if slugs - theirs.get(check, frozenset())
    } == {}


def test_glosses_are_sentences_without_end() -> None:
    for slugs in SLUGS.values():
        for slug, gloss in slugs.items():
            assert slug == slug.lower().replace(" ", "-")
            assert gloss
            assert not gloss.endswith(".")
