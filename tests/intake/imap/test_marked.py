"""What a marked mail holds, for the comparison with what we sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mailrelay.intake.imap import marked as module
from mailrelay.intake.imap.heading import read_heading
from mailrelay.intake.imap.marked import read_marked

MAIL_ID = "01JD2M3N4P5Q6R7S8T9V0W1X2Y"
HEAD = f"X-Mailrelay-Id: {MAIL_ID}\r\nMessage-ID: <1@x.vn>\r\n\r\n".encode()


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("body", [b"", b"x", b"\r", b"\n", b"\r\n", b"x\r\n", b"line\r\nline\r\n\r\n", b"abcdefg"])
def test_the_body_with_and_without_its_last_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, step: int
) -> None:
    monkeypatch.setattr(module, "_STEP", step)
    path = tmp_path / "mail"
    path.write_bytes(HEAD + body)
    found = read_marked(read_heading(HEAD + body), path)
    assert found is not None
    assert (found.mail_ids, found.message_id) == ((MAIL_ID,), "<1@x.vn>")
    assert found.body_digests == {digest(body)} | ({digest(body[:-2])} if body.endswith(b"\r\n") else set())


@pytest.mark.parametrize(
    "raw",
    [
        b"Message-ID: <1@x.vn>\r\n\r\nno mark",
        f"X-Mailrelay-Id: {MAIL_ID}\r\nMessage-ID: <1@x.vn>\r\nX-Long: the header does not end here".encode(),
    ],
)
def test_a_claim_that_cannot_be_compared_is_none(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "mail"
    path.write_bytes(raw)
    assert read_marked(read_heading(raw), path) is None


def test_a_header_ended_by_a_line_that_is_no_field(tmp_path: Path) -> None:
    """There the body begins, as inspection has it."""
    raw = HEAD[:-2] + b"no field\r\nbody\r\n"
    path = tmp_path / "mail"
    path.write_bytes(raw)
    found = read_marked(read_heading(raw), path)
    assert found is not None and digest(b"no field\r\nbody\r\n") in found.body_digests
