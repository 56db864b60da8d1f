"""The commands that make runs for a goal: recipes of the Makefile, and make's own rules for C and C++."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.context.folder import BuildContext
from optimizer.context.makefile import UNKNOWN, Expander, Makefile, Rule, matches

_MAKE_EXTENSIONS = {".c": "$(CC) $(CPPFLAGS) $(CFLAGS)", ".cc": "$(CXX) $(CPPFLAGS) $(CXXFLAGS)", ".cpp": "$(CXX) $(CPPFLAGS) $(CXXFLAGS)"}
_DEPTH = 40
_CHAIN = 4  # of implicit rules that make what the next one needs


def make_commands(context: BuildContext, makefile: Makefile, goals: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """The recipe lines that ``make`` runs for goals, in order, expanded, ``@`` and ``-`` taken off; files count as out of date.

    Args:
        context: The build context.
        makefile: The Makefile.
        goals: Goals on the command line; the default one when empty.

    Returns:
        The lines, with `UNKNOWN` in place of what is not known; None when there is no such goal.
    """
    wanted = goals or ((makefile.default_goal,) if makefile.default_goal else ())
    way = _Walk(context, makefile, posixpath.dirname(makefile.path) or ".")
    return tuple(way.lines) if wanted and all(way.walk(goal, 0) for goal in wanted) else None


@dataclass
class _Walk:
    """The way that make takes from a goal to what it needs."""

    context: BuildContext
    makefile: Makefile
    folder: str
    lines: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.expander = Expander(self.makefile.variables, self.context, self.folder)
        self.explicit: dict[str, list[Rule]] = {}
        for rule in self.makefile.rules:
            for target in rule.targets:
                self.explicit.setdefault(target, []).append(rule)
        self.phony = {name for rule in self.explicit.get(".PHONY", ()) for name in self.expander.expand(rule.prerequisites).split()}

    def needs(self, rule: Rule) -> list[str]:
        return self.expander.expand(rule.prerequisites).replace("|", " ").split()

    def known(self, target: str) -> bool:
        """Whether a file is there, or is made elsewhere."""
        elsewhere = target.startswith("../") and target.endswith((".a", ".o", ".so"))  # made in another folder of the project
        there = self.context.exists(posixpath.join(self.folder, target))
        return elsewhere or there or UNKNOWN in target or target.endswith((".d", ".h"))

    def pattern(self, target: str, used: tuple[Rule, ...] = ()) -> tuple[Rule, str] | None:
        """The pattern rule for a target and its stem: the one with the shortest stem of those whose prerequisites can be had.

        Source: "Implicit Rule Search Algorithm" in the GNU make manual.
        """
        found: list[tuple[int, Rule, str]] = []
        for rule in self.makefile.rules:
            for pattern in rule.targets if rule.recipe and rule not in used else ():
                if "%" in pattern and matches(target, pattern):
                    head, _, tail = pattern.partition("%")
                    stem = target[len(head) : len(target) - len(tail)]
                    needed = [need.replace("%", stem) for need in self.needs(rule)]
                    if all(need in self.explicit or self.known(need) or self.made(need, (*used, rule)) for need in needed):
                        found.append((len(stem), rule, stem))
        return min(found, key=lambda one: one[0])[1:] if found else None

    def made(self, target: str, used: tuple[Rule, ...]) -> bool:
        """Whether an implicit rule makes a target; no rule counts twice on the way."""
        own = target.endswith(".o") and _implicit_source(self.context, self.folder, target) is not None
        return own or (len(used) < _CHAIN and self.pattern(target, used) is not None)

    def walk(self, target: str, depth: int) -> bool:
        if target in self.seen:
            return True
        self.seen.add(target)
        explicit = self.explicit.get(target, [])
        needs = [need for rule in explicit for need in self.needs(rule)]
        recipe = next((rule.recipe for rule in reversed(explicit) if rule.recipe), ())
        stem = ""
        if not recipe and target not in self.phony:
            found = self.pattern(target)
            if found is not None:
                rule, stem = found
                needs = [need.replace("%", stem) for need in self.needs(rule)] + needs
                recipe = rule.recipe
        if not explicit and not recipe:
            source = _implicit_source(self.context, self.folder, target)
            if source is None:
                return depth > 0 and self.known(target)
            needs = [source]
        if not all(self.walk(need, depth + 1) for need in needs if depth < _DEPTH):
            return False
        if not recipe and target not in self.phony:
            recipe = _implicit_recipe(target, needs, self.context, self.folder)
        once = " ".join(dict.fromkeys(needs))
        automatic = {"@": target, "<": needs[0] if needs else "", "^": once, "+": " ".join(needs), "?": once, "*": stem}
        expander = Expander(self.makefile.variables, self.context, self.folder, automatic)
        self.lines += [re.sub(r"^[@+-]+\s*", "", expander.expand(line)).strip() for line in recipe]
        return True


def _implicit_source(context: BuildContext, folder: str, target: str) -> str | None:
    stem = target.removesuffix(".o")
    return next((stem + e for e in _MAKE_EXTENSIONS if context.exists(posixpath.join(folder, stem + e))), None)


def _implicit_recipe(target: str, needs: list[str], context: BuildContext, folder: str) -> tuple[str, ...]:
    """make's own rules for C and C++: objects, and programs of one or more of them."""
    source = next((n for n in needs if posixpath.splitext(n)[1] in _MAKE_EXTENSIONS), None) or _implicit_source(context, folder, target)
    if target.endswith(".o"):
        return (f"{_MAKE_EXTENSIONS[posixpath.splitext(source)[1]]} -c -o $@ {source}",) if source else ()
    stem = posixpath.basename(target)
    named = [n for n in needs if posixpath.splitext(posixpath.basename(n))[0] == stem and n.endswith((".o", *_MAKE_EXTENSIONS))]
    if not named and not (source and posixpath.splitext(posixpath.basename(source))[0] == stem):
        return ()
    compiler = "$(CXX)" if source and not source.endswith(".c") else "$(CC)"
    inputs = "$^" if needs else source
    return (f"{compiler} $(CFLAGS) $(LDFLAGS) {inputs} $(LOADLIBES) $(LDLIBS) -o $@",)
