"""OpenPGP/MIME with a real gpg: what passes and everything that must not."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.keyring import ENDED
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Directory
from mailrelay.model.finding import Check, Finding, Verdict
from tests.inspection.conftest import Bench, Records, letter

TIME = "20240601T000000"


class Forge:
    """A GnuPG home with secret keys, and the agencies' public keyrings beside it."""

    def __init__(self, root: Path) -> None:
        self.home = root / "s"
        self.home.mkdir(mode=0o700)
        self.rings = root / "k"
        self.rings.mkdir()
        self.fingerprints: dict[str, str] = {}

    def gpg(self, *arguments: str, data: bytes = b"", home: Path | None = None) -> bytes:
        command = [
            "gpg",
            "--homedir",
            str(home or self.home),
            "--batch",
            "--no-tty",
            "--quiet",
            "--pinentry-mode",
            "loopback",
        ]
        return subprocess.run(
            [*command, "--passphrase", "", *arguments], input=data, capture_output=True, check=True, timeout=60
        ).stdout

    def make(self, name: str, *, created: str = TIME, expires: str = "0") -> str:
        self.gpg(
            "--faked-system-time", created, "--quick-generate-key", f"{name} <{name}@x.vn>", "ed25519", "sign", expires
        )
        listed = self.gpg("--list-keys", "--with-colons", f"{name}@x.vn").decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        self.fingerprints[name] = fingerprint
        return fingerprint

    def give(self, name: str, agency: str) -> None:
        ring = self.rings / agency
        ring.mkdir(mode=0o700, exist_ok=True)
        self.gpg("--import", data=self.gpg("--export", self.fingerprints[name]), home=ring)

    def sign(self, data: bytes, *names: str, extra: tuple[str, ...] = ()) -> bytes:
        keys = [argument for name in names for argument in ("-u", f"{self.fingerprints[name]}!")]
        return self.gpg("--armor", "--detach-sign", *keys, *extra, data=data)


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    root = Path(tempfile.mkdtemp(prefix="pgp"))  # short: gpg-agent's socket lies below
    forge = Forge(root)
    for name in ("stc", "sgddt", "stranger", "revoked", "stc2"):
        forge.make(name)
    forge.make("expired", created="20200101T000000", expires="20200701T000000")
    for name in ("stc", "stc2", "expired", "revoked"):
        forge.give(name, "stc")
    forge.give("sgddt", "sgddt")
    certificate = (forge.home / "openpgp-revocs.d" / f"{forge.fingerprints['revoked']}.rev").read_text()
    revocation = certificate.replace(":-----BEGIN", "-----BEGIN").encode()
    forge.gpg("--import", data=revocation[revocation.index(b"-----BEGIN") :], home=forge.rings / "stc")
    yield forge
    for home in (forge.home, forge.rings / "stc", forge.rings / "sgddt"):
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(root, ignore_errors=True)


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


BODY = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "Kính gửi.\r\nHết.\r\n".encode()
)


def packed(body: bytes, block: bytes, sender: bytes = b"vanthu.stc@hoabinh.gov.vn") -> bytes:
    block = block.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return (
        b"From: " + sender + b"\r\nMessage-ID: <a@b>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"; boundary=bb\r\n\r\n'
        b"--bb\r\n" + body + b"\r\n--bb\r\nContent-Type: application/pgp-signature\r\n\r\n" + block + b"\r\n--bb--\r\n"
    )


async def judged(office: Bench, raw: bytes) -> Finding:
    (finding,) = (await office.examine(raw)).of(Check.OPENPGP)
    return finding


async def test_a_good_signature_of_the_own_agency_passes(office: Bench, forge: Forge) -> None:
    found = await judged(office, packed(BODY, forge.sign(BODY, "stc")))
    assert (found.verdict, found.detail, found.subject) == (Verdict.PASS, "good", forge.fingerprints["stc"])
    assert (found.facts["agency"], found.facts["hash"]) == ("stc", "sha256")
    assert isinstance(found.facts["made_at"], int)


