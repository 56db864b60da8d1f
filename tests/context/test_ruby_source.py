"""What Ruby source writes and starts, as far as that can be known."""

from __future__ import annotations

import pytest

from optimizer.context.ruby_source import RubyEvidence, ruby_evidence

from .conftest import MakeContext


def read(make_context: MakeContext, source: str, path: str = "app.rb", **environment: str) -> RubyEvidence:
    return ruby_evidence(make_context({path: source}), [path], ".", environment)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ('File.write("a.log", text)', ["a.log"]),
        ("File.open 'a.log', 'ab' do |f|", ["a.log"]),
        ('DIR = "/data"\nFile.binwrite("#{DIR}/#{name}.txt", text)', ["/data"]),
        ('File.open(File.expand_path("../up/#{name}", __FILE__), File::WRONLY | File::CREAT)', ["up"]),
        ('FileUtils.mkdir_p Rails.root.join("tmp", "x")', ["tmp/x"]),
        ('Logger.new(File.join(__dir__, "log", "a.log"))', ["log/a.log"]),
        ('Sequel.connect(ENV["DATABASE_URL"] || "sqlite://db/a.sqlite3")', ["db/a.sqlite3"]),
        ('ENV.fetch("NONE") { 1 }\nSQLite3::Database.new(ENV.fetch("DB") { "/db/a" })', ["/db/a"]),
        ('class A\n  def initialize(file)\n    PStore.new(file)\n  end\nend\nA.new("b.store")', ["b.store"]),
        ('establish_connection(adapter: "sqlite3", database: "db/a.sqlite3")', ["db/a.sqlite3"]),
        ('system("ls > out.txt")', ["out.txt"]),
        ('File.open("a"); File.read(given); Logger.new($stdout); IO.read(given)', []),
        ('# File.write(given, "x")\n=begin\nFile.write(given)\n=end\ns = "File.write(given)"', []),
        ('text = <<~SQL\n  File.write(given)\nSQL\nFile.write(Dir.tmpdir, "")', []),
        ("if name =~ /it's \"a/\n  File.write('x', \"y\")\nend", ["x"]),
    ],
)
def test_what_is_written(make_context: MakeContext, source: str, written: list[str]) -> None:
    found = read(make_context, source)
    assert [place.path for place in found.written] == written
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("source", "about"),
    [
        ("File.write(params[:file], text)", "write"),
        ('File.open(path, mode, perm: 0o600) { |f| f << "x" }', "write"),
        ("upload_path.write(text)", "write"),
        ("PStore.new(given)", "write"),
        ('system(params[:tool], "-v")', "program"),
        ("`#{tool} --version`", "program"),
        ("File.open(given)", "read"),
    ],
)
def test_what_is_computed(make_context: MakeContext, source: str, about: str) -> None:
    assert about in [item.about for item in read(make_context, source).unknown]


@pytest.mark.parametrize(
    ("source", "programs"),
    [
        ("`git log | wc -l`", ("git", "wc")),
        ('system "convert", "a", "b"', ("convert",)),
        ("system(*%w[tar xf a.tar])", ("tar",)),
        ('Open3.capture3("dot", "-Tpng")', ("dot",)),
        ("IO.popen(['psql', '-l'])", ("psql",)),
        ("user.system.run; self.exec_time; # system('x')", ()),
    ],
)
def test_what_is_started(make_context: MakeContext, source: str, programs: tuple[str, ...]) -> None:
    found = read(make_context, source)
    assert found.programs == programs
    assert found.unknown == ()


def test_settings_of_a_server_and_what_is_root_s(make_context: MakeContext) -> None:
    puma = 'bind "unix:///var/run/a/s.sock"\npidfile "tmp/p.pid"\nport 3000\nstdout_redirect "log/a", "log/b", true\n'
    assert [p.path for p in read(make_context, puma, "config/puma.rb").written] == ["/var/run/a/s.sock", "log/a", "log/b", "tmp/p.pid"]
    assert read(make_context, 'FileUtils.chown "a", "b", "c"\n').root == ("app.rb:1 uses FileUtils.chown",)
    assert read(make_context, 'set :port, 80\nrequire "docker"\n').ports == (80,)


def test_variables_of_the_image_count(make_context: MakeContext) -> None:
    found = read(make_context, 'File.write(ENV.fetch("OUT", "a"), "x")', OUT="/data/b")
    assert [place.path for place in found.written] == ["/data/b"]


def test_a_quote_that_is_not_closed_is_no_trap(make_context: MakeContext) -> None:
    found = read(make_context, 'x = " ' + "#{a} " * 200 + "\nFile.write('a', 1)")
    assert [place.path for place in found.written] == ["a"]
