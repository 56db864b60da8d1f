"""The certificates of authorities that a program speaking TLS checks others by."""

from __future__ import annotations

from optimizer.context.golang import GoModule, go_literals
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import CompiledProgram
from optimizer.model.paths import placements
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import copy_line
from optimizer.passes.split.shared import apt_install, installs_of

_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian and Alpine keep them in one file, which is the first place that Go looks at (crypto/x509/root_linux.go)."""
_EMBEDDED = (
    "golang.org/x/crypto/x509roots/fallback",
    "github.com/breml/rootcerts",
    "github.com/gwatts/rootcerts",
    "github.com/certifi/gocertifi",
)


def certificates(model: Model, stage: Stage, builder: Stage, programs: list[CompiledProgram]) -> Change | None:
    """Bring certificates to the image of a Go program that is a client of TLS, and that has none; None where that is not seen.

    Args:
        model: The facts, with the context at hand.
        stage: The stage that runs the programs.
        builder: The stage that compiles them.
        programs: The programs.
    """
    image, origin = stage.image, builder.image
    modules = [program.module for program in programs if program.module is not None]
    if image is None or origin is None or image.ca_certificates is not False or not any(_calls_out(model, module) for module in modules):
        return None
    state = model.behind(stage)
    if any(name in state.env for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")) or brings(
        model, stage, "ca-certificates", ("/", "/etc"), ("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates")
    ):
        return None
    client = "the program is a client of TLS, and the image has no certificates of authorities"
    if image.package_manager == "apt":
        place = stage.position + 1
        file = model.file.replaced(place, place, [apt_install(model, stage, ("ca-certificates",), ("--no-install-recommends",))])
        return Change("install ca-certificates in the stage that runs", file, (stage.position,), (client,))
    if image.libc != "none" or origin.ca_certificates is not True or builder.name is None:
        return None
    copies = [p for p in stage.positions if model.file.instruction(p).keyword == "COPY"]
    if not copies:
        return None
    file = model.file.replaced(copies[0], copies[0], [copy_line(model, stage, builder.name, _BUNDLE, _BUNDLE)])
    return Change("copy the certificates of authorities", file, (copies[0],), (client, f"{builder.reference} has them"))


def _calls_out(model: Model, module: GoModule) -> bool:
    """Whether a module is a client of TLS: it calls one, and not only by plain HTTP."""
    if not module.tls_client or model.context is None or any(name.startswith(_EMBEDDED) for name in module.imports):
        return False
    urls = [text for text in go_literals(model.context, module) if text.startswith(("http://", "https://"))]
    return not urls or any(text.startswith("https://") for text in urls)


def brings(model: Model, stage: Stage, package: str, around: tuple[str, ...], below: tuple[str, ...]) -> bool:
    """Whether a step of a stage brings files of the system, or may.

    Args:
        model, stage: The facts.
        package: What names of the packages with them hold.
        around: Folders around the files, into which a COPY may bring them.
        below: How the paths of the files themselves begin.
    """
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword == "RUN":
            if node.script is None or any(package in name for call in installs_of(node) for name in call.packages):
                return True
        elif node.keyword in ("COPY", "ADD"):
            for placement in placements(model, position) or ():
                if placement.target in around or placement.target.startswith(below):
                    return True
    return False
