"""Values as JSON text."""

from __future__ import annotations

import json
import re
from typing import Any


def as_json(values: Any) -> str:
    """Values as JSON, indented, in Unicode.

    Bytes that are no UTF-8, which texts hold as lone surrogates, are written as escapes: so the output is UTF-8, and
    ``json.loads`` in Python gives back what ``optimizer.decode`` makes of the same bytes.
    """
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)
