"""What comes of one Dockerfile: read, rewritten, written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace as struct_replace

import optimizer
from optimizer.config import Config
from optimizer.engine import Options, Result
from optimizer.files import InputError, check_text, context_folder, context_sources, create, read, replace
from optimizer.passes.base import IgnoreFile
from optimizer.request import STANDARD_INPUT, BadCall, Request
from optimizer.syntax import Dockerfile, encode, parse

if TYPE_CHECKING:
    from optimizer.context import BuildContext


class Outcome(Struct, frozen=True):
    """What came of one Dockerfile.

    Args:
        path: Where it lies, or would lie; ``-`` where nobody knows.
        data: Its bytes.
        result: The rewrites, None where it could not be done.
        errors: What is wrong with it.
        note: What there is to know besides.
        folder: The build context, None when there is none.
        ignores: The ignore file that holds for it, whether it exists or not; None without a build context.
        piped: Whether it came from standard input.
    """

    path: Path
    data: bytes = b""
    result: Result | None = None
    errors: tuple[InputError, ...] = ()
    note: str = ""
    folder: Path | None = None
    ignores: Path | None = None
    piped: bool = False

    @property
    def name(self) -> str:
        """The path as people see it."""
        return "<stdin>" if self.path == STANDARD_INPUT else str(self.path)


def outcome_at(path: Path, request: Request) -> Outcome:
    """Do the Dockerfile at a path, or the one on standard input; see ``outcome_of``."""
    data, piped = b"", path == STANDARD_INPUT
    try:
        if piped:
            path = request.stdin_filename or path
            data = sys.stdin.buffer.read()
            check_text(Outcome(path).name, data)
        else:
            data = read(path)
    except InputError as error:
        return Outcome(path, data, errors=(error,), piped=piped)
    return outcome_of(path, data, request, piped=piped)


def outcome_of(path: Path, data: bytes, request: Request, *, piped: bool = False) -> Outcome:
    """Do one Dockerfile of these bytes.

    Nothing is written yet. Whatever goes wrong is part of the outcome, so that others are done all the same. ``piped`` is True
    where one text is all that can be given back, so that the ignore file has to stay as it is.
    """
    empty = Outcome(path, data, piped=piped)
    try:
        options = request.options(path)
        if piped:
            options = struct_replace(options, ignore=options.ignore | {"complete-dockerignore"})
        file = parse(data)
        if file.problems:
            return struct_replace(empty, errors=tuple(InputError(empty.name, p.message, p.line, p.column) for p in file.problems))
        _check_target(empty.name, file, options)
        options, unpinned = _with_digests(empty.name, file, options, request)
        folder, note = _context_of(path, file, request, request.config_of(path))
        result, ignores = _optimized(path, file, folder, options, request)
        return Outcome(path, data, result, unpinned, note, folder, ignores, piped)
    except InputError as error:
        return struct_replace(empty, errors=(error,))
    except BadCall:
        raise
    except Exception as error:  # a defect, but one that must not keep the other files from being done
        return struct_replace(empty, errors=(_defect(empty.name, error, request.verbose),))


def outcomes_in_turn(files: Iterable[Path], request: Request) -> Iterator[Outcome]:
    """What comes of each file, done and written one after the other."""
    return (written(outcome_at(path, request), request) for path in files)


def written(outcome: Outcome, request: Request) -> Outcome:
    """Write what came of a Dockerfile, if that is asked for; what goes wrong is part of the outcome."""
    result = outcome.result
    if result is None or outcome.piped or not request.write:
        return outcome
    try:
        if result.ignore_file is not None and outcome.folder is not None:
            _write_ignore_file(outcome.folder / result.ignore_file.path, result.ignore_file)
        if result.changed:
            replace(outcome.path, outcome.data, encode(result.text))
    except InputError as error:
        return Outcome(outcome.path, outcome.data, errors=(*outcome.errors, error))
    return outcome


def _check_target(name: str, file: Dockerfile, options: Options) -> None:
    from optimizer.model import Model

    if options.target is not None and Model(file).find_stage(options.target) is None:
        raise InputError(name, f"no stage '{options.target}'")


def _with_digests(name: str, file: Dockerfile, options: Options, request: Request) -> tuple[Options, tuple[InputError, ...]]:
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
    return struct_replace(options, digests=dict(request.digests)), tuple(wrong)


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


def _optimized(path: Path, file: Dockerfile, folder: Path | None, options: Options, request: Request) -> tuple[Result, Path | None]:
    from optimizer.context.folder import ContextError

    try:
        context = None if folder is None else _opened(folder, path)
        if context is None:
            if request.proving is not None:
                raise InputError(Outcome(path).name, "no build context to build with; --context gives one")
            return optimizer.optimize(file, config=options), None
        target = context.root / (context.ignore_file or ".dockerignore")
        pending = request.ignore_files.get(target)  # what another Dockerfile of the same context would write
        if pending is not None and not request.write:
            context = context.with_patterns(pending.patterns, pending.path, pending.text)
        result = _rewritten(Outcome(path).name, file, context, options, request)
        if result.ignore_file is not None:
            request.ignore_files[target] = result.ignore_file
        return result, target
    except ContextError as error:
        raise InputError(str(error.path), f"no build context: {error.reason}") from error


def _opened(folder: Path, path: Path) -> BuildContext:
    from optimizer.context.folder import BuildContext

    return BuildContext.open(folder, None if path == STANDARD_INPUT else Path(os.path.abspath(path)))


def _rewritten(name: str, file: Dockerfile, context: BuildContext, options: Options, request: Request) -> Result:
    if request.proving is None:
        return optimizer.optimize(file, context=context, config=options)
    return request.proving.fixed(name, lambda each: optimizer.optimize(file, context=context, config=each), options, context)


def _write_ignore_file(path: Path, new: IgnoreFile) -> None:
    if new.before is None:
        create(path, encode(new.text))
    else:
        replace(path, encode(new.before), encode(new.text))


def _defect(name: str, error: Exception, verbose: bool) -> InputError:
    package = os.path.dirname(__file__)
    place, frame = "dopt", error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file.startswith(package):
            place = f"{os.path.relpath(file, package)}:{frame.tb_lineno}"
        frame = frame.tb_next
    reason = f"internal error in {place}, please report: {type(error).__name__}: {error}".replace("\n", " ")
    if verbose:
        import traceback

        reason += "\n" + "".join(traceback.format_exception(error)).rstrip()
    return InputError(name, reason)


def singles(outcome: Outcome, result: Result, request: Request) -> tuple[Result | None, ...]:
    """For each rewrite of an outcome's result, what comes of it by itself; None where it is possible only behind another."""
    from optimizer.engine.single import alone

    options = struct_replace(request.options(outcome.path), digests=dict(request.digests))
    context = None if outcome.folder is None else _opened(outcome.folder, outcome.path)
    again = partial(optimizer.optimize, result.source, context=context)
    return tuple(alone(rewrite, lambda each: again(config=each), options) for rewrite in result.rewrites)
