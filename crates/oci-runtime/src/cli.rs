//! runc's command line: what engines call.

mod update; // its flags

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use minke_sys::pidfd::ExitStatus;
use oci_spec::runtime::{BoxBuilder, Process, UserBuilder};

use crate::config::Bundle;
use crate::create::{CgroupUse, CreateRequest, create};
use crate::delete::delete;
use crate::error::{Error, Result};
use crate::exec::{ExecRequest, exec};
use crate::foreground::Forwarder;
use crate::kill::kill;
use crate::pause::{pause, resume};
use crate::relay::{Expected, Terminal};
use crate::start::start;
use crate::state::{Container, OCI_VERSION, StateRoot};

/// What the process's surroundings say, read by the binary and handed in.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// Whether the effective user is root of the first user namespace.
    pub is_root: bool,
}

#[derive(Debug, Parser)]
#[command(
    name = "minke-oci",
    version,
    about = "An OCI runtime with runc's command line"
)]
struct Options {
    /// Directory of the containers' state
    #[arg(long, global = true)]
    root: Option<PathBuf>,
    /// Write errors to this file and not to stderr
    #[arg(long, global = true)]
    log: Option<PathBuf>,
    /// Format of the log file: text or json
    #[arg(long, global = true, default_value = "text")]
    log_format: String,
    /// Accepted for runc's sake
    #[arg(long, global = true)]
    debug: bool,
    /// Ask systemd for cgroups (not supported)
    #[arg(long, global = true)]
    systemd_cgroup: bool,
    /// Who makes cgroups: cgroupfs, or disabled for none at all (as crun's)
    #[arg(long, global = true, default_value = "cgroupfs")]
    cgroup_manager: String,
    /// Whether cgroups may be missing: true, false or auto
    #[arg(long, default_value = "auto")]
    rootless: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a container up
    Create(Create),
    /// Let a created container run its command
    Start {
        /// The container
        id: String,
    },
    /// Create, start, wait and delete
    Run(Run),
    /// Show what a container is doing
    State {
        /// The container
        id: String,
    },
    /// Send a signal
    Kill {
        /// To every process of the container
        #[arg(short, long)]
        all: bool,
        /// The container
        id: String,
        /// Name or number
        #[arg(default_value = "SIGTERM")]
        signal: String,
    },
    /// Forget a stopped container
    Delete {
        /// Kill it first if it runs
        #[arg(short, long)]
        force: bool,
        /// The container
        id: String,
    },
    /// Show every container of this root
    List {
        /// table or json
        #[arg(short, long, default_value = "table")]
        format: String,
        /// Only the ids
        #[arg(short, long)]
        quiet: bool,
    },
    /// Run one more process in a container
    Exec(Box<Exec>),
    /// Freeze a container
    Pause {
        /// The container
        id: String,
    },
    /// Let a frozen container go on
    Resume {
        /// The container
        id: String,
    },
    /// Show a container's processes
    Ps {
        /// table or json
        #[arg(short, long, default_value = "json")]
        format: String,
        /// The container
        id: String,
    },
    /// Give a container other limits
    Update(Box<update::Update>),
    /// Write a config.json to start from
    Spec {
        /// Directory to write to
        #[arg(short, long, default_value = ".")]
        bundle: PathBuf,
        /// For a user without privilege
        #[arg(long = "rootless")]
        for_rootless: bool,
    },
    /// Show what this runtime can do
    Features,
}

