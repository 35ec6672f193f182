"""fold(): the same answer for every spelling."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.model.folding import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Hòa Bình", "hoa binh"),
        ("Hoà Bình", "hoa binh"),
        ("HOÀ BÌNH", "hoa binh"),
        ("Đường, đổ đầy", "duong, do day"),
        ("Ðà Bắc", "da bac"),  # eth in place of Đ
        ("Ứng dụng văn bản điện tử", "ung dung van ban dien tu"),
        ("  59/KH-UBND \t về\u00a0 việc\n", "59/kh-ubnd ve viec"),
        ("Straße İstanbul", "strasse istanbul"),
        ("", ""),
        (" ", ""),
        ("ASCII only", "ascii only"),
    ],
)
def test_examples(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.sampled_from(["NFC", "NFD"]))
def test_the_form_of_composition_does_not_matter(text: str, form: str) -> None:
    assert fold(unicodedata.normalize(form, text)) == fold(text)


@given(st.text(st.sampled_from("aăâeêioôơuưyđ") | st.sampled_from("\u0300\u0301\u0303\u0309\u0323 ")))
def test_marks_and_case_do_not_matter(text: str) -> None:
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn").replace("đ", "d")
    assert fold(text) == fold(text.upper()) == " ".join(bare.split())


@given(st.text())
def test_there_is_no_white_space_but_single_spaces(text: str) -> None:
    assert fold(text) == " ".join(fold(text).split())


@given(st.text(), st.text())
def test_words_may_be_folded_apart(first: str, second: str) -> None:
    assert fold(f"{first} {second}") == " ".join(filter(None, (fold(first), fold(second))))
