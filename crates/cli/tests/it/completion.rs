//! Shells complete command lines with what is there.

use std::process::Command;

use crate::scratch::Scratch;

#[test]
fn bash_completes_commands_flags_and_names() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.ok("create --name webby --network none localhost/busybox");
    scratch.ok("create --name other --network none localhost/busybox");
    scratch.ok(&format!(
        "completion -f {} bash",
        scratch.path("script").display()
    ));
    let root = scratch.path("root").display().to_string();
    let run = scratch.path("run").display().to_string();
    for (line, expected) in [
        ("unp", "unpause"),
        ("rm --forc", "--force"),
        ("rm web", "webby"),
        ("start ", "other webby"),
        ("stop ", ""),
        ("run --rm localhost/b", "localhost/busybox:latest"),
    ] {
        let line = format!("--root {root} --runroot {run} {line}");
        assert_eq!(by_bash(&scratch, &line), expected, "{line}");
    }
}

/// What the script makes bash offer for the last word of a line.
fn by_bash(scratch: &Scratch, line: &str) -> String {
    const ASK: &str = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                       _minke; echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-c", ASK, "bash"])
        .arg(scratch.path("script"))
        .arg(env!("CARGO_BIN_EXE_minke"))
        .args(line.split(' '))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn every_shell_has_a_script() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(
            scratch
                .ok(&format!("completion {shell}"))
                .contains("__complete")
        );
    }
    assert_eq!(scratch.minke("completion tcsh").code, 125);
    for (shell, check) in [("zsh", "-n"), ("fish", "-n"), ("bash", "-n")] {
        let path = scratch.path(shell);
        scratch.ok(&format!("completion -f {} {shell}", path.display()));
        match Command::new(shell).arg(check).arg(&path).status() {
            Ok(status) => assert!(status.success(), "{shell}"),
            Err(_) => eprintln!("skipped: {shell} is not installed"),
        }
    }
}
