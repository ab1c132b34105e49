//! conmon's command line.
//!
//! The table below is read the way conmon's own parser (glib's) reads it, because callers rely
//! on that: `--opt=value` and `--opt value` are the same and a value may begin with a dash, the
//! last of two equal options wins, short flags may be bundled, and stray words are ignored
//! (Podman writes `--api-version 1`, and `--api-version` takes no value). A general parser needs
//! all of that switched off, and its tables would stay in the monitor's memory for as long as the
//! container lives.

use crate::environment::Environment;
use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

/// Where attach sockets are linked when the caller does not say.
const DEFAULT_SOCKET_DIR: &str = "/var/run/crio";

/// What a monitor is asked to do.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// 1 with `--api-version`, else 0: which keys are used on the sync pipe.
    pub api_version: u32,
    /// `--bundle`. Of an exec session: where its attach socket and fifos go, `None` for none.
    pub bundle: Option<PathBuf>,
    /// `--cid`: the container's ID, also the name of the exit file.
    pub cid: String,
    /// `--cuuid`: the ID of the container or of the exec session.
    pub cuuid: Option<String>,
    /// `--name`
    pub name: Option<String>,
    /// `--runtime`: the OCI runtime.
    pub runtime: PathBuf,
    /// `--runtime-arg`: global arguments of the runtime.
    pub runtime_args: Vec<OsString>,
    /// `--runtime-opt`: arguments of the runtime's subcommand.
    pub runtime_opts: Vec<OsString>,
    /// `--conmon-pidfile`
    pub conmon_pidfile: Option<PathBuf>,
    /// `--container-pidfile`, after [`Options::complete`] never empty.
    pub container_pidfile: PathBuf,
    /// `--exit-dir`
    pub exit_dir: Option<PathBuf>,
    /// `--persist-dir`
    pub persist_dir: Option<PathBuf>,
    /// `--exit-command`
    pub exit_command: Option<PathBuf>,
    /// `--exit-command-arg`
    pub exit_args: Vec<OsString>,
    /// `--exit-delay`: wait this long before the exit command.
    pub exit_delay: Duration,
    /// `--exit-again`, ours and not conmon's: as long as the exit command writes
    /// `again MILLISECONDS`, wait that long and run it again.
    pub exit_again: bool,
    /// `--periodic-command`, ours and not conmon's: run this while the container lives. What it
    /// writes says when to run it next, as with `exit_again`.
    pub periodic_command: Option<PathBuf>,
    /// `--periodic-command-arg`
    pub periodic_args: Vec<OsString>,
    /// `--periodic-delay`: run it first after so long, in milliseconds, unless told to earlier;
    /// `None` is when told to.
    pub periodic_delay: Option<Duration>,
    /// `--exec`: run a process in a container that runs.
    pub exec: bool,
    /// `--exec-attach`: start it only once the caller is attached.
    pub exec_attach: bool,
    /// `--exec-process-spec`
    pub exec_process_spec: Option<PathBuf>,
    /// `--restore`: a checkpoint to restore from.
    pub restore: Option<PathBuf>,
    /// `--terminal`
    pub terminal: bool,
    /// `--stdin`
    pub stdin: bool,
    /// `--leave-stdin-open`: do not close the container's stdin when a client leaves.
    pub leave_stdin_open: bool,
    /// `--log-path`, each `driver:path`.
    pub log_paths: Vec<OsString>,
    /// `--log-size-max` in bytes.
    pub log_size_max: Option<u64>,
    /// `--log-global-size-max` in bytes.
    pub log_global_size_max: Option<u64>,
    /// `--log-rotate`: keep old logs when the limit is reached.
    pub log_rotate: bool,
    /// `--log-max-files`: how many old logs are kept.
    pub log_max_files: u32,
    /// `--log-tag`
    pub log_tag: Option<String>,
    /// `--log-label`, each `NAME=value`.
    pub log_labels: Vec<String>,
    /// `--no-container-partial-message`
    pub no_partial_message: bool,
    /// `--no-sync-log`: do not fsync logs at the end.
    pub no_sync_log: bool,
    /// `--log-level`
    pub log_level: Option<String>,
    /// `--syslog`
    pub syslog: bool,
    /// `--socket-dir-path`
    pub socket_dir: Option<PathBuf>,
    /// `--full-attach`: attach sockets live in the bundle itself.
    pub full_attach: bool,
    /// `--sdnotify-socket`: the host socket readiness is relayed to.
    pub sdnotify_socket: Option<PathBuf>,
    /// `--systemd-cgroup`
    pub systemd_cgroup: bool,
    /// `--no-new-keyring`
    pub no_new_keyring: bool,
    /// `--no-pivot`
    pub no_pivot: bool,
    /// `--replace-listen-pid`
    pub replace_listen_pid: bool,
    /// `--sync`: stay a child of the caller.
    pub sync: bool,
    /// `--timeout`: kill the container after this long.
    pub timeout: Option<Duration>,
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `--version`
    Version,
    /// `--help`
    Help,
    /// Monitor a container.
    Monitor(Box<Options>),
}

