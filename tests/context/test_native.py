"""What Makefiles, compilers' command lines, CMake, automake and C sources say."""

from __future__ import annotations

import shlex

import pytest

from optimizer.context.automake import automake_project
from optimizer.context.cmake import cmake_project
from optimizer.context.folder import BuildContext
from optimizer.context.make_recipes import make_commands
from optimizer.context.makefile import UNKNOWN, find_makefile
from optimizer.context.meson import meson_project
from optimizer.context.native import native_sources, writes_nothing
from optimizer.context.native_commands import Placed, is_compiler, pkg_config, read_compiler, read_install
from optimizer.context.native_project import PREFIX, SOURCE
from optimizer.context.native_values import NativeSettings

from .conftest import MakeContext


def commands(context: BuildContext, *goals: str, **variables: dict[str, str]) -> tuple[str, ...] | None:
    makefile = find_makefile(context, ".", given=variables.get("given"), environment=variables.get("environment"))
    assert makefile is not None
    return make_commands(context, makefile, goals)


def test_variables_are_expanded_when_they_are_used(make_context: MakeContext) -> None:
    context = make_context({"Makefile": "all:\n\techo $(B) $(S)\nA = one\nB = $(A)\nS := $(A)\nA = two\n"})
    assert commands(context) == ("echo two one",)


def test_a_variable_of_the_command_line_wins_over_assignments(make_context: MakeContext) -> None:
    context = make_context({"Makefile": "PREFIX = /usr/local\nBIN := $(PREFIX)/bin\ninstall:\n\tinstall tool $(BIN)\n"})
    assert commands(context, "install", given={"PREFIX": "/opt"}) == ("install tool /opt/bin",)
    assert commands(context, "install", environment={"PREFIX": "/opt"}) == ("install tool /usr/local/bin",)


def test_a_variable_of_the_environment_wins_over_defaults(make_context: MakeContext) -> None:
    context = make_context({"Makefile": "PREFIX ?= /usr/local\ninstall:\n\tinstall tool $(PREFIX)/bin\n"})
    assert commands(context, "install", environment={"PREFIX": "/opt"}) == ("install tool /opt/bin",)


def test_prerequisites_come_first_and_pattern_rules_fill_in(make_context: MakeContext) -> None:
    text = "SRC := $(wildcard src/*.c)\ntool: $(SRC:.c=.o)\n\t$(CC) -o $@ $^ -lz\n%.o: %.c\n\t@$(CC) -c -o $@ $<\n"
    context = make_context({"Makefile": text, "src/a.c": "", "src/b.c": ""})
    assert commands(context) == ("cc -c -o src/a.o src/a.c", "cc -c -o src/b.o src/b.c", "cc -o tool src/a.o src/b.o -lz")


def test_rules_that_make_has_by_itself(make_context: MakeContext) -> None:
    context = make_context({"Makefile": "LDLIBS = -lm\nall: tool\n.PHONY: all\n", "tool.c": ""})
    assert commands(context) == ("cc   tool.c  -lm -o tool",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ifeq ($(DEBUG),1)\nF = -g\nelse\nF = -O2\nendif\nall:\n\tcc $(F)\n", "cc -O2"),
        ("ifdef CC\nF = yes\nendif\nall:\n\techo $(F)\n", "echo yes"),
        ("F = a.c b.h\nall:\n\techo $(filter %.c,$(F)) $(patsubst %.c,%.o,a.c) $(notdir x/y)\n", "echo a.c a.o y"),
        ("all:\n\t-cp a \\\n\t  b\n", "cp a b"),
        ("all:\n\techo $$HOME # not a comment of make\n", "echo $HOME # not a comment of make"),
        ("include more.mk\nall:\n\techo $(X)\n", "echo included"),
    ],
)
def test_one_line(make_context: MakeContext, text: str, line: str) -> None:
    found = commands(make_context({"Makefile": text, "more.mk": "X = included\n"}))
    assert found is not None
    assert " ".join(found[0].split()) == line


def test_what_only_running_tells_is_marked(make_context: MakeContext) -> None:
    found = commands(make_context({"Makefile": "P := $(shell ./where)\nall:\n\tcp a $(P)\n"}))
    assert found == (f"cp a {UNKNOWN}",)


def test_a_goal_that_is_not_there(make_context: MakeContext) -> None:
    assert commands(make_context({"Makefile": "all:\n\ttrue\n"}), "install") is None


