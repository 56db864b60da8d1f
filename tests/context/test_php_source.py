"""What PHP source writes and starts, as far as that can be known."""

from __future__ import annotations

import pytest

from optimizer.context.php_source import PhpEvidence, php_evidence

from .conftest import MakeContext


def read(make_context: MakeContext, source: str, **environment: str) -> PhpEvidence:
    return php_evidence(make_context({"src/a.php": f"<?php\n{source}\n"}), ["src/a.php"], ".", environment)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("file_put_contents(__DIR__ . '/data/x.txt', $a, FILE_APPEND);", ["src/data/x.txt"]),
        ('$dir = getenv("DATA") ?: "/data"; move_uploaded_file($t, "$dir/up/" . basename($n));', ["/data/up"]),
        ("define('LOGS', dirname(__DIR__) . '/logs'); error_log('x', 3, LOGS . '/a.log');", ["logs/a.log"]),
        ("new PDO('sqlite:' . __DIR__ . '/../db/a.sqlite');", ["db/a.sqlite"]),
        ("$f = fopen('cache/' . $key, 'wb');", ["cache"]),
        ("class A { const D = '/var/a'; function f() { mkdir(self::D . '/b', 0777, true); } }", ["/var/a/b"]),
        ("class A { private $p; function __construct() { $this->p = '/b'; } function w() { touch($this->p . '/c'); } }", ["/b/c"]),
        ("\\file_put_contents(storage_path('app/x.txt'), 1);", ["storage/app/x.txt"]),
        ("$request->file('a')->move(public_path('up'), $n);", ["public/up"]),
        ("new StreamHandler('/logs/app.log', Level::Info);", ["/logs/app.log"]),
        ("// unlink($x)\n# rmdir($x)\n/* touch($x) */ $s = 'touch($x)';", []),
        ("fopen($_GET['a'], 'r'); fopen('php://output', 'w'); $o->copy($x); curl_exec($c); imagepng($im);", []),
        ("$t = tempnam(sys_get_temp_dir(), 'x'); file_put_contents($t, 1);", []),
        ("?> <p>unlink($x)</p> <?php echo 1;", []),
        ("$s = <<<'TEXT'\n  unlink($x);\n  TEXT;\nunlink('a');", ["a"]),
    ],
)
def test_what_is_written(make_context: MakeContext, source: str, written: list[str]) -> None:
    found = read(make_context, source)
    assert [place.path for place in found.written] == written
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("source", "about"),
    [
        ("file_put_contents($_POST['file'], 'x');", "write"),
        ("function f($file) { return fopen($file, 'w'); }", "write"),
        ("fopen('a', $mode); unlink($x);", "write"),
        ("new PDO($dsn);", "write"),
        ("exec($_GET['tool'] . ' -v');", "program"),
        ("new Process([$tool, '-v']);", "program"),
    ],
)
def test_what_is_computed(make_context: MakeContext, source: str, about: str) -> None:
    assert about in [item.about for item in read(make_context, source).unknown]


@pytest.mark.parametrize(
    ("source", "programs"),
    [
        ("exec('convert a.png b.png', $out);", ("convert",)),
        ('shell_exec("git -C $x log | wc -l");', ("git", "wc")),
        ("new Process(['ls', '-l']);", ("ls",)),
        ("echo `date`;", ("date",)),
        ("$pdo->exec('drop'); curl_exec($c); $this->system('x');", ()),
    ],
)
def test_what_is_started(make_context: MakeContext, source: str, programs: tuple[str, ...]) -> None:
    found = read(make_context, source)
    assert found.programs == programs
    assert found.unknown == ()


def test_variables_of_the_image_count_and_owners_are_root_s(make_context: MakeContext) -> None:
    assert [p.path for p in read(make_context, "touch(getenv('OUT') ?: 'a');", OUT="/data/b").written] == ["/data/b"]
    assert read(make_context, "chown('a', 'b');").root == ("src/a.php:2 uses chown",)
