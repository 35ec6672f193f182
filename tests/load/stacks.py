"""What is measured: our service in an office that relays everything to the sink, and the yardsticks beside it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from mailrelay.cli.demo import outside
from tests.crash.evidence import OPEN
from tests.load.mails import DOMAIN
from tests.load.traffic import Entrance
from tests.servers.dns import DnsServer
from tests.servers.postfix import Postfix
from tests.servers.process import Child, free_port
from tests.servers.relay import Relay

_DROP = Path(__file__).with_name("drop.py")
_ROOT = Path(__file__).resolve().parents[2]


class Stack:
    """`with Stack(sink_port) as stack:` starts it. `pids` are the roots of its process trees."""

    name = ""
    relays = True  # whether mails come out at the sink
    logins = False

    def __init__(self, sink_port: int) -> None:
        self._sink_port = sink_port
        self._exits = ExitStack()
        self.port = 0
        self.pids: tuple[int, ...] = ()

    def __enter__(self) -> Stack:
        with self._exits:
            self._start()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _start(self) -> None:
        raise NotImplementedError

    def entrance(self, *, login: bool = False) -> Entrance:
        return Entrance(self.port)

    async def rest(self) -> None:
        """Wait until nothing is left to do, the notices included."""


class Bare(Stack):
    name, relays = "aiosmtpd", False

    def _start(self) -> None:
        self.port = free_port()
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="mailrelay-load-")))
        child = Child([sys.executable, _DROP, str(self.port)], folder / "log")
        self._exits.callback(child.stop)
        child.wait_port(self.port)
        self.pids = (child.pid,)


class Door(Stack):
    """Our SMTP door alone: it writes what comes into spool files and answers. What bare aiosmtpd is to be compared with."""

    name, relays = "the door alone", False

    def _start(self) -> None:
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="mailrelay-load-")))
        command = [sys.executable, "-m", "tests.load.door", str(folder / "spool")]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
        self._exits.callback(child.wait, 10)
        self._exits.callback(child.terminate)
        assert child.stdout is not None
        self.port = int(child.stdout.readline())
        self.pids = (child.pid,)


class Peer(Stack):
    """Postfix with its own durable queue and no checks, everything relayed to the sink."""

    name = "Postfix"

    def _start(self) -> None:
        settings = {"in_flow_delay": "0", "smtp_tls_security_level": "none"}
        postfix = self._exits.enter_context(Postfix(relay_to=self._sink_port, settings=settings))
        self.port = postfix.port
        self.pids = (int((postfix.folder / "queue" / "pid" / "master.pid").read_text()),)


class Ours(Stack):
    """The whole job: TLS, spool, DNS, checks, books, log, queue, notices. Mailboxes are delivered to the sink."""

    name, logins = "mailrelay", True

    def __init__(self, sink_port: int, key: rsa.RSAPrivateKey) -> None:
        super().__init__(sink_port)
        self._key = key

    def _start(self) -> None:
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="mailrelay-load-")))
        zone = {name: {"TXT": [text]} for name, text in outside.ministry_records(self._key).items()}
        names = self._exits.enter_context(DnsServer(zone))
        self._relay = Relay(folder, name_server=names.port)
        self._exits.callback(self._relay.close)
        deliver_everything(folder, self._sink_port)
        self._relay.start()
        self.port = self._relay.address("mx")[1]
        self.pids = (self._relay.child.pid,)

    def entrance(self, *, login: bool = False) -> Entrance:
        if not login:
            return Entrance(self.port)
        return Entrance(self._relay.address("submissions")[1], f"sotc@{DOMAIN}", self._relay.stage.password)

    async def rest(self) -> None:
        while await asyncio.to_thread(self._relay.rows, OPEN) != [(0,)]:
            await asyncio.sleep(0.1)


def deliver_everything(office: Path, port: int) -> None:
    """Have every mailbox of an office delivered to the sink instead of to its own target."""
    file = office / "mailboxes.yaml"
    target = f'"smtp://127.0.0.1:{port}?tls=none"'
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"deliver: *(?:\"[^\"]*\"|[\w-]+)", f"deliver: {target}", text), encoding="utf-8")
