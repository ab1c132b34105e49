//! The contract of exit codes and error words (`spec/exit-codes.md`), on minke and on the real
//! podman beside it: each row is run on both, and the two must agree, but where this podman is
//! known to be older than the contract.

use anyhow::{Result, ensure};

use super::Outcome::Passed;
use super::ground::{Ground, Pair};
use super::{Outcome, cases};
use crate::program::Ended;

cases![
    commands_without_containers,
    commands_on_each_state,
    runs_and_their_ends,
    several_names_at_once,
];

/// One call.
struct Row {
    line: &'static str,
    code: i32,
    /// On stderr; `{web}` is the image.
    says: &'static str,
    /// What Debian 12's podman 4.3 does otherwise than the contract, which is 5.8's.
    older: Option<Older>,
}

/// How an older podman differs.
#[derive(Clone, Copy)]
enum Older {
    /// It has other words.
    Words,
    /// It has another code, or no such flag or command.
    Code(i32),
}

const fn row(line: &'static str, code: i32, says: &'static str) -> Row {
    Row {
        line,
        code,
        says,
        older: None,
    }
}

impl Row {
    const fn older(mut self, older: Older) -> Row {
        self.older = Some(older);
        self
    }
}

/// Before any container is there.
const EMPTY: &[Row] = &[
    row("container", 125, "missing command"),
    row("no-such-command", 125, "unrecognized command"),
    row("container no-such-command", 125, "unrecognized command"),
    row("ps --bogus", 125, "unknown flag: --bogus"),
    row("ps extra", 125, "takes no arguments"),
    row("ps --filter bogus=x", 125, "bogus is an invalid filter"),
    row("ps --filter x", 125, "invalid filter"),
    row("ps --sort bogus", 125, "invalid argument"),
    row(
        "ps --last x",
        125,
        "strconv.ParseInt: parsing \"x\": invalid syntax",
    ),
    row(
        "ps --latest --last 2",
        125,
        "last and latest are mutually exclusive",
    ),
    row("ps --size --ns", 125, "size and namespace options conflict"),
    row(
        "run --cpu-shares=y {web}",
        125,
        "strconv.ParseUint: parsing \"y\": invalid syntax",
    ),
    row(
        "run --rm=maybe {web}",
        125,
        "strconv.ParseBool: parsing \"maybe\": invalid syntax",
    ),
    row(
        "run --pull bogus {web}",
        125,
        "unsupported pull policy \"bogus\"",
    ),
    row("run", 125, "requires at least 1 arg(s), only received 0"),
    row("create", 125, "requires at least 1 arg(s), only received 0"),
    row("start", 125, "start requires at least one argument"),
    row("stop", 125, "you must provide at least one name or id").older(Older::Words),
    row("rm", 125, "you must provide at least one name or id").older(Older::Words),
    row("kill", 125, "you must provide at least one name or id").older(Older::Words),
    row("pause", 125, "you must provide at least one"),
    row("unpause", 125, "you must provide at least one"),
    row("rename a", 125, "accepts 2 arg(s), received 1"),
    row(
        "stop -a -l",
        125,
        "--all and --latest cannot be used together",
    )
    .older(Older::Words),
    row("rm -a x", 125, "no arguments are needed with --all").older(Older::Words),
    row(
        "rm --time 3 x",
        125,
        "--force option must be specified to use the --time option",
    ),
    row(
        "start nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "stop nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "restart nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "kill nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "pause nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "logs nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "top nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "port nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "wait nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "rename nobody x",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "commit nobody x",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "export nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "mount nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "update --memory 1g nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    )
    .older(Older::Words),
    row(
        "exec nobody true",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "attach nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "init nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row(
        "healthcheck run nobody",
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    row("cp nobody:/x /tmp/x", 125, "\"nobody\""),
    row("diff nobody", 125, "nobody not found: layer not known"),
    row("container inspect nobody", 125, "no such container").older(Older::Words),
    row("inspect nobody", 125, "no such object: \"nobody\""),
    row(
        "rm nobody",
        1,
        "no container with ID or name \"nobody\" found: no such container",
    )
    .older(Older::Words),
    row("rm -f nobody", 0, ""),
    row("rm -i nobody", 0, ""),
    row("stop --ignore nobody", 0, ""),
    row("wait --ignore nobody", 0, "").older(Older::Code(125)),
    row("container exists nobody", 1, ""),
    row("rm -a", 0, ""),
    row("stop -a", 0, ""),
    row("container prune -f", 0, ""),
    row("rmi nowhere", 1, "image not known"),
    row("rmi -f nowhere", 0, ""),
    row("image exists nowhere", 1, ""),
    row(
        "run --pull never localhost/nowhere",
        125,
        "localhost/nowhere: image not known",
    )
    .older(Older::Words),
    row("ps --format {{.Bogus}}", 0, ""), // nothing to show, nothing evaluated
];

fn commands_without_containers(ground: &Ground) -> Result<Outcome> {
    Comparison::new(ground)?.compare(EMPTY)
}

/// With containers `created`, `running`, `paused`, `exited` (code 3).
const STATES: &[Row] = &[
    row("start running", 0, ""),
    row("stop created", 0, ""),
    row("stop exited", 0, ""),
    row("wait created", 0, "").older(Older::Code(0)),
    row("wait exited", 0, ""),
    row("kill created", 125, "can only kill running containers"),
    row("kill exited", 125, "can only kill running containers"),
    row("kill --signal bogus running", 125, "invalid signal"),
    row("pause created", 125, "is not running, can't pause"),
    row("pause paused", 125, "paused"),
    row("unpause running", 125, "is not paused, can't unpause"),
    row(
        "exec created true",
        255,
        "can only create exec sessions on running containers",
    ),
    row(
        "exec exited true",
        255,
        "can only create exec sessions on running containers",
    ),
    row(
        "exec paused true",
        255,
        "can only create exec sessions on running containers",
    ),
    row("exec running", 125, "").older(Older::Code(255)),
    row("exec running sh -c 'exit 7'", 7, ""),
    row("exec running no-such-command", 127, "").older(Older::Words),
    row("exec running /etc", 126, "").older(Older::Words),
    row(
        "exec -u nobody-at-all running true",
        255,
        "unable to find user nobody-at-all",
    ),
    row(
        "attach exited",
        125,
        "you can only attach to running containers",
    ),
    row(
        "top exited",
        125,
        "top can only be used on running containers",
    ),
    row(
        "rm running",
        2,
        "running or paused containers cannot be removed without force: container state improper",
    ),
    row(
        "rm paused",
        2,
        "running or paused containers cannot be removed without force: container state improper",
    ),
    row("rename running created", 125, "created"),
    row("rename running a/b", 125, "names must match"),
    row(
        "create --name running {web}",
        125,
        "that name is already in use",
    ),
    row("port running 99", 125, "failed to find published port \"99").older(Older::Code(0)),
    row("healthcheck run running", 125, "has no defined healthcheck"),
    row("container exists running", 0, ""),
    row("rmi {web}", 2, "image is in use by a container"),
    row("ps --format {{.Bogus}}", 125, "Bogus").older(Older::Words),
    row("ps --format {{.ID", 125, "").older(Older::Words),
    row("inspect --format {{.Bogus}} running", 125, "Bogus"),
    row("inspect running nobody", 125, "no such object: \"nobody\""),
    row("logs running", 0, ""),
    row("restart paused", 125, "paused"),
    row("exists running", 125, "unrecognized command"),
    row("cp running:/nowhere /tmp", 125, "nowhere"),
    row("export running -o /nowhere/x", 125, "/nowhere/x"),
    row(
        "start -a created exited",
        125,
        "you cannot start and attach multiple containers at once",
    ),
    row(
        "start --all running",
        125,
        "either start all containers or the container(s) provided",
    ),
];

fn commands_on_each_state(ground: &Ground) -> Result<Outcome> {
    let pair = Comparison::with_image(ground)?;
    pair.both("create --name created --network none {web} true")?;
    pair.both("run -d --name running --network none {web} sleep 1000")?;
    pair.both("run -d --name paused --network none {web} sleep 1000")?;
    pair.both("pause paused")?;
    let _ = pair.call_both("run --name exited --network none {web} sh -c 'exit 3'")?;
    pair.compare(STATES)
}

/// From nothing to an end.
const RUNS: &[Row] = &[
    row(
        "run --restart bogus {web}",
        125,
        "is not a valid restart policy",
    ),
    row(
        "run --rm --restart always {web}",
        125,
        "the --rm option conflicts with --restart",
    ),
    row("run --cap-add bogus {web}", 125, "unknown capability"),
    row(
        "run --name a/b {web}",
        125,
        "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
    ),
    row(
        "run -v /nowhere:/x {web}",
        125,
        "statfs /nowhere: no such file or directory",
    ),
    row(
        "run -v /tmp:relative {web}",
        125,
        "invalid container path \"relative\", must be an absolute path",
    ),
    row(
        "run --device /dev/nothing {web}",
        125,
        "stat /dev/nothing: no such file or directory",
    ),
    row(
        "run --security-opt seccomp=/nowhere {web}",
        125,
        "opening seccomp profile failed: open /nowhere:",
    ),
    row(
        "run --memory 5x {web}",
        125,
        "invalid value for memory: invalid suffix: 'x'",
    )
    .older(Older::Words),
    row(
        "run -p 99999:80 {web}",
        125,
        "port numbers must be between 1 and 65535 (inclusive), got 99999",
    ),
    row(
        "run --stop-signal bogus {web}",
        125,
        "invalid signal: bogus",
    )
    .older(Older::Words),
    row("run --rm --network none {web} sh -c 'exit 9'", 9, ""),
    row(
        "run --rm --network none {web} sh -c 'kill -15 $$; sleep 1'",
        0,
        "",
    ), // process 1 is not told
    row("run --rm --network none {web} no-such-command", 127, "").older(Older::Words),
    row("run --rm --network none {web} /no/such/command", 127, "").older(Older::Words),
    row(
        "run --rm --network none {web} /etc/passwd",
        126,
        "permission denied",
    )
    .older(Older::Words),
    row("run --rm --network none {web} /etc", 126, "").older(Older::Words),
    row(
        "run --rm --network none -u nobody-at-all {web} true",
        126,
        "unable to find user nobody-at-all",
    ),
    row(
        "run --rm --network none -w /nowhere {web} true",
        126,
        "workdir \"/nowhere\" does not exist on container",
    )
    .older(Older::Words),
    row("run -d --rm --network none {web} true", 0, ""),
    row("run -d --network none {web} no-such-command", 127, "").older(Older::Words),
    row(
        "run --name timed --timeout 1 --network none {web} sleep 100",
        255,
        "",
    )
    .older(Older::Words),
    row("start -a timed-not-there", 125, "no such container"),
    row(
        "create --name bad --network none {web} no-such-command",
        0,
        "",
    ),
    row("start bad", 125, "").older(Older::Words),
    row("start -a bad", 125, ""),
    row(
        "create --name code --network none {web} sh -c 'exit 5'",
        0,
        "",
    ),
    row("start -a code", 5, ""),
    row("wait code", 0, ""),
    row(
        "run --rm --network none --entrypoint sh {web} -c 'exit 4'",
        4,
        "",
    ),
    row("run --rm --network nowhere {web} true", 125, "nowhere"),
    row(
        "run --rm --network container:nobody {web} true",
        125,
        "nobody",
    ),
];

fn runs_and_their_ends(ground: &Ground) -> Result<Outcome> {
    Comparison::with_image(ground)?.compare(RUNS)
}

/// Where one of several names is wrong, nothing is done to the others.
fn several_names_at_once(ground: &Ground) -> Result<Outcome> {
    let pair = Comparison::with_image(ground)?;
    pair.both("run -d --name one --network none {web} sleep 1000")?;
    pair.both("run -d --name two --network none {web} sleep 1000")?;
    pair.compare(&[
        row("stop -t 0 one nobody", 125, "\"nobody\""),
        row("kill one nobody two", 125, "\"nobody\""),
        row("pause one nobody", 125, "\"nobody\""),
        row("rm one nobody", 1, "\"nobody\""),
        row("restart -t 0 nobody one", 125, "\"nobody\""),
    ])?;
    for program in [&pair.engines.minke, &pair.engines.podman] {
        let running = program.ok(["ps", "-q"])?;
        ensure!(running.lines().count() == 2, "not both run: {running:?}");
    }
    Ok(Passed)
}

/// Both engines, and how rows name the image.
struct Comparison<'a> {
    engines: Pair<'a>,
    image: String,
}

impl<'a> Comparison<'a> {
    fn new(ground: &'a Ground) -> Result<Self> {
        Ok(Self {
            engines: Pair::new(ground)?,
            image: ground.image(),
        })
    }

    fn with_image(ground: &'a Ground) -> Result<Self> {
        let pair = Self::new(ground)?;
        pair.both("pull --quiet --tls-verify=false {web}")?;
        Ok(pair)
    }

    fn words(&self, line: &str) -> Vec<String> {
        let words = split(line);
        words
            .into_iter()
            .map(|word| word.replace("{web}", &self.image))
            .collect()
    }

    /// Runs a line that must succeed on both.
    fn both(&self, line: &str) -> Result<()> {
        self.engines.minke.ok(self.words(line))?;
        self.engines.podman.ok(self.words(line))?;
        Ok(())
    }

    fn call_both(&self, line: &str) -> Result<(Ended, Ended)> {
        let words = self.words(line);
        Ok((
            self.engines.minke.call(&words)?,
            self.engines.podman.call(&words)?,
        ))
    }

    fn compare(&self, rows: &[Row]) -> Result<Outcome> {
        let mut wrong = Vec::new();
        for row in rows {
            let (ours, theirs) = self.call_both(row.line)?;
            if ours.code != row.code {
                wrong.push(format!("code {} expected; {ours}", row.code));
            }
            if !ours.stderr.contains(row.says) {
                wrong.push(format!("stderr lacks {:?}; {ours}", row.says));
            }
            let expected = match row.older {
                Some(Older::Code(code)) => code,
                _ => row.code,
            };
            if theirs.code != expected {
                wrong.push(format!("podman: code {expected} expected; {theirs}"));
            }
            if row.older.is_none() && !theirs.stderr.contains(row.says) {
                wrong.push(format!("podman: stderr lacks {:?}; {theirs}", row.says));
            }
        }
        ensure!(
            wrong.is_empty(),
            "{} differ:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(Passed)
    }
}

/// Words between blanks; what stands between single quotes is one.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(split("a 'b c' d"), ["a", "b c", "d"]);
    }
}
