//! How registries are asked.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::archive::IMAGE;
use crate::scratch::Scratch;

/// A registry that is always busy. Gives its address, and how often it was asked.
fn busy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut first = Vec::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            // The first byte of TLS is none of a request.
            if lines
                .fill_buf()
                .is_ok_and(|bytes| bytes.starts_with(b"GET "))
            {
                let _ = lines.read_until(b'\n', &mut first);
                count.fetch_add(1, Ordering::SeqCst);
                let answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (address, asked)
}

#[test]
fn a_request_is_repeated_as_often_as_asked() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for (retries, expected) in [(0, 1), (2, 3)] {
        let (address, asked) = busy();
        let refused = scratch.minke(&format!(
            "create --tls-verify=false --retry {retries} --retry-delay 1ms {address}/image"
        ));
        assert_eq!(refused.code, 125, "{refused:?}");
        assert_eq!(asked.load(Ordering::SeqCst), expected, "{refused:?}");
    }
    for (flags, word) in [
        ("--retry -1", "retry"),
        ("--retry-delay x", "invalid duration"),
    ] {
        let refused = scratch.minke(&format!("create {flags} {IMAGE} true"));
        assert_eq!(refused.code, 125, "{flags}");
        assert!(refused.err.contains(word), "{refused:?}");
    }
}

#[test]
fn a_policy_that_is_named_decides() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let policy = scratch.path("policy.json");
    let path = policy.to_str().unwrap();
    let (address, asked) = busy();
    let line =
        format!("pull --tls-verify=false --retry 0 --signature-policy {path} {address}/image");
    let missing = scratch.minke(&line);
    assert_eq!(
        (missing.code, asked.load(Ordering::SeqCst)),
        (125, 0),
        "{missing:?}"
    );
    fs::write(&policy, "{").unwrap();
    let wrong = scratch.minke(&line);
    assert!(wrong.err.contains(path), "{wrong:?}");
    fs::write(&policy, r#"{"default":[{"type":"reject"}]}"#).unwrap();
    let hello = format!("pull --signature-policy {path} minke/hello");
    let denied = scratch.minke(&hello);
    assert_eq!(denied.code, 125, "{denied:?}");
    assert!(denied.err.contains("polic"), "{denied:?}");
}
