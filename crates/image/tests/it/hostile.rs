//! Against a registry that lies, stalls and points elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use minke_image::media_type::Compression;
use minke_image::progress::Silent;
use minke_image::{
    Digest, ErrorKind, ImageReference, LayoutDestination, RegistryOptions, RegistrySource, Result,
    copy,
};

use crate::fixture::{MemoryImage, any};
use crate::registries::insecure;

/// One request as it came.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
}

/// An answer; `cut` closes the connection after so many bytes of the body.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
        cut: None,
    }
}

impl Answer {
    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A server whose every answer the test decides.
struct Server {
    host: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopped) = (requests.clone(), stop.clone());
        let handler = Arc::new(handler);
        let serve = move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, log) = (handler.clone(), log.clone());
                std::thread::spawn(move || {
                    // A client that hangs up on us is no concern of the test's.
                    let _ = stream.and_then(|stream| converse(stream, &*handler, &log));
                });
            }
        };
        Server {
            host,
            requests,
            stop,
            thread: Some(std::thread::spawn(serve)),
        }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn count(&self, part: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|r| r.target.contains(part)).count()
    }

    fn reference(&self) -> ImageReference {
        format!("{}/app:v1", self.host).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.host);
        let _ = self.thread.take().unwrap().join();
    }
}

