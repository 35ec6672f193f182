"""An office for a foreign harness: it listens on one port, takes mail for rcpt@dest.test and relays everything to a sink.

    python -m tests.load.foreign PORT SINK_PORT FOLDER

The harness's name server (127.0.0.77:53) has the keys of its senders.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mailrelay.cli.demo import stage
from tests.load.stacks import deliver_everything
from tests.servers.relay import COMMAND

_NAMES = ("127.0.0.77", 53)
_DOMAIN = "dest.test"


def build(folder: Path, port: int, sink_port: int) -> None:
    """The sample office, moved to the harness's domain."""
    stage.build(folder, _NAMES[1])
    for path in (folder / "mailrelay.toml", folder / "mailboxes.yaml", *(folder / "policies").glob("*.yaml")):
        text = path.read_text(encoding="utf-8").replace(stage.DOMAIN, _DOMAIN)
        if path.suffix == ".toml":
            text = text.replace('mx = ["127.0.0.1:0"]', f'mx = ["127.0.0.1:{port}"]')
            text = text.replace(f"127.0.0.1:{_NAMES[1]}", "{}:{}".format(*_NAMES))
        path.write_text(text.replace("aliases: [vanthu.sokhdt,", "aliases: [rcpt, vanthu.sokhdt,"), encoding="utf-8")
    deliver_everything(folder, sink_port)


if __name__ == "__main__":
    place = Path(sys.argv[3]) / "office"
    build(place, int(sys.argv[1]), int(sys.argv[2]))
    os.execv(COMMAND[0], [*COMMAND, "serve", "--config", str(place)])
