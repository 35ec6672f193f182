"""A real Inspector with a real worker process: content, manifest, and what becomes of hostile mail and lost workers."""

from __future__ import annotations

import asyncio
import email.policy
import hashlib
import os
import signal
import time
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailrelay.inspection.authentication import domains
from mailrelay.inspection.dns import TxtAnswer
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.inspection.marks import secrecy_mark
from mailrelay.model.agency import Directory
from mailrelay.model.document import Secrecy
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.message import Address
from tests.inspection.conftest import Bench, Records, envelope, letter, slugs, with_file
from tests.inspection.test_files import packed

BOUND = 8.0  # seconds that no hostile mail may exceed


async def test_a_plain_mail_is_read(bench: Bench) -> None:
    mail = with_file(b"%PDF-1.4\n" + b"x" * 3000, "Kế hoạch 59.pdf", "application/pdf")
    mail["Authentication-Results"] = "relay.hoabinh.gov.vn 1; dkim=pass"
    mail["Received"] = "from a by b; Fri, 28 Jun 2013 08:00:00 +0700"
    raw = mail.as_bytes()
    found = await bench.examine(raw)
    content = found.content
    assert content.subject == "Kế hoạch số 59/KH-UBND"
    assert content.senders == (Address("Văn thư Sở Tài chính", "vanthu.stc@hoabinh.gov.vn"),)
    assert content.message_id == "<mot@hoabinh.gov.vn>"
    assert content.text == "Kính gửi các đơn vị.\n"
    assert content.received_count == 1
    assert content.body_sha256 == hashlib.sha256(raw.split(b"\r\n\r\n", 1)[1]).hexdigest()
    assert [raw[start:end].lower() for start, end in content.own_results] == [
        b"authentication-results: relay.hoabinh.gov.vn 1; dkim=pass\r\n"
    ]
    (file,) = content.attachments
    assert (file.name, file.names, file.declared, file.type) == (
        "Kế hoạch 59.pdf",
        ("Kế hoạch 59.pdf",),
        "application/pdf",
        "application/pdf",
    )
    assert (file.size, file.part) == (3009, "2")
    assert file.sha256 == hashlib.sha256(b"%PDF-1.4\n" + b"x" * 3000).hexdigest()


def _passed_on(subject: str, body: str) -> EmailMessage:
    inner, outer = EmailMessage(policy=email.policy.SMTP), letter()
    inner["Subject"] = subject
    inner.set_content(body)
    outer.add_attachment(inner)
    return outer


def _in_html(mark: str) -> EmailMessage:
    mail = letter()
    mail.add_alternative(f"<p>Kính gửi</p><p><b>{mark}</b></p>", subtype="html")
    return mail


@pytest.mark.parametrize(
    ("mail", "secrecy"),
    [
        (_passed_on("[MẬT] 12/BC-STC", "Kính gửi"), Secrecy.CONFIDENTIAL),
        (_passed_on("12/BC-STC", "ỦY BAN NHÂN DÂN\nTỐI MẬT\nSố: 12\n"), Secrecy.SECRET),
        (with_file("ỦY BAN\nTUYỆT MẬT\n".encode(), "a.txt", "text/plain"), Secrecy.TOP_SECRET),
        (with_file("ỦY BAN\nTUYỆT MẬT\n".encode(), "a.dat"), Secrecy.TOP_SECRET),
        (with_file("<p>x</p><p>MẬT</p>".encode(), "a.html", "text/html"), Secrecy.CONFIDENTIAL),
        (_in_html("TỐI MẬT"), Secrecy.SECRET),
        (_passed_on("Về bảo mật thông tin", "Đổi mật khẩu; BẢO MẬT; độ mật là MẬT hay TỐI MẬT thì…"), Secrecy.NONE),
        (with_file("mật\nMẬT ONG\nBÍ MẬT NHÀ NƯỚC\n".encode(), "a.txt", "text/plain"), Secrecy.NONE),
    ],
)
async def test_a_secrecy_mark_is_found_in_what_is_passed_on(bench: Bench, mail: EmailMessage, secrecy: Secrecy) -> None:
    content = (await bench.examine(mail)).content
    assert secrecy_mark(content) is secrecy
    assert (content.subject, content.text.strip()) == ("Kế hoạch số 59/KH-UBND", "Kính gửi các đơn vị.")


