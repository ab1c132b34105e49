//! Terminals: handed to a monitor, or served in the foreground.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use crate::bundle::{Bundle, able};

/// Reads a terminal until every process has let go of it.
fn read_all(master: OwnedFd) -> String {
    let mut file = File::from(master);
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    // The end is EIO, not a length of zero.
    while let Ok(length @ 1..) = file.read(&mut chunk) {
        text.extend(&chunk[..length]);
    }
    String::from_utf8(text).unwrap().replace('\r', "")
}

fn take_master(listener: &UnixListener) -> OwnedFd {
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    let mut received = minke_sys::fdpass::receive(stream.as_fd(), &mut name).unwrap();
    received.fds.pop().expect("the master is sent")
}

#[test]
fn a_console_socket_receives_the_master_of_create_and_exec() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("stty size; test -t 0 && echo tty >/dev/console; sleep 300");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 33, "width": 101});
    let path = bundle.dir().join("console.sock");
    let listener = UnixListener::bind(&path).unwrap();
    bundle.create_with(&["--console-socket", path.to_str().unwrap()]);
    let master = take_master(&listener);
    bundle.must(&["start", &bundle.id]);
    let mut seen = Vec::new();
    let mut file = File::from(master);
    while !seen.ends_with(b"tty\r\n") {
        let mut byte = [0];
        file.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert_eq!(seen, b"33 101\r\ntty\r\n");
    let process = json!({"terminal": true, "consoleSize": {"height": 9, "width": 8},
        "user": {"uid": 0, "gid": 0}, "args": ["stty", "size"], "cwd": "/", "env": ["PATH=/bin"]});
    let process_file = bundle.dir().join("process.json");
    std::fs::write(&process_file, process.to_string()).unwrap();
    bundle.must(&[
        "exec",
        "--detach",
        "--console-socket",
        path.to_str().unwrap(),
        "--process",
        process_file.to_str().unwrap(),
        &bundle.id,
    ]);
    assert_eq!(read_all(take_master(&listener)), "9 8\n");
    bundle.clean();
}

#[test]
fn a_console_socket_and_a_terminal_go_together() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("true");
    bundle.save();
    let refusal = bundle.must_fail(&["create", "--console-socket", "/nowhere", &bundle.id]);
    assert!(refusal.contains("process.terminal is false"), "{refusal}");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.save();
    let refusal = bundle.must_fail(&["create", &bundle.id]);
    assert!(refusal.contains("--console-socket"), "{refusal}");
    bundle.assert_nothing_left();
}

/// Runs a verb with a terminal of 41 by 123 for its streams, types `hello`, and gives the exit
/// code and what was shown. The terminal must be left as it was.
fn in_a_terminal(bundle: &Bundle, args: &[&str]) -> (Option<i32>, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize {
        ws_row: 41,
        ws_col: 123,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(name.to_str().unwrap())
        .unwrap();
    let before = rustix::termios::tcgetattr(&terminal).unwrap();
    let mut child = bundle
        .command()
        .args(args)
        .stdin(terminal.try_clone().unwrap())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut file = File::from(master.try_clone().unwrap());
    file.write_all(b"hello\r").unwrap();
    let status = child.wait().unwrap();
    let after = rustix::termios::tcgetattr(&terminal).unwrap();
    assert_eq!(before.local_modes, after.local_modes);
    drop((terminal, file));
    (status.code(), read_all(master))
}

#[test]
fn a_foreground_terminal_is_relayed() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("stty size; read line; echo got $line; exit 5");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.save();
    let (code, seen) = in_a_terminal(&bundle, &["run", &bundle.id]);
    assert_eq!(code, Some(5), "{seen:?}");
    assert!(seen.contains("41 123\n"), "{seen:?}");
    assert!(seen.ends_with("got hello\n"), "{seen:?}");
    bundle.assert_nothing_left();
}

#[test]
fn the_terminal_of_a_foreground_exec_is_relayed() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    bundle.up();
    let script = "stty size; test -t 2 && read line; echo got $line; exit 6";
    let args = ["exec", "--tty", &bundle.id, "sh", "-c", script];
    let (code, seen) = in_a_terminal(&bundle, &args);
    assert_eq!(code, Some(6), "{seen:?}");
    assert!(seen.contains("41 123\n"), "{seen:?}");
    assert!(seen.ends_with("got hello\n"), "{seen:?}");
    bundle.clean();
}
