"""The command line: ``dopt fix``, ``dopt check``, ``dopt verify``, ``dopt passes``, ``dopt explain``.

What a command needs is imported when it runs, so that ``dopt --help`` and completion answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from optimizer import __version__
from optimizer.proving import stoppable, with_proof_options


def _names(_context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> frozenset[str] | None:
    names = frozenset(name for text in value for name in text.replace(",", " ").split())
    for name in sorted(names):
        _check_pass(name, f"{option.opts[0]}: ")
    return names if value else None


def _complete_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from optimizer.checks import CHECKS
    from optimizer.passes import PASSES

    before, comma, last = incomplete.rpartition(",")
    names = [*(each.name for each in PASSES), *(each.name for each in CHECKS)]
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


def _check_pass(name: str, where: str = "") -> None:
    from optimizer.config import unknown_pass
    from optimizer.request import BadCall

    if (wrong := unknown_pass(name)) is not None:
        raise BadCall(f"{where}{wrong}; 'dopt passes' lists them")


_NAMES: dict[str, Any] = {"multiple": True, "metavar": "NAMES", "callback": _names, "shell_complete": _complete_names}
_OPTIONS = (
    click.argument("paths", nargs=-1, metavar="[PATHS|-]", type=click.Path(path_type=Path)),
    click.option("--diff", is_flag=True, help="Print what would change as a diff for 'git apply' in this folder; write nothing."),
    click.option("--unsafe/--no-unsafe", default=None, help="Make changes that rest on an assumption, too."),
    click.option("--select", **_NAMES, help="Run only these passes and checks, separated by commas."),
    click.option("--ignore", **_NAMES, help="Leave these passes and checks out."),
    click.option("--also", **_NAMES, help="Run these passes, too, which run only on request."),
    click.option("--context", type=click.Path(path_type=Path), metavar="DIR", help="The folder that is built (default: found by COPY)."),
    click.option("--target", metavar="STAGE", help="The stage that is built (default: the last)."),
    click.option(
        "--runtime",
        type=click.Choice(["same", "slim", "distroless"]),
        help="What the final stage runs on: its own base, a slim one (default), or one without a shell where nothing needs it.",
    ),
    click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Use this dopt.toml or pyproject.toml."),
    click.option(
        "-o", "--output", type=click.Choice(["text", "json", "sarif", "github", "markdown", "html"]), default="text",
        help="The format in which to say what was found (default: text).",
    ),
    click.option("--since", metavar="REF", help="Look only at what has changed since the branch left this commit, in git."),
    click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes to use (default: as many as pay)."),
    click.option("--stdin-filename", type=click.Path(path_type=Path), metavar="FILE", help="Where the text of - is taken to lie."),
    click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Whether to colour the output."),
    click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong."),
    click.option("-v", "--verbose", is_flag=True, help="Say what was not done, and why."),
)  # fmt: skip


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dopt")
def main() -> None:
    """Rewrite Dockerfiles as an expert would, and say why."""


@main.command()
@_with_options
@click.option("--verify", "verifying", is_flag=True, help="Build before and after, and leave out the rewrites that break.")
@with_proof_options
def fix(paths: tuple[Path, ...], config: Path | None, verifying: bool, proof: dict[str, Any], **choices: Any) -> None:
    """Rewrite Dockerfiles in place.

    PATHS are Dockerfiles or folders to search (default: this one); - reads standard input and writes standard output.
    Exits with 2 when a file could not be done, else with 0.
    """
    from optimizer.session import run

    if not verifying:
        sys.exit(run(paths, config, write=not choices["diff"], **choices))
    from optimizer.proving import Proving

    with stoppable():
        proving = Proving(proof, choices["quiet"])
        code = run(paths, config, write=not choices["diff"], proving=proving, **choices)
        proving.report(choices["color"], verbose=choices["verbose"], to_stderr=choices["output"] != "text")
    sys.exit(code)


@main.command()
@_with_options
def check(paths: tuple[Path, ...], config: Path | None, **choices: Any) -> None:
    """Say what 'fix' would do, and write nothing.

    Exits with 1 when something would change, with 2 when a file could not be done, else with 0.
    """
    from optimizer.session import run

    sys.exit(run(paths, config, write=False, checking=True, **choices))


@main.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--context", type=click.Path(path_type=Path), metavar="DIR", help="The folder that is built (default: found by COPY).")
@click.option("--target", metavar="STAGE", help="The stage that is built (default: the last).")
@with_proof_options
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Whether to colour the output.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong.")
@click.option("-v", "--verbose", is_flag=True, help="List every difference.")
def verify(**choices: Any) -> None:
    """Build two Dockerfiles and say whether AFTER does what BEFORE does.

    Exits with 0 when it is proved, with 1 when it is not, with 2 when nothing can be said.
    """
    from optimizer.proving import verify

    with stoppable():
        code = verify(**choices)
    sys.exit(code)


@main.command()
def passes() -> None:
    """List the passes, in the order in which they run."""
    from optimizer.passes import PASSES
    from optimizer.report.page import page_of

    width = max((len(each.name) for each in PASSES), default=0)
    for page in map(page_of, PASSES):
        click.echo(f"{page.name:<{width}}  {page.summary}")


@main.command()
@click.argument("name", metavar="NAME", shell_complete=_complete_names)
def explain(name: str) -> None:
    """Print what a pass does, or a check tells, why, when it refuses, and examples."""
    from optimizer.checks import CHECKS
    from optimizer.passes import PASSES
    from optimizer.report import Paint, wants_color
    from optimizer.report.page import as_text, check_as_text, page_of

    _check_pass(name)
    paint = Paint(wants_color("auto", sys.stdout, os.environ))
    texts = {each.name: as_text(page_of(each), paint) for each in PASSES if each.name == name}
    texts |= {each.name: check_as_text(each, paint) for each in CHECKS if each.name == name}
    click.echo(texts[name], nl=False, color=paint.enabled)


@main.command()
def checks() -> None:
    """List the checks: what 'check' tells and nothing mends."""
    from optimizer.checks import CHECKS
    from optimizer.report.page import described

    width = max(len(each.name) for each in CHECKS)
    for each in CHECKS:
        click.echo(f"{each.name:<{width}}  {described(each)[0]}")


@main.command()
def lsp() -> None:
    """Serve editors: the language server protocol over standard input and output."""
    from optimizer.request import BadCall

    try:
        from optimizer.lsp.server import server
    except ImportError as error:
        raise BadCall(f"editors need the extra 'lsp': pip install 'dockerfile-optimizer[lsp]' ({error})") from error
    server.start_io()


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options, files and the names of passes.

    In bash: eval "$(dopt completion bash)"; in zsh the same with zsh; in fish: dopt completion fish | source.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "dopt", "_DOPT_COMPLETE").source())
