"""The composition of mails: families of tricks that make two readers see two mails, and genuine mails of common programs."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage

import pytest

from mailrelay.inspection.dns import TxtAnswer
from mailrelay.model.finding import Check, Verdict
from tests.conformance.inspection.conftest import passes, wrong
from tests.inspection.conftest import Bench, envelope, letter, with_file
from tests.inspection.test_dkim import NAME, Key, signed

HEAD = b"From: lan.stc@hoabinh.gov.vn\r\nMessage-ID: <a@b>\r\nSubject: x\r\nDate: Fri, 28 Jun 2013 08:00:00 +0700\r\nTo: a@b.vn\r\n"
TEXT = b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nKinh gui.\r\n"
MIXED = HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n%s"
CHECKS = (Check.STRUCTURE, Check.SENDER, Check.DKIM)


def twice(name: bytes, value: bytes) -> bytes:
    return HEAD + name + b": " + value + b"\r\n" + name + b": other\r\n" + TEXT


def author(value: bytes) -> bytes:
    return HEAD.replace(b"From: lan.stc@hoabinh.gov.vn", b"From: " + value) + TEXT


FAMILIES: dict[str, list[bytes]] = {
    "a field that stands twice": [
        twice(name, b"a@b.vn") for name in (b"Subject", b"Date", b"To", b"Reply-To", b"Message-ID", b"Cc")
    ],
    "two structures": [
        HEAD + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n",
        HEAD + b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n" + TEXT,
        HEAD + b"MIME-Version: 1.0\r\n" + TEXT,
        MIXED % (b"b", b"--b\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n--b--\r\n"),
    ],
    "several authors": [
        author(b"lan.stc@hoabinh.gov.vn, x@evil.vn"),
        author(b"x@evil.vn\r\nFrom: lan.stc@hoabinh.gov.vn"),
        author(b"lan.stc@hoabinh.gov.vn\r\nfrom : x@evil.vn"),
        author(b"G: lan.stc@hoabinh.gov.vn, x@evil.vn;"),
        author(b"lan.stc@hoabinh.gov.vn x@evil.vn, "),
    ],
    "no author": [
        author(b""),
        author(b"<>"),
        author(b"undisclosed:;"),
        author(b"(lan.stc@hoabinh.gov.vn)"),
        HEAD[HEAD.index(b"\r\n") + 2 :] + TEXT,
    ],
    "an author who imitates": [
        author(b'"vanthu@hoabinh.gov.vn" <x@evil.vn>'),
        author("Sở Tài chính <x@evil.vn>".encode()),
        author(b"=?utf-8?q?S=E1=BB=9F_T=C3=A0i_ch=C3=ADnh?= <x@evil.vn>"),
        author(b"lan@hoabinh.gov.vn.evil.com"),
        author(b"lan@hoablnh.gov.vn"),
        author(b"=?utf-8?q?lan.stc=40hoabinh.gov.vn?= <x@evil.vn>"),
    ],
    "another's address": [
        author(b"vanthu@hoabinh.gov.vn"),
        author(b"Lan <vanthu@hoabinh.gov.vn>"),
        author(b"<@lan.stc@hoabinh.gov.vn:vanthu@hoabinh.gov.vn>"),
        author(b"lan.stc@hoabinh.gov.vn <vanthu@hoabinh.gov.vn>"),
    ],
    "lines that are no fields": [
        HEAD + b"this is no field\r\n" + TEXT,
        HEAD + b": no name\r\n" + TEXT,
        HEAD + b"X Y: blank in the name\r\n" + TEXT,
        HEAD + "Tiêu đề: x\r\n".encode() + TEXT,
    ],
    "a line that ends for some readers": [
        HEAD + b"X-A: b\rFrom: x@evil.vn\r\n" + TEXT,
        HEAD.replace(b"Subject: x\r\n", b"Subject: x\r\rKinh gui\r\n") + TEXT,
        HEAD.replace(b"Subject: x\r\n", b"Subject: x\r\r\n") + TEXT,
        author(b"lan.stc@hoabinh.gov.vn\rReply-To: x@evil.vn"),
    ],
    "two borders": [
        MIXED % (b"a; boundary=b", b"--b\r\n\r\none\r\n--b--\r\n--a\r\n\r\ntwo\r\n--a--\r\n"),
        MIXED % (b"a; BOUNDARY=b", b"--a\r\n\r\ntwo\r\n--a--\r\n"),
        MIXED % (b"a; boundary*=utf-8''b", b"--a\r\n\r\ntwo\r\n--a--\r\n"),
        MIXED % (b"a; boundary*0=b; boundary*1=c", b"--a\r\n\r\ntwo\r\n--a--\r\n"),
    ],
    "borders that deceive": [
        MIXED % (b"b", b"--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\nhidden\r\n--b--\r\n"),
        MIXED % (b"b", b"--b\r\n\r\none"),
        MIXED % (b"b", b"no border at all\r\n"),
        MIXED % (b'""', b"--\r\n\r\nx\r\n----\r\n"),
        HEAD + b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        HEAD
        + b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
    ],
    "encodings that deceive": [
        HEAD + b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD=QUJD\r\n",
        HEAD + b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==QQ==\r\n",
        HEAD + b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJDQ\r\n",
        HEAD + b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: x-my-own\r\n\r\nx\r\n",
    ],
    "mail in pieces or elsewhere": [
        HEAD + b"Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nx\r\n",
        HEAD + b"Content-Type: message/external-body; access-type=URL; URL=x\r\n\r\nx\r\n",
        MIXED % (b"b", b"--b\r\nContent-Type: message/partial; id=a\r\n\r\nx\r\n--b--\r\n"),
        HEAD + TEXT + b"begin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n",
    ],
}


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_trick_goes_unsaid(office: Bench, family: str, number: int) -> None:
    found = await office.examine(FAMILIES[family][number], envelope("lan.stc@hoabinh.gov.vn", "lan.stc"))
    assert wrong(found, *CHECKS), family


OURS, THEIRS = b"lan.stc@hoabinh.gov.vn", b"x@evil.vn"
# One field and, to some readers, one author; which of two addresses it is differs from reader to reader.
TWO_IN_ONE = [
    b"<" + THEIRS + b"> <" + OURS + b">",
    b"<" + OURS + b"> <" + THEIRS + b">",
    b"Lan <" + THEIRS + b"> Lan <" + OURS + b">",
    THEIRS + b" " + OURS,
    b"<" + OURS + b">" + THEIRS,
    THEIRS + b": " + OURS,
    THEIRS + b": " + OURS + b";",
    b"<" + THEIRS + b" <" + OURS + b">>",
    b"<" + THEIRS + b"," + OURS + b">",
    b"<" + THEIRS + b"\r\n\t" + OURS + b">",
]


@pytest.mark.parametrize("value", TWO_IN_ONE)
async def test_two_addresses_are_never_read_as_one_author(office: Bench, value: bytes) -> None:
    found = await office.examine(author(value), envelope("lan.stc@hoabinh.gov.vn", "lan.stc"))
    assert "two-from" in {f.detail for f in found.of(Check.STRUCTURE)}


@pytest.mark.parametrize(
    "value",
    [
        OURS,
        b"Lan <" + OURS + b">",
        b"<" + OURS + b"> (Lan, STC)",
        b'"Lan <x>" <' + OURS + b">",
        b"<@a.vn,@b.vn:" + OURS + b">",
        b"Lan (x@evil.vn) <" + OURS + b">",
    ],
)
async def test_one_author_is_one(office: Bench, value: bytes) -> None:
    found = await office.examine(author(value), envelope("lan.stc@hoabinh.gov.vn", "lan.stc"))
    assert not {"two-from", "no-from"} & {f.detail for f in found.of(Check.STRUCTURE)}
    assert len(found.content.senders) == 1


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


SIGNED_TRICKS = {
    "a second field on top": [
        b"%s: forged\r\n" % name for name in (b"Subject", b"Date", b"To", b"Content-Type", b"Message-ID")
    ],
    "a second author": [
        b"From: x@evil.vn\r\n",
        b"from: x@evil.vn\r\n",
        b"FROM : x@evil.vn\r\n",
        b"From:\r\n\tx@evil.vn\r\n",
    ],
}


@pytest.mark.parametrize(
    ("family", "number"), [(f, n) for f, lines in SIGNED_TRICKS.items() for n in range(len(lines))]
)
async def test_dkim_is_not_lent_to_what_it_does_not_cover(office: Bench, key: Key, family: str, number: int) -> None:
    office.records.zone[NAME] = TxtAnswer((key.record,), "ok")
    office.inspector._bench.txt.zone[NAME] = TxtAnswer((key.record,), "ok")  # type: ignore[attr-defined]
    genuine = signed(key)
    assert passes(await office.examine(genuine), Check.DKIM)
    line = SIGNED_TRICKS[family][number]
    for raw in (line + genuine, genuine.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n", 1)):
        assert passes(await office.examine(raw), Check.DKIM) == []


@pytest.mark.parametrize("length", [0, 1, 10, 20])
async def test_a_body_signed_in_part_is_partial(office: Bench, key: Key, length: int) -> None:
    office.inspector._bench.txt.zone[NAME] = TxtAnswer((key.record,), "ok")  # type: ignore[attr-defined]
    raw = signed(key, length=True)
    longer = raw + b"x" * (length + 1) + b"\r\n"
    (finding,) = (await office.examine(longer)).of(Check.DKIM)
    assert finding.verdict is Verdict.PARTIAL


def outlook() -> bytes:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = '"Nguyễn Thị Lan" <lan.stc@hoabinh.gov.vn>'
    mail["To"] = "undisclosed-recipients:;"
    mail["Subject"] = (
        "V/v báo cáo tình hình thực hiện kế hoạch năm 2013 của các sở, ban, ngành và ủy ban nhân dân các huyện"
    )
    mail["Message-ID"] = "<000001ce73b2$5a3b1c10$0eb15430$@hoabinh.gov.vn>"
    mail["Date"] = "Fri, 28 Jun 2013 08:00:00 +0700"
    mail.set_content("Kính gửi các đồng chí.\n")
    mail.add_alternative("<html><body><p>Kính gửi các đồng chí.</p></body></html>", subtype="html")
    mail.add_attachment(b"%PDF-1.4\n", maintype="application", subtype="pdf", filename="Báo cáo số 15-BC-STC.pdf")
    return mail.as_bytes()


GENUINE = [
    HEAD + TEXT,
    outlook(),
    letter(sender="Lan <lan.stc@hoabinh.gov.vn>").as_bytes(),
    with_file(b"%PDF-1.4\n", "a.pdf", "application/pdf").as_bytes().replace(b"vanthu.stc@", b"lan.stc@"),
    MIXED % (b"b", b"This is a multi-part message.\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"),
    MIXED % (b'"=_b 1"', b"--=_b 1\r\nContent-Type: text/plain\r\n\r\nx\r\n--=_b 1--\r\n\r\n"),
]


@pytest.mark.parametrize("number", range(len(GENUINE)))
async def test_genuine_mails_are_left_alone(office: Bench, number: int) -> None:
    found = await office.examine(GENUINE[number], envelope("lan.stc@hoabinh.gov.vn", "lan.stc"))
    assert wrong(found, *CHECKS) == []


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 9
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
