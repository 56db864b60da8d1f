"""Tells griffe, which reads the source for the library's reference, what it knows of dataclasses only: fields are parameters."""

from __future__ import annotations

from typing import Any

import griffe


class Structs(griffe.Extension):
    """Gives every ``msgspec.Struct`` the ``__init__`` that its fields make."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        if "__init__" in cls.members or not any(str(base) == "Struct" for base in cls.bases):
            return
        fields = [each for each in cls.attributes.values() if each.annotation is not None and "property" not in each.labels]
        parameters = [
            griffe.Parameter(each.name, annotation=each.annotation, kind=griffe.ParameterKind.positional_or_keyword, default=each.value)
            for each in fields
            if not each.name.startswith("_") and not str(each.annotation).startswith("ClassVar")
        ]
        cls.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(*parameters), returns="None"))
