"""Folders for a program on an image without a shell: empty ones of the stage that compiles it, copied with their owner."""

from __future__ import annotations

from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.paths import is_folder, origin_of
from optimizer.passes.account.accounts import Account
from optimizer.passes.account.ownership import Ownership
from optimizer.passes.runs.shells import posix_shell
from optimizer.passes.text import instruction_like
from optimizer.syntax import Dockerfile

_EMPTY = "/empty"


def with_folders(model: Model, stage: Stage, application: Application, account: Account, plan: Ownership) -> Dockerfile | str:
    """The Dockerfile in which the account has its folders, or why it cannot have them.

    A folder that exists keeps its owner when something is copied into it, so these stand first of all in the stage.

    Args:
        model, stage, application, account: The facts.
        plan: What has to belong to the account.
    """
    first = plan.paths[0]
    refused = f"the program writes {first}, and the image has no shell that could give it away"
    entries = [path for path in application.start.entries if path.startswith("/")]
    builder = origin_of(model, stage, entries[0])[0] if entries else None
    if builder is None or builder.index == stage.index or builder.image is None or not builder.image.shell or not builder.name:
        return refused
    files = [path for path in plan.owned if path not in plan.made and not is_folder(model, stage, path, len(model.file.nodes))]
    exist = [path for path in plan.paths if is_folder(model, stage, path, stage.position + 1)]
    held = [path for path in plan.deep if path not in plan.made]
    if files or exist or held or model.behind(builder).user not in ("root", "0", None):
        return refused
    if not builder.positions or not posix_shell(model.before(builder.positions[0])):
        return refused
    if any(_EMPTY in model.file.instruction(position).text for position in builder.positions):
        return refused
    file = model.file
    from_line, own_from = file.instruction(builder.position), file.instruction(stage.position)
    owner = f"{account.name}:{account.name}" if account.name.isdigit() else account.name
    copies = [instruction_like(file, own_from, "COPY", f"--from={builder.name} --chown={owner} {_EMPTY} {path}") for path in plan.paths]
    after = file.replaced(stage.position + 1, stage.position + 1, copies)
    return after.replaced(builder.position + 1, builder.position + 1, [instruction_like(file, from_line, "RUN", f"mkdir {_EMPTY}")])
