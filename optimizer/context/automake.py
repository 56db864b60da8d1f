"""Automake projects: the programs they make, what they link, and where they install it.

Source: "The Uniform Naming Scheme", "Program and Library Variables" and "What Goes in a Distribution" in automake's manual, and
"Installation Directory Variables" in autoconf's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from optimizer.context.folder import BuildContext
from optimizer.context.native_project import PREFIX, Draft, Project, below_prefix

_PRIMARY = re.compile(r"((?:dist_|nodist_|nobase_|notrans_)*)(\w+?)_(PROGRAMS|DATA|SCRIPTS|LTLIBRARIES|LIBRARIES|MANS|HEADERS|TEXINFOS)$")
_FOLDERS = {
    "bindir": "bin", "sbindir": "sbin", "libexecdir": "libexec", "datarootdir": "share", "datadir": "share", "sysconfdir": "etc",
    "localstatedir": "var", "sharedstatedir": "com", "libdir": "lib", "runstatedir": "var/run",
}  # fmt: skip
"""The folders that a project installs to, below the prefix."""
_NOT_RUN = re.compile(r"(include|oldinclude|pkginclude|man\d?|doc|html|info|dvi|pdf|ps|pkgconfig|aclocal|m4|noinst|check|EXTRA)$")

_MAKES_FOLDERS = re.compile(r"[@-]*\s*(?:\$\(MKDIR_P\)|\$\(mkdir_p\)|mkdir -p|(?:\$\(INSTALL\)|install) -d)((?:\s+[^\s;&|<>`-]\S*)+)")


def automake_project(context: BuildContext, folder: str, given: Mapping[str, str] | None = None) -> Project | None:
    """Read configure.ac and the Makefile.am files of a folder of the context; None when there is no Makefile.am.

    Args:
        context: The build context.
        folder: Where configure.ac lies.
        given: Folders that the options of configure name, such as ``sysconfdir``.
    """
    top = context.read_text(posixpath.join(folder, "Makefile.am"))
    configure = context.read_text(posixpath.join(folder, "configure.ac")) or context.read_text(posixpath.join(folder, "configure.in"))
    if top is None or configure is None:
        return None
    project = Draft()
    code = re.sub(r"(?m)^\s*(dnl|#).*|\bdnl\b.*", "", configure)
    project.libraries += re.findall(r"AC_CHECK_LIB\(\s*\[?(\w[\w.+-]*)\]?", code)
    for names in re.findall(r"AC_SEARCH_LIBS\(\s*\[?\w+\]?\s*,\s*\[?([^\],)]+)", code):
        project.libraries += names.split()[:1]
    for names in re.findall(r"PKG_CHECK_MODULES(?:_STATIC)?\(\s*\[?\w+\]?\s*,\s*\[?([^\],)]+)", code):
        project.libraries += [w for w in names.split() if re.match(r"[A-Za-z]", w)]
    if "AC_PROG_CXX" in code:
        project.cxx = True
    folders = {**_folders(code), **(given or {})}
    shared = "disable-shared" not in folders and not re.search(r"LT_INIT\([^)]*disable-shared|A[CM]_DISABLE_SHARED", code)
    pending, seen = [folder], set[str]()
    while pending:
        here = pending.pop()
        text = context.read_text(posixpath.join(here, "Makefile.am"))
        if text is None or here in seen:
            continue
        seen.add(here)
        variables = re.findall(r"(?m)^\s*(\w+)\s*\+?=\s*(.*)$", re.sub(r"\\\n", " ", text))
        known = {**folders, **{name: value for name, value in variables if name.endswith("dir")}}
        for name, value in variables:
            words = value.split()
            if name == "SUBDIRS":
                pending += [posixpath.normpath(posixpath.join(here, w)) for w in words if w != "."]
            elif name.endswith(("_LDADD", "_LIBADD")) or name in ("LDADD", "LIBS", "AM_LDFLAGS"):
                project.libraries += [w[2:] for w in words if w.startswith("-l")]
                if "-static" in words or "-all-static" in words:
                    project.static = True
            elif name.endswith(("_CPPFLAGS", "_CFLAGS", "_CXXFLAGS")) or name in ("AM_CPPFLAGS", "AM_CFLAGS", "AM_CXXFLAGS", "DEFS"):
                project.macros += _macros(value, known)
            elif name.endswith("_SOURCES"):
                project.sources += [posixpath.normpath(posixpath.join(here, w)) for w in words if "$" not in w]
            elif match := _PRIMARY.match(name):
                _primary(project, match, words, here, folder, known)
                if match[3] == "LTLIBRARIES" and shared and not _NOT_RUN.match(match[2]):
                    flags = {key: value for key, value in variables if key.endswith("_LDFLAGS")}
                    _libtool(project, match, words, flags, known)
        _own_rules(project, text, known)
    if project.shared:  # in the build folder, libtool puts a script in a program's place
        project.programs = {name: posixpath.join(place, ".libs") for name, place in project.programs.items()}
    return project.finished()


def _macros(flags: str, folders: Mapping[str, str]) -> list[tuple[str, str]]:
    """The macros that flags define as a literal; the folders are those of the default layout."""
    found = re.findall(r"-D(\w+)=(?:'\"|\"?\\\")([^\"'\\]*)(?:\"'|\\\"\"?)", flags)
    texts = [(name, re.sub(r"\$[({](\w+)[)}]", lambda m: _absolute(m[1], folders) or m[0], text)) for name, text in found]
    return [(name, text) for name, text in texts if "$" not in text and "@" not in text]


def _absolute(name: str, folders: Mapping[str, str]) -> str | None:
    """The absolute folder that a variable of the Uniform Naming Scheme names."""
    text = _expanded(folders[name], folders) if name in folders and name.endswith(("dir", "prefix")) else None
    return text if text is None or text.startswith(("/", PREFIX)) else f"{PREFIX}/{text}"


def _own_rules(project: Draft, text: str, folders: Mapping[str, str]) -> None:
    """The rules with which a Makefile.am installs by itself; those that do no more than to make folders are followed."""
    for rule in re.finditer(r"(?m)^install-(?:exec|data)-(?:local|hook)\s*:[^\n]*\n((?:\t[^\n]*(?:\n|\Z)|[ \t]*\n)*)", text):
        for command in re.sub(r"\\\n", " ", rule[1]).splitlines():
            made = _MAKES_FOLDERS.fullmatch(command.strip())
            paths = [_expanded(path.strip("\"'").removeprefix("$(DESTDIR)"), folders) for path in made[1].split()] if made else []
            if command.strip() and (not paths or any("$" in path for path in paths)):
                project.unknown.append("it installs by a rule of its own")
            project.folders += [below_prefix(path) for path in paths]


def _folders(configure: str) -> dict[str, str]:
    """The folders below the prefix, those named after the package among them; configure: the text of configure.ac."""
    package = re.search(r"AM_INIT_AUTOMAKE\(\s*\[?([\w.+-]+)\]?\s*,", configure)
    init = re.search(r"AC_INIT\(\s*\[?([^\],)]+)\]?(?:[^,()]*,){2,3}\s*\[([\w.+-]+)\]\s*[,)]|AC_INIT\(\s*\[?([^\],)]+)", configure)
    name = package[1] if package else (init[2] or init[1] or init[3]).strip() if init else ""
    if init and not package and not init[2]:
        name = re.sub(r"[^a-z0-9_]+", "-", name.removeprefix("GNU ").lower())
    own = {f"pkg{kind}dir": f"{_FOLDERS[f'{kind}dir']}/{name}" for kind in ("data", "lib", "libexec")} if name else {}
    return {**_FOLDERS, **own, "PACKAGE": name, "PACKAGE_NAME": name, "PACKAGE_TARNAME": name, "prefix": PREFIX, "exec_prefix": PREFIX}


def _expanded(text: str, folders: Mapping[str, str]) -> str:
    for _ in range(6):
        text = re.sub(r"\$[({](\w+)[)}]|@(\w+)@", lambda match: folders.get(match[1] or match[2], match[0]), text)
    return text


def _libtool(project: Draft, match: re.Match[str], words: list[str], flags: Mapping[str, str], folders: Mapping[str, str]) -> None:
    """The shared libraries of libtool, by the names that programs ask for.

    Source: "Updating library version information" and "Link mode" in libtool's manual; on Linux, the number in the name is
    CURRENT - AGE.
    """
    target = _expanded(folders.get(f"{match[2]}dir", "$"), folders)
    for word in words:
        stem = word.removesuffix(".la")
        given = flags.get(f"{re.sub(r'[^A-Za-z0-9_@]', '_', word)}_LDFLAGS", flags.get("AM_LDFLAGS", ""))
        version = re.search(r"-version-info\s+(\d+)(?::\d+)?(?::(\d+))?(?!\S)", given)
        number = re.search(r"-version-number\s+(\d+)", given)
        if "-module" in given or "$" in target or not word.endswith(".la") or re.search(r"-release\b|-version-\w+\s+[^\d\s]", given):
            project.unknown.append(f"what {match[0]} installs is not clear")
            continue
        major = number[1] if number else str(int(version[1]) - int(version[2] or 0)) if version else "0"
        file = f"{stem}.so" if "-avoid-version" in given else f"{stem}.so.{major}"
        project.shared[file] = ".libs"
        project.libraries.append(stem.removeprefix("lib"))
        project.installed.append((file, f"{below_prefix(target)}/"))


def _primary(project: Draft, match: re.Match[str], words: list[str], here: str, root: str, folders: Mapping[str, str]) -> None:
    place, kind = match[2], match[3]
    step = posixpath.relpath(here, root)
    if _NOT_RUN.match(place):
        if kind == "PROGRAMS":
            project.programs.update(dict.fromkeys(words, step))
        return
    target = folders.get(f"{place}dir")
    target = _expanded(target, folders) if target is not None else None
    if kind in ("LTLIBRARIES", "LIBRARIES"):
        return  # a static library is compiled in
    if any("$" in w for w in words) or "nobase" in match[1]:
        project.unknown.append(f"what {match[0]} installs is not clear")
    elif target is None or "$" in target or "@" in target:
        project.unknown.append(f"where {match[0]} goes is not clear")
    elif kind == "PROGRAMS":
        project.programs.update(dict.fromkeys(words, step))
        project.installed.extend((w, f"{below_prefix(target)}/") for w in words)
    else:
        project.installed.extend((posixpath.normpath(posixpath.join(here, w)), f"{below_prefix(target)}/") for w in words)
