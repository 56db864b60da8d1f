"""Gradle: the build scripts of the project and its subprojects, properties, the wrapper and buildSrc, for tasks that only list."""

from __future__ import annotations

import re

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Action, Call, unwrapped
from optimizer.ecosystems.gradle import FETCHING
from optimizer.model.installs.needs import Needs, around, brought, existing, overwritten, refused, within

_SETTINGS = ("settings.gradle", "settings.gradle.kts")
_BUILDS = ("build.gradle", "build.gradle.kts")
_ELSEWHERE = frozenset({
    "-p", "--project-dir", "-b", "--build-file", "-c", "--settings-file", "-I", "--init-script", "--include-build",
    "--project-cache-dir", "-g", "--gradle-user-home",
})  # fmt: skip
# What a build script reads when it is evaluated, other than the files that Gradle itself looks for.
_READING = re.compile(
    r"\b(new\s+File|FileInputStream|FileReader|fileContents|readText|readLines|listFiles|eachDir\w*|eachFile\w*|walk|walkTopDown|\.execute\(|exec\s*[({]"
    r"|commandLine|includeFlat|includeBuild|newReader|withInputStream|bufferedReader|inputStream|\.exists\(\)|isFile|isDirectory|Paths\.get|Files\.)"
    r"|\bfile\([^)\n]*\)\s*\.\s*(text|exists|length|lines|with)"
)
_APPLY = re.compile(r"\bapply[\s(]*(?:from\s*[:=]|\{\s*from\()\s*(?:rootProject\.file\(|file\()?\s*(['\"])([^'\"]+)\1")
_ROOT = re.compile(r"^\$\{?(rootDir|rootProject\.projectDir|projectDir|rootProject\.rootDir)\}?/")


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    building = [task for task in call.packages if task.rpartition(":")[2] not in FETCHING]
    if call.action is not Action.INSTALL or building:
        return refused(f"`gradle {building[0] if building else ''}`".replace(" `", "`") + " compiles or runs the project")
    if call.options & _ELSEWHERE:
        return refused("an option leads Gradle to other files")
    if around(context, folder, _SETTINGS):
        return refused("a settings.gradle around it may make it a part of another build")
    own = brought(context, folder, ".gradle")
    if own is not None:
        return overwritten(own)
    settings = existing(context, folder, _SETTINGS)
    projects, reason = _projects(context, folder, settings)
    if reason is not None:
        return refused(reason)
    wrapper = ("gradlew",) if (unwrapped(call.command).program or "") != "gradle" else ()
    names = (*_SETTINGS, *_BUILDS, "gradle.properties", "gradle", "buildSrc", *wrapper)
    files = set(existing(context, folder, names))
    for project in projects:
        found = existing(context, project, (*_BUILDS, "gradle.properties"))
        if not any(f.endswith(_BUILDS) for f in found):
            return refused(f"{project} is a project of the build and has no build script")
        files.update(found)
    if not any(f.endswith(_BUILDS) for f in files):
        return refused("no build script is in the build context")
    pending = sorted(f for f in files if f.endswith((".gradle", ".gradle.kts")))
    while pending:
        script = pending.pop()
        text = _without_comments(context.read_text(script) or "")
        reading = _READING.search(text)
        if reading is not None:
            return refused(f"{script} reads files when it is evaluated ({reading[0].strip()})")
        for given in _APPLY.findall(text):
            path = within(folder, _ROOT.sub("", given[1]))
            if "$" in path or "://" in given[1] or not context.exists(path):
                return refused(f"{script} takes in {given[1]}, which is not known")
            if path not in files:
                files.add(path)
                pending.append(path)
        if len(re.findall(r"\bapply[\s(]*(?:from\b|\{\s*from\b)", text)) != len(_APPLY.findall(text)):
            return refused(f"{script} takes in a script whose name is computed")
    return Needs(tuple(sorted(files)))


def _projects(context: BuildContext, folder: str, settings: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """The folders of the subprojects, or why they are not known."""
    found: list[str] = []
    for path in settings:
        text = _without_comments(context.read_text(path) or "")
        if "projectDir" in text or re.search(r"\.(each|forEach|all)\b", text):
            return (), f"{path} computes which projects there are"
        for match in re.finditer(r"\binclude\b[\s(]*((?:['\"][^'\"$]+['\"]\s*,?\s*)*)", text):
            names = re.findall(r"['\"]([^'\"]+)['\"]", match[1])
            if not names and not re.match(r"\s*[({]?\s*(group|module|version)", text[match.end() :]):
                return (), f"{path} computes which projects there are"
            for name in names:
                parts = name.strip(":").split(":")
                found += [within(folder, "/".join(parts[: i + 1])) for i in range(len(parts))][-1:]
    return tuple(dict.fromkeys(found)), None


def _without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", text, flags=re.S)
