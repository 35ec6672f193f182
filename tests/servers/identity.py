"""A double for an identity provider (RFC 6749, RFC 7662): a token endpoint over TLS, an introspection for Dovecot in clear text."""

from __future__ import annotations

import json
import secrets
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs

from tests.servers.certificates import Pair
from tests.servers.process import LOOPBACK

CLIENT, CLIENT_SECRET = "mailrelay-client", "rất bí mật"


class IdentityServer:
    """`with IdentityServer(pair) as identity:`. `user` is whom every token is for; tests change what it does by its attributes."""

    def __init__(self, pair: Pair) -> None:
        self.user = ""
        self.lifetime = 3600
        self.rotates = False  # each answer brings a new refresh token and revokes the old one
        self.refresh_tokens = {"refresh-0"}
        self.access_tokens: set[str] = set()
        self.asked: list[dict[str, str]] = []  # forms at the token endpoint
        self.looked_up: list[bool] = []  # whether each token that Dovecot asked about was good
        self._servers = (self._serve(None), self._serve(pair))

    @property
    def introspection(self) -> str:
        return f"http://{LOOPBACK}:{self._servers[0].server_port}/introspect"

    @property
    def endpoint(self) -> str:
        return f"https://localhost:{self._servers[1].server_port}/token"

    def __enter__(self) -> IdentityServer:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def grant(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        self.asked.append(form)
        if form.get("client_id") != CLIENT or form.get("client_secret") != CLIENT_SECRET:
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") not in self.refresh_tokens:
            return 400, {"error": "invalid_grant", "error_description": f"{form.get('refresh_token')} is not known"}
        token = f"access-{secrets.token_urlsafe(40)}"
        self.access_tokens.add(token)
        answer: dict[str, object] = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        if self.rotates:
            renewed = f"refresh-{secrets.token_urlsafe(20)}"
            self.refresh_tokens = {renewed}
            answer["refresh_token"] = renewed
        return 200, answer

    def introspect(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        good = form.get("token") in self.access_tokens
        self.looked_up.append(good)
        return 200, {"active": good, "username": self.user} if good else {"active": False}

    def _serve(self, pair: Pair | None) -> ThreadingHTTPServer:
        identity = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(text).items()}
                act = identity.grant if self.path == "/token" and pair else identity.introspect
                status, answer = act(form)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: tokens would stand in the tests' output."""

        server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        return server
