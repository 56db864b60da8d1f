"""BuildKit's own words for what it rejects, as ``docker build`` prints them behind "dockerfile parse error on line N:"."""

from __future__ import annotations

import pytest

from optimizer.syntax import parse


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the Dockerfile cannot be empty"),
        ("\n", 1, "file with no instructions"),
        ("# a\n", 1, "file with no instructions"),
        ("ARG A\n", 1, "dockerfile contains no stages to build"),
        ("RUN a\n", 1, "no build stage in current context"),
        ("ARG A\n\nWORKDIR /\nFROM a\n", 3, "no build stage in current context"),
        ("FRM a\n", 1, "unknown instruction: FRM (did you mean FROM?)"),
        ("FROM a\nrunn b\n", 2, "unknown instruction: runn (did you mean run?)"),
        ("FROM a\n\\\n  RUNN b\n", 2, "unknown instruction: RUNN (did you mean RUN?)"),
        ("FROM a\nXYZZY b\n", 2, "unknown instruction: XYZZY"),
        ("FROM a b\n", 1, "FROM requires either one or three arguments"),
        ("FROM\n", 1, "FROM requires either one or three arguments"),
        ("FROM a as\n", 1, "FROM requires either one or three arguments"),
        ("FROM a b c\n", 1, "FROM requires either one or three arguments"),
        ("FROM a AS 1bad\n", 1, 'invalid name for build stage: "1bad", name can\'t start with a number or contain symbols'),
        ("FROM a AS Bad/x\n", 1, 'invalid name for build stage: "Bad/x", name can\'t start with a number or contain symbols'),
        ("FROM --platform a\n", 1, "missing a value on flag: --platform"),
        ("FROM a\nCOPY --chwn=a b c\n", 2, "unknown flag: --chwn (did you mean chown?)"),
        ("FROM a\nRUN --mont=a b\n", 2, "unknown flag: --mont (did you mean mount?)"),
        ("FROM a\nENV --a=b c=d\n", 2, "unknown flag: --a"),
        ("FROM a\nCOPY --from=a --from=b c d\n", 2, "duplicate flag specified: --from"),
        ("FROM a\nCOPY --link=x c d\n", 2, "expecting boolean value for flag --link, not: x"),
        ("FROM a\nCOPY --link= c d\n", 2, "missing a value on flag: --link"),
        ("FROM a\nCOPY\n", 2, "COPY requires at least two arguments, but only one was provided. Destination could not be determined"),
        ("FROM a\nADD b\n", 2, "ADD requires at least two arguments, but only one was provided. Destination could not be determined"),
        ("FROM a\nCOPY b <<E\nE\n", 2, "COPY cannot accept a heredoc as a destination"),
        ("FROM a\nENV\n", 2, "ENV requires at least one argument"),
        ("FROM a\nENV A\n", 2, "ENV must have two arguments"),
        ("FROM a\nLABEL b\n", 2, "LABEL must have two arguments"),
        ("FROM a\nENV A=b c\n", 2, 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ("FROM a\nENV =b\n", 2, "ENV names can not be blank"),
        ("FROM a\nARG =b\n", 2, "ARG names can not be blank"),
        ("FROM a\nARG\n", 2, "ARG requires at least one argument"),
        ("FROM a\nRUN <<E\nb\n", 2, "unterminated heredoc"),
        ("FROM a\nONBUILD RUN <<E\nb\n", 2, "unterminated heredoc"),
        ("# escape=x\nFROM a\n", 1, "invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`\nFROM a\n", 2, "only one escape parser directive can be used"),
        ("# syntax=a\n# SYNTAX = b\nFROM a\n", 2, "only one syntax parser directive can be used"),
        ("FROM a\nHEALTHCHECK\n", 2, "HEALTHCHECK requires at least one argument"),
        ("FROM a\nHEALTHCHECK foo\n", 2, 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ("FROM a\nHEALTHCHECK CMD\n", 2, "Missing command after HEALTHCHECK CMD"),
        ("FROM a\nHEALTHCHECK CMD []\n", 2, "Missing command after HEALTHCHECK CMD"),
        ("FROM a\nHEALTHCHECK NONE b\n", 2, "HEALTHCHECK NONE takes no arguments"),
        ("FROM a\nHEALTHCHECK --retries=x CMD b\n", 2, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("FROM a\nHEALTHCHECK --retries=-1 CMD b\n", 2, "--retries cannot be negative (-1)"),
        ("FROM a\nONBUILD\n", 2, "ONBUILD requires at least one argument"),
        ("FROM a\nONBUILD ONBUILD RUN b\n", 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("FROM a\nONBUILD FROM b\n", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nONBUILD MAINTAINER b\n", 2, "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("FROM a\nONBUILD ENV B\n", 2, "ENV must have two arguments"),
        ("FROM a\nSHELL b\n", 2, "SHELL requires the arguments to be in JSON form"),
        ("FROM a\nSHELL []\n", 2, "SHELL requires at least one argument"),
        ('FROM a\nCMD ["b", 1]\n', 2, "when using JSON array syntax, arrays must be comprised of strings only"),
        ('FROM a\nHEALTHCHECK CMD ["b", null]\n', 2, "when using JSON array syntax, arrays must be comprised of strings only"),
        ("FROM a\nWORKDIR\n", 2, "WORKDIR requires exactly one argument"),
        ("FROM a\nUSER\n", 2, "USER requires exactly one argument"),
        ("FROM a\nEXPOSE\n", 2, "EXPOSE requires at least one argument"),
        ("FROM a\nVOLUME []\n", 2, "VOLUME requires at least one argument"),
        ('FROM a\nVOLUME [""]\n', 2, "VOLUME specified can not be an empty string"),
        ("FROM a\nRUN --mount=type=foo b\n", 2, 'unsupported mount type "foo"'),
        ("FROM a\nRUN --mount=type=cach,target=/c b\n", 2, 'unsupported mount type "cach" (did you mean cache?)'),
        ("FROM a\nRUN --mount=type=cache,targe=/c b\n", 2, "unexpected key 'targe' in 'targe=/c' (did you mean target?)"),
        ("FROM a\nRUN --mount=type=cache,sharing=x,target=/c b\n", 2, 'unsupported sharing value "x"'),
        ("FROM a\nRUN --mount=from=$x,target=/c b\n", 2, "'from' doesn't support variable expansion, define alias stage instead"),
        ("FROM a\nRUN --mount=type=cache,uid=x,target=/c b\n", 2, "invalid value x for uid"),
        ("FROM a\nRUN --mount b\n", 2, "missing a value on flag: --mount"),
        ("FROM a\nRUN --network=x b\n", 2, 'invalid network mode "x"'),
    ],
)
def test_message(text: str, line: int, message: str) -> None:
    first = parse(text).problems[0]
    assert (first.line, first.message) == (line, message)


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\n",
        "ARG A=b\nFROM $A\n",
        "FROM a AS b\nFROM a AS b\n",  # the later one wins
        "FROM a\nRUN\nCMD\nENTRYPOINT\n",
        "FROM a\nONBUILD RUNN b\n",  # triggers are read by the build that starts from this one
        "FROM a\nONBUILD COPY b\n",
        "FROM a\nARG --b=c D\nSTOPSIGNAL --b=c 9\n",
        "FROM a\nCOPY -- b c\n",
        "FROM a\nCMD [NaN]\n",
        "FROM a\nWORKDIR /b c\nUSER b c\n",
        "FROM a\nHEALTHCHECK --x=y NONE\n",
        "# unknown=a\n# unknown=b\n# escape=`\n# escape=`\nFROM a\n",
        "FROM a\n# escape=`\n# escape=`\n",
        'FROM a\nRUN --mount=type=$T,target=/c --mount=target=/b,rw,\\"source=x,y\\" b\n',
        "FROM a\nRUN --mount=type=cache,target=/a --mount=type=cache,target=/b --device=c --device=d e\n",
        "FROM a\nCOPY --exclude=b --exclude=c --parents d e\n",
        "from a as b\ncopy --from=b c d\n",
        "FROM a\nEXPOSE 80 443/udp 1-2\n",
        'FROM a\nENV "A=b"=c D=\n',
    ],
)
def test_nothing_wrong(text: str) -> None:
    assert parse(text).problems == ()


def test_every_problem_is_listed_in_order_with_its_column() -> None:
    problems = parse("FROM a\n\n  RUNN b\nCOPY c\nRUN d\n").problems
    assert [(p.line, p.column, p.message.split()[0]) for p in problems] == [(3, 3, "unknown"), (4, 1, "COPY")]
