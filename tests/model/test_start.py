"""What a container starts."""

from __future__ import annotations

import pytest

from optimizer.model.start import start_of

NODE_FILES = {
    "package.json": '{"main": "lib/main.js", "scripts": {"prestart": "node check.js", "start": "npm run serve -- --port 1",'
    ' "serve": "NODE_ENV=production node dist/server.js", "up": "next start"}}',
    "check.js": "",
    "src/index.ts": "",
    "lib/main.js": "",
}
PYTHON_FILES = {
    "app.py": "", "main.py": "", "manage.py": "", "shop/__init__.py": "", "shop/wsgi.py": "", "shop/celery.py": "", "shop/__main__.py": "",
    "src/inner/web.py": "", "gunicorn.conf.py": "",
    "pyproject.toml": '[project]\nname = "x"\n[project.scripts]\nserve-it = "shop.wsgi:main"\n',
}  # fmt: skip


def of(make_model, tail, files, image="python:3.11-slim"):
    model = make_model(f"FROM {image}\nWORKDIR /app\nCOPY . .\n{tail}\n", files)
    return start_of(model, model.final)


@pytest.mark.parametrize(
    ("tail", "entries"),
    [
        ('CMD ["python", "app.py"]', ("app.py",)),
        ("CMD python -u /app/app.py --port 80", ("app.py",)),
        ('ENTRYPOINT ["python3"]\nCMD ["app.py"]', ("app.py",)),
        ("CMD exec python app.py", ("app.py",)),
        ("CMD cd shop && python ../app.py", ("app.py",)),
        ("CMD A=b python app.py", ("app.py",)),
        ('CMD ["python", "-m", "shop"]', ("shop/__main__.py",)),
        ('CMD ["python", "-m", "gunicorn", "shop.wsgi:application"]', ("shop/wsgi.py", "gunicorn.conf.py")),
        ('CMD ["gunicorn", "-b", "0.0.0.0:80", "--workers=2", "shop.wsgi"]', ("shop/wsgi.py", "gunicorn.conf.py")),
        ("CMD gunicorn shop.wsgi --bind 0.0.0.0:80", ("shop/wsgi.py", "gunicorn.conf.py")),
        ("CMD gunicorn --bind :$PORT 'shop:create()'", ("shop/__init__.py", "gunicorn.conf.py")),
        ('CMD ["uvicorn", "main:app", "--host", "0.0.0.0"]', ("main.py",)),
        ('CMD ["uvicorn", "web:app", "--app-dir", "src/inner"]', ("src/inner/web.py",)),
        ('CMD ["uvicorn", "inner.web:app"]', ("src/inner/web.py",)),
        ('ENV FLASK_APP=main.py\nCMD ["flask", "run", "--host=0.0.0.0"]', ("main.py",)),
        ('CMD ["flask", "run"]', ("app.py",)),
        ('CMD ["flask", "--app", "shop", "run"]', ("shop/__init__.py",)),
        ('CMD ["celery", "-A", "shop", "worker"]', ("shop/__init__.py",)),
        ("CMD python manage.py migrate && gunicorn shop.wsgi", ("manage.py", "shop/wsgi.py", "gunicorn.conf.py")),
        ('CMD ["fastapi", "run"]', ("main.py",)),
        ('CMD ["streamlit", "run", "main.py"]', ("main.py",)),
        ('ENTRYPOINT ["tini", "-g", "--", "python", "app.py"]', ("app.py",)),
        ('CMD ["sh", "-c", "python app.py"]', ("app.py",)),
        ('CMD ["poetry", "run", "python", "app.py"]', ("app.py",)),
        ('CMD ["serve-it"]', ("shop/wsgi.py",)),
        ("ENV HERE=/app\nCMD python $HERE/app.py", ("app.py",)),
    ],
)
def test_python(make_model, tail, entries):
    start = of(make_model, tail, PYTHON_FILES)
    assert start is not None
    assert (start.language, start.entries, start.unknown) == ("python", entries, ())


@pytest.mark.parametrize(
    "tail",
    [
        'CMD ["python", "-c", "import app"]',
        "CMD python $WHICH",
        'CMD ["python", "other.py"]',
        'CMD ["gunicorn", "else.where:app"]',
        'CMD ["gunicorn", "-c", "gunicorn.conf.py"]',
        'CMD ["uwsgi", "--ini", "uwsgi.ini"]',
        'CMD ["celery", "worker"]',
        'CMD ["./run.sh"]',
        'ENTRYPOINT ["bash", "/missing.sh"]',
        "CMD $PROGRAM",
        'CMD eval "$(cat x)"',
        'CMD python "app.py" )',
    ],
)
def test_unknown(make_model, tail):
    start = of(make_model, tail, PYTHON_FILES)
    assert start is not None
    assert start.unknown


def test_entrypoint_of_an_unknown_image_is_unknown(make_model):
    start = of(make_model, 'CMD ["python", "app.py"]', PYTHON_FILES, "example.org/own/base:1")
    assert start is not None
    assert start.unknown == ("the ENTRYPOINT of the base image is not known",)
    start = of(make_model, 'ENTRYPOINT ["python", "app.py"]', PYTHON_FILES, "example.org/own/base:1")
    assert start is not None
    assert start.unknown == ()


