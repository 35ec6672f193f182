"""What a spam filter says of a mail: Rspamd, asked over HTTP, or the header of a listed neighbour that has asked one already.

A verdict is a fact like any other: nothing is held for it but by a rule, and a filter that does not answer holds up nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any, Protocol

from mailrelay.inspection.slugs import note
from mailrelay.inspection.source import Source
from mailrelay.model.envelope import Envelope, Origin
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.message import Content, Message
from mailrelay.telemetry import count, log

_BLOCK = 64 * 1024
_LONGEST_HEAD = 16 * 1024
_LONGEST_ANSWER = 1024 * 1024
_MOST_RECIPIENTS = 100
_MOST_SYMBOLS = 20
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
# What Rspamd would have done with the mail, and what that means. Its greylisting and its rate limits ("soft reject") are
# measures against a sender who calls again; here they are a doubt.
_ACTIONS = {
    "reject": (Verdict.FAIL, "spam"),
    "add header": (Verdict.FAIL, "spam"),
    "rewrite subject": (Verdict.FAIL, "spam"),
    "quarantine": (Verdict.FAIL, "spam"),
    "greylist": (Verdict.NEUTRAL, "suspicious"),
    "soft reject": (Verdict.NEUTRAL, "suspicious"),
    "no action": (Verdict.PASS, "ham"),
}
_SPAM, _HAM = (Verdict.FAIL, "spam"), (Verdict.PASS, "ham")
_WORDS = {"yes": _SPAM, "true": _SPAM, "no": _HAM, "false": _HAM}
_SCORE = re.compile(r"score=(-?\d{1,6}(?:\.\d{1,6})?)")


class SpamFilter(Protocol):
    """All that the house asks of a spam filter."""

    async def ask(self, message: Message, path: Path) -> Finding:
        """Return its verdict on one mail. Never raises for anything that the filter or the mail does."""


class Rspamd:
    """Rspamd's normal worker at a host and port, asked by POST /checkv2. Safe to use from many tasks."""

    def __init__(
        self, host: str, port: int, time_limit: float = 10.0, *, most: int = 20 * 1024 * 1024, at_once: int = 16
    ) -> None:
        self._host = host
        self._port = port
        self._time_limit = time_limit
        self._most = most
        self._turns = asyncio.Semaphore(at_once)

    async def ask(self, message: Message, path: Path) -> Finding:
        if message.size > self._most:
            return _unjudged("too-big", Verdict.NEUTRAL)
        try:
            async with asyncio.timeout(self._time_limit), self._turns:
                status, answer = await self._exchange(message, path)
        except (OSError, EOFError, ValueError, RecursionError) as fault:  # TimeoutError is an OSError
            log.warning("rspamd-unavailable", fault=type(fault).__name__)
            return _unjudged("unavailable", Verdict.TEMPERROR)
        if status != 200:
            log.warning("rspamd-refused", status=status)
            return _unjudged("unavailable", Verdict.TEMPERROR)
        return _judged(answer)

    async def _exchange(self, message: Message, path: Path) -> tuple[int, Mapping[str, Any]]:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LONGEST_HEAD)
        try:
            with Source(path) as source:
                writer.write(_request(message, source.size, self._host))
                for block in source.steps(0, source.size):
                    for start in range(0, len(block), _BLOCK):
                        writer.write(block[start : start + _BLOCK])
                        await writer.drain()
            return await _response(reader)
        finally:
            writer.close()


def _request(message: Message, size: int, host: str) -> bytes:
    """The head of the request (https://rspamd.com/doc/developers/protocol.html): the envelope goes along as header fields."""
    envelope = message.envelope
    origin = envelope.origin
    fields = [
        ("Host", host),
        ("Content-Length", str(size)),
        ("Connection", "close"),
        ("Queue-Id", message.mail_id),
        ("From", envelope.sender),
        *(("Rcpt", recipient.address) for recipient in envelope.recipients[:_MOST_RECIPIENTS]),
        ("IP", origin.peer),
        ("Helo", origin.helo),
        ("User", origin.login or ""),
    ]
    lines = ["POST /checkv2 HTTP/1.1", *(f"{name}: {_UNSAFE.sub('', value)}" for name, value in fields if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


async def _response(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, Any]]:
    """Read one answer. Raises EOFError when it ends too early, ValueError when it is too long or makes no sense."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError as fault:
        raise ValueError("the head is too long") from fault
    first, *lines = head.split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise ValueError("not HTTP")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = fields.get("content-length", "")
    if not length.isdigit() or int(length) > _LONGEST_ANSWER:
        raise ValueError("no length, or too long")
    answer = json.loads(await reader.readexactly(int(length)))
    if not isinstance(answer, dict):
        raise ValueError("not an object")
    return int(words[1]), answer


def _judged(answer: Mapping[str, Any]) -> Finding:
    verdict, detail = _ACTIONS.get(str(answer.get("action")), (Verdict.NEUTRAL, "not-judged"))
    if answer.get("is_skipped") and verdict is Verdict.PASS:  # a settled verdict (GTUBE, a list) skips the rest, too
        verdict, detail = Verdict.NEUTRAL, "not-judged"
    symbols = answer.get("symbols")
    named = sorted(str(name)[:100] for name in symbols)[:_MOST_SYMBOLS] if isinstance(symbols, dict) else []
    facts: dict[str, Any] = {
        name: value for name in ("score", "required_score") if isinstance(value := answer.get(name), int | float)
    }
    action = str(answer.get("action", ""))[:40]
    if detail == "spam":
        count("spam_found")
    return note(Check.SPAM, verdict, detail, source="rspamd", action=action, symbols=named, **facts)


def _unjudged(detail: str, verdict: Verdict) -> Finding:
    return note(Check.SPAM, verdict, detail, source="rspamd")


def upstream(
    envelope: Envelope, content: Content, header: str, trusted: tuple[IPv4Network | IPv6Network, ...]
) -> Finding | None:
    """What the filter of a neighbour wrote into the mail, or None.

    Only a neighbour whose own connection brought the mail is believed: anybody can write such a header. Of several the worst
    counts, because a filter puts its own beside one that came with the mail.
    """
    if not header or not _is_trusted(envelope.origin, trusted):
        return None
    values = [value for name, value in content.fields if name == header.lower()]
    said = [(_WORDS.get(re.split(r"[\s,;]", value.strip().lower(), maxsplit=1)[0]), value) for value in values]
    judged = [(found, value) for found, value in said if found is not None]
    if not judged:
        return None
    (verdict, detail), value = max(judged, key=lambda one: one[0][1] == "spam")
    score = _SCORE.search(value)
    facts: dict[str, Any] = {"score": float(score.group(1))} if score else {}
    return note(Check.SPAM, verdict, detail, source=header, **facts)


def _is_trusted(origin: Origin, trusted: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        address = ip_address(origin.via or origin.peer)
    except ValueError:
        return False
    return any(address in network for network in trusted)
