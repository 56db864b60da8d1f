"""The libraries of the system that the crates of a Rust project link, as its lock file tells them."""

from __future__ import annotations

import posixpath
import re
import tomllib

from optimizer.context.folder import BuildContext
from optimizer.knowledge.debian import plain_name, runtime_packages
from optimizer.knowledge.images import BaseImage
from optimizer.model import Model, Stage
from optimizer.passes.split.linked import named_libraries
from optimizer.passes.split.shared import Refused, installs_of

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
    own = named_libraries(_linked_by_source(context, position), image, _installed(model, stage), position)
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
    return tuple(dict.fromkeys((*found, *own)))


def _installed(model: Model, stage: Stage) -> list[str]:
    nodes = (model.file.instruction(position) for position in stage.positions)
    calls = (call for node in nodes if node.keyword == "RUN" for call in installs_of(node) if call.ecosystem == "apt")
    return [plain_name(package) for call in calls for package in call.packages]


def _linked_by_source(context: BuildContext, position: int) -> list[str]:
    """The libraries that build scripts and attributes of the project's own source link dynamically.

    Sources: the Cargo book, "Build Scripts"; the Rust reference, "The link attribute".

    Raises:
        Refused: One of them is computed.
    """
    crates = {posixpath.dirname(f) for f in context.files() if posixpath.basename(f) == ".cargo-checksum.json"}  # others', taken in
    found: list[str] = []
    for file in context.files():
        if not file.endswith(".rs") or any(file.startswith(f"{crate}/") for crate in crates):
            continue
        text = re.sub(r"(?<![:\"])//[^\n]*", "", context.read_text(file) or "")
        given = re.findall(r"rustc-link-lib=(?:(\w+)(?::[^=\"]*)?=)?([\w+.-]+)\"", text)
        probed = re.findall(r"\bprobe(?:_library)?\(\s*\"([\w+.-]+)\"", text) if "pkg_config" in text else []
        attributes = re.findall(r"#\s*\[\s*link\s*\(([^()\]]*)\)", text)
        named = [(re.search(r"kind\s*=\s*\"(\w+)", one), re.search(r"name\s*=\s*\"([\w+.-]+)\"", one)) for one in attributes]
        computed = text.count("rustc-link-lib") != len(given) or ("pkg_config" in text and not probed)
        if computed or any(name is None for _, name in named) or len(re.findall(r"#\s*\[\s*link\s*\(", text)) != len(named):
            raise Refused(f"{file} links a library by a computed name", position)
        found += [name for kind, name in given if kind not in ("static", "framework")]
        found += probed
        found += [name[1] for kind, name in named if name is not None and (kind is None or kind[1] in ("dylib", "raw"))]
    return found


def _bundled(context: BuildContext) -> bool:
    """Whether SQLite is compiled in: a feature says so, or a crate that always does."""
    text = "\n".join(context.read_text(f) or "" for f in context.files() if posixpath.basename(f) == "Cargo.toml")
    return re.search(r"\bbundled\b", text) is not None or re.search(r"^\s*sqlx\b", text, re.M) is not None
