"""Evidence from JavaScript and TypeScript source."""

from __future__ import annotations

import pytest

from optimizer.context import javascript_source
from optimizer.context.javascript_source import javascript_evidence

HEAD = (
    "const fs = require('fs'); const path = require('path'); const os = require('os'); const express = require('express');"
    " const { exec, spawn, execFileSync: run, fork } = require('node:child_process'); const app = express();\n"
)


def read(make_context, source, entry="app.js", runs_as=None, environment=None, **others):
    context = make_context({entry: (HEAD if entry.endswith(".js") else "") + source, **others})
    return javascript_evidence(context, entry, runs_as=runs_as, environment=environment)


def texts(places):
    return {f"{place.kind}:{place.path}{'/' if place.folder else ''}" for place in places}


@pytest.mark.parametrize(
    ("source", "programs"),
    [
        ("spawn('ffmpeg', ['-i', x])", {"ffmpeg"}),
        ("run('git')", {"git"}),
        ("exec('ls | sort')", {"ls", "sort"}),
        ("exec(`convert ${x} out.png`)", {"convert"}),
        ("exec('tar x ' + name)", {"tar"}),
        ("const run2 = require('util').promisify(exec); async function f() { await run2('jq .'); }", {"jq"}),
        ("require('child_process').execSync('hg')", {"hg"}),
        ("const cp = require('child_process'); cp.spawnSync('a')", {"a"}),
        ("const TOOL = process.env.TOOL || 'vi'; spawn(TOOL)", {"vi"}),
        ("spawn('sh', ['-c', 'dot | less'])", {"sh", "dot", "less"}),
        ("spawn('a b', { shell: true })", {"a"}),
        ("const spawn2 = require('cross-spawn'); spawn2('npm', ['x'])", {"npm"}),
        ("for (const t of ['a', 'b']) spawn(t)", {"a", "b"}),
        ("spawn(x ? 'a' : 'b')", {"a", "b"}),
        ("spawn('sudo', ['-n', 'nginx'])", {"sudo", "nginx"}),
    ],
)
def test_programs(make_context, source, programs):
    found = read(make_context, source)
    assert set(found.programs) == programs
    assert found.unknown == ()


@pytest.mark.parametrize(
    "source", ["spawn(x)", "exec(`${x} -v`)", "function f(p) { run(p) }", "spawn(process.env.TOOL)", "spawn(...x)", "exec('echo $(id)')"]
)
def test_computed_programs_are_unknown(make_context, source):
    found = read(make_context, source)
    assert ([(item.about, item.where) for item in found.unknown], found.programs) == ([("program", "app.js:2")], ())


