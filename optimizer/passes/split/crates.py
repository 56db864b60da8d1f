"""The libraries of the system that the crates of a Rust project link, as its lock file tells them."""

from __future__ import annotations

import posixpath
import re
import tomllib

from optimizer.context.folder import BuildContext
from optimizer.knowledge.debian import runtime_packages
from optimizer.knowledge.images import BaseImage
from optimizer.model import Model, Stage
from optimizer.passes.split.shared import Refused

# Crates that end in -sys and bring their library along, or link the C library's alone.
_STATIC = frozenset({
    "aws-lc-sys", "aws-lc-fips-sys", "zstd-sys", "tikv-jemalloc-sys", "jemalloc-sys", "libmimalloc-sys", "lz4-sys", "snmalloc-sys",
    "linux-raw-sys", "inotify-sys", "ittapi-sys", "onig_sys", "brotli-sys", "secp256k1-sys", "js-sys", "web-sys", "rdkafka-sys",
    "librocksdb-sys", "lmdb-master-sys", "lmdb-rkv-sys", "mozjpeg-sys", "security-framework-sys", "fsevent-sys", "kqueue-sys",
    "system-configuration-sys", "objc-sys", "dirs-sys", "dirs-sys-next", "jni-sys",
})  # fmt: skip
# Crates that link a library of the system, and the development package that brings it.
_DYNAMIC = {
    "openssl-sys": "libssl-dev",
    "pq-sys": "libpq-dev",
    "mysqlclient-sys": "default-libmysqlclient-dev",
    "alsa-sys": "libasound2-dev",
    "libudev-sys": "libudev-dev",
    "expat-sys": "libexpat1-dev",
    "libdbus-sys": "libdbus-1-dev",
    "curl-sys": "libcurl4-openssl-dev",
    "libz-sys": "zlib1g-dev",
    "bzip2-sys": "libbz2-dev",
    "lzma-sys": "liblzma-dev",
}

# Crates that open TLS connections, for which the certificates of the system are looked at.
TLS_CRATES = frozenset({"openssl", "native-tls", "rustls-native-certs", "rustls-platform-verifier", "curl"})


def locked_crates(context: BuildContext, position: int) -> frozenset[str]:
    """The names of all crates of the project's lock file; those of its manifest where that needs no other crate.

    Args:
        context: The build context.
        position: The instruction to name in a refusal.

    Raises:
        Refused: There is no lock file, and the project needs crates of others.
    """
    locks = [f for f in context.files() if posixpath.basename(f) == "Cargo.lock"]
    if not locks and not _needs_crates(context):
        return frozenset()
    if len(locks) != 1:
        raise Refused("Cargo.lock is not in the build context, so which libraries it links is not known", position)
    try:
        packages = tomllib.loads(context.read_text(locks[0]) or "").get("package", [])
    except tomllib.TOMLDecodeError as error:
        raise Refused("Cargo.lock cannot be read", position) from error
    return frozenset(str(p.get("name")) for p in packages if isinstance(p, dict))


def _needs_crates(context: BuildContext) -> bool:
    """Whether a manifest of the context names a dependency that is not a folder of the project, or cannot be read."""
    for file in context.files():
        if posixpath.basename(file) != "Cargo.toml":
            continue
        try:
            data = tomllib.loads(context.read_text(file) or "")
        except tomllib.TOMLDecodeError:
            return True
        tables = [data.get(kind, {}) for kind in ("dependencies", "build-dependencies")]
        if "target" in data or any(not isinstance(one, dict) or "path" not in one for table in tables for one in table.values()):
            return True
    return False


def crate_libraries(model: Model, stage: Stage, image: BaseImage, position: int) -> tuple[str, ...]:
    """The runtime packages of the libraries that the crates of a project link.

    Args:
        model: The facts, with the context at hand.
        stage: The stage that compiles.
        image: Its base.
        position: The instruction to name in a refusal.

    Raises:
        Refused: They are not known.
    """
    assert model.context is not None
    context = model.context
    crates = locked_crates(context, position)
    if "pyo3-ffi" in crates:
        raise Refused("pyo3-ffi links the library of Python", position)
    scripts = [f for f in context.files() if posixpath.basename(f) == "build.rs"]
    linking = next((f for f in scripts if "rustc-link-lib" in (context.read_text(f) or "")), None)
    if linking is not None:
        raise Refused(f"{linking} links a library, and which package brings that is not followed", position)
    foreign = next((f for f in context.files() if f.endswith(".rs") and re.search(r"#\s*\[\s*link\s*\(", context.read_text(f) or "")), None)
    if foreign is not None:
        raise Refused(f"{foreign} links a library, and which package brings that is not followed", position)
    found: list[str] = []
    for crate in sorted(c for c in crates if c.endswith(("-sys", "_sys")) or c in _DYNAMIC):
        if crate in _STATIC or re.match(r"(windows|winapi|wasm|wasi|apple|android|objc|core-)", crate):
            continue
        if (crate == "openssl-sys" and "openssl-src" in crates) or (crate == "libsqlite3-sys" and _bundled(context)):
            continue
        development = _DYNAMIC.get(crate)
        libraries = runtime_packages(development, image.release) if development is not None else None
        if libraries is None:
            raise Refused(f"which library {crate} links is not known", position)
        found += [package for package in libraries if package != "libc6"]
    return tuple(dict.fromkeys(found))


def _bundled(context: BuildContext) -> bool:
    """Whether SQLite is compiled in: a feature says so, or a crate that always does."""
    text = "\n".join(context.read_text(f) or "" for f in context.files() if posixpath.basename(f) == "Cargo.toml")
    return re.search(r"\bbundled\b", text) is not None or re.search(r"^\s*sqlx\b", text, re.M) is not None
