"""The bytes of a mail as they are sent on: prefix, cuts, blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.delivery.content import blocks, blocks_of, has_ascii_header, rendered_size
from mailrelay.model.message import Rendering

MAIL = bytes(range(97, 123)) * 2


@st.composite
def renderings(draw: st.DrawFn) -> Rendering:
    edges = sorted(draw(st.lists(st.integers(0, len(MAIL)), max_size=6, unique=True)))
    return Rendering(draw(st.binary(max_size=5)), tuple(zip(edges[::2], edges[1::2], strict=False)))


@given(renderings(), st.integers(1, 60))
def test_any_cuts_in_any_blocks(rendering: Rendering, block: int) -> None:
    expected = rendering.prefix + bytes(
        byte for at, byte in enumerate(MAIL) if not any(start <= at < end for start, end in rendering.cuts)
    )
    pieces = list(blocks_of(MAIL, rendering, block))
    assert b"".join(pieces) == expected
    assert rendered_size(len(MAIL), rendering) == len(expected)
    assert all(len(piece) <= block + len(rendering.prefix) for piece in pieces)


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(MAIL)
    assert b"".join(blocks(path, Rendering(b"P", ((0, 26),)), b"Q", 7)) == b"QP" + MAIL[26:]
    path.write_bytes(b"")
    assert list(blocks(path, Rendering(b"P"))) == [b"P"]
    assert list(blocks(path)) == []
    path.unlink()
    with pytest.raises(FileNotFoundError):
        list(blocks(path))


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        (b"A: b\r\n\r\n\xff", True),
        (b"A: \xc3\xa1\r\n\r\nx", False),
        (b"A: b\r\n", True),
        (b"A: \xff", False),
        (b"x" * 600_000 + b"\r\n\r\n\xff", True),
    ],
)
def test_ascii_header(tmp_path: Path, mail: bytes, expected: bool) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(mail)
    assert has_ascii_header(path, Rendering()) is expected
    assert has_ascii_header(path, Rendering("X: á\r\n".encode())) is False
