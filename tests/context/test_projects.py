"""Manifests of ecosystems, and Go modules."""

from __future__ import annotations

import pytest

from optimizer.context.places import Place
from optimizer.context.projects import GoReplace, GoRequire, detect, go_module

MOD = "module example.org/x\n\ngo 1.21\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"requirements.txt": ""}, ("pip",)),
        ({"requirements/prod.txt": ""}, ("pip",)),
        ({"a/requirements-dev.txt": ""}, ("pip",)),
        ({"setup.py": ""}, ("pip",)),
        ({"pyproject.toml": "[project]\nname = 'x'"}, ("pip",)),
        ({"pyproject.toml": "[tool.poetry]"}, ("poetry",)),
        ({"pyproject.toml": "[tool.poetry]\n[build-system]\nrequires = []"}, ("poetry",)),
        ({"pyproject.toml": "[project]\n[tool.uv]"}, ("pip", "uv")),
        ({"uv.lock": ""}, ("uv",)),
        ({"Pipfile": ""}, ("pipenv",)),
        ({"environment.yml": ""}, ("conda",)),
        ({"package.json": "{}"}, ("npm",)),
        ({"package.json": "{}", "yarn.lock": ""}, ("yarn",)),
        ({"package.json": '{"packageManager": "pnpm@9"}'}, ("pnpm",)),
        ({"package.json": "{}", "bun.lockb": ""}, ("bun",)),
        ({"package.json": "{}", "package-lock.json": "{}", "go.mod": MOD}, ("npm", "go")),
        ({"pom.xml": ""}, ("maven",)),
        ({"build.gradle.kts": ""}, ("gradle",)),
        ({"Cargo.toml": ""}, ("cargo",)),
        ({"Gemfile": ""}, ("bundler",)),
        ({"composer.json": ""}, ("composer",)),
        ({"src/App.csproj": ""}, ("dotnet",)),
        ({"Makefile": "", "CMakeLists.txt": ""}, ("make", "cmake")),
    ],
)
def test_detect(make_context, files, found):
    assert detect(make_context(files)) == found


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"requirements.md": "", "index.html": "", "my-go.mod": ""},
        {"pyproject.toml": "[tool.ruff]"},
        {"pyproject.toml": "not toml ="},
        {"node_modules/a/package.json": "{}", "a/vendor/go.mod": "", ".venv/setup.py": ""},
        {"go.mod": "", ".dockerignore": "go.mod"},
        {"Makefile/x": ""},
        {"pyproject.toml": "tool = 1"},
    ],
)
def test_detect_nothing(make_context, files):
    assert detect(make_context(files)) == ()


def go(make_context, source, mod=MOD, path="main.go", **others):
    found = go_module(make_context({"go.mod": mod, path: source, **others}))
    assert found is not None
    return found


def program(body, *imports):
    names = "\n".join(f'\t"{name}"' for name in imports)
    return f"package main\n\nimport (\n{names}\n)\n\nfunc main() {{\n{body}\n}}\n"


def texts(places):
    return {f"{place.kind}:{place.path}{'/' if place.folder else ''}" for place in places}


def test_go_mod(make_context):
    found = go(
        make_context,
        "package x\n",
        'module "example.org/x" // c\r\n\r\ngo 1.21\ntoolchain go1.22.1\nrequire example.org/a v1.2.3\n'
        "require (\n\texample.org/b/v2 v2.0.0 // indirect\n)\n"
        "replace example.org/a => ./a\n"
        "replace (\n example.org/b/v2 v2.0.0 => example.org/c/v2 v2.1.0\n example.org/d => ../d\n example.org/e => /e\n)\n",
    )
    assert (found.path, found.go, found.toolchain, found.folder) == ("example.org/x", "1.21", "go1.22.1", ".")
    assert found.requires == (GoRequire("example.org/a", "v1.2.3", False), GoRequire("example.org/b/v2", "v2.0.0", True))
    assert found.replaces == (
        GoReplace("example.org/a", "./a", "a"),
        GoReplace("example.org/b/v2", "example.org/c/v2 v2.1.0", None),
        GoReplace("example.org/d", "../d", "../d"),
        GoReplace("example.org/e", "/e", "../e"),
    )
    assert (found.vendor, found.sum, found.main_packages) == (False, False, ())


