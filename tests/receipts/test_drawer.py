from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mailrelay.model.decision import Action, Decision, Reason, RecipientDecision
from mailrelay.model.dispatch import DispatchState, Result
from mailrelay.model.document import MessageClass, Secrecy
from mailrelay.model.entry import Book, EntryStatus, RegisterEntry
from mailrelay.model.envelope import Door, Envelope, Notify, Origin, Recipient
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.identity import AgencyId
from mailrelay.model.receipt import Receipt, ReceiptKind
from mailrelay.receipts import drawer
from tests.province import ARRIVED, DIRECTORY, DOMAIN, a_content, an_envelope, at
from tests.receipts import samples
from tests.receipts.office import MAIL_ID, SIGNED_AT, a_decision, a_dispatch, a_plan, a_record, an_outcome

WHY = Reason(
    "attachments.executable", "Tệp “bc.exe” là chương trình.", "bc.exe is a program.", "Gửi lại PDF.", "Send a PDF."
)
SIGNED = "2013-10-29T01:59:00+00:00"
EVERYONE = [f"co-quan-{number:02}@o-dau.gov.vn" for number in range(31)] + ["caophong", "dabac"]
MINISTRY = Envelope("vanthu@mic.gov.vn", (Recipient(at("sotttt")),), Origin(Door.MX, peer="203.0.113.5"))
SPF = Finding(Check.SPF, Verdict.PASS, "mic.gov.vn")


def kinds(receipts: tuple[Receipt, ...]) -> list[tuple[str, str]]:
    return [(receipt.kind.value, receipt.to) for receipt in receipts]


def accepted(*arguments: object, **named: object) -> tuple[Receipt, ...]:
    record, content, recognition = a_record(*arguments, **named)  # type: ignore[arg-type]
    return drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT)


def test_thirty_three_recipients_give_the_sender_one_confirmation_that_lists_them() -> None:
    (only,) = accepted(envelope=an_envelope(to=EVERYONE))
    assert (only.kind, only.to) == (ReceiptKind.SENT, at("vpubnd"))
    assert [one["address"] for one in only.facts["recipients"]] == [at(one) for one in EVERYONE]


def test_facts_are_plain_json_and_hold_what_the_system_understood() -> None:
    (only,) = accepted(
        findings=[
            Finding(Check.PDF, Verdict.PASS, "59_KH-UBND.pdf", "both", {"signer": "Bùi Văn Tỉnh", "signed_at": SIGNED})
        ]
    )
    facts = json.loads(json.dumps(only.facts))
    assert facts == only.facts
    assert facts["document"]["code"] == "59/KH-UBND" and facts["document"]["issued_on"] == "2013-10-28"
    assert facts["document"]["issuer_name"] == "UBND tỉnh Hòa Bình"
    (file,) = facts["files"]
    assert file["findings"][0]["detail"] == "both" and file["findings"][0]["signer"] == "Bùi Văn Tỉnh"
    assert file["findings"][0]["signed_at"] == "2013-10-29T08:59:00+07:00"
    assert facts["mail"]["received_at"] == "2013-10-29T09:05:00+07:00"


def test_the_same_event_gives_the_same_key_and_other_events_other_keys() -> None:
    first, again = accepted(), accepted()
    assert first[0].event_key == again[0].event_key
    record, *_ = a_record()
    pair = (a_dispatch("x@y.vn", DispatchState.FAILED, number=1), an_outcome(Result.FAILED, "5.1.1"))
    other = (a_dispatch("z@y.vn", DispatchState.FAILED, number=2), an_outcome(Result.FAILED, "5.1.1"))
    keys = [
        drawer.on_settled(record, batch, DIRECTORY, SIGNED_AT)[0].event_key
        for batch in ([pair], [other], [pair, other])
    ]
    assert len({first[0].event_key, *keys}) == 4


def test_each_outcome_has_its_own_notice_to_the_sender() -> None:
    mixed = a_decision({"sotc": Action.RELAY, "sokhdt": Action.RETURN, "dabac": Action.HOLD}, [WHY])
    sent, returned, held = accepted(decision=mixed, envelope=an_envelope("caophong"), content=a_plan(sender="caophong"))
    assert kinds((sent, returned, held)) == [
        ("sent", at("caophong")),
        ("returned", at("caophong")),
        ("held", at("caophong")),
    ]
    assert [one["address"] for one in sent.facts["recipients"]] == [at("sotc")]
    assert [one["address"] for one in returned.facts["recipients"]] == [at("sokhdt")]
    assert returned.facts["total"] == 3 and returned.facts["recipients"][0]["reasons"][0]["vi"] == WHY.vi


