"""Evidence from Python source."""

from __future__ import annotations

import pytest

from optimizer.context import python_source
from optimizer.context.places import Place
from optimizer.context.python_source import python_evidence

HEAD = "import os, subprocess, shutil, sqlite3, tempfile, logging, sys, socket\nfrom pathlib import Path\n"


def read(make_context, source, environment=None, **others):
    return python_evidence(make_context({"app.py": HEAD + source, **others}), (".",), environment=environment)


def texts(places):
    return {f"{place.kind}:{place.path}{'/' if place.folder else ''}" for place in places}


@pytest.mark.parametrize(
    ("source", "programs"),
    [
        ("subprocess.run(['pdftotext', '-v'])", {"pdftotext"}),
        ("import subprocess as sp\nsp.check_output(('a', name))", {"a"}),
        ("from subprocess import Popen\nPopen(args=['a'])", {"a"}),
        ("CMD = ['convert', '-v']\ndef f(x): subprocess.call(CMD + [x])", {"convert"}),
        ("def f(x):\n cmd = ['a', x]\n cmd.append('b')\n subprocess.run(cmd)", {"a"}),
        ("subprocess.run('ls -l'.split())", {"ls"}),
        ("import shlex\nsubprocess.run(shlex.split('tar x'))", {"tar"}),
        ("subprocess.run('/usr/bin/tool')", {"/usr/bin/tool"}),
        ("subprocess.run(f'ffmpeg -i {x} | grep y && LANG=C sort; cd /x', shell=True)", {"ffmpeg", "grep", "sort"}),
        ("os.system('if true; then wkhtmltopdf %s; fi' % x)", {"wkhtmltopdf"}),
        ("os.system('git {}'.format(x)); os.popen('hg ' + x)", {"git", "hg"}),
        ("os.execvp('nginx', args); os.spawnlp(os.P_WAIT, 'cron', 'cron')", {"nginx", "cron"}),
        ("subprocess.run(['sudo', '-n', 'apachectl'])", {"sudo", "apachectl"}),
        ("subprocess.run(['sh', '-c', 'jq . | less'])", {"sh", "jq", "less"}),
        ("CMD = shutil.which('magick') or 'convert'\nsubprocess.run([CMD, x])", {"magick", "convert"}),
        ("TOOL = 'a' if x else 'b'\nshutil.which(TOOL)", {"a", "b"}),
        ("import pexpect\npexpect.spawn('ftp host')", {"ftp"}),
        ("from plumbum import local\nfrom plumbum.cmd import ls\nlocal['grep']", {"ls", "grep"}),
        ("import asyncio\nasync def f(): await asyncio.create_subprocess_exec('dot', '-v')", {"dot"}),
        ("for tool in ('a', 'b'): subprocess.run([tool])", {"a", "b"}),
        ("subprocess.run([os.environ.get('TOOL', 'vi')])", {"vi"}),
        ("subprocess.run(\n'a'\n'b')", {"ab"}),
    ],
)
def test_programs(make_context, source, programs):
    found = read(make_context, source)
    assert set(found.programs) == programs
    assert found.unknown_about("program") == ()


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): subprocess.run([x])",
        "subprocess.run(sys.argv[1:])",
        "os.system(input())",
        "os.system(f'{x} -v')",
        "os.system('$EDITOR x')",
        "os.system('echo `a`')",
        "subprocess.run(*x)",
        "subprocess.run(['sh', '-c', x])",
        "os.system('\"')",
        "def f(t='ls'): subprocess.run([t])",
        "subprocess.run([os.environ['TOOL']])",
    ],
)
def test_computed_programs_are_unknown(make_context, source):
    found = read(make_context, source)
    assert [(item.about, item.where.split(":")[0]) for item in found.unknown] == [("program", "app.py")]
    assert found.programs == ()


def test_a_name_that_is_changed_later_has_other_values_too(make_context):
    found = read(make_context, "t = 'a'\nt += x\nsubprocess.run([t])")
    assert found.programs == ("a",)
    assert [item.where for item in found.unknown_about("program")] == ["app.py:5"]


