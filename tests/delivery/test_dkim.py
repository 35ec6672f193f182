"""DKIM signatures, judged by two other implementations: dkimpy, and Mail::DKIM where it is installed."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.delivery.canonical import RelaxedBody
from mailrelay.delivery.content import blocks
from mailrelay.delivery.dkim import OVERSIGNED, Signer, SigningKey, UnfitKey
from mailrelay.model.message import Rendering

NOW = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
MAIL = (
    b"From: =?utf-8?q?V=C4=83n_th=C6=B0?= <vanthu@hoabinh.gov.vn>\r\n"
    b"to:  a@example.vn,\r\n\t b@example.vn \r\n"
    b"Subject: 59/KH-UBND\r\n"
    b"Date: Wed, 04 Mar 2026 10:00:00 +0700\r\n"
    b"Message-ID: <1@hoabinh.gov.vn>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
    b"\r\n"
    b"K\xc3\xadnh g\xe1\xbb\xadi  \t c\xc6\xa1 quan \r\n\t\r\n.d\xc3\xb2ng\r\n\r\n \r\n"
)


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


RSA = SigningKey.from_pem("rsa1", pem(rsa.generate_private_key(65537, 2048)))
ED25519 = SigningKey.from_pem("ed1", pem(ed25519.Ed25519PrivateKey.generate()))
SIGNER = Signer("hoabinh.gov.vn", [RSA, ED25519], now=lambda: NOW)


def lookup(name: bytes, timeout: int = 5) -> bytes:
    return {
        b"rsa1._domainkey.hoabinh.gov.vn.": RSA.record.encode(),
        b"ed1._domainkey.hoabinh.gov.vn.": ED25519.record.encode(),
    }[name]


def verdicts(mail: bytes) -> list[bool]:
    return [is_valid(mail, index) for index in range(2)]


def is_valid(mail: bytes, index: int) -> bool:
    try:
        return bool(dkim.DKIM(mail, minkey=2048).verify(idx=index, dnsfunc=lookup))
    except dkim.ValidationError:
        return False


def test_dkimpy_verifies_both() -> None:
    fields = SIGNER.sign(MAIL)
    assert fields.count(b"DKIM-Signature: ") == 2
    assert all(len(line) <= 78 for line in fields.split(b"\r\n"))
    assert b"a=rsa-sha256" in fields and b"a=ed25519-sha256" in fields and b"t=1772593200;" in fields
    assert verdicts(fields + MAIL) == [True, True]


@pytest.mark.parametrize(
    "body", [b"", b"\r\n", b"\r\n\r\n", b"a", b" \r\n", b"\ta \r\n", b"\r\na\r\n\r\n", b"a\r\n \r\n\t\r\n"]
)
def test_odd_bodies(body: bytes) -> None:
    mail = MAIL[: MAIL.index(b"\r\n\r\n") + 4] + body
    assert verdicts(SIGNER.sign(mail) + mail) == [True, True]


def test_a_header_without_a_body() -> None:
    mail = b"From: a@hoabinh.gov.vn\r\nSubject: x\r\n"
    assert verdicts(SIGNER.sign(mail) + mail) == [True, True]


@pytest.mark.parametrize("name", [name.decode() for name in OVERSIGNED])
def test_nobody_can_add_a_field(name: str) -> None:
    signed = SIGNER.sign(MAIL) + MAIL
    added = f"{name}: other\r\n".encode()
    assert verdicts(added + signed) == [False, False]
    at = signed.index(b"\r\n\r\n") + 2
    assert verdicts(signed[:at] + added + signed[at:]) == [False, False]


def test_changes_are_seen() -> None:
    signed = SIGNER.sign(MAIL) + MAIL
    assert verdicts(signed.replace(b"59/KH", b"95/KH")) == [False, False]
    assert verdicts(signed.replace(b"quan", b"quen")) == [False, False]
    assert verdicts(signed + b"more\r\n") == [False, False]
    assert verdicts(b"Received: by somebody\r\n" + signed) == [True, True]


def test_repeated_fields_are_signed_from_the_bottom() -> None:
    mail = b"Sender: a@hoabinh.gov.vn\r\nReferences: <1@x>\r\nreferences: <2@x>\r\n" + MAIL
    assert verdicts(SIGNER.sign(mail) + mail) == [True, True]


def test_signs_what_is_sent_on(tmp_path: Path) -> None:
    start, end = 0, len(b"Authentication-Results: hoabinh.gov.vn; none\r\n")
    path = tmp_path / "mail.eml"
    path.write_bytes(b"Authentication-Results: hoabinh.gov.vn; none\r\n" + MAIL + b"x" * 700_000 + b"\r\n")
    rendering = Rendering(b"Received: here\r\nReply-To: a@hoabinh.gov.vn\r\n", ((start, end),))
    sent = b"".join(blocks(path, rendering))
    assert SIGNER.sign(path, rendering) == SIGNER.sign(path.read_bytes(), rendering)
    assert verdicts(SIGNER.sign(path, rendering) + sent) == [True, True]


PIECES = st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"  ", b"a", b"bc", b".", b"\r", b"\n"]), max_size=30)


@settings(max_examples=300)
@given(PIECES, st.lists(st.integers(0, 60), max_size=5))
def test_body_hash_is_the_same_for_every_cut(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    whole = body if body.endswith(b"\r\n") or not body else body + b"\r\n"  # as it is sent
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    relaxed = RelaxedBody()
    for start, end in itertools.pairwise(edges):
        relaxed.update(body[start:end])
    expected = Relaxed.canonicalize_body(whole)
    assert relaxed.digest() == hashlib.sha256(expected).digest()


def test_unfit_keys() -> None:
    for bad in (b"", b"no key", pem(rsa.generate_private_key(65537, 1024))):
        with pytest.raises(UnfitKey):
            SigningKey.from_pem("s", bad)


PERL = """
use Mail::DKIM::Verifier; use Mail::DKIM::PublicKey; no warnings 'redefine';
my %records = @ARGV;
*Mail::DKIM::PublicKey::fetch_async = sub {
    my ($class, %prms) = @_;
    my $key = Mail::DKIM::PublicKey->parse($records{$prms{Selector}});
    $key->{Selector} = $prms{Selector}; $key->{Domain} = $prms{Domain};
    $key->check;
    my $answer = $prms{Callbacks}{Success}->($key);
    return sub { return $answer };
};
my $dkim = Mail::DKIM::Verifier->new();
binmode STDIN; local $/; $dkim->PRINT(<STDIN>); $dkim->CLOSE;
print join(' ', map { $_->algorithm . '=' . $_->result } $dkim->signatures), "\\n";
"""


def test_mail_dkim_verifies() -> None:
    if shutil.which("perl") is None or subprocess.run(["perl", "-MMail::DKIM", "-e1"], capture_output=True).returncode:
        pytest.skip("Mail::DKIM (libmail-dkim-perl) is not installed")
    signed = SIGNER.sign(MAIL) + MAIL
    command = ["perl", "-e", PERL, "rsa1", RSA.record, "ed1", ED25519.record]
    done = subprocess.run(command, input=signed, capture_output=True, check=True)
    words = done.stdout.decode().split()
    assert "rsa-sha256=pass" in words
    # Older versions do not know Ed25519 and say so; none may call it false.
    assert all(word.endswith(("=pass", "=invalid")) for word in words)
