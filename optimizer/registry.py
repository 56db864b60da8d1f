"""What a registry says of images, asked through the tools that are there and with the credentials that they hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TOOLS = {
    "docker": ("docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}"),
    "skopeo": ("skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}"),
    "crane": ("crane", "digest"),
}
_PATIENCE = 60  # seconds for one image


def digests(references: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The digests of images.

    Args:
        references: Images as they stand in a Dockerfile.

    Returns:
        Reference to ``sha256:…`` for each that was found, and reference to the reason in one line for each that was not.
    """
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for reference in dict.fromkeys(references):
        digest, reason = _digest(reference)
        if digest is None:
            missing[reference] = reason
        else:
            found[reference] = digest
    return found, missing


def _digest(reference: str) -> tuple[str | None, str]:
    reason = f"none of {', '.join(_TOOLS)} is there to ask a registry"
    for name, command in _TOOLS.items():
        if shutil.which(name) is None:
            continue
        asked = f"docker://{reference}" if name == "skopeo" else reference
        try:
            done = subprocess.run([*command, asked], capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
            continue
        digest = _read(done.stdout) if done.returncode == 0 else None
        if digest is not None:
            return digest, ""
        reason = (done.stderr.strip() or f"{name} gave no digest").splitlines()[-1]
    return None, reason


def _read(said: str) -> str | None:
    """The digest in what a tool says: by itself, or the one of the manifest (not of those that an index lists) in JSON."""
    text = said.strip()
    if text.startswith("{"):
        import json

        try:
            text = str(json.loads(text).get("digest"))
        except ValueError:
            return None
    return text if _DIGEST.fullmatch(text) else None