enum Slot {
    Switch(fn(&mut Options)),
    Value(fn(&mut Options, OsString) -> Result<(), &'static str>),
}

struct Flag {
    long: &'static str,
    short: u8,
    slot: Slot,
    help: &'static str,
}

const fn switch(long: &'static str, short: u8, set: fn(&mut Options), help: &'static str) -> Flag {
    Flag {
        long,
        short,
        slot: Slot::Switch(set),
        help,
    }
}

const fn value(
    long: &'static str,
    short: u8,
    set: fn(&mut Options, OsString) -> Result<(), &'static str>,
    help: &'static str,
) -> Flag {
    Flag {
        long,
        short,
        slot: Slot::Value(set),
        help,
    }
}

/// No short form.
const NONE: u8 = 0;

#[rustfmt::skip]
static FLAGS: &[Flag] = &[
    switch("api-version", NONE, |o| o.api_version = 1, "use version 1 of the sync pipe"),
    value("bundle", b'b', |o, v| path(&mut o.bundle, v), "directory of the OCI bundle"),
    value("cid", b'c', |o, v| { o.cid = text(v)?; Ok(()) }, "ID of the container"),
    value("conmon-pidfile", b'P', |o, v| path(&mut o.conmon_pidfile, v), "write the monitor's PID here"),
    value("container-pidfile", b'p', |o, v| { o.container_pidfile = v.into(); Ok(()) }, "write the container's PID here"),
    value("cuuid", b'u', |o, v| string(&mut o.cuuid, v), "ID of the container or exec session"),
    switch("exec", b'e', |o| o.exec = true, "run a command in a running container"),
    switch("exec-attach", NONE, |o| o.exec_attach = true, "wait for the caller to attach before running it"),
    value("exec-process-spec", NONE, |o, v| path(&mut o.exec_process_spec, v), "file with the process to run"),
    switch("exit-again", NONE, |o| o.exit_again = true, "run the exit command again when it asks for it (not in conmon)"),
    value("exit-command", NONE, |o, v| path(&mut o.exit_command, v), "program to run when the container has ended"),
    value("exit-command-arg", NONE, |o, v| { o.exit_args.push(v); Ok(()) }, "argument of the exit command (repeatable)"),
    value("exit-delay", NONE, |o, v| { o.exit_delay = Duration::from_secs(number(v)?); Ok(()) }, "seconds to wait before the exit command"),
    value("exit-dir", NONE, |o, v| path(&mut o.exit_dir, v), "directory of exit files"),
    switch("full-attach", NONE, |o| o.full_attach = true, "bind the attach socket in the bundle itself"),
    switch("leave-stdin-open", NONE, |o| o.leave_stdin_open = true, "keep stdin open when a client leaves"),
    value("log-allowlist-dir", NONE, |_, _| Ok(()), "accepted for conmon's sake; log paths come from the caller"),
    value("log-global-size-max", NONE, |o, v| limit(&mut o.log_global_size_max, v), "bytes logged in all"),
    value("log-label", NONE, |o, v| { o.log_labels.push(text(v)?); Ok(()) }, "NAME=value for the journal (repeatable)"),
    value("log-level", NONE, |o, v| string(&mut o.log_level, v), "least important message the monitor itself logs"),
    value("log-max-files", NONE, |o, v| { o.log_max_files = u32::try_from(number(v)?).map_err(|_| "is too large")?; Ok(()) }, "old logs kept with --log-rotate"),
    value("log-path", b'l', |o, v| { o.log_paths.push(v); Ok(()) }, "DRIVER:PATH of a log (repeatable)"),
    switch("log-rotate", NONE, |o| o.log_rotate = true, "keep the old log when --log-size-max is reached"),
    value("log-size-max", NONE, |o, v| limit(&mut o.log_size_max, v), "bytes in one log file"),
    value("log-tag", NONE, |o, v| string(&mut o.log_tag, v), "tag for the journal"),
    value("name", b'n', |o, v| string(&mut o.name, v), "name of the container"),
    switch("no-container-partial-message", NONE, |o| o.no_partial_message = true, "do not mark partial lines in the journal"),
    switch("no-new-keyring", NONE, |o| o.no_new_keyring = true, "keep the session keyring"),
    switch("no-pivot", NONE, |o| o.no_pivot = true, "do not use pivot_root"),
    switch("no-sync-log", NONE, |o| o.no_sync_log = true, "do not fsync the log at the end"),
    value("periodic-command", NONE, |o, v| path(&mut o.periodic_command, v), "program to run while the container lives (not in conmon)"),
    value("periodic-command-arg", NONE, |o, v| { o.periodic_args.push(v); Ok(()) }, "argument of it (repeatable)"),
    value("periodic-delay", NONE, |o, v| { o.periodic_delay = Some(Duration::from_millis(number(v)?)); Ok(()) }, "milliseconds before it is run first"),
    value("persist-dir", b'0', |o, v| path(&mut o.persist_dir, v), "directory for the container's exit and oom files"),
    value("pidfile", NONE, |o, v| { o.container_pidfile = v.into(); Ok(()) }, "old name of --container-pidfile"),
    switch("replace-listen-pid", NONE, |o| o.replace_listen_pid = true, "set LISTEN_PID to the runtime's PID"),
    value("restore", NONE, |o, v| path(&mut o.restore, v), "restore from this checkpoint"),
    value("restore-arg", NONE, |o, v| { o.runtime_opts.push(v); Ok(()) }, "old name of --runtime-opt"),
    value("runtime", b'r', |o, v| { o.runtime = v.into(); Ok(()) }, "path of the OCI runtime"),
    value("runtime-arg", NONE, |o, v| { o.runtime_args.push(v); Ok(()) }, "global argument of the runtime (repeatable)"),
    value("runtime-opt", NONE, |o, v| { o.runtime_opts.push(v); Ok(()) }, "argument of the runtime's subcommand (repeatable)"),
    value("sdnotify-socket", NONE, |o, v| path(&mut o.sdnotify_socket, v), "socket readiness is relayed to"),
    value("socket-dir-path", NONE, |o, v| path(&mut o.socket_dir, v), "directory of links to attach sockets"),
    switch("stdin", b'i', |o| o.stdin = true, "give the container a stdin"),
    switch("sync", NONE, |o| o.sync = true, "stay a child of the caller"),
    switch("syslog", NONE, |o| o.syslog = true, "accepted for conmon's sake"),
    switch("systemd-cgroup", b's', |o| o.systemd_cgroup = true, "let the runtime use systemd's cgroups"),
    switch("terminal", b't', |o| o.terminal = true, "give the container a terminal"),
    value("timeout", b'T', |o, v| { o.timeout = positive(number(v)?); Ok(()) }, "seconds after which the container is killed"),
];

fn text(value: OsString) -> Result<String, &'static str> {
    value.into_string().map_err(|_| "is not UTF-8")
}

