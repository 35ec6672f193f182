"""What it costs to look into a mail: CPU time of the parent and the workers together, by itself."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from mailrelay.cli.demo import outside
from mailrelay.config.office import Office
from mailrelay.inspection.dns import Resolver
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.calendar import utc_now
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.identity import make_mail_id
from mailrelay.model.message import Message
from tests.load.beside import signed_paper
from tests.load.machine import cpu_seconds
from tests.load.mails import KIB, Mail, Printer
from tests.servers.dns import DnsServer

_MIB = KIB * KIB


@dataclass(frozen=True, slots=True)
class _Kind:
    """Mails of one kind, how often each is looked into, and the CPU time wanted for one, in ms."""

    name: str
    mails: Sequence[Mail]
    times: int
    wanted: float


async def run(place: Path, office: Office) -> list[str]:
    """Rows of the table of single steps."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    printer = Printer(key)
    kinds = (
        _Kind("4 KiB, DKIM-signed", printer.mails(4 * KIB, 20), 10, 1.5),
        _Kind(
            "a PDF file of 1 MB with two signatures", printer.mails(1400 * KIB, 2, paper=await signed_paper()), 3, 60
        ),
        _Kind("10 MiB without signatures in files", printer.mails(10 * _MIB, 2), 2, 100),
    )
    zone = {name: {"TXT": [text]} for name, text in outside.ministry_records(key).items()}
    with DnsServer(zone) as names:
        resolver = Resolver([f"127.0.0.1:{names.port}"])
        settings = InspectionSettings(authserv_id="mail.example", workers=2)
        inspector = Inspector(settings, txt=resolver.txt, names=resolver, kept=resolver.kept)
        await inspector.start()
        try:
            return [await _row(kind, inspector, place, office) for kind in kinds]
        finally:
            await inspector.close()


async def _row(kind: _Kind, inspector: Inspector, place: Path, office: Office) -> str:
    path = place / "inspected.eml"
    spent, looked, before = 0.0, 0, 0.0
    for turn in range(kind.times + 1):
        for mail in kind.mails:
            raw = mail.wire[:-3]  # without the final dot; no line of ours begins with one
            path.write_bytes(raw)
            message = _message(mail, raw)
            own = time.process_time()
            findings = await inspector.examine(message, path, office.directory)
            if not any(one.verdict is Verdict.PASS for one in findings.of(Check.DKIM)):
                raise AssertionError(f"{kind.name}: the signature was not verified")
            if turn:  # what is loaded once is no part of the figure
                spent += time.process_time() - own
                looked += 1
        if not turn:
            before = cpu_seconds(inspector.pids())
    spent += cpu_seconds(inspector.pids()) - before
    return f"| inspection, {kind.name}, CPU of parent and workers | {spent * 1000 / looked:.1f} ms | {kind.wanted} ms |"


def _message(mail: Mail, raw: bytes) -> Message:
    envelope = Envelope(
        mail.sender, (Recipient(mail.recipient),), Origin(Door.MX, peer="127.0.0.1", helo=outside.MINISTRY)
    )
    mail_id = make_mail_id(int(time.time() * 1000), os.urandom(10))
    return Message(mail_id, envelope, hashlib.sha256(raw).hexdigest(), len(raw), utc_now())
