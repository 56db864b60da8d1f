"""The library as a program uses it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

import optimizer
from optimizer.context.folder import ContextError

SOURCE = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n"
MERGED = "FROM debian:bookworm\nRUN mkdir /a \\\n    && mkdir /b\n"


def test_text_and_bytes() -> None:
    assert optimizer.optimize(SOURCE).text == MERGED
    assert optimizer.optimize(SOURCE.encode()).text == MERGED
    assert optimizer.optimize(optimizer.parse(SOURCE)).text == MERGED


def test_bytes_that_are_no_utf8_are_kept() -> None:
    result = optimizer.optimize(b"FROM a\nLABEL x=\xff\xfe\nRUN mkdir /a\nRUN mkdir /b\n")
    assert b"LABEL x=\xff\xfe\n" in optimizer.encode(result.text)
    assert result.changed


def test_a_dockerfile_parser_in_memory_and_back() -> None:
    parser = DockerfileParser(fileobj=BytesIO(SOURCE.encode()))
    result = optimizer.optimize(parser)
    assert result.text == MERGED
    assert parser.content == SOURCE, "the parser that was given is not changed"
    again = result.dockerfile_parser()
    assert again.content == MERGED
    assert [entry["instruction"] for entry in again.structure] == ["FROM", "RUN"]


def test_a_dockerfile_parser_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(SOURCE)
    result = optimizer.optimize(DockerfileParser(str(tmp_path)))
    assert result.text == MERGED
    assert (tmp_path / "Dockerfile").read_text() == SOURCE
    result.dockerfile_parser(str(tmp_path / "other"))
    assert (tmp_path / "other").read_text() == MERGED


def test_a_result_tells_everything() -> None:
    result = optimizer.optimize(SOURCE + "USER app\nRUN umask 077\nRUN touch c\n")
    (rewrite,) = result.rewrites
    assert (rewrite.pass_name, rewrite.lines, rewrite.safety) == ("merge-runs", (2, 3), optimizer.Safety.SAFE)
    assert rewrite.evidence
    (refusal,) = result.refusals
    assert (refusal.pass_name, refusal.line) == ("merge-runs", 6)
    assert "umask" in refusal.reason
    assert result.diff("Dockerfile").startswith("--- a/Dockerfile\n+++ b/Dockerfile\n")


def test_a_dockerfile_that_buildkit_rejects_comes_back_as_it_is() -> None:
    result = optimizer.optimize("FROM a\nRUN x\nRUM y\n")
    assert not result.changed
    (problem,) = result.problems
    assert (problem.line, problem.column) == (3, 1)
    assert problem.message.startswith("unknown instruction: RUM")


def test_without_a_context_an_assumption_is_not_made() -> None:
    source = "FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN pip install --no-cache-dir -r requirements.txt\n"
    result = optimizer.optimize(source)
    assert not result.changed
    assert any(refusal.available for refusal in result.refusals)
    unsafe = optimizer.optimize(source, config=optimizer.Options(unsafe=True))
    assert unsafe.rewrites[0].assumption
    assert "COPY requirements.txt .\n" in unsafe.text


def test_what_is_neither_text_nor_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        optimizer.optimize(12)  # type: ignore[arg-type]
    with pytest.raises(ContextError):
        optimizer.optimize(SOURCE, context=tmp_path / "absent")