@pytest.mark.parametrize(
    "source",
    [
        "subprocess.run([sys.executable, 'x.py'])",
        "app.run()",
        "class C:\n def run(self, x): pass\nC().run(['ls'])",
        "'subprocess.run([x])'",
        "# os.system('ls')",
        "def system(x): pass\nsystem('ls')",
        "subprocess.PIPE",
        "os.path.exists('/bin/ls')",
    ],
)
def test_what_starts_no_program(make_context, source):
    found = read(make_context, source)
    assert (found.programs, found.unknown) == ((), ())


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("NOTES = Path('/app/data/notes.txt')\ndef f():\n with NOTES.open('a') as n: n.write('')", {"absolute:/app/data/notes.txt"}),
        ("open('x.txt', 'w')", {"cwd:x.txt"}),
        ("open(mode='r+', file='x.txt')", {"cwd:x.txt"}),
        ("BASE = Path(__file__).resolve().parent\n(BASE / 'a' / 'b').write_text('')", {"context:a/b"}),
        ("open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'x'), 'wb')", {"context:x"}),
        ("def f(name): open(f'/data/{name}.txt', 'x')", {"absolute:/data/"}),
        ("def f(name): (Path('/data') / name).write_bytes(b'')", {"absolute:/data/"}),
        ("os.makedirs('/var/lib/app', exist_ok=True); Path('cache').mkdir()", {"absolute:/var/lib/app/", "cwd:cache/"}),
        ("sqlite3.connect('app.db'); sqlite3.connect(':memory:'); sqlite3.connect('file:ro.db?mode=ro', uri=True)", {"cwd:app.db"}),
        (
            "from sqlalchemy import create_engine\ncreate_engine('sqlite:////data/x.db'); create_engine('postgresql://h/x')",
            {"absolute:/data/x.db"},
        ),
        ("logging.FileHandler('/var/log/a.log'); logging.basicConfig(filename='b.log')", {"absolute:/var/log/a.log", "cwd:b.log"}),
        ("LOG = {'class': 'logging.FileHandler', 'filename': '/var/log/x'}", {"absolute:/var/log/x"}),
        ("shutil.copy('a', '/srv/b')", {"absolute:/srv/b"}),
        ("class C:\n def __init__(self): self.dir = Path('logs')\n def f(self): (self.dir / 'x').touch()", {"cwd:logs/x"}),
        ("class Config:\n LOG = '/log'\nopen(Config.LOG, 'a')", {"absolute:/log"}),
        ("app.config['UP'] = 'up'\ndef f(n): n.save(os.path.join(app.config['UP'], n.name))", {"cwd:up/"}),
        ("D = os.environ.get('D', '/d')\nopen(D + '/x', 'w')", {"absolute:/d/x"}),
        ("D = os.getenv('D') or '/d'\nopen(D, 'w')", {"absolute:/d"}),
        ("P = '/a' if x else '/b'\nopen(P, 'w')", {"absolute:/a", "absolute:/b"}),
        ("if x:\n P = '/a'\nelse:\n P = '/b'\nopen(P, 'w')", {"absolute:/a", "absolute:/b"}),
        ("def f():\n global P\n P = '/a'\nopen(P, 'w')", {"absolute:/a"}),
        ("for n in ['a', 'b']: open(f'/srv/{n}', 'w')", {"absolute:/srv/a", "absolute:/srv/b"}),
        ("os.system('date > /var/stamp 2>&1; x >/dev/null')", {"absolute:/var/stamp"}),
        ("(a, b) = ('/a', '/b')\nopen(b, 'w')", {"absolute:/b"}),
        ("os.open('/x', os.O_WRONLY | os.O_CREAT); os.open('/y', os.O_RDONLY)", {"absolute:/x"}),
        ("Path('/a/b.txt').with_suffix('.bak').write_text('')", {"absolute:/a/b.bak"}),
    ],
)
def test_written_places(make_context, source, written):
    found = read(make_context, source)
    assert texts(found.written) == written
    assert found.unknown_about("write") == ()


@pytest.mark.parametrize(
    "source",
    [
        "open('x')",
        "open('x', 'rb')",
        "Path('x').read_text()",
        "with tempfile.TemporaryDirectory() as d: open(os.path.join(d, 'x'), 'w')",
        "f = tempfile.NamedTemporaryFile()\nopen(f.name, 'w')",
        "fd, p = tempfile.mkstemp()\nopen(p, 'w')",
        "open('/dev/null', 'w')",
        "open(os.devnull, 'w')",
        "form.save(); form.save(commit=False); model.save(x)",
        "x.replace('a', 'b')",
        "import webbrowser\nwebbrowser.open('x')",
        "'open(x, \"w\")'",
        "df.to_csv()",
        "os.makedirs",
        "open(os.path.expanduser('~/x'), 'w')",
        "Path.home().joinpath('x').mkdir()",
        "Path('~/x').expanduser().write_text('a')",
        "os.chdir('/data')\nopen('x')",
    ],
)
def test_what_writes_nothing(make_context, source):
    found = read(make_context, source)
    assert (found.written, found.unknown_about("write")) == ((), ())


