//! Streams: attach and exec.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::thread;

use minke_engine::{AttachEnd, AttachRequest, ErrorKind, ExecRequest};

use crate::Test;
use crate::place::{Place, at_once, create, spec};

pub const TESTS: &[Test] = &[
    ("both_outputs_come_apart", both_outputs_come_apart, false),
    ("input_goes_in_and_ends", input_goes_in_and_ends, false),
    (
        "detach_keys_leave_it_running",
        detach_keys_leave_it_running,
        false,
    ),
    (
        "exec_gives_output_and_code",
        exec_gives_output_and_code,
        false,
    ),
    ("exec_meets_the_end", exec_meets_the_end, false),
];

fn read(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

fn both_outputs_come_apart() {
    let place = Place::new();
    place.create("c", &["sh", "-c", "echo out; echo err >&2; exit 5"]);
    let (out, out_end) = std::io::pipe().unwrap();
    let (err, err_end) = std::io::pipe().unwrap();
    let request = AttachRequest {
        stdout: Some(out_end.as_fd()),
        stderr: Some(err_end.as_fd()),
        ..AttachRequest::default()
    };
    let end = place.engine().start_attached("c", request).unwrap();
    assert_eq!(end, AttachEnd::Exited(5));
    drop((out_end, err_end));
    assert_eq!((read(out).as_str(), read(err).as_str()), ("out\n", "err\n"));
    let stopped = place.engine().attach("c", AttachRequest::default());
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::WrongState);
    place.end();
}

fn input_goes_in_and_ends() {
    let place = Place::new();
    let mut wanted = spec("c", &["cat"]);
    wanted.stdin = true;
    create(&place.engine(), &wanted).unwrap();
    let (input, mut input_end) = std::io::pipe().unwrap();
    let (out, out_end) = std::io::pipe().unwrap();
    let text = "line\n".repeat(5000);
    let given = text.clone();
    let writer = thread::spawn(move || input_end.write_all(given.as_bytes()).unwrap());
    let reader = thread::spawn(move || read(out));
    let request = AttachRequest {
        stdin: Some(input.as_fd()),
        stdout: Some(out_end.as_fd()),
        ..AttachRequest::default()
    };
    let end = place.engine().start_attached("c", request).unwrap();
    assert_eq!(end, AttachEnd::Exited(0));
    drop(out_end);
    writer.join().unwrap();
    assert!(reader.join().unwrap() == text);
    place.end();
}

fn detach_keys_leave_it_running() {
    let place = Place::new();
    let mut wanted = spec("c", &["sh", "-c", "cat; sleep 1000"]);
    wanted.stdin = true;
    create(&place.engine(), &wanted).unwrap();
    let (input, mut input_end) = std::io::pipe().unwrap();
    input_end.write_all(&[b'a', 16, 17]).unwrap();
    let request = AttachRequest {
        stdin: Some(input.as_fd()),
        detach_keys: vec![16, 17],
        ..AttachRequest::default()
    };
    let engine = place.engine();
    assert_eq!(
        engine.start_attached("c", request).unwrap(),
        AttachEnd::Detached
    );
    assert!(engine.state("c").unwrap().is_alive());
    place.end();
}

fn exec(command: &[&str]) -> ExecRequest {
    ExecRequest {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        ..ExecRequest::default()
    }
}

fn exec_gives_output_and_code() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["sleep", "1000"]);
    let early = engine.exec("c", &exec(&["true"]), AttachRequest::default());
    assert_eq!(early.unwrap_err().kind(), ErrorKind::WrongState);
    engine.start("c").unwrap();
    let (out, out_end) = std::io::pipe().unwrap();
    let request = AttachRequest {
        stdout: Some(out_end.as_fd()),
        ..AttachRequest::default()
    };
    let mut wanted = exec(&["sh", "-c", "id -u; exit 4"]);
    wanted.user = Some("worker".into());
    assert_eq!(engine.exec("c", &wanted, request).unwrap(), 4);
    drop(out_end);
    assert_eq!(read(out), "1000\n");
    let missing = engine.exec("c", &exec(&["nothing-like-it"]), AttachRequest::default());
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::CommandNotFound);
    engine
        .exec_detached("c", &exec(&["sleep", "1000"]))
        .unwrap();
    place.end();
}

/// Whatever the moment, an exec ends with the container: with a code or an error, in time.
fn exec_meets_the_end() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["sleep", "1000"]);
    for round in 0..8 {
        engine.start("c").unwrap();
        let mut stopper = place.act("stop", "c");
        thread::sleep(std::time::Duration::from_millis(round * 4));
        match engine.exec("c", &exec(&["sleep", "1000"]), AttachRequest::default()) {
            Ok(code) => assert_eq!(code, 137),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WrongState, "{}", error.chain()),
        }
        assert!(stopper.wait().unwrap().success());
        engine.stop("c", &at_once()).unwrap();
    }
    place.end();
}
