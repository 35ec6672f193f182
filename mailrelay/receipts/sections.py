"""The blocks that several notices share: the paper as understood, files with their signatures, recipients, warnings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from mailrelay.model.calendar import format_date, format_moment
from mailrelay.model.document import Kind, MessageClass, Urgency
from mailrelay.model.document_types import type_name
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.rule import Text
from mailrelay.receipts import words
from mailrelay.receipts.card import Section
from mailrelay.receipts.facts import Facts

_WHOLE_FILE = ("unsigned", "person", "agency", "both")
_NOBODY = {"signer": "", "identity": "", "agency": ""}
SHOWN = 60  # recipients and files that are listed one by one; the data file has all


def moment(iso: str) -> str:
    """ "14:05 ngày 29/10/2013" """
    return format_moment(datetime.fromisoformat(iso))


def day(iso: str) -> str:
    """ "29/10/2013" """
    return format_date(date.fromisoformat(iso))


def size(count: int) -> str:
    """A file size as people write it, with a comma: "245 KB", "1,2 MB"."""
    if count < 1024:
        return f"{count} byte"
    if count < 1024 * 1024:
        return f"{max(1, round(count / 1024))} KB"
    return f"{count / 1024 / 1024:.1f} MB".replace(".", ",")


def capital(text: str) -> str:
    """With a capital at the front, the rest as it is."""
    return text[:1].upper() + text[1:]


def paper(facts: Facts) -> str:
    """Name a paper as a clerk would: "văn bản số 59/KH-UBND ngày 28/10/2013 của UBND tỉnh Hòa Bình"."""
    document, mail = facts["document"], facts["mail"]
    if document is None:
        return f"thư gửi lúc {moment(mail['received_at'])}" if mail.get("received_at") else "thư"
    if not document["code"]:
        title = document["summary"] or mail["subject"] or "không có tiêu đề"
        return f"thư “{title}”"
    named = f"văn bản số {document['code']}"
    if document["issued_on"]:
        named += f" ngày {day(document['issued_on'])}"
    issuer = document["issuer_name"]
    return f"{named} của {issuer}" if issuer else named


def paper_en(facts: Facts) -> str:
    """The same for readers outside: "document 59/KH-UBND of 28/10/2013"."""
    document = facts["document"]
    if document is None:
        return "your mail"
    if not document["code"]:
        return f"your mail “{document['summary'] or facts['mail']['subject']}”"
    return f"document {document['code']}" + (f" of {day(document['issued_on'])}" if document["issued_on"] else "")


def subject_tail(facts: Facts) -> str:
    """What follows the badge in a subject line: "59/KH-UBND – Trao đổi văn bản điện tử"."""
    document, mail = facts["document"], facts["mail"]
    if document is None:
        return capital(paper(facts))
    summary = capital(document["summary"] or mail["subject"])
    short = summary if len(summary) <= 80 else summary[:79].rsplit(" ", 1)[0] + "…"
    return " – ".join(part for part in (document["code"], short) if part) or "Thư không có tiêu đề"


def urgency_tag(facts: Facts) -> str:
    """ "[HỎA TỐC] " for what is urgent, else ""."""
    urgency = Urgency(facts["document"]["urgency"]) if facts["document"] else Urgency.NORMAL
    return "" if urgency is Urgency.NORMAL else f"[{words.URGENCIES[urgency].vi.upper()}] "


def understood(facts: Facts, heading: str = "Hệ thống hiểu là") -> tuple[Section, ...]:
    """The particulars of the paper, with a dash where nothing was found."""
    document = facts["document"]
    if document is None:
        return ()
    filed = facts["mail"]["class"] == MessageClass.DOCUMENT.value
    rows = [
        ("Xếp loại", "Văn bản, vào sổ" if filed else "Trao đổi công việc, không vào sổ văn bản"),
        ("Số, ký hiệu", document["code"] or ("– (chưa rõ)" if filed else "")),
        ("Ngày văn bản", day(document["issued_on"]) if document["issued_on"] else "– (chưa rõ)" if filed else ""),
        ("Cơ quan ban hành", document["issuer_name"] or ("– (chưa rõ)" if filed else "")),
        ("Tên loại", _type(document)),
        ("Trích yếu", capital(document["summary"]) or "– (chưa rõ)"),
        ("Độ khẩn", words.URGENCIES[Urgency(document["urgency"])].vi),
    ]
    optional = [
        ("Người ký", document["signatory"]),
        ("Trả lời văn bản", document["reply_to"]),
        ("Thời hạn", day(document["due_on"]) if document["due_on"] else ""),
        ("Bản giấy", "có gửi kèm theo sau" if document["paper"] else ""),
    ]
    return (Section(heading, tuple(row for row in rows + optional if row[1])),)


def _type(document: Facts) -> str:
    kind = words.DOCUMENT_KINDS[Kind(document["kind"])].vi
    name = type_name(document["type"])
    if not name:
        return kind
    return (
        name
        if document["kind"] == Kind.OTHER.value or kind.startswith(name)
        else f"{name} ({kind[:1].lower()}{kind[1:]})"
    )


def to_review(facts: Facts) -> tuple[Section, ...]:
    """Warnings of form. They never stop a paper."""
    lines = tuple(words.WARNINGS[slug].vi for slug in facts["warnings"] if slug in words.WARNINGS)
    return (Section("Cần xem lại", lines=lines),) if lines else ()


def files(facts: Facts) -> tuple[Section, ...]:
    """Every file with size, signature reading and what was found wrong."""
    shown = [_file(file) for file in facts["files"][:SHOWN]]
    more = len(facts["files"]) - len(shown)
    if more > 0:
        shown.append(f"… và {more} tệp nữa")
    return (Section("Tệp đính kèm và chữ ký số", lines=tuple(shown)),) if shown else ()


def _file(file: Facts) -> str:
    signed = [finding for finding in file["findings"] if finding["check"] in words.SIGNATURE_CHECKS]
    others = [finding for finding in file["findings"] if finding not in signed]
    may_be_signed = file["type"] == "application/pdf" or file["name"].lower().endswith(".pdf")
    notes = signatures(signed) or (["không có chữ ký số"] if may_be_signed else [])
    notes += [words.finding_of_file(finding) for finding in others]
    return f"{file['name']} ({size(file['size'])})" + (f": {'; '.join(dict.fromkeys(notes))}" if notes else "")


def signatures(findings: Sequence[Facts]) -> list[str]:
    """The reading of a file as a whole first, then each kind of signature with its signers."""
    whole = [finding for finding in findings if finding["detail"] in _WHOLE_FILE]
    signers: dict[str, list[str]] = {}
    for finding in findings:
        if finding not in whole:
            signers.setdefault(words.finding({**finding, **_NOBODY}), []).append(words.signer(finding))
    notes = [words.finding(finding) for finding in whole]
    for clause, names in signers.items():
        named = ", ".join(name for name in names if name)
        notes.append(f"{clause}: {named}" if named else clause)
    return notes


def recipients(facts: Facts, heading: str, state: str = "") -> Section:
    """One line a recipient: agency or name, address, and what is said of it."""
    return Section(heading, lines=(*(_recipient(one, state) for one in facts["recipients"][:SHOWN]), *rest(facts)))


def rest(facts: Facts) -> tuple[str, ...]:
    """A line that counts the recipients that are not listed, if there are any."""
    more = len(facts["recipients"]) - SHOWN
    return (f"… và {more} nơi nhận nữa (đủ trong tệp bien-nhan.json)",) if more > 0 else ()


def _recipient(one: Facts, state: str) -> str:
    name = who(one)
    return f"{name}: {state}" if state else name


def who(one: Facts) -> str:
    """ "Văn thư Sở Tài chính (sotc@hoabinh.gov.vn)" """
    name = one.get("name") or one.get("agency") or ""
    return f"{name} ({one['address']})" if name else str(one["address"])


def reasons(facts: Facts) -> tuple[tuple[Section, ...], Text, tuple[str, ...]]:
    """Group recipients by what was said of them: sections, the remedies as one sentence, and English lines."""
    groups: dict[tuple[str, ...], list[Facts]] = {}
    said: dict[tuple[str, ...], Sequence[Facts]] = {}
    for one in facts["recipients"]:
        key = tuple(reason["rule"] + reason["vi"] for reason in one["reasons"])
        groups.setdefault(key, []).append(one)
        said[key] = one["reasons"]
    sections: list[Section] = []
    remedies: dict[str, str] = {}
    english: list[str] = []
    for key, group in groups.items():
        lines = [reason["vi"] for reason in said[key]] or ["Theo quy định của tỉnh."]
        names = [who(one) for one in group[:SHOWN]]
        more = [f"… và {len(group) - len(names)} nơi nhận nữa"] if len(group) > len(names) else []
        sections += [Section("Lý do", lines=tuple(lines)), Section(f"Nơi nhận ({len(group)})", lines=(*names, *more))]
        remedies |= {reason["remedy_vi"]: reason["remedy_en"] for reason in said[key] if reason["remedy_vi"]}
        english += [reason["en"] for reason in said[key]]
    return tuple(sections), Text(" ".join(remedies), " ".join(remedies.values())), tuple(english)


def sender_checks(facts: Facts) -> tuple[Section, ...]:
    """How the sender was checked: by login, or what the sending system proves."""
    if facts["authenticated"]:
        lines = [f"Người gửi đã đăng nhập hệ thống: {facts['mail']['from']}"]
    else:
        lines = [
            f"{words.CHECKS[Check(finding['check'])].vi} {finding['subject']}: {words.finding(finding)}".replace(
                " :", ":"
            )
            for finding in facts["checks"]
        ] or ["Chưa kiểm tra được người gửi: xác minh lại trước khi vào sổ."]
    signed = [f for f in facts["checks"] if f["check"] in words.SIGNATURE_CHECKS and f["verdict"] != Verdict.NONE.value]
    if facts["authenticated"]:
        lines += [f"{words.CHECKS[Check(f['check'])].vi}: {words.finding(f)}" for f in signed]
    return (Section("Kiểm tra người gửi", lines=tuple(lines)),)
