"""Content and findings as JSON between parent and worker. Reading is strict: what does not fit is a ValueError, never an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.message import Address, Attachment, Content

_MOST_FINDINGS = 5000


def content_to_json(content: Content) -> dict[str, Any]:
    return {
        "subject": content.subject,
        "senders": [[a.name, a.address] for a in content.senders],
        "to": [[a.name, a.address] for a in content.to],
        "date": content.date,
        "message_id": content.message_id,
        "in_reply_to": content.in_reply_to,
        "references": content.references,
        "fields": content.fields,
        "text": content.text,
        "attachments": [attachment_to_json(a) for a in content.attachments],
        "body_sha256": content.body_sha256,
        "received_count": content.received_count,
        "own_results": content.own_results,
        "inner_subjects": content.inner_subjects,
        "inner_text": content.inner_text,
    }


def content_from_json(value: object) -> Content:
    """Return the Content that a worker sent. Raises ValueError on anything unexpected."""
    data = _object(value)
    return Content(
        subject=_text(data, "subject"),
        senders=_addresses(data, "senders"),
        to=_addresses(data, "to"),
        date=_text(data, "date"),
        message_id=_text(data, "message_id"),
        in_reply_to=_texts(data, "in_reply_to"),
        references=_texts(data, "references"),
        fields=tuple((_string(pair[0]), _string(pair[1])) for pair in _pairs(data, "fields")),
        text=_text(data, "text"),
        attachments=tuple(attachment_from_json(item) for item in _list(data, "attachments")),
        body_sha256=_text(data, "body_sha256"),
        received_count=_number(data, "received_count"),
        own_results=tuple((_integer(pair[0]), _integer(pair[1])) for pair in _pairs(data, "own_results")),
        inner_subjects=_texts(data, "inner_subjects"),
        inner_text=_text(data, "inner_text"),
    )


def attachment_to_json(attachment: Attachment) -> dict[str, Any]:
    return {
        "name": attachment.name,
        "names": attachment.names,
        "declared": attachment.declared,
        "type": attachment.type,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "part": attachment.part,
    }


def attachment_from_json(value: object) -> Attachment:
    data = _object(value)
    return Attachment(
        name=_text(data, "name"),
        names=_texts(data, "names"),
        declared=_text(data, "declared"),
        type=_text(data, "type"),
        size=_number(data, "size"),
        sha256=_text(data, "sha256"),
        part=_text(data, "part"),
    )


def finding_to_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check.value,
        "verdict": finding.verdict.value,
        "subject": _storable(finding.subject),
        "detail": finding.detail,
        "facts": _storable(finding.facts),
    }


def _storable(value: Any) -> Any:
    """The same facts without lone surrogates, which libraries make of foul text and no store takes."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return {str(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def finding_from_json(value: object) -> Finding:
    data = _object(value)
    return Finding(
        check=Check(_text(data, "check")),
        verdict=Verdict(_text(data, "verdict")),
        subject=_text(data, "subject"),
        detail=_text(data, "detail"),
        facts=dict(_object(data.get("facts"))),
    )


def findings_from_json(value: object) -> tuple[Finding, ...]:
    if not isinstance(value, list) or len(value) > _MOST_FINDINGS:
        raise ValueError("not a list of findings")
    return tuple(finding_from_json(item) for item in value)


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _list(data: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = data.get(name)
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    if not value.isascii():
        value.encode()  # a lone surrogate must not reach the store: UnicodeEncodeError is a ValueError
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("not a number")
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    return _string(data.get(name))


def _texts(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(_string(item) for item in _list(data, name))


def _number(data: Mapping[str, Any], name: str) -> int:
    return _integer(data.get(name))


def _pairs(data: Mapping[str, Any], name: str) -> Sequence[Sequence[Any]]:
    pairs = _list(data, name)
    if any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        raise ValueError(f"{name} does not hold pairs")
    return pairs


def _addresses(data: Mapping[str, Any], name: str) -> tuple[Address, ...]:
    return tuple(Address(_string(pair[0]), _string(pair[1])) for pair in _pairs(data, name))
