"""Which gems a project asks for, and in which groups."""

from __future__ import annotations

from optimizer.context.bundler_project import bundler_project

from .conftest import MakeContext

GEMFILE = """source "https://rubygems.org"
ruby "3.3.0"
gem "rails", "~> 7.1" # not "rack"
# gem "never"
gem 'puma', group: :production
if ENV["EXTRA"]
  gem "extra"
end
group :development, :test do
  gem "rspec"
  platforms :ruby do
    gem "byebug"
  end
end
gem "rerun", groups: [:development]
"""


def test_groups(make_context: MakeContext) -> None:
    project = bundler_project(make_context({"web/Gemfile": GEMFILE}), "web")
    assert project is not None
    assert project.groups["rails"] == project.groups["extra"] == {"default"}
    assert project.groups["puma"] == {"production"}
    assert project.development == {"rspec", "byebug", "rerun"}
    assert project.loaded("production") == {"rails", "puma", "extra"}
    assert project.loaded("development") == {"rails", "puma", "extra", "rspec", "byebug", "rerun"}
    assert project.loaded("test") == {"rails", "puma", "extra", "rspec", "byebug"}


def test_a_lock_names_what_gems_need(make_context: MakeContext) -> None:
    lock = "PATH\n  remote: own\n  specs:\n    own (1.0)\n      rack\n\nGEM\n"
    lock += "  specs:\n    rack (3.0)\n      webrick (~> 1.8)\n    webrick (1.8.1)\n"
    project = bundler_project(make_context({"Gemfile": 'gem "own", path: "own"\n', "Gemfile.lock": lock}), ".")
    assert project is not None
    assert project.gems == {"own", "rack", "webrick"}
    assert bundler_project(make_context({"a.rb": ""}), "own") is None


def test_a_specification_without_a_lock_is_not_known(make_context: MakeContext) -> None:
    project = bundler_project(make_context({"Gemfile": "gemspec\n"}), ".")
    assert project is not None
    assert project.unknown is not None
