"""Finding Dockerfiles and the folder each is built with, and replacing files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optimizer.files import InputError, context_folder, context_sources, find_dockerfiles, is_dockerfile_name, replace, search_limit
from optimizer.syntax import parse


@pytest.mark.parametrize(
    ("compose", "expected"),
    [
        ("services:\n  web:\n    build:\n      context: .\n      dockerfile: docker/web/Dockerfile\n", ""),
        ("services:\n  web:\n    build:\n      context: ./docker\n      dockerfile: web/Dockerfile\n", "docker"),
        ("services:\n  web:\n    build: docker/web\n", "docker/web"),
        ("services:\n  web:\n    build:\n      context: other\n      dockerfile: ../docker/web/Dockerfile\n", "docker/web"),
        ("services:\n  web:\n    build:\n      context: ${ROOT}\n      dockerfile: docker/web/Dockerfile\n", "docker/web"),
        ("services:\n  web:\n    image: docker/web\n", "docker/web"),
        ("services: [docker/web]\n", "docker/web"),
        ("services: {docker/web\n", "docker/web"),
        ("services:\n  a:\n    build: docker/web\n  b:\n    build: {context: ., dockerfile: docker/web/Dockerfile}\n", "docker/web"),
    ],
    ids=["root", "between", "own", "missing", "variable", "image", "list", "broken", "two"],
)
def test_compose_file_names_the_build_context(tmp_path: Path, compose: str, expected: str) -> None:
    dockerfile = tmp_path / "docker/web/Dockerfile"
    dockerfile.parent.mkdir(parents=True)
    dockerfile.write_text("FROM debian\nCOPY . .\n")
    (tmp_path / "compose.yaml").write_text(compose)
    assert context_folder(dockerfile, (), tmp_path) == tmp_path / expected


def test_compose_file_that_leads_elsewhere_is_no_evidence(tmp_path: Path) -> None:
    dockerfile = tmp_path / "web/Dockerfile"
    dockerfile.parent.mkdir()
    dockerfile.write_text("FROM debian\nCOPY app.py .\n")
    (dockerfile.parent / "app.py").touch()
    (tmp_path / "compose.yaml").write_text("services:\n  web:\n    build: {context: ., dockerfile: web/Dockerfile}\n")
    assert context_folder(dockerfile, ("app.py",), tmp_path) == dockerfile.parent


@pytest.mark.parametrize(
    "name",
    [
        "Dockerfile", "Containerfile", "dockerfile", "Dockerfile.dev", "Dockerfile.py3.12", "Containerfile.x", "api.Dockerfile",
        "api.dockerfile", "api.Containerfile",
    ],
)  # fmt: skip
def test_names_of_dockerfiles(name):
    assert is_dockerfile_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "Dockerfile.dockerignore", "Dockerfile~", "Dockerfile.bak", "Dockerfile.orig", "Dockerfile.dev.swp", ".Dockerfile.swp",
        "#Dockerfile#", "Dockerfile.j2", "Dockerfile.template", "Dockerfile.md", "Dockerfiles", "MyDockerfile", "docker-compose.yml",
        ".dockerignore",
    ],
)  # fmt: skip
def test_names_of_other_files(name):
    assert not is_dockerfile_name(name)


def found(*paths):
    files, errors = find_dockerfiles(map(Path, paths))
    return [str(file) for file in files], [str(error) for error in errors]


def test_search_is_sorted_and_leaves_out_the_code_of_others(put):
    kept = ["Dockerfile", ".devcontainer/Dockerfile", "b/Dockerfile.x", "b/a/Containerfile", "c/x.dockerfile"]
    for name in kept:
        put(name, "")
    for folder in (".git", "node_modules/x", ".venv", "venv/lib", "__pycache__", "vendor/y", "b/node_modules"):
        put(f"{folder}/Dockerfile", "")
    assert found(".") == (sorted(kept, key=lambda name: Path(name).parts), [])


def test_search_does_not_follow_links_to_folders(put, folder):
    put("a/Dockerfile", "")
    (folder / "b").symlink_to("a")
    (folder / "a" / "round").symlink_to("..")
    assert found(".") == (["a/Dockerfile"], [])
    assert found("b") == (["b/Dockerfile"], [])


def test_a_file_is_found_once(put, folder):
    put("Dockerfile", "")
    (folder / "api.Dockerfile").symlink_to("Dockerfile")
    assert found(".", "Dockerfile", str(folder / "Dockerfile"), "api.Dockerfile") == (["Dockerfile"], [])


def test_each_folder_without_a_dockerfile_is_said(put, folder):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    put("c/Dockerfile", "")
    assert found("a", "b", "c") == (["c/Dockerfile"], ["a: no Dockerfile here", "b: no Dockerfile here"])


def test_the_limit_is_the_repository_where_there_is_one(folder, put):
    file = put("outer/repository/a/b/Dockerfile", "")
    assert search_limit(file, [folder / "elsewhere"]) == file.parent
    assert search_limit(file, [folder / "elsewhere", folder / "outer"]) == folder / "outer"
    put("outer/repository/.git", "gitdir: elsewhere\n")
    assert search_limit(file, [folder / "outer"]) == folder / "outer/repository"
    assert search_limit(file, [folder / "outer/repository/a"]) == folder / "outer/repository"


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("COPY a b/ ./c/../d* /dst/", ("a", "b", "d*")),
        ('COPY ["a b", "c", "/dst/"]', ("a b", "c")),
        ("ADD /rooted ../above /dst/", ("rooted", "above")),
        ("RUN --mount=type=bind,source=x,target=/x make", ("x",)),
        ("RUN --mount=src=y,dst=/y make", ("y",)),
        ("COPY . .\nCOPY * /dst/", ()),
        ("COPY --from=build /a /b", ()),
        ("ADD https://example.org/a.tgz git@example.org:a.git /b/", ()),
        ("COPY $FILE ${OTHER}/x /b/", ()),
        ("COPY <<EOF /b\nCOPY a b\nEOF", ()),
        ("RUN --mount=type=cache,target=/c --mount=type=bind,from=x,source=/y,target=/y make", ()),
        ("ONBUILD COPY a b", ()),
    ],
)
def test_sources_that_tell_where_the_context_is(source, paths):
    assert context_sources(parse(f"FROM a\n{source}\n")) == paths


@pytest.mark.parametrize(
    ("files", "sources", "expected"),
    [
        (["p/docker/app.py"], ["app.py"], "p/docker"),
        (["p/docker/app.py", "p/app.py"], ["app.py"], "p/docker"),
        (["p/app.py"], ["app.py"], "p"),
        (["p/src/a.py", "p/docker/start.sh"], ["src", "docker/start.sh"], "p"),
        (["app.py"], ["app.py"], "."),
        (["p/package.json", "p/package-lock.json"], ["package*.json"], "p"),
        (["p/a1"], ["a[^2]"], "p"),
        ([], [], "p/docker"),
        (["p/docker/app.py"], ["app.py", "made-before-the-build"], "p/docker"),
        # None: nobody knows.
        ([], ["app.py"], None),
        (["p/app.py"], ["app.py", "nowhere"], None),
        (["p/docker/app.py", "p/other.py"], ["app.py", "other.py"], None),
        (["p/a2"], ["a[^2]"], None),
        (["p/other/docker/app.py"], ["app.py"], None),
    ],
)
def test_the_context_is_the_nearest_folder_that_holds_what_is_copied(folder, put, files, sources, expected):
    dockerfile = put("p/docker/Dockerfile", "")
    for name in files:
        put(name, "")
    assert context_folder(dockerfile, sources, folder) == (None if expected is None else folder / expected)


def test_the_context_is_never_beyond_the_limit(folder, put):
    dockerfile = put("p/docker/Dockerfile", "")
    put("app.py", "")
    assert context_folder(dockerfile, ["app.py"], folder / "p") is None
    assert context_folder(dockerfile, ["app.py"], folder / "p/docker") is None


def test_the_chosen_context_is_said(dopt, put, folder):
    put("docker/Dockerfile", "FROM debian:bookworm\nCOPY app.py /\n")
    assert "docker/Dockerfile: no build context: " in dopt("check", "-v").stdout
    put("app.py", "")
    assert "docker/Dockerfile: build context: .\n" in dopt("check", "-v").stdout
    assert "build context" not in dopt("check").stdout


def test_a_hard_link_stays_one(put, folder):
    file = put("Dockerfile", b"long before\n")
    os.link(file, folder / "other")
    replace(file, b"long before\n", b"after\n")
    assert file.samefile(folder / "other")
    assert (folder / "other").read_bytes() == b"after\n"


def test_a_rename_over_a_mounted_file_becomes_a_write(put, monkeypatch):
    file = put("Dockerfile", b"before\n")

    def busy(*_):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    replace(file, b"before\n", b"after\n")
    assert (file.read_bytes(), os.listdir(file.parent)) == (b"after\n", ["Dockerfile"])


def test_others_never_see_half_a_file(put, monkeypatch):
    file = put("Dockerfile", b"before\n")
    reader = file.open("rb")
    replace(file, b"before\n", b"after\n")
    assert reader.read() == b"before\n"  # who had it open keeps the old one, whole
    reader.close()


@pytest.mark.parametrize("linked", [False, True])
def test_content_of_others_is_not_overwritten(put, folder, linked):
    file = put("Dockerfile", b"theirs\n")
    if linked:
        os.link(file, folder / "other")
    with pytest.raises(InputError, match="changed while it was being rewritten"):
        replace(file, b"before\n", b"after\n")
    assert file.read_bytes() == b"theirs\n"


def test_owner_and_mode_stay(put):
    file = put("Dockerfile", b"before\n")
    if os.geteuid() == 0:
        os.chown(file, 12345, 12345)
    file.chmod(0o640)
    was = file.stat()
    replace(file, b"before\n", b"after\n")
    now = file.stat()
    assert (now.st_uid, now.st_gid, now.st_mode) == (was.st_uid, was.st_gid, was.st_mode)


def test_an_owner_that_cannot_be_given_does_not_stop_the_rewrite(put, monkeypatch):
    file = put("Dockerfile", b"before\n")

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    replace(file, b"before\n", b"after\n")
    assert file.read_bytes() == b"after\n"
