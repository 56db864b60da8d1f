"""The Python files of a build context: which there are, and one parsed when it is needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from optimizer.context.folder import BuildContext
from optimizer.context.python_module import DEPTH, Module, too_deep
from optimizer.context.scopes import UNKNOWN, Values

_SKIPPED_FOLDERS = {
    "tests", "test", "testing", "node_modules", "site-packages", "__pycache__", "venv", ".venv", "env", ".env", ".git",
    ".tox", ".nox", ".eggs",
}  # fmt: skip
_SKIPPED_FILES = re.compile(r"(test_.*|.*_test|conftest|setup|noxfile|fabfile)\.py$")


def is_skipped(path: str) -> bool:
    """Whether a Python file belongs to tests, installed packages or the build."""
    *folders, name = path.split("/")
    return bool(_SKIPPED_FOLDERS.intersection(folders) or _SKIPPED_FILES.fullmatch(name))


class Modules:
    """The Python files of a context, parsed when they are needed.

    environment: values of environment variables known; base: the folder that modules are looked for in first; arguments: the words
    of the commands that start the program, None for one that is computed.
    """

    def __init__(
        self, context: BuildContext, environment: Mapping[str, str], base: str = "", arguments: tuple[str | None, ...] = ()
    ) -> None:
        self.context = context
        self.environment = environment
        self.arguments = arguments
        self.bases = tuple(dict.fromkeys((f"{base}/" if base else "", "", "src/")))
        self.problems: dict[str, tuple[int, str]] = {}
        self.loaded: set[str] = set()
        self.followed = 0  # calls of functions so far
        self._modules: dict[str, Module | None] = {}
        self._texts: dict[str, str] | None = None

    def module(self, path: str) -> Module | None:
        """The parsed file; None when it cannot be read, with the line and reason in `problems`."""
        import libcst as cst

        if path not in self._modules:
            text = self.context.read_text(path)
            self._modules[path] = None
            try:
                if text is None:
                    self.problems[path] = (1, "cannot be read as text")
                elif too_deep(text):
                    self.problems[path] = (1, "is nested too deeply to be parsed")
                else:
                    self._modules[path] = Module(path, text, self)
            except cst.ParserSyntaxError as error:
                self.problems[path] = (error.raw_line, "is not Python 3 that can be parsed")
            except RecursionError:
                self.problems[path] = (1, "is nested too deeply to be parsed")
        return self._modules[path]

    def naming(self, word: str) -> tuple[str, ...]:
        """The Python files of the context in which a word occurs, without those of tests and installed packages."""
        if self._texts is None:
            paths = [path for path in self.context.files() if path.endswith(".py") and not is_skipped(path)]
            self._texts = {path: self.context.read_text(path) or "" for path in paths}
        return tuple(path for path, text in self._texts.items() if word in text)

    def find(self, name: str) -> str | None:
        """The file of a module in the context; None for one that is not there."""
        inside = name.strip("/").replace(".", "/")
        for base in self.bases if not name.startswith("/") else ("",):
            for path in (f"{base}{inside}.py", f"{base}{inside}/__init__.py"):
                if self.context.exists(path):
                    return path
        return None

    def attribute(self, name: str, depth: int) -> Values:
        """All values of `package.module.NAME` or `package.module.Class.NAME` of a module in the context."""
        cut = max(name.rfind("."), name.rfind("/"))
        while cut > 0 and depth <= DEPTH:
            path = self.find(name[:cut])
            module = self.module(path) if path else None
            if module is not None:
                inner = name[cut + 1 :]
                return module.attribute(inner, depth) if "." in inner else module.bound(inner, module.scope, depth)
            cut = max(name.rfind(".", 0, cut), name.rfind("/", 0, cut))
        return UNKNOWN
