"""What a container starts, as values."""

from __future__ import annotations

from msgspec import Struct

from optimizer.model.launch import Argv


class Started(Struct, frozen=True):
    """One command that runs when the container starts.

    words: the program and its arguments, None for one that is known only then; source: where the command was found, such
    as "CMD" or "entrypoint.sh"; folder: the working directory it runs in, None when unknown; writes: absolute paths that
    its redirections write to, None for one that is unknown.
    """

    words: Argv
    source: str
    folder: str | None = None
    writes: tuple[str | None, ...] = ()

    @property
    def name(self) -> str | None:
        """The program's name without its folder."""
        return self.words[0].rpartition("/")[2] if self.words and self.words[0] is not None else None

    def __str__(self) -> str:
        return " ".join("…" if word is None else word for word in self.words)


class Start(Struct, frozen=True):
    """What a container starts.

    Args:
        commands: Every command, wrappers (``tini``, ``npm run``) and the commands that they lead to, in order of the text.
        language: "python", "node", "java", "go", … of the program, None when unknown.
        entries: The files of the program that are started: relative paths are files of the context, absolute ones are
            files of the image that are not in the context, such as what a build makes.
        scripts: The shell scripts of the context that run, as context paths.
        unknown: Why there may be more than that, one reason an item.
        installed: The commands among them that installing a Python project of the context makes.
        renamed: The names of commands that are scripts of the context under another name.
    """

    commands: tuple[Started, ...]
    language: str | None
    entries: tuple[str, ...]
    scripts: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    installed: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of all programs started, without folders and doubles."""
        return tuple(dict.fromkeys(name for command in self.commands if (name := command.name)))
