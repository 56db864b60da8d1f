"""One run over files: what is asked for, what came of each Dockerfile, what is written and said."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct, field

import optimizer
from optimizer.config import Config, Configs, load
from optimizer.engine import Options, Result
from optimizer.engine.diff import unified_diff
from optimizer.files import InputError, check_text, context_folder, context_sources, create, find_dockerfiles, read, replace, search_limit
from optimizer.model.runtime import Runtime
from optimizer.passes.base import IgnoreFile
from optimizer.report import Paint, Totals, colored, describe, wants_color
from optimizer.syntax import Dockerfile, encode, parse

if TYPE_CHECKING:
    from optimizer.context import BuildContext
    from optimizer.proving import Proving

STANDARD_INPUT = Path("-")
BAR_FROM = 20  # files; fewer are done before a bar could be read


class BadCall(click.ClickException):
    """The command line or the configuration makes no sense; said in one line."""

    exit_code = 2


class Request(Struct, frozen=True):
    """What the command line asks for; None where it leaves it to the configuration.

    ``write`` is whether files are rewritten, ``diff`` whether diffs are printed, ``proving`` proves each result by building,
    ``tell`` whether findings are told.
    """

    write: bool
    diff: bool
    select: frozenset[str] | None
    ignore: frozenset[str] | None
    also: frozenset[str] | None
    unsafe: bool | None
    target: str | None
    runtime: str | None
    context: Path | None
    quiet: bool
    verbose: bool
    color: str
    configs: Configs
    starts: tuple[Path, ...]
    ignore_files: dict[Path, IgnoreFile] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Path] = field(default_factory=dict)
    proving: Proving | None = None
    tell: bool = True

    def options(self, config: Config) -> Options:
        """What the engine may do: the command line wins, and a pass that it selects is not ignored."""
        ignore = self.ignore if self.ignore is not None else (config.ignore or frozenset()) - (self.select or frozenset())
        return Options(
            select=self.select if self.select is not None else config.select,
            ignore=ignore,
            also=(self.also if self.also is not None else config.also) or frozenset(),
            unsafe=bool(self.unsafe if self.unsafe is not None else config.unsafe),
            target=self.target if self.target is not None else config.target,
            runtime=Runtime(self.runtime) if self.runtime is not None else config.runtime or Runtime.SLIM,
            tell=self.tell,
            rules_off=config.rules_off,
        )

    def config_of(self, dockerfile: Path) -> Config:
        """The configuration that holds for a Dockerfile. InputError when it cannot be read."""
        return self.configs.of(Path(os.path.abspath(dockerfile)).parent, self.limit_of(dockerfile))

    def limit_of(self, dockerfile: Path) -> Path:
        """The outermost folder that may belong to a Dockerfile's project, found out once for each folder."""
        folder = os.path.dirname(os.path.abspath(dockerfile))
        if folder not in self.limits:
            self.limits[folder] = search_limit(dockerfile, self.starts)
        return self.limits[folder]

    def excludes(self, dockerfile: Path) -> bool:
        """Whether the configuration leaves a file out; one that cannot be read is reported later."""
        try:
            return self.config_of(dockerfile).excludes(dockerfile)
        except InputError:
            return False


