"""The revocation lists and OCSP answers of the trusted CAs, fetched by a timed job and kept by digest. In the parent.

A mail never makes us fetch anything: the addresses are those of the trust folder, and what a worker would like to know is noted
and asked for later. Each file is judged by a worker before it counts, and an older list never takes the place of a newer one.
Layout: FOLDER/<sha256>.crl and .ocsp, FOLDER/index.json (what came from where and when), FOLDER/wanted.json (open questions).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mailrelay.inspection import anchors
from mailrelay.inspection.fetching import Unreachable
from mailrelay.store import durable
from mailrelay.telemetry import count, log

_MOST_LISTS = 64
_MOST_BYTES = 64 * 1024 * 1024  # of all that is kept
_MOST_WANTED = 500
_LONGEST_REQUEST = 2048
_FORGOTTEN = timedelta(days=60)  # questions that no mail has raised since
_AGAIN = timedelta(minutes=10)  # after a failure, or while a list is out of date
_AT_ONCE = 4

Fetch = Callable[[str, bytes | None], Awaitable[bytes]]
Vet = Callable[[Path, str], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Source:
    """Something to fetch: a list, or the answer to a question."""

    key: str
    kind: str  # crl or ocsp
    address: str
    request: bytes | None = None


class RevocationCache:
    """`vet` asks a worker what a fetched file is worth; `every` is how often what is in date is fetched again."""

    def __init__(self, folder: Path, trust: Path, fetch: Fetch, vet: Vet, *, every: timedelta) -> None:
        self._folder = folder
        self._trust = trust
        self._fetch = fetch
        self._vet = vet
        self._every = every
        self._turn = asyncio.Lock()
        self._asked: dict[str, tuple[str, str]] = {}

    async def refresh(self, now: datetime) -> int:
        """Fetch what is due; return how many files came new. A CA that cannot be reached is told in the log and waits."""
        async with self._turn:
            index = _loaded(self._folder / "index.json")
            wanted = await asyncio.to_thread(self._wanted, now)
            sources = await asyncio.to_thread(self._sources, wanted)
            due = [source for source in sources if self._is_due(index.get(source.key), now)]
            slots = asyncio.Semaphore(_AT_ONCE)

            async def one(source: _Source) -> tuple[_Source, dict[str, Any]]:
                async with slots:
                    return source, await self._renewed(source, index.get(source.key) or {}, now)

            results = await asyncio.gather(*(one(source) for source in due))
            fresh = {source.key: entry for source, entry in results}
            kept = {source.key: fresh.get(source.key) or index.get(source.key) for source in sources}
            known = {key: entry for key, entry in kept.items() if entry}
            if due or known.keys() != index.keys():
                await asyncio.to_thread(self._tidy, known)
            return sum(1 for entry in fresh.values() if entry.get("fetched_at") == int(now.timestamp()))

    def want(self, questions: Iterable[Mapping[str, Any]]) -> None:
        """Remember what workers would like to know, for the next refresh. Touches no disk: a mail waits for it."""
        for question in questions:
            address, request = str(question.get("address", "")), str(question.get("request", ""))
            if len(self._asked) < _MOST_WANTED and len(address) + len(request) < _LONGEST_REQUEST:
                self._asked[hashlib.sha256(f"{address}\0{request}".encode()).hexdigest()] = (address, request)

    def _wanted(self, now: datetime) -> dict[str, Any]:
        """The open questions: what mails raised lately, to addresses of the trust folder only, and only so many."""
        limit = (now - _FORGOTTEN).timestamp()
        before = _loaded(self._folder / "wanted.json")
        wanted = {key: one for key, one in before.items() if int(one.get("asked_at", 0)) > limit}
        responders = set(anchors.addresses(self._trust)[1]) if self._trust.is_dir() else set()
        asked, self._asked = self._asked, {}
        for key, (address, request) in asked.items():
            fits = address in responders and _decoded(request) is not None
            if fits and (key in wanted or len(wanted) < _MOST_WANTED):
                wanted[key] = {"address": address, "request": request, "asked_at": int(now.timestamp())}
        if wanted != before:
            self._written("wanted.json", wanted)
        return wanted

    def _sources(self, wanted: Mapping[str, Any]) -> list[_Source]:
        if not self._trust.is_dir():
            return []
        lists, responders = anchors.addresses(self._trust)
        found = [_Source(address, "crl", address) for address in lists[:_MOST_LISTS]]
        for key, question in wanted.items():
            request = _decoded(str(question.get("request", "")))
            if request is not None and question.get("address") in responders:
                found.append(_Source(key, "ocsp", str(question["address"]), request))
        return found

    def _is_due(self, entry: Mapping[str, Any] | None, now: datetime) -> bool:
        if not entry:
            return True
        at = now.timestamp()
        stale = 0 < int(entry.get("next_update", 0)) <= at
        pause = _AGAIN if stale or entry.get("fault") else self._every
        return at - int(entry.get("tried_at", 0)) >= pause.total_seconds()

    async def _renewed(self, source: _Source, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """The new entry of one source. After a failure the old file stays: a list out of date tells more than none."""
        tried = {**before, "tried_at": int(now.timestamp())}
        try:
            data = _der(await self._fetch(source.address, source.request))
        except Unreachable as fault:
            return self._failed(source, tried, f"unreachable: {fault}")
        work = self._folder / f".{hashlib.sha256(source.key.encode()).hexdigest()}.tmp"
        try:
            await asyncio.to_thread(self._put, work, data)
            told = await self._vet(work, source.kind)
            if "fault" in told:
                return self._failed(source, tried, str(told["fault"])[:100])
            if int(told["this_update"]) < int(before.get("this_update", 0)):
                return self._failed(source, tried, "older")  # somebody on the line plays back an old one
            if hashlib.sha256(data).hexdigest() != told["sha256"]:
                return self._failed(source, tried, "unreadable")
            await asyncio.to_thread(work.replace, self._folder / f"{told['sha256']}.{source.kind}")
        finally:
            work.unlink(missing_ok=True)
        count("revocation_fetched", kind=source.kind)
        told = {name: told[name] for name in ("sha256", "this_update", "next_update")}
        moment = int(now.timestamp())
        return {**told, "kind": source.kind, "size": len(data), "tried_at": moment, "fetched_at": moment}

    def _failed(self, source: _Source, tried: dict[str, Any], why: str) -> dict[str, Any]:
        count("revocation_failed", kind=source.kind)
        log.warning("revocation-not-fetched", address=source.address, kind=source.kind, fault=why)
        return {**tried, "fault": why}

    def _put(self, path: Path, data: bytes) -> None:
        durable.make_folder(self._folder, self._folder)
        path.unlink(missing_ok=True)
        descriptor = durable.create(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        durable.sync_file(path)

    def _tidy(self, index: Mapping[str, Any]) -> None:
        """Write what is known, and remove files that no source stands for, then the largest beyond the room there is."""
        if not self._folder.is_dir():
            return
        room, kept = _MOST_BYTES, {}
        for key, entry in sorted(index.items(), key=lambda item: int(item[1].get("size", 0))):
            room -= int(entry.get("size", 0))
            if room >= 0:
                kept[key] = entry
            else:
                log.warning("revocation-list-too-large", address=key)
        names = {f"{entry['sha256']}.{entry['kind']}" for entry in kept.values() if "sha256" in entry}
        for path in (*self._folder.glob("*.crl"), *self._folder.glob("*.ocsp")):
            if path.name not in names:
                path.unlink(missing_ok=True)
        self._written("index.json", kept)

    def _written(self, name: str, value: Mapping[str, Any]) -> None:
        durable.make_folder(self._folder, self._folder)
        work = self._folder / f".{name}.tmp"
        work.write_text(json.dumps(value, sort_keys=True, indent=1), encoding="ascii")
        work.chmod(0o600)
        durable.sync_file(work)
        work.replace(self._folder / name)
        durable.sync_folder(self._folder)


def _loaded(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return {str(key): one for key, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}


def _decoded(request: str) -> bytes | None:
    try:
        return base64.b64decode(request, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _der(data: bytes) -> bytes:
    """A list as DER: some CAs publish it as PEM."""
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    lines = data.strip().splitlines()
    try:
        return base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True)
    except binascii.Error:
        return data
