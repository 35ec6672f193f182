"""Reads and plays SMTP dialogs: small text files with a clause at their head, spoken over a real socket.

Head:  `# clause: …`, `# shows: …`, `# on: mx submission …`, and for the comparison `# postfix: same` or `# postfix: WHY`.
Lines: `C: text` sends text and CRLF; `C> text` sends it alone, with escapes as in Python (`\\r\\n`, `\\x00`);
       `S: regex` one whole reply, its lines joined by a line feed, matched from its start;
       `TLS text` STARTTLS and the handshake, with text (escapes as above) in the same packet as the command;
       `LOGIN` authenticates; `EOF` closes the client's side; `CLOSED` the door has closed; `WAIT seconds`;
       `MAILS n` so many mails were accepted; `BYTES text` the last one's content; `GREETING` reads the greeting;
       `BEGIN` greeting and EHLO, on the doors with login TLS and LOGIN too.
`{sender}`, `{local}`, `{other}`, `{outside}` stand for addresses that fit the door.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailrelay.model.envelope import Door

FOLDER = Path(__file__).parent
_HEAD = re.compile(r"# (clause|shows|on|postfix): (.+)")
_ADDRESSES = {
    "local": "vanthu.stc@hoabinh.gov.vn",
    "other": "vanthu.syt@hoabinh.gov.vn",
    "outside": "ai@example.vn",
}


@dataclass(frozen=True)
class Dialog:
    name: str
    clause: str
    shows: str
    doors: tuple[Door, ...]
    postfix: str
    steps: tuple[tuple[str, str], ...]


def read_dialog(path: Path) -> Dialog:
    """Read one dialog file; ValueError for a line that is none."""
    head: dict[str, str] = {}
    steps: list[tuple[str, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        found = _HEAD.fullmatch(line)
        if found:
            head[found[1]] = found[2]
        elif line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            if word not in {
                "C:",
                "C>",
                "S:",
                "TLS",
                "LOGIN",
                "EOF",
                "CLOSED",
                "WAIT",
                "MAILS",
                "BYTES",
                "BEGIN",
                "GREETING",
            }:
                raise ValueError(f"{path.name}: no step: {line}")
            steps.append((word, rest))
    doors = tuple(Door(name) for name in head["on"].split())
    return Dialog(path.stem, head["clause"], head["shows"], doors, head.get("postfix", ""), tuple(steps))


def dialogs() -> list[Dialog]:
    return [read_dialog(path) for path in sorted(FOLDER.glob("*.txt"))]


def _raw(text: str) -> bytes:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


class Stage:
    """Plays one dialog with a connected client; `match` judges a reply against what the dialog expects."""

    def __init__(self, client: Any, door: Door, recorder: Any) -> None:
        self.client, self.door, self.recorder = client, door, recorder
        self.with_login = door in (Door.SUBMISSION, Door.SUBMISSIONS)
        sender = "nam.stc@hoabinh.gov.vn" if self.with_login else _ADDRESSES["outside"]
        self.names = {**_ADDRESSES, "sender": sender, "hello": "LHLO" if door is Door.LMTP else "EHLO"}

    def match(self, expected: str, reply: str) -> None:
        assert re.match(expected, reply, re.DOTALL), f"expected {expected!r}, got {reply!r}"

    def _filled(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace("{" + name + "}", value)
        return text

    async def play(self, dialog: Dialog) -> None:
        for word, rest in dialog.steps:
            await self._step(word, rest)

    async def _step(self, word: str, rest: str) -> None:
        match word:
            case "C:":
                await self.client.send(self._filled(rest).encode() + b"\r\n")
            case "C>":
                await self.client.send(_raw(self._filled(rest)))
            case "S:":
                self.match(rest, await self.client.reply())
            case "GREETING":
                self.match("220 ", await self.client.reply())
            case "BEGIN":
                await self.begin()
            case "TLS":
                await self.client.starttls(_raw(rest))
            case "LOGIN":
                self.match("235 ", await self.client.login())
            case "MAILS" | "BYTES":
                self.inspect(word, rest)
            case _:
                await self._wait(word, rest)

    async def _wait(self, word: str, rest: str) -> None:
        if word == "EOF":
            self.client.writer.write_eof()
        elif word == "CLOSED":
            assert await self.client.reply() == ""
        else:
            await asyncio.sleep(float(rest))

    def inspect(self, word: str, rest: str) -> None:
        if word == "MAILS":
            assert len(self.recorder.mails) == int(rest)
        else:
            assert self.recorder.mails[-1][1] == _raw(rest)

    async def begin(self) -> None:
        self.match("220 ", await self.client.reply())
        hello = f"{self.names['hello']} may.example"
        self.match("250", await self.client.ask(hello))
        if self.door is Door.SUBMISSION:
            await self.client.starttls()
            self.match("250", await self.client.ask(hello))
        if self.with_login:
            self.match("235 ", await self.client.login())
