"""What packages of conda bring besides files: settings that are made when their environment is entered, and libraries they miss."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Packages that, with all that they depend on, have no script in etc/conda/activate.d: Python, and what is written in Python alone
# or links nothing but what Python links. Source: the recipes of conda-forge's feedstocks. Those of gdal, proj, libxml2, openjdk, the
# compilers, R, CUDA and BLAS have one, and so does whatever depends on them.
_PLAIN = frozenset({
    "python", "pip", "setuptools", "wheel", "flask", "werkzeug", "jinja2", "click", "itsdangerous", "markupsafe", "gunicorn", "uvicorn",
    "fastapi", "starlette", "pydantic", "django", "djangorestframework", "requests", "urllib3", "httpx", "certifi", "idna", "pyyaml",
    "sqlalchemy", "alembic", "redis-py", "celery", "python-dotenv", "rich", "typer", "tqdm", "attrs", "tornado", "bottle", "waitress",
    "python-dateutil", "pytz", "six", "boto3", "botocore", "markdown", "marshmallow", "aiohttp", "flask-cors", "flask-sqlalchemy", "pyjwt",
    "openssl", "ca-certificates", "tzdata", "sqlite",
})  # fmt: skip
GRAPHICAL = re.compile(r"(py-|lib)?opencv|pyqt|pyside|qt|vtk|pyvista|mayavi|kivy|wxpython|open3d|itk|matplotlib$|tk$|pyglet|pygame")
"""Packages that load libraries of X11, which conda leaves to the system."""
LIBRARIES = ("libglib2.0-0", "libsm6", "libxext6", "libxrender1")
"""The Debian packages of those libraries that the images of Miniconda and Anaconda have."""


def sets_nothing(names: Iterable[str]) -> bool:
    """Whether an environment that is asked for these packages is sure to have no script that entering it runs."""
    return all(name in _PLAIN for name in names)
