"""C and C++: what calls of compilers and of ``install``, ``cp``, ``mv`` and ``ln`` make."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from msgspec import Struct

_COMPILER = re.compile(r"(?:[\w-]+-)?(gcc|g\+\+|cc|c\+\+|clang|clang\+\+|c99|c11|tcc|musl-gcc|ld|gold)(-[\d.]+)?$")
_VALUED = frozenset({
    "-o", "-I", "-L", "-D", "-U", "-include", "-isystem", "-x", "-MF", "-MT", "-MQ", "-Xlinker", "-T", "-u", "-idirafter", "-iquote",
})  # fmt: skip
_FLAG_LIBRARIES = {"-fopenmp": "gomp", "-fsanitize=address": "asan", "-fsanitize=undefined": "ubsan", "-fsanitize=thread": "tsan"}
_SOURCE = (".c", ".cc", ".cpp", ".cxx", ".c++", ".C", ".s", ".S")
CXX_SOURCES = (".cc", ".cpp", ".cxx", ".c++", ".C", ".hpp", ".hh")
HEADERS = (".h", ".hpp", ".hh", ".hxx", ".inl")
SOURCES = (*_SOURCE, *HEADERS)


class Compiled(Struct, frozen=True):
    """What one call of a compiler or linker does.

    output: the file it makes, as written ("a.out" without -o), None when not known; libraries: names behind -l; packages: what
    pkg-config is asked for; inputs: source, object and library files; links: it makes a program or library, not objects;
    shared: a library; static: linked statically; cxx: as C++; statics: libstdc++ and libgcc are linked statically.
    """

    output: str | None
    libraries: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    links: bool = True
    shared: bool = False
    static: bool = False
    cxx: bool = False
    statics: bool = False


def is_compiler(program: str | None) -> bool:
    """Whether a program, by name, compiles C or C++."""
    return program is not None and _COMPILER.fullmatch(posixpath.basename(program)) is not None


def read_compiler(words: Sequence[str | None], texts: Sequence[str]) -> Compiled:
    """What a compiler's command line makes. words: their values, None for one that is computed; texts: as written."""
    output: str | None = "a.out"
    libraries: list[str] = []
    packages: list[str] = []
    inputs: list[str] = []
    flags: set[str] = set()
    cxx = re.search(r"\+\+", posixpath.basename(words[0] or "")) is not None
    skip = False
    for index, value in enumerate(words):
        if index == 0 or skip:
            skip = False
            continue
        if value is None:
            packages += pkg_config(texts[index])
            continue
        following = words[index + 1] if index + 1 < len(words) else None
        if value == "-o":
            output, skip = following, True
        elif value.startswith("-o") and len(value) > 2 and not value.startswith("-openmp"):
            output = value[2:]
        elif value == "-l":
            libraries += [following] if following is not None else []
            skip = True
        elif value.startswith("-l"):
            libraries.append(value[2:])
        elif value in _VALUED:
            skip = True
        elif value.startswith("-Wl,"):
            libraries += [part[2:] for part in value.split(",") if part.startswith("-l")]
        elif value.startswith("-"):
            flags.add(value)
        else:
            inputs.append(value)
    libraries += [name for flag, name in _FLAG_LIBRARIES.items() if flag in flags]
    links = not flags & {"-c", "-S", "-E", "-M", "-MM", "-fsyntax-only", "--version", "-v"}
    cxx = cxx or any(i.endswith(CXX_SOURCES) for i in inputs)
    statics = {"-static-libstdc++", "-static-libgcc"} <= flags
    return Compiled(
        output, tuple(libraries), tuple(packages), tuple(inputs), links, "-shared" in flags, bool(flags & {"-static", "-static-pie"}), cxx,
        statics,
    )  # fmt: skip


def pkg_config(text: str) -> list[str]:
    """The modules that a call of pkg-config or a ``*-config`` program in a shell text asks for."""
    found = []
    for call in re.findall(r"\b(?:pkg-config|pkgconf)\s+([^`)\n\"]*)", text):
        found += [word for word in call.split() if not word.startswith("-") and not re.match(r"[\d.<>=]+$", word)]
    found += [name for name in re.findall(r"\b([\w+]+?)\d?-config\b", text) if name not in ("pkg", "llvm")]
    return found


class Placed(Struct, frozen=True):
    """A file or folder that install, cp, mv or ln puts somewhere, as written. link: a symbolic link, whose text is the source;
    mode: the permissions that ``install -m`` gives."""

    source: str
    target: str
    into: bool = False
    link: bool = False
    mode: str | None = None


def read_install(words: Sequence[str | None]) -> tuple[tuple[Placed, ...], tuple[str, ...]] | None:
    """What ``install``, ``cp``, ``mv`` and ``ln`` place, and the folders that are made; None when a word is computed."""
    name = posixpath.basename(words[0] or "")
    if None in words:
        return None
    given = [word for word in words[1:] if word is not None]
    operands: list[str] = []
    folder: str | None = None
    mode: str | None = None
    flags = set[str]()
    index = 0
    while index < len(given):
        word = given[index]
        if word in ("-t", "--target-directory") and index + 1 < len(given):
            folder, index = given[index + 1], index + 1
        elif word.startswith("--target-directory="):
            folder = word.partition("=")[2]
        elif name == "install" and re.fullmatch(r"-[Dcpsv]*[mogS]", word):
            flags.update(word[1:-1])
            index += 1
            mode = given[index] if word[-1] == "m" and index < len(given) else mode
        elif name == "install" and word.startswith(("--mode=", "-m")):
            mode = word.removeprefix("--mode=").removeprefix("-m")
        elif word.startswith("--"):
            flags.add(word)
        elif word.startswith("-") and len(word) > 1:
            flags.update(re.sub(r"^[mog].*", "", word[1:]) if name == "install" else word[1:])
        else:
            operands.append(word)
        index += 1
    if name == "install" and ("d" in flags or "--directory" in flags):
        return (), tuple(operands)
    if folder is not None:
        return tuple(Placed(source, folder, True, "s" in flags and name == "ln", mode) for source in operands), ()
    if len(operands) < 2:
        return None
    *sources, target = operands
    into = len(sources) > 1 or target.endswith("/") or target == "."
    if "T" in flags:
        into = False
    return tuple(Placed(source, target, into, name == "ln" and "s" in flags, mode) for source in sources), ()


def defined_macros(words: Sequence[str | None]) -> dict[str, str | None]:
    """The macros that a call of a compiler defines, with their literal; None for a value that is no literal or not known."""
    found: dict[str, str | None] = {}
    for index, word in enumerate(words):
        if word is None or not word.startswith("-D"):
            continue
        given = word[2:] or (words[index + 1] if index + 1 < len(words) else None)
        name, _, value = (given or "").partition("=")
        literal = re.fullmatch(r'"([^"\\\\\x00]*)"', value)
        if name:
            found[name] = literal[1] if literal else None
    return found
