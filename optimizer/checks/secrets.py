"""What is told of secrets that end up in an image."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.knowledge.secrets import names_secret
from optimizer.model import Model
from optimizer.model.copies import is_remote

_PRIVATE_KEYS = frozenset({"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"})
_SECRET_FILES = frozenset({".env", ".netrc", ".pypirc", ".git-credentials", ".htpasswd", "credentials.json", "service-account.json"})
_SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".kube"})


class SecretInVariable(Check):
    """A variable whose name says that it holds a secret.

    Build arguments stand in the image's history, and ENV in its configuration: whoever has the image has the secret.
    """

    name = "secret-in-variable"
    rules = ("DL3064", "SecretsUsedInArgOrEnv")
    reason = "whoever builds must then hand it over as a secret; --also mount-secrets --unsafe does it for ARG"
    examples = (
        Tells("FROM debian:bookworm\nARG NPM_TOKEN\n", "NPM_TOKEN ends up in the image's history", 2),
        Tells("FROM debian:bookworm\nENV DB_PASSWORD=hunter2\n", "DB_PASSWORD ends up in the image's configuration", 2),
        Passes("FROM debian:bookworm\nENV PUBLIC_KEY=abc\n", because="it is public"),
        Passes("FROM debian:bookworm\nENV MONKEY=abc\n", because="the word stands inside another"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            if node.keyword not in ("ARG", "ENV"):
                continue
            place = "history" if node.keyword == "ARG" else "configuration"
            for pair in node.pairs:
                if names_secret(pair.name):
                    yield Observation(f"{pair.name} ends up in the image's {place}", position)


class SecretFile(Check):
    """A file that usually holds secrets is copied into the image.

    It stays in its layer, also where a later instruction deletes it.
    """

    name = "secret-file"
    reason = "where the program reads it instead is not known; RUN --mount=type=secret gives a file to one step alone"
    examples = (
        Tells("FROM debian:bookworm\nCOPY id_rsa /root/.ssh/\n", "id_rsa ends up in a layer of the image", 2),
        Tells("FROM debian:bookworm\nCOPY app.js .env ./\n", ".env ends up in a layer of the image", 2),
        Passes("FROM debian:bookworm\nCOPY .env.example id_rsa.pub ./\n", because="neither is secret"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            if node.keyword not in ("COPY", "ADD") or node.flag("from"):
                continue
            for source in node.words[:-1]:
                if not is_remote(source) and _is_secret(source):
                    yield Observation(f"{source} ends up in a layer of the image", position)


def _is_secret(path: str) -> bool:
    name = posixpath.basename(path.rstrip("/"))
    return name in _PRIVATE_KEYS or name in _SECRET_FILES or name in _SECRET_FOLDERS