def test_no_go_mod(make_context):
    assert go_module(make_context({"main.go": "package main"})) is None


def test_where_programs_and_modules_are(make_context):
    files = {
        "svc/go.mod": MOD,
        "svc/go.sum": "",
        "svc/vendor/modules.txt": "",
        "svc/vendor/a/main.go": "package main",
        "svc/cmd/a/main.go": "package main // x",
        "svc/b_test.go": "package main",
        "svc/lib/lib.go": "// package main\npackage lib",
        "svc/win_windows.go": "package main",
        "svc/gen.go": "//go:build ignore\n\npackage main",
        "svc/inner/go.mod": MOD,
        "svc/inner/main.go": "package main",
        "svc/_x/main.go": "package main",
        "other/main.go": "package main",
    }
    found = go_module(make_context(files), "svc")
    assert found is not None
    assert (found.main_packages, found.vendor, found.sum) == (("svc/cmd/a",), True, True)


@pytest.mark.parametrize(
    ("imports", "cgo"),
    [
        ('import "C"', True),
        ('import (\n\t"fmt"\n\t"C"\n)', True),
        ('/*\n#include <x.h>\n*/\nimport "C"', True),
        ('// import "C"', False),
        ('/* import "C" */', False),
        ('var x = `\nimport "C"\n`', False),
        ('import "example.org/C"', False),
        ('import _ "embed"', False),
    ],
)
def test_cgo(make_context, imports, cgo):
    assert go(make_context, f"package main\n\n{imports}\n").cgo == (("main.go",) if cgo else ())


@pytest.mark.parametrize(
    ("body", "programs"),
    [
        ('exec.Command("git", "x"); exec.CommandContext(ctx, "ffmpeg"); exec.LookPath("dot")', {"git", "ffmpeg", "dot"}),
        ('exec.Command("sh", "-c", "ls | jq .")', {"sh", "ls", "jq"}),
        ('exec.Command(\n\t"a",\n)', {"a"}),
        ('// exec.Command("no")\n/* exec.Command(x) */\n_ = `exec.Command("no")`\n_ = "exec.Command(x)"', set()),
        ('myexec.Command("no"); x.exec.Command(y)', set()),
        ("c := '\"'; d := '\\''\nexec.Command(\"a\")", {"a"}),
    ],
)
def test_go_programs(make_context, body, programs):
    found = go(make_context, program(body, "os/exec"))
    assert set(found.programs) == programs
    assert found.unknown == ()


def test_go_names_of_imports_and_constants(make_context):
    source = (
        'package main\nimport run "os/exec"\nimport h "net/http"\nconst (\n\tbin = "git"\n\tport = "80"\n)\n'
        'var v = "a"\nfunc f() { run.Command(bin); h.ListenAndServe(":" + port, nil) }\n'
    )
    found = go(make_context, source)
    assert (found.programs, found.ports, found.imports) == (("git",), (80,), ("net/http", "os/exec"))


@pytest.mark.parametrize(
    "body",
    [
        "exec.Command(os.Args[1])",
        "exec.Command(name, x)",
        'name := "a"\nname = b\nexec.Command(name)',
        'exec.Command("sh", "-c", x)',
        "exec.Command(args...)",
    ],
)
def test_go_computed_programs_are_unknown(make_context, body):
    found = go(make_context, program(body, "os/exec", "os"))
    assert ([item.about for item in found.unknown], found.programs) == (["program"], ())


