"""`serve`: the daemon in the foreground, for systemd or a terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from mailrelay import telemetry
from mailrelay.cli.office import config_dir, load
from mailrelay.cli.output import fail, say
from mailrelay.config.office import load_office
from mailrelay.daemon import Daemon
from mailrelay.model.faults import ConfigFault, Fault
from mailrelay.telemetry import log


def serve(config: Path | None, only: str | None) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP reads the configuration again and keeps the old one if the new has problems."""
    if only is not None:
        fail(
            say(
                "--only cần kho PostgreSQL; kho SQLite chạy trong một tiến trình.",
                "--only needs PostgreSQL; SQLite runs in one process.",
            ),
            2,
        )
    folder = config_dir(config)
    office = load(config)
    telemetry.configure(as_json=not sys.stderr.isatty())
    try:
        asyncio.run(_run(Daemon(office), folder))
    except Fault as fault:
        fail(fault.diagnostics())
    except OSError as error:
        fail(say(f"Không khởi động được: {error}", f"cannot start: {error}"))
    return 0


async def _run(daemon: Daemon, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    reloading = asyncio.create_task(_reload(daemon, folder, asked), name="reload")
    try:
        await daemon.run()
    finally:
        reloading.cancel()


async def _reload(daemon: Daemon, folder: Path, asked: asyncio.Event) -> None:
    """Read the configuration whenever it is asked for, in a thread: reading a large directory takes longer than mail may wait."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            daemon.reload(await asyncio.to_thread(load_office, folder))
            log.info("reloaded")
        except ConfigFault as fault:
            log.error("reload-refused", problems=list(fault.problems))
        except Exception:  # the office in force stays, whatever came
            log.exception("reload-refused")
