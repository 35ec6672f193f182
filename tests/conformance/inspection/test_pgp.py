"""OpenPGP: families of attacks with mutants, and genuine mails that `gpgv` accepts too."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check
from tests.conformance.inspection.conftest import passes
from tests.inspection.conftest import Bench, Records
from tests.inspection.test_openpgp import BODY, Forge, forge, packed

__all__ = ["forge"]

Maker = Callable[[Forge], bytes]
AUTHOR = b"vanthu.stc@hoabinh.gov.vn"
HEAD = b"From: " + AUTHOR + b"\r\nMessage-ID: <a@b>\r\nMIME-Version: 1.0\r\n"
FORGED = b"Content-Type: text/plain\r\n\r\nforged\r\n"
OLD = ("--faked-system-time", "20200201T000000")


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


def changed(change: Callable[[bytes], bytes]) -> Maker:
    return lambda forge: packed(change(BODY), forge.sign(BODY, "stc"))


def by(name: str, *extra: str) -> Maker:
    return lambda forge: packed(BODY, forge.sign(BODY, name, extra=extra))


def several(*names: str) -> Maker:
    def make(forge: Forge) -> bytes:
        blocks = b"".join(
            forge.gpg(
                "--detach-sign", "-u", f"{forge.fingerprints[name]}!", *(OLD if name == "expired" else ()), data=BODY
            )
            for name in names
        )
        armored = subprocess.run(["gpg", "--enarmor"], input=blocks, capture_output=True, check=True).stdout
        return packed(BODY, armored.replace(b"PGP ARMORED FILE", b"PGP SIGNATURE"))

    return make


def signed_entity(forge: Forge) -> bytes:
    raw = packed(BODY, forge.sign(BODY, "stc"))
    return raw[raw.index(b"Content-Type: multipart/signed") :]


def within(kind: bytes, *, before: bool) -> Maker:
    def make(forge: Forge) -> bytes:
        parts = [FORGED, signed_entity(forge)] if before else [signed_entity(forge), FORGED]
        body = b"".join(b"--oo\r\n" + part + b"\r\n" for part in parts)
        return HEAD + b"Content-Type: " + kind + b"; boundary=oo\r\n\r\n" + body + b"--oo--\r\n"

    return make


def forwarded(forge: Forge) -> bytes:
    return HEAD + b"Content-Type: message/rfc822\r\n\r\nFrom: x@evil.vn\r\n" + signed_entity(forge)


def sender(value: bytes) -> Maker:
    return lambda forge: packed(BODY, forge.sign(BODY, "stc"), value)


def instead(*arguments: str) -> Maker:
    """A whole signed message, or something else, where the detached signature should be."""
    return lambda forge: packed(BODY, forge.gpg("--armor", "-u", forge.fingerprints["stc"], *arguments, data=BODY))


def foul(change: Callable[[bytes], bytes]) -> Maker:
    return lambda forge: packed(BODY, change(forge.sign(BODY, "stc")))


FAMILIES: dict[str, list[Maker]] = {
    "signed bytes changed": [
        changed(f)
        for f in (
            lambda b: b + b"\r\n",
            lambda b: b[:-2],
            lambda b: b.replace(b"\r\n", b"\n"),
            lambda b: b.upper(),
            lambda b: b + b" ",
        )
    ],
    "keys that nobody vouched for": [
        by("stranger"),
        by("stc2"),
        by("sgddt"),
        by("stranger", "--digest-algo", "SHA512"),
    ],
    "keys out of their time": [
        by("revoked"),
        by("expired", *OLD),
        by("revoked", *OLD[:1], "20240701T000000"),
        by("expired", "--faked-system-time", "20200601T000000"),
    ],
    "old or expired signatures": [
        by("stc", "--digest-algo", "SHA1"),
        by("stc", "--digest-algo", "RIPEMD160"),
        by("stc", "--digest-algo", "SHA224"),
        by("stc", "--faked-system-time", "20240701T000000", "--default-sig-expire", "1d"),
    ],
    "several signatures": [
        several("stc", "stranger"),
        several("stranger", "stc"),
        several("stc", "sgddt"),
        several("expired", "stc"),
        several("stc", "stc"),
    ],
    "one part among others": [
        within(kind, before=b)
        for kind in (b"multipart/mixed", b"multipart/alternative", b"multipart/related")
        for b in (True, False)
    ]
    + [forwarded],
    "another author": [
        sender(s)
        for s in (
            b"x@evil.vn",
            AUTHOR + b", x@evil.vn",
            b"x@evil.vn\r\nFrom: " + AUTHOR,
            AUTHOR + b" <x@evil.vn>",
            b"vanthu.sgddt@hoabinh.gov.vn",
            b"",
        )
    ],
    "something else for a signature": [
        instead("--sign"),
        instead("--clearsign"),
        instead("--store"),
        instead("--export"),
    ],
    "foul blocks": [
        foul(f)
        for f in (
            lambda s: b"",
            lambda s: s[: len(s) // 2],
            lambda s: s + s,
            lambda s: s.replace(b"SIGNATURE", b"MESSAGE"),
            lambda s: b"text before\n" + s,
            lambda s: s.replace(b"\n\n", b"\n\nAAAA", 1),
        )
    ],
}


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_attack_passes(office: Bench, forge: Forge, family: str, number: int) -> None:
    found = await office.examine(FAMILIES[family][number](forge))
    assert passes(found, Check.OPENPGP) == []
    assert found.of(Check.OPENPGP), "nothing was said of the signature at all"


async def test_genuine_mails_pass_here_and_with_gpgv(office: Bench, forge: Forge, tmp_path: Path) -> None:
    ring = tmp_path / "ring.gpg"
    ring.write_bytes(forge.gpg("--export", forge.fingerprints["stc"]))
    for body in (BODY, BODY.replace(b"8bit", b"7bit"), b"Content-Type: text/plain\r\n\r\n- dash\r\nFrom x\r\n"):
        for extra in ((), ("--digest-algo", "SHA512")):
            block = forge.sign(body, "stc", extra=extra)
            assert passes(await office.examine(packed(body, block)), Check.OPENPGP)
            (tmp_path / "block.asc").write_bytes(block)
            (tmp_path / "body").write_bytes(body)
            subprocess.run(
                ["gpgv", "--keyring", ring, "block.asc", "body"], cwd=tmp_path, check=True, capture_output=True
            )


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 8
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