#[derive(Debug, Args)]
struct Create {
    /// The bundle's directory
    #[arg(short, long, default_value = ".")]
    bundle: PathBuf,
    /// Unix socket that receives the terminal's master
    #[arg(long)]
    console_socket: Option<PathBuf>,
    /// Write init's pid to this file
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// Not supported: pivot_root is always used
    #[arg(long)]
    no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    no_new_keyring: bool,
    /// Keep this many descriptors above 2 open
    #[arg(long, default_value_t = 0)]
    preserve_fds: u32,
    /// Name of the new container
    id: String,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    create: Create,
    /// Do not wait for it
    #[arg(short, long)]
    detach: bool,
    /// Do not delete it at its end
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Args)]
struct Exec {
    /// Unix socket that receives the terminal's master
    #[arg(long)]
    console_socket: Option<PathBuf>,
    /// Working directory in the container
    #[arg(long)]
    cwd: Option<PathBuf>,
    /// KEY=VALUE, may be repeated
    #[arg(short, long)]
    env: Vec<String>,
    /// With a terminal
    #[arg(short, long)]
    tty: bool,
    /// UID or UID:GID
    #[arg(short, long)]
    user: Option<String>,
    /// Supplementary groups, may be repeated
    #[arg(short = 'g', long)]
    additional_gids: Vec<u32>,
    /// Take the process from this file
    #[arg(short, long)]
    process: Option<PathBuf>,
    /// Do not wait for it
    #[arg(short, long)]
    detach: bool,
    /// Write its pid to this file
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// Set no_new_privs
    #[arg(long)]
    no_new_privs: bool,
    /// Keep this many descriptors above 2 open
    #[arg(long, default_value_t = 0)]
    preserve_fds: u32,
    /// The container
    id: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the runtime's command line and gives its exit code: the command's own where it was
/// waited for, 1 for an error, which goes to stderr, or to the log where one is named.
pub fn run(args: impl IntoIterator<Item = OsString>, surroundings: &Surroundings) -> i32 {
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return error.exit_code().min(1);
        }
    };
    let log = options.log.clone();
    let json = options.log_format == "json";
    match dispatch(options, surroundings) {
        Ok(code) => code,
        Err(error) => {
            let text = error.chain();
            // As crun does: whoever names a log reads it, and stderr may be the container's.
            match log {
                Some(path) => append_log(&path, json, &text),
                None => {
                    let _ = writeln!(std::io::stderr(), "minke-oci: {text}");
                }
            }
            1
        }
    }
}

fn append_log(path: &Path, json: bool, text: &str) {
    let time = jiff::Timestamp::now();
    let line = if json {
        serde_json::json!({"level": "error", "msg": text, "time": time.to_string()}).to_string()
    } else {
        format!("time=\"{time}\" level=error msg={text:?}")
    };
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    if let Ok(mut file) = file {
        let _ = writeln!(file, "{line}");
    }
}

fn dispatch(options: Options, surroundings: &Surroundings) -> Result<i32> {
    if options.systemd_cgroup {
        return Err(Error::Unsupported {
            what: "--systemd-cgroup".into(),
        });
    }
    let cgroup = cgroup_use(&options, surroundings)?;
    let root = StateRoot::new(options.root.unwrap_or_else(|| default_root(surroundings)));
    match options.command {
        Command::Create(args) => {
            protect()?;
            create(&root, &args.id, &args.request(cgroup)?)?;
            Ok(0)
        }
        Command::Start { id } => start(&root, &id).map(|()| 0),
        Command::Run(args) => run_whole(&root, &args, cgroup),
        Command::State { id } => {
            print_json(&root.load(&id)?.report());
            Ok(0)
        }
        Command::Kill { all, id, signal } => kill(&root, &id, &signal, all).map(|()| 0),
        Command::Delete { force, id } => delete(&root, &id, force).map(|()| 0),
        Command::List { format, quiet } => list(&root, &format, quiet),
        Command::Exec(args) => exec_command(&root, *args),
        Command::Pause { id } => pause(&root, &id).map(|()| 0),
        Command::Resume { id } => resume(&root, &id).map(|()| 0),
        Command::Update(args) => {
            crate::update::update(&root, &args.id, &args.limits()?).map(|()| 0)
        }
        Command::Ps { format, id } => processes(&root, &format, &id),
        Command::Spec {
            bundle,
            for_rootless,
        } => write_spec(&bundle, for_rootless),
        Command::Features => {
            print_json(&features());
            Ok(0)
        }
    }
}

fn cgroup_use(options: &Options, surroundings: &Surroundings) -> Result<CgroupUse> {
    match options.cgroup_manager.as_str() {
        "cgroupfs" => {}
        "disabled" => return Ok(CgroupUse::Disabled),
        other => {
            return Err(Error::Unsupported {
                what: format!("the cgroup manager {other}"),
            });
        }
    }
    let optional = match options.rootless.as_str() {
        "true" => true,
        "false" => false,
        _ => !surroundings.is_root,
    };
    Ok(match optional {
        true => CgroupUse::Optional,
        false => CgroupUse::Required,
    })
}

