"""Words as BuildKit splits, unquotes and expands them.

``e2b-dockerfile-utils`` does it, character by character, where a quote, an escape or a variable makes a difference; most
words are plain, and a file that holds no others does not import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache


def is_plain(word: str, escape: str) -> bool:
    """Whether a word holds no quote and no escape character."""
    return "'" not in word and '"' not in word and escape not in word


def split_words(text: str, escape: str) -> list[str]:
    """The words of a text, split at white space outside quotes, as written."""
    if is_plain(text, escape) and text.isascii() and text.isprintable():
        return text.split()
    from e2b_dockerfile_utils import parse_words

    return parse_words(text, escape)


def unquote(word: str, escape: str) -> str:
    """A word without its quotes and escapes; ``$VAR`` stays as it is. Unbalanced quotes: as written."""
    if is_plain(word, escape):
        return word
    from e2b_dockerfile_utils import ShellLex

    try:
        return str(ShellLex(escape).process_word(word))
    except ValueError:
        return word


def expand(word: str, escape: str, values: Mapping[str, str]) -> str | None:
    """A word with variables replaced by their values, one without a value by nothing, and quotes taken off.

    None where BuildKit says that the word is wrong.
    """
    return word if "$" not in word and is_plain(word, escape) else _expanded(word, escape, tuple(values.items()))


@lru_cache(maxsize=4096)  # after each change, the state before every instruction is computed anew
def _expanded(word: str, escape: str, values: tuple[tuple[str, str], ...]) -> str | None:
    from e2b_dockerfile_utils import ShellLex

    try:
        return str(ShellLex(escape, env=dict(values), skip_unset_env=False).process_word(word))
    except ValueError:
        return None


def fields(value: str) -> list[str]:
    """The fields of a flag's value that is a list with commas, such as that of ``--mount``, as CSV."""
    import csv

    return next(csv.reader([value]), [])
