"""What configuration files tell a supervisor or a server to start."""

from __future__ import annotations

import pytest

from optimizer.model.configured import Supervised, pm2_scripts, supervisor, uwsgi_words

SUPERVISOR = """\
[supervisord]
nodaemon=true
logfile=/dev/null
pidfile=/run/app.pid ; where the number goes

[program:web]
command=gunicorn --bind :8000 "app:make('x')"
directory=/srv
stdout_logfile=/dev/fd/1
stderr_logfile=/var/log/web.err

[program:beat]
command=python beat.py
"""


def test_programs_and_files_of_a_supervisor() -> None:
    found = supervisor(SUPERVISOR)
    assert found.programs == (
        Supervised(("gunicorn", "--bind", ":8000", "app:make('x')"), "/srv"),
        Supervised(("python", "beat.py"), None),
    )
    assert found.writes == ("/run/app.pid", "/var/log/web.err")
    assert found.unknown is None


def test_a_supervisor_writes_beside_itself_unless_it_is_told_where() -> None:
    assert supervisor("[program:a]\ncommand=a\n").writes == ("supervisord.log", "supervisord.pid")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[include]\nfiles=/etc/more/*.conf\n", "takes in others"),
        ("[program:a]\ncommand=a\nuser=www-data\n", "as another user"),
        ("[program:a]\ncommand=a --port %(ENV_PORT)s\n", "computed"),
        ("[program:a]\ncommand=a 'b\n", "not understood"),
        ("command=a\n", "not understood"),
    ],
)
def test_what_is_not_known_of_a_supervisor(text: str, reason: str) -> None:
    assert reason in (supervisor(text).unknown or "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("module = wsgi:app\nhttp = :8000\nmaster = true\n", ("--module", "wsgi:app", ":8000")),
        ("wsgi-file = app.py\nchdir = /srv\nsocket = 127.0.0.1:3031\n", ("--wsgi-file", "app.py", "--chdir", "/srv", "127.0.0.1:3031")),
        ("module = wsgi\nsocket = /run/app.sock\nlogto = /var/log/app.log\n",
         ("--module", "wsgi", "--socket", "/run/app.sock", "--logto", "/var/log/app.log")),
        ("module = wsgi\nuid = www-data\n", "sets uid"),
        ("module = wsgi\nattach-daemon = celery worker\n", "sets attach-daemon"),
        ("module = %(name)\n", "computes module"),
    ],
)  # fmt: skip
def test_settings_of_uwsgi(text: str, words: tuple[str, ...] | str) -> None:
    assert uwsgi_words(f"[uwsgi]\n{text}") == words


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("module.exports = { apps: [{ name: 'web', script: './server.js', instances: 2 }] };", ("./server.js",)),
        ('{"apps": [{"script": "a.js"}, {"script": "b.cjs", "exec_mode": "fork"}]}', ("a.js", "b.cjs")),
        ("module.exports = { apps: [{ script: process.env.MAIN }] };", "computes what it starts"),
        ("module.exports = { apps: [{ script: 'npm', args: 'start' }] };", "sets args"),
        ("module.exports = { apps: [{ script: 'a.js', out_file: '/var/log/a' }] };", "sets out_file"),
        ("module.exports = require('./apps');", "computes what it starts"),
    ],
)
def test_what_pm2_starts(text: str, scripts: tuple[str, ...] | str) -> None:
    assert pm2_scripts(text) == scripts
