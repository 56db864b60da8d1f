"""Split a stage into one that builds and one that runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from optimizer.model import Model, Stage
from optimizer.model.runtime import Runtime
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites

Splitter = Callable[[Model, Stage], Change | None]
# What a RUN names that brings a C compiler onto an image without one, or may.
_TOOL_CHAIN = re.compile(r"gcc|g\+\+|clang|tcc|build-essential|build-dep|-dev\b|make|meson|ninja|\bcc\b|\$")


def _may_compile(model: Model, stage: Stage) -> bool:
    """Whether a C compiler may be at hand in a stage; no more than a look, since reading a build is slow."""
    if stage.image is None or stage.image.has_toolchain is not False:
        return True
    nodes = (model.file.instruction(p) for p in stage.positions)
    return any(_TOOL_CHAIN.search(node.text) for node in nodes if node.keyword == "RUN")


def _compiled(model: Model, stage: Stage) -> tuple[Splitter, ...]:
    """The way to split a stage in which C or C++ may be compiled."""
    if not _may_compile(model, stage):
        return ()
    from optimizer.passes.split.native import split_native

    return (split_native,)


def _interpreted(model: Model, stage: Stage) -> tuple[Splitter, ...]:
    """The ways to split a stage that installs packages for the distribution's own Python, Node, Ruby or PHP."""
    if model.context is None:
        return ()
    text = "".join(node.text for p in stage.positions if (node := model.file.instruction(p)).keyword == "RUN")
    found: list[Splitter] = []
    if "python3" in text and "pip" in text:
        from optimizer.passes.split.python import split_python

        found.append(split_python)
    if "nodejs" in text or "npm" in text:
        from optimizer.passes.split.node import split_node

        found.append(split_node)
    if "ruby" in text and ("bundle" in text or "gem " in text):
        from optimizer.passes.split.ruby import split_ruby

        found.append(split_ruby)
    if "php" in text and "composer" in text:
        from optimizer.passes.split.php import split_php

        found.append(split_php)
    return tuple(found)


def _of_packages(model: Model, stage: Stage) -> tuple[Splitter, ...]:
    """The ways to split a stage on which a compiler of Go, Rust or Java is installed."""
    text = "".join(node.text for p in stage.positions if (node := model.file.instruction(p)).keyword == "RUN")
    found: list[Splitter] = []
    if "golang" in text:
        from optimizer.passes.split.go import split_go

        found.append(split_go)
    if "cargo" in text:
        from optimizer.passes.split.rust import split_rust

        found.append(split_rust)
    if "jdk" in text:
        from optimizer.passes.split.java import split_java
        from optimizer.passes.split.java_package import jre_package

        found += [split_java, jre_package]
    return tuple(found)


def _of_runtimes(stage: Stage) -> tuple[Splitter, ...]:
    """The way to put a stage on a smaller image that starts from another stage."""
    if stage.image is None or stage.image.family not in ("python", "node", "ruby") or stage.image.variant != "full":
        return ()
    from optimizer.passes.split.runtime import slim_runtime

    return (slim_runtime,)


def splitters(model: Model, stage: Stage) -> tuple[Splitter, ...]:
    """The ways to split a stage on the image that it has, in the order in which they are asked.

    Each is imported when there is a stage for it: it reads evidence with heavy libraries.
    """
    match stage.image.family if stage.image is not None else "":
        case "python":
            from optimizer.passes.split.python import split_python
            from optimizer.passes.split.runtime import slim_runtime

            return (slim_runtime, split_python)
        case "node":
            from optimizer.passes.split.node import split_node
            from optimizer.passes.split.runtime import slim_runtime

            return (split_node, slim_runtime)
        case "conda" | "miniforge":
            from optimizer.passes.split.conda import split_conda

            return (split_conda,)
        case "golang":
            from optimizer.passes.split.compiled_runtime import compiled_runtime
            from optimizer.passes.split.go import split_go

            return (compiled_runtime, split_go)
        case "gcc" | "buildpack-deps":
            from optimizer.passes.split.compiled_runtime import compiled_runtime

            return (compiled_runtime, *_interpreted(model, stage), *_of_packages(model, stage), *_compiled(model, stage))
        case "debian" | "ubuntu":
            return (*_interpreted(model, stage), *_of_packages(model, stage), *_compiled(model, stage))
        case "eclipse-temurin" | "openjdk" | "amazoncorretto" | "maven" | "gradle":
            from optimizer.passes.split.compiled_runtime import java_runtime
            from optimizer.passes.split.java import split_java

            return (split_java, java_runtime)
        case "rust":
            from optimizer.passes.split.compiled_runtime import compiled_runtime
            from optimizer.passes.split.rust import split_rust

            return (compiled_runtime, split_rust)
        case "ruby":
            from optimizer.passes.split.ruby import split_ruby
            from optimizer.passes.split.runtime import slim_runtime

            return (split_ruby, slim_runtime)
        case "php":
            from optimizer.passes.split.php import split_php

            return (split_php,)
        case "dotnet-sdk":
            from optimizer.passes.split.dotnet import split_dotnet
            from optimizer.passes.split.dotnet_runtime import dotnet_runtime

            return (dotnet_runtime, split_dotnet)
    return ()


_SAME = "not split: the stage that runs would be on another image, and the runtime is to be the same"


