//! Bad input: the exit code and the words scripts match, and everything as it was before.
//!
//! The words are Podman 5.8's; Debian 12's Podman 4.3 says a few of them differently.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use anyhow::{Result, ensure};

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::snapshot::Snapshot;
use super::{Outcome, cases};
use crate::fixture::{Layout, text};
use crate::registry::free_port;

cases![
    names_and_flags,
    commands_in_the_image,
    name_in_use,
    port_taken,
    image_in_use,
    running_containers_are_not_removed,
    unreachable_registry,
    unknown_image,
    wrong_digest,
    truncated_layer,
    connection_cut_in_a_layer_is_resumed,
    hostile_archives_stay_inside,
];

/// Runs `act` and requires that store and network are afterwards what they were before.
fn unchanged(site: &Site<'_>, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = Snapshot::at_rest(&site.root())?;
    act()?;
    before.same_soon(&site.root())
}

/// Passes if every row of a table does; names all that do not.
fn all(rows: impl Iterator<Item = Result<()>>) -> Result<Outcome> {
    let errors: Vec<String> = rows
        .filter_map(Result::err)
        .map(|error| format!("{error:#}"))
        .collect();
    ensure!(
        errors.is_empty(),
        "{} rows:\n{}",
        errors.len(),
        errors.join("\n")
    );
    Ok(Passed)
}

