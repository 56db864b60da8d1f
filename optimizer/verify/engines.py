"""The engines that build and run images: docker with buildx, podman, buildah, and BuildKit elsewhere through buildx."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from optimizer.verify.commands import Done, call, query, stream
from optimizer.verify.errors import BuildFailed, NoEngine, TimeLimit
from optimizer.verify.passed import Passed

NAMES = ("docker", "podman", "buildah")
LABEL = "dopt.verify"
"""The label of every image and container that is made; its value is the run's name."""
_ANSWERS = 20.0  # seconds within which an engine must answer
_FRONTEND = re.compile(r"^#\s*syntax\s*=\s*(\S+)", re.I | re.M)
_NO_PULL = re.compile(r"failed to (?:resolve|do|authorize|copy|fetch)|access denied|no such host|i/o timeout|connection refused", re.I)


@dataclass(frozen=True)
class Image:
    """An image that was built: what the engine calls it, its configuration, bytes uncompressed, and layers."""

    reference: str
    config: dict[str, Any]
    size: int
    layers: int


@dataclass(frozen=True)
class Build:
    """One build.

    Args:
        dockerfile: The Dockerfile, with its ignore file beside it (``NAME.dockerignore``) when it has one.
        context: The folder that is built.
        tag: The image's name.
        run: The run's name, for the label.
        cached: Whether layers of earlier builds are used.
        mounts: A name that keeps the run's cache mounts apart from all others, None to share them.
        passed: What is handed through.
        limit: Seconds that it may take.
    """

    dockerfile: Path
    context: Path
    tag: str
    run: str
    cached: bool
    mounts: str | None
    passed: Passed
    limit: float

    @property
    def ignore_file(self) -> Path | None:
        """The ignore file beside the Dockerfile, None when there is none."""
        path = self.dockerfile.with_name(f"{self.dockerfile.name}.dockerignore")
        return path if path.exists() else None


