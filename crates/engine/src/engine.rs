//! The engine: open places, nothing running.

use std::cell::OnceCell;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use minke_storage::Store;
use minke_sys::cgroup::Cgroups;

use crate::container_defaults::ContainerDefaults;
use crate::containers_conf::ContainersConf;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::options::{EngineOptions, Places};

/// Containers and images below one graph root and one run root.
///
/// Opening costs a few system calls; what an operation does not need (the store's indexes,
/// the database, configuration files) is opened when it is first used.
#[derive(Debug)]
pub struct Engine {
    pub(crate) options: EngineOptions,
    pub(crate) places: Places,
    store: OnceCell<Store>,
    database: OnceCell<Database>,
    conf: OnceCell<ContainersConf>,
    boot_id: OnceCell<String>,
    cgroups: OnceCell<Cgroups>,
}

impl Engine {
    /// Decides where everything is.
    ///
    /// # Errors
    /// A configuration file that does not parse; an option that is not supported.
    pub fn open(options: EngineOptions) -> Result<Self> {
        let places = options.places()?;
        Ok(Self {
            options,
            places,
            store: OnceCell::new(),
            database: OnceCell::new(),
            conf: OnceCell::new(),
            boot_id: OnceCell::new(),
            cgroups: OnceCell::new(),
        })
    }

    /// The store, opened at its first use.
    pub(crate) fn store(&self) -> Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let opened = Store::open(self.places.store.clone())?;
        Ok(self.store.get_or_init(|| opened))
    }

    /// A handle on the store for changing it.
    pub(crate) fn store_mut(&self) -> Result<Store> {
        Ok(self.store()?.clone())
    }

    pub(crate) fn database(&self) -> Result<&Database> {
        if let Some(database) = self.database.get() {
            return Ok(database);
        }
        let dir = &self.places.store.graph_root;
        make_private_dir(dir)?;
        let opened = Database::open(&dir.join("minke.db"))?;
        Ok(self.database.get_or_init(|| opened))
    }

    pub(crate) fn conf(&self) -> Result<&ContainersConf> {
        if let Some(conf) = self.conf.get() {
            return Ok(conf);
        }
        let loaded = ContainersConf::load(&self.options.surroundings)?;
        Ok(self.conf.get_or_init(|| loaded))
    }

    /// The keys that leave an attached container by containers.conf, as typed there.
    ///
    /// # Errors
    /// A configuration file that does not parse.
    pub fn detach_keys(&self) -> Result<Option<String>> {
        Ok(self.conf()?.detach_keys.clone())
    }

    /// What containers.conf says of containers where nothing else is asked.
    ///
    /// # Errors
    /// A configuration file that does not parse.
    pub fn container_defaults(&self) -> Result<&ContainerDefaults> {
        Ok(&self.conf()?.defaults)
    }

    /// This boot, as records name it.
    pub(crate) fn boot_id(&self) -> Result<&str> {
        if let Some(id) = self.boot_id.get() {
            return Ok(id);
        }
        let read = minke_sys::proc::boot_id().map_err(Error::system("read the boot id"))?;
        Ok(self.boot_id.get_or_init(|| read))
    }

    /// The control group hierarchies of this host.
    pub(crate) fn cgroups(&self) -> Result<&Cgroups> {
        if let Some(cgroups) = self.cgroups.get() {
            return Ok(cgroups);
        }
        let found = Cgroups::detect().map_err(Error::system("find the control groups"))?;
        Ok(self.cgroups.get_or_init(|| found))
    }

    /// A directory for temporary files of any size: below the graph root, not in memory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temp_dir(&self) -> Result<PathBuf> {
        let dir = self.places.store.graph_root.join("tmp");
        make_private_dir(&dir)?;
        Ok(dir)
    }

    /// A directory below the runtime directory, made when it is missing.
    pub(crate) fn runtime_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.places.runtime.join(name);
        make_private_dir(&dir)?;
        Ok(dir)
    }

    /// `(id, name)` of every container, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn container_names(&self) -> Result<Vec<(String, String)>> {
        self.database()?.names()
    }
}

/// Makes a directory that only we may enter.
pub(crate) fn make_private_dir(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::path("create", dir))
}
