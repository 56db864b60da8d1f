"""Which names in Go source are known to stand for one string."""

from __future__ import annotations

import pytest

from optimizer.context.golang import go_module

from .conftest import MakeContext

WRITES = 'package main\nimport "os"\nfunc main() { os.Create(dir) }\n'


def written(make_context: MakeContext, files: dict[str, str], stamped: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The paths that a module writes, "?" for a computed one."""
    module = go_module(make_context({"go.mod": "module example.com/m\n", **files}), ".", stamped)
    assert module is not None
    return (*(str(place) for place in module.written), *("?" for _ in module.unknown_about("write")))


@pytest.mark.parametrize(
    "files",
    [
        {"main.go": WRITES + 'const dir = "/data"\n'},
        {"main.go": WRITES + 'var dir = "/data"\n'},
        {"main.go": WRITES + 'var dir string = "/data"\n'},
        {"main.go": WRITES + 'const (\n\tother = 1\n\tdir = "/data"\n)\n'},
        {"main.go": WRITES, "names.go": 'package main\nconst dir = "/data"\n'},
        {"main.go": WRITES + 'const dir = "/data"\nfunc f() { if err := check(dir); err != nil { } }\n'},
        {"main.go": WRITES + 'const dir = "/data"\n', "other.go": "package main\nfunc f(dir string) { _ = dir }\n"},
        {"main.go": WRITES + 'const dir = "/data"\n', "other/other.go": 'package other\nvar dir = "x"\nfunc f() { dir = "y" }\n'},
        {"main.go": 'package main\nimport "os"\nfunc main() {\n\tdir := "/data"\n\tos.Create(dir)\n}\n'},
    ],
)
def test_names_with_one_value(make_context: MakeContext, files: dict[str, str]) -> None:
    assert written(make_context, files) == ("/data",)


@pytest.mark.parametrize(
    "files",
    [
        {"main.go": WRITES + 'import "flag"\nvar dir = "/data"\nfunc init() { flag.StringVar(&dir, "d", dir, "") }\n'},
        {"main.go": WRITES + 'var dir = "/data"\n', "init.go": 'package main\nimport "os"\nfunc init() { dir = os.Getenv("D") }\n'},
        {"main.go": WRITES + 'var dir = "/data"\n', "init.go": "package main\nfunc init() { dir, err = find() }\n"},
        {"main.go": WRITES + 'var dir = "/data"\n', "init.go": "package main\nfunc init() { set(&dir) }\n"},
        {"main.go": WRITES + 'var dir = "/data"\nfunc init() { dir += "/" + version() }\n'},
        {"main.go": 'package main\nimport "os"\nconst dir = "/data"\nfunc save(dir string) { os.Create(dir) }\n'},
        {"main.go": 'package main\nimport "os"\nconst dir = "/data"\nfunc save(a, dir string, b int) { os.Create(dir) }\n'},
        {"main.go": 'package main\nimport "os"\nconst dir = "/data"\nfunc save() { for _, dir := range all { os.Create(dir) } }\n'},
        {
            "main.go": 'package main\nimport "os"\nfunc a() {\n\tdir := "/a"\n\t_ = dir\n}\n'
            "func b() {\n\tvar dir string\n\tos.Create(dir)\n}\n"
        },
        {
            "main.go": 'package main\nimport ("os"; "example.com/m/conf")\nfunc main() { conf.Dir = os.Args[1]; conf.Save() }\n',
            "conf/conf.go": 'package conf\nimport "os"\nvar Dir = "/data"\nfunc Save() { os.Create(Dir) }\n',
        },
    ],
)
def test_names_that_may_get_another_value(make_context: MakeContext, files: dict[str, str]) -> None:
    assert written(make_context, files) == ("?",)


def test_a_variable_that_the_linker_sets(make_context: MakeContext) -> None:
    files = {"main.go": WRITES + 'var dir = "/data"\n'}
    assert written(make_context, files, frozenset({"dir"})) == ("?",)
    assert written(make_context, files, frozenset({"version"})) == ("/data",)


SAVE = "func save(name string, data []byte) error { return os.WriteFile(name, data, 0o600) }\n"
MAIN = 'package main\nimport "os"\n'


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        (
            {"main.go": MAIN + SAVE + 'func main() { save("/data/a", nil); save(other, nil) }\nconst other = "/data/b"\n'},
            ("/data/a", "/data/b"),
        ),
        (
            {
                "main.go": MAIN + 'func main() { s.Save(dir) }\nconst dir = "/d"\n',
                "s/s.go": MAIN.replace("main", "s") + SAVE.replace("save", "(s S) Save"),
            },
            ("/d",),
        ),
        ({"main.go": MAIN + SAVE + "func main() { save(os.Args[1], nil) }\n"}, ("?",)),
        ({"main.go": MAIN + SAVE + 'func main() { save("/data/a", nil); run(save) }\n'}, ("/data/a", "?")),
        (
            {
                "main.go": MAIN
                + SAVE.replace("return os", "f := func(name string) { os").replace(") }", ") }; f(next()) }", 1)
                + 'func main() { save("/a", nil) }\n'
            },
            ("?",),
        ),
        ({"main.go": MAIN + SAVE}, ("?",)),
        ({"main.go": MAIN + SAVE.replace("{ ", '{ name = name + ".x"; ') + 'func main() { save("/data/a", nil) }\n'}, ("?",)),
    ],
)
def test_files_that_a_function_is_given(make_context: MakeContext, files: dict[str, str], paths: tuple[str, ...]) -> None:
    found = written(make_context, files)
    assert found == (("?",) if "?" in paths else paths)


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ('net.Listen("unix", "/run/a/a.sock")', ("/run/a/a.sock",)),
        ('net.Listen("tcp", ":80")', ()),
        ('net.Listen("unix", os.Args[1])', ("?",)),
        ('exec.Command("sh", "-c", "date >> /log/a")', ("/log/a",)),
        ('exec.Command("sh", "-c", "date > /dev/null")', ()),
        ('os.Chdir("/data")', ("?",)),
    ],
)
def test_other_ways_to_write(make_context: MakeContext, body: str, paths: tuple[str, ...]) -> None:
    source = f'package main\nimport (\n"net"\n"os"\n"os/exec"\n)\nfunc main() {{ {body} }}\n'
    assert written(make_context, {"main.go": source}) == paths


@pytest.mark.parametrize(
    ("preamble", "beside", "writes"),
    [
        ("#include <math.h>", "", False),
        ("#cgo LDFLAGS: -lm", "int add(int a, int b) { return a + b; }", False),
        ("#cgo LDFLAGS: -lsqlite3", "", True),
        ("#cgo pkg-config: libfoo", "", True),
        ('static void put(void) { fopen("a", "w"); }', "", True),
        ("", "void put(void) { FILE *f = fopen(name, mode); }", True),
    ],
)
def test_c_code_that_may_write(make_context: MakeContext, preamble: str, beside: str, writes: bool) -> None:
    source = f'package main\n\n/*\n{preamble}\n*/\nimport "C"\n\nfunc main() {{}}\n'
    found = go_module(make_context({"go.mod": "module x\n", "main.go": source, "own.c": beside}))
    assert found is not None
    assert bool(found.unknown_about("write")) == writes


def test_only_what_a_program_imports_is_read(make_context: MakeContext) -> None:
    files = {
        "go.work": "go 1.22\n\nuse (\n\t./api\n\t./shared\n)\n",
        "api/go.mod": "module example.com/api\n\nrequire (\n\texample.com/shared v0.0.0\n\texample.com/x v1.0.0\n)\n",
        "shared/go.mod": "module example.com/shared\n\nrequire example.com/y v1.0.0\n",
        "api/main.go": 'package main\n\nimport "example.com/shared/texts"\n\nfunc main() { texts.All() }\n',
        "api/gen/main.go": 'package main\n\nimport "os"\n\nfunc main() { os.Create("made.go") }\n',
        "shared/texts/texts.go": 'package texts\n\nimport "os"\n\nfunc All() { os.ReadFile("texts/all.txt") }\n',
        "shared/other/other.go": 'package other\n\nimport "os"\n\nfunc All() { os.Create("log") }\n',
    }
    found = go_module(make_context(files), "api", programs=["api"])
    assert found is not None
    assert found.files == ("api/main.go", "shared/texts/texts.go")
    assert [place.path for place in found.read] == ["texts/all.txt"]
    assert not found.written
    assert [require.path for require in found.requires] == ["example.com/x", "example.com/y"]
    assert found.main_packages == ("api",)


def test_a_module_out_of_the_context_is_not_known(make_context: MakeContext) -> None:
    found = go_module(make_context({"go.mod": "module x\n\nreplace y => ../y\n", "main.go": "package main\n"}))
    assert found is not None
    assert [str(unknown) for unknown in found.unknown] == ["../y is not in the build context"]


@pytest.mark.parametrize(
    ("code", "given", "path"),
    [
        ('var dir = flag.String("dir", "data", "folder")\nfunc main() { os.Create(*dir + "/a") }', {}, "data/a"),
        ('var dir = flag.String("dir", "data", "folder")\nfunc main() { os.Create(*dir + "/a") }', {"-dir": "/srv"}, "/srv/a"),
        ('func main() {\n\tdir := flag.String("dir", "data", "folder")\n\tos.Create(filepath.Join(*dir, "a"))\n}', {}, "data/a"),
        ('var dir string\nfunc main() { flag.StringVar(&dir, "dir", "data", ""); os.Create(dir) }', {}, "data"),
        ('var c conf\nfunc main() { flag.StringVar(&c.dir, "dir", "data", ""); os.Create(c.dir) }', {}, "data"),
        ('var dir = flag.String("dir", "data", "folder")\nfunc main() { os.Create(*dir + "/a") }', {"-dir": None}, None),
        ('var dir = flag.String("dir", "data", "folder")\nfunc main() { *dir = x; os.Create(*dir + "/a") }', {}, None),
        ('var dir string\nfunc main() { flag.StringVar(&dir, "dir", "data", ""); dir = x; os.Create(dir) }', {}, None),
        ("func main() { os.Create(*dir) }", {}, None),
    ],
)
def test_flags_of_the_command(make_context: MakeContext, code: str, given: dict[str, str | None], path: str | None) -> None:
    source = f'package main\n\nimport (\n\t"flag"\n\t"os"\n\t"path/filepath"\n)\n\n{code}\n'
    found = go_module(make_context({"go.mod": "module x\n", "main.go": source}), ".", environment=given)
    assert found is not None
    assert [str(place) for place in found.written] == ([path] if path is not None else [])
    assert bool(found.unknown_about("write")) == (path is None)


FIELD = """type store struct {
	path string%s
}

func open(dir string) *store {
	return &store{path: filepath.Join(dir, "a")}
}

%s"""


@pytest.mark.parametrize(
    ("tag", "code", "path"),
    [
        ("", 'func (s *store) save() { os.Create(s.path) }\n\nfunc main() { open("/data").save() }', "/data/a"),
        (' `json:"path"`', 'func (s *store) save() { os.Create(s.path) }\n\nfunc main() { open("/data").save() }', None),
        ("", 'func (s *store) save() { s.path = x; os.Create(s.path) }\n\nfunc main() { open("/data").save() }', None),
        ("", 'var other = store{path: "/b"}\n\nfunc (s *store) save() { os.Create(s.path) }\n\nfunc main() { open("/data").save() }', None),
    ],
)
def test_a_field_with_one_value(make_context: MakeContext, tag: str, code: str, path: str | None) -> None:
    source = 'package main\n\nimport (\n\t"os"\n\t"path/filepath"\n)\n\n' + FIELD % (tag, code)
    found = go_module(make_context({"go.mod": "module x\n", "main.go": source}))
    assert found is not None
    assert [str(place) for place in found.written] == ([path] if path is not None else [])
    assert bool(found.unknown_about("write")) == (path is None)