/// Arguments, exit code, fragment of stderr.
const CALLS: &[(&[&str], i32, &str)] = &[
    (&[], 125, ""),
    (&["no-such-command"], 125, "no-such-command"),
    (&["run", "--frobnicate"], 125, "unknown flag: --frobnicate"),
    (&["run"], 125, "requires at least 1 arg(s), only received 0"),
    (
        &["pull", "localhost/UPPER"],
        125,
        "repository name must be lowercase",
    ),
    (
        &["run", "--pull=never", "localhost/none"],
        125,
        "localhost/none",
    ),
    (
        &["run", "--pull=sometimes", "localhost/none"],
        125,
        "unsupported pull policy \"sometimes\"",
    ),
    (
        &["stop", "nobody"],
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    (
        &["logs", "nobody"],
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    (
        &["exec", "nobody", "true"],
        125,
        "no container with name or ID \"nobody\" found: no such container",
    ),
    (
        &["rm", "nobody"],
        1,
        "no container with ID or name \"nobody\" found: no such container",
    ),
    (&["rm", "-f", "nobody"], 0, ""),
    (
        &["rmi", "localhost/none"],
        1,
        "localhost/none: image not known",
    ),
    (&["inspect", "nobody"], 125, "no such object: \"nobody\""),
];

fn names_and_flags(ground: &Ground) -> Result<Outcome> {
    let site = ground.site()?;
    site.ok(&["images"])?; // the store exists from here on
    all(CALLS.iter().map(|(arguments, code, fragment)| {
        unchanged(&site, || {
            site.minke()
                .refuses(arguments, *code, &[fragment])
                .map(drop)
        })
    }))
}

/// Options and command after `run --rm --network=none`, exit code, fragment of stderr.
const RUNS: &[(&[&str], &[&str], i32, &str)] = &[
    (&[], &["no-such-command"], 127, "no-such-command"),
    (&[], &["/no/such/file"], 127, "/no/such/file"),
    (&[], &["/etc"], 126, "/etc"),
    (&[], &["/etc/passwd"], 126, "/etc/passwd"),
    (
        &["-u", "nobody-here"],
        &["true"],
        126,
        "unable to find user nobody-here: no matching entries in passwd file",
    ),
    (&["-w", "/not/there"], &["true"], 126, "/not/there"),
    (
        &["-v", "/no/such/source:/data"],
        &["true"],
        125,
        "statfs /no/such/source: no such file or directory",
    ),
    (
        &["-v", "/tmp:relative"],
        &["true"],
        125,
        "invalid container path \"relative\", must be an absolute path",
    ),
    (
        &["--cap-add", "SAILING"],
        &["true"],
        125,
        "\"CAP_SAILING\": unknown capability",
    ),
    (
        &["-m", "12x"],
        &["true"],
        125,
        "invalid value for memory: invalid suffix: 'x'",
    ),
    (
        &["--name", "a b"],
        &["true"],
        125,
        "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
    ),
    (
        &["--security-opt", "seccomp=/no/such/file"],
        &["true"],
        125,
        "opening seccomp profile failed: open /no/such/file:",
    ),
    (
        &["-p", "99999:80"],
        &["true"],
        125,
        "port numbers must be between 1 and 65535 (inclusive), got 99999",
    ),
];

fn commands_in_the_image(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let image = site.image();
    all(RUNS.iter().map(|(options, command, code, fragment)| {
        let arguments = [
            &["run", "--rm", "--network=none"],
            *options,
            &[&image],
            *command,
        ]
        .concat();
        unchanged(&site, || {
            site.minke()
                .refuses(&arguments, *code, &[fragment])
                .map(drop)
        })
    }))
}

fn name_in_use(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let image = site.image();
    let id = site.ok(&[
        "create",
        "--name",
        "taken",
        "--network=none",
        &image,
        "true",
    ])?;
    let words = format!("the container name \"taken\" is already in use by {id}");
    unchanged(&site, || {
        let again = [
            "run",
            "--rm",
            "--name",
            "taken",
            "--network=none",
            &image,
            "true",
        ];
        site.minke()
            .refuses(&again, 125, &[&words, "that name is already in use"])
            .map(drop)
    })?;
    Ok(Passed)
}

fn port_taken(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let publish = format!("127.0.0.1:{}:80", listener.local_addr()?.port());
    unchanged(&site, || {
        let arguments = ["run", "--rm", "-p", &publish, &site.image(), "true"];
        site.minke()
            .refuses(&arguments, 126, &["address already in use"])
            .map(drop)
    })?;
    Ok(Passed)
}

fn image_in_use(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    site.ok(&["create", "--network=none", &site.image(), "true"])?;
    unchanged(&site, || {
        site.minke()
            .refuses(
                &["rmi", &site.image()],
                2,
                &["image is in use by a container"],
            )
            .map(drop)
    })?;
    Ok(Passed)
}

fn running_containers_are_not_removed(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let id = site.ok(&["run", "-d", "--network=none", &site.image()])?;
    unchanged(&site, || {
        let words = format!("cannot remove container {id} as it is running");
        site.minke()
            .refuses(&["rm", &id], 2, &[&words, "container state improper"])
            .map(drop)
    })?;
    Ok(Passed)
}

fn unreachable_registry(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let host = format!("127.0.0.1:{}", free_port()?);
    let name = format!("{host}/minke/web:latest");
    unchanged(&site, || {
        let words = [
            &*format!("Trying to pull {name}..."),
            &format!("pinging container registry {host}:"),
            "connection refused",
        ];
        site.minke()
            .refuses(&["pull", "--tls-verify=false", &name], 125, &words)
            .map(drop)
    })?;
    Ok(Passed)
}

fn unknown_image(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    for image in ["minke/none:latest", "minke/web:none"] {
        let name = ground.registry.name(image);
        unchanged(&site, || {
            site.minke()
                .refuses(
                    &["pull", "--tls-verify=false", &name],
                    125,
                    &["manifest unknown"],
                )
                .map(drop)
        })?;
    }
    Ok(Passed)
}

/// Pushes an image of its own, whose top layer's blob is then damaged by `damage`.
fn pull_damaged(ground: &Ground, name: &str, damage: fn(&Path) -> Result<()>) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let layout = random_image(&site, name)?;
    let image = format!("minke/{name}:latest");
    ground.registry.push(&layout.path, &image)?;
    let top = layout.layers.last().expect("one layer");
    let blob = ground.registry.blob(&top.digest);
    let whole = fs::read(&blob)?;
    damage(&blob)?;
    let name = ground.registry.name(&image);
    unchanged(&site, || {
        site.minke()
            .refuses(&["pull", "--tls-verify=false", &name], 125, &["Error: "])
            .map(drop)
    })?;
    fs::write(&blob, whole)?;
    site.ok(&["pull", "--quiet", "--tls-verify=false", &name])?;
    Ok(Passed)
}

fn wrong_digest(ground: &Ground) -> Result<Outcome> {
    pull_damaged(ground, "wrong", |blob| {
        let file = OpenOptions::new().read(true).write(true).open(blob)?;
        let middle = file.metadata()?.len() / 2;
        let mut byte = [0];
        file.read_exact_at(&mut byte, middle)?;
        file.write_all_at(&[byte[0] ^ 0x20], middle)?;
        Ok(())
    })
}

fn truncated_layer(ground: &Ground) -> Result<Outcome> {
    pull_damaged(ground, "short", |blob| {
        let file = OpenOptions::new().write(true).open(blob)?;
        file.set_len(file.metadata()?.len() / 2)?;
        Ok(())
    })
}

/// The connection ends within a layer; then the registry is reached without that.
fn connection_cut_in_a_layer_is_resumed(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let layout = random_image(&site, "cut")?;
    ground.registry.push(&layout.path, "minke/cut:latest")?;
    let proxy = cutting_proxy(ground.registry.port(), 200_000)?;
    let cut = format!("127.0.0.1:{proxy}/minke/cut:latest");
    let whole = ground.registry.name("minke/cut:latest");
    let pull = |name: &str| site.ok(&["pull", "--quiet", "--tls-verify=false", name]);
    let (through, direct) = (pull(&cut)?, pull(&whole)?);
    ensure!(
        through == direct,
        "{through:?} through the proxy and {direct:?} without it"
    );
    Ok(Passed)
}

/// An image of one layer of random bytes, which no compression makes small.
fn random_image(site: &Site<'_>, name: &str) -> Result<Layout> {
    let tree = site.directory.join(format!("{name}-tree"));
    fs::create_dir_all(&tree)?;
    let mut bytes = vec![0; 2 << 20];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    fs::write(tree.join("random"), bytes)?;
    let mut layout = Layout::new(site.directory.join(name))?;
    layout.add_tree(&tree)?;
    layout.finish(serde_json::json!({"Cmd": ["true"]}))?;
    Ok(layout)
}

/// Passes connections on to `port`, but ends each after `limit` bytes of answers.
fn cutting_proxy(port: u16, limit: u64) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let own = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || pass_on(client, port, limit));
        }
    });
    Ok(own)
}

