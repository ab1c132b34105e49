//! `-it` on a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::archive::IMAGE;
use crate::scratch::Scratch;

fn terminal() -> (File, File) {
    let master: OwnedFd =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    (File::from(master), slave)
}

#[test]
fn a_shell_on_a_terminal_reads_and_writes() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let (mut master, slave) = terminal();
    let mut child = {
        let mut command = scratch.command();
        command
            .args(["run", "-it", "--rm", "--network", "none", IMAGE, "sh"])
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        command.spawn().unwrap()
    };
    master
        .write_all(b"test -t 0 && echo is-a-$((40+2))-tty\nexit 3\n")
        .unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    // Ends with EIO once the last descriptor of the other side is closed.
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..length]);
    }
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("is-a-42-tty"), "{seen}");
    assert_eq!(child.wait().unwrap().code(), Some(3), "{seen}");
}
