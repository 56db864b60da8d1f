"""Composer: composer.json, composer.lock and auth.json, when neither scripts nor the autoloader read the source."""

from __future__ import annotations

from typing import Any

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Action, Call, unwrapped
from optimizer.model.installs.needs import NOTHING, Needs, brought, existing, overwritten, read_json, refused, table, within

# Source: https://getcomposer.org/doc/articles/scripts.md#event-names
_EVENTS = frozenset({
    "pre-install-cmd", "post-install-cmd", "pre-autoload-dump", "post-autoload-dump", "pre-package-install", "post-package-install",
    "init", "pre-operations-exec", "pre-pool-create", "pre-file-download", "post-file-download", "command", "pre-command-run",
})  # fmt: skip
# Plugins that look at installed packages and write below vendor only.
_QUIET_PLUGINS = frozenset({
    "pestphp/pest-plugin", "phpstan/extension-installer", "dealerdirect/phpcodesniffer-composer-installer", "ocramius/package-versions",
    "composer/package-versions-deprecated", "tbachert/spi", "php-http/discovery",
})  # fmt: skip
_OPTIMIZED = frozenset({"-o", "--optimize-autoloader", "-a", "--classmap-authoritative"})


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    verb = call.verb.value if call.verb else None
    if verb in ("self-update", "selfupdate") or (verb == "global" and call.action is Action.INSTALL):
        return NOTHING
    if verb not in ("install", "i"):
        return refused(f"`composer {verb or ''}`".rstrip() + " may read or change the copied files")
    if call.options & {"-d", "--working-dir"}:
        return refused("an option leads Composer to another folder")
    data = read_json(context, within(folder, "composer.json"))
    if data is None:
        return refused("composer.json is not in the build context or cannot be read")
    reason = _reason(context, folder, data, call.options)
    if reason is not None:
        return refused(reason)
    archive = () if unwrapped(call.command).program == "composer" else ("composer.phar",)
    settings = table(data, "config")
    written = [str(settings.get("vendor-dir", "vendor")), *([str(settings["bin-dir"])] if "bin-dir" in settings else [])]
    own = brought(context, folder, *written)
    if own is not None:
        return overwritten(own)
    return Needs(existing(context, folder, ("composer.json", "composer.lock", "auth.json", *archive)))


def _reason(context: BuildContext, folder: str, data: dict[str, Any], options: frozenset[str]) -> str | None:
    events = sorted(_EVENTS & table(data, "scripts").keys())
    if events and "--no-scripts" not in options:
        return f"composer.json runs scripts on {events[0]}; with --no-scripts it would not"
    if "--no-autoloader" not in options:
        for section in ("autoload", "autoload-dev"):
            if table(data, section).get("classmap"):
                return "the autoloader is made from the source (classmap); with --no-autoloader it would be later"
        settings = table(data, "config")
        if options & _OPTIMIZED or settings.get("optimize-autoloader") or settings.get("classmap-authoritative"):
            return "the optimized autoloader lists the classes of the source; with --no-autoloader it would be made later"
    repositories = data.get("repositories", [])
    for given in repositories.values() if isinstance(repositories, dict) else repositories if isinstance(repositories, list) else []:
        kind, url = table(given).get("type"), str(table(given).get("url", ""))
        if kind in ("path", "artifact") or (url and "://" not in url and not url.startswith("git@") and "." not in url.partition("/")[0]):
            return f"composer.json takes packages from {url or kind}, which lies in the project"
    if "--no-plugins" not in options:
        plugins = _plugins(read_json(context, within(folder, "composer.lock")), options)
        if plugins is None:
            return "without composer.lock it is not known which plugins take part"
        if plugins:
            return f"the Composer plugin {plugins[0]} may read or write files of the project"
    return None


def _plugins(lock: dict[str, Any] | None, options: frozenset[str]) -> list[str] | None:
    """The plugins that an install runs and that do more than to look at packages; None when unknown."""
    if lock is None:
        return None
    sections = ("packages",) if "--no-dev" in options else ("packages", "packages-dev")
    packages = [package for section in sections for package in lock.get(section) or ()]
    return sorted(str(p.get("name")) for p in packages if p.get("type") == "composer-plugin" and p.get("name") not in _QUIET_PLUGINS)
