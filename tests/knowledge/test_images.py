"""Base images: references, families, what is left unknown, smaller twins."""

from __future__ import annotations

from importlib.resources import files

import pytest

from optimizer.knowledge.images import Reference, lookup, parse_reference
from optimizer.knowledge.tags import debian_release, read
from optimizer.knowledge.twins import java_runtimes, runtime_twins


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", Reference("docker.io", "library/python")),
        ("library/python:3.11", Reference("docker.io", "library/python", "3.11")),
        ("docker.io/python:3.11", Reference("docker.io", "library/python", "3.11")),
        ("index.docker.io/library/python", Reference("docker.io", "library/python")),
        ("nvidia/cuda:12.1.0-base-ubuntu22.04", Reference("docker.io", "nvidia/cuda", "12.1.0-base-ubuntu22.04")),
        ("localhost/app:dev", Reference("localhost", "app", "dev")),
        ("localhost:5000/app", Reference("localhost:5000", "app")),
        ("registry:5000/a/b:1@sha256:0f", Reference("registry:5000", "a/b", "1", "sha256:0f")),
        ("python@sha256:0f", Reference("docker.io", "library/python", None, "sha256:0f")),
    ],
)
def test_a_reference_is_split_as_docker_does(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize("text", ["", "python:$VERSION", "${BASE}", "python:", "Python:3", "a b", "python:3@x", "registry/x:a/b"])
def test_what_is_no_plain_reference_has_no_parts(text: str) -> None:
    assert parse_reference(text) is None
    assert lookup(text) is None


@pytest.mark.parametrize(
    ("text", "family", "version", "distribution", "release", "default", "variant", "libc"),
    [
        ("python", "python", None, "debian", None, True, "full", "glibc"),
        ("python:3.11-bookworm", "python", "3.11", "debian", "bookworm", False, "full", "glibc"),
        ("python:3.11.4-slim", "python", "3.11.4", "debian", None, True, "slim", "glibc"),
        ("python:3.12-alpine3.18", "python", "3.12", "alpine", "3.18", False, "alpine", "musl"),
        ("python:3.12-alpine", "python", "3.12", "alpine", None, True, "alpine", "musl"),
        ("python:3.8", "python", "3.8", "debian", "bookworm", True, "full", "glibc"),
        ("arm64v8/python:3.8", "python", "3.8", "debian", "bookworm", True, "full", "glibc"),
        ("public.ecr.aws/docker/library/python:3.8", "python", "3.8", "debian", "bookworm", True, "full", "glibc"),
        ("node:20-bookworm-slim", "node", "20", "debian", "bookworm", False, "slim", "glibc"),
        ("node:lts", "node", None, "debian", None, True, "full", "glibc"),
        ("node:16.20.0", "node", "16.20.0", "debian", "buster", True, "full", "glibc"),
        ("golang:1.22.3", "golang", "1.22.3", "debian", "bookworm", True, "full", "glibc"),
        ("golang:1.19", "golang", "1.19", "debian", "bookworm", True, "full", "glibc"),
        ("rust:1-slim-bookworm", "rust", "1", "debian", "bookworm", False, "slim", "glibc"),
        ("debian:12.5-slim", "debian", "12.5", "debian", "bookworm", False, "slim", "glibc"),
        ("debian:bookworm-20240110", "debian", "12", "debian", "bookworm", False, "full", "glibc"),
        ("ubuntu:22.04", "ubuntu", "22.04", "ubuntu", "jammy", False, "full", "glibc"),
        ("alpine:3.18.4", "alpine", "3.18.4", "alpine", "3.18", False, "full", "musl"),
        ("eclipse-temurin:17.0.8_7-jdk-jammy", "eclipse-temurin", "17.0.8_7", "ubuntu", "jammy", False, "jdk", "glibc"),
        ("eclipse-temurin:17-jre-alpine", "eclipse-temurin", "17", "alpine", None, True, "jre", "musl"),
        ("openjdk:17", "openjdk", "17", "rhel", None, True, "jdk", "glibc"),
        ("openjdk:17-jdk-slim", "openjdk", "17", "debian", None, True, "jdk", "glibc"),
        ("openjdk:8-jre", "openjdk", "8", "debian", None, True, "jre", "glibc"),
        ("php:8.1-fpm-alpine3.18", "php", "8.1", "alpine", "3.18", False, "fpm", "musl"),
        ("nvidia/cuda:11.8.0-cudnn8-devel-ubuntu22.04", "cuda", "11.8.0", "ubuntu", "jammy", False, "devel", "glibc"),
        ("mcr.microsoft.com/dotnet/sdk:8.0", "dotnet-sdk", "8.0", "debian", "bookworm", True, "full", "glibc"),
        ("mcr.microsoft.com/dotnet/sdk:10.0", "dotnet-sdk", "10.0", "ubuntu", "noble", True, "full", "glibc"),
        ("gcr.io/distroless/static-debian12:nonroot", "distroless-static", None, None, "bookworm", False, "distroless", "none"),
        ("gcr.io/distroless/java17-debian12", "distroless-java", "17", None, "bookworm", False, "distroless", "glibc"),
        ("busybox:musl", "busybox", None, None, None, True, "full", "musl"),
        ("busybox", "busybox", None, None, None, True, "full", None),
        ("scratch", "scratch", None, None, None, False, "scratch", "none"),
    ],
)
def test_a_tag_is_understood(
    text: str,
    family: str,
    version: str | None,
    distribution: str | None,
    release: str | None,
    default: bool,
    variant: str,
    libc: str | None,
) -> None:
    image = lookup(text)
    assert image is not None
    found = (image.family, image.version, image.distribution, image.release, image.default_release, image.variant, image.libc)
    assert found == (family, version, distribution, release, default, variant, libc)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("registry.example.com/python:3.11", "a registry that need not carry the official image"),
        ("someone/python:3.11", "somebody's own image"),
        ("python:3.11-windowsservercore-1809", "Windows"),
        ("golang:1.22-nanoserver", "Windows"),
        ("python:3-onbuild", "triggers run in the child"),
        ("python:3.11-custom", "a word nobody described"),
        ("node:lunar-fizz", "no version, no codename"),
        ("python@sha256:0f", "a digest alone does not say which variant"),
        ("builder", "the name of a stage"),
    ],
)
def test_what_is_not_described_is_unknown(text: str, why: str) -> None:
    assert lookup(text) is None, why


