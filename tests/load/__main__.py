"""`make bench`: rates against yardsticks, then single steps. Prints Markdown; exit 1 when a mail was lost or doubled."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from mailrelay import telemetry
from tests.load import accounts, beside, budget, harness, rates, steps


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=90, help="time for the rates; at least one round is run")
    options.add_argument("--long", action="store_true", help="four times as many mails, and rounds for 15 minutes")
    options.add_argument("--harness", type=Path, help="folder of a side-by-side harness with the peers (needs root)")
    chosen = options.parse_args()
    seconds = 900.0 if chosen.long else chosen.seconds
    cases = rates.LONG if chosen.long else rates.SHORT

    def report(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    runs = asyncio.run(rates.run(cases, seconds, report))
    print("\n".join(rates.table(runs)))
    print()
    telemetry.configure("warning")
    for row in steps.run():
        print(row, flush=True)
    for row in accounts.run():
        print(row, flush=True)
    found = asyncio.run(beside.run())
    print("\n".join(beside.rows(found)), flush=True)
    peers: list[dict[str, Any]] = []
    if chosen.harness:
        text, peers = harness.run(chosen.harness, repeats=5 if chosen.long else 1)
        print("\n" + text)
    print("\n" + "\n".join(budget.table(runs, found, peers, steps.help_ms())))
    return 1 if any(run.lost or run.doubled for run in runs) else 0


if __name__ == "__main__":
    raise SystemExit(main())
