"""What Ruby gems need from the system when they run, and what they write on their own account.

Source: the gems' own installation pages, and the dependencies of Debian's ``ruby-*`` packages. Gems that are not listed bring what
they need, or need nothing.
"""

from __future__ import annotations

from msgspec import Struct


class GemNeeds(Struct, frozen=True):
    """What a gem needs.

    Args:
        libraries: Debian's development packages of the libraries that it is linked with.
        programs: The programs that it starts.
        unknown: What it needs depends on how it is used.
    """

    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    unknown: bool = False


_NOTHING = GemNeeds()
_LIBRARIES: dict[str, tuple[str, ...]] = {
    "pg": ("libpq-dev",),
    "mysql2": ("default-libmysqlclient-dev",),
    "sqlite3": ("libsqlite3-dev",),
    "extralite": ("libsqlite3-dev",),
    "tiny_tds": ("freetds-dev",),
    "ruby-odbc": ("unixodbc-dev",),
    "rmagick": ("libmagickcore-dev", "libmagickwand-dev"),
    "ruby-vips": ("libvips-dev",),
    "curb": ("libcurl4-openssl-dev",),
    "patron": ("libcurl4-openssl-dev",),
    "typhoeus": ("libcurl4-openssl-dev",),
    "ethon": ("libcurl4-openssl-dev",),
    "libxml-ruby": ("libxml2-dev",),
    "ruby-filemagic": ("libmagic-dev",),
    "charlock_holmes": ("libicu-dev",),
    "rugged": ("libssh2-1-dev",),
    "taglib-ruby": ("libtag1-dev",),
    "idn-ruby": ("libidn-dev",),
    "gpgme": ("libgpgme-dev",),
    "gssapi": ("libkrb5-dev",),
    "rkerberos": ("libkrb5-dev",),
    "rbnacl": ("libsodium-dev",),
    "ffi-icu": ("libicu-dev",),
    "cairo": ("libcairo2-dev",),
    "pango": ("libpango1.0-dev",),
    "gdk_pixbuf2": ("libgdk-pixbuf-2.0-dev",),
    "rsvg2": ("librsvg2-dev",),
    "zeromq": ("libzmq3-dev",),
    "ffi-rzmq": ("libzmq3-dev",),
    "snappy": ("libsnappy-dev",),
    "memcached": ("libsasl2-dev",),
    "leveldb": ("libleveldb-dev",),
}
_PROGRAMS: dict[str, tuple[str, ...]] = {
    "mini_magick": ("convert",),
    "paperclip": ("convert", "file"),
    "kt-paperclip": ("convert", "file"),
    "dragonfly": ("convert",),
    "streamio-ffmpeg": ("ffmpeg",),
    "carrierwave-video": ("ffmpeg",),
    "git": ("git",),
    "gollum": ("git",),
    "gollum-lib": ("git",),
    "pdfkit": ("wkhtmltopdf",),
    "wicked_pdf": ("wkhtmltopdf",),
    "ruby-graphviz": ("dot",),
    "rtesseract": ("tesseract",),
    "docsplit": ("gs", "pdftotext"),
    "rghost": ("gs",),
    "mimemagic": ("update-mime-database",),
    "execjs": ("node",),
}
_UNKNOWN = frozenset({
    "selenium-webdriver", "ferrum", "cuprite", "capybara-webkit", "puppeteer-ruby", "grover", "watir", "poltergeist", "phantomjs",
    "ruby-oci8", "passenger", "therubyracer", "libv8", "gtk3", "gtk2", "gosu", "opencv", "ruby-opencv", "tensorflow", "torch-rb",
    "playwright-ruby-client", "fxruby", "wxruby", "pcaprub", "packetfu", "serialport", "rpi_gpio", "pi_piper", "libusb", "bluez",
    "wkhtmltopdf-binary", "wkhtmltoimage-binary", "wkhtmltopdf-binary-edge",
})  # fmt: skip
# Folders below that of the project into which a gem writes by itself; "?" stands for one that its caller names.
_WRITES: dict[str, tuple[str, ...]] = {
    "carrierwave": ("public/uploads",),
    "paperclip": ("public/system",),
    "kt-paperclip": ("public/system",),
    "bootsnap": ("tmp",),
    "dragonfly": ("?",),
    "refile": ("?",),
    "sitemap_generator": ("?",),
    "gollum": ("?",),
    "gollum-lib": ("?",),
    "git": ("?",),
    "rugged": ("?",),
    "lmdb": ("?",),
    "leveldb": ("?",),
    "rocksdb-ruby": ("?",),
    "daybreak": ("?",),
    "moneta": ("?",),
    "localhost": ("?",),
    "extralite": ("?",),
    "duckdb": ("?",),
    "middleman": ("?",),
    "nanoc": ("?",),
}
ROOT_GEMS = frozenset({"pcaprub", "packetfu", "rpi_gpio", "pi_piper", "docker-api", "ruby-dbus", "serialport", "libusb", "net-ping"})
"""Gems for devices, raw sockets, the docker socket and accounts."""


def gem_needs(name: str) -> GemNeeds:
    """What a gem needs when it runs."""
    if name in _UNKNOWN:
        return GemNeeds(unknown=True)
    libraries, programs = _LIBRARIES.get(name, ()), _PROGRAMS.get(name, ())
    return GemNeeds(libraries, programs) if libraries or programs else _NOTHING


def gem_writes(name: str) -> tuple[str, ...]:
    """The folders that a gem writes by itself, below that of the project; "?" for one that its caller names."""
    return _WRITES.get(name, ())
