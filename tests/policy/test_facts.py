"""The facts that are collected are exactly those of the table, and say what is true."""

from __future__ import annotations

from mailrelay.inspection.slugs import SLUGS as FOUND_BY_INSPECTION
from mailrelay.model.document import MessageClass, Recognition
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.fact import ACTION_FACT, FACTS, RECIPIENT_FACTS, SLUGS, Form
from mailrelay.model.finding import Check, Finding, Findings, Verdict
from mailrelay.model.message import Address, Attachment, Content
from mailrelay.policy.facts import MailFacts, of_mail, of_recipient
from tests.province import DIRECTORY, DOMAIN, a_content, an_envelope, at

LETTER = Recognition(MessageClass.LETTER)


def facts_of(envelope: Envelope, content: Content | None = None, *findings: Finding) -> MailFacts:
    recipients = [recipient.address for recipient in envelope.recipients]
    return of_mail(DIRECTORY, envelope, recipients, Findings(content or a_content(), findings), LETTER)


def test_the_table_and_the_collection_agree() -> None:
    mail = facts_of(an_envelope())
    one = of_recipient(DIRECTORY, at("sotc"), mail)
    assert set(mail.values) | set(one) | {ACTION_FACT} == set(FACTS)
    assert set(one) == RECIPIENT_FACTS
    types = {Form.FLAG: bool, Form.NUMBER: int, Form.SIZE: int, Form.WORD: str, Form.WORDS: tuple}
    for name, value in {**mail.values, **one}.items():
        assert isinstance(value, types[FACTS[name].form]), name


def test_every_slug_of_inspection_can_be_used_in_a_rule() -> None:
    for check, slugs in FOUND_BY_INSPECTION.items():
        assert set(slugs) == set(SLUGS[check]), check


def test_who_sent_it() -> None:
    values = facts_of(an_envelope("sotc")).values
    assert values["authenticated"] and values["sender_is_own"] and values["sender_exists"]
    assert (values["sender_agency"], values["sender_role"]) == ("H28.02", ("clerk",))
    stranger = facts_of(an_envelope("a@la.vn", login=None, door=Door.MX), a_content(sender="a@la.vn")).values
    assert not any(stranger[name] for name in ("authenticated", "sender_is_local", "sender_exists", "from_is_local"))
    assert stranger["from_matches_sender"] and stranger["sender_agency"] == ""


def test_the_null_sender_belongs_to_nobody() -> None:
    envelope = Envelope("", (Recipient(at("sotc")),), Origin(Door.MX))
    values = facts_of(envelope, Content()).values
    assert values["sender_is_null"] and not values["sender_is_local"]
    assert (values["from_count"], values["from_is_own"], values["from_matches_sender"]) == (0, False, False)


def test_the_worst_finding_stands_for_its_check() -> None:
    good = Finding(Check.DKIM, Verdict.PASS, "mic.gov.vn", "good")
    bad = Finding(Check.DKIM, Verdict.FAIL, "khac.vn", "body-changed")
    values = facts_of(an_envelope(), None, good, bad).values
    assert values["dkim_verdict"] == "fail" and values["passed"] == ("dkim",)
    assert values["finding"] == ("dkim:good", "dkim:body-changed")
    assert facts_of(an_envelope(), None, good).values["dkim_verdict"] == "pass"
    assert facts_of(an_envelope()).values["dkim_verdict"] == "none"
    none = Finding(Check.DKIM, Verdict.NONE)
    assert facts_of(an_envelope(), None, good, none).values["dkim_verdict"] == "none"


def test_subjects_are_kept_by_what_was_found() -> None:
    mail = facts_of(an_envelope(), None, Finding(Check.NAME, Verdict.FAIL, "a.pdf.exe", "double-extension"))
    assert mail.subjects[("finding", "name:double-extension")] == ("a.pdf.exe",)
    assert mail.subjects[("name_verdict", "fail")] == ("a.pdf.exe",)


def test_recipients() -> None:
    mail = facts_of(an_envelope("annv"))
    own = of_recipient(DIRECTORY, at("SOTC"), mail)
    assert own["same_agency"] and own["recipient_role"] == ("clerk",) and own["recipient"] == f"sotc@{DOMAIN}"
    outside = of_recipient(DIRECTORY, "a@la.vn", mail)
    assert outside["recipient_exists"] and not outside["recipient_is_local"] and not outside["same_agency"]
    unknown = of_recipient(DIRECTORY, at("khongco"), mail)
    assert not unknown["recipient_exists"]


def test_extensions_of_every_variant_of_a_name() -> None:
    file = Attachment("a.PDF", ("a.PDF", "a.pdf.EXE. ", "khong-duoi"), "", "application/pdf", 2_000, "", "2")
    content = Content(senders=(Address("", at("sotc")),), attachments=(file,))
    values = facts_of(an_envelope("sotc"), content).values
    assert values["attachment_extension"] == ("pdf", "exe")
    assert (values["attachment_count"], values["attachment_size"], values["largest_attachment"]) == (1, 2_000, 2_000)
