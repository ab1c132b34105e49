//! All commands, by the words that lead to them.

use crate::command::{
    attach, checkpoint, cleanup, clone, commit, completion, cp, create, diff, exec, exists, export,
    healthcheck, images, info, init, inspect, kill, load, logs, mount, pause, port, prune, ps,
    pull, rename, restart, rm, rmi, run, runlabel, save, start, stats, stop, tag, top, unpause,
    unshare, update, version, wait,
};
use crate::verb::{Verb, verb, verb_alone, verb_inside, verb_nested};

/// What stands directly after `minke`.
pub const TOP: &[Verb] = &[
    ATTACH,
    COMMIT,
    Verb::group("container", "Manage containers", CONTAINER),
    verb_alone!(
        "completion",
        "Print a script that lets a shell complete command lines",
        completion::CompletionArgs,
        completion::run
    ),
    verb_alone!(
        "__complete",
        "Answer such a script",
        completion::CompleteArgs,
        completion::complete
    )
    .hidden(),
    CP,
    CREATE,
    verb!(
        "diff",
        "Show what a container or an image changes",
        diff::DiffArgs,
        diff::run
    ),
    EXEC,
    EXPORT,
    Verb::group("image", "Manage images", IMAGE),
    Verb::group("healthcheck", "Check the health of containers", HEALTHCHECK),
    verb!("images", "List images", images::ImagesArgs, images::run),
    verb!(
        "info",
        "Show what this host and this installation have",
        info::InfoArgs,
        info::run
    ),
    verb!(
        "inspect",
        "Show all that is known of containers and images",
        inspect::InspectArgs,
        inspect::run
    ),
    INIT,
    KILL,
    LOAD,
    LOGS,
    MOUNT,
    PAUSE,
    PORT,
    verb!("ps", "List containers", ps::PsArgs, ps::run),
    PULL,
    RENAME,
    RESTART,
    RM,
    verb!("rmi", "Remove images", rmi::RmiArgs, rmi::run),
    RUN,
    SAVE,
    START,
    STATS,
    STOP,
    TAG,
    TOP_PROCESSES,
    UNMOUNT,
    UNPAUSE,
    verb_alone!(
        "unshare",
        "Run a command in a normal user's namespace",
        unshare::UnshareArgs,
        unshare::run
    ),
    UPDATE,
    verb_alone!(
        "version",
        "Show the version",
        version::VersionArgs,
        version::run
    ),
    WAIT,
];

/// What stands after `minke container`.
const CONTAINER: &[Verb] = &[
    ATTACH,
    verb!(
        "checkpoint",
        "Save the processes of a container (not there yet)",
        checkpoint::CheckpointArgs,
        checkpoint::checkpoint
    ),
    verb!(
        "restore",
        "Bring saved processes back (not there yet)",
        checkpoint::CheckpointArgs,
        checkpoint::restore
    ),
    verb!(
        "cleanup",
        "Clean up after a container that ended",
        cleanup::CleanupArgs,
        cleanup::run
    )
    .hidden(),
    verb!(
        "clone",
        "Create a container like one that is there",
        clone::CloneArgs,
        clone::run
    ),
    COMMIT,
    CP,
    CREATE,
    verb!(
        "diff",
        "Show what a container changes",
        diff::DiffArgs,
        diff::container
    ),
    EXEC,
    verb!(
        "exists",
        "Tell by the exit code whether a container is there",
        exists::ContainerExistsArgs,
        exists::container
    ),
    EXPORT,
    verb!(
        "inspect",
        "Show all that is known of containers",
        inspect::InspectContainersArgs,
        inspect::containers
    ),
    INIT,
    KILL,
    verb!("list", "List containers", ps::PsArgs, ps::run).aliases(&["ls", "ps"]),
    LOGS,
    MOUNT,
    PAUSE,
    PORT,
    verb!(
        "prune",
        "Remove every container that does not run",
        prune::PruneArgs,
        prune::run
    ),
    RENAME,
    RESTART,
    RM,
    RUN,
    verb_nested!(
        "runlabel",
        "Run the command in a label of an image",
        runlabel::RunlabelArgs,
        runlabel::run
    ),
    START,
    STATS,
    STOP,
    TOP_PROCESSES,
    UNMOUNT,
    UNPAUSE,
    UPDATE,
    WAIT,
];

/// What stands after `minke healthcheck`.
const HEALTHCHECK: &[Verb] = &[verb!(
    "run",
    "Check the health of a container once",
    healthcheck::RunArgs,
    healthcheck::run
)];

