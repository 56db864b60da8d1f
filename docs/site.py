"""What mkdocs adds to the pages when it builds the site: the passes in the navigation, and rewrites of real projects.

``<!-- rewrite: PROJECT -->`` in a page becomes what dopt makes of ``fixtures/projects/PROJECT`` now.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it documents this tree, installed or not

import optimizer  # noqa: E402
from optimizer.report.page import whole_diff  # noqa: E402

MARK = re.compile(r"^<!-- rewrite: ([\w-]+) -->$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Put the passes into the navigation, in the order in which they run."""
    section = next(entry["Passes"] for entry in config.nav if "Passes" in entry)
    section.extend(f"passes/{each.name}.md" for each in optimizer.PASSES)
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put rewrites where pages name their projects."""
    return MARK.sub(lambda mark: rewrite_of(mark[1]), markdown)


def rewrite_of(project: str) -> str:
    """A project's Dockerfile before and after in tabs, and the evidence below.

    Raises:
        FileNotFoundError: There is no such project.
    """
    context = ROOT / "fixtures" / "projects" / project / "context"
    result = optimizer.optimize((context / "Dockerfile").read_bytes(), context=context)
    tabs = [
        ("Difference", "diff", whole_diff(result.source, result.text)),
        ("Before", "dockerfile", result.source),
        ("After", "dockerfile", result.text),
    ]
    if result.ignore_file is not None:
        tabs.append((result.ignore_file.path, "text", result.ignore_file.text))
    parts = [f'=== "{title}"\n\n' + indent(f"```{language}\n{text.rstrip()}\n```", "    ") for title, language, text in tabs]
    why = ["\n".join([f"- **{each.summary}**", *(f"    - {reason}" for reason in each.evidence)]) for each in result.rewrites]
    return "\n\n".join([*parts, '??? note "The evidence"\n\n' + indent("\n".join(why), "    ")])
