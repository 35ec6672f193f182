"""The reader of compound files: what it reads back, and that nothing makes it run on or raise anything else."""

from __future__ import annotations

import io
import random
import struct
from dataclasses import replace

import pytest

from mailrelay.inspection import old_office
from mailrelay.inspection.compound import Compound, Damaged
from tests.inspection.compounds import built, excel, sheet, vba


def test_streams_large_and_small_are_read_back() -> None:
    big = bytes(range(256)) * 40
    file = built(("Storage/", b""), ("Big", big), ("Other", b"x"), small=("Tiny", b"y" * 150))
    compound = Compound(io.BytesIO(file))
    assert [entry.name for entry in compound.streams()] == ["Big", "Other", "Tiny"]
    for name, expected in (("big", big), ("TINY", b"y" * 150)):
        entry = compound.stream(name)
        assert entry is not None
        assert compound.read(entry, 10**6) == expected
        assert compound.read(entry, 100) == expected[:100]


def test_a_large_file_needs_several_table_sectors() -> None:
    data = random.Random(1).randbytes(300_000)
    compound = Compound(io.BytesIO(built(("Big", data))))
    entry = compound.stream("Big")
    assert entry is not None
    assert compound.read(entry, 10**7) == data


def test_chains_that_run_in_a_circle_or_lead_nowhere_end() -> None:
    file = bytearray(built(("Big", b"x" * 5000)))
    table = file.rindex(struct.pack("<III", 1, 2, 3))
    for number in (1, 9, 10**6, 0xFFFFFFF0, 0xFFFFFFFE):
        foul = bytearray(file)
        struct.pack_into("<I", foul, table + 4, number)
        compound = Compound(io.BytesIO(bytes(foul)))
        entry = compound.stream("Big")
        assert entry is not None
        with pytest.raises(Damaged):
            compound.read(replace(entry, size=10**6), 10**6)


@pytest.mark.parametrize("whole", [vba(), excel(sheet("Macro1", 1)), built(("A", b"x"), small=("B", b"y" * 100))])
def test_no_byte_makes_it_raise_anything_else(whole: bytes) -> None:
    dice = random.Random(7)
    for _ in range(400):
        foul = bytearray(whole[: dice.choice((len(whole), dice.randrange(len(whole))))])
        for _ in range(dice.choice((1, 3, 20))):
            if foul:
                at = dice.randrange(min(len(foul), dice.choice((80, 600, len(foul)))))
                foul[at] = dice.choice((0, 1, 0x7F, 0xFE, 0xFF, dice.randrange(256)))
        found = list(old_office.slugs(io.BytesIO(bytes(foul))))
        assert set(found) <= {"macros", "macros-damaged", "excel4-macros", "damaged", "encrypted", "active-content"}
        assert old_office.project(io.BytesIO(bytes(foul))) in ("macros", "macros-damaged")
