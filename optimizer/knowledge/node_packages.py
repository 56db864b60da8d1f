"""What popular Node packages need from the system when they run.

Source: the packages' own installation pages. Packages that are not listed bring what they need, or need nothing.
"""

from __future__ import annotations

_NEEDS: dict[str, tuple[str, ...] | None] = {
    # They start programs.
    "gm": ("graphicsmagick", "imagemagick"),
    "imagemagick": ("imagemagick",),
    "easyimage": ("imagemagick",),
    "fluent-ffmpeg": ("ffmpeg",),
    "simple-git": ("git",),
    "nodegit": None,
    "node-poppler": ("poppler-utils",),
    "pdf-poppler": ("poppler-utils",),
    "pdf2pic": ("ghostscript", "graphicsmagick"),
    "pdf-image": ("ghostscript", "imagemagick", "poppler-utils"),
    "node-tesseract-ocr": ("tesseract-ocr",),
    "wkhtmltopdf": ("wkhtmltopdf",),
    "html-pdf": None,
    "phantomjs-prebuilt": None,
    "libreoffice-convert": ("libreoffice",),
    "youtube-dl-exec": ("python3",),
    "python-shell": ("python3",),
    "ssh2-sftp-client": (),
    "docker-compose": None,
    # They link libraries that nobody bundles.
    "pg-native": ("libpq5",),
    "libpq": ("libpq5",),
    "canvas": None,
    "node-rdkafka": None,
    "oracledb": None,
    "odbc": ("unixodbc",),
    "ibm_db": None,
    "printer": None,
    "serialport": (),
    "usb": None,
    "node-hid": None,
    "zeromq": (),
    "robotjs": None,
    "electron": None,
    "gl": None,
    "speaker": ("libasound2",),
    # They drive a browser that needs dozens of libraries.
    "puppeteer": None,
    "puppeteer-core": None,
    "playwright": None,
    "playwright-core": None,
    "@playwright/test": None,
    "chrome-launcher": None,
    "selenium-webdriver": None,
}


def node_package_needs(name: str) -> tuple[str, ...] | None:
    """Debian packages that an npm package needs when it runs; None when they depend on how it is used."""
    return _NEEDS.get(name, ())