@pytest.mark.parametrize("text", ["python:3.11", "golang", "node:lts", "gcc:14", "rust:1", "postgres:16", "python:3", "python:3.11.4"])
def test_a_default_that_moves_is_not_a_release(text: str) -> None:
    image = lookup(text)
    assert image is not None
    assert image.release is None
    assert image.default_release


@pytest.mark.parametrize(
    ("text", "twins"),
    [
        ("python", ("python:slim",)),
        ("python:3.11", ("python:3.11-slim",)),
        ("python:3.11-bookworm", ("python:3.11-slim-bookworm",)),
        ("python:3.13-rc-trixie", ("python:3.13-rc-slim-trixie",)),
        ("node:20", ("node:20-slim",)),
        ("node:lts", ("node:lts-slim",)),
        ("node:20-bookworm", ("node:20-bookworm-slim",)),
        ("ruby:3.2-bookworm", ("ruby:3.2-slim-bookworm",)),
        ("debian", ("debian:stable-slim",)),
        ("debian:bookworm", ("debian:bookworm-slim",)),
        ("debian:12.5", ("debian:12.5-slim",)),
        ("eclipse-temurin:17", ("eclipse-temurin:17-jre",)),
        ("eclipse-temurin:17-jdk-jammy", ("eclipse-temurin:17-jre-jammy",)),
        ("eclipse-temurin:17-jdk-alpine", ("eclipse-temurin:17-jre-alpine",)),
        ("openjdk:8-jdk-slim", ("openjdk:8-jre-slim",)),
        ("openjdk:17-bullseye", ("openjdk:17-slim-bullseye",)),
        ("rust:1.75", ("gcr.io/distroless/cc-debian12", "debian:bookworm-slim")),
        ("gcc:13", ("debian:bookworm-slim",)),
        ("golang:1.22-alpine3.19", ("gcr.io/distroless/static-debian12", "alpine:3.19")),
        ("golang:1.20-bullseye", ("gcr.io/distroless/static-debian12", "debian:bullseye-slim")),
        ("mcr.microsoft.com/dotnet/sdk:8.0", ("mcr.microsoft.com/dotnet/runtime:8.0", "mcr.microsoft.com/dotnet/aspnet:8.0")),
        ("nvidia/cuda:11.8.0-cudnn8-devel-ubuntu22.04", ("nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04",)),
        ("ghcr.io/astral-sh/uv:python3.12-bookworm", ("python:3.12-slim-bookworm",)),
        ("public.ecr.aws/docker/library/python:3.11", ("public.ecr.aws/docker/library/python:3.11-slim",)),
        ("docker.io/library/gcc:13", ("docker.io/library/debian:bookworm-slim",)),
        ("arm64v8/node:20", ("arm64v8/node:20-slim",)),
    ],
)
def test_a_smaller_twin_keeps_version_and_release(text: str, twins: tuple[str, ...]) -> None:
    image = lookup(text)
    assert image is not None
    assert runtime_twins(image) == twins