fn pass_on(mut client: TcpStream, port: u16, limit: u64) -> Option<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let (mut requests, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || std::io::copy(&mut requests, &mut to_server));
    std::io::copy(&mut server.take(limit), &mut client).ok()?;
    client.shutdown(std::net::Shutdown::Both).ok()
}

/// Entries that try to write outside of the layer: refused, or kept inside; never outside.
fn hostile_archives_stay_inside(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let outside = site.directory.join("outside");
    fs::create_dir_all(&outside)?;
    let target = text(&outside)?.to_owned();
    let climb = format!(
        "{}{}/climbed",
        "../".repeat(12),
        target.trim_start_matches('/')
    );
    let archives: [(&str, Vec<Vec<u8>>); 4] = [
        ("dots", vec![entry(&climb, b'0', "", b"bad")]),
        (
            "absolute",
            vec![entry(&format!("{target}/absolute"), b'0', "", b"bad")],
        ),
        (
            "symlink",
            vec![
                entry("way", b'2', &target, b""),
                entry("way/through", b'0', "", b"bad"),
            ],
        ),
        (
            "hardlink",
            vec![entry(
                "etc-passwd",
                b'1',
                "../../../../../../../../etc/passwd",
                b"",
            )],
        ),
    ];
    for (name, entries) in archives {
        let mut layout = Layout::new(site.directory.join(name))?;
        let tar = site.directory.join(format!("{name}.tar"));
        fs::File::create(&tar)?.write_all(&[entries.concat(), vec![0; 1024]].concat())?;
        layout.add_tar(&tar)?;
        layout.finish(serde_json::json!({"Cmd": ["true"]}))?;
        let image = format!("minke/hostile-{name}:latest");
        ground.registry.push(&layout.path, &image)?;
        let pulled =
            site.minke()
                .call(["pull", "--tls-verify=false", &ground.registry.name(&image)])?;
        ensure!([0, 125].contains(&pulled.code), "{name}: {pulled}");
        let escaped: Vec<_> = fs::read_dir(&outside)?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        ensure!(
            escaped.is_empty(),
            "{name}: written outside of the store: {escaped:?}"
        );
    }
    Ok(Passed)
}

/// One tar entry in ustar's form (POSIX pax, § ustar Interchange Format).
fn entry(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    assert!(
        name.len() <= 100 && link.len() <= 100,
        "too long for ustar: {name} {link}"
    );
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