def test_an_include_that_is_not_in_the_context_is_noted(make_context: MakeContext) -> None:
    makefile = find_makefile(make_context({"Makefile": "include config.mk\nall:\n\ttrue\n"}), ".")
    assert makefile is not None
    assert "config.mk" in makefile.unknown[0]


@pytest.mark.parametrize("name", ["gcc", "g++-12", "cc", "clang++", "x86_64-linux-gnu-gcc", "/usr/bin/gcc"])
def test_compilers(name: str) -> None:
    assert is_compiler(name)


@pytest.mark.parametrize("name", ["gccgo", "make", "acc", "", None])
def test_no_compilers(name: str | None) -> None:
    assert not is_compiler(name)


def test_a_link_line() -> None:
    found = read_compiler(words := shlex.split("g++ -O2 -I include -o bin/app a.o b.cpp -L lib -lcurl -l z -Wl,-rpath,/x"), words)
    assert (found.output, found.libraries, found.inputs, found.links, found.cxx) == ("bin/app", ("curl", "z"), ("a.o", "b.cpp"), True, True)


def test_a_line_that_makes_objects() -> None:
    found = read_compiler(words := shlex.split("gcc -c -Wall x.c"), words)
    assert not found.links
    assert found.inputs == ("x.c",)


def test_libraries_of_pkg_config() -> None:
    assert pkg_config("`pkg-config --cflags --libs jansson 'libcurl >= 7'`")[:1] == ["jansson"]
    assert pkg_config("$(curl-config --libs)") == ["curl"]


@pytest.mark.parametrize(
    ("line", "placed", "folders"),
    [
        ("install -D -m 755 tool /usr/local/bin/tool", [Placed("tool", "/usr/local/bin/tool", mode="755")], []),
        ("install -Dm755 tool -t /usr/bin", [Placed("tool", "/usr/bin", True)], []),
        ("install -d /etc/tool /var/lib/tool", [], ["/etc/tool", "/var/lib/tool"]),
        ("cp -r a b /opt/", [Placed("a", "/opt/", True), Placed("b", "/opt/", True)], []),
        ("ln -sf tool-1 /usr/bin/tool", [Placed("tool-1", "/usr/bin/tool", link=True)], []),
    ],
)
def test_what_is_placed(line: str, placed: list[Placed], folders: list[str]) -> None:
    found = read_install(shlex.split(line))
    assert found is not None
    assert [(p.source, p.target, p.into, p.link) for p in found[0]] == [(p.source, p.target, p.into, p.link) for p in placed]
    assert list(found[1]) == folders


def test_what_is_placed_by_computed_names_is_not_known() -> None:
    assert read_install(["cp", None, "/usr/bin"]) is None


def test_sources_that_write_nothing(make_context: MakeContext) -> None:
    text = '/* fopen("x", "w") */\nint main(int argc, char **argv) { FILE *f = fopen(argv[1], "r"); puts("system(1)"); }\n'
    found = native_sources(make_context({"a.c": text}), ["a.c"])
    assert writes_nothing(found)
    assert found.arguments
    assert found.unknown == ()


@pytest.mark.parametrize(
    "text",
    [
        'int main() { fopen("/var/log/x", "a"); }',
        "int main(int c, char **v) { fopen(v[1], mode); }",
        'void f() { open("x", O_WRONLY | O_CREAT, 0644); }',
        'void f() { std::ofstream out("x"); }',
        "void f() { unlink(name); }",
        'void f() { system("rm -f x"); }',
        "void f() { system(command); }",
        'void f() { sqlite3_open("db", &db); }',
    ],
)
def test_sources_that_may_write(make_context: MakeContext, text: str) -> None:
    assert not writes_nothing(native_sources(make_context({"a.cpp": text}), ["a.cpp"]))


