"""What the door relies on in aiosmtpd and in asyncio without its being promised. A failure names what changed."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from mailrelay.intake.smtp import stream
from mailrelay.intake.smtp.conversation import Conversation
from mailrelay.intake.smtp.session import Session
from mailrelay.model.envelope import Door

OVERRIDDEN = [
    "connection_made", "connection_lost", "eof_received", "push", "_timeout_cb", "_handle_client", "_set_rset_state",
    "smtp_HELO", "smtp_EHLO", "smtp_STARTTLS", "smtp_AUTH", "smtp_MAIL", "smtp_RCPT", "smtp_DATA", "smtp_RSET",
    "smtp_NOOP", "smtp_QUIT", "smtp_VRFY", "smtp_EXPN", "smtp_HELP",
]  # fmt: skip


def test_the_version_is_the_one_that_was_read() -> None:
    assert importlib.metadata.version("aiosmtpd").startswith("1.4.")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_we_override_is_still_there(name: str) -> None:
    assert name in vars(SMTP)
    assert getattr(Session, name) is not getattr(SMTP, name)


def test_no_verb_of_the_parent_is_left_to_it() -> None:
    """A verb that a new version brings would answer with texts and codes outside our refusal table."""
    verbs = {name for name in dir(SMTP) if name.startswith("smtp_")}
    assert verbs == {name for name in OVERRIDDEN if name.startswith("smtp_")}


def test_the_constructor_takes_what_we_give() -> None:
    parameters = inspect.signature(SMTP.__init__).parameters
    assert {"handler", "hostname", "timeout", "data_size_limit", "enable_SMTPUTF8", "loop"} <= parameters.keys()


async def _session(office: Any) -> tuple[Session, Any]:
    client = await office.connect(Door.SUBMISSION)
    (session,) = office.door._sessions
    return session, client


async def test_a_connection_has_the_parts_we_touch(office: Any) -> None:
    session, _ = await _session(office)
    assert isinstance(session, Conversation)
    assert isinstance(session._reader, asyncio.StreamReader)
    assert isinstance(session._writer, asyncio.StreamWriter)
    assert isinstance(session._handler_coroutine, asyncio.Task)
    assert isinstance(session._timeout_handle, asyncio.TimerHandle)
    assert session._tls_protocol is None and session._original_transport is None
    assert session.session is not None and session.transport is not None
    assert session._smtp_methods["MAIL"] == session.smtp_MAIL


async def test_the_timer_is_armed_anew_and_calls_back(office: Any) -> None:
    session, client = await _session(office)
    before = session._timeout_handle
    session._reset_timeout(0.01)
    assert before is not None and before.cancelled() and session._timeout_handle is not before
    assert (await client.reply()).startswith("421-4.4.2")


async def test_after_starttls_the_parent_has_swapped_the_transport_and_forgotten_all(office: Any) -> None:
    session, client = await _session(office)
    reader, old = session._reader, session.transport
    await client.starttls()
    assert (await client.ask("NOOP")).startswith("250")
    assert session._reader is reader and session._original_transport is old
    assert session.transport is not None and session.transport is session._writer._transport
    assert session.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert session._greeted == ""


async def test_the_private_parts_of_a_stream_reader() -> None:
    reader = asyncio.StreamReader(limit=10)
    reader.feed_data(b"two\r\n")
    stream.put_back(reader, b"one\r\n")
    assert stream.has_line(reader)
    assert await reader.readline() == b"one\r\n"
    assert stream.take_all(reader) == b"two\r\n"
    assert not stream.has_line(reader)

    class Transport(asyncio.Transport):
        paused = False

        def pause_reading(self) -> None:
            self.paused = True

        def resume_reading(self) -> None:
            self.paused = False

    transport = Transport()
    reader.set_transport(transport)
    stream.set_limit(reader, 1000)
    reader.feed_data(b"x" * 1999)
    assert not transport.paused
    reader.feed_data(b"xx")
    assert transport.paused
    await reader.read(1500)
    assert not transport.paused


def test_the_line_limit_becomes_the_limit_of_the_reader() -> None:
    source = inspect.getsource(SMTP.__init__)
    assert "limit=self.line_length_limit" in source
