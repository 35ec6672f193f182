"""The daemon's own door for the command line: JSON lines over a Unix socket that only its owner may open (0600).

One request `{"verb": …, …}`, one answer `{"ok": true, "result": …}` or `{"ok": false, "error": …}`. It knows verbs, not
rules: each verb is one act of the desk.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mailrelay.model.faults import Fault
from mailrelay.telemetry import log

Verb = Callable[[Mapping[str, Any]], Awaitable[Any]]

_LONGEST = 512 * 1024  # octets of one request: a file of keys fits in


class ControlDoor:
    """Serves the verbs that it is given at a socket path."""

    def __init__(self, path: Path, verbs: Mapping[str, Verb]) -> None:
        self._path = path
        self._verbs = verbs
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()  # a left-over of a killed daemon: the data lock is ours by now
        sock = socket.socket(socket.AF_UNIX)
        try:
            os.fchmod(sock.fileno(), 0o600)  # Linux gives it to the name with which it is made
            sock.bind(str(self._path))
        except BaseException:
            sock.close()
            raise
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=_LONGEST)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with suppress(OSError):  # what a sick disk keeps is a left-over for the next start
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(60):
                line = await reader.readline()
                answer = await self._answer(line)
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass  # a caller that hangs up or writes too long a line gets no answer
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            verb = self._verbs[request.pop("verb")]
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return {"ok": False, "error": "Lệnh không hợp lệ. (Unknown request.)"}
        try:
            return {"ok": True, "result": await verb(request)}
        except Fault as fault:
            return {"ok": False, "error": fault.diagnostics()}
        except (KeyError, TypeError, ValueError) as fault:
            return {"ok": False, "error": f"Thiếu hoặc sai tham số. (Missing or wrong argument: {fault}.)"}
        except Exception:
            log.error("control-fault", exc_info=True)
            return {
                "ok": False,
                "error": "Lỗi hệ thống, xem nhật ký dịch vụ. (Internal fault, see the service's journal.)",
            }
