"""Files that are broken, cut short, nested or huge: a finding within the limits of time and memory, and the worker lives on.

Mails of that kind stand in `test_examine`, CMS blocks of several signers in `test_smime`.
"""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from mailrelay.model.finding import Check, Findings
from tests.inspection import compounds, test_files
from tests.inspection.conftest import Bench, letter, with_file
from tests.inspection.papers import Ca, blank, sign
from tests.inspection.test_files import packed, tarred, winmail, word

BOUND = 9.0  # seconds; a worker would be killed at 10
LOST = frozenset(("worker-killed", "time-limit", "check-error"))


def arrays(depth: int) -> bytes:
    return test_files.pdf_with(b"/X " + b"[" * depth + b"]" * depth)


def part_header(line: bytes) -> bytes:
    raw = with_file(b"x", "a.txt").as_bytes()
    return raw.replace(b"Content-Disposition: attachment", line + b"Content-Disposition: attachment", 1)


FILES = {
    "500 nested PDF arrays": (arrays(500), "a.pdf"),
    "100,000 nested PDF arrays": (arrays(100_000), "a.pdf"),
    "nested PDF dictionaries": (test_files.pdf_with(b"/X " + b"<< /Y " * 3000 + b">>" * 3000), "a.pdf"),
    "a zip of 20,000 members": (packed(*((f"{n}.txt", b"") for n in range(20_000))), "a.zip"),
    "20,000 parts in a docx": (word(*((f"word/{n}.xml", b"x") for n in range(20_000))), "a.docx"),
    "20,000 vbaProject.bin": (word(*((f"{n}/vbaProject.bin", b"x") for n in range(20_000))), "a.docm"),
    "a damaged vbaProject": (word(("word/vbaProject.bin", compounds.vba()[:900] + b"\xff" * 2000)), "a.docm"),
    "a vbaProject of 40 MB": (word(("word/vbaProject.bin", compounds.vba() + b"\0" * 40_000_000)), "a.docm"),
    "a sheet of 60 MB": (word(("xl/sharedStrings.xml", b"<si><t>a</t></si>" * 3_500_000)), "a.xlsx"),
    "one line of 30 MB": (gzip.compress(b"a" * 30_000_000), "a.gz"),
    "a tar of 20,000 members": (tarred(*((f"{n}", b"") for n in range(20_000))), "a.tar"),
}


def peak(pid: int) -> int:
    """The most memory that a process ever held, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def lost(found: Findings) -> list[str]:
    return [f"{f.check}:{f.detail}" for f in found.findings if f.detail in LOST]


@pytest.mark.parametrize("name", FILES)
async def test_hostile_files_are_findings_within_the_limits(bench: Bench, name: str) -> None:
    (before,) = bench.inspector.pids()
    began = time.monotonic()
    found = await bench.examine(with_file(*FILES[name]))
    assert time.monotonic() - began < BOUND
    assert lost(found) == []
    assert bench.inspector.pids() == [before]
    assert peak(before) < 600 * 1024 * 1024
    checks = (Check.ARCHIVE, Check.MACRO, Check.PDF, Check.PDF_ACTIVE, Check.TYPE)
    assert any(found.of(check) for check in checks) or name == "a sheet of 60 MB"  # large, but nothing is wrong with it


@pytest.mark.parametrize(
    "line", [b"X: " + b"y" * 1_000_000 + b"\r\n", b"X: y\r\n" * 200_000, b"X:" + b"\r\n y" * 300_000 + b"\r\n"]
)
async def test_huge_headers_of_a_part(bench: Bench, line: bytes) -> None:
    began = time.monotonic()
    found = await bench.examine(part_header(line))
    assert (lost(found), time.monotonic() - began < BOUND) == ([], True)
    assert {"long-line", "malformed"} & {f.detail for f in found.of(Check.STRUCTURE)}


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    """Everything that can be cut short: (name of the file, its bytes)."""
    ca = Ca()
    return {
        "a.pdf": sign(blank(), ca.issue("Sở Tài chính")),
        "a.zip": packed(("a.docx", word()), ("b.zip", packed(("c.txt", b"x" * 500)))),
        "a.tgz": tarred(("a.txt", b"x" * 5000), mode="w:gz"),
        "a.docm": word(("word/vbaProject.bin", compounds.vba())),
        "a.xls": compounds.excel(compounds.sheet("Macro1", 1)),
        "winmail.dat": winmail(("a.txt", b"text"), ("b.zip", packed(("c.txt", b"x")))),
    }


@pytest.mark.parametrize("name", ["a.pdf", "a.zip", "a.tgz", "a.docm", "a.xls", "winmail.dat"])
async def test_files_cut_short_anywhere(bench: Bench, whole: dict[str, bytes], name: str) -> None:
    data = whole[name]
    for tenth in (*range(10), 9.9):
        found = await bench.examine(with_file(data[: int(len(data) * tenth / 10)], name))
        assert lost(found) == [], tenth


async def test_mails_cut_short_anywhere(bench: Bench) -> None:
    mail = letter()
    mail.add_attachment(letter())
    mail.add_attachment(packed(("a.txt", b"x")), maintype="application", subtype="zip", filename="a.zip")
    raw = mail.as_bytes()
    for end in range(0, len(raw), 23):
        assert lost(await bench.examine(raw[:end])) == [], end
