"""The shipped rules over whole mails: one decision per recipient, reasons in words, never an exception."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrelay.config import load_directory, load_rulebook, shipped_dir
from mailrelay.model.agency import Directory
from mailrelay.model.decision import Action, Decision
from mailrelay.model.document import Document, DocumentCode, Kind, MessageClass, Recognition, Secrecy, Urgency
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.fact import OBLIGATIONS
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from mailrelay.model.message import Address, Attachment, Content
from mailrelay.model.refusal import REFUSALS
from mailrelay.model.rule import RuleBook
from mailrelay.policy.judge import UNDECIDED, judge

DIRECTORY = load_directory(shipped_dir())
RULEBOOK = load_rulebook(shipped_dir())
PERSON = next(box for box in DIRECTORY.mailboxes if box.login and box.agency == "sotc" and box.login != "sotc")
DOCUMENT = Document(code=DocumentCode("59", "KH-UBND"), kind=Kind.OTHER, type="KH")


def at(local: str) -> str:
    return local if "@" in local or not local else f"{local}@hoabinh.gov.vn"


def a_file(name: str) -> Attachment:
    return Attachment(name, (name,), "application/pdf", "application/pdf", 1000, "0" * 64, "2")


def decide(
    *findings: tuple[Check, str] | Finding,
    sender: str = "sotc",
    to: Sequence[str] = ("sokhdt",),
    login: str | None = "",
    door: Door = Door.SUBMISSION,
    message_class: MessageClass = MessageClass.DOCUMENT,
    document: Document | None = DOCUMENT,
    author: str | None = None,
    subject: str = "",
    files: Sequence[str] = (),
    rulebook: RuleBook = RULEBOOK,
    directory: Directory = DIRECTORY,
) -> Decision:
    login = sender if login == "" else login
    envelope = Envelope(at(sender), tuple(Recipient(at(a)) for a in to), Origin(door, login=login))
    content = Content(
        subject=subject,
        senders=(Address("", at(sender if author is None else author)),),
        attachments=tuple(a_file(name) for name in files),
    )
    found = tuple(
        f if isinstance(f, Finding) else Finding(f[0], Verdict.FAIL, files[0] if files else "", f[1]) for f in findings
    )
    recognition = Recognition(message_class, document if message_class is not MessageClass.LETTER else None)
    return judge(rulebook, directory, envelope, [at(a) for a in to], Findings(content, found), recognition)


def test_a_document_goes_to_the_registry_with_receipts() -> None:
    decision = decide()
    (one,) = decision.recipients
    assert one.action is Action.RELAY
    assert one.rules == ("document-to-clerk", "receipts-of-document", "notice-to-registry")
    assert [reason.vi for reason in one.reasons] == [
        "Văn bản được chuyển tới văn thư Sở Kế hoạch và Đầu tư để kiểm tra và vào sổ văn bản đến."
    ]
    assert {"receipt:sent", "receipt:incoming", "receipt:tracking"} <= set(one.obligations)
    assert (decision.rulebook_digest, decision.directory_digest) == (RULEBOOK.digest, DIRECTORY.digest)


def test_each_recipient_has_its_own_decision_in_order() -> None:
    decision = decide(to=("sokhdt", "khongco", "vanthu@mic.gov.vn", PERSON.address))
    assert [(r.recipient, r.action) for r in decision.recipients] == [
        (at("sokhdt"), Action.RELAY),
        (at("khongco"), Action.RETURN),
        ("vanthu@mic.gov.vn", Action.RELAY),
        (PERSON.address, Action.RELAY),
    ]
    assert decision.recipients[1].refusal == "no-such-recipient"
    assert decision.recipients[3].rules[0] == "document-within-agency"


def test_a_disguised_program_is_returned_to_a_clerk_and_refused_to_a_stranger() -> None:
    found = (Check.NAME, "double-extension")
    (one,) = decide(found, files=("báo cáo.pdf.exe",)).recipients
    assert (one.action, one.refusal) == (Action.RETURN, "dangerous-attachment")
    assert "báo cáo.pdf.exe" in one.reasons[-1].vi and one.reasons[-1].remedy_vi
    assert one.reasons[-1].matched == (("finding", "name:double-extension"),)
    assert "receipt:returned" in one.obligations and "receipt:sent" not in one.obligations
    (one,) = decide(found, files=("x.pdf.exe",), sender="a@la.vn", login=None, door=Door.MX).recipients
    assert (one.action, one.refusal) == (Action.REJECT, "dangerous-attachment")
    assert not any(obligation.startswith("receipt:") for obligation in one.obligations)


@pytest.mark.parametrize("secrecy", [Secrecy.CONFIDENTIAL, Secrecy.SECRET, Secrecy.TOP_SECRET])
@pytest.mark.parametrize("message_class", list(MessageClass))
def test_a_secrecy_mark_is_refused_whatever_else_is_true(secrecy: Secrecy, message_class: MessageClass) -> None:
    mark = Finding(Check.SECRECY, Verdict.FAIL, "", secrecy.value.replace("_", "-"))
    strange = Finding(Check.PDF, Verdict.FAIL, "tệp mật.pdf", "broken")
    for login, door, sender in product(("sotc", None), Door, ("sotc", "a@la.vn")):
        decision = decide(
            mark, strange, login=login, door=door, sender=sender, message_class=message_class, files=("tệp mật.pdf",)
        )
        (one,) = decision.recipients
        assert one.action is Action.REJECT
        assert "secret-mark" in one.rules
        assert {"alert:security", "forget-content"} <= set(one.obligations)
        of_mark = next(reason for reason in one.reasons if reason.rule_id == "secret-mark")
        assert "tệp mật" not in of_mark.vi + of_mark.remedy_vi + of_mark.en


def test_broken_integrity_is_held_but_never_an_unknown_or_expired_signature() -> None:
    for check, detail in (
        (Check.PDF, "modified-after-signing"),
        (Check.PDF, "broken"),
        (Check.OPENPGP, "bad-signature"),
    ):
        for message_class in (MessageClass.DOCUMENT, MessageClass.EXCHANGE, MessageClass.LETTER):
            assert decide((check, detail), message_class=message_class).action is Action.HOLD, detail
    harmless = [(Check.PDF, d) for d in ("untrusted", "expired", "weak-algorithm", "unsigned", "person", "encrypted")]
    harmless += [(Check.OPENPGP, d) for d in ("unknown-key", "expired-key", "expired-signature", "encrypted")]
    for found in harmless:
        assert decide(found).action is Action.RELAY, found


def test_strangers_cannot_pose_as_the_province() -> None:
    by_envelope = decide(sender="sotc", login=None, door=Door.MX)
    by_author = decide(sender="x@la.vn", author="sotc", login=None, door=Door.MX)
    for decision in (by_envelope, by_author):
        assert decision.action is Action.REJECT
        assert decision.recipients[0].refusal == "local-sender-without-login"
    proved = Finding(Check.DMARC, Verdict.PASS, "hoabinh.gov.vn")
    assert decide(proved, sender="x@la.vn", author="sotc", login=None, door=Door.MX).action is Action.RELAY


def test_no_open_relay() -> None:
    decision = decide(sender="x@la.vn", login=None, door=Door.MX, to=("y@khac.vn",), message_class=MessageClass.LETTER)
    assert decision.recipients[0].refusal == "relay-denied"


def test_a_login_sends_as_itself_and_its_agency_only() -> None:
    login = PERSON.login
    assert decide(sender=PERSON.address, login=login).action is Action.RELAY
    assert decide(sender="sotc", login=login).action is Action.RELAY  # the registry box of its own agency
    other = decide(sender="sokhdt", login=login)
    assert (other.action, other.recipients[0].refusal) == (Action.REJECT, "sender-not-owned")
    forged = decide(sender="sotc", author="ubndtinh", login=login)
    assert (forged.action, forged.recipients[0].rules[0]) == (Action.RETURN, "author-not-own")


def test_the_registry_of_the_office_sends_for_the_province() -> None:
    decision = decide(sender="ubndtinh", login="vpubnd", to=("sotc",))
    assert decision.action is Action.RELAY


def test_internal_circulation_does_not_leave_the_province() -> None:
    decision = decide(subject="[LƯU HÀNH NỘI BỘ] 12/BC-STC", to=("sokhdt", "a@bo.gov.vn"))
    assert [r.action for r in decision.recipients] == [Action.RELAY, Action.RETURN]


def test_letters_pass_untouched_without_receipts_of_success() -> None:
    (one,) = decide(message_class=MessageClass.LETTER, sender=PERSON.address, login=PERSON.login).recipients
    assert one.action is Action.RELAY
    assert set(one.obligations) == {"receipt:failed", "receipt:dsn"}


def test_aliases_and_logins_in_any_case() -> None:
    assert decide(sender="Vanthu.SoTC", login="SOTC").action is Action.RELAY


def test_the_owner_of_a_drop_folder_needs_no_login_of_its_own() -> None:
    boxes = tuple(
        replace(box, login="", password=None) if box.login == "caophong" else box for box in DIRECTORY.mailboxes
    )
    directory = replace(DIRECTORY, mailboxes=boxes)
    owner = at("caophong")
    decision = decide(sender=owner, login=owner, door=Door.IMAP, directory=directory)
    assert decision.action is Action.RELAY


def test_without_rules_a_person_decides() -> None:
    (one,) = decide(rulebook=RuleBook(())).recipients
    assert (one.action, one.reasons) == (Action.HOLD, (UNDECIDED,))
    disabled = tuple(replace(rule, enabled=False) for rule in RULEBOOK.rules)
    assert decide(rulebook=RuleBook(disabled)).action is Action.HOLD


def test_no_recipients_no_decisions() -> None:
    assert decide(to=()).recipients == ()


def test_the_last_reason_is_the_strongest() -> None:
    (one,) = decide((Check.PDF, "untrusted"), (Check.ARCHIVE, "encrypted"), files=("a.zip",)).recipients
    assert one.action is Action.HOLD
    assert one.reasons[-1].rule_id == "locked-file"
    said = {reason.rule_id for reason in one.reasons}
    assert "doubtful-signature" in said  # what the receiver is warned of stays true
    assert "document-to-clerk" not in said  # "is carried to the registry" does not


def test_hostile_names_are_made_legible() -> None:
    name = "hóa đơn\u202e\r\nX-Injected: 1 \x00" + "a" * 300 + "{recipient}.exe"
    (one,) = decide((Check.NAME, "double-extension"), files=(name,)).recipients
    sentence = one.reasons[-1].vi
    assert sentence.isprintable() and len(sentence) < 250
    assert at("sokhdt") not in sentence


_FINDINGS = st.builds(
    Finding,
    st.sampled_from(list(Check)),
    st.sampled_from(list(Verdict)),
    st.text(max_size=12),
    st.sampled_from(
        ["", "good", "malware", "broken", "double-extension", "executable", "top-secret", "two-from", "khác"]
    ),
)
_ADDRESSES = st.sampled_from(
    [
        "",
        "sotc",
        "ubndtinh",
        "khongco",
        "postmaster",
        "stc",
        "a@la.vn",
        "@",
        "a@",
        PERSON.address,
        "SOTC@HOABINH.GOV.VN",
        "ạ@x",
    ]
)
_DOCUMENTS = st.one_of(
    st.none(),
    st.builds(
        Document,
        code=st.one_of(st.none(), st.builds(DocumentCode, st.text(max_size=5), st.text(max_size=8))),
        kind=st.sampled_from(list(Kind)),
        type=st.sampled_from(["", "KH", "QyĐ"]),
        urgency=st.sampled_from(list(Urgency)),
        secrecy=st.sampled_from(list(Secrecy)),
        paper=st.booleans(),
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_judgement_is_total_with_exactly_one_decision_for_each_recipient(data: st.DataObject) -> None:
    recipients = data.draw(st.lists(_ADDRESSES.map(at), max_size=4))
    senders = data.draw(st.lists(st.builds(Address, st.text(max_size=5), _ADDRESSES.map(at)), max_size=3))
    origin = Origin(
        data.draw(st.sampled_from(list(Door))),
        login=data.draw(st.one_of(st.none(), st.sampled_from(["sotc", "vpubnd", "ai-đó", PERSON.address]))),
        in_place=data.draw(st.booleans()),
    )
    envelope = Envelope(at(data.draw(_ADDRESSES)), tuple(map(Recipient, recipients)), origin)
    files = tuple(a_file(name) for name in data.draw(st.lists(st.text(max_size=10), max_size=2)))
    content = Content(
        subject=data.draw(st.text(max_size=20)),
        senders=tuple(senders),
        text=data.draw(st.text(max_size=30)),
        attachments=files,
    )
    findings = Findings(content, tuple(data.draw(st.lists(_FINDINGS, max_size=4))))
    recognition = Recognition(
        data.draw(st.sampled_from(list(MessageClass))), data.draw(_DOCUMENTS), ("number-missing",)
    )
    decision = judge(RULEBOOK, DIRECTORY, envelope, recipients, findings, recognition)
    assert [r.recipient for r in decision.recipients] == recipients
    for one in decision.recipients:
        assert one.rules and one.reasons
        assert (one.refusal in REFUSALS) == (one.action in (Action.REJECT, Action.RETURN))
        assert set(one.obligations) <= set(OBLIGATIONS)
        assert all(reason.vi.isprintable() and reason.en for reason in one.reasons)
    again = judge(RULEBOOK, DIRECTORY, envelope, recipients, findings, recognition)
    assert again == decision
