//! The process of a container: command, credentials, limits, filter.

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use minke_seccomp::bpf::SockFilter;
use oci_spec::runtime::{
    Capabilities, IOPriorityClass, LinuxSchedulerPolicy, PosixRlimitType, Process,
};

use super::c_string;
use crate::capability;
use crate::error::{Error, Result};

/// Everything init turns itself into.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    pub command: Command,
    pub cwd: CString,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// The caller's groups stay.
    pub keep_groups: bool,
    pub umask: Option<u32>,
    pub capabilities: CapabilitySets,
    pub no_new_privileges: bool,
    pub limits: Vec<Limit>,
    /// Nice value.
    pub nice: Option<i32>,
    /// Class and level, as ioprio_set(2) takes them.
    pub io_priority: Option<i32>,
    /// As personality(2) takes it. Set by whoever plans: it is not of the process section.
    pub personality: Option<u32>,
    pub filter: Option<Filter>,
    /// Name of a new session keyring, or `None` to keep the caller's.
    pub keyring: Option<CString>,
    /// Written to /proc/PID/oom_score_adj by the parent.
    pub oom_score_adj: Option<i32>,
    /// Descriptors 3..3+n stay open for the command.
    pub preserved_fds: u32,
}

/// What is executed, as the kernel takes it.
#[derive(Debug)]
pub(crate) struct Command {
    /// The name as given, for messages.
    pub name: String,
    /// Where it may be, in the order of PATH.
    pub candidates: Vec<CString>,
    /// Whether `candidates` came from PATH.
    pub searched: bool,
    strings: Strings,
}

/// Owned strings and the null-terminated pointer arrays over them.
#[derive(Debug)]
struct Strings {
    _owned: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
}

/// One resource limit.
#[derive(Debug)]
pub(crate) struct Limit {
    pub kind: PosixRlimitType,
    /// RLIMIT_*.
    pub resource: u32,
    pub value: libc::rlimit64,
}

impl Limit {
    /// What is attempted, for messages.
    pub fn attempt(&self) -> String {
        format!(
            "set {} to {}:{} (above the host's hard limit it takes CAP_SYS_RESOURCE)",
            self.kind, self.value.rlim_cur, self.value.rlim_max
        )
    }
}

/// Capability sets as bit masks (bit n is capability n).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CapabilitySets {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// A compiled seccomp filter.
#[derive(Debug)]
pub(crate) struct Filter {
    pub program: Vec<SockFilter>,
    /// SECCOMP_FILTER_FLAG_*.
    pub flags: u64,
}

impl Command {
    /// Prepares `args` with `env`. A name without a slash is looked for in env's PATH.
    pub fn new(args: &[String], env: &[String]) -> Result<Self> {
        let name = args
            .first()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Error::config("process.args is empty"))?;
        let searched = !name.contains('/');
        let candidates = if searched {
            path_entries(env)
                .map(|dir| {
                    let dir = if dir.is_empty() { "." } else { dir };
                    c_string(Path::new(dir).join(name).as_os_str().as_bytes())
                })
                .collect::<Result<_>>()?
        } else {
            vec![c_string(name.as_bytes())?]
        };
        let args = owned(args)?;
        let env = owned(env)?;
        Ok(Self {
            name: name.clone(),
            candidates,
            searched,
            strings: Strings::new(args, env),
        })
    }

    /// Executes `path`; returns only to say why not. Makes one system call.
    pub fn execute(&self, path: &CStr) -> i32 {
        // SAFETY: `path` and every pointer of both arrays are null-terminated strings that
        // `self` owns, and both arrays end in a null pointer.
        unsafe {
            libc::execve(
                path.as_ptr(),
                self.strings.argv.as_ptr(),
                self.strings.envp.as_ptr(),
            );
        }
        // SAFETY: points to this thread's errno.
        unsafe { *libc::__errno_location() }
    }
}

impl Strings {
    fn new(args: Vec<CString>, env: Vec<CString>) -> Self {
        let pointers = |list: &[CString]| {
            let mut array: Vec<*const c_char> = list.iter().map(|each| each.as_ptr()).collect();
            array.push(std::ptr::null());
            array
        };
        // A CString's text is on the heap: moving the owner leaves the pointers true.
        let (argv, envp) = (pointers(&args), pointers(&env));
        let mut owned = args;
        owned.extend(env);
        Self {
            _owned: owned,
            argv,
            envp,
        }
    }
}

fn owned(list: &[String]) -> Result<Vec<CString>> {
    list.iter().map(|text| c_string(text.as_bytes())).collect()
}

fn path_entries(env: &[String]) -> impl Iterator<Item = &str> {
    let path = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    path.split(':')
}