@pytest.mark.parametrize(
    ("name", "verdict", "detail"),
    [
        ("stranger", Verdict.NEUTRAL, "unknown-key"),
        ("stc2", Verdict.NEUTRAL, "unknown-key"),  # in the keyring, but not in the directory
        ("sgddt", Verdict.POLICY, "other-agency"),
        ("revoked", Verdict.POLICY, "revoked-key"),
        ("expired", Verdict.POLICY, "expired-key"),
    ],
)
async def test_other_keys(office: Bench, forge: Forge, name: str, verdict: Verdict, detail: str) -> None:
    when = ("--faked-system-time", "20200201T000000") if name == "expired" else ()
    found = await judged(office, packed(BODY, forge.sign(BODY, name, extra=when)))
    assert (found.verdict, found.detail) == (verdict, detail)


async def test_valid_when_signed_and_valid_now_are_told_apart(office: Bench, forge: Forge) -> None:
    old = ("--faked-system-time", "20200201T000000")
    found = await judged(office, packed(BODY, forge.sign(BODY, "expired", extra=old)))
    assert (found.detail, found.facts["valid_when_signed"], found.facts["valid_now"]) == ("expired-key", True, False)
    found = await judged(office, packed(BODY, forge.sign(BODY, "stc")))
    assert (found.facts["valid_when_signed"], found.facts["valid_now"]) == (True, True)


async def test_a_key_that_its_agency_gave_up_vouches_for_nothing_new(office: Bench, forge: Forge) -> None:
    ended = forge.rings / "stc" / ENDED
    ended.write_text(json.dumps({forge.fingerprints["stc"]: 1_750_000_000}))  # June 2025
    try:
        before = forge.sign(BODY, "stc", extra=("--faked-system-time", "20240701T000000"))
        for block, then in ((before, True), (forge.sign(BODY, "stc"), False)):
            found = await judged(office, packed(BODY, block))
            assert (found.verdict, found.detail) == (Verdict.POLICY, "expired-key")
            assert (found.facts["valid_when_signed"], found.facts["valid_now"]) == (then, False)
            assert found.facts["key_ended_at"] == 1_750_000_000
    finally:
        ended.unlink()


async def test_the_key_as_it_lay_in_the_keyring_is_the_evidence(office: Bench, forge: Forge, tmp_path: Path) -> None:
    findings = await office.examine(packed(BODY, forge.sign(BODY, "stc")))
    (found,) = findings.of(Check.OPENPGP)
    assert [piece["kind"] for piece in found.facts["evidence"]] == ["openpgp-key", "tools"]
    (key,) = [piece for piece in findings.exhibits if piece.kind == "openpgp-key"]
    (tmp_path / "key.gpg").write_bytes(key.data)
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "block.asc").write_bytes(forge.sign(BODY, "stc"))
    command = ["gpgv", "--keyring", tmp_path / "key.gpg", "block.asc", "body"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tools,) = [piece for piece in findings.exhibits if piece.kind == "tools"]
    assert {"python", "gnupg", "python-gnupg", "mailrelay"} <= set(json.loads(tools.data))


async def test_changed_bytes(office: Bench, forge: Forge) -> None:
    block = forge.sign(BODY, "stc")
    for body in (BODY.replace(b"\r\n", b"\n"), BODY + b"\r\n", BODY.removesuffix(b"\r\n"), BODY.replace(b"K", b"k")):
        found = await judged(office, packed(body, block))
        assert (found.verdict, found.detail) == (Verdict.FAIL, "bad-signature")


@pytest.mark.parametrize("names", [("stc", "stranger"), ("stranger", "stc"), ("stc", "sgddt"), ("stc", "expired")])
async def test_several_signatures_in_one_block_never_pass(office: Bench, forge: Forge, names: tuple[str, ...]) -> None:
    blocks = b"".join(forge.gpg("--detach-sign", "-u", f"{forge.fingerprints[n]}!", *_old(n), data=BODY) for n in names)
    armored = subprocess.run(["gpg", "--enarmor"], input=blocks, capture_output=True, check=True).stdout
    armored = armored.replace(b"PGP ARMORED FILE", b"PGP SIGNATURE")
    found = await judged(office, packed(BODY, armored))
    assert (found.verdict, found.detail) == (Verdict.POLICY, "several-signatures")


