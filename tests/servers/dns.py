"""A loopback name server that answers from a zone in memory, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[str, Mapping[str, Sequence[str]]]


def _quoted(text: str) -> str:
    """A TXT value of any length as quoted strings of at most 255 bytes, in zone-file form."""
    raw = text.encode()
    pieces = [raw[start : start + 255] for start in range(0, len(raw), 255)] or [b""]
    return " ".join('"' + "".join(f"\\{byte:03d}" for byte in piece) + '"' for piece in pieces)


class DnsServer:
    """`with DnsServer({"a.test": {"TXT": ["v=spf1 -all"]}}) as server:` listens on UDP and TCP `server.port`.

    Names without an entry are NXDOMAIN; a type "SERVFAIL" at a name makes every question for it fail; a type "SILENCE" gives
    no answer at all. `questions` records what was asked, as (name, type).
    """

    def __init__(self, zone: Zone) -> None:
        self._zone = {dns.name.from_text(name): dict(records) for name, records in zone.items()}
        self.questions: list[tuple[str, str]] = []
        self.port = 0
        self._stopping = threading.Event()

    def put(self, name: str, kind: str, *values: str) -> None:
        """Set the records of one type at a name."""
        self._zone.setdefault(dns.name.from_text(name), {})[kind] = values

    def __enter__(self) -> DnsServer:
        self._udp, self._tcp = self._bind()
        for sock in (self._udp, self._tcp):
            sock.settimeout(0.1)
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)
        self._udp.close()
        self._tcp.close()

    def _bind(self) -> tuple[socket.socket, socket.socket]:
        """The same port for UDP and TCP: the kernel chooses the first, the second may be taken, so try again."""
        for _ in range(20):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            udp.bind(("127.0.0.1", 0))
            self.port = udp.getsockname()[1]
            try:
                tcp.bind(("127.0.0.1", self.port))
                tcp.listen(8)
            except OSError:
                udp.close()
                tcp.close()
                continue
            return udp, tcp
        raise OSError("no port is free for UDP and TCP alike")

    def _answer(self, wire: bytes, *, datagram: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append((question.name.to_text(omit_final_dot=True), kind))
        response = dns.message.make_response(query, recursion_available=True)
        records = self._zone.get(question.name)
        if records is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif "SILENCE" in records:
            return None
        elif "SERVFAIL" in records:
            response.set_rcode(dns.rcode.SERVFAIL)
        else:
            self._fill(response, question.name, records, kind)
        limit = max(query.payload, 512) if datagram else 65535
        full = response.to_wire(max_size=65535)
        if len(full) <= limit:
            return full
        short = dns.message.make_response(query, recursion_available=True)
        short.flags |= dns.flags.TC
        return short.to_wire()

    def _fill(
        self, response: dns.message.Message, name: dns.name.Name, records: Mapping[str, Sequence[str]], kind: str
    ) -> None:
        for alias in records.get("CNAME", ()):
            response.answer.append(dns.rrset.from_text(name, 300, "IN", "CNAME", alias))
            name = dns.name.from_text(alias)
            records = self._zone.get(name, {})
        values = [_quoted(value) if kind == "TXT" else value for value in records.get(kind, ())]
        if values:
            response.answer.append(dns.rrset.from_text(name, 300, "IN", kind, *values))

    def _serve_udp(self) -> None:
        while not self._stopping.is_set():
            try:
                wire, peer = self._udp.recvfrom(65535)
            except TimeoutError:
                continue
            answer = self._answer(wire, datagram=True)
            if answer is not None:
                self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._tcp.accept()
            except TimeoutError:
                continue
            with client, client.makefile("rb") as incoming:
                client.settimeout(2)
                length = int.from_bytes(incoming.read(2), "big")
                answer = self._answer(incoming.read(length), datagram=False)
                if answer is not None:
                    client.sendall(len(answer).to_bytes(2, "big") + answer)
