//! Exit codes and the fragments that scripts match.

use crate::archive::IMAGE;
use crate::scratch::{Scratch, outcome};

/// Arguments, the code, and what stderr must contain.
type Case = (&'static str, i32, &'static str);

fn check(scratch: &Scratch, cases: &[Case]) {
    for (line, code, fragment) in cases {
        let line = line.replace("IMAGE", IMAGE);
        let ran = scratch.minke(&line);
        assert_eq!(ran.code, *code, "{line}: {ran:?}");
        assert!(ran.err.contains(fragment), "{line}: {ran:?}");
    }
}

#[test]
fn flags_and_commands() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    check(
        &scratch,
        &[
            ("", 125, "Error: missing command 'minke COMMAND'"),
            (
                "container",
                125,
                "Error: missing command 'minke container COMMAND'",
            ),
            (
                "bogus",
                125,
                "Error: unrecognized command `minke bogus`\nTry 'minke --help' for more information\n",
            ),
            (
                "run --bogus IMAGE",
                125,
                "Error: unknown flag: --bogus\nSee 'minke run --help'\n",
            ),
            (
                "stop -t x c",
                125,
                "invalid argument \"x\" for \"-t, --time\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            ("ps x", 125, "`minke ps` takes no arguments"),
            ("run", 125, "requires at least 1 arg(s), only received 0"),
            ("rm", 125, "you must provide at least one name or id"),
            ("start", 125, "start requires at least one argument"),
            (
                "run -m 10x IMAGE",
                125,
                "invalid value for memory: invalid suffix: 'x'",
            ),
            (
                "run --cap-add bogus IMAGE",
                125,
                "\"CAP_BOGUS\": unknown capability",
            ),
            ("run --stop-signal X IMAGE", 125, "invalid signal: X"),
            (
                "run --rm --restart always IMAGE",
                125,
                "the --rm option conflicts with --restart",
            ),
            (
                "run --restart x IMAGE",
                125,
                "\"x\" is not a valid restart policy: invalid argument",
            ),
            ("run --pull x IMAGE", 125, "unsupported pull policy \"x\""),
            (
                "run -v /a:b IMAGE",
                125,
                "invalid container path \"b\", must be an absolute path",
            ),
            (
                "run --name a/b IMAGE",
                125,
                "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
            ),
            ("run --pull never localhost/nothing", 125, "image not known"),
            (
                "images --format {{.Bogus}}",
                125,
                "can't evaluate field Bogus",
            ),
        ],
    );
    let level = scratch.minke("--log-level loud ps");
    assert_eq!(level.code, 1);
    assert!(!level.err.contains("Error:"), "{level:?}");
    let help = scratch.minke("container");
    assert!(help.out.contains("Usage: minke container"), "{help:?}");
    let help = outcome(scratch.command().args(["run", "--help"]));
    assert_eq!((help.code, help.err.as_str()), (0, ""));
}

#[test]
fn what_is_missing() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let missing = "no container with name or ID \"x\" found: no such container";
    check(
        &scratch,
        &[
            ("start x", 125, missing),
            ("stop x", 125, missing),
            ("kill x", 125, missing),
            ("logs x", 125, missing),
            ("exec x true", 125, missing),
            ("wait x", 125, missing),
            ("stop --ignore x", 0, ""),
            ("wait --ignore x", 0, ""),
            (
                "rm x",
                1,
                "no container with ID or name \"x\" found: no such container",
            ),
            ("rm -f x", 0, ""),
            ("rmi x", 1, "x: image not known"),
            ("rmi -f x", 0, ""),
            ("inspect x", 125, "no such object: \"x\""),
            ("container inspect x", 125, "no such container \"x\""),
            ("container exists x", 1, ""),
            ("image exists x", 1, ""),
        ],
    );
    assert_eq!(scratch.minke("inspect x").out, "[]\n");
    assert_eq!(scratch.ok("wait --ignore x"), "-1");
}

#[test]
fn what_cannot_run() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    check(
        &scratch,
        &[
            (
                "run --rm --network none IMAGE nothing",
                127,
                "executable file `nothing` not found in $PATH",
            ),
            (
                "run --rm --network none IMAGE /etc/plain",
                126,
                "permission denied",
            ),
            ("run --rm --network none IMAGE /etc", 126, ""),
            (
                "run --rm --network none -u nobody-here IMAGE true",
                126,
                "unable to find user nobody-here: no matching entries in passwd file",
            ),
            (
                "run --rm --network none -w /nothing IMAGE true",
                126,
                "workdir \"/nothing\" does not exist on container",
            ),
            (
                "run --rm --network none -v /nothing/here:/x IMAGE true",
                125,
                "statfs /nothing/here: no such file or directory",
            ),
        ],
    );
    assert_eq!(
        scratch.ok("ps -aq"),
        "",
        "--rm removes what could not start"
    );
}

#[test]
fn what_is_in_the_wrong_state() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("up");
    scratch.ok(&format!("create --network none --name down {IMAGE} true"));
    check(
        &scratch,
        &[
            (
                "rm up",
                2,
                "as it is running - running or paused containers cannot be removed without force: container state improper",
            ),
            ("rm x up", 1, "no container with ID or name \"x\" found"),
            ("container exists up", 0, ""),
            ("kill down", 125, "can only kill running containers."),
            (
                "exec down true",
                255,
                "can only create exec sessions on running containers: container state improper",
            ),
            (
                "attach down",
                125,
                "you can only attach to running containers",
            ),
            ("stop down", 0, ""),
            ("wait down", 0, ""),
            ("exec up nothing", 127, ""),
            ("exec up /etc/plain", 126, ""),
            ("exec -w /nothing up true", 127, ""),
            ("exec -u nobody-here up true", 255, ""),
            ("exec up", 125, ""),
            (
                "create --network none --name up IMAGE",
                125,
                "that name is already in use",
            ),
            ("rmi IMAGE", 2, "image is in use by a container"),
        ],
    );
}
