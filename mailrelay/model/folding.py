"""One way to write text for searching: the same on every engine, for what is stored and for what is asked."""

from __future__ import annotations

import unicodedata

# đ is a letter of its own, not a d with a mark. Ð (eth) and Ɖ (African d) look like Đ and stand for it in old files.
_LETTERS = str.maketrans({"đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "ɖ": "d", "Ɖ": "d"})


def fold(text: str) -> str:
    """Return `text` without marks, in lower case, đ as d, runs of white space as one space, none at the ends.

    "Hoà  Bình", "Hòa Bình" (composed or decomposed) and "HOA BINH" all become "hoa binh": where a tone mark is placed no
    longer matters once it is gone. Folding twice changes nothing.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    bare = "".join(letter for letter in unicodedata.normalize("NFD", text) if unicodedata.category(letter) != "Mn")
    return " ".join(unicodedata.normalize("NFC", bare.translate(_LETTERS).casefold()).split())
