"""Real programs at the door: swaks, s-nail with S/MIME, Postfix in front, and an open-relay scan."""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.envelope import Door, Notify
from tests.intake.smtp.office import PASSWORD
from tests.servers.postfix import Postfix
from tests.servers.process import program, wait_until

pytestmark = pytest.mark.e2e
LETTER = (
    b"From: nam.stc@hoabinh.gov.vn\r\nTo: vanthu.syt@hoabinh.gov.vn\r\nSubject: =?utf-8?q?C=C3=B4ng_v=C4=83n?=\r\n\r\n"
    b".mot\r\n..hai\r\n"
)


async def _run(*command: str | Path, data: bytes = b"") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    async with asyncio.timeout(90):
        output, _ = await process.communicate(data)
    return process.returncode or 0, output.decode(errors="replace")


@pytest.mark.parametrize(
    ("door", "options"),
    [
        (Door.SUBMISSION, ["--tls", "--auth", "PLAIN"]),
        (Door.SUBMISSION, ["--tls", "--auth", "LOGIN", "--pipeline"]),
        (Door.SUBMISSIONS, ["--tls-on-connect", "--auth", "PLAIN", "--pipeline"]),
    ],
)
async def test_swaks_sends_for_a_clerk(office: Any, tmp_path: Path, door: Door, options: list[str]) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(LETTER.removesuffix(b"\r\n"))  # swaks adds a line end of its own
    login = ["--auth-user", "nam.stc", "--auth-password", PASSWORD]
    addresses = ["--from", "nam.stc@hoabinh.gov.vn", "--to", "vanthu.syt@hoabinh.gov.vn,ai@example.vn"]
    server = ["--server", "127.0.0.1", "--port", str(office.ports[door])]
    status, output = await _run(program("swaks"), *server, *options, *login, *addresses, "--data", f"@{letter}")
    assert status == 0, output
    envelope, content = office.recorder.mails[0]
    assert content == LETTER
    assert [r.address for r in envelope.recipients] == ["vanthu.syt@hoabinh.gov.vn", "ai@example.vn"]
    assert (envelope.origin.login, envelope.origin.door) == ("nam.stc", door)


@pytest.mark.parametrize(
    ("door", "options", "refusal"),
    [
        (Door.SUBMISSION, ["--auth", "PLAIN", "--auth-user", "nam.stc", "--auth-password", PASSWORD], ""),
        (Door.SUBMISSION, ["--tls"], "[auth-required]"),
        (
            Door.SUBMISSION,
            ["--tls", "--auth", "PLAIN", "--auth-user", "nam.stc", "--auth-password", "x"],
            "[auth-failed]",
        ),
        (Door.MX, [], "[local-sender-without-login]"),
    ],
)
async def test_swaks_is_refused_without_tls_login_or_right(
    office: Any, door: Door, options: list[str], refusal: str
) -> None:
    addresses = ["--from", "nam.stc@hoabinh.gov.vn", "--to", "vanthu.syt@hoabinh.gov.vn"]
    server = ["--server", "127.0.0.1", "--port", str(office.ports[door])]
    status, output = await _run(program("swaks"), *server, *options, *addresses)
    assert status != 0 and refusal in output
    assert office.recorder.mails == []


