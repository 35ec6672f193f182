"""A client that says anything in any order: no fault of ours shows, no accepted mail is lost or changed, no draft is left."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.envelope import Door
from tests.intake.smtp.office import opened

_LIMITS = Limits(
    error_delay=datetime.timedelta(0),
    size=5000,
    recipients=5,
    errors=200,
    idle_commands=200,
    auth_delay=datetime.timedelta(0),
)
_LINES = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"thu", b"x" * 300]), max_size=5)
_RAW = st.binary(max_size=60) | st.sampled_from(
    [
        b"RSET\r\n", b"NOOP\n", b"BDAT 3 LAST\r\n", b"DATA\r\n", b"\r\n", b"MAIL FROM:<>\r\n", b"EHLO x\r\n",
        b"QUIT\r\nNOOP\r\n", b"\xff\r\n", b"STARTTLS\r\n",
    ]
)  # fmt: skip


class Hostile(RuleBasedStateMachine):
    """Knows what must have been accepted, and lets the door be wrong about nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()
        self._stack = contextlib.AsyncExitStack()
        self._faults: list[Any] = []
        self._loop.set_exception_handler(lambda _, context: self._faults.append(context))
        office = opened(Path(self._folder.name) / "drafts", None, limits=_LIMITS, doors=(Door.MX,))  # type: ignore[arg-type]
        self.office = self._run(self._stack.enter_async_context(office))
        self.expected: list[bytes] = []
        self.promised = 0
        self.client = self._run(self.office.connect())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(work, 20))

    def _ask(self, octets: bytes) -> str:
        async def ask() -> str:
            with contextlib.suppress(ConnectionError):
                await self.client.send(octets)
                reply: str = await self.client.reply()
                return reply
            return ""

        reply: str = self._run(ask())
        assert not reply or reply[:3].isdigit()
        assert "451" not in reply[:3] and "Error" not in reply
        self.promised += reply.startswith("250 2.0.0 0000")
        return reply

    def _renew(self) -> None:
        self._run(self.client.close())
        self.client = self._run(self.office.connect())

    @rule(lines=_LINES, chunked=st.booleans(), ending=st.sampled_from([b"\r\n", b"\n", b"\r", b"\0\r\n"]))
    def send_a_mail(self, lines: list[bytes], chunked: bool, ending: bytes) -> None:
        self._ask(b"RSET\r\n")
        self._ask(b"MAIL FROM:<a@example.vn>\r\n")
        if not self._ask(b"RCPT TO:<vanthu.stc@hoabinh.gov.vn>\r\n").startswith("250"):
            self._renew()
            return
        content = b"".join(line + b"\r\n" for line in lines[:-1]) + b"".join(line + ending for line in lines[-1:])
        if chunked:
            half = len(content) // 2
            reply = self._ask(b"BDAT %d\r\n%s" % (half, content[:half]))
            reply = self._ask(b"BDAT %d LAST\r\n%s" % (len(content) - half, content[half:]))
        else:
            self._ask(b"DATA\r\n")
            stuffed = b"\r\n" + content
            stuffed = stuffed.replace(b"\r\n.", b"\r\n..")[2:]
            tail = b".\r\n" if not content or content.endswith(b"\r\n") else b"\r\n.\r\n"
            content += b"" if tail == b".\r\n" else b"\r\n"
            reply = self._ask(stuffed + tail)
        clean = content.replace(b"\r\n", b"")
        if not set(clean) & {0, 10, 13}:
            assert reply.startswith("250 2.0.0 0000"), reply
            self.expected.append(content)
        else:
            assert reply.startswith("550-5.6.11"), reply

    @rule(raw=st.lists(_RAW, max_size=4))
    def say_anything_and_hang_up(self, raw: list[bytes]) -> None:
        async def say() -> None:
            with contextlib.suppress(ConnectionError):
                await self.client.send(b"".join(raw))
                self.client.writer.write_eof()
                while reply := await self.client.reply():
                    assert not reply.startswith("451") and "Error" not in reply
                    self.promised += reply.startswith("250 2.0.0 0000")

        self._run(say())
        self._renew()

    @rule(raw=_RAW)
    def break_off(self, raw: bytes) -> None:
        async def break_off() -> None:
            await self.client.send(b"MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n" + raw.replace(b".", b""))
            self.client.writer.transport.abort()
            await asyncio.sleep(0.005)

        self._run(break_off())
        self.client = self._run(self.office.connect())

    @precondition(lambda self: self.expected)
    @invariant()
    def every_mail_is_there_as_it_was_sent(self) -> None:
        contents = [content for _, content in self.office.recorder.mails]
        remaining = iter(contents)
        assert all(mail in remaining for mail in self.expected)  # in order, among what raw octets may have sent
        assert len(contents) >= self.promised

    def teardown(self) -> None:
        self._run(self.client.close())
        self._run(asyncio.sleep(0.01))
        self._run(self._stack.aclose())
        left = self.office.recorder.left
        self._loop.close()
        self._folder.cleanup()
        assert (left, self._faults) == ([], [])


Hostile.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestHostile = Hostile.TestCase