@pytest.mark.parametrize(
    "source", ["/re/.exec('ls')", "spawn(process.execPath, ['x'])", "// exec('ls')", "'exec(x)'", "db.exec('select 1')", "fork"]
)
def test_what_starts_no_program(make_context, source):
    found = read(make_context, source)
    assert (found.programs, found.unknown) == ((), ())


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("fs.readFileSync('package.json')", {"cwd:package.json"}),
        ("fs.promises.readFile('/etc/x')", {"absolute:/etc/x"}),
        ("app.use(express.static('public'))", {"cwd:public"}),
        ("app.use(express.static(path.join(__dirname, '..', 'public')))", {"context:public"}),
        ("app.get('/', (q, r) => r.sendFile(path.resolve('index.html')))", {"cwd:index.html"}),
        ("r.sendFile('a.html', { root: 'html' })", {"cwd:html"}),
        ("const dir = path.join(__dirname, 'data'); fs.createReadStream(`${dir}/${x}.csv`)", {"context:src/data", "context:src/data/"}),
        ("f(path.join(__dirname, 'views'))", {"context:src/views"}),
        ("app.set('view engine', 'ejs')", {"cwd:views/"}),
        ("f(path.join(process.cwd(), 'x')); f(path.join('a', 'b'))", set()),
        ("fs.readFileSync(path.join(os.tmpdir(), 'x'))", set()),
        ("fs.readFileSync(0)", set()),
        ("fs.readFileSync(__dirname + '/x')", {"context:src/x"}),
    ],
)
def test_read_places(make_context, source, places):
    found = read(make_context, source, entry="src/app.js")
    assert texts(found.read) == places
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("fs.writeFileSync('a', x)", {"cwd:a"}),
        ("fs.promises.appendFile('/log/a', x)", {"absolute:/log/a"}),
        ("fs.mkdirSync('/data', { recursive: true })", {"absolute:/data/"}),
        ("fs.createWriteStream(`/out/${x}`)", {"absolute:/out/"}),
        ("const DATA = process.env.DATA ?? '/data'; fs.rename('a', DATA + '/b', f)", {"cwd:a", "absolute:/data/b"}),
        ("const multer = require('multer'); multer({ dest: 'up/' })", {"cwd:up/"}),
        ("const m = require('multer'); m.diskStorage({ destination: (q, f, cb) => cb(null, './up') })", {"cwd:up/"}),
        ("const m = require('multer'); m.diskStorage({ destination(q, f, cb) { cb(null, '/up') } })", {"absolute:/up/"}),
        ("const D = require('better-sqlite3'); new D('x.db'); new D(':memory:'); new D()", {"cwd:x.db"}),
        ("const s = require('sqlite3').verbose(); const t = require('sqlite3'); new t.Database('/y.db')", {"absolute:/y.db"}),
        ("fs.open('a', 'w', f); fs.open('b', 'r', f); fs.open('c', mode)", {"cwd:a", "cwd:c"}),
        ("fs.writeFileSync('/dev/null', '')", set()),
        ("class C { dir = '/d'; f() { fs.writeFileSync(this.dir + '/x', '') } }", {"absolute:/d/x"}),
        ("fs.writeFileSync(path.join(os.tmpdir(), 'x'), '')", set()),
        ("x.writeFileSync(p)", set()),
        ("fs.readFileSync('x')", set()),
        ("const config = { log: '/l' }; fs.appendFileSync(config.log, '')", {"absolute:/l"}),
        ("const c = Object.freeze({ a: { log: '/l' } }); fs.appendFileSync(c.a.log, '')", {"absolute:/l"}),
        ("fs.writeFileSync(process.env.OUT ? path.resolve(process.env.OUT) : '/o')", {"absolute:/o"}),
        ("const { promises: f } = require('fs'); f.writeFile('a', x)", {"cwd:a"}),
        ("const f = fs.promises; f.writeFile('a', x)", {"cwd:a"}),
        ("const { writeFile } = fs.promises; writeFile('a', x)", {"cwd:a"}),
        ("const S = require('session-file-store')(session); new S({ path: './s' })", {"cwd:s/"}),
        ("const S = require('session-file-store')(session); new S()", {"cwd:sessions/"}),
        ("const f = require('express-fileupload'); app.use(f({ useTempFiles: true }))", {"cwd:tmp/"}),
        ("const f = require('express-fileupload'); app.use(f())", set()),
        ("q.files.a.mv('./up/' + q.files.a.name)", {"cwd:up/"}),
        ("const { MulterModule } = require('@nestjs/platform-express'); MulterModule.register({ dest: './up' })", {"cwd:up/"}),
        ("const { DataSource } = require('typeorm'); new DataSource({ type: 'sqlite', database: 'x/y' })", {"cwd:x/y"}),
        ("const { DataSource } = require('typeorm'); new DataSource({ type: 'postgres', database: 'x/y' })", set()),
        ("const sharp = require('sharp'); sharp(b).resize(9).toFile(`/img/${x}.png`)", {"absolute:/img/"}),
        ("const r = require('rotating-file-stream'); r.createStream('a.log', { path: '/log' })", {"absolute:/log/"}),
        ("const r = require('rotating-file-stream'); r.createStream('a.log', { size: '1M' })", {"cwd:a.log"}),
        ("const pino = require('pino'); pino({ transport: { target: 'pino/file', options: { destination: '/l/a' } } })", {"absolute:/l/a"}),
        ("const pino = require('pino'); const t = { targets: [{ options: { destination: 1 } }] }; pino({ transport: t })", set()),
        ("const pino = require('pino'); pino(pino.destination({ dest: '/l/a' })); pino.destination()", {"absolute:/l/a"}),
        ("const l = require('log4js'); l.configure({ appenders: { f: { type: 'file', filename: 'a.log' } } })", {"cwd:a.log"}),
    ],
)
def test_written_places(make_context, source, places):
    found = read(make_context, source)
    assert texts(found.written) == places
    assert found.unknown == ()


