"""The JSON contract of the commands: loads docs/schemas/ and says in one line each what does not obey."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schemas"


@cache
def _registry() -> Registry[Any]:
    schemas = [json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")]
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas)


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of docs/schemas/NAME.schema.json."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return Draft202012Validator(schema, registry=_registry(), format_checker=FormatChecker())


def problems(name: str, value: object) -> list[str]:
    """What in `value` breaks the schema `name`: "path: message", empty when it obeys."""
    return [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(value)]
