"""What C# source writes and starts, as far as that can be known."""

from __future__ import annotations

import pytest

from optimizer.context.csharp_source import CsharpEvidence, csharp_evidence

from .conftest import MakeContext


def read(make_context: MakeContext, source: str, settings: str = "", *, sqlite: bool = False, **environment: str) -> CsharpEvidence:
    files = {"P.cs": source, **({"appsettings.json": settings} if settings else {})}
    return csharp_evidence(make_context(files), ["P.cs"], ".", "/app", environment, sqlite=sqlite)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ('File.WriteAllText("a.txt", text);', ["a.txt"]),
        ('const string Dir = @"/data/""x""";\nFile.AppendAllLines(Path.Combine(Dir, "a"), lines);', ['/data/"x"/a']),
        ('var p = Path.Combine(env.WebRootPath, "up");\nDirectory.CreateDirectory(p);', ["wwwroot/up"]),
        ('new FileStream($"/data/{name}.bin", FileMode.Create);', ["/data"]),
        ('new StreamWriter(Path.Join(AppContext.BaseDirectory, "log"), true);', ["/app/log"]),
        ('File.Create(config["Out"] ?? "b.txt");', ["b.txt"]),
        ('File.Delete(Environment.GetEnvironmentVariable("X") ?? "/tmp/x/y");', []),
        ('new LoggerConfiguration().WriteTo.Console().WriteTo.File("logs/a-.txt", rollingInterval: RollingInterval.Day);', ["logs"]),
        ('ZipFile.ExtractToDirectory(given, "out");', ["out"]),
        ('// File.Delete(x);\n/* File.Delete(x); */ var s = "File.Delete(x)";', []),
        ('return File(bytes, "image/png"); new StreamWriter(stream); new FileStream(p, FileMode.Open, FileAccess.Read);', []),
        ("new StreamReader(response.GetResponseStream()); File.Move(Path.GetTempFileName(), Path.GetTempPath());", []),
    ],
)
def test_what_is_written(make_context: MakeContext, source: str, written: list[str]) -> None:
    found = read(make_context, source)
    assert [place.path for place in found.written] == written
    assert [item for item in found.unknown if item.about != "read"] == []


@pytest.mark.parametrize(
    ("source", "about"),
    [
        ("File.WriteAllText(path, text);", "write"),
        ('void F(string file) { File.Create(Path.Combine(file, "a")); }', "write"),
        ("image.Save(target);", "write"),
        ("Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);", "write"),
        ("Process.Start(tool);", "program"),
        ("new ProcessStartInfo { FileName = tool };", "program"),
        ('[DllImport("libfoo")] static extern int F();', "module"),
        ("File.ReadAllText(given);", "read"),
    ],
)
def test_what_is_computed(make_context: MakeContext, source: str, about: str) -> None:
    assert about in [item.about for item in read(make_context, source).unknown]


@pytest.mark.parametrize(
    ("source", "programs"),
    [
        ('Process.Start("git", "log");', ("git",)),
        ('Process.Start(new ProcessStartInfo("ffmpeg") { Arguments = a });', ("ffmpeg",)),
        ('var info = new ProcessStartInfo\n{\n    FileName = "/usr/bin/dot",\n};\nProcess.Start(info);', ("/usr/bin/dot",)),
        ('[DllImport("libc", SetLastError = true)] static extern int getpid();', ()),
    ],
)
def test_what_is_started(make_context: MakeContext, source: str, programs: tuple[str, ...]) -> None:
    found = read(make_context, source)
    assert found.programs == programs
    assert found.unknown == ()


def test_settings_name_databases_and_logs(make_context: MakeContext) -> None:
    settings = (
        '{ // with remarks\n "ConnectionStrings": {"A": "Data Source=a.db;Cache=Shared"},\n'
        ' "Serilog": {"WriteTo": [{"Name": "File", "Args": {"path": "/logs/a.txt"}}]},\n}'
    )
    found = read(make_context, "o.UseSqlite(c);", settings, sqlite=True)
    assert [place.path for place in found.written] == ["/logs", "a.db"]
    moved = read(make_context, "o.UseSqlite(c);", settings, sqlite=True, ConnectionStrings__A="Data Source=/data/b.db")
    assert [place.path for place in moved.written] == ["/data/b.db", "/logs"]


def test_a_database_that_nothing_names(make_context: MakeContext) -> None:
    assert read(make_context, "o.UseSqlite(c);", sqlite=True).unknown != ()
    assert read(make_context, 's = "Data Source=server;Initial Catalog=a";').written == ()
