"""The OpenPGP keyrings of the agencies: what a key file holds, whether it is fit to vouch for an agency, putting it in.

One GnuPG home for each agency, with public keys only; that a key lies in it and stands in the directory is the whole of our trust.
gpg is run on files that an administrator gives, without agent, network or trust database. A ring is never changed in place:
the new one is made beside it and takes its place in one step, so that a verification sees the old ring or the new one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mailrelay.model.faults import NotAllowed, NotFound
from mailrelay.store import durable

RING = "pubring.kbx"
ENDED = "ended.json"
LONGEST_FILE = 256 * 1024
_MOST_KEYS = 20
_TIME = 30.0  # seconds of one run of gpg
_OPTIONS = (
    *(
        "--no-options",
        "--batch",
        "--no-tty",
        "--quiet",
        "--no-autostart",
        "--disable-dirmngr",
        "--no-auto-key-retrieve",
    ),
    *("--no-auto-key-locate", "--no-auto-check-trustdb", "--no-permission-warning"),
    *("--display-charset", "utf-8"),
)
_ALGORITHMS = {
    "1": "rsa",
    "2": "rsa",
    "3": "rsa",
    "17": "dsa",
    "16": "elgamal",
    "19": "ecdsa",
    "22": "eddsa",
    "27": "ed25519",
}
_WEAK_HASHES = frozenset(("1", "2", "3", "11"))  # MD5, SHA-1, RIPEMD-160; SHA-224
_SHORTEST_RSA = 2048
_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>\s*\Z|\A([^<>\s]+@[^<>\s]+)\Z")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")
_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})")

# Why a key is not taken. `{}` stands for what is wrong in particular.
FAULTS = {
    "secret": (
        "tệp chứa khóa bí mật: xóa tệp này, chỉ gửi khóa công khai",
        "holds a secret key: delete it, send the public one",
    ),
    "no-key": ("không đọc được khóa nào trong tệp", "no key can be read in the file"),
    "too-many": ("tệp có quá nhiều khóa", "too many keys in one file"),
    "dsa": ("thuật toán DSA đã cũ, không nhận", "DSA is too old to be taken"),
    "short": ("khóa RSA ngắn hơn 2048 bit", "an RSA key shorter than 2048 bits"),
    "weak-self-signature": ("khóa tự ký bằng SHA-1 hoặc yếu hơn", "its self-signature uses SHA-1 or weaker"),
    "no-self-signature": ("khóa không có tên nào tự ký", "no user id with a self-signature"),
    "cannot-sign": ("khóa không dùng để ký được", "cannot be used to sign"),
    "expired": ("khóa đã hết hạn", "the key has expired"),
    "revoked": ("khóa đã bị thu hồi", "the key was revoked"),
    "other-address": (
        "khóa mang địa chỉ không thuộc cơ quan: {} (thêm --other-addresses nếu đúng là vậy)",
        "bears an address that is not the agency's: {} (add --other-addresses if that is meant)",
    ),
}


@dataclass(frozen=True, slots=True)
class Key:
    """One public key. Times are UTC; `state` is valid, expired or revoked as of now, `ended` when its agency gave it up."""

    fingerprint: str
    algorithm: str
    bits: int
    created_at: datetime
    expires_at: datetime | None
    user_ids: tuple[str, ...]
    state: str = "valid"
    ended: datetime | None = None
    faults: tuple[str, ...] = ()  # slugs of FAULTS that its form alone tells

    @property
    def addresses(self) -> frozenset[str]:
        """The mail addresses of its user ids, lower case; a user id without one counts as itself."""
        matches = ((user_id, _ADDRESS.search(user_id.strip())) for user_id in self.user_ids)
        return frozenset((match.group(1) or match.group(2)).lower() if match else text for text, match in matches)


@dataclass(slots=True)
class _Record:
    """The lines of one key as gpg lists it, while they are read."""

    primary: list[str]
    fingerprint: str = ""
    user_ids: list[str] = field(default_factory=list)
    self_signed: dict[str, tuple[int, str]] = field(default_factory=dict)  # user id: time and hash of the newest
    subkeys: list[list[str]] = field(default_factory=list)
    user_id: str = ""  # the one whose signatures follow; "" behind a subkey

    def take(self, words: list[str]) -> None:
        """Take in one line that follows the primary key's own."""
        kind = words[0]
        if kind == "fpr":
            self.fingerprint = self.fingerprint or words[9]
        elif kind == "uid":
            self.user_id = _unescaped(words[9])
            given_up = words[1] == "r" and self.primary[1] != "r"
            self.user_ids += [] if given_up else [self.user_id]
        elif kind == "sub":
            self.subkeys.append(words)
            self.user_id = ""
        elif kind == "sig" and self.user_id and words[4] == self.primary[4]:
            newest = self.self_signed.get(self.user_id, (0, ""))
            self.self_signed[self.user_id] = max(newest, (_seconds(words[5]), words[15]))


