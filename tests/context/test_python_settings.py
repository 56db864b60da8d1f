"""Paths that a Python program takes from its options, from files of settings, and from its own functions."""

from __future__ import annotations

import pytest

from optimizer.context.python_source import python_evidence

# ruff: noqa: E501 - a program a line
YAML = "storage:\n  folder: data/items\n  keep: [one.txt, two.txt]\nlog:\n  handlers:\n    file: {class: logging.FileHandler, filename: logs/a.txt}\n"
SETTINGS = {"conf/settings.yaml": YAML, "conf/settings.toml": '[out]\npath = "out/x.csv"\n', "settings.json": '{"a": {"b": "j.txt"}}'}
PARSER = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('-o', '--out-file', default='d/x.csv')\n"


def read(make_context, source, arguments=(), **others):
    return python_evidence(make_context({"app.py": source, **SETTINGS, **others}), ("app.py",), arguments=arguments)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (
            "import yaml\nwith open('conf/settings.yaml') as f:\n  s = yaml.safe_load(f)\nopen(s['storage']['folder'] + '/x', 'w')",
            {"data/items/x"},
        ),
        (
            "import yaml\ns = yaml.safe_load(open('conf/settings.yaml'))\nfor n in s['storage']['keep']: open(n, 'w')",
            {"one.txt", "two.txt"},
        ),
        (
            "import yaml\ndef load(p='conf/settings.yaml'):\n  with open(p) as f: return yaml.safe_load(f)\nopen(load()['storage']['folder'], 'w')",
            {"data/items"},
        ),
        (
            "import tomllib\nwith open('settings.json') as f: f.read()\nwith open('conf/settings.toml', 'rb') as f:\n s = tomllib.load(f)\nopen(s['out']['path'], 'w')",
            {"out/x.csv"},
        ),
        (
            "import json\nfrom pathlib import Path\ns = json.loads((Path(__file__).parent / 'settings.json').read_text())\nopen(s['a'].get('b', 'z'), 'w')",
            {"j.txt"},
        ),
        ("import json\ns = json.load(open('settings.json'))\nopen(s['a'].get('c', 'z.txt'), 'w')", {"z.txt"}),
        ("import yaml, logging.config\nlogging.config.dictConfig(yaml.safe_load(open('conf/settings.yaml'))['log'])", {"logs/a.txt"}),
        ("import os\ndef path(*parts): return os.path.join('/var/lib/x', *parts)\nopen(path('a', 'b'), 'w')", {"/var/lib/x/a/b"}),
        (
            "def path(name, folder='/srv'): return f'{folder}/{name}'\nopen(path('a'), 'w'); open(path(name='b', folder='/d'), 'w')",
            {"/srv/a", "/d/b"},
        ),
        (f"{PARSER}args = parser.parse_args()\nopen(args.out_file, 'w')", {"d/x.csv"}),
        (f"{PARSER}def main(args): open(args.out_file, 'w')\nmain(parser.parse_args())", {"d/x.csv"}),
        ("import click\n@click.command()\n@click.option('--out', '-o', default='/srv/o')\ndef main(out): open(out, 'w')", {"/srv/o"}),
        ("import typer\napp = typer.Typer()\n@app.command()\ndef main(out: str = typer.Option('/srv/t')): open(out, 'w')", {"/srv/t"}),
    ],
)
def test_known(make_context, source, written):
    found = read(make_context, source)
    assert {place.path for place in found.written} == written
    assert found.unknown_about("write") == ()


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (("app.py", "--out-file", "/data/y.csv"), {"/data/y.csv"}),
        (("app.py", "--out-file=/data/z.csv"), {"/data/z.csv"}),
        (("app.py", "-o", "/data/s.csv"), {"/data/s.csv"}),
        (("app.py", "--verbose"), {"d/x.csv"}),
    ],
)
def test_what_the_command_gives(make_context, arguments, written):
    found = read(make_context, f"{PARSER}args = parser.parse_args()\nopen(args.out_file, 'w')", arguments)
    assert {place.path for place in found.written} == written
    assert found.unknown_about("write") == ()


@pytest.mark.parametrize(
    "source",
    [
        "import yaml\ns = yaml.safe_load(open('other.yaml'))\nopen(s['storage']['folder'], 'w')",
        "import yaml\ns = yaml.safe_load(open('conf/settings.yaml'))\nopen(s['storage'][name], 'w')",
        "import yaml\ns = yaml.safe_load(open('conf/settings.yaml'))\nopen(s['missing'], 'w')",
        "import yaml, sys\ns = yaml.safe_load(open(sys.argv[1]))\nopen(s['storage']['folder'], 'w')",
        "import yaml\ns = yaml.safe_load(open('conf/settings.yaml'))\ns = other(s)\nopen(s['storage']['folder'], 'w')",
        "def path(name): yield name\nopen(path('a'), 'w')",
        "@wrapped\ndef path(name): return name\nopen(path('a'), 'w')",
        "def path(name): return name\ndef path(name): return name + 'x'\nopen(path('a'), 'w')",
        "def path(name): return path(name)\nopen(path('a'), 'w')",
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('out')\nargs = parser.parse_args()\nopen(args.out, 'w')",
        f"{PARSER}parser.set_defaults(out_file=name)\nargs = parser.parse_args()\nopen(args.out_file, 'w')",
        f"{PARSER}def main(record): open(record.out_file, 'w')",
        "import click\n@click.command()\n@click.argument('out')\ndef main(out): open(out, 'w')",
    ],
)
def test_unknown(make_context, source):
    assert read(make_context, source).unknown_about("write")


def test_computed_argument(make_context):
    found = read(make_context, f"{PARSER}args = parser.parse_args()\nopen(args.out_file, 'w')", ("app.py", "-o", None))
    assert found.unknown_about("write")


def test_settings_of_another_module(make_context):
    config = "import toml\nCONFIG = toml.load('conf/settings.toml')\ndef path(*parts): return '/'.join(parts)\n"
    found = read(make_context, "from config import CONFIG, path\nopen(path('/srv', CONFIG['out']['path']), 'w')", **{"config.py": config})
    assert {place.path for place in found.written} == {"/srv/out/x.csv"}
    assert found.loaded == ("conf/settings.toml",)


def test_functions_that_call_themselves_often(make_context):
    """Following stops at some number of calls, so that it ends."""
    found = read(make_context, "def path(n): return path(n) + path(n) + path(n) + path(n) + path(n)\nopen(path('a'), 'w')")
    assert found.unknown_about("write")
