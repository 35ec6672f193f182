"""Which document a mail carries, and which of the three classes it belongs to. Pure; warns on form, never refuses.

Decree 30/2020/NĐ-CP articles 7 to 9 and annexes I, III, VI; plan 59/KH-UBND section II. Every field comes with its evidence.
"""

from __future__ import annotations

from datetime import datetime

from mailrelay.inspection import own_code
from mailrelay.inspection.kinds import kind_by_words
from mailrelay.inspection.marks import secrecy_mark
from mailrelay.inspection.notation import Known, same_code
from mailrelay.inspection.own_code import OwnCode
from mailrelay.inspection.particulars import FILES, Particulars, Reading, arrival_warnings, find_type, read
from mailrelay.inspection.standing import Issuer, Standing, find_issuer, known_body, leaves_out, standing_of
from mailrelay.model.agency import Directory
from mailrelay.model.calendar import vietnamese_date
from mailrelay.model.document import Document, MessageClass, Recognition
from mailrelay.model.document_types import DocumentType
from mailrelay.model.envelope import Envelope
from mailrelay.model.message import Attachment, Content

__all__ = ["WARNINGS", "recognise", "secrecy_mark"]

# Every warning that a recognition may bear. The sentences for people stand in `receipts.words`.
WARNINGS = (
    "number-missing",
    "number-blank",
    "number-mismatch",
    "number-uncertain",
    "several-numbers",
    "type-unknown",
    "symbol-not-of-sender",
    "date-missing",
    "date-invalid",
    "date-after-arrival",
    "date-mismatch",
    "year-mismatch",
    "summary-missing",
    "attachment-missing",
    "tag-unknown",
    "distribution-not-addressed",
)
_SIGNATURES = frozenset(
    {
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-keys",
    }
)
_SURE = 60  # below this confidence a number is shown with a warning


def recognise(content: Content, envelope: Envelope, directory: Directory, received_at: datetime) -> Recognition:
    """Say which class a mail belongs to and, for documents and exchanges, which document it carries.

    Looks at the subject, the first 200 file names, our X-VanBan-* fields and the first 8 Ki characters of the text (and the
    last 4 Ki, for signature block and Nơi nhận). Never raises for anything that the mail contains.
    """
    reading = read(content)
    known = known_body(directory)
    standing = standing_of(content, envelope, directory)
    candidates = _candidates(reading, known)
    own = next(iter(candidates), None)
    answers = own_code.answered(reading.subject, reading.page, own.code if own else None)
    document_type, type_evidence = find_type(reading, own, standing.tag_type)
    files = [file for file in content.attachments[:FILES] if not _is_signature(file)]
    message_class = _class(reading, standing, candidates, document_type, bool(content.attachments), answers is not None)
    if message_class is MessageClass.LETTER:
        return Recognition(message_class)
    # A person's mail about a paper, without the paper: the number is cited, not sent.
    cited = own.code if own and own.code.number and message_class is MessageClass.EXCHANGE else None
    numbered = own if own and own.code.number and cited is None else None
    issuer = find_issuer(numbered.code if numbered else None, standing, directory, reading.page)
    particulars = Particulars(reading, numbered, document_type, issuer, [type_evidence] if type_evidence else [])
    document = particulars.document(answers.code if answers else cited, within_agency=standing.within_agency)
    warnings = [
        *([] if cited else _number_warnings(message_class, candidates, issuer)),
        *particulars.warnings,
        *arrival_warnings(document, numbered, vietnamese_date(received_at)),
        *_form_warnings(message_class, document, bool(files)),
        *(["tag-unknown"] if standing.unknown_tag else []),
        *(["distribution-not-addressed"] if leaves_out(standing, document.distribution, directory) else []),
    ]
    return Recognition(message_class, document, tuple(dict.fromkeys(warnings)))


def _candidates(reading: Reading, known: Known) -> tuple[OwnCode, ...]:
    """The numbers that may be the paper's own, the surest first."""
    found = [
        own_code.from_fields(reading.fields),
        own_code.from_number_line(reading.page),
        own_code.from_subject(reading.subject, known),
        *own_code.from_names(reading.names, known),
    ]
    return tuple(own for own in found if own is not None)


def _is_signature(file: Attachment) -> bool:
    return file.declared.lower() in _SIGNATURES or file.type in _SIGNATURES


def _class(
    reading: Reading,
    standing: Standing,
    candidates: tuple[OwnCode, ...],
    document_type: DocumentType | None,
    has_files: bool,
    is_answer: bool,
) -> MessageClass:
    """Document: a number of its own, or a typed paper from an agency's box. Exchange: official but unnumbered. Else a letter."""
    numbered = [own for own in candidates if own.code.number]
    if not standing.is_official:
        # A firm or citizen who sends a numbered paper to an agency's box: it is registered on arrival like any other.
        sends_paper = has_files and standing.to_clerk and any(own.confidence >= _SURE for own in numbered)
        return MessageClass.DOCUMENT if sends_paper else MessageClass.LETTER
    if numbered and (standing.is_agency_box or has_files or numbered[0].source in ("field", "body")):
        return MessageClass.DOCUMENT
    if numbered or candidates or is_answer or _is_exchange(reading):
        return MessageClass.EXCHANGE
    from_agency = standing.is_agency_box and (standing.box is not None or standing.to_clerk)
    if document_type is not None and from_agency and has_files and not reading.subject.is_reply:
        return MessageClass.DOCUMENT
    return MessageClass.LETTER


def _is_exchange(reading: Reading) -> bool:
    """Tell whether subject, tags or file names name one of the plan's unnumbered kinds."""
    texts = (reading.subject.rest, *reading.subject.tags, *reading.names)
    return any(kind_by_words(text) is not None for text in texts)


def _number_warnings(message_class: MessageClass, candidates: tuple[OwnCode, ...], issuer: Issuer) -> list[str]:
    numbered = [own for own in candidates if own.code.number]
    if not numbered:
        blank = ["number-blank"] if candidates else []
        return blank or (["number-missing"] if message_class is MessageClass.DOCUMENT else [])
    own = numbered[0]
    others = [other for other in numbered[1:] if not same_code(other.code, own.code)]
    warnings = [] if issuer.agrees else ["symbol-not-of-sender"]
    if any(other.source != own.source for other in others):
        warnings.append("number-mismatch")
    if any(other.source == own.source for other in others):
        warnings.append("several-numbers")
    if own.confidence < _SURE:
        warnings.append("number-uncertain")
    return warnings


def _form_warnings(message_class: MessageClass, document: Document, has_files: bool) -> list[str]:
    if message_class is not MessageClass.DOCUMENT:
        return []
    warnings = [] if document.type else ["type-unknown"]
    if document.issued_on is None:
        warnings.append("date-missing")
    return warnings if has_files else [*warnings, "attachment-missing"]