class Keyrings:
    """The folder of all rings. `add` and `end` are for the one process that holds the data lock."""

    def __init__(self, root: Path, program: str = "gpg") -> None:
        self._root = root
        self._program = program

    def home(self, agency: str) -> Path:
        return self._root / agency

    def read(self, data: bytes) -> list[Key]:
        """What a file holds. Raises NotAllowed for secret keys, for nothing that can be read, and for too much."""
        if len(data) > LONGEST_FILE:
            raise _refusal("too-many")
        if b"PRIVATE KEY BLOCK" in data:
            raise _refusal("secret")
        with tempfile.TemporaryDirectory(prefix="key") as empty:
            done = self._gpg(Path(empty), "--with-colons", "--with-sig-list", "--show-keys", data=data)
        if any(line.startswith(("sec:", "ssb:")) for line in done.splitlines()):
            raise _refusal("secret")
        keys = [_key(record) for record in _records(done)]
        if not keys:
            raise _refusal("no-key")
        if len(keys) > _MOST_KEYS:
            raise _refusal("too-many")
        return keys

    def keys(self, agency: str) -> list[Key]:
        """The keys in an agency's ring, in the order in which they came."""
        home = self.home(agency)
        if not (home / RING).is_file():
            return []
        with tempfile.TemporaryDirectory(prefix="key") as work:  # gpg writes beside what it lists
            shutil.copyfile(home / RING, Path(work) / RING)
            listed = self._gpg(Path(work), "--with-colons", "--with-sig-list", "--list-keys")
        ended = ended_keys(home)
        return [_key(record, ended.get(record.fingerprint)) for record in _records(listed)]

    def vet(self, agency: str, keys: Sequence[Key], own: Collection[str], *, other_addresses: bool) -> None:
        """Raise NotAllowed, with every reason, unless all keys may vouch for the agency. `own` are its addresses, lower case.

        A key that lies in the ring already may come again expired or revoked: that is how a revocation comes to us.
        """
        known = {key.fingerprint for key in self.keys(agency)}
        told = []
        for key in keys:
            slugs = [slug for slug in key.faults if key.fingerprint not in known or slug not in ("expired", "revoked")]
            told += [(key, slug, "") for slug in slugs]
            strange = sorted(key.addresses - frozenset(own)) or ([] if key.addresses else ["–"])
            if strange and not other_addresses:
                told.append((key, "other-address", ", ".join(strange)[:300]))
        if told:
            raise NotAllowed("\n".join(_line(key, slug, more) for key, slug, more in told))

    def add(self, agency: str, data: bytes) -> None:
        """Put the public keys of a file into an agency's ring. Raises NotAllowed when gpg takes none."""
        home = self.home(agency)
        durable.make_folder(self._root, home)
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))
        try:
            if (home / RING).is_file():
                shutil.copyfile(home / RING, work / RING)
            self._gpg(work, "--import-options", "import-minimal", "--import", data=data)
            if not (work / RING).is_file():
                raise _refusal("no-key")
            (work / RING).chmod(0o600)
            durable.sync_file(work / RING)
            (work / RING).replace(home / RING)
            durable.sync_folder(home)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def end(self, agency: str, fingerprint: str, at: datetime) -> Key:
        """From `at` on a key vouches for nobody; what it signed stays judged. Raises NotFound for a key that is not there."""
        wanted = fingerprint.upper().replace(" ", "").removeprefix("0X")
        found = [key for key in self.keys(agency) if key.fingerprint.endswith(wanted)] if len(wanted) >= 16 else []
        if len(found) != 1:
            raise NotFound(f"Cơ quan này không có khóa {fingerprint}. (The agency has no key {fingerprint}.)")
        home = self.home(agency)
        ended = {**ended_keys(home), found[0].fingerprint: int(at.timestamp())}
        work = home / f"{ENDED}.new"
        work.write_text(json.dumps(ended, sort_keys=True), encoding="ascii")
        durable.sync_file(work)
        work.replace(home / ENDED)
        durable.sync_folder(home)
        return next(key for key in self.keys(agency) if key.fingerprint == found[0].fingerprint)

    def _gpg(self, home: Path, *arguments: str, data: bytes = b"") -> str:
        """Run gpg on its standard input and return what it lists. Raises NotAllowed when it cannot be run or takes too long."""
        command = [self._program, "--homedir", str(home), *_OPTIONS, *arguments]
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": str(home)}
        try:
            done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=_TIME, env=environment)
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise NotAllowed(f"Không chạy được {self._program}. (Cannot run gpg: {type(fault).__name__}.)") from fault
        return done.stdout.decode("utf-8", "replace")


