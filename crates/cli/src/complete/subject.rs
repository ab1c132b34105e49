//! What a word on the command line may name.

/// A kind of thing that has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Nothing that could be listed.
    Nothing,
    /// Files of the host.
    Files,
    /// Containers that run.
    Running,
    /// Containers that do not.
    Idle,
    /// Frozen containers.
    Paused,
    /// All containers.
    Containers,
    /// Images in the store.
    Images,
    /// Containers and images.
    Objects,
    /// Networks.
    Networks,
    /// One of these.
    Fixed(&'static [&'static str]),
}

/// What the `index`th word of a command may name.
pub fn of_word(path: &[&str], index: usize) -> Subject {
    let is_image = path.first() == Some(&"image");
    match (path.last().copied().unwrap_or_default(), index) {
        ("attach" | "exec" | "port" | "top", 0) => Subject::Running,
        ("kill" | "pause" | "stats" | "stop" | "wait", _) => Subject::Running,
        ("start" | "init", _) => Subject::Idle,
        ("unpause", _) => Subject::Paused,
        ("inspect" | "exists" | "rm", _) if is_image => Subject::Images,
        ("inspect", _) if path.len() == 1 => Subject::Objects,
        ("diff", _) => Subject::Objects,
        (
            "checkpoint" | "cleanup" | "exists" | "inspect" | "logs" | "mount" | "restart" | "rm"
            | "unmount",
            _,
        ) => Subject::Containers,
        ("clone" | "commit" | "export" | "rename" | "update", 0) => Subject::Containers,
        ("run" | "create" | "tag", 0) | ("rmi" | "save", _) => Subject::Images,
        ("run" | "create" | "exec" | "load" | "import" | "cp" | "unshare", _) => Subject::Files,
        ("completion", 0) => Subject::Fixed(&["bash", "zsh", "fish", "powershell"]),
        _ => Subject::Nothing,
    }
}

/// What the value of a flag may name.
pub fn of_flag(long: &str) -> Subject {
    match long {
        "authfile" | "cert-dir" | "cidfile" | "conmon" | "env-file" | "file" | "iidfile"
        | "input" | "label-file" | "output" | "pidfile" | "conmon-pidfile" | "root" | "runroot"
        | "hooks-dir" | "hosts-file" | "init-path" | "tmpdir" | "volume" | "device"
        | "network-config-dir" => Subject::Files,
        "network" => Subject::Networks,
        "volumes-from" | "requires" => Subject::Containers,
        "pull" => Subject::Fixed(&["always", "missing", "never", "newer"]),
        "restart" => Subject::Fixed(&["always", "no", "on-failure", "unless-stopped"]),
        "log-driver" => {
            Subject::Fixed(&["journald", "json-file", "k8s-file", "none", "passthrough"])
        }
        "log-level" => {
            Subject::Fixed(&["debug", "error", "fatal", "info", "panic", "trace", "warn"])
        }
        "cgroup-manager" => Subject::Fixed(&["cgroupfs", "systemd"]),
        "cgroups" => Subject::Fixed(&["disabled", "enabled", "no-conmon", "split"]),
        "systemd" => Subject::Fixed(&["always", "false", "true"]),
        "sdnotify" => Subject::Fixed(&["conmon", "container", "healthy", "ignore"]),
        "sort" => Subject::Fixed(&[
            "command",
            "created",
            "id",
            "image",
            "names",
            "runningfor",
            "size",
            "status",
        ]),
        "health-on-failure" => Subject::Fixed(&["kill", "none", "restart", "stop"]),
        "condition" => Subject::Fixed(&[
            "configured",
            "created",
            "exited",
            "healthy",
            "initialized",
            "paused",
            "removing",
            "running",
            "stopped",
            "stopping",
            "unhealthy",
        ]),
        "signal" | "stop-signal" => Subject::Fixed(&[
            "SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2",
        ]),
        "image-volume" => Subject::Fixed(&["anonymous", "bind", "ignore", "tmpfs"]),
        "userns" => Subject::Fixed(&["auto", "host", "keep-id", "nomap"]),
        "pid" | "uts" => Subject::Fixed(&["host", "private"]),
        "ipc" => Subject::Fixed(&["host", "none", "private", "shareable"]),
        "cgroupns" => Subject::Fixed(&["host", "private"]),
        "cap-add" | "cap-drop" => Subject::Fixed(minke_runtime_spec::option::capability::ALL),
        "type" => Subject::Fixed(&["all", "container", "image"]),
        _ => Subject::Nothing,
    }
}
