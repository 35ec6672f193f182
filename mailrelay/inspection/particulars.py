"""The fields of a document with their evidence, gathered from what was read of the mail. Pure; warns, decides no class."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

from mailrelay.inspection.document_types import by_abbreviation, by_name, clean, first_name_in, plain
from mailrelay.inspection.kinds import kind_of
from mailrelay.inspection.letterhead import (
    DatedOn,
    Page,
    about,
    distribution,
    due_on,
    find_date,
    own_page,
    place_and_date,
    signatory,
    title_and_summary,
)
from mailrelay.inspection.marks import Subject, paper_follows, take_apart, urgency_mark
from mailrelay.inspection.own_code import OwnCode
from mailrelay.inspection.standing import Issuer
from mailrelay.model.document import Document, DocumentCode, Evidence, Signatory, Urgency
from mailrelay.model.document_types import DocumentType
from mailrelay.model.message import Content

FILES = 200
_DATE_LINE = re.compile(r"\W{0,4}ngay(?: ban hanh| van ban| ky)? ?:")
_SUMMARY = 500  # characters; Decree 30/2020/NĐ-CP annex VI


@dataclass(frozen=True, slots=True)
class Reading:
    """The parts of a mail that are read, cleaned and bounded once."""

    subject: Subject
    names: tuple[str, ...]
    page: Page
    fields: tuple[tuple[str, str], ...]

    def field(self, *names: str) -> str:
        """The first of our own header fields, named without hyphens ("xvanbantrichyeu")."""
        return next((clean(value).strip() for name, value in self.fields if name.replace("-", "") in names), "")


def read(content: Content) -> Reading:
    """Clean and bound what will be read."""
    names = tuple(clean(file.name[:300]) for file in content.attachments[:FILES] if file.name)
    return Reading(take_apart(clean(content.subject[:1000])), names, own_page(content.text), content.fields[:200])


def find_type(
    reading: Reading, own: OwnCode | None, tagged: DocumentType | None
) -> tuple[DocumentType | None, Evidence | None]:
    """Return the type: from the notation, our field, the title, the subject's first words, a file name, or a plus-address."""
    if own is not None:
        found = own.hit.type if own.hit else by_abbreviation(own.code.notation.partition("-")[0])
        of_party = "/" in own.code.notation and not own.code.notation[0].isdigit()
        if found is None and not of_party:  # a notation that begins with an agency: công văn
            found = by_abbreviation("CV")
        return found, Evidence("type", own.source, own.text, own.confidence)
    if written := reading.field("xloaivanban", "xvanbanloai"):
        found = by_abbreviation(written, lenient=True) or by_name(plain(written))
        if found:
            return found, Evidence("type", "field", written, 95)
    title, _ = title_and_summary(reading.page)
    if title:
        return by_abbreviation(title), Evidence("type", "body", title, 80)
    for source, text, confidence in [
        ("subject", reading.subject.rest, 70),
        *(("file-name", re.sub(r"[-_]", " ", name), 60) for name in reading.names),
    ]:
        named = first_name_in(plain(text[:200]))
        if named and named[1] <= 12:
            return named[0], Evidence("type", source, text[:80], confidence)
    return tagged, Evidence("type", "recipient", tagged.name, 60) if tagged else None


