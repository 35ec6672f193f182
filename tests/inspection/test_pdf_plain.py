"""PDF files that need no pyHanko: only the plainest, and what is said of them is what pyHanko says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailrelay.cli.demo.papers import pdf as printed
from mailrelay.inspection import content, filetypes, jobs, looks, mime, pdf_plain
from mailrelay.inspection.exhibits import Exhibits
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.source import Memory
from mailrelay.model.finding import Finding
from tests.inspection.conftest import letter

PLAIN = printed(["CONG VAN SO 1"])


def job(kind: str, data: bytes) -> Job:
    return Job(kind, "2", "1_van-ban.pdf", 0, len(data), size=len(data))


def by_library(kind: str, data: bytes, tmp_path: Path) -> list[Finding]:
    setup = {"trust_roots": str(tmp_path), "gpg": "gpg", "revocation": ""}
    return looks.look(job(kind, data), Memory(data), {"at": 0.0}, Limits(), setup, Exhibits())


@pytest.mark.parametrize("kind", ["pdf", "pdf-active"])
def test_a_plain_file_gets_what_the_library_says(kind: str, tmp_path: Path) -> None:
    found = pdf_plain.Glance(Memory(PLAIN), Limits(), ()).look(job(kind, PLAIN))
    assert found == by_library(kind, PLAIN, tmp_path)


def test_active_content_of_a_plain_file_is_found(tmp_path: Path) -> None:
    data = _repaired(PLAIN.replace(b"/Type /Catalog", b"/OpenAction << /S /JavaScript /JS (x) >>"))
    assert pdf_plain.is_plain(data)
    found = pdf_plain.Glance(Memory(data), Limits(), ()).look(job("pdf-active", data))
    assert found
    assert found == by_library("pdf-active", data, tmp_path)


def spelt(word: bytes) -> list[bytes]:
    """A name as it is, and with its letters written as escapes (ISO 32000-2 section 7.3.5)."""
    first = b"/#%02x" % word[1] + word[2:]
    last = word[:-1] + b"#%02X" % word[-1]
    whole = b"/" + b"".join(b"#%02x" % letter for letter in word[1:])
    return [word, first, last, whole]


@pytest.mark.parametrize("place", ["object", "stream", "comment", "behind"])
@pytest.mark.parametrize(
    "word", [b"/Sig", b"/ByteRange", b"/AcroForm", b"/Perms", b"/Encrypt", b"/ObjStm", b"/XRef", b"/Prev", b"/FT"]
)
def test_a_word_of_signatures_anywhere_is_a_matter_for_the_library(word: bytes, place: str) -> None:
    for written in spelt(word):
        changed = {
            "object": PLAIN.replace(b"/MediaBox", written + b" 1 /MediaBox"),
            "stream": PLAIN.replace(b" ET\nendstream", written + b" ET\nendstream"),
            "comment": PLAIN.replace(b"%PDF-1.7\n", b"%PDF-1.7\n%" + written + b"\n"),
            "behind": PLAIN + written,
        }[place]
        assert changed != PLAIN
        assert not pdf_plain.is_plain(_repaired(changed)), written


def _repaired(data: bytes) -> bytes:
    """The same file with a table and end that lead to its objects, so that nothing but the word is out of the ordinary."""
    head, _, _ = data.rpartition(b"xref\n0 6")
    offsets = [match.start() for match in re.finditer(rb"\d 0 obj\n", head)]
    lines = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    behind = data.rpartition(b"%%EOF\n")[2]
    return (
        head + b"xref\n0 6\n0000000000 65535 f \n" + lines
        + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(head) + behind
    )  # fmt: skip


def test_the_repaired_file_without_a_word_is_plain() -> None:
    assert pdf_plain.is_plain(PLAIN)
    assert pdf_plain.is_plain(_repaired(PLAIN.replace(b"/MediaBox", b"/Rotate 0 /MediaBox")))


@pytest.mark.parametrize(
    "damaged",
    [
        PLAIN[:-200],
        PLAIN.replace(b"startxref\n", b"startxref\n9"),
        PLAIN.replace(b"/Root 1 0 R", b"/Root 5 0 R").replace(b"5 0 obj", b"8 0 obj"),
        PLAIN.replace(b"/Root 1 0 R", b"/Root 9 0 R"),
        PLAIN.replace(b"1 0 obj", b"1 1 obj"),
        PLAIN.replace(b"00000 n", b"00001 n"),
        PLAIN + b"trailing",
        PLAIN + PLAIN,
        b"%PDF-1.7\n%%EOF",
    ],
)
def test_what_is_out_of_order_is_a_matter_for_the_library(damaged: bytes) -> None:
    assert not pdf_plain.is_plain(damaged)
    assert pdf_plain.Glance(Memory(damaged), Limits(), ()).look(job("pdf", damaged)) is None


def test_large_files_and_files_inside_an_opaque_signature_are_looked_into_apart() -> None:
    large = PLAIN.replace(b"%PDF-1.7\n", b"%PDF-1.7\n%" + b"x" * pdf_plain.MOST + b"\n")
    assert pdf_plain.Glance(Memory(large), Limits(), ()).look(job("pdf", large)) is None
    assert pdf_plain.Glance(Memory(PLAIN), Limits(), ()).look(job("pdf", PLAIN)._replace(wrap_end=9)) is None
    assert pdf_plain.Glance(Memory(PLAIN), Limits(), ()).look(job("archive", PLAIN)) is None


@pytest.mark.parametrize("filling", [0, 40_000])
def test_what_was_held_of_a_short_file_is_judged_as_the_file_itself(filling: int) -> None:
    plain = PLAIN.replace(b"%PDF-1.7\n", b"%PDF-1.7\n%" + b"x" * filling + b"\n")
    acting = plain.replace(b"/Type /Catalog", b"/OpenAction << /S /JavaScript /JS (x) >>")
    mail = letter()
    for data in (_repaired(plain), _repaired(acting), _repaired(plain) + b"more", b"no paper"):
        mail.add_attachment(data, maintype="application", subtype="pdf", filename="a.pdf")
    source = Memory(mail.as_bytes())
    tree = mime.walk(source, Limits())
    reading = content.read(source, tree, Limits(), "mail.example", filetypes.type_of)
    work = jobs.of(source, tree, reading)
    held = pdf_plain.Glance(source, Limits(), reading.files)
    found = [held.look(one) for one in work]
    assert found == [pdf_plain.Glance(source, Limits(), ()).look(one) for one in work]
    assert [one is None for one in found] == [False] * 4 + [True] * 4
    assert found[3] and not found[1]
