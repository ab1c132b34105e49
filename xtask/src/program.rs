//! Other programs: run, captured, checked.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// No call of a lane takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program, the options every call of it begins with, and its environment.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    globals: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    user: Option<(u32, u32, PathBuf)>,
}

impl Program {
    pub fn new(path: impl Into<PathBuf>) -> Program {
        Program {
            path: path.into(),
            globals: Vec::new(),
            environment: Vec::new(),
            user: None,
        }
    }

    /// Adds options that stand before the command of every call.
    pub fn globals<S: Into<OsString>>(mut self, options: impl IntoIterator<Item = S>) -> Program {
        self.globals.extend(options.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Program {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs every call as this user, in the directory `home`, with nothing of our environment.
    pub fn user(mut self, uid: u32, gid: u32, home: impl Into<PathBuf>) -> Program {
        self.user = Some((uid, gid, home.into()));
        self
    }

    /// The command line of a call, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.path);
        command
            .args(&self.globals)
            .args(arguments)
            .stdin(Stdio::null());
        if let Some((uid, gid, home)) = &self.user {
            command.env_clear().uid(*uid).gid(*gid).current_dir(home);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a call to its end, whatever that is.
    pub fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Ended> {
        capture(self.command(arguments), None)
    }

    /// As [`call`](Self::call), with `input` on stdin.
    pub fn call_with_input(&self, arguments: &[&str], input: &[u8]) -> Result<Ended> {
        capture(self.command(arguments), Some(input.to_vec()))
    }

    /// Runs a call that must succeed; gives its trimmed stdout.
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        let ended = self.call(arguments)?;
        ensure!(ended.code == 0, "{ended}");
        Ok(ended.stdout.trim_end().to_owned())
    }

    /// Runs a call that must end with `code` and a stderr that contains every fragment.
    pub fn refuses(&self, arguments: &[&str], code: i32, fragments: &[&str]) -> Result<Ended> {
        let ended = self.call(arguments)?;
        ensure!(ended.code == code, "exit code {code} expected; {ended}");
        for fragment in fragments {
            ensure!(
                ended.stderr.contains(fragment),
                "stderr lacks {fragment:?}; {ended}"
            );
        }
        Ok(ended)
    }
}

/// How a call ended.
#[derive(Debug)]
pub struct Ended {
    /// What was called, as one would type it.
    pub line: String,
    /// The exit code; 128 + n when signal n ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ended with {}", self.line, self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.trim().is_empty() {
                write!(
                    f,
                    "\n  {name}: {}",
                    text.trim_end().replace('\n', "\n          ")
                )?;
            }
        }
        Ok(())
    }
}

/// The command line as one would type it.
pub fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+[]".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn capture(mut command: Command, input: Option<Vec<u8>>) -> Result<Ended> {
    let line = line(&command);
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        thread::spawn(move || {
            let _ = stdin.write_all(&input); // a program may end without reading it
        });
    }
    let status = wait(&mut child, PATIENCE).with_context(|| format!("`{line}`"))?;
    Ok(Ended {
        line,
        code: code(status),
        stdout: stdout.finish(),
        stderr: stderr.finish(),
    })
}

/// A pipe being read. A daemon may keep its other end open after the program has ended, as
/// conmon does under some engines; then what has come is taken after a moment.
struct Drain {
    text: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    thread: thread::JoinHandle<()>,
}

fn drain(mut pipe: impl Read + Send + 'static) -> Drain {
    let text = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let shared = text.clone();
    let thread = thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            shared
                .lock()
                .expect("no reader panics")
                .extend_from_slice(&buffer[..length]);
        }
    });
    Drain { text, thread }
}

impl Drain {
    fn finish(self) -> String {
        let limit = Instant::now() + Duration::from_secs(2);
        while !self.thread.is_finished() && Instant::now() < limit {
            thread::sleep(Duration::from_millis(1));
        }
        String::from_utf8_lossy(&self.text.lock().expect("no reader panics")).into_owned()
    }
}

/// Waits for `child`; kills it when its time is over.
pub fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    let limit = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > limit {
            child.kill()?;
            child.wait()?;
            bail!("did not end within {} s and was killed", patience.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The exit code as a shell gives it.
pub fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Runs `command` with our own stdin, stdout and stderr; it must succeed.
pub fn shown(command: &mut Command) -> Result<()> {
    println!("$ {}", line(command));
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", line(command)))?;
    ensure!(
        status.success(),
        "`{}` ended with {}",
        line(command),
        code(status)
    );
    Ok(())
}

/// Runs `command`, passing on each line of its output and keeping all of it.
pub fn echoed(command: &mut Command) -> Result<(ExitStatus, String)> {
    println!("$ {}", line(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", line(command)))?;
    let stdout = child.stdout.take().expect("piped");
    let stderr = child.stderr.take().expect("piped");
    let errors = thread::spawn(move || pass_on(stderr, |line| eprint!("{line}")));
    let mut text = pass_on(stdout, |line| print!("{line}"));
    text.push_str(&errors.join().expect("the reader does not panic"));
    Ok((child.wait()?, text))
}

fn pass_on(pipe: impl Read, show: impl Fn(&str)) -> String {
    let mut reader = BufReader::new(pipe);
    let mut text = String::new();
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line) {
        let decoded = String::from_utf8_lossy(&line).into_owned();
        show(&decoded);
        text.push_str(&decoded);
        line.clear();
    }
    text
}

/// Where `name` is in the search path, with the directories of system tools added.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

/// As [`find`]; missing, it says what to do.
pub fn need(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("{name} is not installed: run `cargo xtask setup`"))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Repeats `attempt` until it gives something or `patience` is over.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let limit = Instant::now() + patience;
    loop {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        ensure!(
            Instant::now() < limit,
            "{what}: not within {} s",
            patience.as_secs()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether this process is root's. The owner of its own directory in `/proc` tells.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_quoted_for_a_shell() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo it's $HOME", ""]);
        assert_eq!(line(&command), r"sh -c 'echo it'\''s $HOME' ''");
    }

    #[test]
    fn output_and_code_are_captured() {
        let ended = Program::new("/bin/sh")
            .call_with_input(&["-c", "cat; echo no >&2; exit 7"], b"yes")
            .unwrap();
        assert_eq!(
            (ended.code, &*ended.stdout, &*ended.stderr),
            (7, "yes", "no\n")
        );
    }

    #[test]
    fn a_signal_is_a_code_above_128() {
        assert_eq!(
            Program::new("/bin/sh")
                .call(["-c", "kill -9 $$"])
                .unwrap()
                .code,
            137
        );
    }

    #[test]
    fn refusals_are_checked_by_code_and_words() {
        let shell = Program::new("/bin/sh");
        let script = ["-c", "echo wrong name >&2; exit 125"];
        assert!(shell.refuses(&script, 125, &["wrong name"]).is_ok());
        assert!(shell.refuses(&script, 125, &["right name"]).is_err());
        assert!(shell.refuses(&script, 126, &[]).is_err());
    }
}