@pytest.mark.parametrize(
    ("tail", "entries"),
    [
        ("CMD npm start", ("check.js", "/app/dist/server.js")),
        ('CMD ["npm", "run", "serve"]', ("/app/dist/server.js",)),
        ('CMD ["yarn", "serve"]', ("/app/dist/server.js",)),
        ('CMD ["pnpm", "--silent", "run", "serve"]', ("/app/dist/server.js",)),
        ('CMD ["node", "lib/main.js"]', ("lib/main.js",)),
        ('CMD ["node", "lib/main"]', ("lib/main.js",)),
        ('CMD ["node", "."]', ("lib/main.js",)),
        ('CMD ["node", "--require", "x", "--max-old-space-size=100", "dist/main"]', ("/app/dist/main.js",)),
        ('CMD ["npx", "ts-node", "src/index.ts"]', ("src/index.ts",)),
        ('CMD ["lib/main.js"]', ("lib/main.js",)),
        ('ENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["node", "check.js"]', ("check.js",)),
        ('CMD ["npm", "run", "up"]', ()),
    ],
)
def test_node(make_model, tail, entries):
    start = of(make_model, tail, NODE_FILES, "node:20")
    assert start is not None
    assert start.entries == entries
    assert start.language == "node"
    assert start.unknown == ()


RUNNING = (
    '{"scripts": {"start": "run-p start:*", "start:web": "node web.js", "start:work": "node work.js", "start:work:slow": "node slow.js",'
    ' "all": "npm-run-all -s start:**", "prefix": "concurrently \'npm:start:w*\' \'node slow.js\'", "computed": "run-p $WHICH"}}'
)


@pytest.mark.parametrize(
    ("script", "entries"),
    [
        ("start", ("web.js", "work.js")),
        ("all", ("web.js", "work.js", "slow.js")),
        ("prefix", ("web.js", "work.js", "slow.js")),
    ],
)
def test_scripts_by_pattern(make_model, script, entries):
    files = {"package.json": RUNNING, "web.js": "", "work.js": "", "slow.js": ""}
    start = of(make_model, f"CMD npm run {script}", files, "node:20")
    assert start is not None
    assert (start.entries, start.unknown) == (entries, ())
    start = of(make_model, "CMD npm run computed", files, "node:20")
    assert start is not None
    assert start.unknown == ("which scripts run-p starts is not known",)


@pytest.mark.parametrize(
    "command",
    [
        "dotenv -e .env.local -- node lib/main.js", "dotenv -e .env.local node lib/main.js", "env-cmd -f .env.local node lib/main.js",
        "dotenvx run -f .env.local -- node lib/main.js", "env-cmd .env node lib/main.js", "yarn node lib/main.js",
    ],
)  # fmt: skip
def test_commands_that_set_variables_of_files(make_model, command):
    start = of(make_model, f"CMD {command}", NODE_FILES, "node:20")
    assert start is not None
    assert (start.entries, start.language, start.unknown) == (("lib/main.js",), "node", ())


def test_npm_run_without_that_script_is_unknown(make_model):
    start = of(make_model, "CMD npm run nothing", NODE_FILES, "node:20")
    assert start is not None
    assert start.unknown == ("package.json has no script nothing",)


def test_entrypoint_script_passes_the_command_on(make_model):
    script = '#!/bin/sh\nset -e\nlog() { date; }\nlog x\nif [ "$1" = web ]; then set -- python main.py; fi\n' \
        'python manage.py migrate > /app/log.txt 2>&1\ncp a /etc/b\nexec "$@"\n'  # fmt: skip
    start = of(make_model, 'ENTRYPOINT ["./docker/start.sh"]\nCMD ["python", "app.py"]', {**PYTHON_FILES, "docker/start.sh": script})
    assert start is not None
    assert start.scripts == ("docker/start.sh",)
    assert start.entries == ("manage.py", "app.py", "main.py")
    assert start.unknown == ()
    assert [c.writes for c in start.commands if c.writes] == [("/app/log.txt",)]
    assert {"start.sh", "python", "cp", "date"} == set(start.programs)


def test_script_in_the_path_with_windows_line_ends(make_model):
    model = make_model(
        'FROM python:3.11\nCOPY run.sh /usr/local/bin/\nWORKDIR /w\nCOPY app.py .\nENTRYPOINT ["run.sh"]\n',
        {"run.sh": "#!/bin/bash\r\nexec gosu app python app.py\r\n", "app.py": ""},
    )
    start = start_of(model, model.final)
    assert start is not None
    assert start.scripts == ("run.sh",)
    assert start.programs == ("run.sh", "gosu", "python")
    assert start.entries == ("app.py",)


def test_entrypoint_and_command_of_the_stage_below(make_model):
    model = make_model(
        'FROM python:3.11 AS base\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["python"]\nCMD ["app.py"]\nFROM base\nCMD ["main.py"]\n',
        PYTHON_FILES,
    )
    start = start_of(model, model.final)
    assert start is not None
    assert start.entries == ("main.py",)


def test_nothing_said_is_none(make_model):
    assert of(make_model, "RUN true", PYTHON_FILES) is None


def test_compiled_program(make_model):
    model = make_model(
        "FROM golang:1.22 AS build\nWORKDIR /src\nCOPY . .\nRUN go build -o /out/tool .\n"
        'FROM scratch\nCOPY --from=build /out/tool /bin/tool\nENTRYPOINT ["/bin/tool", "serve"]\n',
        {"go.mod": "module x\n", "main.go": "package main\n"},
    )
    start = start_of(model, model.final)
    assert start is not None
    assert (start.language, start.entries) == ("go", ("/bin/tool",))


def test_jar(make_model):
    start = of(make_model, 'ENTRYPOINT ["java", "-Xmx1g", "-jar", "app.jar"]', {"pom.xml": ""}, "eclipse-temurin:17-jre")
    assert start is not None
    assert (start.language, start.entries) == ("java", ("/app/app.jar",))


def test_scripts_that_start_each_other_end(make_model):
    start = of(make_model, 'CMD ["sh", "a.sh"]', {"a.sh": "sh b.sh\n", "b.sh": "sh a.sh\n"})
    assert start is not None
    assert start.scripts == ("a.sh", "b.sh")
