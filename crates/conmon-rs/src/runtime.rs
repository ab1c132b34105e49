//! The OCI runtime: what it is told and what it answers.

use crate::args::Options;
use crate::environment::Environment;
use crate::error::{Error, Result, at};
use rustix::process::Pid;
use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

/// How much of the runtime's stderr goes into a failure report.
const MESSAGE_LIMIT: usize = 8191;

/// The arguments that make the container, or start the process in it.
///
/// `console` is where the runtime sends the terminal it makes.
pub(crate) fn arguments(options: &Options, console: Option<&Path>) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    if options.systemd_cgroup && !options.exec {
        args.push("--systemd-cgroup".into());
    }
    args.extend(options.runtime_args.iter().cloned());
    if options.exec {
        push_exec(&mut args, options);
    } else {
        push_create(&mut args, options);
    }
    args.extend(options.runtime_opts.iter().cloned());
    if let Some(console) = console {
        args.push("--console-socket".into());
        args.push(console.into());
    }
    args.push(options.cid.as_str().into());
    args
}

fn push_exec(args: &mut Vec<OsString>, options: &Options) {
    args.push("exec".into());
    args.push("--pid-file".into());
    args.push(options.container_pidfile.clone().into());
    if let Some(spec) = &options.exec_process_spec {
        args.push("--process".into());
        args.push(spec.into());
    }
    args.push("--detach".into());
}

fn push_create(args: &mut Vec<OsString>, options: &Options) {
    let subcommand = match options.restore {
        Some(_) => "restore",
        None => "create",
    };
    let bundle = options.bundle.clone().unwrap_or_default();
    args.push(subcommand.into());
    args.push("--bundle".into());
    args.push(bundle.clone().into());
    args.push("--pid-file".into());
    args.push(options.container_pidfile.clone().into());
    if options.no_pivot {
        args.push("--no-pivot".into());
    }
    if options.no_new_keyring {
        args.push("--no-new-keyring".into());
    }
    if let Some(image) = &options.restore {
        args.push("--detach".into());
        args.push("--image-path".into());
        args.push(image.into());
        args.push("--work-path".into());
        args.push(bundle.into());
    }
}

/// The first descriptor the runtime does not get: those below are passed to the container.
pub(crate) fn first_closed_descriptor(options: &Options, environment: &Environment) -> u32 {
    let opts = &options.runtime_opts;
    let following = opts.iter().zip(opts.iter().skip(1));
    let separate = following
        .filter(|(opt, _)| *opt == "--preserve-fds")
        .map(|(_, value)| value.to_str());
    let attached = opts.iter().map(|opt| {
        opt.to_str()
            .and_then(|opt| opt.strip_prefix("--preserve-fds="))
    });
    let asked = separate.chain(attached).flatten();
    let asked = asked.filter_map(|count| count.parse::<u32>().ok()).max();
    asked
        .unwrap_or(0)
        .max(environment.listen_fds())
        .saturating_add(3)
}

/// Reads the PID that the runtime wrote.
pub(crate) fn read_pid(path: &Path) -> Result<Pid> {
    let text = fs::read_to_string(path).map_err(at("read", path))?;
    let number = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    number
        .and_then(Pid::from_raw)
        .ok_or_else(|| Error::Runtime {
            status: 0,
            message: format!("{} does not hold a PID", path.display()),
        })
}

/// The failure of a runtime that ended with `status`, in its own words as far as it left any in
/// `stderr`.
pub(crate) fn failure(stderr: Option<&OwnedFd>, status: i32) -> Error {
    let mut buffer = vec![0; MESSAGE_LIMIT];
    let mut length = 0;
    if let Some(stderr) = stderr {
        while length < buffer.len() {
            match rustix::io::read(stderr, &mut buffer[length..]) {
                Ok(0) | Err(_) => break,
                Ok(read) => length += read,
            }
        }
    }
    let said = String::from_utf8_lossy(&buffer[..length]);
    let message = match said.trim_end() {
        "" => format!("the OCI runtime ended with status {status} and said nothing"),
        said => said.to_owned(),
    };
    Error::Runtime { status, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(options: &Options, console: Option<&str>) -> String {
        let args = arguments(options, console.map(Path::new));
        let words: Vec<_> = args.iter().map(|arg| arg.to_str().unwrap()).collect();
        words.join(" ")
    }

    fn container() -> Options {
        Options {
            cid: "c1".into(),
            bundle: Some("/b".into()),
            container_pidfile: "/p".into(),
            runtime_args: vec!["--log".into(), "/l".into()],
            ..Options::default()
        }
    }

    #[test]
    fn creates_as_conmon_does() {
        assert_eq!(
            line(&container(), None),
            "--log /l create --bundle /b --pid-file /p c1"
        );
        let all = Options {
            systemd_cgroup: true,
            no_pivot: true,
            no_new_keyring: true,
            runtime_opts: vec!["--preserve-fds".into(), "2".into()],
            ..container()
        };
        assert_eq!(
            line(&all, Some("/s")),
            "--systemd-cgroup --log /l create --bundle /b --pid-file /p --no-pivot \
             --no-new-keyring --preserve-fds 2 --console-socket /s c1"
        );
    }

    #[test]
    fn execs_and_restores_as_conmon_does() {
        let exec = Options {
            exec: true,
            systemd_cgroup: true,
            exec_process_spec: Some("/spec".into()),
            ..container()
        };
        assert_eq!(
            line(&exec, None),
            "--log /l exec --pid-file /p --process /spec --detach c1"
        );
        let restore = Options {
            restore: Some("/i".into()),
            ..container()
        };
        assert_eq!(
            line(&restore, None),
            "--log /l restore --bundle /b --pid-file /p --detach --image-path /i --work-path /b c1"
        );
    }

    #[test]
    fn preserved_descriptors_are_counted() {
        let count = |opts: &[&str], listen: &str| {
            let options = Options {
                runtime_opts: opts.iter().map(OsString::from).collect(),
                ..Options::default()
            };
            let environment = Environment {
                vars: vec![("LISTEN_FDS".into(), listen.into())],
                ..Environment::default()
            };
            first_closed_descriptor(&options, &environment)
        };
        assert_eq!(count(&[], ""), 3);
        assert_eq!(count(&["--preserve-fds", "2"], ""), 5);
        assert_eq!(count(&["--preserve-fds=4"], "1"), 7);
        assert_eq!(count(&["--preserve-fds"], "1"), 4);
    }

    #[test]
    fn a_pid_file_holds_one_pid() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        fs::write(&path, "77\n").unwrap();
        assert_eq!(read_pid(&path).unwrap().as_raw_pid(), 77);
        for bad in ["", "0", "-1", "x"] {
            fs::write(&path, bad).unwrap();
            assert!(read_pid(&path).is_err(), "{bad}");
        }
    }
}
