"""Pinning images: a real registry is asked where Debian's docker-registry and docker are there, and made-up tools say what goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer.registry import digests

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DIGEST = "sha256:" + "ab" * 32


def buildx() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "buildx", "inspect"], capture_output=True, check=False).returncode == 0


def sent(method: str, url: str, data: bytes | None = None, kind: str = "application/octet-stream") -> str:
    """Send a request, waiting for the server to come up; the Location of the answer."""
    asked = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": kind})
    for _ in range(100):
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return str(answer.headers.get("Location") or "")
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the registry does not come up")


def upload(base: str, blob: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    place = sent("POST", f"{base}/blobs/uploads/", b"")
    sent("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", blob)
    return digest


@pytest.fixture
def image(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An image in a registry of our own: its reference and its digest."""
    program = shutil.which("docker-registry")
    if program is None or not buildx():
        pytest.skip("needs Debian's docker-registry and docker buildx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = tmp_path / "registry.yml"
    settings.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/blobs}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
    server = subprocess.Popen([program, "serve", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}/v2/team/app"
        sent("GET", f"http://127.0.0.1:{port}/v2/")
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        described = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": upload(base, config)}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}).encode()
        sent("PUT", f"{base}/manifests/1.0", manifest, MANIFEST)
        yield f"127.0.0.1:{port}/team/app:1.0", f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    finally:
        server.terminate()
        server.wait(10)


def test_a_real_registry_is_asked(dopt, put, image):
    reference, digest = image
    path = put("Dockerfile", f"FROM {reference}\nCOPY --from={reference} /a /a\n")
    result = dopt("fix", "--also", "pin-digests")
    assert (result.exit_code, result.stderr) == (0, "")
    assert path.read_text() == f"FROM {reference}@{digest}\nCOPY --from={reference}@{digest} /a /a\n"
    assert dopt("check", "--also", "pin-digests").exit_code == 0


def test_an_image_that_is_not_there(dopt, put, image):
    reference = image[0].replace("app:1.0", "app:2.0")
    path = put("Dockerfile", f"FROM {reference}\nRUN mkdir /a\nRUN mkdir /b\n")
    result = dopt("fix", "--also", "pin-digests")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Dockerfile:1:1: cannot pin {reference}: ")
    assert "&& mkdir /b" in path.read_text(), "the rest is done"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a program of some name the only one on PATH."""

    def make(name: str, body: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    return make


def test_each_tool_is_asked_in_its_way(tool):
    tool("skopeo", f'[ "$5" = docker://debian:12 ] && echo {DIGEST}')
    assert digests(["debian:12", "debian:12"]) == ({"debian:12": DIGEST}, {})
    tool("docker", "exit 1")
    assert digests(["debian:12"]) == ({"debian:12": DIGEST}, {}), "the next one is asked"


def test_what_is_no_digest_is_none(tool):
    tool("crane", "echo latest")
    assert digests(["debian:12"]) == ({}, {"debian:12": "crane gave no digest"})
    tool("crane", "echo first >&2; echo not found >&2; exit 1")
    assert digests(["debian:12"]) == ({}, {"debian:12": "not found"})


def test_without_a_tool(dopt, put, folder, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    put("Dockerfile", "FROM debian:12\n")
    result = dopt("check", "--also", "pin-digests")
    assert result.exit_code == 2
    assert result.stderr == "Dockerfile:1:1: cannot pin debian:12: none of docker, skopeo, crane is there to ask a registry\n"


def test_only_on_request(dopt, put, tool):
    tool("crane", f"echo {DIGEST}")
    put("Dockerfile", "FROM debian:12\n")
    assert dopt("check").exit_code == 0
    assert dopt("check", "--select", "pin-digests").exit_code == 1
    put("dopt.toml", 'also = ["pin-digests"]\n')
    assert dopt("check").exit_code == 1
    assert dopt("check", "--ignore", "pin-digests").exit_code == 0
