//! A graph root and a run root for one test, and proof that nothing is left of its containers.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use minke_engine::progress::Silent;
use minke_engine::spec::ContainerSpec;
use minke_engine::spec::container::NetworkMode;
use minke_engine::{
    CleanupRequest, CreateRequest, Engine, EngineOptions, ListRequest, RemoveRequest,
    RestartWaiter, StopRequest, Surroundings,
};
use tempfile::TempDir;

use crate::archive::{self, IMAGE};

pub struct Place {
    directory: TempDir,
}

impl Place {
    /// Makes the place and loads the image.
    pub fn new() -> Self {
        let place = Self {
            directory: TempDir::with_prefix("minke-engine-").unwrap(),
        };
        fs::create_dir(place.path("networks")).unwrap();
        let path = place.path("image.tar");
        archive::write(&path);
        place.engine().load(&path, &Silent).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another engine over the same directories.
    pub fn engine(&self) -> Engine {
        open(self.directory.path())
    }

    /// A container of these words.
    pub fn create(&self, name: &str, command: &[&str]) -> String {
        create(&self.engine(), &spec(name, command)).unwrap()
    }

    /// A process that does `verb` to a container and can be killed.
    pub fn act(&self, verb: &str, name: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .arg("act")
            .arg(self.directory.path())
            .args([verb, name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The state database, for damage.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("root/minke.db")).unwrap()
    }

    /// Removes every container, then looks for mounts, groups, processes and files.
    pub fn end(&self) {
        let engine = self.engine();
        let ids: Vec<String> = engine
            .container_names()
            .unwrap()
            .into_iter()
            .map(|c| c.0)
            .collect();
        for id in &ids {
            engine.remove(id, &by_force()).unwrap();
        }
        assert!(engine.list(&crate::all_of_them()).unwrap().is_empty());
        self.assert_nothing_left(&ids);
    }

    pub fn assert_nothing_left(&self, ids: &[String]) {
        let root = self.directory.path().to_str().unwrap();
        // Monitors go in their own time, after their exit command.
        until("the processes are gone", || processes_with(root).is_empty());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left: Vec<&str> = mounts
            .lines()
            .filter(|line| line.contains("/merged") && line.contains(root))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        for id in ids {
            assert_eq!(groups(id), Vec::<PathBuf>::new());
        }
        for (dir, kept) in [
            ("run/minke/oci", "@seccomp"),
            ("run/minke/containers", ""),
            ("run/minke/locks", ""),
            ("run/overlay-containers", ""),
        ] {
            let entries = fs::read_dir(self.path(dir)).into_iter().flatten().flatten();
            let left: Vec<PathBuf> = entries
                .filter(|entry| entry.file_name() != kept)
                .map(|entry| entry.path())
                .filter(|path| path.is_dir() || dir.ends_with("locks"))
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let layers = self.engine();
        let images = layers.images(&Default::default()).unwrap();
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].containers, 0);
    }
}

pub fn groups(id: &str) -> Vec<PathBuf> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    hierarchies
        .map(|entry| entry.path().join(format!("minke-{id}")))
        .filter(|path| path.exists())
        .collect()
}

/// Command lines that hold `text`, save our own.
pub fn processes_with(text: &str) -> Vec<(i32, String)> {
    let us = std::process::id() as i32;
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (pid != us && line.contains(text)).then_some((pid, line))
        })
        .collect()
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn spec(name: &str, command: &[&str]) -> ContainerSpec {
    let mut spec = ContainerSpec {
        name: Some(name.to_owned()),
        image: IMAGE.to_owned(),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        ..ContainerSpec::default()
    };
    spec.namespaces.network = NetworkMode::None;
    spec
}

pub fn create(engine: &Engine, spec: &ContainerSpec) -> minke_engine::Result<String> {
    Ok(engine.create(spec, &CreateRequest::default(), &Silent)?.id)
}

pub fn by_force() -> RemoveRequest {
    RemoveRequest {
        force: true,
        timeout: Some(Duration::ZERO),
        ..RemoveRequest::default()
    }
}

pub fn everything() -> ListRequest {
    ListRequest {
        all: true,
        ..ListRequest::default()
    }
}

pub fn at_once() -> StopRequest {
    StopRequest {
        timeout: Some(Duration::ZERO),
        ..StopRequest::default()
    }
}

pub fn open(directory: &Path) -> Engine {
    open_roots(
        directory.join("root"),
        directory.join("run"),
        directory.join("networks"),
    )
}

fn open_roots(root: PathBuf, run: PathBuf, networks: PathBuf) -> Engine {
    Engine::open(EngineOptions {
        graph_root: Some(root),
        run_root: Some(run),
        network_config_dir: Some(networks),
        self_exe: std::env::current_exe().unwrap(),
        surroundings: Surroundings {
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            uid: 0,
            gid: 0,
        },
        ..EngineOptions::default()
    })
    .unwrap()
}

fn open_as_told(words: &[OsString]) -> Engine {
    let after = |flag: &str| {
        let at = words.iter().position(|word| word == flag).unwrap();
        PathBuf::from(&words[at + 1])
    };
    open_roots(
        after("--root"),
        after("--runroot"),
        after("--network-config-dir"),
    )
}

/// As the monitor's periodic command: `... healthcheck run --again ID`.
pub fn check(words: &[OsString]) -> ExitCode {
    let engine = open_as_told(words);
    let id = words.last().unwrap().to_str().unwrap();
    let _ = engine.check_health(id);
    if let Ok(Some(wait)) = engine.next_health_check(id) {
        println!("again {}", wait.as_millis().max(1));
    }
    ExitCode::SUCCESS
}

/// As the exit command: `--root R --runroot R ... container cleanup [--rm] ID`.
pub fn clean_up(words: &[OsString]) -> ExitCode {
    let engine = open_as_told(words);
    let again = words.iter().any(|word| word == "--again");
    let request = CleanupRequest {
        remove: words.iter().any(|word| word == "--rm"),
        waiter: Some(if again {
            RestartWaiter::Parent
        } else {
            RestartWaiter::Ours
        }),
    };
    let id = words.last().unwrap().to_str().unwrap();
    while let Some(pause) = engine.cleanup(id, &request).unwrap() {
        if again {
            println!("again {}", pause.as_millis().max(1));
            break;
        }
        std::thread::sleep(pause);
    }
    ExitCode::SUCCESS
}

/// A client: `DIRECTORY VERB NAME`. Its code is the container's where it waits.
pub fn act(words: &[OsString]) -> ExitCode {
    let engine = open(Path::new(&words[0]));
    let name = words[2].to_str().unwrap();
    match words[1].to_str().unwrap() {
        "create" => drop(create(&engine, &spec(name, &["sleep", "1000"])).unwrap()),
        "start" => drop(engine.start(name).unwrap()),
        "stop" => drop(engine.stop(name, &at_once()).unwrap()),
        "stop-slowly" => drop(engine.stop(name, &StopRequest::default()).unwrap()),
        "remove" => drop(engine.remove(name, &by_force()).unwrap()),
        "run" => {
            let mut spec = spec(name, &["sh", "-c", "exit 3"]);
            spec.remove = true;
            let id = create(&engine, &spec).unwrap();
            let end = engine.start_attached(&id, Default::default()).unwrap();
            assert_eq!(end, minke_engine::AttachEnd::Exited(3));
        }
        "exec" => {
            let exec = minke_engine::ExecRequest {
                command: vec!["true".to_owned()],
                ..Default::default()
            };
            drop(engine.exec(name, &exec, Default::default()));
        }
        verb => panic!("no verb {verb}"),
    }
    ExitCode::SUCCESS
}