def test_of_the_reasons_only_those_count_that_decided_or_can_be_remedied() -> None:
    passing = Reason("routing.registry", "Chuyển văn thư kiểm tra.", "Goes to the registry.")
    other = Reason("attachments.macro", "Có macro.", "Macros.", "Bỏ macro.", "Remove them.")
    last = Reason("attachments.name", "Tên tệp che giấu loại thật.", "A hidden extension.")
    (returned,) = accepted(decision=a_decision({"sotc": Action.RETURN}, [passing, other, last]))
    assert [reason["rule"] for reason in returned.facts["recipients"][0]["reasons"]] == [other.rule_id, last.rule_id]


def test_when_all_is_returned_nothing_was_sent() -> None:
    assert kinds(accepted(decision=a_decision({"sotc": Action.RETURN}, [WHY]))) == [("returned", at("vpubnd"))]


def test_a_letter_causes_no_receipt_but_trouble() -> None:
    letter = a_content("Trưa nay ăn gì?", "Phở nhé.", sender="annv")
    envelope = an_envelope("annv", ("binhtt",))
    assert accepted(letter, envelope) == ()
    (returned,) = accepted(letter, envelope, a_decision({"binhtt": Action.RETURN}, [WHY]))
    assert returned.kind is ReceiptKind.RETURNED
    assert "Trưa" not in json.dumps(returned.facts, ensure_ascii=False) and "goc-1" not in json.dumps(returned.facts)


def test_no_confirmation_that_the_rules_do_not_owe() -> None:
    record, content, recognition = a_record()
    assert record.decision is not None
    bare = Decision(tuple(replace(one, obligations=()) for one in record.decision.recipients))
    assert drawer.on_accept(replace(record, decision=bare), content, recognition, DIRECTORY, (), SIGNED_AT) == ()


def test_automatic_mail_is_not_confirmed_but_its_trouble_is_told() -> None:
    automatic = a_plan(fields=(("auto-submitted", "auto-generated"),))
    assert accepted(automatic) == ()
    assert kinds(accepted(automatic, decision=a_decision({"sotc": Action.RETURN}, [WHY]))) == [
        ("returned", at("vpubnd"))
    ]


def test_never_a_notice_about_a_notice_or_to_nobody() -> None:
    record, content, recognition = a_record(decision=a_decision({"sotc": Action.RETURN}, [WHY]))
    own = replace(record, message_class=MessageClass.RECEIPT)
    failed = [(a_dispatch("sotc", DispatchState.FAILED), an_outcome(Result.FAILED, "5.1.1"))]
    assert drawer.on_accept(own, content, recognition, DIRECTORY, (), SIGNED_AT) == ()
    assert drawer.on_settled(own, failed, DIRECTORY, SIGNED_AT) == ()
    null = replace(record, message=replace(record.message, envelope=replace(record.message.envelope, sender="")))
    assert drawer.on_accept(null, content, recognition, DIRECTORY, (), SIGNED_AT) == ()
    assert drawer.on_settled(null, failed, DIRECTORY, SIGNED_AT) == ()


def test_a_mail_refused_behind_an_imap_drop_folder_is_told_by_mail() -> None:
    envelope = an_envelope(door=Door.IMAP)
    assert kinds(accepted(envelope=envelope, decision=a_decision({"sotc": Action.REJECT}, [WHY]))) == [
        ("returned", at("vpubnd"))
    ]
    assert accepted(decision=a_decision({"sotc": Action.REJECT}, [WHY])) == ()  # in the session the client was told


# Holds


def test_a_hold_is_told_to_sender_and_holder() -> None:
    one = a_content("12/BC-STC", "", ("x.pdf",), sender="annv")
    receipts = accepted(one, an_envelope("annv", ("sokhdt",)), a_decision({"sokhdt": Action.HOLD}, [WHY]))
    assert kinds(receipts) == [("held", at("sotc")), ("held", at("annv"))]
    assert [receipt.facts["to_holder"] for receipt in receipts] == [True, False]
    assert receipts[1].facts["holders"] == [
        {"address": at("sotc"), "name": "Văn thư Sở Tài chính", "agency": "Sở Tài chính"}
    ]