@pytest.mark.parametrize(
    "source",
    [
        "def f(path): open(path, 'w')",
        "open(sys.argv[1], 'w')",
        "open(os.environ['OUT'], 'w')",
        "def f(mode): open(x, mode)",
        "Path(__file__).parent.parent.joinpath('x').write_text('')",
        "def f(p): p.write_text('')",
        "open(f'/{x}', 'w')",
        "open('/data/' + x + '/../y', 'w')",
        "open(*x)",
        "sqlite3.connect(x)",
        "P = '/a'\nP = compute()\nopen(P, 'w')",
        "from elsewhere import P\nopen(P, 'w')",
        "df.to_csv(x)",
    ],
)
def test_computed_paths_are_unknown(make_context, source):
    assert [item.about for item in read(make_context, source).unknown_about("write")] == ["write"]


def test_a_home_that_is_known_is_a_folder_like_any_other(make_context):
    found = read(make_context, "open(os.path.expanduser('~/x'), 'w')", {"HOME": "/srv/home"})
    assert texts(found.written) == {"absolute:/srv/home/x"}


@pytest.mark.parametrize("source", ["os.chdir('/data')\nopen('x', 'w')", "os.chdir(place)\nopen('x', 'w')"])
def test_where_a_relative_path_leads_is_unknown_behind_chdir(make_context, source):
    assert [item.about for item in read(make_context, source).unknown] == ["write"]


def test_the_folder_of_the_source_is_where_a_relative_path_starts(make_context):
    found = read(make_context, "os.chdir(os.path.dirname(os.path.abspath(__file__)))\nopen('x', 'w')")
    assert (texts(found.written), found.unknown) == ({"cwd:x"}, ())


def test_one_name_in_two_functions_is_two_names(make_context):
    found = read(make_context, "def f(path): pass\ndef g():\n path = '/a'\n open(path, 'w')")
    assert texts(found.written) == {"absolute:/a"}
    assert found.unknown == ()


def test_names_of_other_modules(make_context):
    others = {
        "config.py": "from pathlib import Path\nDATA = Path('/data')\nclass S:\n LOG = '/log/a'",
        "pkg/__init__.py": "",
        "pkg/m.py": "from .names import *\nfrom . import names\nopen(B, 'w'); open(names.C, 'w')",
        "pkg/names.py": "B = '/b'; C = '/c'",
    }
    source = "import config\nfrom config import DATA, S\n(DATA / 'x').write_text(''); config.DATA.joinpath('y').touch(); open(S.LOG, 'w')"
    found = read(make_context, source, **others)
    assert texts(found.written) == {"absolute:/data/x", "absolute:/data/y", "absolute:/log/a", "absolute:/b", "absolute:/c"}
    assert found.unknown == ()
    assert "config" not in found.imports


def test_names_that_stand_for_each_other_end(make_context):
    found = read(make_context, "a = b\nb = a\nopen(a, 'w')\nfrom other import P\nopen(P, 'w')", **{"other.py": "from app import P"})
    assert len(found.unknown) == 2


def test_a_flask_database_is_beside_the_application_or_in_its_instance_folder(make_context):
    found = read(
        make_context,
        "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///x.db'",
        **{"web/__init__.py": "class C:\n SQLALCHEMY_DATABASE_URI = 'sqlite:////d/y.db'"},
    )
    assert texts(found.written) == {"context:x.db", "context:instance/x.db", "absolute:/d/y.db"}


@pytest.mark.parametrize(
    ("path", "folder"),
    [("web.py", "instance"), ("web/__init__.py", "instance"), ("web/api/views.py", "instance"), ("src/web/__init__.py", "src/instance")],
)
def test_the_instance_folder_is_beside_the_outermost_package(make_context, path, folder):
    packages = {f"{part}/__init__.py": "" for part in ("web", "web/api") if path.startswith(part + "/")}
    files = {**packages, path: "import os\nos.makedirs(app.instance_path)"}
    found = python_evidence(make_context(files), (".",))
    assert texts(found.written) == {f"context:{folder}/"}


