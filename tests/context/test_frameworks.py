"""Servers that frameworks build."""

import pytest

from optimizer.context.frameworks import BuiltServer, built_server

NITRO = '{"scripts": {"build": "nitropack build"}, "devDependencies": {"nitropack": "^2.10.0"}}'
KIT = '{"devDependencies": {"@sveltejs/adapter-node": "^5.0.0"}}'
ASTRO = "import node from '@astrojs/node';\nexport default { output: 'server', adapter: node({ mode: 'standalone' }) };\n"


def nitro(make_context, settings: str = "export default defineNitroConfig({});\n", **files: str) -> BuiltServer | None:
    others = {"routes/index.ts": "export default eventHandler(() => 'x');\n", **files}
    return built_server(make_context({"package.json": NITRO, "nitro.config.ts": settings, **others}), ".output/server/index.mjs")


def test_nitro_carries_its_packages(make_context):
    found = nitro(make_context, **{"test/a.test.ts": "", "public/site.js": ""})
    assert found is not None
    assert (found.folder, found.sources, found.packages, found.keeps) == (".output", ("routes/index.ts",), "none", None)


def test_nitro_in_a_folder(make_context):
    found = built_server(make_context({"web/package.json": NITRO, "web/api/a.ts": "", "b.ts": ""}), "web/.output/server/index.mjs")
    assert found is not None
    assert (found.folder, found.sources) == ("web/.output", ("web/api/a.ts",))


@pytest.mark.parametrize("setting", ["preset: 'bun'", "output: { dir: 'x' }", "externals: { trace: false }", "extends: ['../base']"])
def test_nitro_with_settings_that_decide_what_it_carries(make_context, setting):
    assert nitro(make_context, f"export default defineNitroConfig({{ {setting} }});\n") is None


def test_settings_in_comments_do_not_count(make_context):
    found = nitro(make_context, "export default defineNitroConfig({\n  // preset: 'bun',\n  preset: 'node-server',\n});\n")
    assert found is not None


@pytest.mark.parametrize("source", ["useStorage('data').setItem('a', 1)", "useStorage<string>(`data:x`)", "useDatabase().sql`x`"])
def test_nitro_keeps_what_its_storage_is_given(make_context, source):
    found = nitro(make_context, **{"routes/index.ts": source})
    assert found is not None
    assert found.keeps is not None


def test_no_framework_is_behind_a_folder_of_that_name(make_context):
    assert built_server(make_context({"package.json": '{"dependencies": {"express": "4"}}'}), ".output/server/index.mjs") is None
    assert built_server(make_context({}), ".output/server/index.mjs") is None


def test_sveltekit_takes_development_dependencies_in(make_context):
    settings = "import adapter from '@sveltejs/adapter-node';\nexport default { kit: { adapter: adapter() } };\n"
    files = {"package.json": KIT, "svelte.config.js": settings, "src/routes/+page.svelte": "", "src/a.test.ts": ""}
    found = built_server(make_context(files), "build/index.js")
    assert found is not None
    assert (found.folder, found.sources, found.packages) == ("build", ("src/routes/+page.svelte",), "production")
    assert built_server(make_context(files), "dist/index.js") is None


@pytest.mark.parametrize(("out", "path"), [("'server/out'", None), ("'out'", "out/index.js"), ("process.env.OUT", None)])
def test_sveltekit_with_another_folder(make_context, out, path):
    settings = f"import adapter from '@sveltejs/adapter-node';\nexport default {{ kit: {{ adapter: adapter({{ out: {out} }}) }} }};\n"
    context = make_context({"package.json": KIT, "svelte.config.js": settings})
    found = built_server(context, path or "build/index.js")
    assert (found is not None) == (path is not None)


def test_sveltekit_without_a_server(make_context):
    settings = "import adapter from '@sveltejs/adapter-static';\nexport default { kit: { adapter: adapter() } };\n"
    assert built_server(make_context({"package.json": KIT, "svelte.config.js": settings}), "build/index.js") is None


def test_astro_standalone(make_context):
    context = make_context({"astro.config.mjs": ASTRO, "package.json": "{}", "src/pages/index.astro": ""})
    found = built_server(context, "dist/server/entry.mjs")
    assert found is not None
    assert (found.folder, found.sources, found.packages, found.keeps) == ("dist", ("src/pages/index.astro",), "imported", None)


@pytest.mark.parametrize("settings", [ASTRO.replace("standalone", "middleware"), ASTRO.replace("output:", "outDir: 'x', output:"), ""])
def test_astro_of_another_kind(make_context, settings):
    assert built_server(make_context({"astro.config.mjs": settings, "package.json": "{}"}), "dist/server/entry.mjs") is None


def test_astro_keeps_sessions(make_context):
    page = "---\nawait Astro.session.set('a', 1)\n---\n"
    found = built_server(make_context({"astro.config.mjs": ASTRO, "src/pages/a.astro": page}), "dist/server/entry.mjs")
    assert found is not None
    assert found.keeps == "Astro's sessions"


def test_react_router(make_context):
    package = '{"devDependencies": {"@react-router/dev": "^7.0.0"}}'
    files = {"package.json": package, "app/root.tsx": "", "app/routes.ts": "", "data/x.ts": "", "vite.config.ts": "export default {};\n"}
    found = built_server(make_context(files), "build/server/index.js")
    assert found is not None
    assert (found.folder, found.sources, found.packages) == ("build", ("app/root.tsx",), "imported")
    moved = {**files, "react-router.config.ts": "export default { appDirectory: 'src' };\n"}
    assert built_server(make_context(moved), "build/server/index.js") is None
    assert built_server(make_context({"package.json": "{}"}), "build/server/index.js") is None
