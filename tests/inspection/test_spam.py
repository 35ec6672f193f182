"""The verdicts of spam filters: a real Rspamd, one that misbehaves, and the header of a neighbour."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.inspection.spam import Rspamd, upstream
from mailrelay.model.agency import Directory
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.identity import MailId
from mailrelay.model.message import Content, Message
from tests.inspection.conftest import Bench, Records, letter
from tests.servers.rspamd import GTUBE, RspamdServer

STRANGER = Envelope(
    "a@mic.example",
    (Recipient("vanthu@hoabinh.gov.vn"), Recipient("lan.stc@hoabinh.gov.vn")),
    Origin(Door.MX, peer="192.0.2.7", helo="mx.example\r\nUser: root"),
)


def message(size: int, by: Envelope = STRANGER) -> Message:
    return Message(MailId("01J00000000000000000000000"), by, "0" * 64, size, datetime.now(UTC))


async def ask(rspamd: Rspamd, path: Path, data: bytes, by: Envelope = STRANGER) -> Finding:
    path.write_bytes(data)
    return await rspamd.ask(message(len(data), by), path)


@pytest.fixture(scope="module")
def server() -> Iterator[RspamdServer]:
    with tempfile.TemporaryDirectory(prefix="rspamd") as folder:
        Path(folder).chmod(0o755)
        with RspamdServer(Path(folder) / "r") as running:
            yield running


@pytest.mark.timeout(300)
async def test_a_real_rspamd_tells_spam_from_ham(
    server: RspamdServer, tmp_path: Path, settings: InspectionSettings, directory: Directory
) -> None:
    rspamd = Rspamd("127.0.0.1", server.port, 30.0)
    found = await ask(rspamd, tmp_path / "a.eml", letter(body=f"{GTUBE}\n").as_bytes())
    assert (found.verdict, found.detail, found.facts["action"]) == (Verdict.FAIL, "spam", "reject")
    assert found.facts["symbols"] == ["GTUBE"]
    found = await ask(rspamd, tmp_path / "a.eml", letter().as_bytes() + b"x" * 3_000_000)
    assert (found.verdict, found.detail, found.facts["source"]) == (Verdict.PASS, "ham", "rspamd")
    inspector = Inspector(replace(settings, rspamd=("127.0.0.1", server.port), spam_limit=30.0), txt=Records())
    await inspector.start()
    try:
        bench = Bench(inspector, Records(), tmp_path, directory)
        for body, expected in ((GTUBE, "spam"), ("Kính gửi", "ham")):
            found_all = await bench.examine(letter(body=f"{body}\n"), STRANGER)
            assert [f.detail for f in found_all.of(Check.SPAM)] == [expected]
    finally:
        await inspector.close()


class Double:
    """Something that listens where Rspamd should, answers with given bytes and keeps what it was asked."""

    def __init__(self, answer: bytes, *, wait: float = 0.0) -> None:
        self._answer = answer
        self._wait = wait
        self.asked = b""

    async def ask(
        self, path: Path, data: bytes = b"Subject: x\r\n\r\nx\r\n", limit: float = 5.0, most: int = 10**6
    ) -> Finding:
        async with await asyncio.start_server(self._speak, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            return await ask(Rspamd("127.0.0.1", port, limit, most=most), path / "a.eml", data)

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        self.asked = head + await reader.readexactly(length)
        await asyncio.sleep(self._wait)
        writer.write(self._answer)
        writer.close()


def http(body: object, status: str = "200 OK", more: str = "") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n{more}\r\n".encode() + data


async def test_the_question_carries_the_envelope_and_nothing_else_from_it(tmp_path: Path) -> None:
    double = Double(http({"action": "no action", "score": 0.1, "required_score": 15}))
    found = await double.ask(tmp_path, b"From: a@b.vn\r\n\r\nxin ch\xc3\xa0o\r\n")
    assert found.detail == "ham"
    head, _, body = double.asked.partition(b"\r\n\r\n")
    assert body == b"From: a@b.vn\r\n\r\nxin ch\xc3\xa0o\r\n"
    assert head.decode().split("\r\n") == [
        "POST /checkv2 HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "Queue-Id: 01J00000000000000000000000",
        "From: a@mic.example",
        "Rcpt: vanthu@hoabinh.gov.vn",
        "Rcpt: lan.stc@hoabinh.gov.vn",
        "IP: 192.0.2.7",
        "Helo: mx.exampleUser: root",  # a line break in a name that the client chose starts no field
    ]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("reject", (Verdict.FAIL, "spam")),
        ("add header", (Verdict.FAIL, "spam")),
        ("rewrite subject", (Verdict.FAIL, "spam")),
        ("greylist", (Verdict.NEUTRAL, "suspicious")),
        ("soft reject", (Verdict.NEUTRAL, "suspicious")),
        ("no action", (Verdict.PASS, "ham")),
        ("something new", (Verdict.NEUTRAL, "not-judged")),
        (None, (Verdict.NEUTRAL, "not-judged")),
    ],
)
async def test_what_rspamd_would_do_is_a_fact(
    tmp_path: Path, action: str | None, expected: tuple[Verdict, str]
) -> None:
    symbols = {f"S{n:03}": {"score": 1} for n in range(100)}
    answer = {"action": action, "score": 7.5, "required_score": 15.0, "symbols": symbols}
    found = await Double(http(answer)).ask(tmp_path)
    assert (found.verdict, found.detail) == expected
    assert (found.facts["score"], len(found.facts["symbols"])) == (7.5, 20)


async def test_what_was_skipped_is_not_called_ham(tmp_path: Path) -> None:
    found = await Double(http({"action": "no action", "is_skipped": True})).ask(tmp_path)
    assert (found.verdict, found.detail) == (Verdict.NEUTRAL, "not-judged")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",  # no length
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",  # cut short
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        http(b"[1]"),
        http(b"{"),
        http(b"[" * 100_000),
        http({"error": "x"}, "500 Internal Server Error"),
        http({"action": "reject"}, "403 Forbidden"),
    ],
)
async def test_odd_answers_are_no_verdict(tmp_path: Path, answer: bytes) -> None:
    found = await Double(answer).ask(tmp_path)
    assert (found.verdict, found.detail) == (Verdict.TEMPERROR, "unavailable")


async def test_a_filter_that_is_away_or_silent_costs_no_more_than_its_limit(tmp_path: Path) -> None:
    found = await ask(Rspamd("127.0.0.1", 1), tmp_path / "a.eml", b"x")
    assert (found.verdict, found.detail) == (Verdict.TEMPERROR, "unavailable")
    began = time.monotonic()
    found = await Double(http({}), wait=20).ask(tmp_path, limit=0.3)
    assert (found.detail, time.monotonic() - began < 5) == ("unavailable", True)


async def test_a_mail_beyond_the_limit_is_not_sent_there(tmp_path: Path) -> None:
    double = Double(http({"action": "no action"}))
    found = await double.ask(tmp_path, b"x" * 2000, most=1000)
    assert (found.verdict, found.detail, double.asked) == (Verdict.NEUTRAL, "too-big", b"")


FILTER = (ip_network("10.1.0.5/32"), ip_network("fd00::/8"))


def by(peer: str, via: str = "") -> Envelope:
    return replace(STRANGER, origin=Origin(Door.MX, peer=peer, via=via))


def marked(*values: str) -> Content:
    return Content(fields=tuple(("x-spam-flag", value) for value in values))


def test_a_header_is_believed_of_a_listed_neighbour_only() -> None:
    content = marked("YES")
    for trusted in (by("10.1.0.5"), by("192.0.2.7", via="10.1.0.5"), by("fd00::1")):
        found = upstream(trusted, content, "X-Spam-Flag", FILTER)
        assert found is not None
        assert (found.verdict, found.detail, found.facts["source"]) == (Verdict.FAIL, "spam", "X-Spam-Flag")
    # The peer that a neighbour names is not the one that speaks; a stranger names himself what he likes.
    for stranger in (by("192.0.2.7"), by("10.1.0.5", via="192.0.2.7"), by(""), by("pc"), by("10.1.0.6")):
        assert upstream(stranger, content, "X-Spam-Flag", FILTER) is None
    assert upstream(by("10.1.0.5"), content, "", FILTER) is None
    assert upstream(by("10.1.0.5"), content, "X-Spam-Flag", ()) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("NO",), "ham"),
        (("No, score=-0.1 required=5.0 tests=x",), "ham"),
        (("Yes, score=7.2 required=5.0",), "spam"),
        (("NO", "YES"), "spam"),  # one came with the mail
        (("YES", "NO"), "spam"),
        (("7.2",), None),
        (("",), None),
        ((), None),
    ],
)
def test_what_a_header_says(values: tuple[str, ...], expected: str | None) -> None:
    found = upstream(by("10.1.0.5"), marked(*values), "X-Spam-Flag", FILTER)
    assert (found.detail if found else None) == expected
    if found is not None and "7.2" in values[0]:
        assert found.facts["score"] == 7.2
