"""What it costs to look into a mail: CPU time of the parent and the workers together, by itself."""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
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
from tests.load.machine import cpu_nanoseconds
from tests.load.mails import KIB, Mail, Printer
from tests.servers.dns import DnsServer

_MIB = KIB * KIB


@dataclass(frozen=True, slots=True)
class _Kind:
    """Mails of one kind, how often each is looked into, the CPU time wanted for one in ms, and how many are in hand at once."""

    name: str
    mails: Sequence[Mail]
    times: int
    wanted: float
    at_once: int = 1


async def run(place: Path, office: Office) -> list[str]:
    """Rows of the table of single steps."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    printer = Printer(key)
    small = printer.mails(4 * KIB, 24)
    kinds = (
        _Kind("4 KiB, DKIM-signed, one after the other", small, 40, 1.5),
        _Kind("4 KiB, DKIM-signed, eight at once", small, 40, 1.5, at_once=8),
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
    """The median turn: one figure for each turn of all mails, so that what disturbs some of them does not count."""
    warm = 1 + kind.times // 10  # what is loaded and learnt once is no part of the figure
    turns = [await _turn(kind, inspector, place, office) for _ in range(warm + kind.times)][warm:]
    found = f"{statistics.median(turns):.1f} ms (quickest turn {min(turns):.1f})"
    return f"| inspection, {kind.name}, CPU of parent and workers | {found} | {kind.wanted} ms |"


async def _turn(kind: _Kind, inspector: Inspector, place: Path, office: Office) -> float:
    """CPU time in ms for one mail, when each was looked into once."""
    spent = 0.0
    for start in range(0, len(kind.mails), kind.at_once):
        ready = []
        for number, mail in enumerate(kind.mails[start : start + kind.at_once]):
            raw = mail.wire[:-3]  # without the final dot; no line of ours begins with one
            path = place / f"inspected-{number}.eml"
            path.write_bytes(raw)
            ready.append((_message(mail, raw), path))
        own, workers = time.process_time(), cpu_nanoseconds(inspector.pids())
        found = await asyncio.gather(*(inspector.examine(*one, office.directory) for one in ready))
        spent += time.process_time() - own + (cpu_nanoseconds(inspector.pids()) - workers) / 1e9
        if not all(any(one.verdict is Verdict.PASS for one in findings.of(Check.DKIM)) for findings in found):
            raise AssertionError(f"{kind.name}: the signature was not verified")
    return spent * 1000 / len(kind.mails)


def _message(mail: Mail, raw: bytes) -> Message:
    envelope = Envelope(
        mail.sender, (Recipient(mail.recipient),), Origin(Door.MX, peer="127.0.0.1", helo=outside.MINISTRY)
    )
    mail_id = make_mail_id(int(time.time() * 1000), os.urandom(10))
    return Message(mail_id, envelope, hashlib.sha256(raw).hexdigest(), len(raw), utc_now())
