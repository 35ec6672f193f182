"""The yardstick: bare aiosmtpd as its documentation shows it. It answers 250, keeps nothing and delivers nothing."""

from __future__ import annotations

import asyncio
import socket
import sys

from aiosmtpd.smtp import SMTP, Envelope, Session


class Drop:
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return "250 2.0.0 dropped"


async def serve(port: int) -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Drop(), data_size_limit=100 << 20, loop=loop), sock=listening)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
