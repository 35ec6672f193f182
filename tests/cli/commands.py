"""Running the command as a person's shell does."""

from __future__ import annotations

import os
import subprocess
import sys

COMMAND = (sys.executable, "-m", "mailrelay.cli.main")


def run(*arguments: str, lang: str = "vi_VN.UTF-8", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `mailrelay …` with its output in a pipe; `environment` is added to the present one."""
    given = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    settings = {**given, "LANG": lang, "LC_ALL": lang, **environment}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=110, check=False, env=settings
    )
