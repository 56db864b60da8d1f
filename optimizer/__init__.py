"""dopt: rewrites a Dockerfile into what an expert would have written for the same project.

    >>> import optimizer
    >>> result = optimizer.optimize("FROM alpine\\nRUN mkdir /a\\nRUN mkdir /b\\n")
    >>> print(result.text, end="")
    FROM alpine
    RUN mkdir /a \\
        && mkdir /b
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.engine import Options, Refused, Result, Rewrite, run
from optimizer.model.runtime import Runtime
from optimizer.passes import PASSES, Safety
from optimizer.syntax import Dockerfile, Problem, decode, encode, parse

if TYPE_CHECKING:
    from dockerfile_parse import DockerfileParser

    from optimizer.context.folder import BuildContext

__version__ = "0.1.0"
__all__ = [
    "PASSES",
    "Dockerfile",
    "Options",
    "Problem",
    "Refused",
    "Result",
    "Rewrite",
    "Runtime",
    "Safety",
    "decode",
    "encode",
    "optimize",
    "parse",
]


def optimize(
    source: str | bytes | Dockerfile | DockerfileParser, *, context: str | Path | BuildContext | None = None, config: Options | None = None
) -> Result:
    """Rewrite a Dockerfile.

    Args:
        source: Its text or bytes, what ``parse`` made of them, or a ``dockerfile_parse.DockerfileParser`` that holds them.
        context: The folder that is built, or an opened ``BuildContext``. Without one, only what the text alone
            proves is done.
        config: What may be done; the default is every pass, safe changes only, the last stage.

    Returns:
        The new text with every rewrite and its evidence and every refusal and its reason. A Dockerfile that BuildKit
        rejects comes back unchanged, with ``problems``.

    Raises:
        optimizer.context.ContextError: The context is not a folder that can be read.
    """
    if not isinstance(source, str | bytes | Dockerfile):
        from optimizer.engine.interchange import from_dockerfile_parser, is_dockerfile_parser

        if not is_dockerfile_parser(source):
            raise TypeError(f"a Dockerfile's text, bytes, tree or DockerfileParser, not {type(source).__name__}")
        source = from_dockerfile_parser(source)
    if isinstance(context, str | Path):
        from optimizer.context.folder import BuildContext

        context = BuildContext.open(Path(context))
    return run(decode(source) if isinstance(source, bytes) else source, context, config or Options())
