"""The passes, in the order in which they run."""

from optimizer.passes.absolute_paths import AbsolutePaths
from optimizer.passes.add_with_checksum import AddWithChecksum
from optimizer.passes.assume_yes import AssumeYes
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.clean_package_caches import CleanPackageCaches
from optimizer.passes.complete_dockerignore import CompleteDockerignore
from optimizer.passes.copy_instead_of_add import CopyInsteadOfAdd
from optimizer.passes.copy_with_mode import CopyWithMode
from optimizer.passes.copy_with_owner import CopyWithOwner
from optimizer.passes.drop_apt_clean import DropAptClean
from optimizer.passes.drop_blank_continuations import DropBlankContinuations
from optimizer.passes.drop_dead_stages import DropDeadStages
from optimizer.passes.drop_overridden_commands import DropOverriddenCommands
from optimizer.passes.drop_redundant_platform import DropRedundantPlatform
from optimizer.passes.drop_repeated_variables import DropRepeatedVariables
from optimizer.passes.exec_form_commands import ExecFormCommands
from optimizer.passes.insert_user import InsertUser
from optimizer.passes.install_dependencies_first import InstallDependenciesFirst
from optimizer.passes.install_locked import InstallLocked
from optimizer.passes.install_without_cache import InstallWithoutCache
from optimizer.passes.key_value_pairs import KeyValuePairs
from optimizer.passes.label_instead_of_maintainer import LabelInsteadOfMaintainer
from optimizer.passes.lowercase_stage_names import LowercaseStageNames
from optimizer.passes.merge_runs import MergeRuns
from optimizer.passes.mount_package_caches import MountPackageCaches
from optimizer.passes.mount_secrets import MountSecrets
from optimizer.passes.omit_development import OmitDevelopment
from optimizer.passes.omit_recommended_packages import OmitRecommendedPackages
from optimizer.passes.pin_digests import PinDigests
from optimizer.passes.prefer_apt_get import PreferAptGet
from optimizer.passes.quiet_downloads import QuietDownloads
from optimizer.passes.quote_substitutions import QuoteSubstitutions
from optimizer.passes.remove_sudo import RemoveSudo
from optimizer.passes.reorder_copies import ReorderCopies
from optimizer.passes.repair_stages import RepairStages
from optimizer.passes.replace_ended_bases import ReplaceEndedBases
from optimizer.passes.set_pipefail import SetPipefail
from optimizer.passes.skip_login_log import SkipLoginLog
from optimizer.passes.sort_packages import SortPackages
from optimizer.passes.split_stages import SplitStages
from optimizer.passes.start_program import StartProgram
from optimizer.passes.tune_go_builds import TuneGoBuilds
from optimizer.passes.uniform_keywords import UniformKeywords
from optimizer.passes.update_before_install import UpdateBeforeInstall
from optimizer.passes.workdir_instead_of_cd import WorkdirInsteadOfCd

PASSES: tuple[Pass, ...] = (
    CompleteDockerignore(),  # first of all: what does not reach the builder is no evidence for the others
    UniformKeywords(),  # before everything that writes instructions like their neighbours
    LowercaseStageNames(),
    DropBlankContinuations(),  # before everything that joins and divides lines
    DropOverriddenCommands(),  # before what reads commands: one that is not run is no evidence
    DropRedundantPlatform(),
    ReplaceEndedBases(),  # before everything that asks what the base image holds
    KeyValuePairs(),
    DropRepeatedVariables(),  # behind names and values with an equals sign
    CopyInsteadOfAdd(),  # before what moves and divides copies, so that their new instructions say COPY as well
    MountSecrets(),  # before what moves and joins RUN
    AbsolutePaths(),  # before what moves copies, which then do not depend on a folder
    RemoveSudo(),  # before what reads commands and compares them
    PreferAptGet(),
    AssumeYes(),
    SkipLoginLog(),
    RepairStages(),  # before the others, so that the others see a build that works
    DropDeadStages(),  # behind repairing, which may copy from a stage that was forgotten
    InstallLocked(),  # before the passes that move or divide what installs
    ReorderCopies(),  # before merging, which would join an install with steps that read the source
    StartProgram(),  # before splitting, which leaves a package manager behind where nothing starts it
    SplitStages(),  # behind reordering, which sets apart what an install reads; before merging, which joins what is split
    InstallDependenciesFirst(),  # behind splitting, which asks what a RUN installs, and moves it to a build stage
    TuneGoBuilds(),  # behind repairing and splitting, which say how programs are compiled where they change that
    OmitDevelopment(),  # behind splitting, which leaves them out where it divides a stage
    AddWithChecksum(),
    CopyWithOwner(),  # behind splitting, which takes installs out of the folder that is given away
    CopyWithMode(),  # behind splitting, which may leave the chmod to a build stage; before merging, which joins it with other steps
    MergeRuns(),  # before cleaning: joined, an update and its install can be cleaned in one layer
    UpdateBeforeInstall(),  # behind merging, which leaves apart what it cannot join; before cleaning, which then removes the lists
    MountPackageCaches(),  # behind merging, which joins only what has the same mounts; before cleaning, which passes over them
    InstallWithoutCache(),  # before cleaning, which passes over what is empty
    CleanPackageCaches(),
    DropAptClean(),  # behind cleaning, which removes the lists beside it
    WorkdirInsteadOfCd(),  # behind merging, which joins what works in several folders, and cleaning, which must not find it divided
    OmitRecommendedPackages(),  # behind splitting, which asks what was recommended; before sorting, since it may add a package
    SortPackages(),
    QuoteSubstitutions(),
    QuietDownloads(),
    LabelInsteadOfMaintainer(),
    ExecFormCommands(),  # behind splitting, which may give the command another image
    SetPipefail(),  # behind commands in exec form, which do not ask for SHELL
    InsertUser(),  # behind all that make the final stage: it reads what that has become
    PinDigests(),  # last: it names the images that are left
)

__all__ = ["PASSES", "Change", "Fact", "Keeps", "Pass", "Refusal", "Rewrites", "Safety"]
