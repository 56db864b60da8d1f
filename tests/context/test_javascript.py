"""package.json, lock files and what an install reads."""

from __future__ import annotations

import json

import pytest

from optimizer.context.javascript import lock_agrees, lock_files, manifest_files, package_json, package_manager

PACKAGE = {"name": "x", "version": "1.0.0", "dependencies": {"express": "^4.0.0"}, "devDependencies": {"esbuild": "0.24.0"}}


def lock_of(package, version=3, **entries):
    kinds = ("name", "version", "dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
    root = {kind: package[kind] for kind in kinds if kind in package}
    names = [name for kind in kinds[2:5] for name in package.get(kind, {})]
    packages = {"": root, **{f"node_modules/{name}": {"version": "0.24.0"} for name in names}, **entries}
    return {"name": "x", "lockfileVersion": version, "requires": True, "packages": packages}


def project(make_context, package=PACKAGE, lock=None, **others):
    files = {"package.json": json.dumps(package), **others}
    if lock is not None:
        files["package-lock.json"] = json.dumps(lock)
    return make_context(files)


def test_package_json(make_context):
    found = package_json(
        project(
            make_context,
            {
                **PACKAGE,
                "scripts": {"start": "node a.js", "prepare": "husky", "postinstall": "x"},
                "main": "a.js",
                "bin": "cli.js",
                "type": "module",
                "packageManager": "pnpm@9.1.0",
                "workspaces": {"packages": ["p/*"]},
                "peerDependencies": {"react": "*"},
                "optionalDependencies": {"lib": "file:./lib"},
                "overrides": {"a": "1"},
            },
        )
    )
    assert found is not None
    assert (found.folder, found.name, found.main, found.type, found.package_manager) == (".", "x", "a.js", "module", "pnpm@9.1.0")
    assert found.dependencies == {"express": "^4.0.0"}
    assert found.dev_dependencies == {"esbuild": "0.24.0"}
    assert found.peer_dependencies == {"react": "*"}
    assert found.local == {"lib": "file:./lib"}
    assert found.workspaces == ("p/*",)
    assert found.bin == {"x": "cli.js"}
    assert found.install_scripts == ("postinstall", "prepare")
    assert found.overrides
    assert found.problems == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null", "[" * 100_000])
def test_what_is_no_package_json(make_context, text):
    assert package_json(make_context({"package.json": text})) is None


def test_an_absent_package_json(make_context):
    context = make_context({"package.json": "{}", ".dockerignore": "package.json"})
    assert package_json(context) is None
    assert manifest_files(context).problems == ("package.json is missing or not JSON",)


def test_fields_of_the_wrong_type_are_problems(make_context):
    found = package_json(project(make_context, {"name": 1, "dependencies": ["a"], "scripts": {"a": 1}, "workspaces": "p"}))
    assert found is not None
    assert (found.name, found.dependencies, found.scripts, found.workspaces) == (None, {}, {}, ())
    assert len(found.problems) == 3


@pytest.mark.parametrize("version", [2, 3])
def test_a_lock_that_agrees(make_context, version):
    assert lock_agrees(project(make_context, lock=lock_of(PACKAGE, version))) is True


def test_optional_dependencies_may_be_named_twice(make_context):
    package = {"dependencies": {"a": "^1", "b": "^1"}, "optionalDependencies": {"b": "^1"}}
    lock = lock_of(package)
    lock["packages"][""]["dependencies"] = {"a": "^1"}
    assert lock_agrees(project(make_context, package, lock)) is True


@pytest.mark.parametrize(
    "package",
    [
        {**PACKAGE, "dependencies": {"express": "^5.0.0"}},
        {**PACKAGE, "dependencies": {"express": "^4.0.0", "cors": "1"}},
        {**PACKAGE, "dependencies": {}},
        {**PACKAGE, "devDependencies": {}},
        {**PACKAGE, "peerDependencies": {"react": "*"}},
        {**PACKAGE, "optionalDependencies": {"fsevents": "2"}},
    ],
)
def test_a_lock_of_another_package_json(make_context, package):
    assert lock_agrees(project(make_context, package, lock_of(PACKAGE))) is False


def test_a_lock_without_an_entry_or_with_another_exact_version(make_context):
    lock = lock_of(PACKAGE)
    lock["packages"]["node_modules/esbuild"]["version"] = "0.23.0"
    assert lock_agrees(project(make_context, lock=lock)) is False
    del lock["packages"]["node_modules/esbuild"]
    assert lock_agrees(project(make_context, lock=lock)) is False


@pytest.mark.parametrize(
    ("package", "lock"),
    [
        (PACKAGE, None),
        (PACKAGE, {"lockfileVersion": 1, "dependencies": {}}),
        (PACKAGE, {"lockfileVersion": 4, "packages": {"": {}}}),
        (PACKAGE, []),
        (PACKAGE, {"lockfileVersion": 3}),
        (PACKAGE, {"lockfileVersion": 3, "packages": {"": 1}}),
        ({**PACKAGE, "overrides": {"a": "1"}}, lock_of(PACKAGE)),
        ({**PACKAGE, "scripts": 1}, lock_of(PACKAGE)),
        (PACKAGE, lock_of(PACKAGE, **{"packages/gone": {}})),
    ],
)
def test_whether_a_lock_agrees_may_not_be_known(make_context, package, lock):
    assert lock_agrees(project(make_context, package, lock)) is None


def test_locks_of_other_managers_are_not_judged(make_context):
    context = project(make_context, **{"yarn.lock": ""})
    assert lock_agrees(context) is None
    assert lock_files(context) == ("yarn.lock",)
    assert package_manager(context) == "yarn"


def test_the_lock_of_a_workspace(make_context):
    package = {"name": "x", "workspaces": ["packages/*"]}
    member = {"name": "a", "dependencies": {"express": "4"}}
    entries = {"packages/a": {"name": "a", "dependencies": {"express": "4"}}, "node_modules/a": {"link": True}, "node_modules/express": {}}
    lock = lock_of(package, **entries)
    assert lock_agrees(project(make_context, package, lock, **{"packages/a/package.json": json.dumps(member)})) is True
    member["dependencies"]["express"] = "5"
    assert lock_agrees(project(make_context, package, lock, **{"packages/a/package.json": json.dumps(member)})) is False
    del lock["packages"]["packages/a"]
    assert lock_agrees(project(make_context, package, lock)) is False


def test_two_locks_leave_the_manager_open(make_context):
    context = project(make_context, **{"yarn.lock": "", "package-lock.json": "{}"})
    assert lock_files(context) == ("package-lock.json", "yarn.lock")
    assert package_manager(context) is None
    assert package_manager(project(make_context, {"packageManager": "yarn@4"})) == "yarn"


def test_an_ordinary_install_reads_the_manifests_alone(make_context):
    context = project(make_context, lock=lock_of(PACKAGE), **{"src/index.js": "", "tsconfig.json": "{}", "patched/x": ""})
    found = manifest_files(context)
    assert found.files == ("package-lock.json", "package.json")
    assert found.problems == ()


def test_configuration_is_read_as_well(make_context):
    names = [
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".yarn/releases/yarn.cjs",
        ".yarn/plugins/a/b.cjs",
        ".yarn/patches/a.patch",
        "yarn.lock",
        "patches/a.patch",
        ".pnpmfile.cjs",
    ]
    found = manifest_files(project(make_context, **dict.fromkeys([*names, ".yarn/cache/a.zip"], "")))
    assert found.files == tuple(sorted([*names, "package.json"]))


@pytest.mark.parametrize("script", ["preinstall", "install", "postinstall", "prepare", "prepublish"])
def test_scripts_of_the_install_are_problems(make_context, script):
    found = manifest_files(project(make_context, {**PACKAGE, "scripts": {script: "node x.js"}}))
    assert found.problems == (f"package.json runs a {script} script: node x.js",)


@pytest.mark.parametrize("script", ["build", "start", "prestart", "test", "prepack"])
def test_other_scripts_are_not(make_context, script):
    assert manifest_files(project(make_context, {**PACKAGE, "scripts": {script: "node x.js"}})).problems == ()


def test_native_code_is_compiled_by_an_install(make_context):
    assert manifest_files(project(make_context, **{"binding.gyp": "{}"})).problems == ("an install compiles the project (binding.gyp)",)


def test_members_of_a_workspace(make_context):
    files = {f"{folder}/package.json": "{}" for folder in ("packages/a", "packages/b", "apps/web/ui", "packages/a/node_modules/z", "docs")}
    found = manifest_files(
        project(make_context, {"workspaces": ["packages/*", "apps/**", "!packages/b"]}, **files, **{"packages/a/x.js": ""})
    )
    assert found.files == ("apps/web/ui/package.json", "package.json", "packages/a/package.json")
    assert found.problems == ()


@pytest.mark.parametrize(
    "text", ["packages:\n  - 'p/*'  # all\n  # - docs\ncatalog:\n  a: 1\n", 'packages: ["p/*"]\n', "packages:\r\n- p/*\r\n"]
)
def test_members_of_a_pnpm_workspace(make_context, text):
    files = {
        "pnpm-workspace.yaml": text,
        "p/a/package.json": '{"dependencies": {"b": "workspace:*"}}',
        "p/b/package.json": "{}",
        "docs/package.json": "{}",
    }
    found = manifest_files(project(make_context, **files))
    assert found.files == ("p/a/package.json", "p/b/package.json", "package.json", "pnpm-workspace.yaml")
    assert found.problems == ()


def test_local_dependencies(make_context):
    package = {"dependencies": {"lib": "file:./lib", "tar": "file:a.tgz", "link": "link:lib2"}}
    files = {
        "lib/package.json": '{"dependencies": {"deep": "file:../deep"}}',
        "lib/index.js": "",
        "deep/package.json": "{}",
        "a.tgz": "",
        "lib2/package.json": "{}",
        "lib2/x": "",
    }
    found = manifest_files(project(make_context, package, **files))
    assert found.files == ("a.tgz", "deep/package.json", "lib/index.js", "lib/package.json", "lib2/package.json", "package.json")
    assert found.problems == ()


@pytest.mark.parametrize("target", ["file:../outside", "file:/srv/x", "file:./absent", "file:./hidden"])
def test_local_dependencies_that_are_not_there(make_context, target):
    files = {"hidden/package.json": "{}", ".dockerignore": "hidden"}
    found = manifest_files(project(make_context, {"dependencies": {"lib": target}}, **files))
    assert found.problems == (f"package.json depends on lib at {target}, which is not in the build context",)


def test_an_unusual_workspace_pattern_is_a_problem(make_context):
    assert manifest_files(project(make_context, {"workspaces": ["{a,b}/*"]})).problems == (
        "the workspace pattern {a,b}/* is not understood",
    )
