"""Django settings that name files."""

from __future__ import annotations

import pytest

from optimizer.context.django import Database, django_settings
from optimizer.context.places import Place

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
BASE = "import os\nfrom pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent.parent\n"
SQLITE = "django.db.backends.sqlite3"


def read(make_context, settings, environment=None, **others):
    return django_settings(make_context({"manage.py": MANAGE, "shop/settings.py": BASE + settings, **others}), environment=environment)


def test_the_usual_settings(make_context):
    found = read(
        make_context,
        "if 'H' in os.environ:\n DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'HOST': os.environ['H']}}\n"
        f"else:\n DATABASES = {{'default': {{'ENGINE': '{SQLITE}', 'NAME': BASE_DIR / 'db.sqlite3'}}}}\n"
        "STATIC_URL = '/static/'\nSTATIC_ROOT = BASE_DIR / 'staticfiles'\nMEDIA_ROOT = os.path.join(BASE_DIR, 'media')\n"
        "LOGGING = {'handlers': {'f': {'class': 'logging.handlers.RotatingFileHandler', 'filename': '/var/log/x.log'}}}\n",
    )
    assert found is not None
    assert found.file == "shop/settings.py"
    assert (found.static_root, found.media_root) == (Place("context", "staticfiles"), Place("context", "media"))
    assert found.static_url == "/static/"
    assert found.databases == (Database("django.db.backends.postgresql", None), Database(SQLITE, Place("context", "db.sqlite3")))
    assert found.logs == (Place("absolute", "/var/log/x.log"),)
    assert found.unknown == ()


def test_what_is_not_set_is_none_and_not_unknown(make_context):
    found = read(make_context, "DEBUG = False\n")
    assert found is not None
    assert (found.static_root, found.media_root, found.static_url, found.databases, found.unknown) == (None, None, None, (), ())


@pytest.mark.parametrize("value", ["os.environ['S']", "compute()", "BASE_DIR.parent / 'x'", "'/a' if DEBUG else '/b'"])
def test_a_computed_setting_is_unknown(make_context, value):
    found = read(make_context, f"STATIC_ROOT = {value}\n")
    assert found is not None
    assert found.static_root is None
    assert [item.what for item in found.unknown] == ["computes STATIC_ROOT"]


@pytest.mark.parametrize(
    ("settings", "databases"),
    [
        (
            "import dj_database_url\nDATABASES = {'default': dj_database_url.config(default='sqlite:////data/x.db')}",
            [("sqlite3", "/data/x.db")],
        ),
        ("DATABASES = {}\nDATABASES['default'] = env.db('U', default='postgres://x')", [("postgres", None)]),
        ("DATABASES = {'default': env.db()}", [(None, None)]),
        ("DATABASES = load()", [(None, None)]),
        (f"DATABASES = {{'default': {{'ENGINE': '{SQLITE}', 'NAME': ':memory:'}}}}", [(SQLITE, None)]),
    ],
)
def test_databases(make_context, settings, databases):
    found = read(make_context, settings)
    assert found is not None
    assert [(one.engine, one.place.path if one.place else None) for one in found.databases] == databases


def test_settings_in_parts(make_context):
    files = {
        "src/manage.py": MANAGE.replace("shop.settings", "shop.settings.production"),
        "src/shop/settings/base.py": BASE + "STATIC_ROOT = BASE_DIR / 'static'\nMEDIA_ROOT = '/media'\n",
        "src/shop/settings/production.py": "from .base import *\nMEDIA_ROOT = '/srv/media'\n",
    }
    found = django_settings(make_context(files))
    assert found is not None
    assert found.file == "src/shop/settings/production.py"
    assert found.static_root == Place("context", "src/shop/static")
    assert found.media_root == Place("absolute", "/srv/media")


def test_environment_variables_choose(make_context):
    environment = {"DJANGO_SETTINGS_MODULE": "shop.live", "S": "/srv/static"}
    found = read(make_context, "", environment, **{"shop/live.py": "import os\nSTATIC_ROOT = os.environ['S']"})
    assert found is not None
    assert (found.file, found.static_root) == ("shop/live.py", Place("absolute", "/srv/static"))


def test_wsgi_names_the_settings_too(make_context):
    found = django_settings(make_context({"shop/wsgi.py": MANAGE, "shop/settings.py": "STATIC_ROOT = '/s'"}))
    assert found is not None
    assert found.static_root == Place("absolute", "/s")


@pytest.mark.parametrize("files", [{}, {"manage.py": "print()"}, {"manage.py": MANAGE}, {"app.py": MANAGE, "shop/settings.py": ""}])
def test_other_projects_have_no_settings(make_context, files):
    assert django_settings(make_context(files)) is None


def test_settings_that_cannot_be_parsed_are_unknown(make_context):
    found = read(make_context, "x = (\n")
    assert found is not None
    assert [item.about for item in found.unknown] == ["syntax"]
