//! The OCI runtime of a container: the embedded one, or a program with runc's command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use minke_oci_runtime::state::StateRoot;
use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::container::{CgroupsMode, Resources};
use oci_spec::runtime::LinuxResources;

use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// What tells crun, and ours, to make no control group.
const NO_CGROUPS: &str = "--cgroup-manager=disabled";

/// Runtimes by other makers that know [`NO_CGROUPS`].
const WITHOUT_CGROUPS: &[&str] = &["crun", "krun"];

/// A runtime and where it keeps its state.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// The program; the minke binary for the embedded one.
    pub program: PathBuf,
    /// What comes before the command: `oci` for the embedded one, then `--root`.
    pub args: Vec<String>,
    embedded: Option<StateRoot>,
}

impl Engine {
    /// The runtime asked for: by option, then by containers.conf where it is not one of the
    /// usual names, then the embedded one.
    pub(crate) fn runtime_path(&self) -> Result<Option<PathBuf>> {
        let Some(name) = self.options.runtime.as_deref() else {
            return Ok(None);
        };
        let search = self.options.surroundings.variable("PATH").unwrap_or("");
        match self.conf()?.runtime_path(name, search) {
            Some(path) => Ok(Some(path)),
            None => Err(Error::invalid(format!(
                "OCI runtime \"{name}\" was not found in any of the usual places: install it or give its path"
            ))),
        }
    }

    /// Refuses a container without a control group where it contradicts what else is asked, in
    /// Podman's words.
    pub(crate) fn check_cgroups(&self, spec: &ContainerSpec) -> Result<()> {
        if spec.cgroups != CgroupsMode::Disabled {
            return Ok(());
        }
        if spec.cgroup_parent.is_some() {
            return Err(Error::invalid(
                "cannot set cgroup parent if not creating cgroups: invalid argument",
            ));
        }
        let of_group = Resources {
            oom_score_adj: None, // of the process
            ..spec.resources.clone()
        };
        if of_group != Resources::default() || !spec.device_cgroup_rules.is_empty() {
            return Err(Error::invalid(
                "cannot specify resource limits when cgroups are disabled is specified",
            ));
        }
        let program = self.runtime_path()?;
        let name = program.as_ref().and_then(|path| path.file_name()?.to_str());
        match name {
            Some(name) if !WITHOUT_CGROUPS.contains(&name) => Err(Error::invalid(format!(
                "requested OCI runtime {name} is not compatible with NoCgroups: invalid argument"
            ))),
            _ => Ok(()),
        }
    }

    /// The runtime that a container was made for.
    pub(crate) fn runtime(&self, record: &Record) -> Result<Runtime> {
        let root = self.runtime_dir("oci")?;
        let root_arg = root.to_string_lossy().into_owned();
        let flags = self.options.runtime_flags.iter();
        let flags = flags.map(|flag| format!("--{flag}"));
        let program = record.config.runtime.clone();
        let embedded = program.is_none().then(|| StateRoot::new(root));
        let mut args: Vec<String> = Vec::new();
        args.extend(embedded.as_ref().map(|_| "oci".to_owned()));
        args.extend(["--root".to_owned(), root_arg]);
        args.extend(flags);
        if record.config.spec.cgroups == CgroupsMode::Disabled {
            args.push(NO_CGROUPS.to_owned());
        }
        Ok(Runtime {
            program: program.unwrap_or_else(|| self.options.self_exe.clone()),
            args,
            embedded,
        })
    }
}

impl Runtime {
    /// Lets a created container run its command.
    pub fn start(&self, id: &str) -> Result<()> {
        match &self.embedded {
            Some(root) => minke_oci_runtime::start::start(root, id).map_err(Error::OciRuntime),
            None => self.run(&["start", id]),
        }
    }

    /// Whether a container is made and not started.
    pub fn waits_for_start(&self, id: &str) -> bool {
        use minke_oci_runtime::state::Status;
        if let Some(root) = &self.embedded {
            return root
                .load(id)
                .is_ok_and(|container| container.status() == Status::Created);
        }
        let output = self.command().args(["state", id]).output();
        let report = output
            .ok()
            .and_then(|output| serde_json::from_slice::<serde_json::Value>(&output.stdout).ok());
        report.is_some_and(|report| report["status"] == Status::Created.as_str())
    }

    /// Takes away what the runtime keeps of a container; nothing there is success.
    pub fn delete(&self, id: &str) -> Result<()> {
        match &self.embedded {
            Some(root) => {
                minke_oci_runtime::delete::delete(root, id, true).map_err(Error::OciRuntime)
            }
            // runc fails for a container it does not know, even with --force.
            None => match self.run(&["delete", "--force", id]) {
                Err(Error::Runtime { runtime }) if runtime.contains("does not exist") => Ok(()),
                result => result,
            },
        }
    }

    /// Freezes a container's processes, or lets them go on.
    pub fn set_paused(&self, id: &str, paused: bool) -> Result<()> {
        match (&self.embedded, paused) {
            (Some(root), true) => {
                minke_oci_runtime::pause::pause(root, id).map_err(Error::OciRuntime)
            }
            (Some(root), false) => {
                minke_oci_runtime::pause::resume(root, id).map_err(Error::OciRuntime)
            }
            (None, true) => self.run(&["pause", id]),
            (None, false) => self.run(&["resume", id]),
        }
    }

    /// Gives a container other limits.
    pub fn update(&self, id: &str, limits: &LinuxResources) -> Result<()> {
        if let Some(root) = &self.embedded {
            return minke_oci_runtime::update::update(root, id, limits).map_err(Error::OciRuntime);
        }
        let text = serde_json::to_vec(limits).map_err(|source| Error::Record {
            object: format!("the limits of container {id}"),
            source,
        })?;
        let mut file = tempfile::NamedTempFile::new().map_err(Error::system("make a file"))?;
        file.write_all(&text)
            .map_err(Error::path("write", file.path()))?;
        let path = file.path().to_string_lossy().into_owned();
        self.run(&["update", "--resources", &path, id])
    }

    /// A command line for the runtime, ready for its command.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }

    /// The program's name, as error texts begin with it.
    pub fn name(&self) -> &str {
        if self.embedded.is_some() {
            return "minke-oci";
        }
        self.program
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("runtime")
    }

    /// Whether this is the embedded runtime.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let output = self
            .command()
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(Error::path("run", &self.program))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(self.failure(text.trim()))
    }

    /// What a runtime's message means (the patterns are Podman's: crun, runc and ours).
    pub fn failure(&self, message: &str) -> Error {
        let lower = message.to_lowercase();
        let text = strip_name(message, self.name());
        let runtime = format!("{}: {text}", self.name());
        if lower.contains("executable file not found")
            || lower.contains("no such file or directory")
        {
            Error::CommandNotFound { runtime }
        } else if lower.contains("permission denied")
            || lower.contains("not executable")
            || lower.contains("is not a regular file")
            || lower.contains("is a directory")
            || lower.contains("operation not permitted")
        {
            Error::CommandNotExecutable { runtime }
        } else {
            Error::Runtime { runtime }
        }
    }
}

/// The message without the program's own name in front.
fn strip_name<'a>(message: &'a str, name: &str) -> &'a str {
    let text = message.strip_prefix(name).unwrap_or(message);
    text.trim_start_matches([':', ' '])
}
