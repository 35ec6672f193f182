"""Every row of the refusal table is complete, fits on the wire, and cannot be abused through its values."""

from __future__ import annotations

import re

import pytest

from mailrelay.model.refusal import REFUSALS, Refusal

ROWS = [pytest.param(row, id=name) for name, row in REFUSALS.items()]

# Names that other rooms, the rule books and the documentation rely on.
RELIED_ON = {
    "try-later", "busy", "too-big", "disk-full", "secret-document", "malware", "policy", "loop", "syntax",
    "bad-line-endings", "auth-required", "auth-failed", "auth-locked", "tls-required", "sender-not-owned",
    "local-sender-without-login", "no-such-recipient", "relay-denied", "too-many-recipients", "too-many-errors",
    "too-many-connections", "slow", "smtputf8-required", "no-valid-recipients", "mailbox-disabled",
    "dangerous-attachment", "no-recipients-left", "structure",
}  # fmt: skip


def test_the_names_that_others_rely_on_are_there() -> None:
    assert RELIED_ON - REFUSALS.keys() == set()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_complete(row: Refusal) -> None:
    assert REFUSALS[row.name] is row
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.page)
    assert 400 <= row.code <= 599
    assert re.fullmatch(r"[45]\.\d{1,3}\.\d{1,3}", row.status)
    assert row.status[0] == str(row.code)[0]  # RFC 2034 section 4: the classes agree
    assert row.is_temporary == (row.code < 500)
    for sentence in (row.vi, row.en, row.remedy_vi, row.remedy_en):
        assert sentence and sentence == sentence.strip()
        assert sentence[-1] in ".;" or sentence.endswith("}")


@pytest.mark.parametrize("row", ROWS)
def test_the_vietnamese_has_its_diacritics_and_the_english_has_none(row: Refusal) -> None:
    assert not row.vi.isascii()
    assert not row.remedy_vi.isascii()
    assert row.en.isascii() and row.remedy_en.isascii()


@pytest.mark.parametrize("row", ROWS)
def test_both_languages_use_the_same_values(row: Refusal) -> None:
    def used(*sentences: str) -> set[str]:
        return set(re.findall(r"{(\w+)}", " ".join(sentences)))

    vietnamese, english = used(row.vi, row.remedy_vi), used(row.en, row.remedy_en)
    assert vietnamese == {name.removesuffix("_en") for name in english}
    assert vietnamese | english == set(row.placeholders)


def test_values_are_filled_in() -> None:
    row = REFUSALS["policy"]
    values = {"reason": "tệp bc.exe", "reason_en": "file bc.exe"}
    assert row.fill(row.en, values) == "Refused by the rules of the province: file bc.exe"
    assert row.fill(row.vi, values) == "Thư CHƯA được gửi: tệp bc.exe"


def test_a_missing_value_leaves_an_ellipsis() -> None:
    row = REFUSALS["no-such-recipient"]
    assert row.fill(row.en, {}) == "No mailbox … here."


def test_a_value_can_neither_end_the_line_nor_reach_into_the_format() -> None:
    row = REFUSALS["no-such-recipient"]
    name = "a\r\n250 OK\u2028\u202e{row.__class__}\0.exe"
    assert row.fill(row.en, {"recipient": name}) == "No mailbox a 250 OK {row.__class__} .exe here."


def test_a_long_value_is_cut() -> None:
    row = REFUSALS["no-such-recipient"]
    assert row.fill(row.en, {"recipient": "x" * 500}) == f"No mailbox {'x' * 159}… here."


def test_a_secret_document_is_refused_without_a_word_of_it() -> None:
    assert REFUSALS["secret-document"].placeholders == frozenset()
