"""What large things do to others: small mails beside a mail of 50 MiB and signed PDF files, stalls of the loop, memory."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from mailrelay.cli.demo import keys, papers
from tests.load.machine import Watch, pss_mib
from tests.load.mails import KIB, Mail, Printer
from tests.load.stacks import Ours
from tests.load.traffic import Sink, rank, send

MIB = KIB * KIB
_LARGE = 50 * MIB - 64 * KIB  # within the limit of size that the service has by itself
_SMALL = 240
_SESSIONS = 2


async def run() -> dict[str, float]:
    """p99 in ms of small mails (alone, beside), longest wait of a NOOP (alone, beside), MiB idle, MiB a session for 50 MiB."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    printer = Printer(key)
    async with Sink() as sink:
        stack = Ours(sink.port, key)
        await asyncio.to_thread(stack.__enter__)
        try:
            return await _measure(stack, sink, printer)
        finally:
            await asyncio.to_thread(stack.__exit__)


async def _measure(stack: Ours, sink: Sink, printer: Printer) -> dict[str, float]:
    paper = await signed_paper()
    heavy = printer.mails(1400 * KIB, 1, paper=paper)
    await _send(stack, sink, [*printer.mails(4 * KIB, 40), *heavy], 2)  # what is loaded once is no part of the figures
    found = {"idle": pss_mib(stack.pids)}
    found["p99-alone"], found["stall-alone"] = await _small(stack, sink, printer)
    found["p99-beside"], found["stall-beside"] = await _small(stack, sink, printer, paper)
    before = pss_mib(stack.pids)
    with Watch(stack.pids, every=0.1) as small:
        await _send(stack, sink, printer.mails(10 * KIB, 8), _SESSIONS)
    with Watch(stack.pids, every=0.1) as large:
        await _send(stack, sink, printer.mails(_LARGE, _SESSIONS), _SESSIONS)
    found["growth"] = max(0.0, large.peak - max(small.peak, before)) / _SESSIONS
    return found


async def _small(stack: Ours, sink: Sink, printer: Printer, paper: bytes = b"") -> tuple[float, float]:
    """p99 of DATA over two connections and the longest NOOP; with `paper` beside one large mail and signed PDF files."""
    mails = printer.mails(4 * KIB, _SMALL)
    others = [printer.mails(_LARGE, 1), printer.mails(1400 * KIB, 6, paper=paper)] if paper else []
    probe = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.load.probe", str(stack.port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    beside = [asyncio.create_task(_send(stack, sink, one, 1)) for one in others]
    seen = await send(stack.entrance(), mails, 2, pipelining=True)
    answer, _ = await probe.communicate(b"\n")
    for task in beside:
        await task
    await sink.wait(mails, 30)
    await stack.rest()
    return rank(seen.waits, 0.99) * 1000, float(json.loads(answer)["most"])


async def _send(stack: Ours, sink: Sink, mails: list[Mail], connections: int) -> None:
    await send(stack.entrance(), mails, connections, pipelining=True)
    await sink.wait(mails, 60)
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            await stack.rest()


async def signed_paper(size: int = MIB) -> bytes:
    """A PDF file of about `size` octets that a person and an agency have signed."""
    with tempfile.TemporaryDirectory(prefix="mailrelay-load-") as folder:
        authority = keys.make_authority("CA cua phep do")
        signers = [
            keys.issue_signer(authority, name, "So Tai chinh", Path(folder), stem)
            for name, stem in (("Nguyen Van A", "a"), ("So Tai chinh", "b"))
        ]
        line = "Noi dung van ban kem theo cong van nay " * 2
        return await papers.signed_pdf([line] * (size // (len(line) + 10)), signers)


def rows(found: dict[str, float]) -> list[str]:
    """Rows of the table of single steps."""
    return [
        f"| small mails beside a 50 MiB mail and signed PDF files, DATA p99 | {found['p99-beside']:.0f} ms"
        f" (alone {found['p99-alone']:.0f} ms) | 150 ms |",
        f"| longest wait of a NOOP meanwhile | {found['stall-beside']:.0f} ms (alone {found['stall-alone']:.0f} ms) | 20 ms |",
        f"| memory a session, 50 MiB against 10 KiB | {found['growth']:.1f} MiB | 8 MiB |",
        f"| idle service, all parts, 2 workers | {found['idle']:.0f} MiB | 200 MB |",
    ]
