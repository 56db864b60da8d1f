"""What ``check`` tells of what stays, and what keeps it quiet: names, comments, directives and hadolint's configuration."""

from __future__ import annotations

import pytest

SERVES = 'FROM debian:bookworm\nUSER 1000\nEXPOSE 80\nCMD ["/app"]\n'
TOLD = "no-healthcheck"


def test_check_tells_and_fix_does_only_when_asked(dopt, put):
    put("Dockerfile", SERVES)
    result = dopt("check")
    assert result.exit_code == 0
    assert "3  no-healthcheck  stays: port 80 is served and no HEALTHCHECK looks at it (DL3057)" in result.stdout
    assert "not mended: what a healthy answer is only its author knows" in result.stdout
    assert "1 finding to mend by hand" in result.stdout
    assert TOLD not in dopt("fix", "--diff").output
    assert TOLD in dopt("fix", "-v").output


def test_lines_are_those_of_the_source(dopt, put):
    put("Dockerfile", 'FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\nUSER 1000\nEXPOSE 80\nCMD ["/app"]\n')
    assert "5  no-healthcheck" in " ".join(dopt("check").stdout.split(" ")).replace("    ", " ").replace("  5", "5")


@pytest.mark.parametrize(
    "text",
    [
        f"# dopt: ignore-file\n{SERVES}",
        SERVES.replace("EXPOSE", "# dopt: ignore[no-healthcheck]\nEXPOSE"),
        SERVES.replace("EXPOSE", "# hadolint ignore=DL3057\nEXPOSE"),
        f"# hadolint global ignore=DL3057\n{SERVES}",
    ],
)
def test_a_comment_keeps_it_quiet(dopt, put, text):
    put("Dockerfile", text)
    assert TOLD not in dopt("check").output


@pytest.mark.parametrize("text", [SERVES.replace("EXPOSE", "# dopt: ignore[merge-runs]\nEXPOSE"), f"# check=skip=all\n{SERVES}"])
def test_what_is_about_something_else_does_not(dopt, put, text):
    put("Dockerfile", text)
    assert TOLD in dopt("check").output


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("skip=SecretsUsedInArgOrEnv", False),
        ("skip=JSONArgsRecommended, secretsusedinargorenv;error=true", False),
        ("skip=all", False),
        ("skip=JSONArgsRecommended", True),
        ("error=true", True),
    ],
)
def test_the_directive_skips_checks(dopt, put, value, told):
    put("Dockerfile", f"# check={value}\nFROM debian:bookworm\nENV DB_PASSWORD=a\n")
    assert ("secret-in-variable" in dopt("check").output) is told


def test_names_of_checks_select_and_ignore(dopt, put):
    put("Dockerfile", SERVES.replace(":bookworm", ""))
    assert "unpinned-base" in dopt("check").output
    assert "unpinned-base" not in dopt("check", "--ignore", "unpinned-base").output
    only = dopt("check", "--select", "unpinned-base").output
    assert "unpinned-base" in only
    assert TOLD not in only
    put("dopt.toml", 'ignore = ["no-healthcheck"]\n')
    assert TOLD not in dopt("check").output
    assert "did you mean 'no-healthcheck'?" in dopt("check", "--ignore", "no-healthchek").output


def test_a_refusal_is_the_reason(dopt, put):
    put("Dockerfile", 'FROM debian:bookworm\nCMD ["/srv/app"]\n')
    lines = dopt("check").stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "runs-as-root" in line)
    refusal = next(line for line in dopt("check", "-v").stdout.splitlines() if "insert-user" in line)
    assert lines[at + 1].partition("not mended: ")[2] in refusal


@pytest.mark.parametrize("name", [".hadolint.yaml", "app/.hadolint.yml"])
def test_hadolint_switches_rules_off(dopt, put, name):
    put("app/Dockerfile", SERVES + "RUN mkdir /a\nRUN mkdir /b\n")
    assert dopt("check", "app").exit_code == 1
    put(name, "failure-threshold: warning\nignored:\n  - DL3057\n  - DL3059\n")
    result = dopt("check", "-v", "app")
    assert result.exit_code == 0
    assert TOLD not in result.output
    assert "ignored by the configuration, which switches off DL3059" in result.output


@pytest.mark.parametrize("content", ["", "override:\n  error: [DL3057]\n", "ignored:\n", "trustedRegistries: docker.io\n"])
def test_hadolint_says_nothing_of_it(dopt, put, content):
    put("Dockerfile", SERVES)
    put(".hadolint.yaml", content)
    result = dopt("check")
    assert TOLD in result.output
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ignored: [DL3057\n", ".hadolint.yaml:2:1: no YAML: expected ',' or ']', but got '<stream end>'"),
        ("ignored: DL3057\n", ".hadolint.yaml: 'ignored' must be a list of rules"),
        ("- DL3057\n", ".hadolint.yaml: 'ignored' must be a list of rules"),
    ],
)
def test_a_configuration_of_hadolint_that_is_none(dopt, put, content, said):
    put("Dockerfile", SERVES)
    put(".hadolint.yaml", content)
    result = dopt("check")
    assert result.exit_code == 2
    assert result.stderr.strip().endswith(said)