def test_the_receivers_registry_holds_outside_mail_and_the_stranger_is_not_told() -> None:
    decision = a_decision({"sotttt": Action.HOLD}, [WHY])
    content = a_content("12/CV-BTTTT", "", ("x.pdf",), sender="vanthu@mic.gov.vn")
    assert kinds(accepted(content, MINISTRY, decision, [SPF])) == [("held", at("sotttt"))]


def test_the_operator_holds_malware() -> None:
    found = Finding(Check.ANTIVIRUS, Verdict.FAIL, "x.pdf", "found")
    receipts = accepted(decision=a_decision({"sotc": Action.HOLD}, [WHY]), findings=[found])
    assert kinds(receipts) == [("held", f"postmaster@{DOMAIN}"), ("held", at("vpubnd"))]


def test_who_did_not_let_a_held_mail_go_says_why() -> None:
    record, *_ = a_record(envelope=an_envelope("annv"), content=a_content("12/BC-STC", "", ("x.pdf",), sender="annv"))
    held = [a_dispatch("sokhdt", DispatchState.WITHDRAWN)]
    (only,) = drawer.on_held_returned(record, held, "Chưa có chữ ký", at("sotc"), SIGNED_AT, directory=DIRECTORY)
    assert (only.kind, only.to, only.facts["by"]) == (ReceiptKind.RETURNED, at("annv"), "holder")
    assert (only.facts["reason"], only.facts["clerk_name"]) == ("Chưa có chữ ký", "Văn thư Sở Tài chính")
    assert drawer.on_held_returned(record, [], "x", "y", SIGNED_AT) == ()
    assert drawer.on_held_returned(record, held, "x", "y", SIGNED_AT)[0].facts["outside"] is False


# What became of dispatches


def settled(
    state: DispatchState,
    notify: frozenset[Notify] | None = None,
    to: str = "x@y.vn",
    number: int = 1,
    **outcome: object,
) -> tuple[object, object]:
    results = {DispatchState.FAILED: (Result.FAILED, "5.1.1"), DispatchState.DEFERRED: (Result.DEFERRED, "4.4.1")}
    result, status = results.get(state, (Result.RELAYED, "2.0.0"))
    return a_dispatch(to, state, number=number, recipient=Recipient(at(to), notify)), an_outcome(
        result, status, **outcome
    )


def after(*pairs: object, **named: object) -> tuple[Receipt, ...]:
    record, *_ = a_record(**{key: value for key, value in named.items() if key != "now"})  # type: ignore[arg-type]
    return drawer.on_settled(record, pairs, DIRECTORY, named.get("now", SIGNED_AT))  # type: ignore[arg-type]


def test_one_failure_notice_for_a_batch() -> None:
    (only,) = after(*(settled(DispatchState.FAILED, to=f"{name}@y.vn", number=n) for n, name in enumerate("abc")))
    assert (only.kind, only.to, only.facts["action"]) == (ReceiptKind.FAILED, at("vpubnd"), "failed")
    assert [one["address"] for one in only.facts["recipients"]] == ["a@y.vn", "b@y.vn", "c@y.vn"]
    assert only.facts["recipients"][0]["status"] == "5.1.1"


@pytest.mark.parametrize(
    ("state", "notify", "dsn", "expected"),
    [
        (DispatchState.FAILED, None, False, "failed"),
        (DispatchState.FAILED, frozenset({Notify.FAILURE}), False, "failed"),
        (DispatchState.FAILED, frozenset({Notify.SUCCESS}), False, None),
        (DispatchState.FAILED, frozenset({Notify.NEVER}), False, None),
        (DispatchState.DELIVERED, None, False, None),
        (DispatchState.DELIVERED, frozenset({Notify.SUCCESS}), False, "delivered"),
        (DispatchState.DELIVERED, frozenset({Notify.FAILURE, Notify.DELAY}), False, None),
        (DispatchState.RELAYED, frozenset({Notify.SUCCESS}), False, "relayed"),
        (DispatchState.RELAYED, frozenset({Notify.SUCCESS}), True, None),
        (DispatchState.DEFERRED, frozenset({Notify.DELAY}), False, None),
        (DispatchState.WITHDRAWN, frozenset({Notify.SUCCESS, Notify.FAILURE}), False, None),
    ],
)
def test_reports_are_given_as_rfc_3461_asks(
    state: DispatchState, notify: frozenset[Notify] | None, dsn: bool, expected: str | None
) -> None:
    receipts = after(settled(state, notify, dsn=dsn))
    assert [receipt.facts["action"] for receipt in receipts] == ([expected] if expected else [])


