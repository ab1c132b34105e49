//! The first voyage, shown: pull a real image over HTTP, run it, talk to it, put it away.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::program::{self, Program};
use crate::registry::{Registry, free_port};
use crate::scratch::{self, Scratch};
use crate::{fixture, release, setup};

/// Sets up, builds, and shows minke's main job on real input.
pub fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "quickstart takes no arguments");
    heading("What is missing on this machine");
    setup::run(&[])?;
    heading("The release binary");
    let minke = release::build()?;
    ensure!(
        program::is_root(),
        "the demo uses a bridge network, which needs root:\n  sudo -E env PATH=\"$PATH\" cargo xtask quickstart"
    );
    scratch::sweep("quick", &minke)?;
    let scratch = Scratch::new("quick")?;
    let voyage = Voyage::new(&minke, scratch.path())?;
    voyage.first_container()?;
    voyage.web_server()
}

fn heading(text: &str) {
    println!("\n== {text}");
}

/// A store of its own, a registry, and what is still running.
struct Voyage {
    minke: Program,
    registry: Registry,
    published: u16,
}

impl Voyage {
    fn new(minke: &Path, scratch: &Path) -> Result<Voyage> {
        heading("A registry on loopback, with an image of this machine's busybox");
        let layout = fixture::web(scratch)?;
        let registry = Registry::start(scratch)?;
        registry.push(&layout.path, "minke/web:latest")?;
        println!(
            "docker-registry serves {} ({} layers, {:.1} MB)",
            registry.name("minke/web:latest"),
            layout.layers.len(),
            layout.compressed_bytes() as f64 / 1e6
        );
        println!(
            "(your own store stays untouched: everything below {})",
            scratch.display()
        );
        Ok(Voyage {
            minke: scratch::store(minke, scratch),
            registry,
            published: free_port()?,
        })
    }

    fn first_container(&self) -> Result<()> {
        heading("A first container, from the image inside the binary");
        self.step(&["run", "--rm", "minke/hello"])?;
        Ok(())
    }

    fn web_server(&self) -> Result<()> {
        let image = self.registry.name("minke/web:latest");
        let publish = format!("127.0.0.1:{}:80", self.published);
        heading("Pull over HTTP, run with a bridge network and a published port");
        self.step(&["pull", "--tls-verify=false", &image])?;
        self.step(&["images"])?;
        let id = self.step(&["run", "-d", "--name", "web", "-p", &publish, &image])?;
        self.talk()?;
        self.step(&["ps"])?;
        self.step(&["exec", "web", "ps"])?;
        self.step(&["logs", "web"])?;
        heading("Put everything away");
        self.step(&["stop", "web"])?;
        self.step(&["rm", "web"])?;
        self.step(&["rmi", &image])?;
        let left = self.minke.ok(["ps", "--all", "--quiet"])?;
        ensure!(left.is_empty(), "a container is left: {left}");
        self.account(&id, &image);
        Ok(())
    }

    /// Shows a command and its output as they come to a user.
    fn step(&self, arguments: &[&str]) -> Result<String> {
        println!("$ minke {}", arguments.join(" "));
        let ended = self.minke.call(arguments)?;
        print!("{}", ended.stdout);
        eprint!("{}", ended.stderr);
        ensure!(
            ended.code == 0,
            "this step failed: `{}` ended with {}",
            ended.line,
            ended.code
        );
        Ok(ended.stdout.trim().to_owned())
    }

    fn talk(&self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/", self.published);
        println!("$ curl {url}");
        let answer = answer(&url)?;
        print!("{answer}");
        ensure!(
            answer == fixture::GREETING,
            "the web server said something else"
        );
        Ok(())
    }

    fn account(&self, id: &str, image: &str) {
        heading("What happened");
        println!(
            "minke asked the registry for {image}, checked every byte against its digest and\n\
             unpacked it. It started container {} in its own namespaces behind the bridge\n\
             `podman0` and let port {} of this host lead to port 80 in it; curl got the page\n\
             from there. Then it stopped and removed the container and the image. No daemon was\n\
             involved, and nothing is left running.\n\n\
             Next: `cargo xtask test`, or README.md for a container of your own.",
            &id[..id.len().min(12)],
            self.published
        );
    }
}

impl Drop for Voyage {
    fn drop(&mut self) {
        // Nothing to say if it worked; if a step failed, the container may still run.
        let _ = self.minke.call(["rm", "--all", "--force", "--time", "0"]);
    }
}

/// What curl gets. A server needs a moment after its container has started.
pub fn answer(url: &str) -> Result<String> {
    let curl = program::need("curl")?;
    program::until(
        &format!("an answer from {url}"),
        Duration::from_secs(10),
        || {
            let output = Command::new(&curl)
                .args([
                    "--silent",
                    "--show-error",
                    "--fail",
                    "--noproxy",
                    "*",
                    "--max-time",
                    "5",
                    url,
                ])
                .output()
                .context("cannot run curl")?;
            Ok(output
                .status
                .success()
                .then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
        },
    )
}