@pytest.mark.parametrize(
    ("files", "written"),
    [
        ({"a.c": 'void f(void) { static const char *log = "/log"; fopen(log, "w"); }'}, ["/log"]),
        ({"a.c": '#include "a.h"\nvoid f(void) { fopen(log, "w"); }', "a.h": 'static const char *const log = "/log";'}, ["/log"]),
        ({"a.c": 'void f(void) { const char *log = "/log"; if (x) log = optarg; fopen(log, "w"); }'}, []),
        ({"a.c": 'const char *log = "/log"; void f(const char *log) { fopen(log, "w"); }'}, []),
        ({"a.c": 'const char *log = "/log"; void f(void) { set(&log); fopen(log, "w"); }'}, []),
        ({"a.c": 'void f(void) { fopen(log, "w"); }', "b.c": 'static const char *log = "/log";'}, []),
        ({"a.c": '#ifndef LOG\n#define LOG "/log"\n#endif\nvoid f(void) { fopen(LOG, "w"); }'}, []),
        ({"a.c": '#define LOG "/log" SUFFIX\nvoid f(void) { fopen(LOG, "w"); }'}, []),
        ({"a.c": '#ifdef X\n#define LOG "/x"\n#else\n#define LOG "/y"\n#endif\nvoid f(void) { fopen(LOG, "w"); }'}, []),
    ],
)
def test_names_that_stand_for_a_path(make_context: MakeContext, files: dict[str, str], written: list[str]) -> None:
    found = native_sources(make_context(files), tuple(files))
    assert [place.path for place in found.written] == written
    assert bool(written) != any(unknown.about == "write" for unknown in found.unknown)


def test_paths_behind_macros(make_context: MakeContext) -> None:
    context = make_context({"a.h": '#define HOME "/srv/words"\n', "a.c": '#include "a.h"\nint main() { fopen(HOME "/list.txt", "rb"); }\n'})
    found = native_sources(context, ["a.c", "a.h"])
    assert [str(place) for place in found.read] == ["/srv/words/list.txt"]


def test_ports_and_rights(make_context: MakeContext) -> None:
    text = "#define PORT 70\nint main() { a.sin_port = htons(PORT); bind(s, a, n); setuid(1); }\n"
    found = native_sources(make_context({"a.c": text}), ["a.c"])
    assert found.ports == (70,)
    assert "setuid" in found.root[0]


def test_cmake(make_context: MakeContext) -> None:
    top = (
        "project(tool C)\nset(SRC src/a.c)\nfind_package(CURL REQUIRED)\nadd_subdirectory(lib)\n"
        "add_executable(${PROJECT_NAME} ${SRC}) # add_executable(no x.c)\n"
        "target_link_libraries(tool PRIVATE CURL::libcurl own m)\ninstall(TARGETS tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})\n"
        "install(FILES etc/tool.conf DESTINATION /etc)\ninstall(FILES tool.h DESTINATION include)\n"
    )
    below = {"lib/CMakeLists.txt": "add_library(own own.c)\n", "src/a.c": "", "etc/tool.conf": "", "lib/own.c": ""}
    context = make_context({"CMakeLists.txt": top, **below})
    found = cmake_project(context, ".")
    assert found is not None
    assert dict(found.programs) == {"tool": "."}
    assert found.sources == ("lib/own.c", "src/a.c")
    assert found.libraries == ("CURL", "m")
    assert found.installed == (("tool", "bin/"), ("etc/tool.conf", "/etc/"))
    assert not found.shared
    assert not found.cxx
    assert found.unknown == ()


@pytest.mark.parametrize(
    "line",
    ['install(CODE "message(x)")', "include(FetchContent)\nFetchContent_Declare(x URL y)", "install(FILES a DESTINATION ${NOWHERE})"],
)
def test_cmake_that_is_not_clear(make_context: MakeContext, line: str) -> None:
    found = cmake_project(make_context({"CMakeLists.txt": f"project(x)\nadd_executable(x x.c)\n{line}\n", "a": ""}), ".")
    assert found is not None
    assert found.unknown


def test_automake(make_context: MakeContext) -> None:
    files = {
        "configure.ac": "AC_INIT([x],[1])\ndnl AC_CHECK_LIB([no])\nPKG_CHECK_MODULES([J], [jansson >= 2])\nAC_SEARCH_LIBS([sin],[m])\n",
        "Makefile.am": "SUBDIRS = src\n",
        "src/Makefile.am": "bin_PROGRAMS = tool\ntool_SOURCES = a.c \\\n  b.c\ntool_LDADD = -lz\nnoinst_PROGRAMS = try\n",
    }
    found = automake_project(make_context(files), ".")
    assert found is not None
    assert dict(found.programs) == {"tool": "src", "try": "src"}
    assert found.sources == ("src/a.c", "src/b.c")
    assert set(found.libraries) == {"m", "jansson", "z"}
    assert found.installed == (("tool", "bin/"),)


