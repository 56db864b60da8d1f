"""What the program of a stage writes, reads, starts and listens on, in paths of the image."""

from __future__ import annotations

import pytest

from optimizer.model.application import application_of
from optimizer.model.built import source_of

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
SETTINGS = (
    "from pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent.parent\n"
    "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'db.sqlite3'}}\n"
    "STATIC_ROOT = BASE_DIR / 'staticfiles'\nMEDIA_ROOT = BASE_DIR / 'media'\n"
)
DJANGO = {
    "manage.py": MANAGE,
    "shop/__init__.py": "",
    "shop/settings.py": SETTINGS,
    "shop/wsgi.py": MANAGE,
    "web/views.py": "import redis\n",
}


def of(make_model, dockerfile, files):
    model = make_model(dockerfile, files)
    found = application_of(model, model.final)
    assert found is not None
    assert application_of(model, model.final) is found
    return found


def python(make_model, source, tail='CMD ["python", "app.py"]', **others):
    return of(make_model, f"FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\n{tail}\n", {"app.py": source, **others})


def paths(used):
    return [u.path for u in used]


def test_files_of_every_kind_of_path(make_model):
    found = python(
        make_model,
        "import pathlib\nopen('log.txt', 'a')\nopen('/srv/out/x', 'w')\nHERE = pathlib.Path(__file__).parent\n"
        "(HERE / 'data' / 'n.txt').write_text('')\nopen('conf.json')\nimport subprocess\nsubprocess.run(['pdftotext', '-v'])\n",
    )
    assert [(u.path, u.where) for u in found.written] == [
        ("/app/data/n.txt", "app.py:5"),
        ("/app/log.txt", "app.py:2"),
        ("/srv/out/x", "app.py:3"),
    ]
    assert paths(found.read) == ["/app/conf.json"]
    assert "pdftotext" in found.programs
    assert found.unknown == ()
    assert found.root == ()
    assert found.files == ("app.py",)


def test_places_beside_a_file_that_is_copied_elsewhere(make_model):
    source = "from pathlib import Path\nROOT = Path(__file__).parent.parent\n(ROOT / 'data.txt').write_text('')\n"
    found = of(make_model, 'FROM python:3\nCOPY src /srv/code\nCMD ["python", "/srv/code/app.py"]\n', {"src/app.py": source})
    assert paths(found.written) == ["/srv/data.txt"]


def test_relative_paths_start_where_the_command_does(make_model):
    found = python(make_model, "open('log.txt', 'a')\n", "CMD cd /tmp && python /app/app.py")
    assert paths(found.written) == ["/tmp/log.txt"]


@pytest.mark.parametrize(
    ("source", "about"),
    [
        ("import sys\nopen(sys.argv[1], 'w')\n", "write"),
        ("import sys, subprocess\nsubprocess.run(sys.argv[1:])\n", "program"),
        ("import chromadb\n", "write"),
        ("def f(:\n", "syntax"),
    ],
)
def test_unknown(make_model, source, about):
    assert about in {u.about for u in python(make_model, source).unknown}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.setuid(1)\n",
        "import shutil\nshutil.chown('/x', 'y')\n",
        "import docker\n",
        "PATH = '/var/run/docker.sock'\nopen(PATH)\n",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW)\n",
    ],
)
def test_what_needs_root(make_model, source):
    assert python(make_model, source).root


def test_options_of_servers(make_model):
    options = "--bind 0.0.0.0:8000 --access-logfile /logs/a.log --pid run.pid --error-logfile -"
    tail = f"ENV PORT=9000 HF_HOME=/models\nEXPOSE 80/tcp\nCMD gunicorn {options} app:app"
    found = python(make_model, "app = 1\n", tail)
    assert paths(found.written) == ["/app/run.pid", "/logs/a.log", "/models"]
    assert found.ports == (80, 8000, 9000)


def test_configuration_of_gunicorn(make_model):
    files = {"gunicorn.conf.py": "accesslog = '/var/log/app/a.log'\nerrorlog = '-'\n"}
    found = python(make_model, "app = 1\n", "CMD gunicorn app:app", **files)
    assert paths(found.written) == ["/var/log/app/a.log"]


def test_celery_beat_keeps_its_schedule(make_model):
    found = python(make_model, "app = 1\n", "CMD celery -A app beat")
    assert paths(found.written) == ["/app/celerybeat-schedule", "/app/celerybeat.pid"]


def test_redirections_of_the_entrypoint(make_model):
    found = python(make_model, "", 'ENTRYPOINT ["sh", "run.sh"]', **{"run.sh": "date > /app/started\npython app.py >> $LOG\n"})
    assert paths(found.written) == ["/app/started"]
    assert [u.about for u in found.unknown] == ["write"]


def test_django(make_model):
    found = of(make_model, "FROM python:3.11\nWORKDIR /app\nCOPY . .\nCMD gunicorn shop.wsgi\n", DJANGO)
    assert [(u.path, u.folder) for u in found.written] == [("/app/db.sqlite3", False), ("/app/media", True)]
    assert "/app/staticfiles" in paths(found.read)
    assert "web/views.py" in found.files
    assert "redis" in found.modules
    assert found.django is not None