fn string(slot: &mut Option<String>, value: OsString) -> Result<(), &'static str> {
    *slot = Some(text(value)?);
    Ok(())
}

fn path(slot: &mut Option<PathBuf>, value: OsString) -> Result<(), &'static str> {
    *slot = Some(value.into());
    Ok(())
}

fn number(value: OsString) -> Result<u64, &'static str> {
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.ok_or("is not a whole number of zero or more")
}

/// Zero and less mean no limit, as for conmon, whose default is -1.
fn limit(slot: &mut Option<u64>, value: OsString) -> Result<(), &'static str> {
    let parsed = value.to_str().and_then(|value| value.parse::<i64>().ok());
    let parsed = parsed.ok_or("is not a number")?;
    *slot = u64::try_from(parsed).ok().filter(|bytes| *bytes > 0);
    Ok(())
}

fn positive(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// [`Error::Usage`] for an unknown option or a value that cannot be used.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut options = Options {
        log_max_files: 1,
        ..Options::default()
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        match bytes {
            b"--" => break,
            b"--version" => return Ok(Command::Version),
            b"--help" | b"-h" | b"-?" => return Ok(Command::Help),
            [b'-', b'-', long @ ..] => parse_long(&mut options, long, &mut args)?,
            [b'-', short @ ..] if !short.is_empty() => parse_short(&mut options, short, &mut args)?,
            _ => {}
        }
    }
    Ok(Command::Monitor(Box::new(options)))
}