fn converse(
    mut stream: TcpStream,
    handler: &(dyn Fn(&Request) -> Answer + Send + Sync),
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut first = [0];
    stream.peek(&mut first)?;
    if first == [0x16] {
        return Ok(()); // a TLS handshake: hang up
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let request = Request {
        method,
        target,
        headers,
    };
    log.lock().unwrap().push(request.clone());
    let answer = handler(&request);
    let mut head = format!(
        "HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let end = answer.cut.unwrap_or(answer.body.len());
    stream.write_all(&answer.body[..end])?;
    stream.flush()
}

fn image() -> MemoryImage {
    MemoryImage::new(false, 400_000, &[Compression::Gzip, Compression::Gzip])
}

/// What an honest registry would answer.
fn honest(image: &MemoryImage, request: &Request) -> Answer {
    let target = request.target.as_str();
    if target == "/v2/" {
        return answer(200, "{}");
    }
    if target.contains("/manifests/") {
        let media_type = image.manifest.media_type.as_ref().unwrap();
        return answer(200, image.manifest.bytes.clone()).with("content-type", media_type.as_str());
    }
    let blob = target
        .rsplit('/')
        .next()
        .and_then(|digest| digest.parse::<Digest>().ok())
        .and_then(|digest| image.blobs.get(&digest));
    let Some(blob) = blob else {
        return answer(404, "");
    };
    let range = request.headers.get("range").map(|range| {
        let start = range.trim_start_matches("bytes=").trim_end_matches('-');
        start.parse::<usize>().unwrap()
    });
    match range {
        Some(start) => answer(206, &blob[start..]).with(
            "content-range",
            format!("bytes {start}-{}/{}", blob.len() - 1, blob.len()),
        ),
        None => answer(200, blob.clone()),
    }
}

/// Pulls into an empty layout. A failed pull must leave none behind.
fn pull(server: &Server, options: &RegistryOptions) -> Result<()> {
    let scratch = tempfile::tempdir().unwrap();
    let result = RegistrySource::open(&server.reference(), options).and_then(|source| {
        let mut layout = LayoutDestination::open(scratch.path(), Some("v1"))?;
        copy(&source, &mut layout, &any(), &Silent)
    });
    let there = scratch.path().join("index.json").exists();
    assert_eq!(there, result.is_ok());
    if let Ok(files) = std::fs::read_dir(scratch.path()) {
        for file in files {
            let name = file.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with(".partial"), "{name:?}");
        }
    }
    result.map(drop)
}

#[test]
fn an_honest_server_is_believed() {
    let image = image();
    let server = Server::start(move |request| honest(&image, request));
    pull(&server, &insecure()).unwrap();
}

#[test]
fn content_of_another_digest_is_refused() {
    for part in ["/manifests/", "/blobs/"] {
        let image = image();
        let victim = match part {
            "/blobs/" => image.layers[1].digest.clone(),
            _ => image.manifest.digest(),
        };
        let wanted = victim.clone();
        let server = Server::start(move |request| {
            let mut answer = honest(&image, request);
            if request.target.ends_with(victim.as_str()) {
                let middle = answer.body.len() / 2;
                answer.body[middle] ^= 1;
            }
            answer
        });
        let by_digest = server.reference().with_digest(wanted);
        let result = match part {
            "/manifests/" => RegistrySource::open(&by_digest, &insecure()).map(drop),
            _ => pull(&server, &insecure()),
        };
        assert_eq!(result.unwrap_err().kind(), ErrorKind::DigestMismatch);
    }
}

#[test]
fn a_layer_of_another_length_is_refused() {
    for change in [-1000_i64, 1000] {
        let image = image();
        let victim = image.layers[0].digest.clone();
        let server = Server::start(move |request| {
            let mut answer = honest(&image, request);
            if request.target.ends_with(victim.as_str()) {
                let length = answer.body.len() as i64 + change;
                answer.body.resize(length as usize, 0);
            }
            answer
        });
        let error = pull(&server, &insecure()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error}");
    }
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let image = image();
    let victim = image.layers[0].clone();
    let size = victim.size_bytes as usize;
    let breaks = AtomicUsize::new(0);
    let digest = victim.digest.clone();
    let server = Server::start(move |request| {
        let mut answer = honest(&image, request);
        let hit = request.target.ends_with(digest.as_str());
        if hit && breaks.fetch_add(1, Ordering::SeqCst) < 2 {
            answer.cut = Some(answer.body.len() / 2);
        }
        answer
    });
    pull(&server, &insecure()).unwrap();
    let requests = server.requests();
    let ranges: Vec<_> = requests
        .iter()
        .filter(|request| request.target.ends_with(victim.digest.as_str()))
        .map(|request| request.headers.get("range").cloned())
        .collect();
    let half = size / 2;
    let rest = half + (size - half) / 2;
    let expected = [
        None,
        Some(format!("bytes={half}-")),
        Some(format!("bytes={rest}-")),
    ];
    assert_eq!(ranges, expected);
}

#[test]
fn a_download_that_always_breaks_fails() {
    let image = image();
    let victim = image.layers[0].digest.clone();
    let server = Server::start(move |request| {
        let mut answer = honest(&image, request);
        if request.target.ends_with(victim.as_str()) {
            answer.cut = Some(0);
        }
        answer
    });
    let error = pull(&server, &insecure()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}

#[test]
fn a_huge_manifest_is_not_read() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v2/" => answer(200, ""),
        _ => answer(200, vec![b' '; 5 << 20]),
    });
    let error = pull(&server, &insecure()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v2/" => answer(200, ""),
        _ => answer(404, "<html>"),
    });
    let error = pull(&server, &insecure()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("StatusCode: 404"), "{error}");
}

#[test]
fn an_overloaded_registry_is_given_the_time_it_asks_for() {
    let image = image();
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let refused =
            request.target.contains("/manifests/") && tries.fetch_add(1, Ordering::SeqCst) == 0;
        match refused {
            true => answer(429, "").with("retry-after", "1"),
            false => honest(&image, request),
        }
    });
    let started = Instant::now();
    pull(&server, &insecure()).unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.count("/manifests/"), 2);
}

#[test]
fn retries_end() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v2/" => answer(200, ""),
        _ => answer(503, ""),
    });
    let error = pull(&server, &insecure()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    assert_eq!(server.count("/manifests/"), 4);
}