def test_folders_without_a_build_system(make_context: MakeContext) -> None:
    context = make_context({"a.c": ""})
    assert find_makefile(context, ".") is None
    assert cmake_project(context, ".") is None
    assert automake_project(context, ".") is None


HELPER = 'static FILE *store(const char *mode, const char *path) { return fopen(path, "w"); }\n'


@pytest.mark.parametrize(
    ("files", "written"),
    [
        ({"a.c": HELPER + 'int main(void) { store("x", "/data/a"); store("y", "/data/b"); }'}, ["/data/a", "/data/b"]),
        (
            {
                "a.c": 'int bump(const char *p)\n{\n    return fopen(p, "w");\n}\n',
                "b.c": 'int bump(const char *p);\nint f(void) { return bump("/n"); }',
            },
            ["/n"],
        ),
        ({"a.c": HELPER + "int main(int argc, char **argv) { store(argv[1], argv[2]); }"}, []),
        ({"a.c": HELPER + 'void *handler = store;\nint main(void) { store("x", "/data/a"); }'}, []),
        ({"a.c": HELPER.replace("{", "{ path = other();") + 'int main(void) { store("x", "/data/a"); }'}, []),
        ({"a.c": HELPER + 'int main(void) { store("x", "/data/a"); }\nint more(char *s) { return store("x", s); }'}, []),
        ({"a.c": HELPER.replace("{", '{ strcat(path, "x");') + 'int main(void) { store("x", "/data/a"); }'}, []),
        ({"a.c": HELPER.replace("{", "{ if (1) { char path[9]; make(path); } ") + 'int main(void) { store("x", "/data/a"); }'}, []),
        ({"a.c": HELPER}, []),
    ],
)
def test_files_that_a_function_is_given(make_context: MakeContext, files: dict[str, str], written: list[str]) -> None:
    found = native_sources(make_context(files), tuple(files))
    assert [place.path for place in found.written] == written
    assert bool(written) != any(unknown.about == "write" for unknown in found.unknown)


def test_a_file_opened_in_a_return_statement_counts(make_context: MakeContext) -> None:
    found = native_sources(make_context({"a.c": 'FILE *f(void)\n{\n    return fopen("/log", "w");\n}\n'}), ("a.c",))
    assert [place.path for place in found.written] == ["/log"]


def test_macros_that_the_build_may_define(make_context: MakeContext) -> None:
    source = '#ifndef LOG\n#define LOG "/log"\n#endif\nvoid f(void) { fopen(LOG, "w"); }'
    context = make_context({"a.c": source, "Makefile": "a: a.c\n"})
    assert [place.path for place in native_sources(context, ("a.c",), "gcc a.c").written] == ["/log"]
    assert native_sources(context, ("a.c",), "gcc -DLOG=other a.c").written == ()
    assert native_sources(make_context({"Makefile": "CFLAGS += -DLOG=$(LOG)\n"}), ("a.c",), "make").written == ()


@pytest.mark.parametrize(
    "text",
    [
        "void f(void) { struct sockaddr_un a; bind(1, &a, sizeof a); }",
        'void f(void) { chdir("/data"); }',
        'void f(void) { auto log = spdlog::basic_logger_mt("a", "/log/a"); }',
    ],
)
def test_other_ways_to_write(make_context: MakeContext, text: str) -> None:
    assert not writes_nothing(native_sources(make_context({"a.cc": text}), ("a.cc",)))


