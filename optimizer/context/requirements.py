"""What `pip install -r FILE` reads: the files it opens and the packages they name.

Follows pip's own reader (https://pip.pypa.io/en/stable/reference/requirements-file-format/): nested files are relative to
the file that includes them, local paths to the folder pip runs in.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from optimizer.context.folder import BuildContext

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz")
_WITH_VALUE = {
    "-i", "--index-url", "--pypi-url", "--extra-index-url", "--trusted-host", "--no-binary", "--only-binary",
    "--use-feature", "--hash", "--config-settings", "--config-setting", "-C", "--global-option", "--install-option",
}  # fmt: skip
_FLAGS = {"--no-index", "--pre", "--prefer-binary", "--require-hashes", "--always-unzip", "-Z", "--process-dependency-links"}


class Requirement(Struct, frozen=True):
    """One package to be installed.

    name: normalised (PEP 503), None when only its metadata tells; specifier: as PEP 440 text, "" for any version;
    editable: installed with -e; url: URL or local path it comes from, None for the index; extras: normalised and sorted;
    marker: environment marker, None for always.
    """

    name: str | None
    specifier: str = ""
    editable: bool = False
    url: str | None = None
    extras: tuple[str, ...] = ()
    marker: str | None = None

    @property
    def vcs(self) -> str | None:
        """The version control program needed to fetch it ("git", "hg", "svn", "bzr"), or None."""
        found = re.match(r"(git|hg|svn|bzr)\+", self.url or "")
        return found[1] if found else None


class RequirementFiles(Struct, frozen=True):
    """files: every file of the context that is read, sorted; packages: in the order of the files, constraints left out;
    problems: why `files` may not be all that is read, or `packages` not all that is installed, each with "file:line"."""

    files: tuple[str, ...]
    packages: tuple[Requirement, ...]
    problems: tuple[str, ...]


@dataclass
class _Reading:
    context: BuildContext
    cwd: str
    opened: set[tuple[str, bool]] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    packages: list[Requirement] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def requirement_files(context: BuildContext, path: str, *, cwd: str = ".") -> RequirementFiles:
    """Read a requirements file and all it includes.

    path: the file, relative to the context; cwd: the folder of the context that pip runs in, which local paths are
    relative to.
    """
    reading = _Reading(context, cwd)
    _read(reading, posixpath.normpath(path), constraint=False, included_by=None)
    return RequirementFiles(tuple(sorted(reading.files)), tuple(reading.packages), tuple(dict.fromkeys(reading.problems)))


def _read(reading: _Reading, path: str, *, constraint: bool, included_by: str | None) -> None:
    if (path, constraint) in reading.opened:
        return
    reading.opened.add((path, constraint))
    text = reading.context.read_text(path)
    if text is None:
        reason = "is not in the build context" if not reading.context.exists(path) else "cannot be read as text"
        reading.problems.append(f"{included_by}: {path} {reason}" if included_by else f"{path} {reason}")
        return
    reading.files.add(path)
    for number, line in _lines(text):
        _read_line(reading, path, f"{path}:{number}", line, constraint)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines without comments, with the number of their first line. A comment line ends a continuation, as in pip."""
    joined, first = "", 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        first = first or number
        comment = _COMMENT.match(line) is not None
        if line.endswith("\\") and not comment:
            joined += line[:-1]
            continue
        whole = _COMMENT.sub("", joined + (f" {line}" if comment else line)).strip()
        if whole:
            yield first, whole
        joined, first = "", 0


def _read_line(reading: _Reading, path: str, where: str, line: str, constraint: bool) -> None:
    # As in pip: words up to the first that starts with a dash are the requirement, the rest are options.
    words = line.split(" ")
    cut = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    specification = " ".join(words[:cut]).strip()
    try:
        options = shlex.split(" ".join(words[cut:]))
    except ValueError:
        reading.problems.append(f"{where} has an unclosed quote")
        return
    if specification:
        _add(reading, where, specification, editable=False, constraint=constraint)
        options = []  # options of one requirement (--hash, --config-settings) name no files
    while options:
        option, value = _option(options)
        if option in ("-r", "--requirement", "-c", "--constraint"):
            _include(reading, path, where, value, constraint or option in ("-c", "--constraint"))
        elif option in ("-e", "--editable"):
            _add(reading, where, value, editable=True, constraint=constraint)
        elif option in ("-f", "--find-links"):
            _find_links(reading, path, where, value)
        elif option not in _WITH_VALUE and option not in _FLAGS:
            reading.problems.append(f"{where} has an unknown option {option}")
            return


def _option(options: list[str]) -> tuple[str, str]:
    """Take one option and its value ("" for a flag) off the front of a list of words."""
    word = options.pop(0)
    if word.startswith("--") and "=" in word:
        name, value = word.split("=", 1)
        return name, value
    if re.match(r"-[recfiC].", word):
        return word[:2], word[2:].removeprefix("=")
    return word, "" if word in _FLAGS or not options else options.pop(0)


