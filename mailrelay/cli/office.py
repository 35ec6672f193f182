"""How commands reach the office: its configuration, its store for reading, its daemon (or its lock) for acting."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mailrelay import telemetry
from mailrelay.cli.output import fail, say
from mailrelay.config.office import Office, load_office
from mailrelay.config.settings import Settings
from mailrelay.model.agency import Agency, Directory
from mailrelay.model.faults import ConfigFault, Fault
from mailrelay.model.folding import fold

T = TypeVar("T")


def config_dir(option: Path | None) -> Path:
    """`--config`, else MAILRELAY_CONFIG, else the system's place, else this folder."""
    if option is not None:
        return option
    named = os.environ.get("MAILRELAY_CONFIG")
    if named:
        return Path(named)
    system = Path("/etc/mailrelay")
    return system if (system / "mailrelay.toml").exists() else Path()


def load(option: Path | None) -> Office:
    """The office, or its problems on standard error and exit 1. From here on log lines go there too, and only what is wrong."""
    telemetry.configure("warning", as_json=False)
    try:
        return load_office(config_dir(option))
    except ConfigFault as fault:
        fail(fault.diagnostics())


def find_agency(directory: Directory, name: str) -> Agency:
    """The agency of an id, a name or a symbol that only one agency bears; else exit 2 with what could be meant."""
    wanted = fold(name)
    for agency in directory.agencies:
        if wanted in {fold(text) for text in (agency.agency_id, agency.name, *agency.aliases)}:
            return agency
    by_symbol = [agency for agency in directory.agencies if fold(agency.symbol) == wanted]
    if len(by_symbol) == 1:
        return by_symbol[0]
    if by_symbol:
        known = ", ".join(agency.agency_id for agency in by_symbol[:12])
        fail(say(f"Nhiều cơ quan có ký hiệu {name}: {known}.", f"Several agencies have the symbol {name}: {known}."), 2)
    fail(say(f"Không có cơ quan “{name}” trong mailboxes.yaml.", f"There is no agency {name} in mailboxes.yaml."), 2)


def read(settings: Settings, question: Callable[[Any], T]) -> T:
    """Answer a question from the store on a read-only connection; the daemon may be running or not."""
    from mailrelay.store.engine import open_reader

    async def ask() -> T:
        store = await open_reader(settings.store.url)
        try:
            return await store.read(question)
        finally:
            await store.close()

    try:
        return asyncio.run(ask())
    except Fault as fault:
        fail(fault.diagnostics())
    except OSError as error:
        fail(
            say(
                f"Không đọc được kho ({error.strerror}): hãy dùng tài khoản của dịch vụ hoặc root.",
                f"cannot read the store ({error.strerror}): use the service's account or root.",
            )
        )


def act(office: Office, verb: str, arguments: Mapping[str, Any]) -> Any:
    """Have the daemon do something in the name of whoever typed it; without a daemon do it here, under the data folder's lock."""
    path = office.settings.listen.control
    request = {**arguments, "actor": actor()}
    try:
        answer = _ask_daemon(path, {"verb": verb, **request})
    except (FileNotFoundError, ConnectionRefusedError):
        return _act_alone(office, verb, request)
    except TimeoutError:
        fail(say("Dịch vụ chưa trả lời, hãy xem lại rồi làm lại.", "The daemon has not answered; look and try again."))
    except OSError as error:
        fail(
            say(
                f"Không nói chuyện được với dịch vụ qua {path}: {error.strerror}",
                f"cannot reach the daemon at {path}: {error.strerror}",
            )
        )
    if not answer.get("ok"):
        stopped = say("Dịch vụ dừng giữa chừng, hãy xem lại rồi làm lại.", "The daemon stopped; look and try again.")
        fail(str(answer.get("error") or stopped))
    return answer.get("result")


def actor() -> str:
    """Who stands in the log as the one who acted."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return f"uid {os.getuid()}"


def _ask_daemon(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(json.dumps(request, ensure_ascii=False).encode() + b"\n")
        with connection.makefile("rb") as answer:
            line = answer.readline()
    try:
        parsed = json.loads(line)
    except ValueError:  # it was stopped within its answer, or before
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _act_alone(office: Office, verb: str, arguments: Mapping[str, Any]) -> Any:
    from mailrelay.daemon.verbs import act_alone

    try:
        return asyncio.run(act_alone(office, verb, arguments))
    except Fault as fault:
        fail(fault.diagnostics())
    except (KeyError, ValueError) as error:
        fail(str(error))