@pytest.mark.parametrize(
    "source",
    [
        "fs.writeFileSync(x, '')",
        "function f(p) { fs.writeFileSync(p, '') }",
        "fs.writeFile(process.env.OUT, '')",
        "fs.mkdirSync(path.join(__dirname, '..', 'x'))",
        "const a = b; const b = a; fs.writeFileSync(a)",
        "fs.writeFileSync(path.join(os.homedir(), 'x'), '')",
        "const m = require('multer'); m({ dest: compute() })",
        "fs.writeFileSync(path.join(process.cwd(), folder, 'x'), '')",
        "require('log4js').configure(settings.logs)",
        "q.files.a.mv(p)",
        "process.chdir('/srv')",
        "require('@nestjs/platform-express').MulterModule.registerAsync({ useFactory: f })",
    ],
)
def test_computed_paths_are_unknown(make_context, source):
    found = read(make_context, source)
    assert ([item.about for item in found.unknown_about("write")], texts(found.written)) == (["write"], set())


@pytest.mark.parametrize(
    ("source", "ports"),
    [
        ("app.listen(3000)", {3000}),
        ("app.listen(process.env.PORT || 3000, () => {})", {3000}),
        ("const port = Number(process.env.PORT ?? 8080); app.listen(port)", {8080}),
        ("app.listen(parseInt(process.env.PORT || '80', 10))", {80}),
        ("app.listen({ port: 81, host: '::' })", {81}),
        ("app.listen(+process.env.PORT || 82)", {82}),
        ("const { PORT = 83 } = process.env; app.listen(PORT)", {83}),
        ("app.listen('/run/app.sock')", set()),
        ("app.listen(() => {})", set()),
        ("listen(3000); store.listen", set()),
        ("const { WebSocketServer } = require('ws'); new WebSocketServer({ port: 84 })", {84}),
    ],
)
def test_ports(make_context, source, ports):
    found = read(make_context, source)
    assert set(found.ports) == ports
    assert found.unknown == ()


@pytest.mark.parametrize("source", ["app.listen(process.env.PORT)", "app.listen(port)", "function f(p) { app.listen(p) }"])
def test_computed_ports_are_unknown(make_context, source):
    assert [item.about for item in read(make_context, source).unknown] == ["port"]


def test_environment_variables_that_are_known_count(make_context):
    found = read(
        make_context, "app.listen(process.env.PORT || 3000); fs.writeFileSync(process.env['OUT'])", environment={"PORT": "81", "OUT": "/o"}
    )
    assert (found.ports, texts(found.written), found.unknown) == ((81,), {"absolute:/o"}, ())


def test_settings_of_other_modules_and_of_json_count(make_context):
    source = (
        "const settings = require('./settings'); const { logs } = require('./config/default.json');\n"
        "fs.writeFileSync(path.join(settings.storage.folder, 'a')); fs.writeFileSync(logs.file); fs.writeFileSync(settings.data)"
    )
    others = {
        "settings.js": "const json = require('./config/default.json');\n"
        "module.exports = { storage: { folder: process.env.FOLDER || json.storage.folder }, data: json.data };",
        "config/default.json": '{"storage": {"folder": "var/db"}, "logs": {"file": "/l"}, "data": "d"}',
    }
    found = read(make_context, source, **others)
    assert (texts(found.written), found.unknown) == ({"cwd:var/db/a", "absolute:/l", "cwd:d"}, ())


def test_names_that_the_package_gives_its_own_modules(make_context):
    others = {
        "package.json": '{"name": "a", "imports": {"#lib/*": {"types": "./t.d.ts", "default": "./src/lib/*.js"}},'
        ' "exports": {"./s": "./s.js"}}',
        "src/lib/x.js": "require('fs').writeFileSync('x')",
        "s.js": "require('fs').writeFileSync('s')",
    }
    found = read(make_context, "require('#lib/x'); require('a/s')", **others)
    assert (texts(found.written), found.modules, found.unknown) == (
        {"cwd:x", "cwd:s"},
        ("child_process", "express", "fs", "os", "path"),
        (),
    )
    found = read(make_context, "require('a/absent')", **others)
    assert [item.about for item in found.unknown] == ["module"]


