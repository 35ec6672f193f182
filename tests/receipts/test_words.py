from __future__ import annotations

import ast
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from mailrelay.inspection import scope
from mailrelay.inspection.document import WARNINGS
from mailrelay.inspection.slugs import SLUGS
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import Kind, Secrecy, Urgency
from mailrelay.model.entry import EntryStatus
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.receipt import ReceiptKind
from mailrelay.model.rule import Text
from mailrelay.receipts import words
from mailrelay.receipts.finding_words import FINDINGS, REASONS


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (ReceiptKind, words.KINDS),
        (Urgency, words.URGENCIES),
        (Secrecy, words.SECRECIES),
        (Kind, words.DOCUMENT_KINDS),
        (DispatchState, words.DISPATCH_STATES),
        (EntryStatus, words.ENTRY_STATUSES),
        (Verdict, words.VERDICTS),
        (Check, words.CHECKS),
    ],
)
def test_every_member_has_its_words(kind: type[StrEnum], table: dict[Any, Text]) -> None:
    assert set(table) == set(kind)


def test_every_warning_of_recognition_has_its_words() -> None:
    assert set(words.WARNINGS) == set(WARNINGS)


def test_every_slug_of_a_finding_has_its_words() -> None:
    missing = [
        (check.value, slug) for check, slugs in SLUGS.items() for slug in slugs if slug not in FINDINGS.get(check, {})
    ]
    assert missing == []


def test_every_reason_that_inspection_gives_has_its_words() -> None:
    """What the functions that judge how far a signature reaches return: reasons, and nothing else."""
    room = Path(scope.__file__).parent
    given = {
        constant.value
        for file in ("scope.py", "xml_claims.py")
        for returned in ast.walk(ast.parse((room / file).read_text()))
        if isinstance(returned, ast.Return) and returned.value is not None
        for constant in ast.walk(returned.value)
        if (isinstance(constant, ast.Constant) and isinstance(constant.value, str) and constant.value.isidentifier())
        or (isinstance(constant, ast.Constant) and isinstance(constant.value, str) and "-" in constant.value)
    }
    assert {"other-parts", "text-before", "unsigned-text", "instructions", "comments"} <= given
    assert given <= set(REASONS)


def test_a_finding_tells_its_reason_and_what_else_counts() -> None:
    told = words.meaning(Check.SMIME, "partial-body", {"reason": "hidden-text", "clock_wrong": True})
    assert told == Text(
        "thư có phần nằm ngoài chữ ký; có chữ bị giấu; đồng hồ máy ký sai",
        "the mail shows more than was signed; hidden words; the signer's clock is wrong",
    )
    stale = words.meaning(Check.PDF, "revocation-unknown", {"revocation": "stale", "revocation_age_hours": 960})
    assert stale is not None and stale.en.endswith("the revocation list is 960 hours old")
    ordered = words.meaning(Check.PDF, "both", {"in_order": False})
    assert ordered is not None and ordered.vi.endswith("cơ quan ký trước cá nhân")


def test_no_words_for_slugs_that_do_not_exist() -> None:
    stale = [
        (check.value, slug) for check, slugs in FINDINGS.items() for slug in slugs if slug not in SLUGS.get(check, {})
    ]
    assert stale == []


def test_all_sentences_are_vietnamese_first_and_english_after() -> None:
    tables = (words.WARNINGS, *FINDINGS.values(), words.KINDS, words.CHECKS, words.VERDICTS)
    for text in (text for table in tables for text in table.values()):
        assert text.vi and text.en and text.vi != text.en
        assert not re.search(
            r"[àáâãèéêìíòóôõùúýăđĩũơưạ-ỹ]", text.en.replace("MẬT", "").replace("TỐI", "").replace("TUYỆT", "").lower()
        )


@pytest.mark.parametrize(
    ("status", "vi"),
    [
        ("5.1.1", "không có hộp thư này"),
        ("5.2.2", "hộp thư nhận đã đầy"),
        ("4.2.2", "hộp thư nhận đã đầy"),
        ("5.4.4", "không tìm được đường chuyển đến máy chủ nhận"),
        ("4.4.7", "đã thử nhiều lần đến hết thời hạn mà chưa chuyển được"),
        ("4.4.1", "không kết nối được máy chủ nhận"),
        ("5.7.26", "máy chủ nhận từ chối"),
        ("5.0.0", "không chuyển được"),
        ("", "không chuyển được"),
    ],
)
def test_a_delivery_status_is_told_in_words_with_a_remedy(status: str, vi: str) -> None:
    meaning, remedy = words.delivery_status(status)
    assert meaning.vi == vi and remedy.vi.endswith(".") and remedy.en


def test_a_finding_names_its_signer() -> None:
    facts = {"check": "pdf", "verdict": "pass", "detail": "good", "signer": "Bùi Văn Tỉnh"}
    assert words.finding(facts) == "chữ ký số hợp lệ, chứng thư tin cậy (Bùi Văn Tỉnh)"


def test_a_newer_slug_is_told_by_its_verdict() -> None:
    assert words.finding({"check": "dkim", "verdict": "fail", "detail": "something-new"}) == "không đạt"