@pytest.mark.parametrize(
    "settings",
    [
        "class Config:\n    STORE = '/data/x'",
        "STORE = '/data/x'",
        "def f(app): app.config['STORE'] = '/data/x'",
        "def f(app): app.config.from_mapping(STORE='/data/x')",
    ],
)
@pytest.mark.parametrize("use", ["app.config['STORE']", "current_app.config.get('STORE')"])
def test_a_setting_of_flask_comes_from_any_file(make_context, settings, use):
    found = read(make_context, f"open({use}, 'w')", **{"config.py": settings})
    assert texts(found.written) == {"absolute:/data/x"}
    assert found.unknown == ()


@pytest.mark.parametrize("use", ["app.config['STORE']", "app.config['store']", "app.config.get('STORE')"])
def test_a_setting_that_no_file_gives_is_unknown(make_context, use):
    found = read(make_context, f"open({use}, 'w')", **{"config.py": "class Config:\n    store = '/data/x'", "tests/a.py": "STORE = '/y'"})
    assert (found.written, len(found.unknown)) == ((), 1)


CLASS = "from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    data_dir: str = '/data'\nsettings = Settings()"


@pytest.mark.parametrize(
    ("environment", "written"), [({}, "absolute:/data/x"), ({"DATA_DIR": "/e"}, "absolute:/e/x"), ({"APP_DATA_DIR": "/f"}, "absolute:/f/x")]
)
def test_an_attribute_of_an_instance_has_the_default_or_the_environments_value(make_context, environment, written):
    source = "from config import settings\nopen(settings.data_dir + '/x', 'w')"
    assert texts(read(make_context, source, environment, **{"config.py": CLASS}).written) == {written}


def test_an_attribute_of_an_instance_made_with_arguments_is_unknown(make_context):
    source = "from config import settings\nopen(settings.data_dir, 'w')"
    found = read(make_context, source, **{"config.py": CLASS.replace("Settings()", "Settings(data_dir=x)")})
    assert (found.written, len(found.unknown)) == ((), 1)


def test_resources_of_a_package_lie_in_it(make_context):
    source = "from importlib import resources\nresources.files('pkg').joinpath('a.txt').read_text()\nresources.files('other')"
    found = read(make_context, source, **{"src/pkg/__init__.py": ""})
    assert (texts(found.read), found.unknown) == ({"context:src/pkg/a.txt"}, ())


def test_read_places(make_context):
    found = read(
        make_context,
        "open('a')\nPath(__file__).with_name('b').read_text()\nshutil.copy('c', '/d')\nopen('e', 'r+')\n"
        "from fastapi.staticfiles import StaticFiles\nStaticFiles(directory='static')\nimport pandas as pd\npd.read_csv('f.csv'); pd.read_csv('https://x/y.csv')\n",
    )
    assert texts(found.read) == {"cwd:a", "context:b", "cwd:c", "cwd:e", "cwd:static", "cwd:f.csv"}
    assert found.unknown == ()


def test_a_computed_path_that_is_read_is_unknown_about_reading_only(make_context):
    found = read(make_context, "def f(x): return open(x)")
    assert [item.about for item in found.unknown] == ["read"]
    assert found.unknown_about("write", "program") == ()


@pytest.mark.parametrize(
    ("source", "ports"),
    [
        ("app.run(host='0.0.0.0', port=80)", {80}),
        ("PORT = int(os.environ.get('PORT', 8080))\napp.run(port=PORT)", {8080}),
        ("app.run(port=int(os.environ.get('PORT', '8080')))", {8080}),
        ("from flask import Flask\napp = Flask(__name__)\napp.run()", {5000}),
        ("from flask import Flask\napp = Flask(__name__)\napp.run('0.0.0.0', 81)", {81}),
        ("import uvicorn\nuvicorn.run('app:app')", {8000}),
        ("import uvicorn\nuvicorn.run(app, port=int(os.getenv('PORT') or 9000))", {9000}),
        ("s = socket.socket()\ns.bind(('', 443))", {443}),
        ("from http.server import HTTPServer\nHTTPServer(('', 8001), H)", {8001}),
        ("from waitress import serve\nserve(app, listen='x', port=90)", {90}),
        ("server.add_insecure_port('[::]:50051')", {50051}),
        ("app.run(); thread.run(target)", set()),
        ("s.listen(5); s.bind(('', 0))", set()),
        ("button.bind('<Enter>', f)", set()),
    ],
)
def test_ports(make_context, source, ports):
    found = read(make_context, source)
    assert set(found.ports) == ports
    assert found.unknown == ()