LOOKS_UP = (
    "std::string env(const char *name, const std::string &other) {\n"
    "  const char *found = std::getenv(name);\n  return found ? found : other;\n}\n"
)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (
            'int main() {\n  auto h = getenv("OTHER");\n  std::string p = h ? h : "/data";\n  std::ofstream o(p + "/a");\n}',
            ["/data/a"],
        ),
        ('int main() {\n  const char *h = getenv("DIR");\n  std::string p = h ? h : "/data";\n  std::ofstream o(p);\n}', ["/own"]),
        (LOOKS_UP + 'int main() {\n  std::ofstream o(env("OTHER", "/data") + "/a");\n}', ["/data/a"]),
        ('int main() {\n  char p[99];\n  snprintf(p, sizeof p, "%s/%s.log", "/data", "a");\n  fopen(p, "w");\n}', ["/data/a.log"]),
        ('int main() {\n  char p[99];\n  sprintf(p, "/data/%d.log", n);\n  fopen(p, "w");\n}', ["/data"]),
        ('void f(const std::string &d) {\n  std::ofstream o(d + "/a");\n}\nint main() {\n  f("/x");\n  f("/y");\n}', ["/x/a", "/y/a"]),
        ('int main() {\n  const fs::path d = "/data";\n  std::ofstream o(d / "a");\n}', ["/data/a"]),
        ('int main() {\n  std::string p = "/data";\n  p += x;\n  std::ofstream o(p);\n}', []),
        ('int main() {\n  char p[99];\n  snprintf(p, sizeof p, "/data");\n  strcat(p, x);\n  fopen(p, "w");\n}', []),
        ('int main() {\n  const char *h = getenv("COMPUTED");\n  std::string p = h ? h : "/data";\n  std::ofstream o(p);\n}', []),
        ('int main() {\n  const char *h = getenv("OTHER");\n  std::string p = x ? h : "/data";\n  std::ofstream o(p);\n}', []),
    ],
)
def test_expressions_that_come_to_a_path(make_context: MakeContext, source: str, written: list[str]) -> None:
    settings = NativeSettings(environment={"DIR": "/own", "COMPUTED": None})
    found = native_sources(make_context({"a.cpp": source}), ["a.cpp"], None, settings)
    assert [place.path for place in found.written] == written
    assert bool(written) != any(unknown.about == "write" for unknown in found.unknown)


@pytest.mark.parametrize(
    ("expression", "loaded", "known"),
    [
        ('"./a.so"', ["a.so"], True),
        ("NULL", [], True),
        ('"liba.so"', [], False),
        ("name", [], False),
        ('"p/" NAME', ["p"], True),
    ],
)
def test_libraries_that_are_loaded(make_context: MakeContext, expression: str, loaded: list[str], known: bool) -> None:
    found = native_sources(make_context({"a.c": f"int main() {{ dlopen({expression}, RTLD_NOW); }}"}), ["a.c"])
    assert [place.path for place in found.loaded] == loaded
    assert known != any(unknown.about == "module" for unknown in found.unknown)


def test_macros_of_cmake(make_context: MakeContext) -> None:
    top = (
        "project(tool VERSION 1.2 LANGUAGES C)\ninclude(GNUInstallDirs)\nadd_executable(tool a.c)\nset(PLACE ${CMAKE_SOURCE_DIR}/x)\n"
        'target_compile_definitions(tool PRIVATE DATA="${CMAKE_INSTALL_FULL_DATADIR}/tool" OWN="${CMAKE_CURRENT_SOURCE_DIR}/data" N=1)\n'
        'add_definitions(-DLIBS="${CMAKE_INSTALL_FULL_LIBDIR}" -DBUILT="${CMAKE_BINARY_DIR}" "-DAT=\\"${PLACE}\\"")\n'
        "configure_file(config.h.in config.h)\n"
    )
    template = '#define VERSION "@PROJECT_VERSION@"\n#define NOWHERE "@NOWHERE@"\n'
    found = cmake_project(make_context({"CMakeLists.txt": top, "config.h.in": template, "a.c": ""}), ".")
    assert found is not None
    assert dict(found.macros) == {"DATA": f"{PREFIX}/share/tool", "OWN": f"{SOURCE}/data", "VERSION": "1.2"}


def test_macros_of_meson(make_context: MakeContext) -> None:
    text = (
        "project('tool', 'c', version: '1.2')\nconf = configuration_data()\nconf.set_quoted('VERSION', meson.project_version())\n"
        "conf.set_quoted('DATA', get_option('prefix') / get_option('datadir') / 'tool')\nconf.set('N', 1)\n"
        "conf.set_quoted('LIBS', get_option('prefix') / get_option('libdir'))\n"
        "add_project_arguments('-DETC=\"' + '/etc' + '/tool\"', '-DUI=\"@0@/ui\"'.format('/srv'), language: 'c')\n"
        "executable('tool', 'a.c', c_args: ['-DNAME=\"' + name() + '\"'])\n"
    )
    found = meson_project(make_context({"meson.build": text, "a.c": ""}), ".", {})
    assert found is not None
    assert dict(found.macros) == {"VERSION": "1.2", "DATA": f"{PREFIX}/share/tool", "ETC": "/etc/tool", "UI": "/srv/ui"}
