"""One way to write text for searching: the same on every engine, for what is stored and for what is asked."""

from __future__ import annotations

import unicodedata


class _Bare(dict[int, int | None]):
    """What becomes of each letter of decomposed text: marks go, all others stay. Filled as letters come by."""

    def __missing__(self, code: int) -> int | None:
        bare = None if unicodedata.category(chr(code)) == "Mn" else code
        if code < _REMEMBERED:
            self[code] = bare
        return bare


_REMEMBERED = 0x3000  # the scripts of our mails; a hostile mail cannot make the table grow beyond
# đ is a letter of its own, not a d with a mark. Ð (eth) and Ɖ (African d) look like Đ and stand for it in old files.
_BARE = _Bare({ord(letter): ord("d") for letter in "đĐðÐɖƉ"})


def fold(text: str) -> str:
    """Return `text` without marks, in lower case, đ as d, runs of white space as one space, none at the ends.

    "Hoà  Bình", "Hòa Bình" (composed or decomposed) and "HOA BINH" all become "hoa binh": where a tone mark is placed no
    longer matters once it is gone. Folding twice changes nothing.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    bare = unicodedata.normalize("NFD", text).translate(_BARE)
    return " ".join(unicodedata.normalize("NFC", bare.casefold()).split())
