//! What cases stand on: binaries, a registry with images, and a store for each case.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::cargo::Binaries;
use crate::fixture::{self, Layout};
use crate::program::{self, Program};
use crate::registry::Registry;
use crate::scratch;

/// This machine refuses to raise limits above its own, which Podman's defaults would.
const CONTAINERS_CONF: &str = "\
[containers]
default_ulimits = [\"nofile=20000:20000\", \"nproc=4096:4096\"]
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
runtime = \"runc\"
[network]
network_backend = \"netavark\"
";

/// Shared by all cases of a run.
pub struct Ground {
    pub binaries: Binaries,
    pub registry: Registry,
    /// The web image as it was pushed.
    pub web: Layout,
    directory: PathBuf,
    sites: Cell<usize>,
}

impl Ground {
    pub fn new(directory: &Path, binaries: Binaries) -> Result<Ground> {
        let registry = Registry::start(directory)?;
        let web = fixture::web(directory)?;
        registry.push(&web.path, "minke/web:latest")?;
        fs::write(directory.join("containers.conf"), CONTAINERS_CONF)?;
        Ok(Ground {
            binaries,
            registry,
            web,
            directory: directory.to_owned(),
            sites: Cell::new(0),
        })
    }

    /// The web image's full name.
    pub fn image(&self) -> String {
        self.registry.name("minke/web:latest")
    }

    /// The directory of the whole run.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A fresh store with engines to use it.
    pub fn site(&self) -> Result<Site<'_>> {
        self.sites.set(self.sites.get() + 1);
        let directory = self.directory.join(format!("s{}", self.sites.get()));
        for name in ["root", "runroot", "networks", "tmp"] {
            fs::create_dir_all(directory.join(name))?;
        }
        Ok(Site {
            ground: self,
            directory,
        })
    }

    /// A fresh store that already has the web image, pulled by minke.
    pub fn site_with_image(&self) -> Result<Site<'_>> {
        let site = self.site()?;
        site.pull()?;
        Ok(site)
    }
}

/// One store and the engines that use it. Containers and files go on drop.
pub struct Site<'a> {
    pub ground: &'a Ground,
    pub directory: PathBuf,
}

impl Site<'_> {
    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    pub fn image(&self) -> String {
        self.ground.image()
    }

    pub fn minke(&self) -> Program {
        scratch::store(&self.ground.binaries.minke, &self.directory)
    }

    /// Runs minke; it must succeed.
    pub fn ok(&self, arguments: &[&str]) -> Result<String> {
        self.minke().ok(arguments)
    }

    /// Pulls the web image with minke; gives its id.
    pub fn pull(&self) -> Result<String> {
        let id = self.ok(&["pull", "--quiet", "--tls-verify=false", &self.image()])?;
        ensure!(
            id.len() == 64,
            "`pull` printed {id:?}, which is no image id"
        );
        Ok(id)
    }

    /// Debian's podman with runc on this store.
    pub fn podman(&self) -> Result<Program> {
        let directory = &self.directory;
        let option =
            |name: &str, below: &str| format!("--{name}={}", directory.join(below).display());
        Ok(Program::new(program::need("podman")?)
            .globals([
                option("root", "root"),
                option("runroot", "runroot"),
                option("tmpdir", "tmp"),
                option("network-config-dir", "networks"),
            ])
            .globals(["--cgroup-manager=cgroupfs", "--storage-driver=overlay"])
            .env(
                "CONTAINERS_CONF",
                self.ground.directory.join("containers.conf"),
            ))
    }

    pub fn buildah(&self) -> Result<Program> {
        Ok(Program::new(program::need("buildah")?).globals([
            format!("--root={}", self.root().display()),
            format!("--runroot={}", self.directory.join("runroot").display()),
            "--storage-driver=overlay".to_owned(),
        ]))
    }

    /// How skopeo names an image of this store.
    pub fn skopeo_name(&self, image: &str) -> String {
        let runroot = self.directory.join("runroot");
        format!(
            "containers-storage:[overlay@{}+{}]{image}",
            self.root().display(),
            runroot.display()
        )
    }
}

/// minke and Debian's podman, each on a store of its own: to compare what they answer.
pub struct Pair<'a> {
    pub minke: Program,
    pub podman: Program,
    // The stores go when these do.
    _sites: [Site<'a>; 2],
}

impl<'a> Pair<'a> {
    pub fn new(ground: &'a Ground) -> Result<Pair<'a>> {
        let (ours, theirs) = (ground.site()?, ground.site()?);
        Ok(Pair {
            minke: ours.minke(),
            podman: theirs.podman()?,
            _sites: [ours, theirs],
        })
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        let _ = self.minke().call(["rm", "--all", "--force", "--time", "0"]);
        if let Ok(podman) = self.podman()
            && self.root().join("libpod").exists()
        {
            let _ = podman.call(["rm", "--all", "--force", "--time", "0"]);
        }
        // Who sweeps up an idle network finds it by what is below the run root.
        let _ = self.minke().call(["container", "cleanup", "--sweep"]);
        for mount in scratch::mounts_below(&self.directory).iter().rev() {
            let _ = Program::new("umount").call(["-l".as_ref(), mount.as_os_str()]);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