async def test_the_first_mail_waits_for_no_list(tmp_path: Path) -> None:
    """The public suffix list is read at the start, not while mail waits."""
    domains._list.cache_clear()

    async def txt(name: str) -> TxtAnswer:
        raise AssertionError(name)

    inspector = Inspector(InspectionSettings(work_dir=tmp_path, workers=1), txt=txt)
    await inspector.start()
    try:
        assert domains._list.cache_info().currsize == 1
    finally:
        await inspector.close()


async def test_letters_without_anything_odd_have_no_findings(bench: Bench) -> None:
    assert (await bench.examine(letter())).findings == ()


def _many_parts() -> bytes:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    return (
        b"From: a@b.vn\r\nMessage-ID: <a@b>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + part * 50_000
        + b"--b--\r\n"
    )


def _nested(depth: int) -> bytes:
    out = [b"From: a@b.vn\r\nMessage-ID: <a@b>\r\n"]
    out += [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)]
    return b"".join(out) + b"\r\nend\r\n"


HEAD = b"From: a@b.vn\r\nMessage-ID: <a@b>\r\n"
HOSTILE = {
    "50,000 parts": (_many_parts(), "too-many-parts"),
    "500 nested multiparts": (_nested(500), "too-deep"),
    "3,000 open parentheses": (HEAD + b"To: " + b"(" * 3000 + b"\r\n\r\nx\r\n", "long-line"),
    "5,000 recipients": (
        HEAD + b"To: " + b", ".join(b"x%d@a.vn" % n for n in range(5000)) + b"\r\n\r\nx\r\n",
        "long-line",
    ),
    "1 MB header line": (HEAD + b"X-A: " + b"y" * 1_000_000 + b"\r\nSubject: behind\r\n\r\nx\r\n", "long-line"),
    "100,000 header fields": (HEAD + b"A: b\r\n" * 100_000 + b"\r\nx\r\n", "malformed"),
    "truncated multipart": (HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx", "malformed"),
    "no boundary": (HEAD + b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx", "malformed"),
    "NUL everywhere": (HEAD + b"Subject: a\0b\r\n\r\n\0\0\r\n", ""),
    "8-bit header": (HEAD + "Subject: Kê\u0301 hoa\u0323ch\r\n\r\nx\r\n".encode("cp1258"), "eight-bit-header"),
    "empty file": (b"", "empty"),
    "one line feed": (b"\n", "empty"),
    "no header": (b"\xff\xfe\x00 nothing like a mail", "malformed"),
    "only semicolons": (HEAD + b"Content-Type: text/plain" + b";" * 200_000 + b"\r\n\r\nx\r\n", "long-line"),
    "equals signs": (HEAD + b"Content-Type: text/plain; " + b"a=" * 100_000 + b"\r\n\r\nx\r\n", "long-line"),
    "encoded words": (HEAD + b"Subject: " + b"=?utf-8?b?w6A=?= " * 20_000 + b"\r\n\r\nx\r\n", "long-line"),
    "half encoded words": (HEAD + b"Subject: " + b"=?utf-8?q?" * 20_000 + b"\r\n\r\nx\r\n", "long-line"),
    "boundary lines": (
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--bx" * 100_000,
        "malformed",
    ),
    "open tags": (HEAD + b"Content-Type: text/html\r\n\r\n" + b"<script<!--" * 30_000 + b"\r\n", "empty"),
    "endless base64 line": (
        HEAD
        + b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b"QUJD" * 300_000
        + b"\r\n",
        "",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_mail_is_a_finding_within_the_time(bench: Bench, name: str) -> None:
    raw, expected = HOSTILE[name]
    began = time.monotonic()
    found = await bench.examine(raw)
    assert time.monotonic() - began < BOUND
    assert "worker-killed" not in slugs(found, Check.STRUCTURE)
    if expected:
        assert expected in slugs(found, Check.STRUCTURE)


async def test_a_killed_worker_is_a_finding_and_the_next_mail_is_read(
    tmp_path: Path, settings: InspectionSettings, directory: Directory
) -> None:
    inspector = Inspector(replace(settings, time_limit=0.5), txt=Records())
    await inspector.start()
    bench = Bench(inspector, Records(), tmp_path, directory)
    try:
        pid = inspector.pids()[0]
        os.kill(pid, signal.SIGSTOP)
        found = await bench.examine(letter())
        assert [(f.check, f.verdict, f.detail, f.facts["cause"]) for f in found.findings] == [
            (Check.STRUCTURE, Verdict.TEMPERROR, "worker-killed", "time")
        ]
        assert found.content.subject == "Kế hoạch số 59/KH-UBND"
        assert inspector.pids()[0] != pid
        assert not Path(f"/proc/{pid}").exists()
        assert (await bench.examine(letter())).findings == ()
    finally:
        await inspector.close()


async def test_a_worker_that_died_between_mails_is_replaced(bench: Bench) -> None:
    pid = bench.inspector.pids()[0]
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert (await bench.examine(letter())).findings == ()
    assert bench.inspector.pids()[0] != pid


async def test_a_cancelled_examination_leaves_no_answer_for_the_next_mail(bench: Bench) -> None:
    task = asyncio.create_task(bench.examine(letter(body="first\n")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await bench.examine(letter(body="second\n"))).content.text == "second\n"


async def test_mails_at_once_keep_their_own_content(bench: Bench, tmp_path: Path) -> None:
    async def one(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        own = Bench(bench.inspector, bench.records, folder, bench.directory)
        return (await own.examine(letter(body=f"{number}\n"))).content.text

    assert await asyncio.gather(*(one(n) for n in range(20))) == [f"{n}\n" for n in range(20)]


async def test_large_mail_goes_to_the_second_worker(
    tmp_path: Path, settings: InspectionSettings, directory: Directory
) -> None:
    inspector = Inspector(replace(settings, workers=2, large=50_000), txt=Records())
    await inspector.start()
    try:
        assert len(set(inspector.pids())) == 2
        os.kill(inspector.pids()[0], signal.SIGSTOP)  # the small one stands still: large mail passes it by
        bench = Bench(inspector, Records(), tmp_path, directory)
        found = await bench.examine(with_file(b"x" * 60_000, "a.bin"))
        assert found.content.attachments[0].size == 60_000
    finally:
        await inspector.close()


async def test_smtputf8_headers_are_no_finding(bench: Bench) -> None:
    raw = HEAD + "Subject: Kế hoạch\r\n\r\nx\r\n".encode()
    assert "eight-bit-header" in slugs(await bench.examine(raw), Check.STRUCTURE)
    found = await bench.examine(raw, envelope(smtputf8=True))
    assert "eight-bit-header" not in slugs(found, Check.STRUCTURE)
    assert found.content.subject == "Kế hoạch"


async def test_waiting_for_a_slow_mail_is_not_charged_to_the_next(
    settings: InspectionSettings, tmp_path: Path, directory: Directory
) -> None:
    inspector = Inspector(replace(settings, budget=1.5), txt=Records())
    await inspector.start()
    try:
        bench = Bench(inspector, Records(), tmp_path, directory)
        await bench.examine(with_file(packed(("a.txt", b"x")), "a.zip"))  # what is loaded once is loaded
        (worker,) = inspector._bench.workers
        async with worker._turn:  # somebody else's work
            waiting = asyncio.create_task(bench.examine(with_file(packed(("a.txt", b"x")), "a.zip")))
            await asyncio.sleep(2.0)
        assert (await waiting).findings == ()
    finally:
        await inspector.close()
