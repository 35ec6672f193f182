"""Signed mails damaged at random: the workers survive, and a pass always stands over what was signed.

Bounded here; the long form is `MUTANTS=50000 python -m pytest --timeout 0 tests/conformance/inspection/test_mutants.py`, and
`SEED=` chooses another course.
"""

from __future__ import annotations

import email
import os
import random
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from lxml import etree

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Findings, Verdict
from tests.conformance.inspection.test_pgp_inline import clearsigned, mail
from tests.inspection.conftest import Bench, Records, with_file
from tests.inspection.invoices import INVOICE
from tests.inspection.invoices import sign as sign_xml
from tests.inspection.papers import Ca, Identity, blank
from tests.inspection.papers import sign as sign_pdf
from tests.inspection.test_openpgp import BODY as PGP_BODY
from tests.inspection.test_openpgp import Forge, forge, packed
from tests.inspection.test_smime import BODY, block, detached, opaque

__all__ = ["forge"]

COUNT = int(os.environ.get("MUTANTS", "72"))
SEED = int(os.environ.get("SEED", "2013"))
CHECKS = (Check.OPENPGP, Check.SMIME, Check.PDF, Check.XML)
PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\0",
        b"--bb\r\n",
        b"--bb--\r\n",
        b"Content-Type: text/html\r\n",
        b"From: x@evil.vn\r\n",
        b"\r\n\r\n",
    ),
    *(
        b"-----BEGIN PGP SIGNED MESSAGE-----\r\n",
        b"<!--",
        b"-->",
        b"<a>",
        b'Id="data"',
        b"%%EOF\n",
        b"/ByteRange",
        b"=",
        b"\xff\xfe",
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    forge: Forge,
    tmp_path_factory: pytest.TempPathFactory,
    settings: InspectionSettings,
    directory: Directory,
    roots: Path,
) -> AsyncIterator[Bench]:
    agencies = tuple(
        replace(agency, openpgp_keys=(forge.fingerprints["stc"],) if agency.agency_id == "stc" else ())
        for agency in directory.agencies
    )
    chosen = replace(settings, pgp_home=forge.rings, trust_roots=roots, time_limit=20.0)
    inspector = Inspector(chosen, txt=Records())
    await inspector.start()
    yield Bench(inspector, Records(), tmp_path_factory.mktemp("mails"), replace(directory, agencies=agencies))
    await inspector.close()


@pytest.fixture(scope="module")
def genuine(forge: Forge, ca: Ca, author: Identity) -> dict[str, bytes]:
    xml = sign_xml(INVOICE, author, reference="data", place="DSCKS/NBan")
    return {
        "inline": mail(clearsigned(forge)),
        "pgp/mime": packed(PGP_BODY, forge.sign(PGP_BODY, "stc")),
        "s/mime": detached(BODY, block(author, BODY)),
        "opaque": opaque(block(author, BODY, detached=False)),
        "pdf": with_file(sign_pdf(blank(), author), "a.pdf", "application/pdf").as_bytes(),
        "xml": with_file(xml, "a.xml", "text/xml").as_bytes(),
    }


def cut(raw: bytes, at: int, chance: random.Random) -> bytes:
    return raw[:at] + raw[at + chance.randrange(1, 40) :]


def flip(raw: bytes, at: int, chance: random.Random) -> bytes:
    return raw[:at] + bytes((raw[at] ^ (1 << chance.randrange(8)),)) + raw[at + 1 :]


def insert(raw: bytes, at: int, chance: random.Random) -> bytes:
    return raw[:at] + chance.choice(PIECES) + raw[at:]


def repeat(raw: bytes, at: int, chance: random.Random) -> bytes:
    end = at + chance.randrange(1, 400)
    return raw[:end] + raw[at:end] * chance.randrange(1, 4) + raw[end:]


def swap(raw: bytes, at: int, chance: random.Random) -> bytes:
    other = chance.randrange(len(raw))
    first, second = sorted((at, other))
    length = chance.randrange(1, 60)
    return (
        raw[:first]
        + raw[second : second + length]
        + raw[first + length : second]
        + raw[first : first + length]
        + raw[second + length :]
    )


CHANGES: tuple[Callable[[bytes, int, random.Random], bytes], ...] = (cut, flip, insert, repeat, swap)


def said(name: str, raw: bytes, findings: Findings) -> object:
    """What the signature of a mail is over, as a reader gets it: words, the signed bytes of a PDF, the elements of an invoice."""
    if name in ("pdf", "xml"):
        parts = [part for part in email.message_from_bytes(raw).walk() if part.get_filename()]
        data = parts[0].get_payload(decode=True) if len(parts) == 1 else b""
        assert isinstance(data, bytes)
        return _pdf(data) if name == "pdf" else _xml(data)
    return " ".join(findings.content.text.split())


def _pdf(data: bytes) -> bytes:
    """All but the signature itself, whose padding nobody signs and nobody sees."""
    match = re.search(rb"/ByteRange\s*\[(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", data)
    assert match is not None
    first, length, second, rest = (int(number) for number in match.groups())
    return data[first : first + length] + data[second : second + rest]


def _xml(data: bytes) -> list[tuple[str, str]]:
    root = etree.fromstring(data)
    return [(one.tag, one.text or "") for one in root.iter(etree.Element) if not one.tag.startswith("{")]


async def test_mutants_are_survived_and_never_pass_for_what_was_not_signed(
    office: Bench, genuine: dict[str, bytes]
) -> None:
    chance = random.Random(SEED)
    honest = {name: said(name, raw, await office.examine(raw)) for name, raw in genuine.items()}
    lost = 0
    for number in range(COUNT):
        name = chance.choice(sorted(genuine))
        raw = genuine[name]
        for _ in range(chance.randrange(1, 4)):
            raw = chance.choice(CHANGES)(raw, chance.randrange(len(raw)), chance)
        found = await office.examine(raw)
        passed = [one for one in found.findings if one.check in CHECKS and one.verdict is Verdict.PASS]
        assert not passed or said(name, raw, found) == honest[name], (SEED, number, name, passed)
        lost += any(one.detail == "worker-killed" for one in found.findings)
    assert lost <= COUNT // 100, f"{lost} workers were lost over {COUNT} mutants"
