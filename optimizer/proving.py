"""``dopt verify`` and ``dopt fix --verify``: the options, the runs, and what is said and written of them."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optimizer.context import BuildContext
    from optimizer.engine import Options, Result
    from optimizer.report.proof import Checked
    from optimizer.verify import Progress, Settings, Source

_FILE = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--engine", type=click.Choice(["docker", "podman", "buildah"]), help="What builds (default: the first that answers)."),
    click.option("--builder", metavar="NAME", help="A builder of docker buildx, such as a remote or Kubernetes one."),
    click.option("--smoke", metavar="CMD", help="A test that runs here; the image is its first argument and in IMAGE."),
    click.option("--smoke-in", metavar="CMD", help="A test that runs inside the container."),
    click.option("--edit", metavar="FILE", help="The file of the build context to edit before the second build."),
    click.option("--measure/--no-measure", default=True, help="Time builds without a cache and after an edit."),
    click.option("--timeout", type=click.FloatRange(min=1), default=1800, metavar="SECONDS", help="For each build and smoke test."),
    click.option("--build-arg", multiple=True, metavar="NAME=VALUE", help="Handed through to the build, and not printed."),
    click.option("--secret", multiple=True, metavar="id=ID,src=FILE", help="Handed through to the build, and not printed."),
    click.option("--ssh", multiple=True, metavar="ID", help="Handed through to the build."),
    click.option("--build-context", multiple=True, metavar="NAME=PLACE", help="Handed through to the build."),
    click.option("--platform", metavar="NAME", help="The one platform to build for."),
    click.option("--json", "json_file", type=_FILE, metavar="FILE", help="Write the report as JSON."),
    click.option("--html", "html_file", type=_FILE, metavar="FILE", help="Write the report as an HTML page."),
)
_NAMES = (
    "engine", "builder", "smoke", "smoke_in", "edit", "measure", "timeout", "build_arg", "secret", "ssh", "build_context", "platform",
    "json_file", "html_file",
)  # fmt: skip


def with_proof_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a proof; they come to it as one argument ``proof``, a dictionary."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        command(proof={name: arguments.pop(name) for name in _NAMES}, **arguments)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it, Ctrl-C and the signals to end let everything be removed, and then end the program as a shell expects: 128 + signal."""
    from optimizer.verify import Interrupted, interruptible

    try:
        with interruptible():
            yield
    except Interrupted as stopped:
        click.echo("stopped", err=True)
        sys.exit(128 + stopped.signal)


