"""What people see: diffs, summaries and (in ``report.page``) the passes' pages, as text."""

from optimizer.report.diff import colored
from optimizer.report.style import Paint, wants_color
from optimizer.report.summary import Totals, describe

__all__ = ["Paint", "Totals", "colored", "describe", "wants_color"]
