"""One run over files: which there are, what is said of each, and the exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from optimizer.config import Config, Configs, load
from optimizer.engine import Result
from optimizer.engine.diff import unified_diff
from optimizer.files import InputError, find_dockerfiles
from optimizer.outcome import Outcome, outcomes_in_turn, singles
from optimizer.report import Paint, Totals, colored, describe, git_path, wants_color
from optimizer.request import STANDARD_INPUT, TEXT, BadCall, Request
from optimizer.syntax import encode

if TYPE_CHECKING:
    from optimizer.engine.result import Lines
    from optimizer.report.formats import Entry

BAR_FROM = 20  # files; fewer are done before a bar could be read


def run(
    paths: tuple[Path, ...], config: Path | None, *, write: bool, checking: bool = False, since: str | None = None, **choices: Any
) -> int:
    """Rewrite Dockerfiles, or say what would be rewritten.

    Args:
        paths: Files and folders, or ``-`` alone for standard input; none for the current folder.
        config: The configuration file to use everywhere, None to look for them.
        write: Whether files are rewritten.
        checking: Whether the exit code tells if anything would change.
        since: A commit; only what has changed since then is looked at. None for everything.
        choices: The other fields of ``Request``.

    Returns:
        The exit code: 2 when a file could not be done, 1 when ``checking`` and something would change, else 0.

    Raises:
        BadCall: The paths do not go together, ``config`` cannot be read, or git cannot tell what has changed.
    """
    if STANDARD_INPUT in paths and len(paths) > 1:
        raise BadCall("- for standard input does not go with other paths")
    if STANDARD_INPUT in paths and since is not None:
        raise BadCall("--since compares files; it does not go with -")
    _check_stdin_filename(choices.get("stdin_filename"), paths)
    # Trees and their caches live as long as the process does; looking for garbage among them takes a fifth of the time.
    gc.disable()
    paths = paths or (Path("."),)
    starts = (Path.cwd(), *(path for path in paths if path.is_dir()))
    tell = checking or choices["verbose"] or choices["output"] != TEXT
    request = Request(write=write, configs=Configs(_given_config(config)), starts=starts, tell=tell, **choices)
    files, wrong = ((STANDARD_INPUT,), ()) if paths == (STANDARD_INPUT,) else find_dockerfiles(paths, request.excludes)
    if since is not None:
        request = replace(request, changed=_changed(since, files))
        files = tuple(file for file in files if file in (request.changed or {}))
    said: dict[str, InputError] = {}
    for error in wrong:
        _complain(error, said)
    piped = files == (STANDARD_INPUT,) and not checking and not request.diff  # what comes out is the Dockerfile itself
    totals, entries = Totals(), list["Entry"]()
    for outcome in _outcomes(files, request):
        for error in outcome.errors:
            _complain(error, said)
        if piped:
            _print(encode(outcome.result.text) if outcome.result else outcome.data)
        if outcome.result is not None:
            totals.add(outcome.result)
            if request.output == TEXT:
                _show(outcome, request, to_stderr=piped or request.diff)
            else:
                entries.append(_entry(outcome, outcome.result, request))
    told = request.verbose or request.output not in (TEXT, "github")
    summary = totals.line(written=write, verbose=told) if totals.files else ""
    if since is not None and not files:
        summary = f"no Dockerfile has changed since {since}"
    if request.output != TEXT:
        from optimizer.report.formats import Report, rendered

        report = Report(tuple(entries), tuple(said.values()), write, request.verbose, summary)
        _print(encode(rendered(report, request.output)), err=piped)
    elif summary and not request.quiet:
        _print(encode(summary + "\n"), err=piped or request.diff)
    return 2 if said else int(checking and totals.changed > 0)


def _check_stdin_filename(name: Path | None, paths: tuple[Path, ...]) -> None:
    if name is not None and paths != (STANDARD_INPUT,):
        raise BadCall("--stdin-filename says where standard input would lie; it goes with - alone")
    if name is not None and name.is_dir():
        raise BadCall(f"--stdin-filename: {name} is a folder")


def _given_config(path: Path | None) -> Config | None:
    try:
        config = None if path is None else load(path)
    except InputError as error:
        raise BadCall(str(error)) from error
    if path is not None and config is None:
        raise BadCall(f"{path}: " + ("no [tool.dopt] in it" if path.exists() else "no such file"))
    return config


def _outcomes(files: tuple[Path, ...], request: Request) -> Iterator[Outcome]:
    found = outcomes_in_turn(files, request)
    if len(files) > 1:
        from optimizer.pool import outcomes_in_processes, processes_for

        processes = processes_for(files, request)
        found = outcomes_in_processes(files, request, processes) if processes > 1 else found
    if len(files) > BAR_FROM and sys.stderr.isatty() and not request.quiet:
        with click.progressbar(found, length=len(files), label="dopt", file=sys.stderr) as bar:
            yield from list(bar)
    else:
        yield from found


def _changed(ref: str, files: tuple[Path, ...]) -> dict[Path, tuple[Lines, ...] | None]:
    from optimizer.since import NoHistory, changed_since

    try:
        return changed_since(ref, files)
    except NoHistory as error:
        raise BadCall(f"--since: {error}") from error


def _entry(outcome: Outcome, result: Result, request: Request) -> Entry:
    from optimizer.report.formats import Entry

    ignored = result.ignore_file
    ignore_path = "" if ignored is None or outcome.folder is None else git_path(outcome.folder / ignored.path)
    return Entry(outcome.name, result, outcome.note, ignore_path, lambda: singles(outcome, result, request))


def _show(outcome: Outcome, request: Request, *, to_stderr: bool) -> None:
    result = outcome.result
    assert result is not None
    if request.diff and result.ignore_file is not None and outcome.folder is not None:
        new = result.ignore_file
        text = unified_diff(new.before or "", new.text, git_path(outcome.folder / new.path), created=new.before is None)
        _print(encode(colored(text, _paint(request, sys.stdout))))
    if request.diff and result.changed:
        path = "Dockerfile" if outcome.path == STANDARD_INPUT else git_path(outcome.path)
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


def _complain(error: InputError, said: dict[str, InputError]) -> None:
    line = str(error)
    if line not in said:
        said[line] = error
        _print(encode(line + "\n"), err=True)


def _print(data: bytes, *, err: bool = False) -> None:
    click.echo(data, nl=False, err=err)  # as bytes, since file names and Dockerfiles may hold what is no text