class SplitStages(Pass):
    """Split into a build stage and a runtime stage.

    What it does
        Python: installs packages into a virtual environment in a build stage and copies that into the slim image of the same
        Python, with the runtime libraries of the ``-dev`` packages that were installed. Where something names the packages' place and
        all are known to have wheels, the stage moves to the slim image as it is. Poetry, uv and Pipenv stay in the
        build stage, and the program starts without them; Debian's own Python or Node runs what it installed. An environment of
        conda is copied to its own place on the distribution's slim image, and started without conda. Node: builds and
        installs in build stages and copies ``node_modules`` without development dependencies and what the build made into the
        slim image of the same Node, those of a workspace's members or of a second project (a client beside the server) as
        well, or the server of its own that Next.js makes. A site that nginx of the same image serves goes onto slim Debian with
        nginx. Go: copies the program onto a distroless image, static where no
        source needs C. C and C++: copies what ``make install``, CMake or the compiler writes onto the slim image of the same
        Debian, with the libraries that were linked. Java: copies the jar or classes onto the runtime of the same version.
        Rust: copies the programs onto a distroless or slim image. Where Java or Rust are packages of the distribution, the package
        of Java's runtime, or the C library, runs what they compile.
        .NET: publishes what ``dotnet run`` would compile, and copies
        it onto the runtime of the same version, ASP.NET's where the project asks for it. Ruby: installs gems and builds assets
        in a build stage, and runs on the slim image of the same Ruby or on Debian's own, in production without the gems of
        development. PHP: copies packages and compiled extensions onto the same image, without Composer, headers and what
        fetches packages. A runtime stage that only copies from build stages is put on the slim image, or on the one that its
        program would get by a split; it keeps no system packages that only building needs. A stage that starts from another
        one is split with what it has from that. Steps that test, lint or print stay where everything is installed.

    Why
        Compilers, headers and development dependencies make most of an image's size and of its attack surface, and
        nothing of them runs.

        ``--runtime same`` makes only those splits whose last stage stays on its base, ``--runtime distroless`` takes an
        image without a shell where nothing needs one.

    When it refuses
        The runtime stage must have what the program needs: the packages, the libraries that they link, the files they
        read, the programs they start. These are read in the build context: requirements, lock files, source code,
        entry point scripts. Where one of them is computed, or which stage a command belongs to is not known, it refuses
        and says so. Without a build context it does nothing.

    Safety
        Safe: the runtime base is the same distribution, release and language version, so what was compiled fits. What
        a split drops on purpose: compilers, headers, caches, tools that no evidence shows to be used.
    """

    name = "split-stages"
    alters = frozenset({Fact.STAGES, Fact.BASES, Fact.COMMAND, Fact.ENV, Fact.WORKDIR, Fact.USER, Fact.SHELL, Fact.COPIES, Fact.RUNS})
    examples = (
        Rewrites(
            "FROM python:3.12-bookworm\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n"
            'COPY . .\nCMD ["python", "app.py"]\n',
            "FROM python:3.12-bookworm AS build\nWORKDIR /app\nRUN python -m venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH\n"
            "COPY requirements.txt .\n"
            "RUN pip install -r requirements.txt\nRUN pip uninstall -y pip\n\n"
            "FROM python:3.12-slim-bookworm\nWORKDIR /app\nCOPY --from=build /opt/venv /opt/venv\n"
            'ENV PATH=/opt/venv/bin:$PATH\nCOPY . .\nCMD ["python", "app.py"]\n',
            files=(("requirements.txt", "flask==3.0.3\n"), ("app.py", "import flask\n")),
        ),
        Keeps(
            "FROM python:3.12-slim\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n"
            'CMD ["python", "app.py"]\n',
            because="the image holds nothing that only building needs",
            files=(("requirements.txt", "flask==3.0.3\n"), ("app.py", "import flask\n")),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        stage = model.final
        if model.dependants(stage) or stage.image is None:
            return
        found = splitters(model, stage) if stage.base is None else _of_runtimes(stage)
        if not found and stage.base is None:
            return
        from optimizer.passes.split.shared import renumbered

        if renumbered(model, stage):
            return
        outcome = _first(model, stage, found)
        if stage.base is not None and not isinstance(outcome, Change):
            outcome = _inherited(model, stage) or outcome
        if isinstance(outcome, Change):
            keeps = Model(outcome.file, target=model.target).final.reference == stage.reference
            outcome = outcome if keeps or model.runtime is not Runtime.SAME else Refusal(_SAME, stage.position)
        if outcome is not None:
            yield outcome


def _first(model: Model, stage: Stage, found: tuple[Splitter, ...]) -> Change | Refusal | None:
    """What the first way to split that applies comes to."""
    if not found:
        return None
    from optimizer.passes.split.shared import Refused

    for split in found:
        try:
            change = split(model, stage)
        except Refused as refused:
            return Refusal(f"not split: {refused}", refused.position)
        if change is not None:
            return change
    return None


def _inherited(model: Model, stage: Stage) -> Change | Refusal | None:
    """The split of a stage that starts from another stage, with what it inherits."""
    if model.context is None:
        return None
    from optimizer.passes.split.inlined import inlined, shared_again

    whole = inlined(model, stage)
    if whole is None:
        return None
    same = whole.stages[stage.index]
    outcome = _first(whole, same, splitters(whole, same))
    if isinstance(outcome, Refusal):
        return Refusal(outcome.reason, stage.position)
    if outcome is None:
        return None
    return Change(outcome.summary, shared_again(model, stage, outcome.file), (stage.position,), outcome.evidence)