fn parse_long(
    options: &mut Options,
    arg: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<()> {
    let (name, inline) = match arg.iter().position(|byte| *byte == b'=') {
        Some(at) => (&arg[..at], Some(OsStr::from_bytes(&arg[at + 1..]))),
        None => (arg, None),
    };
    let flag = FLAGS.iter().find(|flag| flag.long.as_bytes() == name);
    let Some(flag) = flag else {
        return Err(unknown("--", name));
    };
    match (&flag.slot, inline) {
        (Slot::Switch(set), None) => set(options),
        (Slot::Switch(_), Some(_)) => {
            return Err(Error::usage(format!("--{} takes no value", flag.long)));
        }
        (Slot::Value(set), Some(inline)) => assign(flag, *set, options, inline.to_os_string())?,
        (Slot::Value(set), None) => assign(flag, *set, options, next(flag, rest)?)?,
    }
    Ok(())
}

/// Reads a bundle like `-ti`, whose last flag may take a value, attached or following.
fn parse_short(
    options: &mut Options,
    bundle: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<()> {
    for (at, byte) in bundle.iter().enumerate() {
        let flag = FLAGS
            .iter()
            .find(|flag| flag.short == *byte && *byte != NONE);
        let Some(flag) = flag else {
            return Err(unknown("-", &bundle[at..=at]));
        };
        match &flag.slot {
            Slot::Switch(set) => set(options),
            Slot::Value(set) => {
                let attached = &bundle[at + 1..];
                let given = match attached {
                    [] => next(flag, rest)?,
                    _ => OsString::from_vec(attached.to_vec()),
                };
                return assign(flag, *set, options, given);
            }
        }
    }
    Ok(())
}

fn next(flag: &Flag, rest: &mut impl Iterator<Item = OsString>) -> Result<OsString> {
    rest.next()
        .ok_or_else(|| Error::usage(format!("--{} needs a value", flag.long)))
}

fn assign(
    flag: &Flag,
    set: fn(&mut Options, OsString) -> Result<(), &'static str>,
    options: &mut Options,
    given: OsString,
) -> Result<()> {
    set(options, given.clone())
        .map_err(|why| Error::usage(format!("--{} {}: {}", flag.long, why, given.display())))
}

fn unknown(dashes: &str, name: &[u8]) -> Error {
    Error::usage(format!(
        "unknown option {dashes}{}",
        String::from_utf8_lossy(name)
    ))
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from("Usage: conmon [OPTION...]\n\nOptions:\n");
    for flag in FLAGS {
        let short = match flag.short {
            NONE => String::from("    "),
            letter => format!("-{}, ", char::from(letter)),
        };
        let operand = match flag.slot {
            Slot::Switch(_) => "",
            Slot::Value(_) => "=VALUE",
        };
        let name = format!("{}{operand}", flag.long);
        text.push_str(&format!("  {short}--{name:<30} {}\n", flag.help));
    }
    text
}

impl Options {
    /// Checks what belongs together and fills in what the environment gives.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the option that is missing or does not fit.
    pub fn complete(mut self, environment: &Environment) -> Result<Options> {
        self.check()?;
        if self.bundle.is_none() && !self.exec {
            self.bundle = Some(environment.cwd.clone());
        }
        if self.container_pidfile.as_os_str().is_empty() {
            let name = format!("pidfile-{}", self.cid);
            self.container_pidfile = environment.cwd.join(name);
        }
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        let refused = [
            (self.cid.is_empty(), "no container ID: use --cid"),
            (
                self.cid.contains('/') || self.cid == "." || self.cid == "..",
                "--cid is used as a file name and cannot be a path",
            ),
            (
                self.restore.is_some() && self.exec,
                "--exec and --restore exclude each other",
            ),
            (self.exec_attach && !self.exec, "--exec-attach needs --exec"),
            (
                self.exec_attach && self.api_version < 1,
                "--exec-attach needs --api-version",
            ),
            (
                self.cuuid.is_none() && (!self.exec || self.api_version >= 1),
                "no container UUID: use --cuuid",
            ),
            (
                self.runtime.as_os_str().is_empty(),
                "no OCI runtime: use --runtime",
            ),
            (
                self.exec && self.exec_process_spec.is_none(),
                "--exec needs --exec-process-spec",
            ),
            (self.log_paths.is_empty(), "no log driver: use --log-path"),
            (
                self.log_rotate && self.log_max_files == 0,
                "--log-rotate needs --log-max-files of 1 or more",
            ),
        ];
        match refused.iter().find(|(broken, _)| *broken) {
            Some((_, message)) => Err(Error::usage(*message)),
            None => Ok(()),
        }
    }

    /// Where links to attach sockets go.
    pub(crate) fn socket_dir(&self) -> PathBuf {
        let given = self.socket_dir.clone();
        given.unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET_DIR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &[&str]) -> Options {
        match parse(line.iter().map(OsString::from)).unwrap() {
            Command::Monitor(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(line: &[&str]) -> String {
        match parse(line.iter().map(OsString::from)) {
            Err(error) => error.to_string(),
            Ok(command) => panic!("{command:?}"),
        }
    }

    /// As recorded from Podman 4.3.1 (`podman run --log-driver k8s-file`), paths shortened.
    #[rustfmt::skip]
    const PODMAN_RUN: &[&str] = &[
        "--api-version", "1", "-c", "01b0e4c6", "-u", "01b0e4c6", "-r", "/usr/bin/runc",
        "-b", "/c/userdata", "-p", "/r/pidfile", "-n", "one", "--exit-dir", "/run/libpod/exits",
        "--full-attach", "-l", "k8s-file:/c/userdata/ctr.log", "--log-level", "warning",
        "--runtime-arg", "--log-format=json", "--runtime-arg", "--log",
        "--runtime-arg=/r/oci-log", "--conmon-pidfile", "/r/conmon.pid",
        "--exit-command", "/usr/bin/podman", "--exit-command-arg", "--root",
        "--exit-command-arg", "/c", "--exit-command-arg", "--network-config-dir",
        "--exit-command-arg", "", "--exit-command-arg", "container",
        "--exit-command-arg", "cleanup", "--exit-command-arg", "--rm",
        "--exit-command-arg", "01b0e4c6",
    ];

    #[test]
    fn podmans_run_is_understood() {
        let options = options(PODMAN_RUN);
        assert_eq!(options.api_version, 1);
        assert_eq!(options.cid, "01b0e4c6");
        assert_eq!(options.bundle, Some("/c/userdata".into()));
        assert_eq!(options.container_pidfile, PathBuf::from("/r/pidfile"));
        assert_eq!(options.conmon_pidfile, Some("/r/conmon.pid".into()));
        assert_eq!(options.exit_dir, Some("/run/libpod/exits".into()));
        assert!(options.full_attach && !options.exec && !options.terminal);
        assert_eq!(options.log_paths, ["k8s-file:/c/userdata/ctr.log"]);
        assert_eq!(
            options.runtime_args,
            ["--log-format=json", "--log", "/r/oci-log"]
        );
        assert_eq!(options.exit_command, Some("/usr/bin/podman".into()));
        assert_eq!(
            options.exit_args,
            [
                "--root",
                "/c",
                "--network-config-dir",
                "",
                "container",
                "cleanup",
                "--rm",
                "01b0e4c6"
            ]
        );
    }

    /// As recorded from Podman 4.3.1 (`podman exec -it`), paths shortened.
    #[test]
    fn podmans_exec_is_understood() {
        #[rustfmt::skip]
        let options = options(&[
            "--api-version", "1", "-c", "ec3de5bc", "-u", "5c362280", "-r", "/usr/bin/runc",
            "-b", "/c/5c36", "-p", "/c/5c36/exec_pid", "-n", "two", "--exit-dir", "/c/5c36/exit",
            "--full-attach", "-l", "none", "--log-level", "warning",
            "--runtime-arg", "--log-format=json", "-t", "-i", "-e", "--exec-attach",
            "--exec-process-spec", "/c/5c36/exec-process-29",
            "--exit-command", "/usr/bin/podman", "--exit-command-arg", "container",
            "--exit-delay", "300",
        ]);
        assert!(options.exec && options.exec_attach && options.terminal && options.stdin);
        assert_eq!(
            options.exec_process_spec,
            Some("/c/5c36/exec-process-29".into())
        );
        assert_eq!(options.exit_delay, Duration::from_secs(300));
        assert!(options.complete(&Environment::default()).is_ok());
    }

    #[test]
    fn values_come_attached_or_next_and_the_last_wins() {
        assert_eq!(options(&["--cid=a=b"]).cid, "a=b");
        assert_eq!(options(&["-ca", "-c", "b"]).cid, "b");
        let bundled = options(&["-tib", "/b"]);
        assert!(bundled.terminal && bundled.stdin);
        assert_eq!(bundled.bundle, Some("/b".into()));
        assert_eq!(options(&["-0", "/p"]).persist_dir, Some("/p".into()));
        assert_eq!(options(&["-T", "0"]).timeout, None);
        assert_eq!(
            options(&["--timeout=5"]).timeout,
            Some(Duration::from_secs(5))
        );
        assert_eq!(options(&["--log-size-max", "-1"]).log_size_max, None);
        assert_eq!(options(&["--log-size-max", "10"]).log_size_max, Some(10));
        assert_eq!(options(&["--", "-c", "x"]).cid, "");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        assert_eq!(refusal(&["--nope"]), "unknown option --nope");
        assert_eq!(refusal(&["-tZ"]), "unknown option -Z");
        assert_eq!(refusal(&["--cid"]), "--cid needs a value");
        assert_eq!(refusal(&["--exec=1"]), "--exec takes no value");
        assert!(refusal(&["--timeout=soon"]).starts_with("--timeout is not a whole number"));
    }

    #[test]
    fn incomplete_lines_are_refused() {
        let complete = |line: &[&str]| options(line).complete(&Environment::default());
        let cases: &[(&[&str], &str)] = &[
            (&["-c", "", "-u", "u"], "--cid"),
            (
                &["-c", "../x", "-u", "u", "-r", "/r", "-l", "none"],
                "file name",
            ),
            (&["-c", "x", "-r", "/r", "-l", "none"], "--cuuid"),
            (&["-c", "x", "-u", "u", "-l", "none"], "--runtime"),
            (&["-c", "x", "-u", "u", "-r", "/r"], "--log-path"),
            (
                &["-c", "x", "-u", "u", "-r", "/r", "-l", "none", "-e"],
                "--exec-process-spec",
            ),
        ];
        for (line, part) in cases {
            let error = complete(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line:?}: {error}");
        }
        let good = complete(&["-c", "x", "-u", "u", "-r", "/r", "-l", "none"]).unwrap();
        assert_eq!(good.container_pidfile, PathBuf::from("pidfile-x"));
    }

    #[test]
    fn every_flag_is_in_the_help() {
        let help = help();
        assert!(FLAGS.iter().all(|flag| help.contains(flag.long)));
        assert!(matches!(
            parse([OsString::from("--version")]),
            Ok(Command::Version)
        ));
    }
}
