"""A certification authority's web server on loopback: its revocation list, its OCSP responder, and every way to misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.x509.ocsp import load_der_ocsp_request


class Authority:
    """`crl` is what stands at /ca.crl; `ocsp` answers a serial number; `asked` keeps the paths in order."""

    def __init__(self) -> None:
        self.crl: bytes | None = None
        self.ocsp: Callable[[int], bytes] | None = None
        self.asked: list[str] = []
        self.pause = 0.0  # seconds between two octets
        self.moved_to = ""
        self.port = 0

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def serving() -> Iterator[Authority]:
    authority = Authority()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Be quiet."""

        def do_GET(self) -> None:
            self._answer(authority.crl)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            serial = load_der_ocsp_request(body).serial_number
            self._answer(authority.ocsp(serial) if authority.ocsp is not None else None)

        def _answer(self, data: bytes | None) -> None:
            authority.asked.append(self.path)
            if authority.moved_to:
                self.send_response(302)
                self.send_header("Location", authority.moved_to)
                self.end_headers()
                return
            self.send_response(200 if data is not None else 404)
            self.end_headers()
            try:
                self._write(data or b"")
            except OSError:
                return  # the other side has had enough

        def _write(self, data: bytes) -> None:
            if not authority.pause:
                self.wfile.write(data)
                return
            for octet in data:
                self.wfile.write(bytes((octet,)))
                self.wfile.flush()
                time.sleep(authority.pause)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    authority.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
