"""PHP's Composer."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Cache, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind, behind_script, call_of
from optimizer.syntax.shell import Command

_VERBS = {
    "install": Action.INSTALL,
    "i": Action.INSTALL,
    "update": Action.INSTALL,
    "upgrade": Action.INSTALL,
    "u": Action.INSTALL,
    "require": Action.INSTALL,
    "create-project": Action.INSTALL,
    "global": Action.OTHER,
    "remove": Action.REMOVE,
    "dump-autoload": Action.BUILD,
    "dumpautoload": Action.BUILD,
    "run-script": Action.BUILD,
    "run": Action.BUILD,
    "clear-cache": Action.CLEAN,
    "clearcache": Action.CLEAN,
    "cc": Action.CLEAN,
    "config": Action.OTHER,
    "self-update": Action.OTHER,
    "selfupdate": Action.OTHER,
    "check-platform-reqs": Action.OTHER,
    "validate": Action.OTHER,
    "diagnose": Action.OTHER,
}
_VALUED = frozenset({
    "-d", "--working-dir", "--ignore-platform-req", "--prefer-install", "--apcu-autoloader-prefix", "--stability", "--repository",
})  # fmt: skip


class Composer(Ecosystem):
    """``composer``, ``composer.phar`` and ``php composer.phar``.

    The folders of its cache are removed by name: versions before 1.10 stop at ``--no-cache``, and an archive that is run by
    ``php`` has no ``composer clear-cache``. Source of the folders: https://getcomposer.org/doc/06-config.md#cache-dir
    """

    name = "composer"
    programs = re.compile(r"(composer(\.phar)?|php[\d.]*)$")
    caches = (
        Cache(
            folders=("~/.composer/cache", "~/.cache/composer"),
            filled_by=frozenset({Action.INSTALL}),
            clean="rm -rf ~/.composer/cache ~/.cache/composer",
            variables=frozenset({"COMPOSER_CACHE_DIR", "COMPOSER_HOME", "XDG_CACHE_HOME"}),
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = arguments_of(words)
        return None if found is None else call_of(self.name, command, words, found, _action)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Composer, None when it is none."""
    rest = behind(words, r"composer(\.phar)?")
    if rest is None:
        rest = behind_script(words, r"composer(\.phar)?", r"php[\d.]*$")
    return None if rest is None else read_arguments(rest, frozenset(_VERBS), _VALUED)


def _action(found: Arguments) -> Action:
    verb = found.verb.value if found.verb else None
    if verb == "global" and found.operands:
        return _VERBS.get(found.operands[0].value or "", Action.OTHER)
    return _VERBS.get(verb or "", Action.OTHER)
