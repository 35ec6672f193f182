"""`check` and `policy test`: an admin's mistakes shown at their line before they do harm."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailrelay.cli.office import config_dir
from mailrelay.cli.output import console, harmless, print_json, print_line, print_table, say
from mailrelay.config.directory import DIRECTORY_FILE
from mailrelay.config.office import Office, load_office
from mailrelay.config.problems import Position, Problems
from mailrelay.config.rulebook import load_rulebook
from mailrelay.model.faults import ConfigFault, Fault
from mailrelay.policy.trial import run_tests

if TYPE_CHECKING:
    from mailrelay.inspection.keyring import Key

_PROBLEM = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)", re.DOTALL)


def check(config: Path | None, *, as_json: bool) -> int:
    """Exit 0 when everything is good, 1 with one line `file:line:col: message` for each problem."""
    try:
        office = load_office(config_dir(config))
        _trusted(office, config_dir(config))
    except ConfigFault as fault:
        return _refused(fault, as_json=as_json, told={"ok": False})
    if as_json:
        print_json({"ok": True, "problems": []})
        return 0
    directory = office.directory
    counted = f"{len(directory.agencies)} / {len(directory.mailboxes)} / {len(directory.groups)} / {len(office.rulebook.rules)}"
    print_line(
        say(
            f"Cấu hình tốt: cơ quan / hộp thư / nhóm / quy tắc: {counted}.",
            f"Good: agencies / mailboxes / groups / rules: {counted}.",
        ),
        "green",
    )
    return 0


def _trusted(office: Office, folder: Path) -> None:
    """Raise ConfigFault for what is wrong with the certificates and keys that signatures are judged by.

    The service starts all the same: a certificate that cannot be read counts for nothing, and mail goes on.
    """
    from mailrelay.inspection import anchors
    from mailrelay.inspection.keyring import Keyrings

    problems = Problems()
    roots = office.settings.inspection.trust_roots
    base = folder.absolute()
    for fault in anchors.faults(roots) if roots is not None else ():
        path = Path(fault.file)
        shown = path.relative_to(base) if path.is_relative_to(base) else path
        problems.add(Position(str(shown), fault.line), fault.vi, fault.en)
    lines = (folder / DIRECTORY_FILE).read_text(encoding="utf-8").splitlines()
    keyrings = Keyrings(office.settings.keyrings_dir)
    for agency in office.directory.agencies:
        if not agency.openpgp_keys:
            continue
        try:
            known = {key.fingerprint: key for key in keyrings.keys(agency.agency_id)}
        except (OSError, Fault) as fault:
            problems.add(Position(DIRECTORY_FILE), f"không đọc được chùm khóa: {fault}", f"keyring unreadable: {fault}")
            return problems.raise_any()
        for listed in agency.openpgp_keys:
            line = next((number for number, text in enumerate(lines, 1) if listed in text), 1)
            _key_problem(Position(DIRECTORY_FILE, line), agency.agency_id, listed, known.get(listed), problems)
    problems.raise_any()


def _key_problem(place: Position, agency: str, listed: str, key: Key | None, problems: Problems) -> None:
    if key is None:
        vi, en = (
            f"khóa {listed} chưa có trong chùm khóa của {agency}",
            f"key {listed} is not in the keyring of {agency}",
        )
        problems.add(place, f"{vi}: mailrelay keys import", f"{en}: mailrelay keys import")
    elif key.state != "valid" or key.ended is not None:
        problems.add(place, f"khóa {listed} không còn dùng được", f"key {listed} is no longer valid")


def policy_test(config: Path | None, *, as_json: bool) -> int:
    """Exit 0 when every test of the rule book passes, else 1."""
    try:
        rulebook = load_rulebook(config_dir(config), run_tests=False)
    except ConfigFault as fault:
        return _refused(fault, as_json=as_json, told={"ok": False, "passed": 0, "failed": 0, "tests": []})
    results = run_tests(rulebook)
    failed = [result for result in results if not result.passed]
    if as_json:
        print_json(
            {
                "ok": not failed,
                "passed": len(results) - len(failed),
                "failed": len(failed),
                "tests": [
                    {
                        "name": r.test.name,
                        "file": r.test.file,
                        "line": r.test.line,
                        "passed": r.passed,
                        "detail": r.detail,
                    }
                    for r in results
                ],
            }
        )
        return 1 if failed else 0
    if failed:
        rows = [(f"{r.test.file}:{r.test.line}", r.test.name, r.detail) for r in failed]
        print_table(say("Phép thử không đạt", "Failed tests"), say("Chỗ|Tên|Vì sao", "Where|Name|Why").split("|"), rows)
    passed = len(results) - len(failed)
    print_line(
        say(f"{passed}/{len(results)} phép thử đạt.", f"{passed}/{len(results)} tests pass."),
        "red" if failed else "green",
    )
    return 1 if failed else 0


def _refused(fault: ConfigFault, *, as_json: bool, told: dict[str, Any]) -> int:
    """Show every problem of a configuration that cannot be used; exit 1."""
    if as_json:
        print_json({**told, "problems": [_parsed(problem) for problem in fault.problems]})
        return 1
    for problem in fault.problems:
        console().print(harmless(problem), markup=False, soft_wrap=True)
    print_line(say(f"{len(fault.problems)} lỗi cần sửa.", f"{len(fault.problems)} problems."), "bold red")
    return 1


def _parsed(problem: str) -> dict[str, str | int]:
    found = _PROBLEM.match(problem)
    if found is None:
        return {"file": "", "line": 0, "column": 0, "message": problem}
    return {
        "file": found["file"],
        "line": int(found["line"]),
        "column": int(found["column"]),
        "message": found["message"],
    }
