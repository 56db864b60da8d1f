"""Use COPY where ADD does nothing more."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from optimizer.model import Model
from optimizer.model.copies import CopyFacts, copy_facts, is_remote, names_archive
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import keyword_edit

_FLAGS = frozenset({"chown", "chmod", "link", "exclude"})


class CopyInsteadOfAdd(Pass):
    """Use COPY where ADD does nothing more.

    What it does
        Writes ``COPY`` for an ``ADD`` that takes files or folders of the build context as they are.

    Why
        ADD also unpacks archives and downloads, so a reader has to look at every source to know what arrives, and a file
        that becomes an archive one day is unpacked without anyone asking for it.

    When it refuses
        An ADD that downloads or unpacks is left alone. It refuses where a source is known only when the build runs, and
        where a file of the build context begins as an archive does, whatever its name.

    Safety
        Safe: with a build context its files are looked into. Without one, a name says what it is: nobody calls an
        archive ``app.py``, and a folder's contents are copied and not unpacked.
    """

    name = "copy-instead-of-add"
    alters = frozenset({Fact.COPIES})
    mends = ("DL3020",)
    examples = (
        Rewrites("FROM debian:bookworm-slim\nADD . /app\n", "FROM debian:bookworm-slim\nCOPY . /app\n"),
        Keeps("FROM debian:bookworm-slim\nADD app.tar.gz /app\n", because="it unpacks the archive"),
        Keeps("FROM debian:bookworm-slim\nADD https://example.com/app.jar /app/\n", because="it downloads"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            if node.keyword != "ADD" or node.heredocs or {f.name for f in node.flags} - _FLAGS:
                continue
            facts = copy_facts(model, position) if model.stages else None
            edit = keyword_edit(node, "COPY")
            if facts is None or edit is None:
                continue
            if len(facts.sources) < len(node.words) - 1:
                yield Refusal("stays ADD: a source is known only when the build runs", position)
                continue
            if any(is_remote(word) for word in (*node.words[:-1], *facts.sources)) or any(map(names_archive, facts.sources)):
                continue
            if model.before(position).args and any(map(_left_open, node.words[:-1])):
                yield Refusal("stays ADD: a build argument decides whether it downloads or unpacks", position)
                continue
            archive, evidence = _looked_into(model, facts)
            if archive is not None:
                yield Refusal(f"stays ADD: {archive}", position)
                continue
            file = model.file.replaced(position, position + 1, [node.edited(edit)])
            yield Change("COPY instead of ADD: it neither downloads nor unpacks", file, (position,), (evidence,))


def _is_archive(start: bytes) -> bool:
    """Whether a file that begins like this may be an archive that ADD unpacks: a tar, or something compressed."""
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x5d\x00\x00")):
        return True
    if len(start) < 512:
        return False
    import tarfile

    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _left_open(word: str) -> bool:
    """Whether variables decide what a source begins or ends with."""
    texts = re.split(r"\$(?:\w+|\{[^}]*\})", word)
    return len(texts) > 1 and (not texts[0] or not re.search(r"\.\w+$", texts[-1]))


def _may_end_anyhow(name: str) -> bool:
    """Whether a pattern leaves open what the names end in that it matches: it has no plain ending behind its last wildcard."""
    return re.search(r"[*?\[\\]", name) is not None and re.search(r"\.\w+$", re.split(r"[*?\]\\]", name)[-1]) is None


def _looked_into(model: Model, facts: CopyFacts) -> tuple[str | None, str]:
    """Why a source may be an archive, None when none is; and what shows that."""
    context = model.context
    by_name = "no source has the name of an archive"
    for source in facts.sources:
        matches = context.match(source) if context is not None and not context.truncated else ()
        for match in matches:
            assert context is not None
            if match != "." and not context.is_dir(match) and _is_archive(context.first_bytes(match) or b""):
                return f"{match} is an archive, which it unpacks", ""
        if not matches and _may_end_anyhow(posixpath.basename(source)):
            return f"{source} may match an archive, which it would unpack", ""
        by_name = by_name if not matches else "no source is an archive: they were looked into in the build context"
    return None, by_name