def test_strangers_get_no_report_and_proved_senders_do() -> None:
    content = a_content("12/CV-BTTTT", "", ("x.pdf",), sender="vanthu@mic.gov.vn")
    failed = settled(DispatchState.FAILED)
    assert after(failed, content=content, envelope=MINISTRY) == ()
    for proof in (
        SPF,
        Finding(Check.DKIM, Verdict.PASS, "d=mic.gov.vn; s=a", "good", {"domain": "mic.gov.vn"}),
        Finding(Check.DMARC, Verdict.PASS, "mic.gov.vn"),
    ):
        (only,) = after(failed, content=content, envelope=MINISTRY, findings=[proof])
        assert (only.kind, only.to, only.facts["outside"]) == (ReceiptKind.FAILED, "vanthu@mic.gov.vn", True)
    for nothing in (
        Finding(Check.SPF, Verdict.SOFTFAIL, "mic.gov.vn"),
        Finding(Check.DKIM, Verdict.PASS, "other.gov.vn"),
        Finding(Check.SPF, Verdict.PASS, "other.gov.vn"),
        Finding(Check.DKIM, Verdict.PASS, "d=gov.vn; s=a", "good", {"domain": "gov.vn"}),
        Finding(Check.DKIM, Verdict.FAIL, "mic.gov.vn"),
    ):
        assert after(failed, content=content, envelope=MINISTRY, findings=[nothing]) == ()


# Slips to the receiving agencies


def arrived(*locals_: str) -> list[object]:
    return [settled(DispatchState.DELIVERED, to=local, number=n) for n, local in enumerate(locals_)]


def test_each_receiving_agency_gets_one_slip_when_the_paper_arrives() -> None:
    envelope = an_envelope(to=("sotc", "annv", "sokhdt", "x@y.vn"))
    receipts = after(*arrived("sotc", "annv", "sokhdt", "x@y.vn"), envelope=envelope)
    assert kinds(receipts) == [("incoming", at("sotc")), ("incoming", at("sokhdt"))]
    assert [one["address"] for one in receipts[0].facts["recipients"]] == [at("sotc"), at("annv")]
    assert receipts[0].facts["agency_name"] == "Sở Tài chính"


def test_a_second_batch_repeats_the_key_of_the_slip() -> None:
    envelope = an_envelope(to=("sotc", "annv"))
    first, second = after(*arrived("sotc"), envelope=envelope), after(*arrived("annv"), envelope=envelope)
    assert first[0].event_key == second[0].event_key


def test_no_slip_within_the_senders_own_agency_or_for_an_exchange() -> None:
    inside = a_content("12/STC-VP", "", ("x.pdf",), sender="sotc")
    assert after(*arrived("annv"), content=inside, envelope=an_envelope("sotc", ("annv",))) == ()
    meeting = a_content("Giấy mời họp", "", ("x.pdf",))
    assert after(*arrived("sotc"), content=meeting) == ()


def test_the_office_that_sends_the_committees_papers_is_one_of_their_receivers() -> None:
    assert kinds(after(*arrived("vpubnd"), envelope=an_envelope(to=("vpubnd",)))) == [("incoming", at("vpubnd"))]
    own = a_content("12/TB-VPUBND", "", ("x.pdf",))
    assert after(*arrived("vpubnd"), content=own, envelope=an_envelope(to=("vpubnd",))) == ()


def test_what_was_held_and_released_gets_its_slip() -> None:
    assert kinds(after(*arrived("sotc"), decision=a_decision({"sotc": Action.HOLD}))) == [("incoming", at("sotc"))]


def test_a_slip_bears_the_number_that_was_given_on_arrival() -> None:
    record, *_ = a_record()
    assert record.document is not None
    entry = RegisterEntry(
        AgencyId("H28.02"),
        Book.INCOMING,
        2013,
        MAIL_ID,
        EntryStatus.ACCEPTED,
        record.document,
        "H28.UB",
        seq=1234,
        accepted_on=ARRIVED.date(),
    )
    (slip,) = drawer.on_settled(record, arrived("sotc"), DIRECTORY, SIGNED_AT, entries=[entry])  # type: ignore[arg-type]
    assert (slip.facts["entry"]["seq"], slip.facts["entry"]["accepted_on"]) == (1234, "2013-10-29")


