"""The commands of Node's package managers, and how they are written to install what only running needs."""

from __future__ import annotations

import re
from collections.abc import Collection

from msgspec import structs

from optimizer.ecosystems import Action, Call, read_call
from optimizer.passes.split.steps import Step, remaining, steps_of
from optimizer.syntax import Dockerfile, Instruction

MANAGERS = frozenset({"npm", "yarn", "pnpm", "bun"})
INSTALLED_MANAGERS = frozenset({"yarn", "pnpm", "bun", "corepack", "yarnpkg", "@yarnpkg/cli-dist", "@pnpm/exe"})
"""Package managers that an image of Node does not have, or has beside npm, and the packages that bring them."""
# Commands whose package has another name.
BINS = {
    "nest": "@nestjs/cli", "tsc": "typescript", "ng": "@angular/cli", "sequelize": "sequelize-cli", "pm2-runtime": "pm2",
    "pm2-docker": "pm2",
    "webpack": "webpack-cli", "babel": "@babel/cli", "babel-node": "@babel/node", "vue-cli-service": "@vue/cli-service", "nuxi": "nuxt",
    "strapi": "@strapi/strapi", "medusa": "@medusajs/medusa", "remix-serve": "@remix-run/serve", "ts-node-esm": "ts-node",
    "react-router-serve": "@react-router/serve", "fastify": "fastify-cli", "run-s": "npm-run-all", "run-p": "npm-run-all",
    "swc": "@swc/cli", "sentry-cli": "@sentry/cli", "graphql-codegen": "@graphql-codegen/cli",
    "dotenv": "dotenv-cli", "dotenvx": "@dotenvx/dotenvx", "cross-env-shell": "cross-env", "eleventy": "@11ty/eleventy",
    "mikro-orm": "@mikro-orm/cli", "docusaurus": "@docusaurus/core", "react-router": "@react-router/dev", "remix": "@remix-run/dev",
}  # fmt: skip
# Programs that compile, bundle, lint or test, and start nothing that serves.
_TOOLS = frozenset({
    "typescript", "webpack", "webpack-cli", "gulp", "gulp-cli", "grunt", "grunt-cli", "bower", "eslint", "prettier", "rimraf", "turbo",
    "nx", "lerna", "esbuild", "rollup", "parcel", "node-gyp", "@nestjs/cli", "@angular/cli", "@vue/cli", "create-react-app", "jest",
    "npm-check-updates", "tslint", "mocha", "tsup", "@babel/cli", "sass", "less", "postcss-cli", "cross-env", "npm-run-all", "husky",
})  # fmt: skip
_PRODUCTION = {"npm": "--omit=dev", "yarn": "--production", "pnpm": "--prod", "bun": "--production"}
_DEVELOPMENT = re.compile(r"\s+--(include=dev|include dev|production=false)\b")


def is_global(call: Call) -> bool:
    """Whether a call installs programs for the whole image."""
    return bool(call.options & {"-g", "--global"}) or (call.verb is not None and call.verb.value == "global")


def sets_up_manager(node: Instruction) -> bool:
    """Whether a RUN does nothing but set up package managers."""
    found = steps_of(node)
    steps = [step for step in found or () if not step.cleans and step.program != "corepack"]
    calls = [step.call for step in steps]
    names = {_name(name) for call in calls if call is not None and is_global(call) for name in call.packages}
    settings = [c for c in calls if c is not None and (is_global(c) or (c.verb is not None and c.verb.value in ("config", "set")))]
    return found is not None and len(settings) == len(calls) and names <= {*INSTALLED_MANAGERS, "add", "npm"}


def project_install(node: Instruction) -> Call | None:
    """The call of a RUN that installs the project's dependencies, None in any other."""
    script = node.script if node.keyword == "RUN" else None
    if script is None or not script.understood:
        return None
    for command in script.commands:
        call = read_call(command)
        if call is not None and call.ecosystem in MANAGERS and call.action is Action.INSTALL and not is_global(call):
            return call
    return None


def production_install(node: Instruction, call: Call, locked: bool = True) -> Instruction:
    """The install without development dependencies; with npm and a lock file, exactly what that says.

    Yarn with ``--immutable`` is 2 or later, which has a command for that in the place of an option.
    """
    text = node.shell_text
    assert text is not None
    if call.ecosystem == "yarn" and "--immutable" in call.options:
        start = call.command.words[0].end if call.verb is None else call.verb.start - 1
        return node.edited((text.source(start), text.source_end(call.command.end), " workspaces focus --all --production"))
    option = _PRODUCTION[call.ecosystem]
    edits = [
        (text.source(call.command.start + found.start()), text.source_end(call.command.start + found.end()), "")
        for found in _DEVELOPMENT.finditer(text.text[call.command.start : call.command.end])
    ]
    word = call.verb
    if word is None:
        word = call.command.words[-1]  # the manager alone installs
        return node.edited(*edits, (text.source(word.start), text.source_end(word.end), f"{word.text} {option}"))
    name = "ci" if locked and call.ecosystem == "npm" and word.value in ("install", "i", "isntall", "ci", "clean-install") else word.text
    return node.edited(*edits, (text.source(word.start), text.source_end(word.end), f"{name} {option}"))


def installing(node: Instruction, call: Call) -> str:
    """The text of an install alone, without the commands around it."""
    text = node.shell_text
    assert text is not None
    return node.text[text.source(call.command.start) : text.source_end(call.command.end)].strip()


def without_tools(file: Dockerfile, node: Instruction, started: Collection[str]) -> Instruction | None:
    """A RUN without the programs that it installs for the whole image and only building starts.

    Args:
        file: The Dockerfile.
        node: The RUN.
        started: The programs that run in the image.

    Returns:
        The RUN itself where it installs none, None where it does nothing else.
    """
    steps = steps_of(node) or ()
    needed = {BINS.get(name, name) for name in started}
    kept: list[Step] = []
    for step in steps:
        names = [w for w in step.command.words if _name(w.text) in _TOOLS - needed] if step.call and is_global(step.call) else []
        if not names:
            kept.append(step)
        elif step.call is not None and len(names) < len([p for p in step.call.packages if p not in ("add", "i")]):
            text = " ".join(word.text for word in step.command.words if word not in names)
            kept.append(structs.replace(step, text=text))
    return node if kept == list(steps) else remaining(file, node, tuple(kept), lambda step: True)


def _name(word: str) -> str:
    """The package that a word of an install names, without its version."""
    return re.sub(r"(?<=.)@.*", "", word)
