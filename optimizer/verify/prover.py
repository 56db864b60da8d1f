"""Builds the Dockerfile before once, and judges any number of Dockerfiles after against it."""

from __future__ import annotations

import tarfile
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

from optimizer.context.folder import BuildContext
from optimizer.model import Model
from optimizer.syntax import Dockerfile, encode, parse
from optimizer.verify.archive import ArchiveEngine
from optimizer.verify.compare import config_differences, file_differences, variables
from optimizer.verify.edit import context_bytes, edited_copy, file_to_edit
from optimizer.verify.elf import can_read_elf
from optimizer.verify.engines import Build, Image
from optimizer.verify.errors import BuildFailed, CannotTell, NoEngine, TimeLimit
from optimizer.verify.expected import Rewritten, declared_variables, explained, passes_between
from optimizer.verify.links import Missing, missing
from optimizer.verify.passed import Passed
from optimizer.verify.smoke import Outcome, Smoke, comparable, no_worse, smoke_test
from optimizer.verify.tree import Elves, Tree, read_tree
from optimizer.verify.verdict import Difference, Figures, Verdict
from optimizer.verify.workspace import Workspace

_SHOWN = 3  # problems of a kind that are spelled out


@dataclass(frozen=True)
class Source:
    """A Dockerfile's text and its ignore file's, None without one."""

    text: str
    ignore: str | None = None


@dataclass(frozen=True)
class Settings:
    """How it is proved.

    Args:
        context: The build context.
        passed: What is handed through to the builder.
        timeout: Seconds that one build or smoke test may take.
        smoke: A test that runs on this machine, None without one.
        smoke_in: A test that runs inside the container, None without one.
        edit: The file of the context that is edited before the rebuild, None to choose one.
        measure: Whether builds are timed; without, they use what is cached.
    """

    context: BuildContext
    passed: Passed = field(default_factory=Passed)
    timeout: float = 1800.0
    smoke: str | None = None
    smoke_in: str | None = None
    edit: str | None = None
    measure: bool = True


@dataclass(frozen=True)
class _Built:
    """One image with all that is known of it."""

    image: Image
    tree: Tree
    figures: Figures


