"""What the soak test begins from: the mails and files of the conformance families, genuine and forged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.inspection import (
    test_attachments,
    test_composition,
    test_hiding,
    test_names,
    test_pdf,
    test_pgp,
    test_smime,
)
from tests.inspection import test_files, test_office_text
from tests.inspection.conftest import letter, with_file
from tests.inspection.papers import Ca, Identity, blank, sign
from tests.inspection.test_openpgp import Forge

AUTHOR = "vanthu.stc@hoabinh.gov.vn"


@dataclass(frozen=True, slots=True)
class Seed:
    """One mail, or one file with its name; `origin` tells which family it is of."""

    origin: str
    data: bytes
    filename: str = ""  # "": a mail

    def mail(self) -> bytes:
        return wrapped(self.data, self.filename) if self.filename else self.data


def wrapped(data: bytes, filename: str) -> bytes:
    """A mail with one file."""
    return with_file(data, filename).as_bytes()


def seeds(folder: Path) -> list[Seed]:
    """Make all of them anew; `folder` is for keyrings. Takes some seconds: keys are made and papers are signed."""
    ca = Ca()
    author = ca.issue("Nguyễn Thị Lan", "Sở Tài chính", email=AUTHOR)
    return [*_mails(), *_files(), *_faces(), *_papers(ca, author), *_smime(ca, author), *_pgp(folder)]


def _mails() -> Iterator[Seed]:
    for family, mails in test_composition.FAMILIES.items():
        yield from (Seed(f"composition: {family}", mail) for mail in mails)
    yield from (Seed("composition: genuine", mail) for mail in test_composition.GENUINE)
    for family, bodies in test_hiding.FAMILIES.items():
        yield from (Seed(f"hiding: {family}", test_hiding.mail(body)) for body in bodies)
    yield from (Seed("hiding: genuine", test_hiding.mail(body)) for body in test_hiding.GENUINE)
    for way, (family, name) in enumerate(test_names.MUTANTS):
        if "\0" not in name and name.isprintable():
            yield Seed(f"names: {family}", test_names.mail_with(test_names.disposition(name, way % 4)))
    yield Seed("mail: attached mail", _forwarded())


def _forwarded() -> bytes:
    mail = letter()
    mail.add_attachment(letter(body="Thư bên trong.\n"))
    mail.add_attachment(b"x" * 200, maintype="application", subtype="octet-stream", filename="a.dat")
    return mail.as_bytes()


def _files() -> Iterator[Seed]:
    for family, files in test_attachments.FAMILIES.items():
        # A bomb costs seconds each time and stays the same bomb: the others stand for it.
        yield from (Seed(f"files: {family}", data, name) for data, name in files if len(data) < 200_000)
    yield from (Seed("files: genuine", data, name) for data, name, _ in test_attachments.GENUINE)
    for name, (data, filename, _) in test_files.CASES.items():
        yield Seed(f"archives: {name}", data, filename)
    for name, (data, filename, _) in test_files.OFFICE.items():
        yield Seed(f"office: {name}", data, filename)
    for name, (data, _) in test_files.ACTIVE.items():
        yield Seed(f"active PDF: {name}", data, "a.pdf")
    yield Seed(
        "winmail.dat",
        test_files.winmail(("a.txt", b"text"), ("a.zip", test_files.packed(test_files.LURE))),
        "winmail.dat",
    )


def _faces() -> Iterator[Seed]:
    """Office files with a text on their face, archives with papers in them."""
    for name, (data, filename, _) in (*test_office_text.MARKED.items(), *test_office_text.PAPERS.items()):
        yield Seed(f"faces: {name}", data, filename)


def _papers(ca: Ca, author: Identity) -> Iterator[Seed]:
    one = sign(blank(), author)
    yield Seed("PDF: one signature", one, "a.pdf")
    yield Seed("PDF: two signatures", sign(one, ca.issue("Sở Tài chính"), "Two"), "a.pdf")
    for family, changes in test_pdf.FAMILIES.items():
        yield from (Seed(f"PDF: {family}", change(one), "a.pdf") for change in changes)


def _smime(ca: Ca, author: Identity) -> Iterator[Seed]:
    for family, makers in test_smime.FAMILIES.items():
        yield from _made(f"S/MIME: {family}", makers, ca, author)


def _pgp(folder: Path) -> Iterator[Seed]:
    forge = Forge(folder)
    for name in ("stc", "sgddt", "stranger"):
        forge.make(name)
    forge.give("stc", "stc")
    forge.give("sgddt", "sgddt")
    for family, makers in test_pgp.FAMILIES.items():
        yield from _made(f"PGP: {family}", makers, forge)


def _made(origin: str, makers: list[Callable[..., bytes]], *arguments: object) -> Iterator[Seed]:
    for make in makers:
        try:
            yield Seed(origin, make(*arguments))
        except KeyError:  # wants a key that is not made here
            continue