@dataclass(frozen=True)
class Engine:
    """Docker or podman: builds, holds images, runs containers.

    Args:
        name: ``docker``, ``podman`` or ``buildah``.
        builder: The buildx builder, None for the current one.
        folder: Where an engine that holds no images puts them.
    """

    name: str
    builder: str | None = None
    folder: Path | None = None

    runs = True

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.name}, builder {self.builder}" if self.builder else self.name

    def answers(self) -> str | None:
        """None when it does, else the reason why not."""
        command = {
            "docker": ["docker", "version", "--format", "{{.Server.Version}}"],
            "podman": ["podman", "info", "--format", "{{.Host.OS}}"],
            "buildah": ["buildah", "info"],
        }[self.name]
        return answer(command)

    def storage(self) -> Path | None:
        """The folder on this machine that images are kept in, None when it is elsewhere or not known."""
        template = {"docker": "{{.DockerRootDir}}", "podman": "{{.Store.GraphRoot}}"}.get(self.name)
        if template is None or not self.runs:
            return None
        with suppress(TimeLimit, OSError):
            done = query([self.name, "info", "--format", template], _ANSWERS)
            path = Path(done.output.strip() or "/nowhere")
            return path if done.code == 0 and path.is_dir() else None
        return None

    def build(self, build: Build, on_line: Callable[[str], None]) -> float:
        """Build an image; the seconds that it took.

        Raises:
            BuildFailed: The Dockerfile does not build.
            NoEngine: The engine stopped answering.
            TimeLimit: It takes too long.
        """
        done = call(self.build_command(build), build.limit, lambda line: on_line(build.passed.hide(line)))
        if done.code != 0:
            self._failed(build, build.passed.hide(done.output))
        return done.seconds

    def build_command(self, build: Build) -> list[str]:
        """The command line of a build."""
        if self.name == "docker":
            command = ["docker", "buildx", "build", "--progress=plain", "--provenance=false", *self._output(build)]
            command += ["--builder", self.builder] if self.builder else []
            # BuildKit's documented way to keep cache mounts apart: a build without a cache starts with empty ones, too.
            command += ["--build-arg", f"BUILDKIT_CACHE_MOUNT_NS={build.mounts}"] if build.mounts else []
        else:
            # podman and buildah write no HEALTHCHECK and SHELL into images of the other format.
            command = [self.name, "build", "--format", "docker"]
            command += ["--ignorefile", str(build.ignore_file)] if build.ignore_file is not None else []
        command += ["--tag", build.tag, "--label", f"{LABEL}={build.run}", "--file", str(build.dockerfile)]
        command += [] if build.cached else ["--no-cache"]
        return [*command, *build.passed.arguments(), str(build.context)]

    def _output(self, build: Build) -> list[str]:
        return ["--load"]

    def _failed(self, build: Build, log: str) -> None:
        reason = self.answers()
        if reason is not None:
            raise NoEngine(f"the engine stopped answering in the middle of a build ({reason})")
        frontend = _FRONTEND.search(build.dockerfile.read_text("utf-8", "replace"))
        last = _last_error(log)
        if frontend and frontend[1].rpartition("@")[0].rpartition(":")[0] in log and _NO_PULL.search(log) and "resolve image config" in log:
            raise BuildFailed(f"the frontend {frontend[1]}, which its syntax line names, could not be pulled: {last}", log)
        raise BuildFailed(last or "the build failed", log)

    def image(self, tag: str) -> Image:
        """What there is to know of an image. NoEngine when the engine does not say."""
        found = json.loads(self._ask("image", "inspect", tag))[0]
        config = dict(found.get("Config") or {})
        if config.get("Healthcheck") is None and (health := found.get("Healthcheck") or found.get("HealthCheck")):
            config["Healthcheck"] = health  # podman's place for it
        sizes = self._ask("history", "--human=false", "--format", "{{.Size}}", tag).split()
        # An image store of containerd's gives the compressed size for the whole, but always the real one for each layer.
        size = sum(int(text) for text in sizes) if all(text.isdigit() for text in sizes) else int(found.get("Size") or 0)
        return Image(tag, config, size, len((found.get("RootFS") or {}).get("Layers") or ()))

    @contextmanager
    def files(self, image: Image, run: str, limit: float) -> Iterator[IO[bytes]]:
        """An image's file system as a tar stream."""
        # The command is never run; an image without one needs any to be created.
        container = self._ask("create", "--label", f"{LABEL}={run}", image.reference, "/").strip().splitlines()[-1]
        try:
            with stream([self.name, "export", container], limit) as tar:
                yield tar
        finally:
            self.remove_container(container)

    def create(self, image: Image, run: str, entrypoint: str | None = None, arguments: Sequence[str] = ()) -> Done:
        """Make a container, not started; on success the last line of the output is its name."""
        entry = [] if entrypoint is None else ["--entrypoint", entrypoint]
        return query([self.name, "create", "--label", f"{LABEL}={run}", *entry, image.reference, *arguments])

    def start(self, container: str) -> Done:
        """Start a container in the background."""
        return query([self.name, "start", container])

    def state(self, container: str) -> tuple[bool, int]:
        """Whether a container runs, and its exit code."""
        running, code = self._ask("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", container).split()
        return running == "true", int(code)

    def logs(self, container: str) -> str:
        """What a container has written to its standard output and error."""
        return call([self.name, "logs", container], 60).output

    def execute(self, container: str, command: Sequence[str], limit: float) -> Done:
        """Run a command inside a running container."""
        return call([self.name, "exec", container, *command], limit)

    def remove_container(self, container: str) -> None:
        """Remove a container, running or not, with its own volumes."""
        query([self.name, "rm", "--force", "--volumes", container])

    def remove_image(self, image: Image) -> None:
        """Remove an image."""
        query([self.name, "rmi", "--force", image.reference])

    def clean(self, run: str) -> str | None:
        """Remove every container and image of a run; what to say when that does not work."""
        with suppress(TimeLimit, OSError):
            label = ("--filter", f"label={LABEL}={run}")
            images = query([self.name, "images", "--all", "--quiet", "--no-trunc", *label])
            made = query([self.name, "ps", "--all", "--quiet", *label]).output.split() if images.code == 0 else []
            names = set(images.output.split()) if images.code == 0 else set()
            for name in names:  # what a smoke test of the user's started and left
                made += query([self.name, "ps", "--all", "--quiet", "--filter", f"ancestor={name}"]).output.split()
            done = [query([self.name, "rm", "--force", "--volumes", *sorted(set(made))])] if made else []
            done += [query([self.name, "rmi", "--force", *sorted(names)])] if names else []
            if images.code == 0 and all(each.code == 0 for each in done):
                return None
        return f"{self.title} does not clean up: containers and images labelled {LABEL}={run} may be left"

    def _ask(self, *arguments: str) -> str:
        done = query([self.name, *arguments])
        if done.code != 0:
            raise NoEngine(f"{self.name} {arguments[0]}: {done.last_line or 'failed'}")
        return done.output


def find_engine(name: str | None = None, builder: str | None = None) -> Engine:
    """The engine that is there.

    Args:
        name: The one to use, None for the first of ``NAMES`` that answers.
        builder: A builder of buildx, which may be elsewhere.

    Raises:
        NoEngine: None answers, with the reason for each.
    """
    from optimizer.verify.archive import ArchiveEngine

    reasons = []
    for each in ("docker",) if builder and name is None else NAMES if name is None else (name,):
        if builder and each != "docker":
            raise NoEngine(f"--builder names a builder of docker buildx, not of {each}")
        if shutil.which(each) is None:
            reasons.append(f"{each} is not installed")
            continue
        if each == "docker" and (missing := answer(["docker", "buildx", "version"])) is not None:
            reasons.append(f"docker has no buildx ({missing})")
            continue
        if builder and (missing := answer(["docker", "buildx", "inspect", builder])) is not None:
            raise NoEngine(f"no builder {builder}: {missing}")
        engine = ArchiveEngine(each) if each == "buildah" else Engine(each, builder)
        reason = engine.answers()
        if reason is None:
            return engine
        if builder:  # it builds without an engine here, but nothing here can run what it builds
            return ArchiveEngine(each, builder)
        reasons.append(f"{each} does not answer ({reason})")
    raise NoEngine(f"no engine to build with: {'; '.join(reasons)}")


def answer(command: Sequence[str]) -> str | None:
    """None when a command succeeds, else the last line that it says."""
    try:
        done = query(command, _ANSWERS)
    except TimeLimit as limit:
        return str(limit)
    except OSError as error:
        return error.strerror or str(error)
    return None if done.code == 0 else done.last_line or f"exit code {done.code}"


def _last_error(log: str) -> str:
    """The line that says why a build failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?:error|ERROR)\b", line)]
    return (errors or lines or [""])[-1]
