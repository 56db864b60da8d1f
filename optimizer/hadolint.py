"""What a project's configuration of hadolint switches off, so that dopt does not ask for it either."""

from __future__ import annotations

from pathlib import Path

from optimizer.files import InputError

FILES = (".hadolint.yaml", ".hadolint.yml")


def rules_off(folder: Path) -> frozenset[str] | None:
    """The rules that the configuration in a folder ignores; None when there is none.

    Source: "Configure" in the README of hadolint. Configurations in the home folder are one person's and not read.

    Raises:
        InputError: The file cannot be read, or is not what hadolint takes.
    """
    for name in FILES:
        path = folder / name
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(str(path), "cannot be read") from error
        return _ignored(path, text)
    return None


def _ignored(path: Path, text: str) -> frozenset[str]:
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = () if mark is None else (mark.line + 1, mark.column + 1)
        raise InputError(str(path), f"no YAML: {getattr(error, 'problem', None) or 'cannot be read'}", *place) from error
    if found is None:
        return frozenset()
    names = found.get("ignored") if isinstance(found, dict) else found
    if names is None:
        return frozenset()
    if not isinstance(names, list) or not isinstance(found, dict) or not all(isinstance(name, str) for name in names):
        raise InputError(str(path), "'ignored' must be a list of rules")
    return frozenset(names)