def test_every_module_of_a_folder_is_loaded_where_its_name_is_computed(make_context):
    source = "fs.readdirSync(path.join(__dirname, 'routes')).forEach(f => require(path.join(__dirname, 'routes', f)));"
    found = read(make_context, source, **{"routes/a.js": "require('fs').writeFileSync('r')"})
    assert (found.files, texts(found.written), found.unknown) == (("app.js", "routes/a.js"), {"cwd:r"}, ())
    found = read(make_context, "require(path.join(__dirname, name))", **{"routes/a.js": ""})
    assert [item.what for item in found.unknown] == ["loads a computed module"]


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("function make(d) { fs.mkdirSync(d) } make('a'); make('b')", {"cwd:a/", "cwd:b/"}),
        ("const make = (d = 'a') => fs.mkdirSync(d); make(); make('b')", {"cwd:a/", "cwd:b/"}),
        ("class S { constructor(d = 'a') { this.d = d } put(n) { fs.writeFileSync(this.d + '/' + n) } } new S('b')", {"cwd:b/"}),
        ("const { put } = require('./util'); put('a')", {"cwd:a"}),
        ("const util = require('./util'); util.put('a'); util.put('b')", {"cwd:a", "cwd:b"}),
        ("require('./util').put('a')", {"cwd:a"}),
        ("const Store = require('./store'); new Store('a')", {"cwd:a/x"}),
    ],
)
def test_parameters_are_what_calls_give(make_context, source, places):
    others = {
        "util.js": "const fs = require('fs'); function put(f) { fs.writeFileSync(f) } module.exports = { put };",
        "store.js": "const fs = require('fs'); module.exports = class Store { constructor(d) { fs.writeFileSync(d + '/x') } };",
    }
    found = read(make_context, source, **others)
    assert (texts(found.written), found.unknown) == (places, ())


@pytest.mark.parametrize(
    "source",
    [
        "function make(d) { fs.mkdirSync(d) } make('a'); names.forEach(make)",
        "function make(d) { fs.mkdirSync(d) } make('a'); module.exports = { make }; register(make)",
        "exports.make = (d) => fs.mkdirSync(d)",
        "function make(d) { fs.mkdirSync(d) } make(...names)",
        "const { put } = require('./util'); put('a'); names.forEach(put)",
        "const all = { ...require('./util') }; require('./util').put('a'); all.put(x)",
        "const util = require('./util'); util.put('a'); names.forEach(util.put)",
        "require('./barrel'); require('./util').put('a')",
    ],
)
def test_parameters_are_unknown_where_functions_are_handed_on(make_context, source):
    others = {
        "util.js": "const fs = require('fs'); function put(f) { fs.writeFileSync(f) } module.exports = { put };",
        "barrel.js": "export { put } from './util';",
    }
    assert [item.about for item in read(make_context, source, **others).unknown_about("write")] == ["write"]


def test_packages_whose_places_are_found_are_told(make_context):
    found = read(make_context, "const S = require('session-file-store')(s); const x = require('node-persist'); new S();")
    assert found.settled == ("session-file-store",)


def test_typescript_and_modules(make_context):
    source = (
        "import express, { Router as R } from 'express';\nimport * as fs from 'node:fs/promises';\n"
        "import type { T } from './types';\nimport './side';\n"
        "import config, { DATA } from './lib/config.js';\nexport * from './routes';\nimport x = require('@scope/pkg/deep');\n"
        "const here = new URL('./page.html', import.meta.url);\nconst n: number = 1 as number;\nawait fs.writeFile(`${DATA}/x`, '');\n"
        "const app = express(); app.listen(config.port!);\n"
    )
    others = {
        "src/side.ts": "import 'yaml'",
        "src/routes/index.tsx": "export const a = <b/>",
        "src/types.ts": "import 'never'",
        "src/lib/config.ts": "export const DATA = '/data';\nexport default { port: Number(process.env.PORT ?? 4000) };",
    }
    found = read(make_context, source, entry="src/main.ts", **others)
    assert found.files == ("src/lib/config.ts", "src/main.ts", "src/routes/index.tsx", "src/side.ts")
    assert found.modules == ("@scope/pkg", "express", "fs", "yaml")
    assert found.packages == ("@scope/pkg", "express", "yaml")
    assert texts(found.read) == {"context:src/page.html"}
    assert texts(found.written) == {"absolute:/data/x"}
    assert found.ports == (4000,)
    assert found.unknown == ()