/// What is searched when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ProcessPlan {
    /// Reads the process section of config.json or of `exec --process`.
    pub fn new(process: &Process, filter: Option<Filter>, keyring: Option<&str>) -> Result<Self> {
        refuse_unsupported(process)?;
        let empty = Vec::new();
        let command = Command::new(
            process.args().as_deref().unwrap_or_default(),
            process.env().as_ref().unwrap_or(&empty),
        )?;
        let cwd = process.cwd();
        if !cwd.is_absolute() {
            return Err(Error::config(format!(
                "process.cwd {} must be absolute",
                cwd.display()
            )));
        }
        let user = process.user();
        Ok(Self {
            command,
            cwd: c_string(cwd.as_os_str().as_bytes())?,
            uid: user.uid(),
            gid: user.gid(),
            groups: user.additional_gids().clone().unwrap_or_default(),
            keep_groups: false,
            umask: user.umask(),
            capabilities: CapabilitySets::of(process),
            no_new_privileges: process.no_new_privileges().unwrap_or(false),
            limits: limits(process)?,
            nice: nice(process)?,
            io_priority: io_priority(process)?,
            personality: None,
            filter,
            keyring: keyring.map(|name| c_string(name.as_bytes())).transpose()?,
            oom_score_adj: process.oom_score_adj(),
            preserved_fds: 0,
        })
    }
}

/// What we would otherwise ignore in silence.
fn refuse_unsupported(process: &Process) -> Result<()> {
    let unsupported = |what: &str| Err(Error::Unsupported { what: what.into() });
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(process.apparmor_profile()) {
        return unsupported("process.apparmorProfile");
    }
    if given(process.selinux_label()) {
        return unsupported("process.selinuxLabel");
    }
    Ok(())
}

/// SCHED_OTHER's nice value; the other policies are refused.
fn nice(process: &Process) -> Result<Option<i32>> {
    let Some(scheduler) = process.scheduler() else {
        return Ok(None);
    };
    if *scheduler.policy() != LinuxSchedulerPolicy::SchedOther {
        return Err(Error::Unsupported {
            what: "a process.scheduler policy other than SCHED_OTHER".into(),
        });
    }
    match scheduler.nice().unwrap_or(0) {
        nice @ -20..=19 => Ok(Some(nice)),
        nice => Err(Error::config(format!(
            "process.scheduler.nice {nice} is not in -20..19"
        ))),
    }
}

fn io_priority(process: &Process) -> Result<Option<i32>> {
    const CLASS_SHIFT: i32 = 13;
    let Some(asked) = process.io_priority() else {
        return Ok(None);
    };
    let class = match asked.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    match asked.priority() {
        level @ 0..=7 => Ok(Some(class << CLASS_SHIFT | level as i32)),
        level => Err(Error::config(format!(
            "process.ioPriority.priority {level} is not in 0..7"
        ))),
    }
}

impl CapabilitySets {
    fn of(process: &Process) -> Self {
        let Some(sets) = process.capabilities() else {
            return Self::default();
        };
        let mask = |set: &Option<Capabilities>| {
            set.iter()
                .flatten()
                .fold(0, |mask, &each| mask | 1 << capability::number(each))
        };
        Self {
            bounding: mask(sets.bounding()),
            effective: mask(sets.effective()),
            permitted: mask(sets.permitted()),
            inheritable: mask(sets.inheritable()),
            ambient: mask(sets.ambient()),
        }
    }
}

fn limits(process: &Process) -> Result<Vec<Limit>> {
    let mut found: Vec<Limit> = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        let resource = resource(limit.typ());
        if found.iter().any(|known| known.resource == resource) {
            return Err(Error::config(format!(
                "rlimit {} is set twice",
                limit.typ()
            )));
        }
        found.push(Limit {
            kind: limit.typ(),
            resource,
            value: libc::rlimit64 {
                rlim_cur: limit.soft(),
                rlim_max: limit.hard(),
            },
        });
    }
    Ok(found)
}

fn resource(kind: PosixRlimitType) -> u32 {
    match kind {
        PosixRlimitType::RlimitCpu => libc::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => libc::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => libc::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => libc::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => libc::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => libc::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => libc::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => libc::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => libc::RLIMIT_AS,
        PosixRlimitType::RlimitLocks => libc::RLIMIT_LOCKS,
        PosixRlimitType::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => libc::RLIMIT_NICE,
        PosixRlimitType::RlimitRtprio => libc::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => libc::RLIMIT_RTTIME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_bare_name_is_looked_for_in_path() {
        let env = strings(&["PATH=/x", "A=b", "PATH=/bin::/usr/bin"]);
        let command = Command::new(&strings(&["ls", "-l"]), &env).unwrap();
        let found: Vec<&CStr> = command.candidates.iter().map(|each| &**each).collect();
        assert_eq!(found, [c"/bin/ls", c"./ls", c"/usr/bin/ls"]);
        assert!(command.searched);
        let absolute = Command::new(&strings(&["/ls"]), &env).unwrap();
        assert_eq!(absolute.candidates, [c"/ls".to_owned()]);
        assert!(!absolute.searched);
    }

    #[test]
    fn an_empty_command_or_a_nul_byte_is_refused() {
        assert!(Command::new(&[], &[]).is_err());
        assert!(Command::new(&strings(&[""]), &[]).is_err());
        assert!(Command::new(&strings(&["a\0b"]), &[]).is_err());
    }
}