@dataclass(slots=True)
class Particulars:
    """Gathers the fields of one document; `warnings` and `evidence` grow with them."""

    reading: Reading
    own: OwnCode | None
    document_type: DocumentType | None
    issuer: Issuer
    evidence: list[Evidence] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def document(self, answers: DocumentCode | None, *, within_agency: bool) -> Document:
        reading, own = self.reading, self.own
        if own is not None:
            self._note("code", own.source, own.text, own.confidence)
        if self.issuer.agency is not None:
            self._note("issuer", self.issuer.source, self.issuer.agency.name, self.issuer.confidence)
        if answers is not None:
            self._note("reply_to", "subject", str(answers), 80)
        place, issued_on = self._place_and_date()
        summary = self._summary()
        abbreviation = self.document_type.abbreviation if self.document_type else ""
        normative = bool(own and own.hit and own.hit.year and own.hit.type and own.hit.type.normative)
        return Document(
            code=own.code if own else None,
            kind=kind_of(
                abbreviation, normative=normative, subject=self._words(), summary=summary, within_agency=within_agency
            ),
            type=abbreviation,
            issuer=self.issuer.agency.agency_id if self.issuer.agency else None,
            issued_on=issued_on,
            place=place,
            summary=summary,
            urgency=self._urgency(),
            signatory=self._signatory(),
            distribution=distribution(reading.page),
            reply_to=answers,
            due_on=self._due_on(),
            paper=self._paper(),
            evidence=tuple(self.evidence),
        )

    def _note(self, name: str, source: str, text: str, confidence: int) -> None:
        self.evidence.append(Evidence(name, source, text[:200], confidence))

    def _words(self) -> str:
        return " ".join((*self.reading.subject.tags, self.reading.subject.rest))

    def _place_and_date(self) -> tuple[str, date | None]:
        line = place_and_date(self.reading.page)
        place = self.reading.field("xvanbandiadanh")
        if place:
            self._note("place", "field", place, 95)
        elif line and line.place:
            place = line.place
            self._note("place", "body", line.text, 85)
        dated = self._dates(line.dated if line else None)
        if not dated:
            return place, None
        source, first, confidence = dated[0]
        if any(other.day is not None and other.day != first.day for _, other, _ in dated[1:]):
            self.warnings.append("date-mismatch")
        if first.day is None:
            self.warnings.append("date-invalid")
        self._note("issued_on", source, first.text, confidence)
        return place, first.day

    def _dates(self, of_line: DatedOn | None) -> list[tuple[str, DatedOn, int]]:
        """Candidates, the surest first: our field, the subject right after the number, the paper's date line, a file name."""
        found: list[tuple[str, DatedOn | None, int]] = [
            ("field", find_date(self.reading.field("xvanbanngay"), iso=True), 95),
        ]
        if self.own and self.own.source == "subject":
            found.append(("subject", _following_date(self.reading.subject.rest[self.own.end : self.own.end + 40]), 85))
        found.append(("body", of_line, 85))
        found.append(("body", self._form_date(), 85))
        if self.own and self.own.source == "file-name":
            found.append(("file-name", find_date(self.own.text.replace("_", " "), iso=True), 60))
        return [(source, dated, confidence) for source, dated, confidence in found if dated is not None]

    def _form_date(self) -> DatedOn | None:
        """The line "Ngày: 28/10/2013" or "Ngày ban hành: 28/10/2013" of a form in the text."""
        for line, low in zip(self.reading.page.lines[:200], self.reading.page.plain, strict=False):
            if _DATE_LINE.match(low):
                return find_date(line[:120], iso=True)
        return None

    def _summary(self) -> str:
        for source, text, confidence in self._summaries():
            if text:
                self._note("summary", source, text, confidence)
                return " ".join(text.split())[:_SUMMARY]
        self.warnings.append("summary-missing")
        return ""

    def _summaries(self) -> list[tuple[str, str, int]]:
        title, below = title_and_summary(self.reading.page)
        form = next((about(line) for line in self.reading.page.lines[:60] if about(line)), "")
        return [
            ("field", self.reading.field("xvanbantrichyeu"), 95),
            ("subject", self._subject_summary(), 80),
            ("body", below if title else "", 80),
            ("body", form, 75),
            ("subject", self._bare_subject(), 50),
        ]

    def _subject_summary(self) -> str:
        """What the subject says after the number and its date, or after "V/v"."""
        rest = self.reading.subject.rest
        if self.own and self.own.source == "subject":
            rest = _without_date(rest[self.own.end :])
        elif not about(rest):
            return ""
        return about(rest) or rest.strip(" -–.,:;|")

    def _bare_subject(self) -> str:
        rest = self.reading.subject.rest
        if self.own and self.own.source == "subject":
            return ""
        return rest.strip(" -–.,:;|")

    def _urgency(self) -> Urgency:
        mark = urgency_mark(self.reading.subject, self.reading.fields, self.reading.page.lines[:40])
        if mark is None:
            return Urgency.NORMAL
        self._note("urgency", mark.source, mark.text, mark.confidence)
        return mark.urgency

    def _signatory(self) -> Signatory | None:
        if name := self.reading.field("xvanbannguoiky"):
            self._note("signatory", "field", name, 95)
            return Signatory(name[:100], self.reading.field("xvanbanchucvu")[:100])
        signed = signatory(self.reading.page)
        if signed:
            self._note("signatory", "body", f"{signed.authority} {signed.position} {signed.full_name}".strip(), 75)
        return signed

    def _due_on(self) -> date | None:
        written = self.reading.field("xvanbanhanxuly", "xvanbanhan", "xvanbanhantraloi")
        dated = find_date(written, iso=True) if written else None
        source, confidence = "field", 95
        if dated is None:
            page = self.reading.page
            source, confidence = "subject", 75
            dated = due_on(self._words()) or due_on(page.text, page.plain_text)
        if dated is None or dated.day is None:
            return None
        self._note("due_on", source, dated.text, confidence)
        return dated.day

    def _paper(self) -> bool:
        words = paper_follows(self.reading.subject, self.reading.fields, self.reading.page)
        if words is None:
            return False
        self._note("paper", "subject" if words in self.reading.subject.tags else "body", words, 85)
        return True


def _following_date(text: str) -> DatedOn | None:
    """The date right after the number ("59/KH-UBND ngày 28/10/2013 …"), not one further on in the abstract."""
    dated = find_date(text)
    return dated if dated and re.fullmatch(r"[ ,;(–-]*(?:ngay)?[ :]*", plain(text[: dated.start])) else None


def _without_date(text: str) -> str:
    dated = _following_date(text[:40])
    return text[dated.end :] if dated else text


def arrival_warnings(document: Document, own: OwnCode | None, arrived_on: date) -> list[str]:
    """Warnings on the date of issue: after arrival, or in another year than the number says (ND30 article 15)."""
    if document.issued_on is None:
        return []
    late = ["date-after-arrival"] if document.issued_on > arrived_on else []
    year = own.hit.year if own and own.hit else None
    return late + (["year-mismatch"] if year and year != document.issued_on.year else [])