def test_modules_of_commonjs(make_context):
    others = {
        "lib/index.js": "module.exports = { PORT: 90 }; exports.DIR = '/d'",
        "package.json": "{}",
        "job.js": "require('fs').rmSync('/j')",
    }
    found = read(
        make_context,
        "const { PORT } = require('./lib'); "
        "const l = require('./lib'); app.listen(PORT); app.listen(l.PORT); fs.rmSync(l.DIR); require('./package.json'); fork('job.js')",
        **others,
    )
    assert found.files == ("app.js", "job.js", "lib/index.js", "package.json")
    assert (found.ports, texts(found.written), texts(found.read), found.unknown) == (
        (90,),
        {"absolute:/d", "absolute:/j"},
        {"context:package.json"},
        (),
    )


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("require(x)", "loads a computed module"),
        ("import(`./locales/${x}.js`)", "loads a computed module"),
        ("require('./absent')", "imports ./absent, which is not in the build context"),
        ("require('./hidden')", "imports ./hidden, which is not in the build context"),
        ("require('../outside')", "imports ../outside, which is not in the build context"),
        ("require('#internal')", "imports #internal, which is not in the build context"),
    ],
)
def test_modules_that_are_not_known(make_context, source, what):
    found = read(make_context, source, **{"hidden.js": "", ".dockerignore": "hidden.js"})
    assert [(item.about, item.what) for item in found.unknown] == [("module", what)]


def test_path_aliases_of_typescript(make_context):
    others = {
        "tsconfig.json": '{ // comment\n "compilerOptions": { "baseUrl": ".", "paths": { "@/*": ["src/*"], }, }, }',
        "src/a.ts": "import 'yaml'",
        "src/b.ts": "",
    }
    found = read(make_context, "import '@/a'; import 'src/b'; import 'express';", entry="src/main.ts", **others)
    assert found.files == ("src/a.ts", "src/b.ts", "src/main.ts")
    assert found.modules == ("express", "yaml")


def test_a_program_that_is_built_lies_elsewhere(make_context):
    source = "import './lib/a'; import path from 'path'; import p from '../package.json'; f(path.join(__dirname, '..', 'public'))"
    found = read(
        make_context,
        source,
        entry="src/app.ts",
        runs_as="dist/app.js",
        **{"src/lib/a.ts": "import path from 'path'; f(path.join(__dirname, 'x'))", "package.json": "{}"},
    )
    assert texts(found.read) == {"context:public", "context:package.json", "context:dist/x", "context:dist/lib/x"}


def test_broken_source_is_unknown(make_context):
    found = read(make_context, "const x = ;\nspawn('a')\n")
    assert [(item.about, item.where) for item in found.unknown] == [("syntax", "app.js:2")]
    assert found.unknown_about("port") == found.unknown


def test_scripts_of_components_are_read(make_context):
    script = "import { execFile } from 'node:child_process'\nexecFile(x)\n"
    component = f'<template><p>{{{{ a < b }}}}</p></template>\n<script setup lang="ts">\n{script}</script>\n'
    found = read(make_context, "import './App.vue'; import './style.css'", entry="main.mjs", **{"App.vue": component, "style.css": ""})
    assert [(item.about, item.where) for item in found.unknown] == [("program", "App.vue:4")]


def test_the_front_of_an_astro_page_is_read(make_context):
    front = "import { execFileSync } from 'child_process'\nconst v = execFileSync('git', ['log'])\n"
    page = f"---\n{front}---\n<script>import 'chart.js'</script>\n<p>{{v}}</p>\n"
    found = read(make_context, "import './index.astro'", entry="main.mjs", **{"index.astro": page})
    assert (found.programs, found.modules, found.unknown) == (("git",), ("child_process",), ())


def test_a_missing_entry_is_unknown(make_context):
    assert [item.about for item in javascript_evidence(make_context({}), "dist/app.js").unknown] == ["context"]


def test_deep_nesting_and_long_chains_end(make_context):
    found = read(
        make_context, f"x = {'(' * 5000}{')' * 5000}; y = a{'.b' * 5000}; f(a{'()' * 5000}); {'z = {a: ' * 3000}1{'}' * 3000}; spawn('a')"
    )
    assert found.unknown


def test_too_much_source_is_unknown(make_context, monkeypatch):
    monkeypatch.setattr(javascript_source, "MAXIMUM_SOURCE", 10)
    assert [item.about for item in read(make_context, "").unknown] == ["context"]


def test_a_program_without_any_of_this(make_context):
    found = read(make_context, "document.querySelector('#app').textContent = 'Welcome';", entry="main.mjs")
    assert (found.modules, found.programs, found.read, found.written, found.ports, found.unknown) == ((), (), (), (), (), ())
