"""Names of a program and the values they may stand for, for every language that is read by its syntax tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from optimizer.context.places import HOLE

Value = str | int | None | tuple["Value", ...]
Values = tuple[Value, ...]
UNKNOWN: Values = (HOLE,)

Node = TypeVar("Node")


@dataclass(frozen=True, slots=True)
class Binding(Generic[Node]):
    """What one assignment gives a name: the value of `node` (None: unknown), one of its elements, or its `index`-th.

    values: what it gives where that is known already, as with the argument of a call.
    """

    node: Node | None
    each: bool = False
    index: int | None = None
    values: Values | None = None


@dataclass(slots=True)
class Scope(Generic[Node]):
    """The names of a module or function."""

    outer: Scope[Node] | None
    names: dict[str, list[Binding[Node]]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)  # names that belong to an outer scope, as with `global`

    def bind(self, name: str, binding: Binding[Node]) -> None:
        scope = self
        while name in self.elsewhere and scope.outer is not None:
            scope = scope.outer
        scope.names.setdefault(name, []).append(binding)

    def find(self, name: str) -> tuple[Scope[Node], list[Binding[Node]]] | None:
        """The innermost scope that has a name, and all that is assigned to it there."""
        scope: Scope[Node] | None = self
        while scope is not None:
            if name in scope.names:
                return scope, scope.names[name]
            scope = scope.outer
        return None