class Prover:
    """Judges Dockerfiles against one.

    Args:
        workspace: An entered workspace.
        settings: How.
        before: The Dockerfile that works.

    Every method raises CannotTell when nothing can be said, NoEngine among them.
    """

    def __init__(self, workspace: Workspace, settings: Settings, before: Source) -> None:
        self.workspace, self.settings, self.before = workspace, settings, before
        self.builds = 0
        self._elves: Elves = {}
        self._notes: list[str] = []
        self._steady: dict[str, frozenset[str]] = {}
        if settings.edit is not None and (not settings.context.exists(settings.edit) or settings.context.is_dir(settings.edit)):
            raise CannotTell(f"no file {settings.edit} to edit reaches the builder")
        workspace.check_disk(context_bytes(settings.context))

    def judge(self, after: Source, passes: Collection[str] | None = None, *, cold: bool | None = None) -> Verdict:
        """Whether a Dockerfile does what the one before does.

        Args:
            after: The Dockerfile.
            passes: The names of the passes that made it, None when that is not known.
            cold: Whether it is measured; None as the settings say.
        """
        measure = self.settings.measure if cold is None else cold
        old = self._first
        verdict = Verdict(self.workspace.engine.title, old.figures, None, notes=tuple(self._notes), edited=self._edited)
        try:
            image, seconds = self._image("after", after, cached=not measure)
        except (BuildFailed, TimeLimit) as error:
            return self._hidden(replace(verdict, problems=(f"it does not build: {error}",)))
        try:
            smoke, wrong = self._smoked(image)
            if wrong and cold is False:  # that is enough for one of many tries
                return self._hidden(replace(verdict, problems=(wrong,), smoke=smoke))
            new = self._built("after", after, image, seconds if measure else None)
            differences = self._compared(after, old, new, passes)
            problems = [*([wrong] if wrong else []), *self._unlinked(after, old, new), *_unexpected(differences)]
            notes = (*self._notes, *self._remarks(old, new))
        finally:
            self.workspace.engine.remove_image(image)
        verdict = replace(verdict, after=new.figures, problems=tuple(problems), notes=tuple(dict.fromkeys(notes)))
        return self._hidden(replace(verdict, smoke=smoke, differences=differences))

    @cached_property
    def _first(self) -> _Built:
        try:
            image, seconds = self._image("before", self.before, cached=not self.settings.measure)
            return self._built("before", self.before, image, seconds if self.settings.measure else None)
        except (BuildFailed, TimeLimit) as error:
            raise CannotTell(f"the Dockerfile before does not build, so there is nothing to compare with: {error}") from error

    def _built(self, what: str, source: Source, image: Image, cold: float | None) -> _Built:
        tree = self._tree(image)
        rebuild = self._rebuild(what, source) if cold is not None else None
        return _Built(image, tree, Figures(image.size, image.layers, cold, rebuild))

    def _image(self, what: str, source: Source, *, cached: bool) -> tuple[Image, float]:
        progress = self.workspace.progress
        progress.begin(f"building {what.replace('-', ' ')}" + ("" if cached else ", without a cache"))
        seconds = self._run_build(what, source, self.settings.context, cached=cached)
        image = self.workspace.engine.image(self.workspace.tag(what))
        progress.clear()
        return image, seconds

    def _run_build(self, what: str, source: Source, context: BuildContext, *, cached: bool) -> float:
        self.builds += 1
        dockerfile = self.workspace.write(what, encode(source.text), None if source.ignore is None else encode(source.ignore))
        # Cache mounts of their own are empty at first, so that neither build profits from what the other or an earlier one fetched.
        mounts = f"{self.workspace.name}-{what.partition('-')[0]}" if self.settings.measure and "type=cache" in source.text else None
        tag, settings = self.workspace.tag(what), self.settings
        build = Build(dockerfile, context.root, tag, self.workspace.name, cached, mounts, settings.passed, settings.timeout)
        return self.workspace.engine.build(build, self.workspace.progress.line)

    def _tree(self, image: Image) -> Tree:
        engine = self.workspace.engine
        self.workspace.progress.begin("reading the image's files")
        try:
            if isinstance(engine, ArchiveEngine):
                return engine.tree(image, self._elves)
            with engine.files(image, self.workspace.name, self.settings.timeout) as stream:
                return read_tree(stream, self._elves)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise NoEngine(engine.answers() or f"{engine.title} gives no files of the image: {error}") from error
        finally:
            self.workspace.progress.clear()

    @cached_property
    def _edited(self) -> str | None:
        """The file that is edited, None when nothing is."""
        if not self.settings.measure:
            return None
        if self.settings.edit is not None:
            return self.settings.edit
        chosen = file_to_edit(Model(self._parsed(self.before), self.settings.context, self.settings.passed.target))
        if chosen is None:
            self._notes.append("no rebuild was measured: no source file is copied that could be edited blindly (--edit names one)")
        return chosen

    @cached_property
    def _edited_context(self) -> BuildContext:
        assert self._edited is not None
        try:
            return replace(self.settings.context, root=edited_copy(self.settings.context, self._edited, self.workspace.folder / "context"))
        except OSError as error:
            raise CannotTell(f"the build context cannot be copied to edit {self._edited}: {error.strerror or error}") from error

    def _rebuild(self, what: str, source: Source) -> float | None:
        if self._edited is None:
            return None
        self.workspace.progress.begin(f"building {what} again, after an edit of {self._edited}")
        try:
            seconds = self._run_build(f"{what}-edited", source, self._edited_context, cached=True)
            self.workspace.engine.remove_image(self.workspace.engine.image(self.workspace.tag(f"{what}-edited")))
            return seconds
        except (BuildFailed, TimeLimit) as error:
            self._notes.append(f"{what} does not build after an edit of {self._edited}: {error}")
            return None
        finally:
            self.workspace.progress.clear()

    def _parsed(self, source: Source) -> Dockerfile:
        return parse(source.text)

    def _compared(self, after: Source, old: _Built, new: _Built, passes: Collection[str] | None) -> tuple[Difference, ...]:
        found = [*config_differences(old.image.config, new.image.config), *file_differences(old.tree, new.tree)]
        target = self.settings.passed.target
        model = Model(self._parsed(self.before), self.settings.context, target)
        names = passes if passes is not None else self._passes_between(model, after)
        workdir = str(old.image.config.get("WorkingDir") or "").strip("/")
        rewritten = Rewritten(names, old.tree, new.tree, self._kept_out(after), declared_variables(model), workdir)
        differences = explained(found, rewritten)
        if any(not each.expected for each in differences):
            unsteady = self._unsteady
            reason = "it differs between two builds of the Dockerfile before, too"
            differences = tuple(replace(d, expected=reason) if not d.expected and d.name in unsteady else d for d in differences)
        return differences

    def _passes_between(self, model: Model, after: Source) -> frozenset[str]:
        other = Model(self._parsed(after), self.settings.context, self.settings.passed.target)
        names = passes_between(model, other)
        return names | ({"complete-dockerignore"} if after.ignore != self.before.ignore else set())

    def _kept_out(self, after: Source) -> frozenset[str]:
        if after.ignore == self.before.ignore:
            return frozenset()
        patterns = tuple(line for line in (after.ignore or "").split("\n") if line.strip() and not line.startswith("#"))
        context = self.settings.context
        return frozenset(context.files()) - frozenset(context.with_patterns(patterns, ".dockerignore", after.ignore).files())

    @cached_property
    def _unsteady(self) -> frozenset[str]:
        """What differs between two builds of the Dockerfile before: nobody can be blamed for it. Built only when it matters."""
        try:
            image, _ = self._image("before-again", self.before, cached=False)
        except (BuildFailed, TimeLimit):
            return frozenset()
        try:
            tree = self._tree(image)
        finally:
            self.workspace.engine.remove_image(image)
        found = [*config_differences(self._first.image.config, image.config), *file_differences(self._first.tree, tree)]
        return frozenset(each.name for each in found)

    def _smoked(self, image: Image) -> tuple[str, str | None]:
        """What is said of the smoke test, and what is wrong."""
        if not self.workspace.engine.runs:
            return "", None
        before, stable = self._smoked_before
        self.workspace.progress.begin("smoke test of after")
        after = self._test(image)
        self.workspace.progress.clear()
        words = f"{after.how}: before {before.said}, after {after.said}"
        if not before.passed:
            words += "; the Dockerfile before fails, so after need only be no worse"
        return words, no_worse(before, after, stable)

    @cached_property
    def _smoked_before(self) -> tuple[Outcome, bool]:
        self.workspace.progress.begin("smoke test of before")
        first = self._test(self._first.image)
        if first.unusable and first.how != "HEALTHCHECK":  # a mistyped command must not pass for a test that always failed
            raise CannotTell(f"the test that {first.how} names cannot be run: {first.said}")
        stable = True
        if first.code is not None:  # it ends by itself: is what it writes the same every time?
            stable = comparable(first.output) == comparable(self._test(self._first.image).output)
        self.workspace.progress.clear()
        return first, stable

    def _test(self, image: Image) -> Outcome:
        smoke = Smoke(self.settings.smoke, self.settings.smoke_in, self.settings.timeout)
        return smoke_test(self.workspace.engine, image, self.workspace.name, smoke)

    def _lost(self, old: _Built, new: _Built) -> list[Missing]:
        """What is not found after and was before."""
        had = {each.key for each in missing(old.tree, variables(old.image.config))}
        return [each for each in missing(new.tree, variables(new.image.config)) if each.key not in had]

    def _unlinked(self, after: Source, old: _Built, new: _Built) -> list[str]:
        lost = [each for each in self._lost(old, new) if not each.vendored]
        if lost:
            lacking = self._lacking_in_base(after)
            lost = [each for each in lost if each.key not in lacking]
        return _listed([str(each) for each in lost], "more files do not find what they need")

    def _lacking_in_base(self, after: Source) -> frozenset[tuple[str, str]]:
        """What the base image of the stage that is built lacks by itself: it came like that, and is no rewrite's affair."""
        text = base_only(self._parsed(after), self.settings.passed.target)
        if text is None:
            return frozenset()
        settings = replace(self.settings.passed, target=None)
        dockerfile = self.workspace.write("base", encode(text), b"*")
        tag = self.workspace.tag("base")
        build = Build(dockerfile, self.settings.context.root, tag, self.workspace.name, True, None, settings, self.settings.timeout)
        try:
            self.workspace.engine.build(build, self.workspace.progress.line)
        except (BuildFailed, TimeLimit):
            return frozenset()
        image = self.workspace.engine.image(tag)
        tree = self._tree(image)
        self.workspace.engine.remove_image(image)
        return frozenset(each.key for each in missing(tree, variables(image.config)))

    def _remarks(self, old: _Built, new: _Built) -> list[str]:
        vendored = [str(each) for each in self._lost(old, new) if each.vendored]
        found = _listed(vendored, "more scripts of packages do not find their interpreter")
        if not can_read_elf():
            found.append("libraries were not checked: that takes the extra dockerfile-optimizer[verify]")
        if not self.workspace.engine.runs:
            found.append(f"no smoke test: {self.workspace.engine.title} builds, and nothing here runs containers")
        return found

    def _hidden(self, verdict: Verdict) -> Verdict:
        """A verdict without the values of build arguments and secrets."""
        hide = self.settings.passed.hide
        differences = (replace(d, name=hide(d.name), before=hide(d.before), after=hide(d.after)) for d in verdict.differences)
        return replace(
            verdict, problems=tuple(map(hide, verdict.problems)), notes=tuple(map(hide, verdict.notes)), smoke=hide(verdict.smoke),
            differences=tuple(differences),
        )  # fmt: skip


def base_only(file: Dockerfile, target: str | None) -> str | None:
    """A Dockerfile that is nothing but the base image of the stage that is built; None when that is ``scratch`` or not clear."""
    model = Model(file, None, target)
    stage = (model.final, *model.bases(model.final))[-1]
    if stage.reference == "scratch":
        return None
    first = model.stages[0].position
    kept = [node.text for node in file.nodes[:first]] + [file.nodes[stage.position].text]
    return "".join(text if text.endswith("\n") else text + "\n" for text in kept)


def _unexpected(differences: Collection[Difference]) -> list[str]:
    return _listed([f"unexpected: {each}" for each in differences if not each.expected], "more unexpected differences")


def _listed(lines: list[str], rest: str) -> list[str]:
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"{len(lines) - _SHOWN} {rest}"]
