"""The long form of the soak test, as `make soak` runs it: tens of thousands of mutated mails and files through the workers.

    python -m tests.soak [--mails N] [--seed N] [--minutes N] [--only NUMBER --keep FILE]

Prints the figures. Exit status 1 when an examination raised or a worker crashed. `--only` makes one mutant again and writes it
to a file: the first mutants with each fault are printed by their number.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from mailrelay import telemetry
from mailrelay.inspection.examine import Inspector
from mailrelay.inspection.limits import InspectionSettings
from tests.inspection.conftest import Records, province
from tests.soak.campaign import Campaign, Report, died, made
from tests.soak.corpus import Seed, seeds

_STEP = 1000


def main() -> int:
    chosen = _arguments()
    telemetry.configure("critical")
    with tempfile.TemporaryDirectory(prefix="soak") as name:
        folder = Path(name)
        (folder / "keys").mkdir(mode=0o700)
        corpus = seeds(folder / "keys")
        print(f"seed {chosen.seed}, {len(corpus)} mails and files to begin from", flush=True)
        if chosen.only is not None:
            chosen.keep.write_bytes(made(corpus, chosen.seed, chosen.only).mail())
            return 0
        report = asyncio.run(_run(corpus, folder, chosen))
    print("\n".join(report.lines()), flush=True)
    return int(bool(report.raised) or died(report) > 0)


async def _run(corpus: list[Seed], folder: Path, chosen: argparse.Namespace) -> Report:
    settings = InspectionSettings(workers=2, work_dir=folder, pgp_home=folder / "keys" / "k", dns_timeout=2.0)
    inspector = Inspector(settings, txt=Records())
    await inspector.start()
    end = time.monotonic() + chosen.minutes * 60
    campaign = Campaign(inspector, province(), folder, corpus, chosen.seed)
    try:
        for start in range(chosen.begin, chosen.begin + chosen.mails, _STEP):
            report = await campaign.run(range(start, min(start + _STEP, chosen.begin + chosen.mails)), until=end)
            print(
                f"{report.mails}: lost {dict(report.lost)}, errors {dict(report.errors)}", file=sys.stderr, flush=True
            )
    finally:
        await inspector.close()
    return campaign.report


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--mails", type=int, default=50_000, help="mutants to try (50000)")
    parser.add_argument("--begin", type=int, default=0, help="number of the first mutant (0)")
    parser.add_argument("--minutes", type=float, default=240, help="begin no further mutant after this time (240)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--only", type=int, help="make this mutant again and leave it in --keep")
    parser.add_argument("--keep", type=Path, default=Path("mutant.eml"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