def test_environment_variables_that_are_known_count(make_context):
    source = "app.run(port=int(os.environ['PORT']))\nopen(os.environ.get('D', '/d') + '/x', 'w')\nopen(os.getenv('E'), 'w')"
    found = read(make_context, source, environment={"PORT": "81", "D": "/srv", "E": "/e"})
    assert (found.ports, texts(found.written), found.unknown) == ((81,), {"absolute:/srv/x", "absolute:/e"}, ())


@pytest.mark.parametrize("source", ["app.run(port=x)", "app.run(port=int(os.environ['PORT']))", "app.run(**{'port': 3} , port=y)"])
def test_computed_ports_are_unknown(make_context, source):
    found = read(make_context, source)
    assert ([item.about for item in found.unknown], found.ports) == (["port"], ())


def test_imports(make_context):
    files = {
        "main.py": (
            "import os.path as p, flask\nfrom PIL import Image\n"
            "from . import sibling\nfrom pkg.sub import thing\ndef f():\n import psycopg2\n"
        ),
        "sibling.py": "",
        "pkg/__init__.py": "",
        "pkg/sub.py": "from ..main import x\nimport yaml.nodes\n",
    }
    assert python_evidence(make_context(files), (".",)).imports == ("PIL", "flask", "os", "psycopg2", "yaml")


def test_a_file_brings_what_it_imports_and_nothing_else(make_context):
    files = {
        "app/run.py": "import helper\nfrom pkg import deep\n",
        "app/helper.py": "import os\nos.system('a')",
        "pkg/__init__.py": "import yaml",
        "pkg/deep.py": "from .more import x",
        "pkg/more.py": "",
        "pkg/other.py": "import os\nos.system('never')",
        "script.py": "",
    }
    found = python_evidence(make_context(files), ("app/run.py",))
    assert found.files == ("app/helper.py", "app/run.py", "pkg/__init__.py", "pkg/deep.py", "pkg/more.py")
    assert found.programs == ("a",)


@pytest.mark.parametrize(
    ("source", "brought"),
    [
        ("uvicorn.run('pkg.web:app')", {"pkg/__init__.py", "pkg/web.py"}),
        ("uvicorn.run('pkg.web:create()', factory=True)", {"pkg/__init__.py", "pkg/web.py"}),
        ("uvicorn.run('tasks:app')", {"tasks.py"}),
        ("Celery('x', include=['pkg.web'])", {"pkg/__init__.py", "pkg/web.py"}),
        ("handler = 'pkg.web.Handler'", {"pkg/__init__.py", "pkg/web.py"}),
        ("importlib.import_module('tasks')", {"tasks.py"}),
        ("title = 'tasks'", set()),
        ("link = 'http://other.example:80/x'", set()),
    ],
)
def test_modules_that_are_named_in_texts_are_read_too(make_context, source, brought):
    files = {"run.py": source, "pkg/__init__.py": "", "pkg/web.py": "open('/data/x', 'w')", "tasks.py": "", "other.py": ""}
    assert set(python_evidence(make_context(files), ("run.py",)).files) - {"run.py"} == brought


@pytest.mark.parametrize(
    ("environment", "source", "files"),
    [
        ({"PYTHONPATH": "/app/lib"}, "import helper", ["lib/helper.py", "run.py"]),
        ({}, "import sys\nsys.path.insert(0, 'lib')\nimport helper", ["lib/helper.py", "run.py"]),
        ({}, "import helper", ["run.py"]),
        ({"PYTHONPATH": "/app/lib"}, "import json", ["run.py"]),
    ],
)
def test_modules_in_further_folders_are_read_where_python_is_told_of_some(make_context, environment, source, files):
    context = make_context({"run.py": source, "lib/helper.py": "", "lib/json.py": ""})
    assert list(python_evidence(context, ("run.py",), environment=environment).files) == sorted(files)


def test_tests_build_scripts_and_installed_packages_are_left_out(make_context):
    line = "import os\nos.system('x')"
    names = ["tests/a.py", "pkg/test_a.py", "conftest.py", "setup.py", ".venv/lib/a.py", "node_modules/a.py", "hidden.py"]
    found = python_evidence(make_context({**dict.fromkeys(names, line), ".dockerignore": "hidden.py", "notes.txt": line}), (".",))
    assert (found.files, found.programs) == ((), ())


def test_migrations_are_not_left_out(make_context):
    assert python_evidence(make_context({"app/migrations/0001.py": ""}), (".",)).files == ("app/migrations/0001.py",)


