"""The compiler options of TypeScript, through `extends`."""

from optimizer.context.tsconfig import compiler_options


def test_folders_are_relative_to_the_file_that_names_them(make_context):
    context = make_context({
        "base.json": '{"compilerOptions": {"outDir": "build", "strict": true}}',
        "api/tsconfig.json": '{"extends": "../base.json", "compilerOptions": {"rootDir": "src"}}',
    })  # fmt: skip
    assert compiler_options(context, "api/tsconfig.json") == {"outDir": "build", "strict": True, "rootDir": "api/src"}


def test_a_line_may_hold_a_path_before_an_option(make_context):
    context = make_context({"api/tsconfig.json": '{ "extends": "../../base.json", "compilerOptions": { "outDir": "dist" } }'})
    assert compiler_options(context, "api/tsconfig.json") == {"outDir": "api/dist"}


def test_comments_and_trailing_commas(make_context):
    text = '{\n  // "outDir": "no",\n  "compilerOptions": {"outDir": "./out", /* "rootDir": "no" */ "types": ["a//b",],},\n}'
    assert compiler_options(make_context({"tsconfig.json": text}), "tsconfig.json") == {"outDir": "out", "types": ["a//b"]}


def test_several_bases_without_an_ending(make_context):
    context = make_context({
        "a.json": '{"compilerOptions": {"outDir": "one", "target": "es5"}}',
        "b.json": '{"compilerOptions": {"outDir": "two"}}',
        "tsconfig.json": '{"extends": ["./a", "./b.json", "@tsconfig/node20/tsconfig.json"]}',
    })  # fmt: skip
    assert compiler_options(context, "tsconfig.json") == {"outDir": "two", "target": "es5"}


def test_the_folder_of_the_file_that_extends(make_context):
    context = make_context({
        "base.json": '{"compilerOptions": {"outDir": "${configDir}/dist"}}',
        "api/tsconfig.json": '{"extends": "../base"}',
    })  # fmt: skip
    assert compiler_options(context, "api/tsconfig.json") == {"outDir": "api/dist"}


def test_paths_start_at_the_base(make_context):
    text = '{"compilerOptions": {"baseUrl": "./src", "paths": {"@/*": ["*"], "bad": "text"}}}'
    assert compiler_options(make_context({"tsconfig.json": text}), "tsconfig.json") == {"baseUrl": "src", "paths": {"@/*": ("src/*",)}}


def test_what_is_no_object_gives_nothing(make_context):
    for text in ("[1]", "{", '{"extends": "./tsconfig.json"}', '{"compilerOptions": 3}'):
        assert compiler_options(make_context({"tsconfig.json": text}), "tsconfig.json") == {}