fn default_root(surroundings: &Surroundings) -> PathBuf {
    match (&surroundings.runtime_dir, surroundings.is_root) {
        (Some(dir), false) => dir.join("minke-oci"),
        _ => PathBuf::from("/run/minke-oci"),
    }
}

/// Goes on as a copy of this binary that no container can write to.
fn protect() -> Result<()> {
    let exposed = minke_sys::exe::is_writable().map_err(Error::system("examine our binary"))?;
    if exposed {
        let copy =
            minke_sys::exe::protected().map_err(Error::system("make a safe copy of our binary"))?;
        return Err(Error::system("execute the safe copy of our binary")(
            minke_sys::exe::execute(&copy),
        ));
    }
    Ok(())
}

impl Create {
    fn request(&self, cgroup: CgroupUse) -> Result<CreateRequest> {
        if self.no_pivot {
            return Err(Error::Unsupported {
                what: "--no-pivot".into(),
            });
        }
        Ok(CreateRequest {
            bundle: self.bundle.clone(),
            pid_file: self.pid_file.clone(),
            console_socket: self.console_socket.clone(),
            terminal: None,
            preserve_fds: self.preserve_fds,
            no_new_keyring: self.no_new_keyring,
            cgroup,
        })
    }
}

fn run_whole(root: &StateRoot, args: &Run, cgroup: CgroupUse) -> Result<i32> {
    protect()?;
    let id = &args.create.id;
    let forwarder = Forwarder::new().map_err(Error::system("catch signals"))?;
    let mut request = args.create.request(cgroup)?;
    let expected = expect_terminal(args.detach, request.console_socket.is_some())?;
    request.terminal = expected.as_ref().map(Expected::socket);
    let wants_terminal = Bundle::open(&request.bundle)?.has_terminal();
    let launched = create(root, id, &request)?;
    drop(request);
    let status = take_terminal(expected, wants_terminal).and_then(|mut terminal| {
        start(root, id)?;
        if args.detach {
            return Ok(0);
        }
        forwarder
            .wait(&launched.process, terminal.as_mut())
            .map_err(Error::system("wait for the container"))
            .map(ExitStatus::code)
    });
    if args.detach && status.is_ok() {
        return Ok(0);
    }
    if !args.keep {
        delete(root, id, true)?;
    }
    status
}

fn exec_command(root: &StateRoot, args: Exec) -> Result<i32> {
    protect()?;
    let mut process = args.to_process(root)?;
    let expected = expect_terminal(args.detach, args.console_socket.is_some())?;
    // The process runs before we hold its terminal: it must not find one of no size.
    if let (Some(_), Some(size)) = (&expected, crate::relay::window()) {
        let size = BoxBuilder::default()
            .height(size.ws_row)
            .width(size.ws_col)
            .build();
        process.set_console_size(size.ok());
    }
    let request = ExecRequest {
        pid_file: args.pid_file,
        console_socket: args.console_socket,
        terminal: expected.as_ref().map(Expected::socket),
        preserve_fds: args.preserve_fds,
    };
    let forwarder = Forwarder::new().map_err(Error::system("catch signals"))?;
    let launched = exec(root, &args.id, &process, &request)?;
    if args.detach {
        return Ok(0);
    }
    drop(request);
    let wants_terminal = process.terminal().unwrap_or(false);
    let mut terminal = take_terminal(expected, wants_terminal)?;
    let status = forwarder
        .wait(&launched.process, terminal.as_mut())
        .map_err(Error::system("wait for the process"))?;
    Ok(status.code())
}

/// In the foreground with no monitor to take the terminal, it is ours to serve.
fn expect_terminal(detach: bool, has_socket: bool) -> Result<Option<Expected>> {
    (!detach && !has_socket)
        .then(Expected::new)
        .transpose()
        .map_err(Error::system("make a socket pair"))
}

