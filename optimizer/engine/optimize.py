"""One Dockerfile, in whatever form the caller holds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.engine.result import Options, Result
from optimizer.engine.run import run
from optimizer.syntax import Dockerfile, decode

if TYPE_CHECKING:
    from dockerfile_parse import DockerfileParser

    from optimizer.context.folder import BuildContext


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
