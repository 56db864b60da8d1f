"""Scripts of the build context that a container or a build starts."""

from __future__ import annotations

import posixpath
import re

from optimizer.context.folder import BuildContext


def script_text(context: BuildContext, path: str) -> str | None:
    """The text of a script, None when it is absent, ignored, too large or a binary program."""
    return context.read_text(path) if not context.is_dir(path) else None


def shebang(text: str) -> tuple[str, ...] | None:
    """The words of a `#!` line, or None when there is none.

    The kernel takes everything after the interpreter as one argument, so there are at most two words:
    `#!/usr/bin/env -S a b` gives ("/usr/bin/env", "-S a b"). A carriage return stays, as it does for the kernel, which
    then finds no such interpreter.
    """
    if not text.startswith("#!"):
        return None
    line = text[2:].split("\n", 1)[0].strip(" \t")
    words = line.replace("\t", " ").split(" ", 1)
    return tuple(word.strip(" ") for word in words if word.strip(" ")) or None


def placed_script(text: str, folder: str) -> str:
    """The text of a shell script that lies in a folder, with the folder's path in place of what computes that."""
    if "$0" not in text and "BASH_SOURCE" not in text and "${0" not in text:
        return text
    script = r"\"?\$(?:0|\{0\}|BASH_SOURCE|\{BASH_SOURCE(?:\[0\])?\})\"?"
    own = rf"\$\(\s*dirname\s+(?:--\s+)?(?:{script}|\"?\$\((?:readlink -f|realpath)\s+{script}\)\"?)\s*\)|\$\{{0%/\*\}}"
    return re.sub(rf"\$\(\s*cd\s+(?:--\s+)?\"?(?:{own})\"?\s*&&\s*pwd(?:\s+-P)?\s*\)|{own}", lambda match: folder, text)


def unrolled(text: str) -> str:
    """The text of a shell script with what a loop does written out for each of its words, where these are plain.

    A word may be a variable that the text sets once, to plain words. ``$(basename …)`` of a plain word is that word's last part.
    """
    if "for " not in text:
        return text
    loop = r"(?:^|(?<=[;&|({\n]))[ \t]*for[ \t]+(\w+)[ \t]+in[ \t]+([\w./ \t${}\"-]+?)[ \t]*[;\n]\s*do\b(.*?)[;\n]\s*done\b"
    return re.sub(loop, lambda match: _written_out(match, text), text, flags=re.DOTALL)


def _written_out(match: re.Match[str], text: str) -> str:
    name, given, body = match.groups()
    for variable in set(re.findall(r"\"?\$\{?(\w+)\}?\"?", given)):
        values = re.findall(rf"(?m)^[ \t]*(?:export[ \t]+)?{variable}=([\"']?)([\w./ \t-]*)\1[ \t]*(?:;|$)", text)
        if len(values) != 1 or len(re.findall(rf"\b{variable}\+?=", text)) != 1:
            return match[0]
        given = re.sub(rf"\"?\$(?:{variable}\b|\{{{variable}\}})\"?", values[0][1], given)
    if not re.fullmatch(r"[\w./ \t-]+", given) or re.search(r"\b(for|while|until|case|break|continue)\b", body):
        return match[0]
    reference = re.compile(rf"\$(?:{name}\b|\{{{name}\}})")
    bodies = [reference.sub(word, body).strip() for word in given.split()]
    return "\n".join(re.sub(r"\$\(basename [\"']?([\w./-]+)[\"']?\)", lambda m: posixpath.basename(m[1]), each) for each in bodies)