@pytest.mark.parametrize(
    ("source", "line"), [("import os\nprint 'x'\n", 2), ("x = 1\n\ndef f(:\n", 3), (b"\xff\xfe\xe9", None), ("(" * 3000 + ")" * 3000, 1)]
)
def test_a_file_that_is_not_python_3_is_unknown(make_context, source, line):
    found = python_evidence(make_context({"a.py": source, "b.py": "import os\nos.system('b')"}), (".",))
    assert [item.where for item in found.unknown] == ["a.py" if line is None else f"a.py:{line}"]
    assert found.unknown_about("port") == found.unknown
    assert found.programs == ("b",)


def test_syntax_newer_than_the_interpreter_is_read(make_context):
    source = "import os, yaml\ntype A[T] = list[T]\ndef f[T](x: T): os.system(f'git {x['a']}')\n"
    found = python_evidence(make_context({"a.py": source}), (".",))
    assert (found.imports, found.programs, found.unknown) == (("os", "yaml"), ("git",), ())


def test_carriage_returns_and_a_byte_order_mark(make_context):
    found = python_evidence(make_context({"a.py": b"\xef\xbb\xbfimport os\r\n\r\nos.system(x)\r\n"}), (".",))
    assert [item.where for item in found.unknown] == ["a.py:3"]


def test_a_missing_file_is_unknown(make_context):
    found = python_evidence(make_context({}), ("app.py",))
    assert [(item.about, item.where) for item in found.unknown] == [("context", "app.py")]


def test_too_much_source_is_unknown(make_context, monkeypatch):
    monkeypatch.setattr(python_source, "MAXIMUM_SOURCE", 10)
    found = python_evidence(make_context({"a.py": "import os\n" * 3}), (".",))
    assert [item.about for item in found.unknown] == ["context"]


def test_a_computed_import_is_unknown(make_context):
    found = read(make_context, "import importlib\nimportlib.import_module('yaml')\ndef f(x): importlib.import_module(f'plugins.{x}')")
    assert [(item.about, item.where) for item in found.unknown] == [("module", "app.py:5")]


def test_places_are_ordered_and_say_where_they_are(make_context):
    found = read(make_context, "open('b', 'w'); open('/a', 'w'); open('b', 'w')")
    assert found.written == (Place("absolute", "/a"), Place("cwd", "b"))
    assert [str(place) for place in found.written] == ["/a", "b"]


@pytest.mark.parametrize(
    "expression",
    ["(" * 3000 + ")" * 3000, "not " * 20000 + "1", "a" + ".b" * 20000, "-" * 20000 + "1", "lambda: " * 20000 + "1", "(type X" + "(" * 200],
)
def test_nesting_that_would_overflow_the_stack_is_unknown(make_context, expression):
    found = read(make_context, f"x = {expression}\n")
    assert [item.about for item in found.unknown] == ["syntax"]


def test_a_long_sum_is_unknown_and_nothing_else(make_context):
    found = read(make_context, f"open({' + '.join(['name'] * 500)}, 'w')\nopen('/a', 'w')")
    assert texts(found.written) == {"absolute:/a"}
    assert [item.about for item in found.unknown] == ["write"]


@pytest.mark.parametrize(
    "source",
    [
        "if {} == 0: pass",
        "x = f'{{{}}}'",
        "x = [{} for y in z if y]",
        "def f(*, a={}): pass",
        "def f(a={}, /): pass",
        "x = not {}",
        "class C(metaclass=f({})): pass",
        "with {} as x: pass",
        "x = y[{}:]",
        "match {}:\n case 1: pass",
        "@f({})\ndef g(): pass",
        "x = {{'a': {}}}",
        "x = (yield {})",
        "assert x, {}",
        "x = y if {} else z",
        "x = lambda: {}",
        "f(**{})",
        "f(k={})",
        "raise E from {}",
        "del x[{}]",
        "x: int = {}",
        "try:\n pass\nexcept E:\n {}",
        "async def f():\n async for x in {}: pass",
        "while {}: break",
        "return_ = {} @ y",
        "x = -{}, *{}",
        "for x in y: {}",
    ],
)
def test_a_call_is_found_wherever_it_is(make_context, source):
    found = read(make_context, source.replace("{}", "os.system('tool')").replace("{{", "{").replace("}}", "}"))
    assert (found.programs, found.unknown) == (("tool",), ())