def test_go_goes_from_no_library_to_a_whole_debian() -> None:
    image = lookup("golang:1.19")
    assert image is not None
    distroless = tuple(f"gcr.io/distroless/{name}-debian12" for name in ("static", "base", "cc"))
    assert runtime_twins(image) == (*distroless, "debian:bookworm-slim")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("python:3.11-slim", "it is the small one"),
        ("python:3.11-alpine", "another libc is no twin"),
        ("python:3.11@sha256:0f", "a pin by digest would be lost"),
        ("ubuntu:22.04", "there is no smaller Ubuntu"),
        ("php:8.2-apache", "there is no smaller PHP"),
        ("nginx:1.25", "it is a run-time image"),
        ("debian:bookworm-backports", "the twin has no backports"),
        ("node:8-jessie", "no such twin was published"),
        ("openjdk:17", "another distribution"),
        ("mcr.microsoft.com/dotnet/sdk:8.0.403", "an SDK has patch numbers of its own"),
        ("eclipse-temurin", "there is no tag jre alone"),
        ("scratch", "nothing is smaller"),
    ],
)
def test_no_twin(text: str, why: str) -> None:
    image = lookup(text)
    assert image is not None
    assert runtime_twins(image) == (), why


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("maven:3.9-eclipse-temurin-17", ("eclipse-temurin:17-jre",)),
        ("maven:3.9-eclipse-temurin-21-noble", ("eclipse-temurin:21-jre-noble",)),
        ("maven:3.9-eclipse-temurin-17-alpine", ("eclipse-temurin:17-jre-alpine",)),
        ("maven:3.8.5-openjdk-17-slim", ("eclipse-temurin:17-jre",)),
        ("gradle:8.5-jdk21", ("eclipse-temurin:21-jre",)),
        ("openjdk:17", ("eclipse-temurin:17-jre",)),
        ("eclipse-temurin:17", ("eclipse-temurin:17-jre",)),
        ("maven:3.9", ()),
        ("gradle", ()),
        ("maven:3.9-amazoncorretto-17", ()),
        ("python:3.11-slim", ()),
    ],
)
def test_class_files_run_on_a_jre_of_their_version(text: str, images: tuple[str, ...]) -> None:
    image = lookup(text)
    assert image is not None
    assert java_runtimes(image) == images


@pytest.mark.parametrize(
    ("text", "program", "expected"),
    [
        ("python:3.11", "gcc", True),
        ("python:3.11", "git", True),
        ("python:3.11-slim", "curl", False),
        ("python:3.11-slim", "git", False),
        ("python:3.11-slim", "gcc", False),
        ("python:3.11-slim", "perl", True),
        ("python:3.11-slim", "pip", True),
        ("python:3.11-slim", "ps", False),
        ("python:3.11-alpine", "bash", False),
        ("python:3.11-alpine", "wget", True),
        ("node:20-slim", "openssl", False),
        ("node:20", "yarn", True),
        ("node:26", "yarn", None),
        ("golang:1.22", "make", True),
        ("golang:1.22", "unzip", False),
        ("golang:1.22-alpine", "gcc", False),
        ("rust:1-slim-bookworm", "gcc", True),
        ("rust:1-slim-bookworm", "make", False),
        ("rust:1-slim-bookworm", "wget", None),
        ("debian:bookworm-slim", "adduser", None),
        ("fedora:39", "git", None),
        ("gcr.io/distroless/base-debian12", "bash", False),
        ("scratch", "tar", False),
        ("python:3.11", "a-program-nobody-knows", None),
    ],
)
def test_which_commands_an_image_brings(text: str, program: str, expected: bool | None) -> None:
    image = lookup(text)
    assert image is not None
    assert image.has(program) is expected


@pytest.mark.parametrize(
    ("text", "user", "steps_down"),
    [
        ("python:3.11", "root", False),
        ("nginx", "root", True),
        ("postgres:16", "root", True),
        ("php:8.2-apache", "root", True),
        ("php:8.2-cli", "root", False),
        ("memcached", "memcache", False),
        ("haproxy:2.3", "root", False),
        ("haproxy:2.8", "haproxy", False),
        ("jenkins/jenkins:lts", "jenkins", False),
        ("gcr.io/distroless/static-debian12", "0", False),
        ("gcr.io/distroless/static-debian12:debug-nonroot", "65532", False),
        ("mcr.microsoft.com/dotnet/aspnet:8.0", "root", False),
        ("mcr.microsoft.com/dotnet/aspnet:8.0-jammy-chiseled", "1654", False),
        ("continuumio/miniconda3:24.1.2-0", "root", False),
        ("condaforge/miniforge3", "root", False),
        ("mambaorg/micromamba:1.5.8-bookworm-slim", "mambauser", False),
        ("gradle:4.10-jdk8", None, False),
        ("docker.elastic.co/elasticsearch/elasticsearch:8.11.0", None, False),
    ],
)
def test_who_an_image_runs_as(text: str, user: str | None, steps_down: bool) -> None:
    image = lookup(text)
    assert image is not None
    assert (image.user, image.steps_down) == (user, steps_down)


