"""What people see: diffs, summaries and (in ``report.page``) the passes' pages, as text."""

from optimizer.report.diff import colored, git_path
from optimizer.report.style import Paint, wants_color
from optimizer.report.summary import Totals, describe

__all__ = ["Paint", "Totals", "colored", "describe", "git_path", "wants_color"]
