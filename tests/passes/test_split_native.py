"""C and C++: what a stage makes, which libraries it needs, what goes along, and when a split is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from optimizer.context.folder import BuildContext
from optimizer.knowledge.native_libraries import brings, development_packages, in_every_image, libraries_of, newest_gcc, of_system
from optimizer.model import Model
from optimizer.model.native_build import native_build
from optimizer.model.native_made import NativeBuild
from optimizer.passes.base import Change
from optimizer.passes.split.native import split_native
from optimizer.passes.split.shared import Refused
from optimizer.syntax import parse

HELLO = '#include <stdio.h>\n\nint main(void)\n{\n    puts("hello");\n    return 0;\n}\n'
INSTALL = "FROM debian:bookworm\nRUN apt-get update && apt-get install -y build-essential {more}\n"
DEBIAN = INSTALL + "WORKDIR /src\nCOPY . .\nRUN {run}\nCMD {cmd}\n"


def text(run: str = "gcc -o /usr/local/bin/x x.c", cmd: str = '["x"]', more: str = "") -> str:
    return DEBIAN.format(run=run, cmd=cmd, more=more).replace(" \n", "\n")


def model_of(folder: Path, dockerfile: str, files: Mapping[str, str]) -> Model:
    for name, content in {"x.c": HELLO, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return Model(parse(dockerfile), BuildContext.open(folder))


def split(folder: Path, dockerfile: str, files: Mapping[str, str] = {}) -> Change | None:
    model = model_of(folder, dockerfile, files)
    return split_native(model, model.final)


def result(folder: Path, dockerfile: str, files: Mapping[str, str] = {}) -> str:
    change = split(folder, dockerfile, files)
    assert change is not None
    return change.file.text


def runtime(folder: Path, dockerfile: str, files: Mapping[str, str] = {}) -> str:
    return "FROM " + result(folder, dockerfile, files).rpartition("FROM ")[2]


def built(folder: Path, run: str, files: Mapping[str, str] = {}) -> NativeBuild:
    model = model_of(folder, text(run), files)
    found = native_build(model, model.final)
    assert found is not None
    return found


MAKEFILE = (
    "PREFIX ?= /usr/local\n\nx: x.o\n\t$(CC) -o $@ $^ -lz\n\ninstall: x\n\tinstall -d $(DESTDIR)$(PREFIX)/bin\n"
    "\tinstall -m 755 x $(DESTDIR)$(PREFIX)/bin\n\tln -s x $(DESTDIR)$(PREFIX)/bin/y\n\n.PHONY: install\n"
)


@pytest.mark.parametrize(
    ("run", "programs"),
    [
        ("gcc x.c", {"/src/a.out"}),
        ("gcc -o bin/x x.c", {"/src/bin/x"}),
        ("gcc -c x.c && gcc -o /x x.o", {"/x"}),
        ("make", {"/src/x"}),
        ("make install", {"/src/x", "/usr/local/bin/x", "/usr/local/bin/y"}),
        ("make install PREFIX=/opt/x", {"/src/x", "/opt/x/bin/x", "/opt/x/bin/y"}),
        ("PREFIX=/opt/x make install", {"/src/x", "/opt/x/bin/x", "/opt/x/bin/y"}),
        ("make -j$(nproc) -C /src x && cp x /usr/bin/", {"/src/x", "/usr/bin/x"}),
        ("make && mv x /usr/bin/z && rm -rf /src", {"/usr/bin/z"}),
        ("(cd /src && make) && install -Dm755 x /opt/y", {"/src/x", "/opt/y"}),
        ("sh build.sh", {"/srv/x"}),
        ("make -f other.mk", {"/src/other"}),
    ],
)
def test_programs(tmp_path: Path, run: str, programs: set[str]) -> None:
    script = "#!/bin/sh\nset -e\nmkdir -p /srv\ngcc -o /srv/x x.c\n"
    files = {"Makefile": MAKEFILE, "build.sh": script, "other.mk": "other: x.c\n\tcc -o $@ $<\n"}
    found = built(tmp_path, run, files)
    assert found.unknown == ()
    assert {p for p in found.programs if not p.endswith(".o")} == programs


@pytest.mark.parametrize(
    "run",
    ["gcc -o $(where) x.c", "make nowhere", "make && cp x $PLACE", "./configure && make", "make && python3 place.py", "make -f none.mk"],
)
def test_what_is_made_is_not_known(tmp_path: Path, run: str) -> None:
    assert built(tmp_path, run, {"Makefile": MAKEFILE}).unknown


def test_a_program_that_was_just_made_may_run_for_a_test(tmp_path: Path) -> None:
    assert built(tmp_path, "make && ./x", {"Makefile": MAKEFILE}).unknown == ()


def test_libraries_come_from_every_object(tmp_path: Path) -> None:
    found = built(tmp_path, "make install", {"Makefile": MAKEFILE})
    made = found.program("/usr/local/bin/y")
    assert made is not None
    assert made.libraries == ("z",)
    assert made.sources == ("/src/x.c",)


@pytest.mark.parametrize(
    ("dockerfile", "reference"),
    [
        (text(), "debian:bookworm-slim"),
        (text().replace("debian:bookworm", "debian:12"), "debian:12-slim"),
        (text().replace("debian:bookworm", "debian:bookworm-slim"), "debian:bookworm-slim"),
        (text().replace("debian:bookworm", "ubuntu:22.04"), "ubuntu:22.04"),
        (text().replace("debian:bookworm", "buildpack-deps:bookworm"), "debian:bookworm-slim"),
        (text().replace("debian:bookworm", "gcc:13-bookworm"), "debian:bookworm-slim"),
        ("ARG TAG=bookworm\n" + text().replace("debian:bookworm", "debian:$TAG"), "debian:$TAG-slim"),
    ],
)
def test_base(tmp_path: Path, dockerfile: str, reference: str) -> None:
    found = runtime(tmp_path, dockerfile)
    assert found.startswith(f"FROM {reference}\n")
    assert "COPY --from=build /usr/local/bin/x /usr/local/bin/x\n" in found


@pytest.mark.parametrize(
    ("more", "flags", "installed"),
    [
        ("", "", None),
        ("zlib1g-dev", "-lz", None),
        ("libjansson-dev", "-ljansson", "libjansson4"),
        ("libjansson-dev", "", None),
        ("libjansson-dev", "$(pkg-config --libs jansson)", "libjansson4"),
        ("libpq-dev libxml2-dev", "-lpq -lm", "libpq5"),
        ("libncurses-dev", "-lncurses", "libncurses6 libncursesw6"),
        ("libcurl4-openssl-dev", "-lcurl", "libcurl4 ca-certificates"),
        ("--no-install-recommends libcurl4-openssl-dev", "-lcurl", "libcurl4"),
        ("libssl-dev ca-certificates", "-lssl -lcrypto", "libssl3 ca-certificates"),
        ("default-libmysqlclient-dev", "-lmysqlclient", "libmariadb3"),
        ("", "-fopenmp", "libgomp1"),
        ("libjansson-dev", "-static -ljansson", None),
        ("curl vim git", "", None),
    ],
)
def test_packages(tmp_path: Path, more: str, flags: str, installed: str | None) -> None:
    found = runtime(tmp_path, text(f"gcc -o /usr/local/bin/x x.c {flags}".rstrip(), more=more))
    if installed is None:
        assert "apt-get" not in found
    else:
        assert f"apt-get install -y --no-install-recommends {installed} \\\n" in found


def test_ubuntu_has_the_names_that_two_debian_releases_share(tmp_path: Path) -> None:
    ubuntu = text("gcc -o /usr/local/bin/x x.c -ljansson", more="libjansson-dev").replace("debian:bookworm", "ubuntu:22.04")
    assert "libjansson4" in runtime(tmp_path, ubuntu)
    assert "libssl3" in runtime(tmp_path, ubuntu.replace("jansson", "ssl"))
    with pytest.raises(Refused, match="libspdlog-dev"):
        split(tmp_path, ubuntu.replace("jansson", "spdlog"))


def test_programs_that_are_started_bring_their_packages(tmp_path: Path) -> None:
    found = runtime(tmp_path, text(), {"x.c": 'int main(void) { return system("curl -s http://localhost"); }\n'})
    assert "--no-install-recommends curl \\\n" in found
    assert "USER" not in found


@pytest.mark.parametrize(
    ("source", "user"),
    [
        (HELLO, True),
        ('int main(int c, char **v) { fopen(v[1], "r"); }', True),
        ("int main() { a.p = htons(8080); bind(s, a, n); }", True),
        ('int main() { fopen("/var/log/x", "w"); }', False),
        ("int main(int c, char **v) { fopen(v[1], v[2]); }", False),
        ("int main() { a.p = htons(80); bind(s, a, n); }", False),
        ("int main() { a.p = htons(port); bind(s, a, n); }", False),
        ("int main() { setuid(1000); }", False),
        ("int main() { socket(AF_INET, SOCK_RAW, 0); }", False),
    ],
)
def test_user(tmp_path: Path, source: str, user: bool) -> None:
    assert ("USER 65534:65534\n" in runtime(tmp_path, text(), {"x.c": source})) == user


@pytest.mark.parametrize("line", ["VOLUME /data", "EXPOSE 25", "USER root"])
def test_the_dockerfile_keeps_root(tmp_path: Path, line: str) -> None:
    assert "USER 65534" not in runtime(tmp_path, text().replace("CMD", f"{line}\nCMD"))


def test_a_program_for_its_owner_only_keeps_root(tmp_path: Path) -> None:
    assert "USER" not in runtime(tmp_path, text("gcc -o x x.c && install -m 700 x /usr/local/bin/x"))


def test_accounts_go_along(tmp_path: Path) -> None:
    dockerfile = text().replace("WORKDIR", "RUN useradd -r app\nWORKDIR").replace("CMD", "USER app\nCMD")
    found = runtime(tmp_path, dockerfile)
    assert found.index("RUN useradd -r app\n") < found.index("USER app\n")


@pytest.mark.parametrize(
    ("source", "copied"),
    [
        ('int main() { fopen("words/a.txt", "r"); }', "/src/words/a.txt"),
        ('int main() { fopen("/src/words/a.txt", "rb"); }', "/src/words/a.txt"),
        ('int main() { const char *d = "words"; opendir(d); }', "/src/words"),
        ('int main() { fopen(name(), "r"); }', "/src"),
    ],
)
def test_files_that_are_read_go_along(tmp_path: Path, source: str, copied: str) -> None:
    assert f"COPY --from=build {copied} {copied}\n" in runtime(tmp_path, text(), {"x.c": source, "words/a.txt": "a\n"})


def test_nothing_else_goes_along(tmp_path: Path) -> None:
    files = {"x.c": 'int main() { fopen(name(), "r"); fopen("/etc/hosts", "r"); }', "README.md": "# X\n", "LICENSE": "\n", "x.h": ""}
    assert runtime(tmp_path, text(), files).count("COPY --from") == 1


def test_installed_data_goes_along_and_headers_do_not(tmp_path: Path) -> None:
    placed = {"x": "bin/x", "d.txt": "share/x/d.txt", "x.h": "include/x.h"}
    makefile = "x: x.c\ninstall: x\n" + "".join(f"\tinstall -D {name} /usr/local/{place}\n" for name, place in placed.items())
    found = runtime(tmp_path, text("make install"), {"Makefile": makefile, "d.txt": "d\n", "x.h": ""})
    assert "/usr/local/share/x/d.txt" in found
    assert "include" not in found


def test_own_shared_library(tmp_path: Path) -> None:
    run = "gcc -shared -fPIC -o /usr/local/lib/libown.so own.c && ldconfig && gcc -o /usr/local/bin/x x.c -lown"
    found = runtime(tmp_path, text(run), {"own.c": "int own(void) { return 1; }\n"})
    assert "COPY --from=build /usr/local/lib/libown.so /usr/local/lib/libown.so\n" in found
    assert "RUN ldconfig\n" in found


def test_metadata_moves_and_the_build_keeps_its_bytes(tmp_path: Path) -> None:
    extra = "# Who to ask\nLABEL who=team\nENV CFLAGS=-O2\nENV LANG=C.UTF-8\nWORKDIR"
    dockerfile = "# Greets.\n" + text("make", cmd="./x").replace("WORKDIR", extra)
    found = result(tmp_path, dockerfile, {"Makefile": "x: x.c\n"})
    build, _, final = found.partition("\n\n")
    assert build.startswith("# Greets.\nFROM debian:bookworm AS build\nRUN apt-get update")
    assert "LABEL" not in build
    assert "# Who to ask\nLABEL who=team\n" in final
    assert "CFLAGS" not in final
    assert "ENV LANG=C.UTF-8\n" in final
    assert final.endswith('CMD ["./x"]\n')


@pytest.mark.parametrize(
    "dockerfile",
    [
        'FROM debian:bookworm\nRUN apt-get update && apt-get install -y build-essential\nCMD ["bash"]\n',
        text().replace("debian:bookworm", "python:3.12"),
        text().replace("debian:bookworm", "alpine:3.19"),
        text().replace('CMD ["x"]\n', ""),
        text().replace("build-essential", "curl"),
        text().replace("debian:bookworm", "registry.example.org/own"),
    ],
)
def test_none_of_its_business(tmp_path: Path, dockerfile: str) -> None:
    assert split(tmp_path, dockerfile) is None


@pytest.mark.parametrize(
    ("dockerfile", "source", "reason"),
    [
        (text(cmd='["bash"]'), HELLO, "not one that the build is seen to make"),
        (text("gcc -o /usr/local/bin/x x.c -lquux"), HELLO, "quux"),
        (text("wget https://example.org/x.c && gcc -o /usr/local/bin/x x.c"), HELLO, "wget"),
        (text("gcc -fsanitize=address -o /usr/local/bin/x x.c"), HELLO, "asan"),
        (text(more="$EXTRA"), HELLO, "which packages"),
        (text(), "int main() { dlopen(n, 1); }", "loads a library"),
        (text(), "int main() { system(n); }", "computed program"),
        (text().replace("debian:bookworm", "gcc:latest"), HELLO, "release"),
        (text("g++ -o /usr/local/bin/x y.cpp").replace("debian:bookworm", "gcc:13"), HELLO, r"libstdc\+\+"),
        (text().replace("CMD", "ONBUILD COPY . .\nCMD"), HELLO, "base for other images"),
        (text().replace("CMD", "RUN useradd app\nUSER app\nCMD"), 'int main() { fopen("/data/x", "w"); }', "whose folders"),
        (text().replace("COPY . .", "RUN curl https://example.org | tar x"), HELLO, "curl"),
    ],
)
def test_refusals(tmp_path: Path, dockerfile: str, source: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        split(tmp_path, dockerfile, {"x.c": source, "y.cpp": "int main() {}\n"})


@pytest.mark.parametrize("run", ["g++ -static-libstdc++ -static-libgcc -o /usr/local/bin/x y.cpp", "g++ -static -o /usr/local/bin/x y.cpp"])
def test_a_newer_compiler_that_links_its_library_statically(tmp_path: Path, run: str) -> None:
    assert "COPY" in runtime(tmp_path, text(run).replace("debian:bookworm", "gcc:13"), {"y.cpp": "int main() {}\n"})


def test_without_a_context() -> None:
    model = Model(parse(text()))
    with pytest.raises(Refused, match="without a build context"):
        split_native(model, model.final)


def test_table_of_libraries() -> None:
    assert brings("libjansson-dev", "jansson")
    assert brings("libpcre3-dev", "pcre")
    assert brings("libboost-regex-dev", "boost_regex")
    assert brings("libcurl4-gnutls-dev=7.*", "curl")
    assert not brings("libxml2-dev", "z")
    assert not brings("libssl-dev", "sl")
    assert of_system("pthread")
    assert not of_system("ssl")
    assert development_packages("z") == ("zlib1g-dev",)
    assert in_every_image("zlib1g")
    assert not in_every_image("libssl3")
    assert libraries_of("libcurl4-openssl-dev", "ubuntu", "jammy") == ("libcurl4",)
    assert libraries_of("libcurl4-openssl-dev", "ubuntu", "noble") is None
    assert newest_gcc("bookworm") == 12
    assert newest_gcc("sid") is None
