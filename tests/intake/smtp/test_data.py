"""Block readers of DATA and BDAT: every cut gives the same content, and only CRLF.CRLF ends it."""

from __future__ import annotations

import asyncio
import errno
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.intake.smtp.data import (
    LINE_LENGTH,
    ChunkStream,
    ConnectionGone,
    ContentWriter,
    DotStream,
    read_chunk,
    read_dotted,
)

PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"..", b"\r\n.", b"xyz"]), max_size=24).map(
    b"".join
)


def _reference(stream: bytes) -> tuple[bytes, bytes] | None:
    """RFC 5321 section 4.5.2, line by line: content and what follows, or None when the end has not come."""
    content = b""
    while b"\r\n" in stream:
        line, stream = stream.split(b"\r\n", 1)
        if line == b".":
            return content, stream
        content += line.removeprefix(b".") + b"\r\n"
    return None


def _cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(edges) if a < b]


def _feed(blocks: list[bytes]) -> tuple[bytes, bytes | None]:
    pieces: list[bytes] = []
    stream = DotStream(pieces.append)
    rest: bytes | None = None
    for block in blocks:
        rest = stream.feed(block) if rest is None else rest + block
    return b"".join(pieces), rest


@pytest.mark.parametrize(
    ("stream", "content", "rest"),
    [
        (b".\r\n", b"", b""),
        (b".\r\nQUIT\r\n", b"", b"QUIT\r\n"),
        (b"a\r\n.\r\n", b"a\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"...\r\n..a\r\n.b\r\n.\r\nMAIL", b"..\r\n.a\r\nb\r\n", b"MAIL"),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"\r\n\r\n..\r\n\r\n.\r\n.\r\n", b"\r\n\r\n.\r\n\r\n", b".\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", b""),
        (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", b""),
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", b""),
        (b"a\r.\r\n.\r\n", b"a\r.\r\n", b""),
        (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", b""),
    ],
)
def test_every_cut_in_two_and_in_single_octets(stream: bytes, content: bytes, rest: bytes) -> None:
    assert _reference(stream) == (content, rest)
    for place in range(len(stream) + 1):
        assert _feed([block for block in (stream[:place], stream[place:]) if block]) == (content, rest)
    assert _feed([stream[i : i + 1] for i in range(len(stream))]) == (content, rest)


@given(PIECES, st.lists(st.integers(0, 200), max_size=8))
def test_any_octets_in_any_cut_agree_with_the_line_reader(octets: bytes, places: list[int]) -> None:
    content, rest = _feed(_cut(octets, places))
    expected = _reference(octets)
    if expected is None:
        assert rest is None
    else:
        assert (content, rest) == expected


@given(
    st.lists(st.sampled_from([b"", b".", b"..", b".a", b"van ban"]), max_size=8),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_what_a_client_stuffs_comes_back(lines: list[bytes], places: list[int]) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    assert _feed(_cut(stuffed + b".\r\nRSET\r\n", places)) == (content, b"RSET\r\n")


@given(PIECES, st.lists(st.integers(0, 200), max_size=8))
def test_chunks_pass_octets_as_they_are(octets: bytes, places: list[int]) -> None:
    pieces: list[bytes] = []
    stream = ChunkStream(pieces.append)
    for block in _cut(octets, places):
        stream.feed(block)
    stream.end()
    assert b"".join(pieces) == octets
    assert not any(a.endswith(b"\r") and b.startswith(b"\n") for a, b in itertools.pairwise(pieces))


def _write(octets: bytes, places: list[int], limit: int = 1 << 20) -> ContentWriter:
    stored: list[bytes] = []
    writer = ContentWriter(stored.append, limit)
    stream = ChunkStream(writer.write)
    for block in _cut(octets, places):
        stream.feed(block)
    stream.end()
    if not writer.refusal:
        assert b"".join(stored) == octets
    return writer


@given(PIECES | st.binary(max_size=40), st.lists(st.integers(0, 200), max_size=8))
def test_bare_line_ends_are_found_in_any_cut(octets: bytes, places: list[int]) -> None:
    without = octets.replace(b"\r\n", b"")
    bare = b"\r" in without.replace(b"", b"") or b"\n" in without or b"\0" in octets
    # removing pairs may bring a CR and an LF together that were both bare
    writer = _write(octets, places)
    assert writer.refusal == ("bad-line-endings" if bare else "")
    assert writer.size == len(octets)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=4), st.lists(st.integers(0, 300_000), max_size=6))
def test_lines_up_to_the_limit_pass_in_any_cut(around: list[int], places: list[int]) -> None:
    lengths = [LINE_LENGTH + n for n in around]
    octets = b"short\r\n".join(b"x" * (length - 2) + b"\r\n" for length in lengths)
    expected = "line-too-long" if max(lengths) > LINE_LENGTH else ""
    assert _write(octets, places).refusal == expected


@pytest.mark.parametrize("size", [1000, LINE_LENGTH * 5])
def test_an_endless_line_is_refused_and_not_stored(size: int) -> None:
    writer = _write(b"x" * size, list(range(0, size, 777)))
    assert writer.refusal == ("line-too-long" if size > LINE_LENGTH else "")


def test_beyond_the_size_only_the_count_goes_on() -> None:
    stored: list[bytes] = []
    writer = ContentWriter(stored.append, 10)
    for _ in range(5):
        writer.write(b"abcd\r\n")
    assert (writer.refusal, writer.size, stored) == ("too-big", 30, [b"abcd\r\n"])


@pytest.mark.parametrize(
    ("number", "refusal"), [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EIO, "try-later")]
)
def test_a_fault_of_the_disk_is_kept_and_writing_stops(number: int, refusal: str) -> None:
    calls = 0

    def write(block: bytes) -> None:
        nonlocal calls
        calls += 1
        raise OSError(number, "no")

    writer = ContentWriter(write, 100)
    writer.write(b"a\r\n")
    writer.write(b"b\r\n")
    assert (writer.refusal, calls) == (refusal, 1)
    assert writer.fault is not None and writer.fault.errno == number


async def test_what_follows_the_data_stays_in_the_reader_in_order() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"a\r\n.\r\nMAIL FROM:<>\r\n")
    pieces: list[bytes] = []
    counted: list[int] = []
    await read_dotted(reader, DotStream(pieces.append), counted.append)
    reader.feed_data(b"QUIT\r\n")
    assert (b"".join(pieces), counted) == (b"a\r\n", [20])
    assert [await reader.readline(), await reader.readline()] == [b"MAIL FROM:<>\r\n", b"QUIT\r\n"]


async def test_a_chunk_takes_exactly_its_octets() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"abc\r\nQUIT\r\n")
    pieces: list[bytes] = []
    await read_chunk(reader, 5, ChunkStream(pieces.append), lambda _: None)
    assert (b"".join(pieces), await reader.readline()) == (b"abc\r\n", b"QUIT\r\n")


async def test_a_client_that_hangs_up_within_the_content_is_gone() -> None:
    for read in (
        lambda reader: read_dotted(reader, DotStream(lambda _: None), lambda _: None),
        lambda reader: read_chunk(reader, 100, ChunkStream(lambda _: None), lambda _: None),
    ):
        reader = asyncio.StreamReader()
        reader.feed_data(b"abc\r\n")
        reader.feed_eof()
        with pytest.raises(ConnectionGone):
            await read(reader)
