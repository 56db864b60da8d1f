"""What people see: diffs, summaries and the passes' pages, as text."""

from optimizer.report.diff import colored
from optimizer.report.page import Page, Section, as_markdown, as_table, as_text, page_of
from optimizer.report.style import Paint, wants_color
from optimizer.report.summary import Totals, describe

__all__ = [
    "Page", "Paint", "Section", "Totals", "as_markdown", "as_table", "as_text", "colored", "describe", "page_of", "wants_color",
]  # fmt: skip
