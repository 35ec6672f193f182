"""A secrecy mark inside an attached file: refused like one in the subject, and nothing of the file is kept, not even its name."""

from __future__ import annotations

from dataclasses import replace

from mailrelay.model.finding import Check
from mailrelay.model.message import MessageState
from mailrelay.store import messages
from tests.inspection.test_files import packed
from tests.inspection.test_office_text import HEAD, docx
from tests.pipeline.house import PLANNING, House
from tests.pipeline.test_rescan import with_file


async def test_a_secret_paper_is_refused_whatever_the_rule_book_says(house: House) -> None:
    """Whoever edits the rules cannot let it into the spool: the law is none of theirs."""
    book = house.snapshot.rulebook
    rules = tuple(rule for rule in book.rules if rule.rule_id != "secret-mark")
    assert len(rules) == len(book.rules) - 1
    house.snapshot = replace(house.snapshot, rulebook=replace(book, rules=rules))
    answer = await house.hand_in(with_file(1, docx("TUYỆT MẬT", *HEAD), "ke-hoach.docx"), PLANNING)
    assert answer.refusal == "secret-document"
    assert f"{answer.mail_id}.eml" not in house.spooled()


async def test_a_mark_on_the_face_of_a_file_is_refused_without_a_trace(house: House) -> None:
    for number, (data, name) in enumerate(
        ((docx("TUYỆT MẬT", *HEAD), "ke-hoach.docx"), (packed(("ke-hoach.docx", docx("MẬT", *HEAD))), "ke-hoach.zip"))
    ):
        answer = await house.hand_in(with_file(number, data, name), PLANNING)
        assert answer.refusal.startswith("secret")
        mail_id = answer.mail_id
        assert mail_id is not None
        record = await house.parts.store.read(lambda tx, mail_id=mail_id: messages.get(tx, mail_id))  # type: ignore[misc]
        assert record is not None
        assert (record.state, record.subject, record.attachments) == (MessageState.REJECTED, "", ())
        assert {(f.check, f.subject, tuple(f.facts)) for f in record.findings} == {(Check.SECRECY, "", ())}
        assert f"{mail_id}.eml" not in house.spooled()
