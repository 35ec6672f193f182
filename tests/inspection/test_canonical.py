"""Canonical header fields and tag lists: to the octet what dkimpy makes of the same mail."""

from __future__ import annotations

import dkim
import pytest
from dkim.canonicalization import CanonicalizationPolicy
from dkim.util import InvalidTagValueList, parse_tag_value
from hypothesis import example, given
from hypothesis import strategies as st

from mailrelay.inspection.authentication import canonical
from mailrelay.inspection.fields import split

NAMES = ("From", "to", "SUBJECT", "X-b", "DKIM-Signature")
BLANKS = (b" ", b"  ", b"\t", b"\r\n ", b"\r\n\t", b"\x0b")
PIECES = (*BLANKS, b"\r", b"a", b"B", b":", b";", b"=", b"\xc3\xa0")
VALUES = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8)
# Tags whose values are base64 and blanks, for of what is foul dkimpy leaves a part: such a signature is refused before.
OWN = st.lists(
    st.sampled_from((*BLANKS, b"v=", b"b=", b"\r\n b =", b";", b";b=", b"a+/", b"b", b"==")), max_size=16
).map(b"".join)


class _Hashed(list[bytes]):
    """What dkimpy would hash."""

    update = list.append


def whole(name: str, value: bytes) -> bytes:
    """A field as it is received: a line that holds nothing but blanks ends no field, it breaks the header."""
    lines = value.split(b"\r\n")
    return name.encode() + b":" + b"\r\n".join([lines[0], *(line for line in lines[1:] if line.strip())]) + b"\r\n"


@given(FIELDS, OWN, st.lists(st.sampled_from([name.lower() for name in NAMES]), max_size=8), st.booleans())
@example([("From", b" a"), ("From", b" b")], b" v=1;\r\n b=abc\r\n d;c=d", ["from", "from", "from"], True)
@example([("From", b" a")], b" h=from; b=  abc=\r\n\t ", ["from"], False)
@example([("From", b" a")], b" b=a;b=b; b=c", ["from"], False)
def test_what_is_hashed_is_what_dkimpy_hashes(
    fields: list[tuple[str, bytes]], own: bytes, names: list[str], relaxed: bool
) -> None:
    raw = b"".join(whole(name, value) for name, value in (*fields, ("ARC-Own", own)))
    block = split(raw + b"\r\n", 0, 100)
    assert not block.broken
    policy = CanonicalizationPolicy.from_c_value(b"relaxed" if relaxed else b"simple")
    headers, _ = dkim.rfc822_parse(raw + b"\r\n")
    hashed = _Hashed()
    covered = policy.canonicalize_headers(headers[:-1])
    dkim.hash_headers(hashed, policy, covered, [name.encode() for name in names], headers[-1], {})
    assert canonical.covered(block, names, block.fields[-1], relaxed=relaxed) == b"".join(hashed)


def test_a_name_with_a_blank_before_the_colon_is_another_name_in_simple_form() -> None:
    block = split(b"From : a\r\nARC-Own: b=c\r\n\r\n", 0, 10)
    assert canonical.covered(block, ["from"], block.fields[-1], relaxed=False) == b"ARC-Own: b="
    assert canonical.covered(block, ["from"], block.fields[-1], relaxed=True) == b"from:a\r\narc-own:b="


@pytest.mark.parametrize("value", [b" a\n b\n", b" a\r\n b", b" a\r\n b\r\n"])
def test_lines_are_hashed_with_crlf_however_they_ended(value: bytes) -> None:
    assert canonical.with_crlf(value) == b" a\r\n b\r\n"


@given(
    st.lists(st.sampled_from((b"a", b"b", b"=", b";", b" ", b"\r\n\t", b"1", b"_", b"\xff", b"x=y")), max_size=12).map(
        b"".join
    )
)
def test_tag_lists_are_read_as_dkimpy_reads_them(value: bytes) -> None:
    try:
        expected = parse_tag_value(value)
    except InvalidTagValueList:
        with pytest.raises(ValueError, match="tag list"):
            canonical.tag_list(value)
    else:
        assert canonical.tag_list(value) == expected
