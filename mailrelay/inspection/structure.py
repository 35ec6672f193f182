"""Findings on the form of a mail: RFC 5322 fields that must be single, RFC 2046 structure, limits that were reached. Pure."""

from __future__ import annotations

from mailrelay.inspection.content import Reading
from mailrelay.inspection.fields import Block, Field
from mailrelay.inspection.limits import Limits
from mailrelay.inspection.mime import Tree
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.message import Address

# RFC 5322 section 3.6: at most one of each; RFC 2045 adds the MIME fields.
SINGLE = (
    *("from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject", "date"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
)


def check(tree: Tree, reading: Reading, limits: Limits, *, smtputf8: bool) -> list[Finding]:
    """Return every structure finding of one mail."""
    return [
        *_fields(tree.top.block, limits, smtputf8=smtputf8),
        *_author(tree.top.block, reading),
        *_duplicates_below(tree),
        *_shape(tree, reading),
    ]


def doubled(block: Block) -> list[tuple[str, int]]:
    """Return (name, count) of fields that may stand only once and stand several times."""
    if not block.has_doubles:
        return []
    return [(name, count) for name in SINGLE if (count := len(block.all(name))) > 1]


def _structure(verdict: Verdict, detail: str, subject: str = "", **facts: object) -> Finding:
    return note(Check.STRUCTURE, verdict, detail, subject, **facts)


def _fields(block: Block, limits: Limits, *, smtputf8: bool) -> list[Finding]:
    found = [_structure(Verdict.POLICY, "duplicate-field", name, count=count) for name, count in doubled(block)]
    foreign = [
        field.name for field in block.fields if not field.value.isascii() and not _is_clean_utf8(field, smtputf8)
    ]
    if foreign:
        found.append(_structure(Verdict.NONE, "eight-bit-header", foreign[0], fields=sorted(set(foreign))[:20]))
    long = [
        field.name
        for field in block.fields
        if field.end - field.start > limits.line and _longest_line(field) > limits.line
    ]
    if long:
        found.append(_structure(Verdict.NONE, "long-line", long[0], fields=sorted(set(long))[:20]))
    if len(block.fields) >= limits.fields:
        found.append(_structure(Verdict.POLICY, "malformed", reasons=["too-many-fields"]))
    return found


def _is_clean_utf8(field: Field, smtputf8: bool) -> bool:
    if not smtputf8:
        return False
    try:
        field.value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _longest_line(field: Field) -> int:
    size = field.end - field.start
    return size if size <= 998 else max(map(len, field.value.split(b"\n")))


def _author(block: Block, reading: Reading) -> list[Finding]:
    found: list[Finding] = []
    authors = [sender for sender in reading.content.senders if "@" in sender.address]
    count = len(block.all("from"))
    if not authors:
        found.append(_structure(Verdict.POLICY, "no-from"))
    if count > 1 or len(reading.content.senders) > 1 or any(map(_is_several, reading.content.senders)):
        addresses = [sender.address for sender in reading.content.senders][:10]
        verdict = Verdict.FAIL if count > 1 else Verdict.POLICY
        found.append(_structure(verdict, "two-from", fields=count, addresses=addresses))
    if not reading.content.message_id:
        found.append(_structure(Verdict.NONE, "no-message-id"))
    return found


def _is_several(author: Address) -> bool:
    """Whether what was read as one address can be read as two (`a@b.vn c@d.vn`, `<a@b.vn,c@d.vn>`)."""
    return author.address.count("@") > 1 and '"' not in author.address


def _duplicates_below(tree: Tree) -> list[Finding]:
    """Parts whose own header holds a field twice: readers choose differently which to believe."""
    found: list[Finding] = []
    for part in tree.parts:
        if part is tree.top or len(part.block.fields) < 2:
            continue
        for name, count in doubled(part.block):
            if name.startswith("content-") and len(found) < 10:
                found.append(_structure(Verdict.POLICY, "duplicate-field", name, count=count, part=part.number))
    return found


def _shape(tree: Tree, reading: Reading) -> list[Finding]:
    found: list[Finding] = []
    reasons = [f"{reason}:{number}" for reason, number in tree.malformed] + [
        f"encoding:{part}" for part in reading.broken
    ]
    if reasons:
        found.append(_structure(Verdict.POLICY, "malformed", reasons=reasons[:20]))
    if tree.too_deep:
        found.append(_structure(Verdict.POLICY, "too-deep"))
    if tree.too_many or reading.more_files:
        found.append(_structure(Verdict.POLICY, "too-many-parts"))
    if tree.long_header:
        found.append(_structure(Verdict.POLICY, "long-line", "header"))
    found += [
        _structure(Verdict.POLICY, "hidden-text", part=hidden.part, ways=list(hidden.ways), text=hidden.text)
        for hidden in reading.hidden
    ]
    if not reading.content.text.strip() and not reading.content.attachments:
        found.append(_structure(Verdict.NONE, "empty"))
    return found
