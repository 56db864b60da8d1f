"""Go: which program a build makes, what image it runs in, what goes along, and when a split is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from optimizer.context.folder import BuildContext
from optimizer.knowledge.go_modules import go_needs
from optimizer.model import Model
from optimizer.model.go_builds import go_builds
from optimizer.passes.base import Change
from optimizer.passes.split.go import split_go
from optimizer.passes.split.shared import Refused
from optimizer.syntax import parse

MODULE = "module example.org/tool/v2\n\ngo 1.21\n"
HELLO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'


def model_of(folder: Path, text: str, files: Mapping[str, str]) -> Model:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return Model(parse(text), BuildContext.open(folder))


def split(folder: Path, text: str, source: str = HELLO, **files: str) -> Change | None:
    model = model_of(folder, text, {"go.mod": MODULE, "main.go": source, **files})
    return split_go(model, model.final)


def result(folder: Path, text: str, source: str = HELLO, files: Mapping[str, str] = {}) -> str:
    change = split(folder, text, source, **files)
    assert change is not None
    return change.file.text


def program(body: str, *imports: str) -> str:
    return "package main\n\nimport (\n" + "".join(f'\t"{name}"\n' for name in imports) + f")\n\nfunc main() {{\n{body}\n}}\n"


@pytest.mark.parametrize(
    ("run", "output"),
    [
        ("go build -o /bin/x .", "/bin/x"),
        ("go build -o x", "/src/x"),
        ("go build -o=out/ .", "/src/out/tool"),
        ("go build -o /usr/local/bin ./cmd/serve", "/usr/local/bin/serve"),
        ("go build", "/src/tool"),
        ("go build ./cmd/serve", "/src/serve"),
        ("go build main.go", "/src/main"),
        ("go build -o app main.go", "/src/app"),
        ("cd cmd/serve && go build", "/src/cmd/serve/serve"),
        ("go install .", "/go/bin/tool"),
        ("go install example.org/tool/v2/cmd/serve", "/go/bin/serve"),
        ("GOBIN=/opt/bin go install ./cmd/serve", "/opt/bin/serve"),
        ("export GOBIN=/opt/bin && go install ./cmd/serve", "/opt/bin/serve"),
        ("go build -C cmd/serve -o /bin/x", "/bin/x"),
        ("env CGO_ENABLED=0 go build -o x ./...", "/src/x"),
        ('go build -o "$NAME" .', "/src/named"),
    ],
)
def test_where_a_program_is_put(tmp_path: Path, run: str, output: str) -> None:
    text = f"FROM golang:1.22\nENV NAME=named\nWORKDIR /src\nCOPY . .\nRUN {run}\n"
    model = model_of(tmp_path, text, {"go.mod": MODULE, "main.go": HELLO, "cmd/serve/main.go": HELLO})
    (build,) = go_builds(model, model.final)
    assert build.outputs == (output,)


@pytest.mark.parametrize("run", ["go build -o $(pwd)/x .", "go build ./...", "go build $PACKAGES"])
def test_where_a_program_is_put_is_not_known(tmp_path: Path, run: str) -> None:
    text = f"FROM golang:1.22\nWORKDIR /src\nCOPY . .\nRUN {run}\n"
    model = model_of(tmp_path, text, {"go.mod": MODULE, "main.go": HELLO, "cmd/serve/main.go": HELLO})
    (build,) = go_builds(model, model.final)
    assert build.outputs == ()


TEXT = 'FROM golang:1.22\nWORKDIR /src\nCOPY . .\nRUN go build -o /app .\nCMD ["/app"]\n'

MIRRORED = TEXT.replace("FROM golang", "FROM mirror.gcr.io/library/golang").replace('["/app"]', "/app $PORT")


def base(text: str) -> str:
    return text.rpartition("FROM ")[2].split()[0]


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        (TEXT, HELLO, "gcr.io/distroless/static-debian12:nonroot"),
        (TEXT, program('os.WriteFile("/var/lib/x", nil, 0o644)', "os"), "gcr.io/distroless/static-debian12"),
        (TEXT, program('os.WriteFile("/tmp/x", nil, 0o644)', "os"), "gcr.io/distroless/static-debian12:nonroot"),
        (TEXT, program('http.ListenAndServe(":80", nil)', "net/http"), "gcr.io/distroless/static-debian12"),
        (TEXT.replace("CMD", "EXPOSE 443\nCMD"), HELLO, "gcr.io/distroless/static-debian12"),
        (TEXT.replace("CMD", "USER root\nCMD"), HELLO, "gcr.io/distroless/static-debian12"),
        (TEXT.replace("CMD", "USER 1000\nCMD"), HELLO, "gcr.io/distroless/static-debian12"),
        (TEXT.replace("CMD", "VOLUME /data\nCMD"), HELLO, "gcr.io/distroless/static-debian12"),
        (TEXT.replace("RUN go", "ENV CGO_ENABLED=1\nRUN go"), HELLO, "gcr.io/distroless/base-debian12:nonroot"),
        (TEXT.replace("1.22", "1.22-bullseye"), HELLO, "gcr.io/distroless/static-debian12:nonroot"),
        (TEXT.replace("1.22", "latest"), HELLO, "gcr.io/distroless/static-debian12:nonroot"),
        (TEXT.replace("1.22", "1.22-alpine"), HELLO, "gcr.io/distroless/static-debian12:nonroot"),
        (TEXT, program('exec.Command("ls").Run()', "os/exec"), "debian:bookworm-slim"),
        (TEXT.replace("1.22", "latest"), program('exec.Command("ls").Run()', "os/exec"), "debian:stable-slim"),
        (TEXT.replace("1.22", "1.22-alpine3.19").replace('["/app"]', "/app $PORT"), HELLO, "alpine:3.19"),
        (MIRRORED, HELLO, "mirror.gcr.io/library/debian:bookworm-slim"),
    ],
)
def test_base(tmp_path: Path, text: str, source: str, expected: str) -> None:
    assert base(result(tmp_path, text, source)) == expected


def test_programs_bring_their_packages(tmp_path: Path) -> None:
    found = result(tmp_path, TEXT, program('exec.Command("git", "log").Run()\nhttp.Get("https://example.org")', "os/exec", "net/http"))
    assert "apt-get install -y --no-install-recommends git ca-certificates" in found


def test_a_package_that_nothing_starts_is_left_behind(tmp_path: Path) -> None:
    found = result(tmp_path, TEXT.replace("WORKDIR", "RUN apt-get update && apt-get install -y git upx-ucl vim gcc\nWORKDIR"))
    assert base(found).startswith("gcr.io/distroless/static")


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("go build -o /app .", 'CGO_ENABLED=0 go build -ldflags="-s -w" -o /app .'),
        ("CGO_ENABLED=0 go build -o /app .", 'CGO_ENABLED=0 go build -ldflags="-s -w" -o /app .'),
        ("go vet && GOARCH=amd64 go build -o /app .", 'go vet && CGO_ENABLED=0 GOARCH=amd64 go build -ldflags="-s -w" -o /app .'),
        ("go build -ldflags='-X main.v=1' -o /app .", "CGO_ENABLED=0 go build -ldflags='-s -w -X main.v=1' -o /app ."),
        ("go build -ldflags -s -o /app .", "CGO_ENABLED=0 go build -ldflags -s -o /app ."),
        ('go build -ldflags "-w" -o /app .', 'CGO_ENABLED=0 go build -ldflags "-w" -o /app .'),
        ("go build -gcflags='all=-N -l' -o /app .", "CGO_ENABLED=0 go build -gcflags='all=-N -l' -o /app ."),
    ],
)
def test_build_command(tmp_path: Path, run: str, expected: str) -> None:
    found = result(tmp_path, TEXT.replace("go build -o /app .", run))
    assert f"RUN --mount=type=cache,target=/root/.cache/go-build {expected}\n" in found


def test_exec_form_of_the_build(tmp_path: Path) -> None:
    found = result(tmp_path, TEXT.replace("go build -o /app .", '["go", "build", "-o", "/app", "."]'))
    assert 'ENV CGO_ENABLED=0\nRUN --mount=type=cache,target=/root/.cache/go-build ["go", "build", "-o", "/app", "."]\n' in found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RUN go", "ENV HOME=/home/x\nRUN go"),
        ("RUN go", "RUN --mount=type=cache,target=/root/.cache go"),
        ("FROM golang", "# syntax=docker/dockerfile:1.0\nFROM golang"),
        ("RUN go", "RUN export GOCACHE=/x && go"),
    ],
)
def test_no_cache_mount_where_its_place_is_not_known(tmp_path: Path, before: str, after: str) -> None:
    assert "target=/root/.cache/go-build" not in result(tmp_path, TEXT.replace(before, after))


def test_the_cache_follows_its_variable(tmp_path: Path) -> None:
    assert "--mount=type=cache,target=/cache " in result(tmp_path, TEXT.replace("RUN go", "ENV GOCACHE=/cache\nRUN go"))


def test_variables_go_where_they_are_read(tmp_path: Path) -> None:
    text = TEXT.replace("RUN go", "ENV GO111MODULE=on\nENV MODE=release\nENV PLACE=/src\nRUN ls $PLACE\nRUN go")
    build, _, runtime = result(tmp_path, text).partition("\n\n")
    assert "GO111MODULE" in build
    assert "GO111MODULE" not in runtime
    assert "MODE" not in build.replace("GO111MODULE", "")
    assert "ENV MODE=release\n" in runtime
    assert "PLACE" in build
    assert "PLACE" in runtime


@pytest.mark.parametrize(
    ("body", "imports", "copied"),
    [
        ('os.ReadFile("words/a.txt")', ("os",), "/src/words/a.txt"),
        ('http.Dir("./words")', ("net/http",), "/src/words"),
        ('os.ReadFile(filepath.Join("words", os.Args[1]))', ("os", "path/filepath"), "/src/words"),
        ('load("words/*.txt")', (), "/src/words"),
        ('http.Dir(".")', ("net/http",), "/src"),
        ("os.ReadFile(os.Args[1])", ("os",), "/src"),
    ],
)
def test_files_that_are_read_go_along(tmp_path: Path, body: str, imports: tuple[str, ...], copied: str) -> None:
    found = result(tmp_path, TEXT, program(body, *imports), {"words/a.txt": "a\n"})
    assert f"COPY --from=build {copied} {copied}\n" in found


@pytest.mark.parametrize(
    "body", ['os.ReadFile("/etc/hosts")', 'os.ReadFile("missing.txt")', "os.ReadFile(os.Args[1])", 'fmt.Println("README.md")']
)
def test_nothing_goes_along_that_is_not_there_or_no_data(tmp_path: Path, body: str) -> None:
    found = result(tmp_path, TEXT, program(body, "os", "fmt"), {"README.md": "# Tool\n", "Makefile": "all:\n"})
    assert found.count("COPY --from=build") == 1


def test_configuration_that_is_copied_elsewhere_goes_along(tmp_path: Path) -> None:
    found = result(tmp_path, TEXT.replace("RUN", "COPY etc/tool.conf /etc/tool/\nRUN"), HELLO, {"etc/tool.conf": "x\n"})
    assert "COPY --from=build /etc/tool/tool.conf /etc/tool/tool.conf\n" in found


def test_what_follows_the_build_stays_as_it_is(tmp_path: Path) -> None:
    text = TEXT.replace("CMD", "# The rules\nCOPY rules.txt /rules.txt\nLABEL a=b\nCMD")
    assert result(tmp_path, text, HELLO, {"rules.txt": "x\n"}).endswith('# The rules\nCOPY rules.txt /rules.txt\nLABEL a=b\nCMD ["/app"]\n')


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("CMD /app --port 80", 'CMD ["/app", "--port", "80"]'),
        ("CMD exec /app 'a b'", 'CMD ["/app", "a b"]'),
        ("ENTRYPOINT /app", 'ENTRYPOINT ["/app"]'),
        ("CMD /app $PORT", "CMD /app $PORT"),
        ("CMD /app && /app", "CMD /app && /app"),
        ("CMD /app > /tmp/log", "CMD /app > /tmp/log"),
        ("CMD /app *", "CMD /app *"),
    ],
)
def test_shell_form(tmp_path: Path, written: str, expected: str) -> None:
    found = result(tmp_path, TEXT.replace('CMD ["/app"]', written))
    assert found.endswith(f"{expected}\n")
    assert base(found).startswith("debian:") == (written == expected)


def test_a_shell_form_entrypoint_keeps_its_cmd_out(tmp_path: Path) -> None:
    found = result(tmp_path, TEXT.replace('CMD ["/app"]', 'ENTRYPOINT /app\nCMD ["x"]'))
    assert "ENTRYPOINT /app\n" in found
    assert base(found) == "debian:bookworm-slim"


def test_an_entrypoint_script_goes_along(tmp_path: Path) -> None:
    text = TEXT.replace('CMD ["/app"]', 'ENTRYPOINT ["./start.sh"]\nCMD ["/app"]')
    found = result(tmp_path, text, HELLO, {"start.sh": '#!/bin/sh\nset -e\nexec "$@"\n'})
    assert "COPY --from=build /src/start.sh /src/start.sh\n" in found
    assert base(found) == "debian:bookworm-slim"


def test_a_program_found_on_gos_path_is_put_where_every_image_looks(tmp_path: Path) -> None:
    found = result(tmp_path, TEXT.replace("build -o /app", "install").replace("/app", "tool"))
    assert "COPY --from=build /go/bin/tool /usr/local/bin/tool\n" in found


def test_a_named_user_becomes_nonroot_when_nothing_is_written(tmp_path: Path) -> None:
    found = result(tmp_path, TEXT.replace("WORKDIR", "RUN useradd -r app\nWORKDIR").replace("CMD", "USER app\nCMD"))
    assert base(found).endswith(":nonroot")
    assert "USER" not in found.partition("\n\n")[2]


def test_a_private_file_keeps_root(tmp_path: Path) -> None:
    model = model_of(tmp_path, TEXT, {"go.mod": MODULE, "main.go": program('os.ReadFile("key.pem")', "os"), "key.pem": "x\n"})
    (tmp_path / "key.pem").chmod(0o600)
    change = split_go(model, model.final)
    assert change is not None
    assert base(change.file.text) == "gcr.io/distroless/static-debian12"


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("FROM golang:1.22", "FROM debian:bookworm\nCOPY go /usr/local/go"),
        TEXT.replace('CMD ["/app"]\n', ""),
        "FROM golang:1.22\n",
        'FROM golang:1.22\nCMD ["bash"]\n',
    ],
)
def test_none_of_its_business(tmp_path: Path, text: str) -> None:
    assert split(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "source", "reason"),
    [
        (TEXT.replace("go build -o /app .", "make"), HELLO, "no `go build`"),
        (TEXT.replace('["/app"]', '["/other"]'), HELLO, "not one that the build is seen to make"),
        (TEXT.replace("-o", "-buildmode=c-shared -o"), HELLO, "buildmode"),
        (TEXT.replace("RUN go", "RUN GOOS=windows go"), HELLO, "GOOS"),
        (TEXT.replace("COPY . .", "RUN git clone https://example.org/x ."), HELLO, "source of the program"),
        (TEXT, program('plugin.Open("x.so")', "plugin"), "plugins"),
        (TEXT, program("exec.Command(os.Args[1]).Run()", "os", "os/exec"), "which programs it starts"),
        (TEXT, program('exec.Command("no-such-program-anywhere").Run()', "os/exec"), "no-such-program-anywhere"),
        (TEXT.replace("RUN go", "RUN apt-get install -y $EXTRA\nRUN go"), HELLO, "which packages"),
        (TEXT.replace("CMD", "ONBUILD COPY . .\nCMD"), HELLO, "base for other images"),
        (TEXT.replace("CMD", "COPY --chown=app rules.txt /\nCMD"), HELLO, "user app"),
        (TEXT.replace("1.22", "latest"), 'package main\n\nimport "C"\n\nfunc main() {}\n', "release"),
    ],
)
def test_refusals(tmp_path: Path, text: str, source: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        split(tmp_path, text, source)


def test_modules_that_need_c(tmp_path: Path) -> None:
    module = MODULE + "\nrequire github.com/mattn/go-sqlite3 v1.14.22\n"
    source = program('sql.Open("sqlite3", "/data/x.db")', "database/sql", "github.com/mattn/go-sqlite3")
    change = split(tmp_path, TEXT, source, **{"go.mod": module})
    assert change is not None
    assert base(change.file.text) == "gcr.io/distroless/base-debian12"
    assert "CGO_ENABLED=0" not in change.file.text


def test_c_libraries(tmp_path: Path) -> None:
    source = 'package main\n\n// #cgo pkg-config: jansson\n// #cgo LDFLAGS: -lz -lm\nimport "C"\n\nfunc main() {}\n'
    install = "RUN apt-get update && apt-get install -y libjansson-dev zlib1g-dev libxml2-dev"
    found = result(tmp_path, TEXT.replace("WORKDIR", f"{install}\nWORKDIR"), source)
    assert "--no-install-recommends libjansson4 \\\n" in found
    assert base(found) == "debian:bookworm-slim"


def test_table_of_modules() -> None:
    assert go_needs(["github.com/mattn/go-sqlite3"]).cgo == ("github.com/mattn/go-sqlite3",)
    assert go_needs(["github.com/libgit2/git2go/v34"]).development == ("libgit2-dev",)
    assert go_needs(["gocv.io/x/gocv"]).development is None
    assert go_needs(["github.com/mattn/go-sqlite3x", "example.org/x"]) == go_needs([])
