"""Leave symbols out of Go programs, and keep what is compiled from one build to the next."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites

_FILES = (
    ("go.mod", "module example.com/hello\n\ngo 1.22\n"),
    ("main.go", 'package main\n\nfunc main() { println("hello") }\n'),
)


class TuneGoBuilds(Pass):
    """Leave symbols out of Go programs, and keep what is compiled from one build to the next.

    What it does
        Where the last stage takes a Go program from a build stage, ``-ldflags="-s -w"`` leaves the symbol table and the
        debugging information out of it, and a cache mount keeps compiled packages. ``-a``, with which Go compiles every package
        anew, goes.

    Why
        Symbols make up a third of a Go program, and its traces are the same without them. After a change of the source only
        what has changed is compiled, not the standard library.

    When it refuses
        Programs that read their own symbols, those compiled without optimization for a debugger, flags that come from
        elsewhere, and Makefiles keep what they say. A step that has a cache mount, or a cache in another place, keeps that.

    Safety
        Safe: the program does the same. Debuggers need a build with symbols.
    """

    name = "tune-go-builds"
    alters = frozenset({Fact.RUNS})
    examples = (
        Rewrites(
            "FROM golang:1.22 AS build\nWORKDIR /src\nCOPY . .\nRUN CGO_ENABLED=0 go build -o /hello .\n\n"
            'FROM scratch\nCOPY --from=build /hello /hello\nCMD ["/hello"]\n',
            "FROM golang:1.22 AS build\nWORKDIR /src\nCOPY . .\n"
            'RUN --mount=type=cache,target=/root/.cache/go-build CGO_ENABLED=0 go build -ldflags="-s -w" -o /hello .\n\n'
            'FROM scratch\nCOPY --from=build /hello /hello\nCMD ["/hello"]\n',
            files=_FILES,
        ),
        Keeps(
            "FROM golang:1.22 AS build\nWORKDIR /src\nCOPY . .\n"
            'RUN --mount=type=cache,target=/root/.cache/go-build go build -gcflags="all=-N -l" -o /hello .\n\n'
            'FROM debian:bookworm-slim\nCOPY --from=build /hello /hello\nCMD ["/hello"]\n',
            because="it is compiled for a debugger",
            files=_FILES,
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        if model.context is None or len(model.stages) < 2:
            return
        texts = [node.text for p in model.file.positions if (node := model.file.instruction(p)).keyword == "RUN"]
        if not any("go build" in text or "go install" in text for text in texts):
            return
        from optimizer.model.compiled_program import builds_of, compiled_program
        from optimizer.model.paths import origin_of
        from optimizer.model.start import start_of
        from optimizer.passes.split.go_compile import edited_builds

        stage = model.final
        start = start_of(model, stage)
        paths = [path for path in (start.entries if start is not None else ()) if path.startswith("/")]
        programs = [found for path in paths if (found := compiled_program(model, stage, path)) is not None and found.language == "go"]
        builders = {program.stage.index for program in programs}
        if len(builders) != 1 or stage.index in builders:
            return
        builder = programs[0].stage
        places = {origin_of(model, stage, program.path)[1] for program in programs}
        builds = [build for build in builds_of(model, builder).go if places & set(build.outputs)]
        modules = [program.module for program in programs if program.module is not None]
        if not modules or any(other.base == builder.index for other in model.stages):
            return
        edited = edited_builds(model, builder, builds, modules, static=False)
        file = model.file
        for position in sorted(edited, reverse=True):
            file = file.replaced(position, position + 1, edited[position])
        if edited:
            yield Change(
                "leave symbols out of the program, and keep what is compiled in a cache mount",
                file,
                tuple(sorted(edited)),
                ("the stage that runs it takes the program alone",),
            )