/// An honest registry behind bearer tokens.
fn guarded(image: &MemoryImage, request: &Request) -> Answer {
    let host = &request.headers["host"];
    if request.target.starts_with("/token?") {
        let basic = request.headers.get("authorization").map(String::as_str);
        let scoped = request.target.contains("scope=repository%3Aapp%3Apull");
        return match (basic, scoped) {
            (Some("Basic dTpw"), true) => answer(200, r#"{"token":"TOKEN","expires_in":300}"#),
            (_, true) => answer(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
            _ => answer(400, ""),
        };
    }
    match request.headers.get("authorization").map(String::as_str) {
        Some("Bearer TOKEN") => honest(image, request),
        _ => answer(401, "{}").with(
            "www-authenticate",
            format!(r#"Bearer realm="http://{host}/token",service="test""#),
        ),
    }
}

fn with_password(password: &str) -> RegistryOptions {
    RegistryOptions {
        credentials: Some(minke_image::auth::Credentials::Password {
            username: "u".to_owned(),
            password: password.to_owned(),
        }),
        ..insecure()
    }
}

#[test]
fn one_token_serves_the_whole_pull() {
    let image = image();
    let server = Server::start(move |request| guarded(&image, request));
    pull(&server, &with_password("p")).unwrap();
    assert_eq!(server.count("/token?"), 1);
}

#[test]
fn wrong_credentials_get_no_token() {
    let image = image();
    let server = Server::start(move |request| guarded(&image, request));
    let error = pull(&server, &with_password("wrong")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let text = error.to_string();
    assert!(text.contains("invalid username/password"), "{text}");
}

#[test]
fn a_redirect_elsewhere_learns_no_credentials() {
    let stored = image();
    let store = Server::start(move |request| honest(&stored, request));
    let elsewhere = store.host.clone();
    let image = image();
    let server = Server::start(move |request| {
        let honest = guarded(&image, request);
        match request.target.contains("/blobs/") && honest.status == 200 {
            true => {
                answer(307, "").with("location", format!("http://{elsewhere}{}", request.target))
            }
            false => honest,
        }
    });
    pull(&server, &with_password("p")).unwrap();
    let followed = store.requests();
    assert_eq!(followed.len(), 3, "a config and two layers");
    for request in followed {
        assert!(
            !request.headers.contains_key("authorization"),
            "{request:?}"
        );
    }
}

#[test]
fn redirects_end() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v2/" => answer(200, ""),
        target => answer(302, "").with("location", format!("{target}x")),
    });
    let error = pull(&server, &insecure()).unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    for place in ["file:///etc/passwd", "gopher://x/", "::"] {
        let server = Server::start(move |request| match request.target.as_str() {
            "/v2/" => answer(200, ""),
            _ => answer(302, "").with("location", place),
        });
        assert!(pull(&server, &insecure()).is_err());
    }
}

#[test]
fn plain_http_is_not_spoken_unless_allowed() {
    let server = Server::start(|_| answer(200, ""));
    let error = pull(&server, &RegistryOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|r| r.method == "GET")
            .count(),
        0
    );
}

#[test]
fn an_index_may_not_nest() {
    let inner = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let digest = Digest::of(inner);
    let platform = minke_image::Platform::host();
    let outer = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":{},"platform":{{"os":"linux","architecture":"{}"}}}}]}}"#,
        inner.len(),
        platform.architecture
    );
    let server = Server::start(move |request| match request.target.as_str() {
        "/v2/" => answer(200, ""),
        target if target.ends_with(digest.as_str()) => answer(200, &inner[..]),
        _ => answer(200, outer.clone()),
    });
    let error = pull(&server, &insecure()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn a_stalled_registry_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reference = format!("{}/x:1", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let accept = std::thread::spawn(move || {
        let mut held = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut first = [0; 1];
            let _ = stream.read(&mut first);
            held.push(stream);
        }
        std::thread::sleep(Duration::from_millis(600));
    });
    let options = RegistryOptions {
        stall_timeout: Duration::from_millis(100),
        connect_timeout: Duration::from_millis(200),
        retries: 0,
        ..insecure()
    };
    let error = RegistrySource::open(&reference, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    accept.join().unwrap();
}
