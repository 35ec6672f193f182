"""Runs a side-by-side harness (BENCH_DIR) with our service beside Postfix, Postfix + Rspamd and Postfix + amavis. Needs root.

Of the harness it uses mkcorpus.py (signed mails) and bench.py (--external NAME=COMMAND, whose table it passes on).
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_STACKS = "postfix,postfix+rspamd,postfix+amavis+clamd,postfix+amavis+clamd-proxy"
_ROOT = Path(__file__).resolve().parents[2]


def run(
    harness: Path, *, repeats: int, cases: str = "4k:8:200n,4k:32:200n,100k:8:80n,10m:4:8n"
) -> tuple[str, list[dict[str, Any]]]:
    """The harness's table as Markdown, and its runs. Raises CalledProcessError with what it printed."""
    with tempfile.TemporaryDirectory(prefix="mailrelay-load-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        zone = _sign_with(place / "dkim.pem")
        (place / "zone.json").write_text(json.dumps(zone))
        sizes = "4k:200,100k:40,10m:4"
        _python(harness / "mkcorpus.py", "--out", place / "corpus", "--sizes", sizes, "--dkim-key", place / "dkim.pem")
        ours = f"env PYTHONPATH={_ROOT} {sys.executable} -m tests.load.foreign {{port}} {{sink}} {{dir}}"
        out = _python(
            *(harness / "bench.py", "--corpus", place / "corpus", "--state", place / "state", "--out", place / "runs"),
            *("--zone", place / "zone.json", "--stacks", _STACKS, "--cases", cases, "--repeats", repeats),
            *("--external", f"mailrelay={ours}"),
        )
        rows = [json.loads(line) for line in (place / "runs").read_text().splitlines()]
    return out, rows


def _python(*words: object) -> str:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=_ROOT)
    return done.stdout


def _sign_with(path: Path) -> dict[str, dict[str, list[str]]]:
    """Make a DKIM key; return the zone of the harness's sender."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "s1._domainkey.bench.test.": {"TXT": [f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"]},
        "bench.test.": {"A": ["127.0.0.1"], "MX": ["10 mx.bench.test."], "TXT": ["v=spf1 ip4:127.0.0.0/8 -all"]},
        "mx.bench.test.": {"A": ["127.0.0.1"]},
        "dest.test.": {"MX": ["10 mx.bench.test."]},
        "_dmarc.bench.test.": {"TXT": ["v=DMARC1; p=reject"]},
    }
