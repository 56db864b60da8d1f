"""Where packages of npm write, by what they are called with. Source: the README of each package."""

from __future__ import annotations

# Calls, and which of their arguments name a file.
FILES: dict[str, tuple[int, ...]] = {
    "better-sqlite3": (0,), "better-sqlite3.Database": (0,), "sqlite3.Database": (0,), "sqlite3.cached.Database": (0,),
    "sqlite.DatabaseSync": (0,), "bun:sqlite.Database": (0,), "Bun.write": (0,), "qrcode.toFile": (0,), "xlsx.writeFile": (1,),
    "xlsx.writeFileSync": (1,), "xlsx.writeFileXLSX": (1,), "fast-csv.writeToPath": (0,), "lokijs": (0,),
    "rotating-file-stream.createStream": (0,), "pino.destination": (0,), "nedb-promises.create": (0,),
    **{f"lowdb/{name}": (0,) for name in (
        "adapters/FileSync", "adapters/FileAsync", "node.JSONFile", "node.JSONFileSync", "node.TextFile", "node.TextFileSync",
        "node.DataFile", "node.DataFileSync", "node.JSONFilePreset", "node.JSONFileSyncPreset",
    )},
}  # fmt: skip
# Calls, and which of their arguments name a folder.
FOLDERS: dict[str, int] = {
    "node-localstorage.LocalStorage": 0, "level": 0, "level.Level": 0, "classic-level.ClassicLevel": 0, "leveldown": 0, "decompress": 1,
    "download": 1,
}  # fmt: skip
# Calls with an options object, and its keys that name files written, or folders where they end in a slash.
OPTIONS: dict[str, tuple[str, ...]] = {
    "multer": ("dest/",), "multer.diskStorage": ("destination/",), "winston.transports.File": ("filename", "dirname/"),
    "winston-daily-rotate-file": ("filename", "dirname/"), "winston.transports.DailyRotateFile": ("filename", "dirname/"),
    "sqlite.open": ("filename",), "formidable": ("uploadDir/",), "formidable.formidable": ("uploadDir/",),
    "express-fileupload": ("tempFileDir/",), "nedb": ("filename",), "@seald-io/nedb": ("filename",), "nedb-promises.create": ("filename",),
    "session-file-store.Store": ("path/",), "connect-sqlite3.Store": ("dir/",),
    "keyv-file.KeyvFile": ("filename",), "file-stream-rotator.getStream": ("filename",), "extract-zip": ("dir/",),
    "unzipper.Extract": ("path/",), "rotating-file-stream.createStream": ("path/",), "pino.destination": ("dest",),
    "csv-writer.createObjectCsvWriter": ("path",), "csv-writer.createArrayCsvWriter": ("path",),
    "node-persist.init": ("dir/",), "node-persist.initSync": ("dir/",), "node-persist.create": ("dir/",),
}  # fmt: skip
# Calls that are given a function to say where files go.
COMPUTED = frozenset({"@nestjs/platform-express.MulterModule.registerAsync"})
# Calls whose options name an SQLite file under one key where another says that it is of that kind.
SQLITE: dict[str, tuple[str, str]] = {
    "typeorm.DataSource": ("type", "database"), "typeorm.createConnection": ("type", "database"),
    "@nestjs/typeorm.TypeOrmModule.forRoot": ("type", "database"), "sequelize.Sequelize": ("dialect", "storage"),
}  # fmt: skip
# What they write where the options say nothing, relative to the working directory.
DEFAULTS: dict[str, str] = {
    "session-file-store.Store": "sessions/", "connect-sqlite3.Store": "./", "node-persist.init": ".node-persist/storage/",
    "node-persist.initSync": ".node-persist/storage/",
}  # fmt: skip
# Calls whose options may lie anywhere inside of their arguments, and the keys among them that name files.
NESTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pino", "pino.pino", "pino.transport"), ("destination", "file")), "fastify": ("destination", "file"),
    "bunyan.createLogger": ("path",), "log4js.configure": ("filename",),
}  # fmt: skip
# Packages whose export has to be called to get the class that stores things.
FACTORIES = frozenset({"session-file-store", "connect-sqlite3"})
# Methods of what packages give, by the package that must be imported (None: the name says enough): the argument that is written.
METHODS: dict[str, tuple[str | None, int]] = {
    "toFile": (None, 0), "mv": (None, 0), "writeZip": (None, 0), "extractAllTo": (None, 0), "extractAllToAsync": (None, 0),
    "writeAsync": ("jimp", 0), "write": ("jimp", 0), "save": ("fluent-ffmpeg", 0), "output": ("fluent-ffmpeg", 0),
    "mergeToFile": ("fluent-ffmpeg", 0), "writeFile": ("exceljs", 0),
}  # fmt: skip
# Keys that name a folder to write to, whatever package is given them.
KEYS = ("dest/", "dirname/", "logDir/", "logDirectory/", "uploadDir/", "cacheDirectory/", "dataDirectory/")