def test_django_that_collects_when_it_starts(make_model):
    dockerfile = "FROM python:3.11\nWORKDIR /app\nCOPY . .\nCMD python manage.py collectstatic --noinput && gunicorn shop.wsgi\n"
    assert "/app/staticfiles" in paths(of(make_model, dockerfile, DJANGO).written)


def test_node_that_is_built(make_model):
    files = {
        "package.json": '{"scripts": {"build": "esbuild src/server.ts --bundle --outfile=dist/main.js", "start": "node dist/main.js"},'
        ' "dependencies": {"express": "4"}}',
        "src/server.ts": 'import express from "express";\nimport { writeFileSync } from "node:fs";\nimport path from "node:path";\n'
        'writeFileSync(path.join(__dirname, "state.json"), "");\nwriteFileSync("log/x.txt", "");\nexpress().listen(3000);\n',
    }
    dockerfile = (
        "FROM node:20 AS build\nWORKDIR /b\nCOPY . .\nRUN npm run build\n"
        "FROM node:20-slim\nWORKDIR /app\nCOPY package.json .\nCOPY --from=build /b/dist ./dist\nCMD npm start\n"
    )
    found = of(make_model, dockerfile, files)
    assert found.unknown == ()
    assert paths(found.written) == ["/app/dist/state.json", "/app/log/x.txt"]
    assert found.ports == (3000,)
    assert found.files == ("src/server.ts",)
    assert found.package is not None
    assert dict(found.package.dependencies) == {"express": "4"}


def test_node_whose_source_is_not_found(make_model):
    found = of(make_model, "FROM node:20\nWORKDIR /app\nCOPY . .\nCMD node out/x.js\n", {"package.json": "{}", "lib/y.ts": ""})
    assert [u.about for u in found.unknown] == ["context"]


def test_next_keeps_a_cache(make_model):
    files = {"package.json": '{"scripts": {"start": "next start"}, "dependencies": {"next": "14"}}', "app/page.tsx": "export default 1;\n"}
    found = of(make_model, "FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npx next build\nCMD npm start\n", files)
    assert [(u.path, u.folder) for u in found.written] == [("/app/.next/cache", True)]
    assert found.unknown == ()


def test_go(make_model):
    files = {"go.mod": "module x\n", "main.go": 'package main\nimport "os"\nfunc main() { os.WriteFile("/data/x", nil, 0) }\n'}
    dockerfile = "FROM golang:1.22\nWORKDIR /s\nCOPY . .\nRUN go build -o /go/bin/x .\nCMD /go/bin/x\n"
    found = of(make_model, dockerfile, files)
    assert (found.language, paths(found.written), found.unknown) == ("go", ["/data/x"], ())


def test_other_languages_are_unknown(make_model):
    found = of(make_model, 'FROM eclipse-temurin:17\nWORKDIR /a\nCOPY . .\nENTRYPOINT ["java", "-jar", "x.jar"]\n', {"x.jar": ""})
    assert [u.about for u in found.unknown] == ["program"]


def test_healthcheck_counts_as_a_program(make_model):
    found = python(make_model, "", 'HEALTHCHECK CMD curl -f http://localhost || exit 1\nCMD ["python", "app.py"]')
    assert "curl" in found.programs
    assert found.unknown == ()


def test_nothing_without_a_command(make_model):
    model = make_model("FROM python:3.11\nCOPY . .\n", {"app.py": ""})
    assert application_of(model, model.final) is None


@pytest.mark.parametrize(
    ("package", "files", "built", "source"),
    [
        ('"scripts": {"b": "tsup src/a.ts -d dist"}', {"src/a.ts": ""}, "dist/a.js", "src/a.ts"),
        ('"scripts": {"b": "ncc build lib/x.js -o dist"}', {"lib/x.js": ""}, "dist/index.js", "lib/x.js"),
        ('"scripts": {"b": "babel code -d dist"}', {"code/a.js": ""}, "dist/a.js", "code/a.js"),
        ("", {"tsconfig.json": '{"compilerOptions": {"outDir": "./o", /* c */ "rootDir": "s",}}', "s/d/a.ts": ""}, "o/d/a.js", "s/d/a.ts"),
        ("", {"tsconfig.json": '{"extends": "./b"}', "b": '{"compilerOptions": {"outDir": "o"}}', "src/a.ts": ""}, "o/a.js", "src/a.ts"),
        ("", {"src/deep/a.ts": ""}, "dist/deep/a.js", "src/deep/a.ts"),
        ('"scripts": {"b": "webpack"}', {"webpack.config.js": "x = {entry: './lib/m.js'}", "lib/m.js": ""}, "dist/main.js", "lib/m.js"),
        ("", {"lib/a.ts": ""}, "dist/a.js", None),
        ('"scripts": {"b": "esbuild src/a.ts --outdir=dist"}', {"src/a.ts": ""}, "dist/b.js", None),
    ],
)  # fmt: skip
def test_source_of_a_built_file(make_model, package, files, built, source):
    context = make_model("FROM scratch\n", {"package.json": f"{{{package}}}", **files}).context
    assert source_of(context, built) == source