/// What stands after `minke image`.
const IMAGE: &[Verb] = &[
    verb!(
        "diff",
        "Show what an image changes",
        diff::ImageDiffArgs,
        diff::image
    ),
    verb!(
        "exists",
        "Tell by the exit code whether an image is there",
        exists::ExistsArgs,
        exists::image
    ),
    verb!(
        "inspect",
        "Show all that is known of images",
        inspect::InspectImagesArgs,
        inspect::images
    ),
    verb!("list", "List images", images::ImagesArgs, images::run).aliases(&["ls"]),
    LOAD,
    PULL,
    verb!("rm", "Remove images", rmi::RmiArgs, rmi::run),
    SAVE,
    TAG,
];

// Those that stand in several places.
const ATTACH: Verb = verb!(
    "attach",
    "Attach to a running container",
    attach::AttachArgs,
    attach::run
);
const COMMIT: Verb = verb!(
    "commit",
    "Make an image of a container",
    commit::CommitArgs,
    commit::run
);
const CP: Verb = verb!(
    "cp",
    "Copy files between containers and the host",
    cp::CpArgs,
    cp::run
);
const CREATE: Verb = verb!(
    "create",
    "Create a container without starting it",
    create::CreateArgs,
    create::run
)
.own_h();
const EXEC: Verb = verb!(
    "exec",
    "Run a command in a running container",
    exec::ExecArgs,
    exec::run
);
const EXPORT: Verb = verb!(
    "export",
    "Write a container's files as a tar archive",
    export::ExportArgs,
    export::run
);
const INIT: Verb = verb!(
    "init",
    "Set containers up without starting them",
    init::InitArgs,
    init::run
);
const KILL: Verb = verb!(
    "kill",
    "Send a signal to containers",
    kill::KillArgs,
    kill::run
);
const LOAD: Verb = verb!(
    "load",
    "Load images from an archive",
    load::LoadArgs,
    load::run
);
const LOGS: Verb = verb!(
    "logs",
    "Show what containers wrote",
    logs::LogsArgs,
    logs::run
);
const MOUNT: Verb = verb_inside!(
    "mount",
    "Mount a container's files on the host",
    mount::MountArgs,
    mount::mount
);
const PAUSE: Verb = verb!("pause", "Freeze containers", pause::PauseArgs, pause::run);
const PORT: Verb = verb!(
    "port",
    "Show where ports are published",
    port::PortArgs,
    port::run
);
const PULL: Verb = verb!(
    "pull",
    "Pull images from a registry",
    pull::PullArgs,
    pull::run
);
const RENAME: Verb = verb!(
    "rename",
    "Give a container another name",
    rename::RenameArgs,
    rename::run
);
const RESTART: Verb = verb!(
    "restart",
    "Stop containers and start them again",
    restart::RestartArgs,
    restart::run
);
const RM: Verb = verb!("rm", "Remove containers", rm::RmArgs, rm::run);
const RUN: Verb = verb!(
    "run",
    "Run a command in a new container",
    run::RunArgs,
    run::run
)
.own_h();
const SAVE: Verb = verb!(
    "save",
    "Save images to an archive",
    save::SaveArgs,
    save::run
);
const START: Verb = verb!("start", "Start containers", start::StartArgs, start::run);
const STATS: Verb = verb!(
    "stats",
    "Show what containers use, again and again",
    stats::StatsArgs,
    stats::run
);
const STOP: Verb = verb!("stop", "Stop containers", stop::StopArgs, stop::run);
const TAG: Verb = verb!("tag", "Give an image further names", tag::TagArgs, tag::run);
const UNMOUNT: Verb = verb_inside!(
    "unmount",
    "Unmount a container's files",
    mount::UnmountArgs,
    mount::unmount
)
.aliases(&["umount"]);
const TOP_PROCESSES: Verb = verb!(
    "top",
    "Show a container's processes",
    top::TopArgs,
    top::run
);
const UNPAUSE: Verb = verb!(
    "unpause",
    "Let frozen containers go on",
    unpause::UnpauseArgs,
    unpause::run
);
const UPDATE: Verb = verb!(
    "update",
    "Change limits, restarts and health checks of a container",
    update::UpdateArgs,
    update::run
);
const WAIT: Verb = verb!(
    "wait",
    "Wait until containers end",
    wait::WaitArgs,
    wait::run
);
