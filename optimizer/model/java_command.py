"""What a ``java`` command runs, and the files that its options make the virtual machine write.

Source: the manual page of the command, java(1) of JDK 21.
"""

from __future__ import annotations

import posixpath
import re

from msgspec import Struct

from optimizer.model.started import Started

_MODULE_PATH = ("-p", "--module-path")
_VALUED = frozenset({"--add-modules", "--add-opens", "--add-exports", "--add-reads", "--limit-modules"})
_WRITES = re.compile(
    r"-(Xlog:.*:file=|Xlog:\S*:(?!stdout|stderr)[/\w]|Xloggc:|XX:(HeapDumpPath|LogFile|ErrorFile|ArchiveClassesAtExit|FlightRecorderOptions)=|XX:StartFlightRecording"
    r"|agentlib:hprof|Dlogging\.file|Dlogging\.path|Djava\.util\.prefs|Dlogback\.configurationFile=|Dserver\.tomcat\.basedir=)"
    r"|--(logging\.file|logging\.path|server\.tomcat\.basedir)"
)
_LAUNCHER = re.compile(r"org\.springframework\.boot\.loader\.(launch\.)?\w+Launcher$")
"""Main classes that Spring Boot's plugins put in front of the project's own."""


class JavaCommand(Struct, frozen=True):
    """A call of ``java``.

    Args:
        paths: The jar that it runs, or its class or module path without wildcards: absolute paths; empty when that is computed.
        main: The main class of a class path or module, None for a jar's and where a module says it itself.
        writing: The options that make it write files.
    """

    paths: tuple[str, ...]
    main: str | None
    writing: tuple[str, ...]


def java_command(command: Started) -> JavaCommand:
    """Read the words of a command whose program is ``java``."""
    words = list(command.words[1:])
    writing = tuple(word for word in words if word is not None and _WRITES.match(word))
    entries: list[str] | None = ["."]
    modules: list[str] | None = None
    while words:
        word = words.pop(0)
        if word in ("-cp", "-classpath", "--class-path") or (word is not None and word.startswith("--class-path=")):
            value = word.partition("=")[2] if word is not None and "=" in word else words.pop(0) if words else None
            entries = value.split(":") if value is not None else None
        elif word == "-jar":
            jar = words[0] if words else None
            return JavaCommand(_absolute(command, [jar] if jar is not None else None), None, writing)
        elif word in _MODULE_PATH:
            value = words.pop(0) if words else None
            modules = value.split(":") if value is not None else None
        elif word in ("-m", "--module") and words and words[0] is not None:
            return JavaCommand(_absolute(command, modules), words[0].partition("/")[2] or None, writing)
        elif word in _VALUED:
            words[:1] = []
        elif word is None or word.startswith("@") or word.endswith(".java"):
            if word is not None:  # a file of arguments, or a source
                return JavaCommand((), None, writing)
        elif not word.startswith("-"):
            return JavaCommand(_absolute(command, entries), None if _LAUNCHER.match(word) else word, writing)
    return JavaCommand((), None, writing)


def _absolute(command: Started, entries: list[str] | None) -> tuple[str, ...]:
    folder = command.folder
    if entries is None or any("$" in entry for entry in entries):
        return ()
    if folder is None and not all(entry.startswith("/") for entry in entries):
        return ()
    return tuple(posixpath.normpath(posixpath.join(folder or "/", entry.removesuffix("*") or ".")) for entry in entries)