fn take_terminal(expected: Option<Expected>, wanted: bool) -> Result<Option<Terminal>> {
    expected
        .filter(|_| wanted)
        .map(Expected::terminal)
        .transpose()
        .map_err(Error::system("receive the terminal"))
}

impl Exec {
    /// The process file, or the container's own process with what the flags change.
    fn to_process(&self, root: &StateRoot) -> Result<Process> {
        if let Some(path) = &self.process {
            return crate::config::read_json(path);
        }
        let container = root.load(&self.id)?;
        let bundle = Bundle::open(&container.record.bundle)?;
        let mut process = bundle.process()?.clone();
        if self.command.is_empty() {
            return Err(Error::config("exec needs a command or --process"));
        }
        process.set_args(Some(self.command.clone()));
        process.set_terminal(Some(self.tty));
        if let Some(cwd) = &self.cwd {
            process.set_cwd(cwd.clone());
        }
        let mut env = process.env().clone().unwrap_or_default();
        env.extend(self.env.iter().cloned());
        process.set_env(Some(env));
        if self.no_new_privs {
            process.set_no_new_privileges(Some(true));
        }
        let mut user = match &self.user {
            Some(user) => parse_user(user)?,
            None => process.user().clone(),
        };
        let mut groups = user.additional_gids().clone().unwrap_or_default();
        groups.extend(&self.additional_gids);
        user.set_additional_gids(Some(groups));
        process.set_user(user);
        Ok(process)
    }
}

fn parse_user(text: &str) -> Result<oci_spec::runtime::User> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let number = |part: &str| {
        part.parse::<u32>()
            .map_err(|_| Error::config(format!("user {text} is not UID or UID:GID")))
    };
    UserBuilder::default()
        .uid(number(uid)?)
        .gid(number(gid)?)
        .build()
        .map_err(|error| Error::config(error.to_string()))
}

fn list(root: &StateRoot, format: &str, quiet: bool) -> Result<i32> {
    let containers = root.list()?;
    if quiet {
        for container in &containers {
            println(&container.record.id);
        }
    } else if format == "json" {
        let reports: Vec<_> = containers.iter().map(|each| each.report()).collect();
        print_json(&reports);
    } else {
        print_table(&containers);
    }
    Ok(0)
}

fn print_table(containers: &[Container]) {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(containers.iter().map(|container| {
        let report = container.report();
        [
            container.record.id.clone(),
            report.pid().to_string(),
            report.status().as_str().to_owned(),
            container.record.bundle.display().to_string(),
            container.record.created.clone(),
            // By number: names are the host's to look up.
            container
                .owner()
                .map_or_else(String::new, |uid| format!("#{uid}")),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println(cells.join("   ").trim_end());
    }
}

fn processes(root: &StateRoot, format: &str, id: &str) -> Result<i32> {
    let container = root.load(id)?;
    let group = container.cgroup().ok_or_else(|| Error::Unsupported {
        what: "ps of a container without a cgroup".into(),
    })?;
    let found: Vec<i32> = group
        .processes()
        .map_err(Error::system("list the container's processes"))?
        .into_iter()
        .collect();
    if format == "json" {
        print_json(&found);
    } else {
        println("PID");
        for pid in found {
            println(&pid.to_string());
        }
    }
    Ok(0)
}

fn write_spec(bundle: &Path, rootless: bool) -> Result<i32> {
    let ids = rootless.then(|| {
        (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    });
    let path = bundle.join("config.json");
    let spec = crate::default_spec::default_spec(ids);
    let text = serde_json::to_vec_pretty(&spec).map_err(|source| Error::Parse {
        path: path.clone(),
        source,
    })?;
    let written = std::fs::File::create_new(&path).and_then(|mut file| file.write_all(&text));
    written.map_err(Error::path("write", path))?;
    Ok(0)
}

fn features() -> serde_json::Value {
    serde_json::json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": ["prestart", "createRuntime", "poststart", "poststop"],
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false},
            "seccomp": {"enabled": true, "archs": ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64"]},
            "apparmor": {"enabled": false},
            "selinux": {"enabled": false},
        }
    })
}

/// Output is what this command is for; a closed pipe is its reader's choice.
fn println(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn print_json<T: serde::Serialize>(value: &T) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        println(&text);
    }
}
