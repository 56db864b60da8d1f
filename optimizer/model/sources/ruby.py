"""Ruby: the source of the project that a server loads, the settings of Rails, and the gems that keep files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from optimizer.context.bundler_project import BundlerProject, bundler_project
from optimizer.context.folder import BuildContext
from optimizer.context.places import Place, Unknown
from optimizer.context.ruby_source import RubyEvidence, ruby_evidence
from optimizer.knowledge.ruby_gems import ROOT_GEMS, gem_writes
from optimizer.model.model import Model, Stage
from optimizer.model.paths import build_folder, image_path
from optimizer.model.sources.evidence import SourceUse
from optimizer.model.started import Start

_SOURCES = (".rb", ".ru", ".rake")
_NOT_RUN = re.compile(
    r"(^|/)(spec|test|tests|features|vendor|node_modules|tmp|coverage|\.bundle|db/migrate|lib/generators)/|_(spec|test)\.rb$|(^|/)(Guardfile|Capfile)$"
)
_ENVIRONMENTS = re.compile(r"(^|/)config/environments/(\w+)\.rb$")
_DEVELOPERS = re.compile(r"(^|/)(\.?irbrc|\.pryrc|config/deploy(/\w+)?\.rb|config/spring\.rb)$")
_RAILS_VERBS = frozenset(
    {"s", "server", "db:migrate", "db:prepare", "db:create", "db:setup", "db:seed", "db:schema:load", "runner", "r", "assets:precompile"}
)
_MIGRATES = frozenset({"db:migrate", "db:prepare", "db:setup"})
_SQLITE = re.compile(r"^\s*database:\s*(.+?)\s*$", re.M)
_DEFAULT = re.compile(
    r"""<%=\s*ENV(?:\.fetch\(|\[)\s*["'](\w+)["'](?:\s*,\s*["']([^"']*)["'])?[\])]\s*(?:\{\s*["']([^"']*)["']\s*\}|\|\|\s*["']([^"']*)["'])?\s*%>"""
)


def project_of(model: Model, stage: Stage, start: Start, before: int | None = None) -> tuple[str, str] | None:
    """The folder of the project that starts: in the image, and in the context; None when it is not found.

    before: only instructions before that index of ``Dockerfile.nodes`` count; None for all.
    """
    folders = [*(c.folder for c in start.commands), model.behind(stage).workdir]
    for folder in dict.fromkeys(f for f in folders if f is not None):
        for name in ("Gemfile", "gems.rb", "config.ru"):
            inside = build_folder(model, stage, folder, (name,), before)
            if inside is not None:
                return folder, inside
    for entry in start.entries:
        for place in image_path(model, stage, entry) if not entry.startswith("/") else ():
            return posixpath.dirname(place), posixpath.dirname(entry) or "."
    return None


def sources_of(context: BuildContext, folder: str, environment: str) -> tuple[str, ...]:
    """The Ruby files of a project that run: those of tests, migrations and other environments left out."""
    found = []
    for path in context.under(folder):
        name = _ENVIRONMENTS.search(path)
        inside = posixpath.relpath(path, folder)
        runs = path.endswith(_SOURCES) or (inside.startswith("bin/") and (context.read_text(path) or "").startswith("#!/usr/bin/env ruby"))
        if runs and not _NOT_RUN.search(inside) and not _DEVELOPERS.search(path) and (name is None or name[2] == environment):
            found.append(path)
    return tuple(found)


def environment_of(variables: Mapping[str, str]) -> str:
    """The name of the environment that Rails and Rack run in."""
    return variables.get("RAILS_ENV") or variables.get("RACK_ENV") or variables.get("APP_ENV") or "development"


def ruby_source(
    model: Model, stage: Stage, start: Start, variables: Mapping[str, str]
) -> tuple[str, BundlerProject | None, tuple[str, ...], RubyEvidence] | None:
    """The folder in the context, the gems, the sources and what they say; None when the project is not found."""
    context = model.context
    assert context is not None
    found = project_of(model, stage, start)
    if found is None:
        return None
    _, folder = found
    files = sources_of(context, folder, environment_of(variables))
    return folder, bundler_project(context, folder), files, ruby_evidence(context, files, folder, variables)


def evidence(model: Model, stage: Stage, start: Start, environment: Mapping[str, str]) -> SourceUse:
    """See ``optimizer.model.sources``."""
    context = model.context
    assert context is not None
    found = ruby_source(model, stage, start, environment)
    if found is None:
        return SourceUse(unknown=(Unknown("program", "", "the Ruby project that starts is not in the build context"),))
    folder, project, files, use = found
    written = set(use.written)
    unknown = set(use.unknown)
    gems = project.loaded(environment_of(environment)) if project is not None else frozenset()
    if project is not None and project.unknown is not None:
        unknown.add(Unknown("write", project.manifest, project.unknown))
    for name in sorted(gems):
        for place in gem_writes(name):
            if place == "?":
                unknown.add(Unknown("write", project.manifest if project else "", f"needs {name}, which writes files"))
            else:
                written.add(Place("cwd", place, True))
    if "railties" in gems or "rails" in gems or context.exists(posixpath.normpath(posixpath.join(folder, "config/application.rb"))):
        _rails(context, folder, environment, written, unknown)
        if any(_MIGRATES & set(command.words) for command in start.commands) and _dumps_schema(context, folder, environment):
            written.add(Place("cwd", "db/schema.rb"))
    elif "sqlite3" in gems and not any(re.search(r"\.(db|sqlite3?)$|^/", place.path) for place in use.written):
        unknown.add(Unknown("write", "", "keeps an SQLite database in a computed place"))
    unknown |= {
        Unknown("program", command.source, f"runs `{' '.join(w or '…' for w in command.words)}`, of which nothing is known")
        for command in start.commands
        if _unclear(command.name, command.words)
    }
    root = (*use.root, *(f"the program uses {name}" for name in sorted(gems & ROOT_GEMS)))
    return SourceUse(files, use.modules, use.programs, use.ports, tuple(sorted(written)), use.read, root, tuple(sorted(unknown)))


def _unclear(name: str | None, words: tuple[str | None, ...]) -> bool:
    """Whether a command of Ruby's runs a task or a text of which nothing is known."""
    verb = next((w for w in words[1:] if w is not None and not w.startswith("-")), None)
    if name == "rails":
        return verb not in _RAILS_VERBS or verb in ("runner", "r")
    if name == "rake":
        return verb is None or verb not in _RAILS_VERBS
    if name == "ruby":
        return any(w is not None and re.fullmatch(r"-\w*e", w) for w in words[1:])
    return name == "bundle" and verb not in ("exec", "check", "config")


def _dumps_schema(context: BuildContext, folder: str, environment: Mapping[str, str]) -> bool:
    """Whether a migration writes the schema into the source, which Rails does unless the settings of the environment say no."""
    name = environment_of(environment)
    text = context.read_text(posixpath.normpath(posixpath.join(folder, f"config/environments/{name}.rb"))) or ""
    return re.search(r"dump_schema_after_migration\s*=\s*false", text) is None


def _rails(context: BuildContext, folder: str, environment: Mapping[str, str], written: set[Place], unknown: set[Unknown]) -> None:
    """What Rails itself writes: caches and process numbers, logs, uploads of Active Storage, an SQLite database."""
    written |= {Place("cwd", "tmp", True), Place("cwd", "log", True)}
    storage = context.read_text(posixpath.normpath(posixpath.join(folder, "config/storage.yml"))) or ""
    text = re.sub(r"^\s*#[^\n]*", "", storage, flags=re.M)
    for block in re.split(r"^(?=\w)", text, flags=re.M):
        if re.search(r"service:\s*Disk", block) and not block.startswith("test"):
            named = re.search(r"""root:\s*<%=\s*Rails\.root\.join\(\s*["']([\w./-]+)["']\s*\)\s*%>|root:\s*["']?(/[\w./-]+)""", block)
            if named is None:
                unknown.add(Unknown("write", "config/storage.yml", "keeps uploads in a computed place"))
            else:
                written.add(Place("absolute", named[2], True) if named[2] else Place("cwd", posixpath.normpath(named[1]), True))
    path = posixpath.normpath(posixpath.join(folder, "config/database.yml"))
    text = re.sub(r"^\s*#[^\n]*", "", context.read_text(path) or "", flags=re.M)
    if not re.search(r"adapter:\s*[\"']?sqlite3", text):
        if environment.get("DATABASE_URL", "").startswith("sqlite"):
            unknown.add(Unknown("write", "ENV DATABASE_URL", "keeps an SQLite database"))
        return
    name = environment_of(environment)
    blocks = re.split(r"^(?=\w+:)", text, flags=re.M)
    for block in blocks:
        if not block.startswith(f"{name}:"):
            continue
        for given in _SQLITE.findall(block):
            default = _DEFAULT.search(given)
            value = given.strip("\"'")
            if default is not None:
                value = environment.get(default[1]) or default[2] or default[3] or default[4] or ""
            if not value or "<%" in value or "${" in value:
                unknown.add(Unknown("write", path, "keeps an SQLite database in a computed place"))
            elif value != ":memory:":
                written.add(Place("absolute" if value.startswith("/") else "cwd", posixpath.normpath(value)))


__all__ = ["environment_of", "evidence", "project_of", "ruby_source", "sources_of"]
