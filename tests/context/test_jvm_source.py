"""What Java and Kotlin source writes, as far as that can be known."""

from __future__ import annotations

import pytest

from optimizer.context.jvm_source import jvm_evidence

from .conftest import MakeContext

JAVA = "class A { %s void f(Path given) throws Exception { %s } }"
KOTLIN = "fun main() { %s }"


@pytest.mark.parametrize(
    ("name", "source", "written"),
    [
        ("A.java", JAVA % ("", 'new FileWriter("a.log", true);'), ["a.log"]),
        ("A.java", JAVA % ('static final String LOG = "/logs/a";', "new FileOutputStream(LOG);"), ["/logs/a"]),
        ("A.java", JAVA % ("", 'Path p = Paths.get("data", "x"); Files.writeString(p.resolve("y"), "z");'), ["data/x/y"]),
        ("A.java", JAVA % ("", 'new File("data").mkdirs();'), ["data"]),
        ("A.java", JAVA % ("", 'Files.createDirectories(Path.of("/var/lib/a").toAbsolutePath());'), ["/var/lib/a"]),
        ("A.java", JAVA % ("", 'new PrintWriter(new File("a"), "UTF-8");'), ["a"]),
        ("A.java", JAVA % ("", 'DriverManager.getConnection("jdbc:sqlite:/data/a.db");'), ["/data/a.db"]),
        ("A.java", JAVA % ("", "new PrintWriter(socket.getOutputStream()); new PrintStream(System.out);"), []),
        ("A.java", JAVA % ("", 'OutputStream out = s.open(); new PrintWriter(out); Files.createTempFile("a", "b");'), []),
        ("A.java", JAVA % ("", 'new RandomAccessFile("a", "r"); Files.readString(given); new FileReader(given);'), []),
        ("A.java", JAVA % ("", '// new FileWriter(given);\n String s = "new FileWriter(given)";'), []),
        ("A.java", JAVA % ("", 'DriverManager.getConnection("jdbc:h2:mem:a");'), []),
        ("A.kt", KOTLIN % 'File("notes.txt").appendText("one")', ["notes.txt"]),
    ],
)
def test_what_is_written(make_context: MakeContext, name: str, source: str, written: list[str]) -> None:
    found = jvm_evidence(make_context({name: source}), [name])
    assert [place.path for place in found.written] == written
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("A.java", JAVA % ("", "new FileWriter(given.toFile());")),
        ("A.java", JAVA % ('String log = "a";', 'log = System.getenv("B"); new FileOutputStream(log);')),
        ("A.java", JAVA % ('String log = "a";', "other.log = given.toString(); new FileOutputStream(log);")),
        ("A.java", JAVA % ('String given = "a";', "Files.delete(given);")),
        ("A.java", JAVA % ("", 'new File(home(), "data").mkdirs();')),
        ("A.java", JAVA % ("", "upload(new MultipartFile[0]);")),
        ("A.java", JAVA % ("", 'System.getProperty("user.home");')),
        ("A.java", JAVA % ("", 'DriverManager.getConnection("jdbc:h2:~/a");')),
        ("A.java", JAVA % ("", "FileChannel.open(given, StandardOpenOption.WRITE, StandardOpenOption.CREATE);")),
        ("A.java", JAVA % ("", "String s; new PrintWriter(s);")),
        ("A.kt", KOTLIN % 'File("$folder/notes.txt").appendText("one")'),
        ("A.kt", 'fun save(name: String) { File(name).writeText("one") }\nval name = "a"'),
        ("A.scala", "object A extends App"),
    ],
)
def test_what_is_not_known(make_context: MakeContext, name: str, source: str) -> None:
    found = jvm_evidence(make_context({name: source}), [name])
    assert found.written == ()
    assert [unknown.about for unknown in found.unknown if unknown.about in ("write", "program")] != []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/main/resources/application.yml", "logging:\n  level:\n    root: info\n  file:\n    name: a.log\n"),
        (
            "src/main/resources/logback-spring.xml",
            "<configuration><appender class='ch.qos.logback.core.rolling.RollingFileAppender'/></configuration>",
        ),
        ("config/application.properties", "spring.datasource.url=jdbc:hsqldb:file:${user.home}/a\n"),
        ("build.gradle", "implementation 'org.xerial:sqlite-jdbc:3.45.0.0'\n"),
    ],
)
def test_settings_that_write(make_context: MakeContext, name: str, text: str) -> None:
    found = jvm_evidence(make_context({"A.java": "class A { }", name: text}), ["A.java"])
    assert [unknown.where for unknown in found.unknown] == [name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/main/resources/application.yml", "logging:\n  level:\n    root: info\nserver:\n  file: 1\n"),
        ("src/main/resources/application.properties", "# logging.file.name=a.log\nspring.datasource.url=jdbc:postgresql://db/a\n"),
        ("pom.xml", "<artifactId>spring-boot-starter-web</artifactId>"),
    ],
)
def test_settings_that_write_nothing(make_context: MakeContext, name: str, text: str) -> None:
    assert jvm_evidence(make_context({"A.java": "class A { }", name: text}), ["A.java"]).unknown == ()


def test_a_database_in_memory_needs_no_folder(make_context: MakeContext) -> None:
    files = {
        "A.java": "class A { }",
        "pom.xml": "<artifactId>h2</artifactId>",
        "src/main/resources/application.properties": "spring.datasource.url=jdbc:h2:mem:a\n",
    }
    assert jvm_evidence(make_context(files), ["A.java"]).unknown == ()


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ('System.getenv().getOrDefault("DIR", "data")', "/srv/own"),
        ('System.getenv().getOrDefault("OTHER", "data")', "data"),
        ('System.getenv("OTHER") != null ? System.getenv("OTHER") : "data"', "data"),
        ('Optional.ofNullable(System.getenv("OTHER")).orElse("data")', "data"),
        ('System.getProperty("dir", "data")', "data"),
        ('System.getProperty("own", "data")', "/srv/given"),
        ('System.getenv("DIR")', "/srv/own"),
        ('System.getenv("OTHER")', None),
        ('System.getenv().getOrDefault("COMPUTED", "data")', None),
        ('System.getenv().getOrDefault(given, "data")', None),
    ],
)
def test_settings_that_name_a_folder(make_context: MakeContext, expression: str, written: str | None) -> None:
    source = JAVA % (f"static final Path DIR = Paths.get({expression});", 'Files.writeString(DIR.resolve("a"), "b");')
    found = jvm_evidence(make_context({"A.java": source}), ["A.java"], {"DIR": "/srv/own", "COMPUTED": None}, {"own": "/srv/given"})
    assert [place.path for place in found.written] == ([f"{written}/a"] if written is not None else [])
    assert bool(found.unknown) == (written is None)