def _include(reading: _Reading, path: str, where: str, target: str, constraint: bool) -> None:
    if _VARIABLE.search(target):
        reading.problems.append(f"{where} includes {target}, which depends on an environment variable")
    elif _URL.match(target):
        reading.problems.append(f"{where} includes {target}, which is not in the build context")
    elif target.startswith("/"):
        reading.problems.append(f"{where} includes the absolute path {target}")
    else:
        nested = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        _read(reading, nested, constraint=constraint, included_by=where)


def _find_links(reading: _Reading, path: str, where: str, target: str) -> None:
    local = _local_path(target)
    if local is None:
        return
    if _VARIABLE.search(local) or local.startswith("/"):
        reading.problems.append(f"{where} looks for packages in {local}, outside of what the build context tells")
        return
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), local))
    found = beside if reading.context.exists(beside) else posixpath.normpath(posixpath.join(reading.cwd, local))
    if reading.context.is_dir(found):
        reading.files.update(f for f in reading.context.under(found) if posixpath.dirname(f) == found or found == ".")
    elif reading.context.exists(found):
        reading.files.add(found)
    else:
        reading.problems.append(f"{where}: {local} is not in the build context")


def _local_path(text: str) -> str | None:
    """The path of a local path or file: URL, None for other URLs."""
    scheme = _URL.match(text)
    if scheme is None:
        return text
    if scheme[1].lower() != "file":
        return None
    return unquote(urlsplit(text).path) if text[5:].startswith("//") else unquote(text[5:].split("#")[0])


def _add(reading: _Reading, where: str, text: str, *, editable: bool, constraint: bool) -> None:
    """One requirement: a name with a specifier, `name @ url`, a URL or a local path."""
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Specification
    from packaging.utils import canonicalize_name

    body, _, marker = text.partition("; ") if _looks_local(text) or _URL.match(text) else (text, "", "")
    if body and (_URL.match(body) or _looks_local(body) or editable):
        name, extras = _egg(body)
        requirement = Requirement(name, "", editable, body.strip(), extras, marker.strip() or None)
    else:
        try:
            found = Specification(text)
        except InvalidRequirement:
            reading.problems.append(f"{where} has a requirement that cannot be read: {text}")
            return
        requirement = Requirement(
            canonicalize_name(found.name), str(found.specifier), editable, found.url,
            tuple(sorted(canonicalize_name(extra) for extra in found.extras)), str(found.marker) if found.marker else None,
        )  # fmt: skip
    if requirement.url is not None:
        _add_local(reading, where, requirement)
    if not constraint:
        reading.packages.append(requirement)


def _looks_local(text: str) -> bool:
    """Whether pip takes a requirement for a path: it has a slash before any `@`, starts with a dot or is an archive."""
    name = text.split(" ")[0].split("@")[0]
    return "/" in name or name.startswith(".") or name.split("[")[0].lower().endswith(_ARCHIVES)


def _egg(text: str) -> tuple[str | None, tuple[str, ...]]:
    """Name and extras a URL or path tells: of `#egg=name[extra]`, a wheel's file name, or `path[extra]`."""
    from packaging.utils import canonicalize_name

    egg = re.search(r"[#&]egg=([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?", text)
    if egg:
        return canonicalize_name(egg[1]), tuple(sorted(canonicalize_name(e.strip()) for e in (egg[2] or "").split(",") if e.strip()))
    extras = re.search(r"\[([^\]]*)\]$", text)
    wheel = re.search(r"([^/\\]+?)-[^/]*\.whl(?:$|[#\[])", text)
    names = tuple(sorted(canonicalize_name(e.strip()) for e in extras[1].split(",") if e.strip())) if extras else ()
    return canonicalize_name(wheel[1]) if wheel else None, names


def _add_local(reading: _Reading, where: str, requirement: Requirement) -> None:
    """Add the files of a requirement that lies in the context, or the problem with it."""
    url = requirement.url or ""
    local = _local_path(url)
    if local is None:
        return
    local = re.sub(r"\[[^\]]*\]$", "", local.split("#")[0]).strip()
    if _VARIABLE.search(local):
        reading.problems.append(f"{where} installs {local}, which depends on an environment variable")
        return
    if local.startswith("/"):
        reading.problems.append(f"{where} installs the absolute path {local}")
        return
    found = posixpath.normpath(posixpath.join(reading.cwd, local))
    if found == "." or f"{reading.cwd}/".startswith(f"{found}/"):
        reading.problems.append(f"{where} installs the project itself ({'-e ' if requirement.editable else ''}{local})")
    elif reading.context.is_dir(found):
        files = reading.context.under(found)
        reading.files.update(files)
        for script in (f"{found}/setup.py", f"{found}/pyproject.toml"):
            if ".." in (reading.context.read_text(script) or ""):
                reading.problems.append(f"{where}: {script} may read files outside of {found}")
        if reading.context.truncated:
            reading.problems.append(f"{where}: the build context has too many files to list")
    elif reading.context.exists(found):
        reading.files.add(found)
    else:
        reading.problems.append(f"{where}: {found} is not in the build context")
