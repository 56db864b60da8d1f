"""What a dynamically linked ELF file needs to be loaded: its interpreter, its libraries, and where it looks for them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO


@dataclass(frozen=True)
class Elf:
    """A program or library. ``machine`` and ``bits`` tell which others it can be linked with."""

    machine: str
    bits: int
    interpreter: str | None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


def can_read_elf() -> bool:
    """Whether pyelftools is installed."""
    return find_spec("elftools") is not None


def read_elf(data: bytes) -> Elf | None:
    """Read an ELF file; None when it is linked statically, is no program or library, is damaged, or pyelftools is missing."""
    if not can_read_elf():
        return None
    from elftools.common.exceptions import ELFError
    from elftools.construct.core import ConstructError
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    found: dict[str, list[str]] = {"DT_NEEDED": [], "DT_RPATH": [], "DT_RUNPATH": []}
    interpreter = None
    try:
        file = ELFFile(BytesIO(data))
        if file["e_type"] not in ("ET_EXEC", "ET_DYN"):
            return None
        for segment in file.iter_segments():
            if isinstance(segment, InterpSegment):
                interpreter = segment.get_interp_name()
            elif isinstance(segment, DynamicSegment):
                for tag in segment.iter_tags():
                    if tag.entry.d_tag in found:
                        found[tag.entry.d_tag].append(getattr(tag, tag.entry.d_tag.removeprefix("DT_").lower()))
        machine, bits = str(file["e_machine"]), int(file.elfclass)
    except (ELFError, ConstructError, ValueError, KeyError, AttributeError, UnicodeError, OverflowError):
        return None
    if interpreter is None and not found["DT_NEEDED"]:
        # A library that needs none still is one that others need.
        return Elf(machine, bits, None)
    paths = {name: tuple(part for text in found[name] for part in text.split(":") if part) for name in ("DT_RPATH", "DT_RUNPATH")}
    return Elf(machine, bits, interpreter, tuple(found["DT_NEEDED"]), paths["DT_RPATH"], paths["DT_RUNPATH"])
