"""The documents say what the code does: reference pages are current, links lead somewhere, promised commands exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from mailrelay.cli.main import app
from mailrelay.config.rulebook import load_rulebook
from mailrelay.config.settings import settings_table
from mailrelay.config.settings_file import load_settings
from mailrelay.model.fact import FACTS, OBLIGATIONS, PLACEHOLDERS
from mailrelay.model.refusal import REFUSALS
from tests.servers.certificates import Authority

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
MAKE = re.compile(r"`make ([a-z][a-z-]*)`|^make ([a-z][a-z-]*)", re.MULTILINE)
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
# the words of a call up to its first option, value or comment
CALL = re.compile(r"^\s*(?:\.venv/bin/)?mailrelay ((?:[a-z-]+(?: |$))+)", re.MULTILINE)


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    else:
        for name, child in inner.items():
            yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_reference_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "write_docs.py", "--check"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_setting_fact_and_refusal_has_its_line() -> None:
    headings = (ROOT / "docs" / "commands.md").read_text().splitlines()
    assert {"## mailrelay " + " ".join(path) for path in COMMANDS} == {
        line for line in headings if line.startswith("## ")
    }
    rows = (ROOT / "docs" / "settings.md").read_text().splitlines()
    assert [row.name for row in settings_table()] == [line.split("`")[1] for line in rows if line.startswith("| `")]
    sections = (ROOT / "docs" / "refusals.md").read_text().splitlines()
    told = [
        line.split("`")[1] for line in (ROOT / "docs" / "facts.md").read_text().splitlines() if line.startswith("| `")
    ]
    assert [*FACTS, *OBLIGATIONS, *(f"{{{name}}}" for name in PLACEHOLDERS)] == told
    assert [f"## {name}" for name in REFUSALS] == [line for line in sections if line.startswith("## ")]


def test_every_shape_belongs_to_a_command_and_every_command_with_json_has_one() -> None:
    titles = [
        json.loads(path.read_text())["title"] for path in sorted((ROOT / "docs" / "schemas").glob("*.schema.json"))
    ]
    promised = [
        name.removesuffix(" --json") for title in titles for name in title.split(", ") if name.endswith(" --json")
    ]
    printing = {" ".join(path) for path, command in COMMANDS.items() if any("--json" in p.opts for p in command.params)}
    assert sorted(promised) == sorted(printing)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_only_what_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {first or second for first, second in MAKE.findall(text)} <= targets
    named = {" ".join(path) for path in COMMANDS} | {path[0] for path in COMMANDS}
    code = "\n".join(block or span for block, span in CODE.findall(text))
    for words in CALL.findall(code):
        call = words.strip().split(" ")
        assert " ".join(call[:2]) in named or call[0] in named, f"mailrelay {words}"
        assert (
            len(call) < 2
            or call[0] not in {path[0] for path in COMMANDS if len(path) > 1}
            or " ".join(call[:2]) in named
        )


def test_the_rule_shown_to_admins_loads_and_passes_its_test(tmp_path: Path) -> None:
    [shown] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "administration.md").read_text(), re.DOTALL)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "10-shown.yaml").write_text(shown)
    book = load_rulebook(tmp_path)
    assert ([rule.rule_id for rule in book.rules], len(book.tests)) == (["disguised-executable"], 1)


def test_the_settings_shown_to_admins_load(tmp_path: Path, authority: Authority) -> None:
    shown, *more = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "administration.md").read_text(), re.DOTALL)
    store = next(block for block in more if "[store]" in block)
    pair = authority.issue("mx.hoabinh.gov.vn")
    (tmp_path / "tls").mkdir()
    shutil.copy(pair.certificate, tmp_path / "tls" / "mx.pem")
    (tmp_path / "secrets" / "tls").mkdir(parents=True)
    shutil.copy(pair.key, tmp_path / "secrets" / "tls" / "mx.key")
    (tmp_path / "mailrelay.toml").write_text(shown + store)
    settings = load_settings(tmp_path)
    assert settings.store.url == "postgresql:///mailrelay?host=/run/postgresql"
    (tmp_path / "mailrelay.toml").write_text(shown + re.sub(r"^(url =.*)\n# (url =.*)$", r"\2", store, flags=re.M))
    assert load_settings(tmp_path).store.url.startswith("postgresql://mailrelay@db.")
    assert [str(place) for place in settings.listen.submissions] == ["0.0.0.0:465"]
    shutil.copy(authority.certificate, tmp_path / "tls" / "ca-tinh.pem")
    (tmp_path / "secrets" / "ldap").touch(mode=0o600)
    (tmp_path / "secrets" / "ldap").write_text("mật khẩu")
    (tmp_path / "mailrelay.toml").write_text("\n".join((shown, *more)))  # as an admin puts the pieces together
    settings = load_settings(tmp_path)
    assert settings.rights_of("127.0.0.1") == {"xforward", "login", "hold"} and settings.delivery.back is not None
    assert settings.auth.backend == "ldap" and settings.ldap.filter is not None
    assert (str(settings.inspection.rspamd), settings.rights_of("10.1.0.5")) == ("127.0.0.1:11333", {"spam"})