def _old(name: str) -> tuple[str, ...]:
    return ("--faked-system-time", "20200201T000000") if name == "expired" else ()


async def test_a_weak_hash_does_not_pass(office: Bench, forge: Forge) -> None:
    found = await judged(office, packed(BODY, forge.sign(BODY, "stc", extra=("--digest-algo", "SHA1"))))
    assert (found.verdict, found.detail) == (Verdict.POLICY, "weak-algorithm")


async def test_an_expired_signature_does_not_pass(office: Bench, forge: Forge) -> None:
    extra = ("--faked-system-time", "20240701T000000", "--default-sig-expire", "1d")
    found = await judged(office, packed(BODY, forge.sign(BODY, "stc", extra=extra)))
    assert (found.verdict, found.detail) == (Verdict.POLICY, "expired-signature")


@pytest.mark.parametrize("kind", ["--clearsign", "--sign"])
async def test_a_signed_message_in_place_of_the_signature_does_not_pass(office: Bench, forge: Forge, kind: str) -> None:
    block = forge.gpg("--armor", kind, "-u", forge.fingerprints["stc"], data=BODY)
    found = await judged(office, packed(BODY, block))
    assert (found.verdict, found.detail) == (Verdict.PERMERROR, "malformed-signature")


async def test_a_signed_part_inside_other_parts_is_partial(office: Bench, forge: Forge) -> None:
    inner = packed(BODY, forge.sign(BODY, "stc"))
    head = inner.index(b"Content-Type: multipart/signed")
    raw = (
        b"From: vanthu.stc@hoabinh.gov.vn\r\nMessage-ID: <a@b>\r\nContent-Type: multipart/mixed; boundary=oo\r\n\r\n"
        b"--oo\r\n\r\nforged text\r\n--oo\r\n" + inner[head:] + b"\r\n--oo--\r\n"
    )
    found = await judged(office, raw)
    assert (found.verdict, found.detail) == (Verdict.PARTIAL, "partial-body")


async def test_two_authors_have_no_keyring(office: Bench, forge: Forge) -> None:
    raw = packed(BODY, forge.sign(BODY, "stc"), sender=b"vanthu.stc@hoabinh.gov.vn, x@evil.vn")
    assert (await judged(office, raw)).verdict is not Verdict.PASS


async def test_encrypted_and_inline(office: Bench) -> None:
    raw = (
        b"From: a@b.vn\r\nContent-Type: multipart/encrypted; protocol=application/pgp-encrypted; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--b--\r\n"
    )
    assert (await judged(office, raw)).detail == "encrypted"
    found = await judged(office, letter(body="-----BEGIN PGP SIGNED MESSAGE-----\nx\n").as_bytes())
    assert (found.verdict, found.detail) == (Verdict.PERMERROR, "malformed-signature")
    html = b"From: a@b.vn\r\nContent-Type: text/html\r\n\r\n<pre>-----BEGIN PGP SIGNED MESSAGE-----</pre>\r\n"
    found = await judged(office, html)
    assert (found.verdict, found.detail, found.facts["reason"]) == (Verdict.NEUTRAL, "not-inspectable", "inline")


async def test_verifying_leaves_no_agent_and_touches_no_keyring(office: Bench, forge: Forge) -> None:
    ring = forge.rings / "stc"
    subprocess.run(["gpgconf", "--homedir", str(ring), "--kill", "all"], check=True)  # the import had started one
    before = sorted(path.name for path in ring.iterdir())
    await judged(office, packed(BODY, forge.sign(BODY, "stc")))
    assert sorted(path.name for path in ring.iterdir()) == before
    assert not _agents(str(ring))


def _agents(home: str) -> list[str]:
    lines = (
        path.read_bytes().decode("utf-8", "replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    )
    return [line for line in lines if "gpg-agent" in line and home in line]
