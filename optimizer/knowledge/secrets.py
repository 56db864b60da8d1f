"""Which names of variables say that they hold a secret."""

from __future__ import annotations

import re
from functools import cache


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Words that say it, and words that take it back. Source: BuildKit's check SecretsUsedInArgOrEnv."""
    words = "apikey|auth|credentials?|key|password|pword|passwd|secret|token"
    return re.compile(rf"(?:_|^)(?:{words})(?:_|$)", re.I), re.compile(r"(?:_|^)public(?:_|$)", re.I)


def names_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    secret, public = _patterns()
    return secret.search(name) is not None and public.search(name) is None