def test_a_mail_that_already_lies_in_its_box_gets_its_slip_at_once() -> None:
    origin = Origin(Door.IMAP, account="so-tttt", in_place=True)
    envelope = Envelope("vanthu@mic.gov.vn", (Recipient(at("sotttt")),), origin)
    content = a_content("1777/BTTTT-ƯDCNTT", "", ("x.pdf",), sender="vanthu@mic.gov.vn")
    assert kinds(accepted(content, envelope)) == [("incoming", at("sotttt"))]
    notice = replace(content, fields=(*content.fields, ("x-mailrelay-receipt", "incoming")))
    assert kinds(accepted(notice, envelope)) == [], "a notice that came back must not be the cause of the next one"


def test_another_agency_never_hears_a_user_name_of_our_server() -> None:
    record, *_ = a_record()
    assert record.document is not None
    entry = RegisterEntry(
        AgencyId("H28.02"), Book.INCOMING, 2013, MAIL_ID, EntryStatus.RETURNED, record.document, "H28.UB", entry_id=7
    )
    (only,) = drawer.on_entry_returned(entry, record, "Thiếu phụ lục", "root", SIGNED_AT, directory=DIRECTORY)
    assert only.facts["clerk"] == at("sotc")


def test_the_agencys_return_is_told_with_its_reason() -> None:
    record, *_ = a_record()
    assert record.document is not None
    entry = RegisterEntry(
        AgencyId("H28.02"), Book.INCOMING, 2013, MAIL_ID, EntryStatus.RETURNED, record.document, "H28.UB", entry_id=7
    )
    (only,) = drawer.on_entry_returned(entry, record, "Thiếu phụ lục", at("sotc"), SIGNED_AT, directory=DIRECTORY)
    assert (only.kind, only.to, only.facts["by"]) == (ReceiptKind.RETURNED, at("vpubnd"), "agency")
    assert (only.facts["agency_name"], only.facts["reason"]) == ("Sở Tài chính", "Thiếu phụ lục")


# Secrets


def test_a_refused_secret_is_told_without_content() -> None:
    envelope = an_envelope("annv", ("sokhdt",))
    receipts = drawer.on_secret_refused(envelope, Secrecy.SECRET, DIRECTORY, "ab" * 32, SIGNED_AT, mail_id=MAIL_ID)
    assert kinds(receipts) == [("alert", at("dungpv")), ("alert", at("annv"))]
    assert [receipt.facts["to_sender"] for receipt in receipts] == [False, True]
    assert "sokhdt" not in json.dumps(receipts[0].facts)


def test_a_stranger_with_a_secret_is_reported_but_not_answered() -> None:
    receipts = drawer.on_secret_refused(MINISTRY, Secrecy.TOP_SECRET, DIRECTORY, "ab" * 32, SIGNED_AT, mail_id=MAIL_ID)
    assert kinds(receipts) == [("alert", at("dungpv"))]


# Alarms


def test_a_silent_box_is_told_to_whom_the_door_names_and_a_suspended_login_to_the_it_officer_too() -> None:
    officers = replace(DIRECTORY, agencies=tuple(replace(one, it_officer=at("dungpv")) for one in DIRECTORY.agencies))
    silent = samples.alarm("box-not-polled", Origin(Door.IMAP, login="sotc", account="tai-chinh"), {}, officers)
    assert kinds(silent) == [("alert", at("sotc"))]
    suspended = samples.alarm("login-suspended", Origin(Door.SUBMISSION, login="sotc"), {}, officers)
    assert kinds(suspended) == [("alert", at("sotc")), ("alert", at("dungpv"))]
    assert len({receipt.event_key for receipt in suspended}) == 2


def test_what_a_rule_returns_is_no_alarm_whatever_it_is_called() -> None:
    decision = Decision((RecipientDecision(at("sotc"), Action.RETURN, ("mine",), refusal="login-suspended"),))
    record, content, recognition, *_ = a_record(decision=decision)
    receipts = drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT)
    assert kinds(receipts) == [("returned", at("vpubnd"))]


# The daily list


def test_what_the_rules_leave_to_the_daily_list_is_not_told_to_its_holder_at_once() -> None:
    listed = RecipientDecision(at("sotc"), Action.HOLD, ("spam",), obligations=("receipt:statement",))
    at_once = RecipientDecision(at("sokhdt"), Action.HOLD, ("locked",))
    record, content, recognition, *_ = a_record(envelope=MINISTRY, decision=Decision((listed, at_once)))
    receipts = drawer.on_accept(record, content, recognition, DIRECTORY, (), SIGNED_AT)
    assert kinds(receipts) == [("held", at("sokhdt"))]
