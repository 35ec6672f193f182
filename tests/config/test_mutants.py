"""Whatever an admin does to the shipped files, loading them ends in an office or in finished problem lines."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailrelay.config import load_directory, load_rulebook, load_settings, sample_settings, write_sample_office
from mailrelay.model.faults import ConfigFault

_LINE = re.compile(r"[\w./-]+:\d+:\d+: .+ \[.+\]\Z", re.DOTALL)
_SPLICES = [
    "",
    "x",
    "1",
    "true",
    "~",
    "[]",
    "{}",
    "- ",
    ": ",
    "'",
    '"',
    "\t",
    "  ",
    "null: 1",
    "[[[",
    "#",
    "&a *a",
    "[a]\n",
    "é\u0301",
    "=",
    "\x00",
]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("office")
    write_sample_office(folder, {"domain": "hoabinh.gov.vn"})
    return folder


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_edit_makes_a_loader_raise_anything_else(office: Path, data: st.DataObject) -> None:
    name, load = data.draw(
        st.sampled_from(
            [
                ("mailboxes.yaml", load_directory),
                ("mailrelay.toml", load_settings),
                *((f"policies/{path.name}", load_rulebook) for path in sorted((office / "policies").iterdir())),
            ]
        )
    )
    path = office / name
    original = path.read_text("utf-8")
    if name == "mailrelay.toml":  # with its defaults made active there is more to damage
        original = re.sub(r"^# ([a-z0-9_]+ = )", r"\1", sample_settings({"domain": "hoabinh.gov.vn"}), flags=re.M)
    text = original
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(st.sampled_from(_SPLICES)) + text[end:]
    try:
        path.write_text(text, "utf-8")
        with suppress(ConfigFault):
            load(office)
            return
        with pytest.raises(ConfigFault) as fault:
            load(office)
        assert fault.value.problems
        assert all(_LINE.match(problem) for problem in fault.value.problems), fault.value.problems
    finally:
        path.write_text(
            original if name != "mailrelay.toml" else sample_settings({"domain": "hoabinh.gov.vn"}), "utf-8"
        )