def ended_keys(home: Path) -> dict[str, int]:
    """The keys that an agency gave up, with the time since when (Unix seconds)."""
    try:
        value = json.loads((home / ENDED).read_text(encoding="ascii"))
        return {str(name): int(since) for name, since in value.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _refusal(slug: str) -> NotAllowed:
    vi, en = FAULTS[slug]
    return NotAllowed(f"{vi[0].upper()}{vi[1:]}. ({en[0].upper()}{en[1:]}.)")


def _line(key: Key, slug: str, more: str) -> str:
    vi, en = FAULTS[slug]
    return f"{key.fingerprint}: {vi.format(more)}. ({en.format(more)}.)"


def _records(listed: str) -> Iterator[_Record]:
    """Read the lines of `gpg --with-colons` (doc/DETAILS of GnuPG) key by key."""
    record: _Record | None = None
    for line in listed.splitlines():
        words = [*line.split(":"), *[""] * 21]
        if words[0] == "pub":
            if record is not None:
                yield record
            record = _Record(words)
        elif record is not None:
            record.take(words)
    if record is not None:
        yield record


def _key(record: _Record, ended: int | None = None) -> Key:
    words = record.primary
    algorithm = _ALGORITHMS.get(words[3], f"algorithm-{words[3]}")
    expires = _seconds(words[6])
    state = {"r": "revoked", "e": "expired"}.get(words[1], "valid")
    if state == "valid" and expires and expires <= datetime.now(UTC).timestamp():
        state = "expired"
    return Key(
        fingerprint=record.fingerprint if _FINGERPRINT.match(record.fingerprint) else "",
        algorithm=algorithm,
        bits=_seconds(words[2]),
        created_at=datetime.fromtimestamp(_seconds(words[5]), UTC),
        expires_at=datetime.fromtimestamp(expires, UTC) if expires else None,
        user_ids=tuple(record.user_ids),
        state=state,
        ended=datetime.fromtimestamp(ended, UTC) if ended else None,
        faults=tuple(_faults(record, algorithm, state)),
    )


def _faults(record: _Record, algorithm: str, state: str) -> Iterator[str]:
    signing = [record.primary, *(sub for sub in record.subkeys if "s" in sub[11] and sub[1] not in ("r", "e"))]
    names = {_ALGORITHMS.get(words[3], "") for words in signing}
    if "dsa" in names:
        yield "dsa"
    if any(_ALGORITHMS.get(words[3]) == "rsa" and _seconds(words[2]) < _SHORTEST_RSA for words in signing):
        yield "short"
    if state in ("expired", "revoked"):
        yield state
    elif "S" not in record.primary[11]:
        yield "cannot-sign"
    if not record.self_signed:
        yield "no-self-signature"
    elif any(digest in _WEAK_HASHES for _, digest in record.self_signed.values()):
        yield "weak-self-signature"


def _seconds(word: str) -> int:
    return int(word) if word.isdigit() and len(word) < 12 else 0


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)[:500]
