"""PHP: the source of the project below the folder that runs, and the folders that frameworks write."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping

from optimizer.context.folder import BuildContext
from optimizer.context.php_source import PhpEvidence, php_evidence
from optimizer.context.places import Place, Unknown
from optimizer.model.model import Model, Stage
from optimizer.model.paths import build_folder, context_path, image_path
from optimizer.model.sources.evidence import SourceUse
from optimizer.model.started import Start, Started

_NOT_RUN = re.compile(
    r"(^|/)(vendor|tests?|node_modules|storage/framework|bootstrap/cache|var/cache|database/(migrations|factories|seeders)|\.phpunit\.cache)/|(^|/)(phpunit|rector|ecs|\.php-cs-fixer)[\w.-]*\.php$",
    re.I,
)
_FOLDERS: dict[str, tuple[str, ...]] = {
    "laravel/framework": ("storage", "bootstrap/cache"),
    "laravel/lumen-framework": ("storage",),
    "symfony/framework-bundle": ("var",),
    "cakephp/cakephp": ("tmp", "logs"),
    "codeigniter4/framework": ("writable",),
    "yiisoft/yii2": ("runtime", "web/assets"),
    "nette/application": ("temp", "log"),
}
"""The folders below that of the project which a framework writes."""
_STORES = re.compile(
    r"(smarty/smarty|drupal/core.*|roots/wordpress.*|johnpbloch/wordpress.*|magento/.*|typo3/cms-core|joomla/.*|tecnickcom/tcpdf|dompdf/dompdf|mpdf/mpdf|intervention/image"
    r"|spatie/laravel-medialibrary|league/glide|jenssegers/blade|eftec/bladeone|rakibtg/sleekdb)$"
)
_SQLITE = re.compile(r"sqlite", re.I)


def project_of(model: Model, stage: Stage, folders: tuple[str | None, ...]) -> tuple[str, str] | None:
    """The folder of the project in the image, and in the context: one with a manifest or a page. folders: where to look, in order."""
    for folder in dict.fromkeys(f for f in (*folders, model.behind(stage).workdir) if f is not None):
        inside = build_folder(model, stage, folder, ("composer.json", "index.php", "public/index.php", "artisan"))
        if inside is not None:
            return folder, inside
    return None


def sources_of(context: BuildContext, folder: str) -> tuple[str, ...]:
    """The PHP files of a project that run: packages, tests and migrations left out."""
    files = [f for f in context.under(folder) if not _NOT_RUN.search(posixpath.relpath(f, folder))]
    return tuple(f for f in files if f.endswith(".php") or _is_script(context, f))


def _is_script(context: BuildContext, path: str) -> bool:
    """Whether a file without an ending is a script for PHP, such as ``bin/console`` or ``artisan``."""
    if "." in posixpath.basename(path):
        return False
    text = context.read_text(path) or ""
    return text.startswith("<?php") or (text.startswith("#!") and "php" in text.partition("\n")[0])


def _runs(command: Started) -> str | None:
    """The file that a call of PHP's command line runs, as written; None where it runs none."""
    words = iter(command.words[1:] if command.name == "php" else ())
    for word in words:
        if word is None or not word.startswith("-"):
            return word
        if word in ("-r", "-B", "-R", "-E", "-a", "-S", "-m", "-i", "-v"):
            return None
        if word in ("-d", "-c", "-t", "-z"):
            next(words, None)
    return None


def packages_of(context: BuildContext, folder: str) -> frozenset[str]:
    """The packages of a project: those of the lock, or those that composer.json names."""
    found: set[str] = set()
    for name in ("composer.json", "composer.lock"):
        try:
            data = json.loads(context.read_text(posixpath.normpath(posixpath.join(folder, name))) or "{}")
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            required, locked = data.get("require"), data.get("packages")
            found |= set(required) if isinstance(required, dict) else set()
            found |= {str(p.get("name")) for p in locked if isinstance(p, dict)} if isinstance(locked, list) else set()
    return frozenset(found)


def php_source(
    model: Model, stage: Stage, folders: tuple[str | None, ...], variables: Mapping[str, str]
) -> tuple[str, str, tuple[str, ...], PhpEvidence] | None:
    """The folder in the image and in the context, the sources and what they say; None when the project is not found."""
    context = model.context
    assert context is not None
    found = project_of(model, stage, folders)
    if found is None:
        return None
    files = sources_of(context, found[1])
    return (*found, files, php_evidence(context, files, found[1], variables))


def evidence(model: Model, stage: Stage, start: Start, environment: Mapping[str, str]) -> SourceUse:
    """See ``optimizer.model.sources``."""
    context = model.context
    assert context is not None
    folders = (*(c.folder for c in start.commands), *(posixpath.dirname(p) for e in start.entries for p in image_path(model, stage, e)[:1]))
    found = php_source(model, stage, folders, environment)
    if found is None:
        return SourceUse(unknown=(Unknown("program", "", "the PHP project that starts is not in the build context"),))
    place, folder, files, use = found
    written, unknown = set(use.written), set(use.unknown)
    packages = packages_of(context, folder)
    for name in sorted(packages & _FOLDERS.keys()):
        written |= {Place("absolute", posixpath.join(place, inner), True) for inner in _FOLDERS[name]}
    unknown |= {Unknown("write", "composer.json", f"needs {name}, which writes files") for name in sorted(packages) if _STORES.match(name)}
    if any(posixpath.basename(f) in ("wp-load.php", "wp-config.php") for f in context.under(folder)):
        unknown.add(Unknown("write", "wp-config.php", "WordPress writes into its own folders"))
    if "laravel/framework" in packages:
        _laravel_database(context, place, folder, environment, written)
    ports = [
        word.rpartition(":")[2]
        for c in start.commands
        if c.name == "php"
        for a, word in zip(c.words, c.words[1:], strict=False)
        if a in ("-S", "--port") and word
    ]
    for command in start.commands:
        given = _runs(command)
        path = posixpath.normpath(posixpath.join(command.folder or "/", given)) if given is not None else None
        if path is not None and context_path(model, stage, path) not in files:
            unknown.add(Unknown("program", command.source, f"runs {given} with PHP, which is not seen among the project's sources"))
        first = command.words[1] if len(command.words) > 1 else "-a"
        if command.name == "php" and first in ("-r", "-B", "-R", "-E", "-a"):
            unknown.add(Unknown("program", command.source, "PHP runs code that is given on the command line"))
    numbers = tuple(int(port) for port in ports if port.isdecimal())
    modules = tuple(sorted(packages))
    return SourceUse(files, modules, use.programs, numbers, tuple(sorted(written)), (), use.root, tuple(sorted(unknown)))


def _laravel_database(context: BuildContext, place: str, folder: str, environment: Mapping[str, str], written: set[Place]) -> None:
    """The SQLite file of Laravel's, where its settings or the image's name that kind of database."""
    text = context.read_text(posixpath.normpath(posixpath.join(folder, ".env"))) or ""
    settings = {**dict(re.findall(r"^(\w+)=[\"']?([^\"'\n]*)", text, re.M)), **environment}
    if _SQLITE.search(settings.get("DB_CONNECTION", "")):
        name = settings.get("DB_DATABASE") or "database/database.sqlite"
        written.add(Place("absolute", posixpath.normpath(posixpath.join(place, name))))
