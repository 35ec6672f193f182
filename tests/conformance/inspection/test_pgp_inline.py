"""OpenPGP signatures inside a text: families of attacks with mutants, and genuine mails that `gpgv` accepts too."""

from __future__ import annotations

import base64
import quopri
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Verdict
from tests.conformance.inspection.conftest import passes
from tests.inspection.conftest import Bench, Records
from tests.inspection.test_openpgp import Forge, forge

__all__ = ["forge"]

Maker = Callable[[Forge], bytes]
AUTHOR = b"vanthu.stc@hoabinh.gov.vn"
HEAD = b"From: " + AUTHOR + b"\r\nMessage-ID: <a@b>\r\nMIME-Version: 1.0\r\n"
TEXT = "Kính gửi các đơn vị.\n- Chuyển 5 triệu  \n\nHết.\n".encode()
PLAIN = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
END = b"-----END PGP SIGNATURE-----"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    forge: Forge, tmp_path_factory: pytest.TempPathFactory, settings: InspectionSettings, directory: Directory
) -> AsyncIterator[Bench]:
    keys = {"stc": ("stc", "expired", "revoked"), "sgddt": ("sgddt",)}
    agencies = tuple(
        replace(agency, openpgp_keys=tuple(forge.fingerprints[name] for name in keys.get(agency.agency_id, ())))
        for agency in directory.agencies
    )
    inspector = Inspector(replace(settings, pgp_home=forge.rings), txt=Records())
    await inspector.start()
    yield Bench(inspector, Records(), tmp_path_factory.mktemp("mails"), replace(directory, agencies=agencies))
    await inspector.close()


def clearsigned(forge: Forge, text: bytes = TEXT, name: str = "stc", *extra: str) -> bytes:
    return forge.gpg("--clearsign", "-u", f"{forge.fingerprints[name]}!", *extra, data=text)


def mail(block: bytes, head: bytes = PLAIN) -> bytes:
    return HEAD + head + block.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def changed(change: Callable[[bytes], bytes]) -> Maker:
    """A change of the whole block, which is one text for a reader."""

    def make(forge: Forge) -> bytes:
        block = clearsigned(forge)
        forged = change(block)
        assert forged != block
        return mail(forged)

    return make


def swap(old: bytes, new: bytes) -> Maker:
    return changed(lambda block: block.replace(old, new, 1))


def with_head(head: bytes) -> Maker:
    return lambda forge: mail(clearsigned(forge), head)


def by(name: str, *extra: str) -> Maker:
    return lambda forge: mail(clearsigned(forge, TEXT, name, *extra))


def beside(kind: bytes, other: bytes, *, before: bool) -> Maker:
    """The signed text as one part among others."""

    def make(forge: Forge) -> bytes:
        own = PLAIN + clearsigned(forge).replace(b"\n", b"\r\n")
        parts = [other, own] if before else [own, other]
        body = b"".join(b"--oo\r\n" + part + b"\r\n" for part in parts)
        return HEAD + b"Content-Type: " + kind + b"; boundary=oo\r\n\r\n" + body + b"--oo--\r\n"

    return make


def latin(forge: Forge) -> bytes:
    return mail(clearsigned(forge), PLAIN.replace(b"utf-8", b"iso-8859-1"))


def detached_block(forge: Forge) -> bytes:
    """A genuine detached signature over the bytes of the text, dressed up as one inside it."""
    block = forge.sign(TEXT.replace(b"\n", b"\r\n")[:-2], "stc")
    return mail(BEGIN + b"\nHash: SHA512\n\n" + TEXT.replace(b"\n- ", b"\n- - ") + block)


OTHER = b"Content-Type: text/plain\r\n\r\nforged\r\n"
HTML = b"Content-Type: text/html\r\n\r\n<b>forged</b>\r\n"
FILE = b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="a.pdf"\r\n\r\n%PDF-1.4\r\n'

