"""Java and what else runs on its virtual machine."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.context.jvm_source import jvm_evidence
from optimizer.context.places import Place, Unknown
from optimizer.model.compiled_program import jvm_program
from optimizer.model.java_command import java_command
from optimizer.model.model import Model, Stage
from optimizer.model.sources.evidence import SourceUse
from optimizer.model.started import Start


def evidence(model: Model, stage: Stage, start: Start, environment: Mapping[str, str]) -> SourceUse:
    """See ``optimizer.model.sources``."""
    assert model.context is not None
    files: dict[str, None] = {}
    programs: list[str] = []
    written: set[Place] = set()
    read: set[Place] = set()
    root: list[str] = []
    unknown: set[Unknown] = set()
    for command in start.commands:
        if command.name != "java":
            continue
        given = java_command(command)
        unknown |= {Unknown("write", command.source, f"java writes files for {option}") for option in given.writing}
        program = jvm_program(model, stage, given.paths, given.main) if given.paths else None
        if program is None or program.unknown is not None:
            what = program.unknown if program is not None else None
            what = what or f"what {given.paths[0] if given.paths else 'java'} is compiled from is not known"
            unknown.add(Unknown("program", "", what))
            continue
        properties = dict(word[2:].split("=", 1) for word in command.words if word is not None and word.startswith("-D") and "=" in word)
        found = jvm_evidence(model.context, program.sources, environment, properties)
        files.update(dict.fromkeys(program.sources))
        programs += found.programs
        written.update(found.written)
        read.update(found.read)
        root += found.root
        unknown.update(found.unknown)
    return SourceUse(
        tuple(files), (), tuple(programs), (), tuple(sorted(written)), tuple(sorted(read)), tuple(root), tuple(sorted(unknown))
    )