class Outcome(Struct, frozen=True):
    """What came of one Dockerfile: its bytes, the result or what is wrong, what there is to know besides."""

    path: Path
    data: bytes = b""
    result: Result | None = None
    errors: tuple[str, ...] = ()
    note: str = ""
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The path as people see it."""
        return "<stdin>" if self.path == STANDARD_INPUT else str(self.path)


def run(paths: tuple[Path, ...], config: Path | None, *, write: bool, checking: bool = False, **choices: Any) -> int:
    """Rewrite Dockerfiles, or say what would be rewritten.

    Args:
        paths: Files and folders, or ``-`` alone for standard input; none for the current folder.
        config: The configuration file to use everywhere, None to look for them.
        write: Whether files are rewritten.
        checking: Whether the exit code tells if anything would change.
        choices: The other fields of ``Request``.

    Returns:
        The exit code: 2 when a file could not be done, 1 when ``checking`` and something would change, else 0.

    Raises:
        BadCall: The paths do not go together, or ``config`` cannot be read.
    """
    if STANDARD_INPUT in paths and len(paths) > 1:
        raise BadCall("- for standard input does not go with other paths")
    # Trees and their caches live as long as the process does; looking for garbage among them takes a fifth of the time.
    gc.disable()
    paths = paths or (Path("."),)
    starts = (Path.cwd(), *(path for path in paths if path.is_dir()))
    tell = checking or choices["verbose"]
    request = Request(write=write, configs=Configs(_given_config(config)), starts=starts, tell=tell, **choices)
    files, wrong = ((STANDARD_INPUT,), ()) if paths == (STANDARD_INPUT,) else find_dockerfiles(paths, request.excludes)
    said: set[str] = set()
    for error in wrong:
        _complain(str(error), said)
    piped = files == (STANDARD_INPUT,) and not checking and not request.diff  # what comes out is the Dockerfile itself
    totals = Totals()
    for outcome in _outcomes(files, request):
        for line in outcome.errors:
            _complain(line, said)
        if piped:
            _print(encode(outcome.result.text) if outcome.result else outcome.data)
        if outcome.result is not None:
            totals.add(outcome.result)
            _show(outcome, request, to_stderr=piped or request.diff)
    if totals.files and not request.quiet:
        _print(encode(totals.line(written=write, verbose=request.verbose) + "\n"), err=piped or request.diff)
    return 2 if said else int(checking and totals.changed > 0)


def _given_config(path: Path | None) -> Config | None:
    try:
        config = None if path is None else load(path)
    except InputError as error:
        raise BadCall(str(error)) from error
    if path is not None and config is None:
        raise BadCall(f"{path}: " + ("no [tool.dopt] in it" if path.exists() else "no such file"))
    return config


def _outcomes(files: tuple[Path, ...], request: Request) -> Iterator[Outcome]:
    if len(files) > BAR_FROM and sys.stderr.isatty() and not request.quiet:
        with click.progressbar(files, label="dopt", file=sys.stderr) as bar:
            yield from [_outcome(path, request) for path in bar]
    else:
        yield from (_outcome(path, request) for path in files)


def _outcome(path: Path, request: Request) -> Outcome:
    data = b""
    try:
        if path == STANDARD_INPUT:
            data = sys.stdin.buffer.read()
            check_text(Outcome(path).name, data)
        else:
            data = read(path)
    except InputError as error:
        return Outcome(path, data, errors=(str(error),))
    return outcome_of(path, data, request)


def outcome_of(path: Path, data: bytes, request: Request) -> Outcome:
    """Do one Dockerfile of these bytes. Whatever goes wrong is part of the outcome, so that others are done all the same."""
    empty = Outcome(path)
    try:
        config = request.config_of(path)
        options = request.options(config)
        file = parse(data)
        if file.problems:
            return Outcome(path, data, errors=tuple(str(InputError(empty.name, p.message, p.line, p.column)) for p in file.problems))
        _check_target(empty.name, file, options)
        options, unpinned = _with_digests(empty.name, file, options, request)
        folder, note = _context_of(path, file, request, config)
        result = _optimized(path, file, folder, options, request)
        if request.write and path != STANDARD_INPUT:
            if result.ignore_file is not None and folder is not None:
                _write_ignore_file(folder / result.ignore_file.path, result.ignore_file)
            if result.changed:
                replace(path, data, encode(result.text))
        return Outcome(path, data, result, unpinned, note, folder)
    except InputError as error:
        return Outcome(path, data, errors=(str(error),))
    except BadCall:
        raise
    except Exception as error:  # a defect, but one that must not keep the other files from being done
        return Outcome(path, data, errors=(_defect(empty.name, error, request.verbose),))


def _check_target(name: str, file: Dockerfile, options: Options) -> None:
    from optimizer.model import Model

    if options.target is not None and Model(file).find_stage(options.target) is None:
        raise InputError(name, f"no stage '{options.target}'")


def _with_digests(name: str, file: Dockerfile, options: Options, request: Request) -> tuple[Options, tuple[str, ...]]:
    """The options with what a registry says of the file's images, where they shall be pinned; and what it did not answer."""
    from optimizer.passes.pin_digests import PinDigests, images

    if PinDigests.name not in options.also | (options.select or frozenset()):
        return options, ()
    from optimizer import registry
    from optimizer.model import Model

    asked = images(Model(file))
    found, missing = registry.digests(reference for _, reference in asked if reference not in request.digests)
    request.digests.update(found)
    wrong = [InputError(name, f"cannot pin {image}: {missing[image]}", file.line(p), 1) for p, image in asked if image in missing]
    return msgspec.structs.replace(options, digests=dict(request.digests)), tuple(map(str, wrong))