class Proving:
    """The proofs of one run of the command line.

    Args:
        choices: The values of the options.
        quiet: Whether nothing is said of what is going on.
    """

    def __init__(self, choices: dict[str, Any], quiet: bool = False) -> None:
        from optimizer.request import BadCall
        from optimizer.verify import NoEngine, find_engine

        self.choices = choices
        self.quiet = quiet
        self.done: list[Checked] = []
        if "," in (self.choices["platform"] or ""):
            raise BadCall("--platform: one platform at a time can be compared")
        try:
            self._engine = find_engine(self.choices["engine"], self.choices["builder"])
        except NoEngine as error:
            raise BadCall(f"{error}; nothing was changed") from error

    def fixed(self, name: str, rewrite: Callable[[Options], Result], options: Options, context: BuildContext) -> Result:
        """Rewrite a Dockerfile as far as it is proved.

        Args:
            name: What people call it.
            rewrite: Rewrites it.
            options: What may be done.
            context: Its build context.

        Raises:
            InputError: Nothing can be said of it.
            BadCall: The engine does not answer any more.
        """
        from optimizer.report.proof import Checked
        from optimizer.verify import Prover, Source, Workspace, prove

        first = rewrite(options)
        if not first.rewrites:
            return first
        with self._errors(name), Workspace(self._engine, self._progress()) as workspace:
            prover = Prover(workspace, self._settings(context, options.target), Source(first.source, context.ignore_text))
            proof = prove(rewrite, options, prover)
        result = proof.result
        self.done.append(Checked(name, proof.verdict, result.rewrites, proof.dropped, proof.note, self._hide(result.diff())))
        return result

    def compared(self, name: str, before: Source, after: Source, context: BuildContext, target: str | None) -> bool:
        """Judge one Dockerfile against another; whether nothing speaks against it. Raises as ``fixed``."""
        from optimizer.engine.diff import unified_diff
        from optimizer.report.proof import Checked
        from optimizer.verify import Prover, Workspace

        with self._errors(name), Workspace(self._engine, self._progress()) as workspace:
            verdict = Prover(workspace, self._settings(context, target), before).judge(after)
        diff = self._hide(unified_diff(before.text, after.text, "Dockerfile"))
        self.done.append(Checked(name, verdict, diff=diff))
        return verdict.proved

    def report(self, color: str, *, verbose: bool, to_stderr: bool = False) -> None:
        """Print the tables, and write the files that were asked for. BadCall when one cannot be written.

        ``to_stderr`` is True where standard output belongs to something else.
        """
        from optimizer.report.proof import proof_lines, proof_values
        from optimizer.report.style import Paint, wants_color

        json_file, html_file = self.choices["json_file"], self.choices["html_file"]
        to_stderr = to_stderr or json_file == Path("-")
        paint = Paint(wants_color(color, sys.stderr if to_stderr else sys.stdout, os.environ))
        for checked in self.done if not self.quiet else ():
            for line in proof_lines(checked, paint, verbose=verbose):
                click.echo(line.encode("utf-8", "surrogateescape"), err=to_stderr)
        if json_file is not None:
            import json

            _write(json_file, json.dumps(proof_values(self.done), indent=2, ensure_ascii=False) + "\n")
        if html_file is not None:
            from optimizer.report.proof_page import proof_page

            _write(html_file, proof_page(self.done))

    def _settings(self, context: BuildContext, target: str | None) -> Settings:
        from optimizer.verify import Passed, Settings

        each = self.choices
        passed = Passed(each["build_arg"], each["secret"], each["ssh"], each["build_context"], target, each["platform"])
        return Settings(context, passed, each["timeout"], each["smoke"], each["smoke_in"], each["edit"], each["measure"])

    def _hide(self, text: str) -> str:
        from optimizer.verify import Passed

        return Passed(self.choices["build_arg"], self.choices["secret"]).hide(text)

    def _progress(self) -> Progress:
        from optimizer.verify import Progress

        return Progress(None if self.quiet else sys.stderr, not self.quiet and sys.stderr.isatty())

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        from optimizer.files import InputError
        from optimizer.request import BadCall
        from optimizer.verify import CannotTell, NoEngine
        from optimizer.verify.errors import TimeLimit

        try:
            yield
        except (NoEngine, TimeLimit) as error:
            raise BadCall(f"{name}: {self._hide(str(error))}; nothing was written") from error
        except CannotTell as error:
            raise InputError(name, f"{self._hide(str(error))}; nothing was written") from error


def verify(before: Path, after: Path, context: Path | None, target: str | None, proof: dict[str, Any], **shown: Any) -> int:
    """Judge one Dockerfile against another.

    Args:
        before, after: The Dockerfiles.
        context: The folder that is built, None to find it by what is copied.
        target: The stage that is built, None for the last.
        proof: The options of a proof.
        shown: ``color``, ``quiet`` and ``verbose``.

    Returns:
        The exit code: 0 when it is proved, 1 when it is not.

    Raises:
        BadCall: A file cannot be read, there is no engine, or nothing can be said.
    """
    from optimizer.context.folder import BuildContext, ContextError
    from optimizer.files import InputError, context_folder, context_sources, read, search_limit
    from optimizer.request import BadCall
    from optimizer.syntax import decode, parse
    from optimizer.verify import Source

    try:
        texts = [decode(read(path)) for path in (before, after)]
        for path, text in zip((before, after), texts, strict=True):
            for problem in parse(text).problems:
                raise InputError(str(path), problem.message, problem.line, problem.column)
        sources = context_sources(parse(texts[0]))
        folder = context or context_folder(before, sources, search_limit(before, (Path.cwd(),))) or Path(os.path.abspath(before)).parent
        opened = [BuildContext.open(folder, Path(os.path.abspath(path))) for path in (before, after)]
        own = after.with_name(f"{after.name}.dockerignore").exists()  # else it is meant to take the place of the one before
        ignores = opened[0].ignore_text, opened[1 if own else 0].ignore_text
        proving = Proving(proof, shown["quiet"])
        old, new = (Source(text, ignore) for text, ignore in zip(texts, ignores, strict=True))
        proved = proving.compared(f"{before} → {after}", old, new, opened[0], target)
    except InputError as error:
        raise BadCall(str(error)) from error
    except ContextError as error:
        raise BadCall(f"{error.path}: no build context: {error.reason}") from error
    proving.report(shown["color"], verbose=shown["verbose"])
    return 0 if proved else 1


def _write(path: Path, text: str) -> None:
    from optimizer.request import BadCall

    data = text.encode("utf-8", "surrogateescape")
    if path == Path("-"):
        click.echo(data, nl=False)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadCall(f"{path}: not written: {error.strerror or error}") from error