@pytest.mark.parametrize(
    ("text", "name", "uid"),
    [
        ("node:20", "node", 1000),
        ("debian:bookworm", "www-data", 33),
        ("php:8.2-fpm-alpine", "www-data", 82),
        ("postgres:16", "postgres", 999),
        ("postgres:16-alpine", "postgres", 70),
        ("nginx", "nginx", 101),
        ("ubuntu:24.04", "ubuntu", 1000),
        ("ubuntu:22.04", "ubuntu", None),
        ("alpine:3.18", "www-data", None),
        ("mcr.microsoft.com/dotnet/aspnet:8.0", "app", 1654),
        ("mcr.microsoft.com/dotnet/aspnet:6.0", "app", None),
        ("centos:7", "nobody", 99),
        ("scratch", "root", None),
    ],
)
def test_which_accounts_an_image_has(text: str, name: str, uid: int | None) -> None:
    image = lookup(text)
    assert image is not None
    assert image.users.get(name) == uid


@pytest.mark.parametrize(
    ("text", "shell", "pipefail", "manager"),
    [
        ("debian:bookworm-slim", "/bin/sh", ("/bin/bash",), "apt"),
        ("alpine:3.18", "/bin/sh", ("/bin/sh", "/bin/ash"), "apk"),
        ("condaforge/mambaforge:23.3.1-1", "/bin/sh", ("/bin/bash",), "apt"),
        ("fedora:39", "/bin/sh", ("/bin/sh", "/bin/bash"), "dnf"),
        ("rockylinux:9-minimal", "/bin/sh", ("/bin/sh", "/bin/bash"), "microdnf"),
        ("amazonlinux:2", "/bin/sh", ("/bin/sh", "/bin/bash"), "yum"),
        ("gcr.io/distroless/base-debian12", None, (), None),
        ("gcr.io/distroless/base-debian12:debug", "/busybox/sh", (), None),
        ("mcr.microsoft.com/dotnet/aspnet:8.0-jammy-chiseled", None, (), None),
        ("scratch", None, (), None),
    ],
)
def test_shells_and_package_managers(text: str, shell: str | None, pipefail: tuple[str, ...], manager: str | None) -> None:
    image = lookup(text)
    assert image is not None
    assert (image.shell_path, image.pipefail_shells, image.package_manager) == (shell, pipefail, manager)
    assert image.shell == (shell == "/bin/sh")


def test_versions_decide_facts() -> None:
    old, new, line = lookup("python:3.12"), lookup("python:3.13"), lookup("python:3")
    assert old
    assert new
    assert line
    assert old.env.get("LANG") == "C.UTF-8"
    assert "LANG" not in new.env
    assert "LANG" not in line.env, "3 is the newest 3"


def test_how_images_start() -> None:
    node, nginx, old = lookup("node:20"), lookup("nginx:1.25"), lookup("nginx:1.18")
    assert node
    assert nginx
    assert old
    assert (node.entrypoint, node.cmd) == (("docker-entrypoint.sh",), ("node",))
    assert (nginx.ports, nginx.stop_signal) == ((80,), "SIGQUIT")
    assert old.entrypoint is None, "the script came later"
    certificates = [image.ca_certificates for text in ("python:3.11-slim", "node:20-slim") if (image := lookup(text))]
    assert certificates == [True, False]


def test_debian_releases_have_names() -> None:
    assert [debian_release(number) for number in ("11", "12.5", "13", "99")] == ["bullseye", "bookworm", "trixie", None]


def test_every_family_has_a_file_that_can_be_read() -> None:
    known = read("images/families.toml")
    families = {*known["official"].values(), *known["other"].values(), *known["patterns"].values()}
    there = {path.name.removesuffix(".toml") for path in files("optimizer.knowledge").joinpath("images").iterdir()}
    assert families == there - {"families"}
    assert all("base" in read(f"images/{family}.toml") for family in families)


@pytest.mark.parametrize("name", sorted(read("images/families.toml")["official"]))
def test_every_official_family_answers_for_its_default_tag(name: str) -> None:
    image = lookup(name)
    assert image is not None
    assert image.family == name
    assert not image.tools & image.lacks
