"""Mails, directories and inspectors for the tests of the inspection room."""

from __future__ import annotations

import email.policy
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
import pytest_asyncio

from mailrelay.inspection.dns import TxtAnswer
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from mailrelay.model.agency import Agency, Directory, Level, Mailbox, Role, Target, TargetKind
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.finding import Check, Findings
from mailrelay.model.identity import AgencyId, MailId
from mailrelay.model.message import Message

DOMAIN = "hoabinh.gov.vn"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for a file, so that its tests can share one inspector."""
    for item in items:
        if pytest_asyncio.is_async_test(item) and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


Examine = Callable[..., object]


def agency(name: str, title: str, symbol: str, **more: object) -> Agency:
    return Agency(AgencyId(name), title, Level.PROVINCE, symbol, **more)  # type: ignore[arg-type]


def mailbox(address: str, name: str, of: str, *, login: str = "", shared: bool = False) -> Mailbox:
    roles = frozenset((Role.CLERK,)) if shared else frozenset((Role.SPECIALIST,))
    return Mailbox(address, name, AgencyId(of), roles, Target(TargetKind.MAILDIR, "x"), login=login, shared=shared)


def province() -> Directory:
    return Directory(
        DOMAIN,
        agencies=(
            agency("stc", "Sở Tài chính", "STC", clerk=f"vanthu.stc@{DOMAIN}", aliases=("Sở Tài chính tỉnh Hòa Bình",)),
            agency("sgddt", "Sở Giáo dục và Đào tạo", "SGD&ĐT", clerk=f"vanthu.sgddt@{DOMAIN}"),
            agency(
                "ubnd",
                "Ủy ban nhân dân tỉnh Hòa Bình",
                "UBND",
                clerk=f"vanthu@{DOMAIN}",
                aliases=("UBND tỉnh Hòa Bình",),
            ),
        ),
        mailboxes=(
            mailbox(f"vanthu.stc@{DOMAIN}", "Văn thư Sở Tài chính", "stc", login="vanthu.stc", shared=True),
            mailbox(f"lan.stc@{DOMAIN}", "Nguyễn Thị Lan", "stc", login="lan.stc"),
            mailbox(f"vanthu.sgddt@{DOMAIN}", "Văn thư Sở GD&ĐT", "sgddt", login="vanthu.sgddt", shared=True),
            mailbox(f"vanthu@{DOMAIN}", "Văn thư UBND tỉnh", "ubnd", login="vanthu", shared=True),
        ),
    )


@pytest.fixture(scope="module")
def directory() -> Directory:
    return province()


def letter(
    *, sender: str = f"Văn thư Sở Tài chính <vanthu.stc@{DOMAIN}>", body: str = "Kính gửi các đơn vị.\n"
) -> EmailMessage:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = sender
    mail["To"] = f"UBND tỉnh <vanthu@{DOMAIN}>"
    mail["Subject"] = "Kế hoạch số 59/KH-UBND"
    mail["Message-ID"] = "<mot@hoabinh.gov.vn>"
    mail["Date"] = "Fri, 28 Jun 2013 08:00:00 +0700"
    mail.set_content(body)
    return mail


def with_file(data: bytes, filename: str, kind: str = "application/octet-stream") -> EmailMessage:
    mail = letter()
    maintype, _, subtype = kind.partition("/")
    mail.add_attachment(data, maintype=maintype, subtype=subtype, filename=filename)
    return mail


def envelope(
    sender: str = f"vanthu.stc@{DOMAIN}", login: str | None = "vanthu.stc", *, smtputf8: bool = False
) -> Envelope:
    door = Door.SUBMISSION if login else Door.MX
    return Envelope(sender, (Recipient(f"vanthu@{DOMAIN}"),), Origin(door, login=login), smtputf8=smtputf8)


class Records:
    """A zone as a callable: what is not in it does not exist; `asked` keeps the names in order."""

    def __init__(self, zone: Mapping[str, TxtAnswer] | None = None) -> None:
        self.zone = dict(zone or {})
        self.asked: list[str] = []

    async def __call__(self, name: str) -> TxtAnswer:
        self.asked.append(name)
        return self.zone.get(name.rstrip("."), TxtAnswer((), "none"))


class Bench:
    """A real Inspector with real worker processes."""

    def __init__(self, inspector: Inspector, records: Records, folder: Path, directory: Directory) -> None:
        self.inspector = inspector
        self.records = records
        self.folder = folder
        self.directory = directory

    async def examine(self, mail: bytes | EmailMessage, by: Envelope | None = None) -> Findings:
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        path = self.folder / "mail.eml"
        path.write_bytes(raw)
        message = Message(
            MailId("01J00000000000000000000000"),
            by or envelope(),
            hashlib.sha256(raw).hexdigest(),
            len(raw),
            datetime.now(UTC),
        )
        return await self.inspector.examine(message, path, self.directory)


def slugs(findings: Findings, check: Check) -> list[str]:
    return sorted(finding.detail for finding in findings.of(check))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> InspectionSettings:
    return InspectionSettings(
        authserv_id="relay.hoabinh.gov.vn", work_dir=tmp_path_factory.mktemp("work"), time_limit=10.0, dns_timeout=2.0
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    tmp_path_factory: pytest.TempPathFactory, settings: InspectionSettings, directory: Directory
) -> AsyncIterator[Bench]:
    """One inspector for all tests of a file; a test that kills its worker leaves the next one a new worker."""
    records = Records()
    inspector = Inspector(settings, txt=records)
    await inspector.start()
    yield Bench(inspector, records, tmp_path_factory.mktemp("mails"), directory)
    await inspector.close()