FAMILIES: dict[str, list[Maker]] = {
    "signed text changed": [
        swap("5 triệu".encode(), "9 triệu".encode()),
        swap("Hết.".encode(), "Hết".encode()),
        swap("Kính".encode(), " Kính".encode()),
        swap(b"\n\nH", b"\nH"),
        swap("gửi".encode(), b"gui"),
    ],
    "text before or behind": [
        changed(lambda b: b"Xin chuyen tien vao tai khoan moi.\n" + b),
        changed(lambda b: b + b"Xin chuyen tien vao tai khoan moi.\n"),
        changed(lambda b: b + b"\n\n\n-- \nchu ky\n"),
        changed(lambda b: b"> \n" + b),
        changed(lambda b: b"\n" * 200 + b"x\n" + b),
    ],
    "words in the place of headers": [
        swap(b"\n\n", b"\nComment: chuyen tien\n\n"),
        swap(b"\n\n", b"\nXin chuyen tien vao tai khoan moi\n\n"),
        swap(b"Hash: SHA256", b"Hash: SHA256 chuyen tien!"),
        swap(b"Hash: SHA256", b"Hash: Xin chuyen tien vao tai khoan moi"),
        swap(b"\n\n", b"\nCharset: utf-7\n\n"),
        swap(b"\n\n", b"\nNotDashEscaped: x\n\n"),
    ],
    "words in the signature's headers": [
        swap(SIGNATURE + b"\n", SIGNATURE + b"\nComment: chuyen tien vao tai khoan moi\n"),
        swap(SIGNATURE + b"\n", SIGNATURE + b"\nVersion: " + b"x" * 70 + b"\n"),
        swap(SIGNATURE + b"\n", SIGNATURE + b"\nHash: SHA1\n"),
        swap(END, b"!!! *** ---\n" + END),
        changed(lambda b: b[:-60] + b"<!--" + b[-60:]),
        swap(SIGNATURE + b"\n", SIGNATURE + "\nVersion: chuyển tiền\n".encode()),
    ],
    "dashes": [
        swap(b"- - ", b"- "),
        swap(b"- - ", b"-- "),
        swap(b"- - ", b"- - - "),
        swap("Hết.".encode(), b"-----BEGIN PGP SIGNED MESSAGE-----"),
        swap("Hết.".encode(), b"--gia"),
        swap("Kính".encode(), "- Kính".encode()),
    ],
    "several blocks": [
        changed(lambda b: b + b),
        changed(lambda b: b + b.replace("5 triệu".encode(), "9 triệu".encode())),
        changed(lambda b: BEGIN + b"\nHash: SHA512\n\nforged\n" + b),
        changed(lambda b: b + BEGIN + b"\n\nforged\n"),
        changed(lambda b: b.replace(END, END + b"\n" + END)),
    ],
    "other parts": [
        beside(kind, other, before=before)
        for kind, other in (
            (b"multipart/mixed", OTHER),
            (b"multipart/alternative", HTML),
            (b"multipart/mixed", FILE),
            (b"multipart/related", HTML),
        )
        for before in (True, False)
    ],
    "letters that are read otherwise": [
        latin,
        with_head(PLAIN.replace(b"utf-8", b"utf-7")),
        with_head(PLAIN.replace(b"utf-8", b"utf-16")),
        with_head(PLAIN.replace(b"utf-8", b"iso-2022-jp")),
        with_head(PLAIN.replace(b"utf-8", b"utf-8; format=flowed; delsp=yes")),
        lambda forge: mail(clearsigned(forge, "Chuyển \u202e000.1\u202c đồng\n".encode())),
    ],
    "keys and times": [
        by("stranger"),
        by("sgddt"),
        by("stc2"),
        by("revoked"),
        by("expired", "--faked-system-time", "20200201T000000"),
        by("stc", "--digest-algo", "SHA1"),
        by("stc", "--faked-system-time", "20401201T000000"),
    ],
    "foul blocks": [
        changed(lambda b: b[: len(b) // 2]),
        changed(lambda b: b.replace(END, b"")),
        changed(lambda b: b.replace(b"\n\n", b"\n", 1)),
        changed(lambda b: b.replace(b"\n", b"\r")),
        changed(lambda b: b.replace("Hết".encode(), b"H\x00")),
        detached_block,
    ],
}


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_attack_passes(office: Bench, forge: Forge, family: str, number: int) -> None:
    found = await office.examine(FAMILIES[family][number](forge))
    assert passes(found, Check.OPENPGP) == []
    assert found.of(Check.OPENPGP), "nothing was said of the signature at all"


@pytest.mark.parametrize(
    ("maker", "verdict", "detail", "reason"),
    [
        (FAMILIES["signed text changed"][0], Verdict.FAIL, "bad-signature", ""),
        (FAMILIES["text before or behind"][0], Verdict.PARTIAL, "partial-body", "text-before"),
        (FAMILIES["text before or behind"][1], Verdict.PARTIAL, "partial-body", "text-after"),
        (FAMILIES["words in the signature's headers"][0], Verdict.PARTIAL, "partial-body", "armor-text"),
        (FAMILIES["several blocks"][0], Verdict.POLICY, "several-signatures", ""),
        (FAMILIES["other parts"][0], Verdict.PARTIAL, "partial-body", "other-parts"),
        (FAMILIES["letters that are read otherwise"][0], Verdict.PARTIAL, "partial-body", "charset"),
        (FAMILIES["letters that are read otherwise"][5], Verdict.PARTIAL, "partial-body", "hidden-text"),
        (FAMILIES["keys and times"][6], Verdict.POLICY, "future", ""),
    ],
)
async def test_an_attack_is_called_by_its_name(
    office: Bench, forge: Forge, maker: Maker, verdict: Verdict, detail: str, reason: str
) -> None:
    (found,) = (await office.examine(maker(forge))).of(Check.OPENPGP)
    assert (found.verdict, found.detail, found.facts.get("reason", "")) == (verdict, detail, reason)
    assert found.facts["form"] == "inline"


def encoded(block: bytes, encoding: bytes) -> bytes:
    data = base64.encodebytes(block) if encoding == b"base64" else quopri.encodestring(block)
    return mail(data, PLAIN.replace(b"8bit", encoding))


async def test_genuine_mails_pass_here_and_with_gpgv(office: Bench, forge: Forge, tmp_path: Path) -> None:
    ring = tmp_path / "ring.gpg"
    ring.write_bytes(forge.gpg("--export", forge.fingerprints["stc"]))
    texts = [
        TEXT,
        b"ascii only\n",
        b"no line end",
        b"From here\n--\n-----\n- a - b\n\n\n",
        b"blanks at the end  \t\n\n",
        "Chữ có dấu: đ ẵ ộ\n".encode(),
    ]
    for text in texts:
        for extra in ((), ("--digest-algo", "SHA256")):
            block = clearsigned(forge, text, "stc", *extra)
            (tmp_path / "block.asc").write_bytes(block)
            subprocess.run(["gpgv", "--keyring", ring, "block.asc"], cwd=tmp_path, check=True, capture_output=True)
            raws = [mail(block), encoded(block, b"base64"), encoded(block, b"quoted-printable")]
            raws.append(mail(b"\n" + block + b"\n\n"))
            raws.append(mail(block.replace(SIGNATURE, SIGNATURE + b"\nVersion: GnuPG v2")))
            alone = b"--oo\r\n" + PLAIN + block.replace(b"\n", b"\r\n") + b"\r\n--oo--\r\n"
            raws.append(HEAD + b"Content-Type: multipart/mixed; boundary=oo\r\n\r\n" + alone)
            for raw in raws:
                assert passes(await office.examine(raw), Check.OPENPGP), raw.decode()


async def test_encrypted_texts_are_not_inspectable(office: Bench, forge: Forge) -> None:
    block = b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----\n"
    (found,) = (await office.examine(mail(block))).of(Check.OPENPGP)
    assert (found.verdict, found.detail) == (Verdict.NEUTRAL, "encrypted")


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 8
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
