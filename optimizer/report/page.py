"""The page of a pass, out of its docstring and examples: for the terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from inspect import cleandoc
from textwrap import dedent, indent

from msgspec import Struct

from optimizer.checks.base import Check, Tells
from optimizer.passes.base import Keeps, Pass, Rewrites
from optimizer.report.diff import colored
from optimizer.report.style import Paint


class Section(Struct, frozen=True):
    """A part of a page: heading and text."""

    title: str
    text: str


class Page(Struct, frozen=True):
    """What a pass says about itself."""

    name: str
    summary: str
    sections: tuple[Section, ...]
    examples: tuple[Rewrites | Keeps, ...]

    @property
    def safety(self) -> str:
        """What it promises in a few words: the beginning of its section on safety."""
        text = next((section.text for section in self.sections if section.title == "Safety"), "")
        return re.split(r"[:.]", " ".join(text.split()))[0]


def page_of(rewriter: Pass) -> Page:
    """Read a pass's page. ValueError when its docstring has no first line or text outside of sections."""
    first, *rest = cleandoc(rewriter.__doc__ or "").replace("``", "`").split("\n")
    if not first:
        raise ValueError(f"{rewriter.name} has no docstring")
    sections: list[Section] = []
    for line in rest:
        if line and not line.startswith(" "):
            sections.append(Section(line, ""))
        elif sections:
            sections[-1] = Section(sections[-1].title, f"{sections[-1].text}{line}\n")
        elif line:
            raise ValueError(f"{rewriter.name}: the docstring's text must stand below headings")
    tidy = tuple(Section(section.title, dedent(section.text).strip()) for section in sections)
    empty = next((section.title for section in tidy if not section.text), None)
    if empty is not None:
        raise ValueError(f"{rewriter.name}: nothing stands below the heading {empty!r}")
    return Page(rewriter.name, first.rstrip("."), tidy, rewriter.examples)


def as_text(page: Page, paint: Paint) -> str:
    """A page for the terminal."""
    parts = [f"{paint(page.name, bold=True)}: {page.summary}"]
    parts += [f"{paint(section.title, bold=True)}\n{indent(section.text, '  ')}" for section in page.sections]
    for example in page.examples:
        heading = f"Leaves alone: {example.because}" if isinstance(example, Keeps) else "Rewrites"
        body = example.source if isinstance(example, Keeps) else colored(_made(example, example.after), paint)
        files = [f"  with {name}:\n{indent(content, '    | ', lambda _: True)}".rstrip("\n") for name, content in example.files]
        parts.append("\n".join([paint(heading, bold=True), *files, indent(body, "    ").rstrip("\n")]))
    return "\n\n".join(parts) + "\n"


def as_markdown(page: Page, rewritten: Callable[[Rewrites], tuple[str, bool]]) -> str:
    """A page as Markdown.

    Args:
        page: The page.
        rewritten: Gives what the pass makes of an example, and whether that takes ``--unsafe``.
    """
    parts = [f"# {page.name}", f"{page.summary}."]
    for section in page.sections:
        parts += [f"## {section.title}", section.text]
    done = [example for example in page.examples if isinstance(example, Rewrites)]
    left = [example for example in page.examples if isinstance(example, Keeps)]
    if done:
        parts.append("## What it rewrites")
    for example in done:
        text, unsafe = rewritten(example)
        parts += _context(example.files)
        parts.append("With `--unsafe`:" if unsafe else "")
        parts.append(fence("diff", _made(example, text)))
    if left:
        parts.append("## What it leaves alone")
    for each in left:
        parts += [f"Because {each.because}:", *_context(each.files), fence("dockerfile", each.source)]
    return "\n\n".join(part for part in parts if part) + "\n"


def check_as_text(check: Check, paint: Paint) -> str:
    """What a check says about itself, for the terminal."""
    first, rest = described(check)
    parts = [f"{paint(check.name, bold=True)}: {first}", f"{paint('Why', bold=True)}\n{indent(rest, '  ')}"]
    left = f"{check.left_by} mends it where it can, and says why where it cannot" if check.left_by else check.reason
    parts.append(f"{paint('Why it is not mended', bold=True)}\n  {left}")
    if check.rules:
        parts.append(f"{paint('Known elsewhere as', bold=True)}\n  {', '.join(check.rules)}")
    for example in check.examples:
        heading = f"Tells on line {example.line}: {example.message}" if isinstance(example, Tells) else f"Silent: {example.because}"
        parts.append("\n".join([paint(heading, bold=True), indent(example.source, "    ").rstrip("\n")]))
    return "\n\n".join(parts) + "\n"


def check_as_markdown(check: Check) -> str:
    """A section about a check, as Markdown."""
    first, rest = described(check)
    left = f" where [{check.left_by}](passes/{check.left_by}.md) refuses; its reason is told" if check.left_by else f": {check.reason}"
    parts = [f"## {check.name}", f"{first}.", rest, f"Not mended{left}."]
    if check.rules:
        parts.append(f"Known elsewhere as {', '.join(check.rules)}.")
    for example in check.examples:
        said = f"Line {example.line}: {example.message}" if isinstance(example, Tells) else f"Silent, because {example.because}"
        parts += [f"{said}:", *_context(example.files), fence("dockerfile", example.source)]
    return "\n\n".join(parts) + "\n"


def described(check: Check) -> tuple[str, str]:
    """What a check tells, as one sentence without a full stop, and why."""
    first, _, rest = cleandoc(check.__doc__ or "").replace("``", "`").partition("\n")
    return first.rstrip("."), rest.strip()


def as_table(pages: Iterable[Page], folder: str) -> str:
    """A Markdown table of pages that links to each. ``folder``: where they are, with a slash at its end, or empty."""
    rows = [f"| [{page.name}]({folder}{page.name}.md) | {_cell(page.summary)} | {_cell(page.safety)} |" for page in pages]
    return "\n".join(["| Pass | What it does | Safety |", "| --- | --- | --- |", *rows]) + "\n"


def _made(example: Rewrites, text: str) -> str:
    """What an example comes to: the Dockerfile as a diff, the ignore file where there is one."""
    parts = [whole_diff(example.before, text)] if text != example.before else []
    if example.ignore_file is not None:
        parts.append(".dockerignore\n" + "".join(f"+{line}\n" for line in example.ignore_file.splitlines()))
    return "\n".join(parts)


def whole_diff(before: str, after: str) -> str:
    """Two texts as one, each line with ``+``, ``-`` or a blank before it."""
    from difflib import unified_diff

    old, new = before.splitlines(), after.splitlines()
    names_and_place = 3
    return "\n".join(list(unified_diff(old, new, n=len(old), lineterm=""))[names_and_place:]) + "\n"


def _context(files: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, content in files:
        yield f"`{name}` in the build context:"
        yield fence("", content)


def fence(language: str, text: str) -> str:
    """Text as a block of code in Markdown, between fences longer than any in it."""
    body = text if text.endswith("\n") else text + "\n"
    marks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{marks}{language}\n{body}{marks}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