def test_go_places(make_context):
    body = (
        'os.ReadFile("conf.yaml"); os.Open(filepath.Join("data", "/x"+".y")); os.Open(filepath.Join("data", name))\n'
        'template.Must(template.ParseFiles("a.html", "b.html")); '
        'template.New("x").ParseGlob("tpl/*.html"); http.FileServer(http.Dir("./public"))\n'
        'os.OpenFile("/log/x", os.O_APPEND|os.O_CREATE, 0644); os.OpenFile("ro", os.O_RDONLY, 0); os.MkdirAll("/data", 0755)\n'
        'sql.Open("sqlite3", "file:/db/x.db?cache=shared"); sql.Open("postgres", dsn); sql.Open("sqlite3", ":memory:")\n'
        'r.LoadHTMLGlob("views/**/*"); r.Static("/s", "./static")'
    )
    found = go(make_context, program(body, "os", "path/filepath", "html/template", "net/http", "database/sql"))
    assert texts(found.read) == {
        "cwd:conf.yaml",
        "cwd:data/x.y",
        "cwd:data/",
        "cwd:a.html",
        "cwd:b.html",
        "cwd:tpl/",
        "cwd:public",
        "cwd:ro",
        "cwd:views/",
        "cwd:static",
    }
    assert texts(found.written) == {"absolute:/log/x", "absolute:/data/", "absolute:/db/x.db"}
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ("os.ReadFile(x)", "read"),
        ("os.Create(x)", "write"),
        ('os.WriteFile(dir+"/x", b, 0)', "write"),
        ("os.OpenFile(p, flags, 0)", "write"),
    ],
)
def test_go_computed_paths_are_unknown(make_context, body, about):
    found = go(make_context, program(body, "os"))
    assert [(item.about, item.where) for item in found.unknown] == [(about, "main.go:8")]


def test_go_embed(make_context):
    source = (
        'package web\n\nimport _ "embed"\n\n//go:embed all:static "b c.txt" `d`\n//go:embed tpl/*.html\nvar x string\n\n// go:embed no\n'
    )
    assert go(make_context, source, path="web/web.go").embeds == ("web/b c.txt", "web/d", "web/static", "web/tpl/*.html")


@pytest.mark.parametrize(
    ("body", "imports", "expected"),
    [
        ('http.ListenAndServe(":8080", nil)', ["net/http"], (8080,)),
        ('_ = &http.Server{Addr: ":81"}', ["net/http"], (81,)),
        ('net.Listen("tcp", "0.0.0.0:82")', ["net"], (82,)),
        ('r.Run(":83"); e.Start(":84"); app.Listen(":85")', [], (83, 84, 85)),
        ("cmd.Run(); t.Start(); m.Run(x)", [], ()),
        ('net.Listen("unix", "/run/x.sock")', ["net"], ()),
        ('net.Listen("tcp", ":0")', ["net"], ()),
    ],
)
def test_go_ports(make_context, body, imports, expected):
    found = go(make_context, program(body, *imports))
    assert (found.ports, found.unknown) == (expected, ())


def test_a_computed_go_port_is_unknown(make_context):
    assert [item.about for item in go(make_context, program('http.ListenAndServe(":"+port, nil)', "net/http")).unknown] == ["port"]


@pytest.mark.parametrize(
    ("body", "imports", "zones", "tls"),
    [
        ('time.LoadLocation("Europe/Paris")', ["time"], True, False),
        ('time.LoadLocation("Europe/Paris")', ["time", "time/tzdata"], False, False),
        ("time.Now()", ["time"], False, False),
        ('http.Get("https://example.org")', ["net/http"], False, True),
        ("c := &http.Client{}", ["net/http"], False, True),
        ("http.HandleFunc(x, y)", ["net/http"], False, False),
        ('tls.Dial("tcp", a, nil)', ["crypto/tls"], False, True),
        ("// http.Get(x)", ["net/http"], False, False),
    ],
)
def test_time_zones_and_certificates(make_context, body, imports, zones, tls):
    found = go(make_context, program(body, *imports))
    assert (found.time_zones, found.tls_client) == (zones, tls)


def test_a_go_file_that_is_not_text_is_unknown(make_context):
    found = go(make_context, b"\xff\xfe\xff")
    assert [item.about for item in found.unknown] == ["context"]


def test_places_of_go_are_relative_to_where_it_runs(make_context):
    assert go(make_context, program('os.ReadFile("x")', "os"), path="cmd/a/main.go").read == (Place("cwd", "x"),)