def _context_of(path: Path, file: Dockerfile, request: Request, config: Config) -> tuple[Path | None, str]:
    """The build context, None when there is none, and what to say about it."""
    if request.context is not None:
        return request.context, ""
    if path == STANDARD_INPUT:
        return None, "no build context: only what the text proves is done; --context gives one"
    if config.context_folder is not None:
        return config.context_folder, ""
    folder = context_folder(path, context_sources(file), request.limit_of(path))
    if folder is None:
        return None, "no build context: no folder holds what it copies, so only what the text proves is done; --context gives one"
    return folder, "" if folder == Path(os.path.abspath(path)).parent else f"build context: {os.path.relpath(folder)}"


def _optimized(path: Path, file: Dockerfile, folder: Path | None, options: Options, request: Request) -> Result:
    from optimizer.context.folder import BuildContext, ContextError

    try:
        context = None if folder is None else BuildContext.open(folder, None if path == STANDARD_INPUT else Path(os.path.abspath(path)))
        if path == STANDARD_INPUT:  # a pipe gives back one text, so no second file is written
            options = msgspec.structs.replace(options, ignore=options.ignore | {"complete-dockerignore"})
        if context is None:
            if request.proving is not None:
                raise InputError(Outcome(path).name, "no build context to build with; --context gives one")
            return optimizer.optimize(file, config=options)
        target = context.root / (context.ignore_file or ".dockerignore")
        pending = request.ignore_files.get(target)  # what another Dockerfile of the same context would write
        if pending is not None and not request.write:
            context = context.with_patterns(pending.patterns, pending.path, pending.text)
        result = _rewritten(Outcome(path).name, file, context, options, request)
        if result.ignore_file is not None:
            request.ignore_files[target] = result.ignore_file
        return result
    except ContextError as error:
        raise InputError(str(error.path), f"no build context: {error.reason}") from error


def _rewritten(name: str, file: Dockerfile, context: BuildContext, options: Options, request: Request) -> Result:
    if request.proving is None:
        return optimizer.optimize(file, context=context, config=options)
    return request.proving.fixed(name, lambda each: optimizer.optimize(file, context=context, config=each), options, context)


def _write_ignore_file(path: Path, new: IgnoreFile) -> None:
    if new.before is None:
        create(path, encode(new.text))
    else:
        replace(path, encode(new.before), encode(new.text))


def _defect(name: str, error: Exception, verbose: bool) -> str:
    package = os.path.dirname(__file__)
    place, frame = "dopt", error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file.startswith(package):
            place = f"{os.path.relpath(file, package)}:{frame.tb_lineno}"
        frame = frame.tb_next
    line = f"{name}: internal error in {place}, please report: {type(error).__name__}: {error}".replace("\n", " ")
    if not verbose:
        return line
    import traceback

    return line + "\n" + "".join(traceback.format_exception(error)).rstrip()


def _show(outcome: Outcome, request: Request, *, to_stderr: bool) -> None:
    result = outcome.result
    assert result is not None
    if request.diff and result.ignore_file is not None and outcome.folder is not None:
        new = result.ignore_file
        ignore_path = os.path.relpath(os.path.realpath(outcome.folder / new.path)).replace(os.sep, "/")
        text = unified_diff(new.before or "", new.text, ignore_path, created=new.before is None)
        _print(encode(colored(text, _paint(request, sys.stdout))))
    if request.diff and result.changed:
        path = "Dockerfile" if outcome.path == STANDARD_INPUT else os.path.relpath(os.path.realpath(outcome.path)).replace(os.sep, "/")
        _print(encode(colored(result.diff(path), _paint(request, sys.stdout))))
        if path.startswith("../"):
            _print(encode(f"{path}: outside of this folder, where 'git apply' does not reach\n"), err=True)
    if request.quiet:
        return
    if request.verbose and outcome.note:
        _print(encode(f"{outcome.name}: {outcome.note}\n"), err=to_stderr)
    paint = _paint(request, sys.stderr if to_stderr else sys.stdout)
    for line in describe(outcome.name, result, paint, verbose=request.verbose):
        _print(encode(line + "\n"), err=to_stderr)


def _paint(request: Request, stream: IO[Any]) -> Paint:
    return Paint(wants_color(request.color, stream, os.environ))


def _complain(line: str, said: set[str]) -> None:
    if line not in said:
        said.add(line)
        _print(encode(line + "\n"), err=True)


def _print(data: bytes, *, err: bool = False) -> None:
    click.echo(data, nl=False, err=err)  # as bytes, since file names and Dockerfiles may hold what is no text