async def test_s_nail_sends_a_signed_mail_over_587(office: Any, tmp_path: Path) -> None:
    pem = tmp_path / "nam.pem"
    subject = "/CN=Nam/emailAddress=nam.stc@hoabinh.gov.vn"
    made = await _run(
        program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", subject,
        "-days", "2", "-keyout", pem, "-out", tmp_path / "cert.pem",
    )  # fmt: skip
    assert made[0] == 0, made[1]
    pem.write_bytes(pem.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    settings = {
        "v15-compat": "", "mta": f"smtp://nam.stc:{PASSWORD}@127.0.0.1:{office.ports[Door.SUBMISSION]}",
        "smtp-use-starttls": "", "smtp-auth": "plain", "tls-verify": "ignore", "from": "nam.stc@hoabinh.gov.vn",
        "smime-sign": "", "smime-sign-cert": str(pem), "sendwait": "", "ttycharset": "utf-8",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-S", f"{name}={value}" if value else name)]
    command = [program("s-nail"), "-:/", *options, "-s", "Báo cáo tháng", "vanthu.syt@hoabinh.gov.vn"]
    status, output = await _run(*command, data="Kính gửi Sở Y tế\n".encode())
    assert status == 0, output
    envelope, content = office.recorder.mails[0]
    assert envelope.origin.login == "nam.stc"
    mail = tmp_path / "mail.eml"
    mail.write_bytes(content)
    verified = await _run(
        program("openssl"), "smime", "-verify", "-in", mail, "-CAfile", tmp_path / "cert.pem", "-out", tmp_path / "text"
    )
    assert verified[0] == 0, verified[1]
    assert "K=C3=ADnh g=E1=BB=ADi S=E1=BB=9F Y t=E1=BA=BF" in (tmp_path / "text").read_text(encoding="ascii")


async def test_postfix_in_front_hands_on_all_it_was_told(open_office: Any) -> None:
    """The content-filter position: Postfix tells the real client by XFORWARD and passes DSN wishes on."""
    rights = frozenset({"xforward", "login"})
    async with open_office(rights_of=lambda peer: rights) as office:
        settings = {"smtp_send_xforward_command": "yes"}
        with Postfix(relay_to=office.ports[Door.MX], hostname="front.example.test", settings=settings) as postfix:

            def send() -> None:
                with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="may-in.example") as client:
                    client.sendmail(
                        "nam.stc@hoabinh.gov.vn", ["vanthu.syt@hoabinh.gov.vn", "ai@example.vn"], LETTER,
                        mail_options=["RET=HDRS", "ENVID=QQ+2B1"], rcpt_options=["NOTIFY=SUCCESS,DELAY"],
                    )  # fmt: skip

            await asyncio.to_thread(send)
            await asyncio.to_thread(wait_until, lambda: office.recorder.mails, "the mail behind Postfix")
    envelope, content = office.recorder.mails[0]
    origin = envelope.origin
    assert (origin.peer, origin.helo, origin.via, origin.login) == (
        "127.0.0.1",
        "may-in.example",
        "127.0.0.1",
        "nam.stc",
    )
    assert (envelope.ret, envelope.envid) == ("HDRS", "QQ+2B1")
    assert [r.notify for r in envelope.recipients] == [frozenset({Notify.SUCCESS, Notify.DELAY})] * 2
    assert {r.orcpt for r in envelope.recipients} == {"rfc822;vanthu.syt@hoabinh.gov.vn", "rfc822;ai@example.vn"}
    assert content.endswith(LETTER.partition(b"\r\n\r\n")[2])


# The combinations of nmap's script smtp-open-relay, for a server at 127.0.0.1 called mail.hoabinh.gov.vn.
_FROM = [
    "",
    "antispam@example.vn",
    "antispam",
    "antispam@mail.hoabinh.gov.vn",
    "antispam@[127.0.0.1]",
    "antispam@hoabinh.gov.vn",
]
_TO = [
    "relaytest@example.com", "relaytest%example.com@[127.0.0.1]", "relaytest%example.com@mail.hoabinh.gov.vn",
    '"relaytest@example.com"', '"relaytest%example.com"', "relaytest@example.com@[127.0.0.1]",
    '"relaytest@example.com"@[127.0.0.1]', "relaytest@example.com@mail.hoabinh.gov.vn", "@[127.0.0.1]:relaytest@example.com",
    "@mail.hoabinh.gov.vn:relaytest@example.com", "example.com!relaytest", "example.com!relaytest@[127.0.0.1]",
    "example.com!relaytest@mail.hoabinh.gov.vn", '"relaytest@example.com"@hoabinh.gov.vn', "relaytest%example.com@hoabinh.gov.vn",
]  # fmt: skip


@pytest.mark.parametrize("sender", _FROM)
@pytest.mark.parametrize("door", [Door.MX, Door.LMTP])
async def test_an_open_relay_scan_finds_none(open_office: Any, door: Door, sender: str) -> None:
    async with open_office(limits=Limits(errors=1000, error_delay=timedelta(0))) as office:
        client = await office.connect(door)
        for recipient in _TO:
            await client.ask(f"MAIL FROM:<{sender}>")
            assert (await client.ask(f"RCPT TO:<{recipient}>"))[:1] == "5"
            await client.ask("RSET")


async def test_submission_without_a_login_is_no_relay(office: Any) -> None:
    client = await office.connect(Door.SUBMISSIONS)
    for sender in ("", "nam.stc@hoabinh.gov.vn", "ai@example.vn"):
        assert "[auth-required]" in await client.ask(f"MAIL FROM:<{sender}>")
        assert "[bad-sequence]" in await client.ask("RCPT TO:<relaytest@example.com>")


async def test_nmap_finds_no_open_relay(open_office: Any) -> None:
    async with open_office(limits=Limits(errors=1000, error_delay=timedelta(0))) as office:
        port = office.ports[Door.MX]
        scan = ["--script", "smtp-open-relay", "--script-args", "smtp-open-relay.domain=example.com"]
        code, output = await _run(
            program("nmap"), "-Pn", "-n", "-sT", "-sV", "--version-light", "-p", str(port), *scan, "127.0.0.1"
        )
    assert code == 0, output
    assert "smtp-open-relay: Server doesn't seem to be an open relay, all tests failed" in output
