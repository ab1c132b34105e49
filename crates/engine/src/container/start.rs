//! `start`: from a record to a running process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use minke_runtime_spec::ContainerSpec;
use minke_storage::{LayerId, MountRequest};
use minke_sys::rooted::Root;
use rustix::fs::OFlags;

use super::accounts::{self, CurrentUser};
use super::attach::{AttachEnd, AttachRequest, Attached, PASSTHROUGH};
use super::dependents::named_by;
use super::host::Prepared;
use super::lock::Locked;
use super::record::Record;
use super::runtime::Runtime;
use super::stage::{Owner, outside};
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};
use crate::rootless::host_ids;

impl Engine {
    /// Starts a container; one that runs already is success. Gives its id.
    ///
    /// # Errors
    /// A port that is taken, a missing command, whatever the runtime refused. The container is
    /// as before then: nothing of the start is left.
    pub fn start(&self, name: &str) -> Result<String> {
        self.start_required(name)?;
        let mut locked = self.find_and_lock(name)?;
        self.start_locked(&mut locked, |_| Ok(()))?;
        Ok(locked.record.id)
    }

    /// Sets a container up without letting its process go; one that runs, or is set up, is
    /// refused. Gives its id.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn init(&self, name: &str) -> Result<String> {
        let mut locked = self.find_and_lock(name)?;
        let (status, _) = self.status(&locked.record);
        if status.is_alive() {
            return Err(Error::WrongState {
                text: format!(
                    "container {} has already been created in runtime",
                    locked.record.id
                ),
            });
        }
        self.make_ready(&mut locked)?;
        self.begin(&mut locked)?;
        let made = self.set_up(&mut locked).and_then(|_| locked.save(self));
        if let Err(error) = made {
            self.take_back(&mut locked, &error);
            return Err(error);
        }
        Ok(locked.record.id)
    }

    /// Attaches to a container and then starts it, so that nothing it writes is lost; stays
    /// until it ends or the client detaches.
    ///
    /// # Errors
    /// As [`Engine::start`] and [`Engine::attach`].
    pub fn start_attached(&self, name: &str, request: AttachRequest<'_>) -> Result<AttachEnd> {
        self.start_required(name)?;
        let mut locked = self.find_and_lock(name)?;
        if locked.record.config.log_driver == PASSTHROUGH {
            self.start_locked(&mut locked, |_| Ok(()))?;
            let record = locked.record.clone();
            drop(locked);
            return self.stay_beside(&record, request);
        }
        let bundle = self.bundle(&locked.record)?;
        let mut attached: Option<Attached> = None;
        self.start_locked(&mut locked, |_| {
            attached = Some(Attached::connect(&bundle)?);
            Ok(())
        })?;
        let record = locked.record.clone();
        // From here on others may stop and remove it.
        drop(locked);
        match attached {
            Some(attached) => self.stay_attached(&record, attached, request),
            // It ran already.
            None => self.attach(&record.id, request),
        }
    }

    /// Starts what the container requires or shares namespaces with, and before it what that
    /// requires. No two are locked at once.
    fn start_required(&self, name: &str) -> Result<()> {
        let record = self.find(name)?;
        let mut seen = BTreeSet::from([record.id.clone()]);
        let mut order = Vec::new();
        self.gather_required(&record, &mut seen, &mut order)?;
        for id in order {
            let mut locked = self.lock(&id)?;
            self.start_locked(&mut locked, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Appends to `order` what is not `seen` yet: a ring is gone round once.
    fn gather_required(
        &self,
        record: &Record,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<String>,
    ) -> Result<()> {
        for name in named_by(&record.config.spec) {
            let required = self.find(&name)?;
            if seen.insert(required.id.clone()) {
                self.gather_required(&required, seen, order)?;
                order.push(required.id);
            }
        }
        Ok(())
    }

    /// Starts a container that is locked. `before` runs when it is set up and not started.
    pub(crate) fn start_locked(
        &self,
        locked: &mut Locked,
        before: impl FnOnce(&Locked) -> Result<()>,
    ) -> Result<()> {
        let (status, _) = self.status(&locked.record);
        match status {
            ContainerState::Created | ContainerState::Exited | ContainerState::Restarting => {
                self.make_ready(locked)?;
                self.launch(locked, before)
            }
            ContainerState::Initialized => {
                let runtime = self.runtime(&locked.record);
                self.let_go(locked, runtime, before)
            }
            ContainerState::Paused => Err(Error::WrongState {
                text: format!(
                    "container {} is paused: unpause it instead",
                    locked.record.id
                ),
            }),
            _ => self.go_on(locked),
        }
    }

    /// Takes away what a start or an end that was killed has left, and an attempt that is waited
    /// for: somebody wants it to run now.
    fn make_ready(&self, locked: &mut Locked) -> Result<()> {
        self.record_end(locked)?;
        let state = &mut locked.record.state;
        state.restarts = 0;
        state.backoff_ms = 0;
        state.stopped_by_user = false;
        state.notify_socket = self.notify_socket(&locked.record.config.spec);
        Ok(())
    }

    /// From a container that does not run to one that does.
    pub(crate) fn launch(
        &self,
        locked: &mut Locked,
        before: impl FnOnce(&Locked) -> Result<()>,
    ) -> Result<()> {
        self.begin(locked)?;
        let runtime = self.set_up(locked);
        self.let_go(locked, runtime, before)
    }

    /// Lets the process of a container that is set up go.
    fn let_go(
        &self,
        locked: &mut Locked,
        runtime: Result<Runtime>,
        before: impl FnOnce(&Locked) -> Result<()>,
    ) -> Result<()> {
        let started = runtime.and_then(|runtime| {
            // Before it is true: killed after this, we leave one that the next start lets go.
            let state = &mut locked.record.state;
            state.started = Some(Timestamp::now());
            state.exit_code = None;
            state.finished = None;
            locked.save(self)?;
            before(locked)?;
            runtime.start(&locked.record.id)
        });
        if let Err(error) = started {
            self.take_back(locked, &error);
            return Err(error);
        }
        self.tell_started(&locked.record);
        self.hurry_health(&locked.record);
        Ok(())
    }

    /// Notes that a start begins.
    fn begin(&self, locked: &mut Locked) -> Result<()> {
        super::cleanup::remove_file(&self.exit_file_path(&locked.record.id))?;
        let state = &mut locked.record.state;
        state.boot_id = self.boot_id()?.to_owned();
        state.dirty = true;
        if state.again.is_none() {
            // Else it shows how it ended until it runs again.
            state.exit_code = None;
            state.finished = None;
        }
        state.started = None;
        state.stopper = None;
        state.keeper = None;
        state.oom_killed = false;
        state.restart_wanted = false;
        state.halted = false;
        state.error.clear();
        self.begin_health(&mut locked.record)?;
        locked.save(self)
    }

    /// One that runs. Where a start was killed with all done but the last step, this does it.
    pub(crate) fn go_on(&self, locked: &Locked) -> Result<()> {
        let runtime = self.runtime(&locked.record)?;
        if runtime.waits_for_start(&locked.record.id) {
            runtime.start(&locked.record.id)?;
        }
        Ok(())
    }

    /// A start that failed: undone, and noted for `inspect`.
    fn take_back(&self, locked: &mut Locked, error: &Error) {
        if let Err(second) = self.undo_start(locked) {
            tracing::warn!(error = %second.chain(), "a failed start is not undone whole");
        }
        locked.record.state.started = None;
        locked.record.state.error = error.chain();
        if let Err(second) = locked.save(self) {
            tracing::warn!(error = %second.chain(), "a failed start is not recorded");
        }
    }

    /// Everything up to a created container: mount, network, files, configuration, monitor.
    fn set_up(&self, locked: &mut Locked) -> Result<Runtime> {
        let runtime = self.runtime(&locked.record)?;
        let bundle = self.bundle(&locked.record)?;
        crate::engine::make_private_dir(&bundle)?;
        // Of a start whose record is lost.
        self.unstage_mounts(&locked.record, &bundle)?;
        let mut prepared = Prepared {
            rootfs: self.mount(locked)?,
            joined: self.joined(&locked.record.config.spec, true)?,
            ..Prepared::default()
        };
        self.set_up_network(locked)?;
        prepared.netns.clone_from(&locked.record.state.netns);
        let addresses = locked.record.state.addresses.clone();
        let root = Root::open_dir(&prepared.rootfs)
            .map_err(Error::path("open rootfs", &prepared.rootfs))?;
        self.write_files(&locked.record, &addresses, &bundle, &root, &mut prepared)?;
        self.write_config(locked, &bundle, &root, &prepared)?;
        let monitored = self.start_monitor(&locked.record, &runtime, &bundle)?;
        locked.record.state.init = Some(monitored.init);
        locked.record.state.monitor = monitored.monitor;
        Ok(runtime)
    }

    fn mount(&self, locked: &Locked) -> Result<PathBuf> {
        let record = &locked.record;
        if let Some(rootfs) = &record.config.spec.rootfs {
            return self.mount_directory(record, rootfs);
        }
        let layer: LayerId = record.config.layer.parse()?;
        let request = MountRequest {
            volatile: record.config.spec.remove,
            ..self.mount_request(record)
        };
        Ok(self.store()?.mount(&layer, &request)?)
    }

    fn write_config(
        &self,
        locked: &mut Locked,
        bundle: &Path,
        root: &Root,
        prepared: &Prepared,
    ) -> Result<()> {
        let mut host = self.host(&locked.record, prepared, Some(root))?;
        let config = &locked.record.config;
        let asked = config.spec.user.as_deref().unwrap_or(&config.image.user);
        let home = config
            .spec
            .workdir
            .as_deref()
            .unwrap_or(&config.image.working_dir);
        let mut home = if home.is_empty() { "/" } else { home };
        let current = CurrentUser::of(&config.spec, host_ids(&self.options.surroundings));
        if let Some(current) = &current
            && current.is_missing(root)?
        {
            home = current.home(&config.spec, home);
            home.clone_into(&mut host.user.home);
        }
        (host.passwd, host.group) = accounts::write(
            &config.spec,
            &host.user,
            current.as_ref(),
            asked,
            home,
            root,
            bundle,
        )?;
        let root_outside = Owner {
            uid: outside(0, &host.uid_mappings),
            gid: outside(0, &host.gid_mappings),
        };
        host.shm = self.stage_shm(&locked.record, root_outside, bundle)?;
        let owner = Owner {
            uid: outside(host.user.uid, &host.uid_mappings),
            gid: outside(host.user.gid, &host.gid_mappings),
        };
        let mut mounts = self.stage_mounts(&locked.record, root, owner, bundle)?;
        mounts.extend(self.stage_subscriptions(&mounts, root_outside, bundle)?);
        let mut spec = ContainerSpec {
            mounts,
            ..config.spec.clone()
        };
        self.add_notify(&locked.record, bundle, &mut spec)?;
        let mut generated = minke_runtime_spec::generate(&spec, &config.image, &host)?;
        self.add_cdi_devices(&mut generated.spec, &config.spec.cdi_devices)?;
        self.add_hooks(&mut generated.spec, !config.spec.mounts.is_empty())?;
        self.check_workdir(locked, root, &generated.spec)?;
        let path = bundle.join("config.json");
        fs::write(&path, minke_runtime_spec::to_json(&generated.spec))
            .map_err(Error::path("write", path))?;
        let state = &mut locked.record.state;
        state.clamps = generated.clamps;
        state.warnings = generated.warnings;
        Ok(())
    }

    /// The image's own working directory is made where it is missing; one that was asked for
    /// must be there.
    fn check_workdir(
        &self,
        locked: &Locked,
        root: &Root,
        config: &oci_spec::runtime::Spec,
    ) -> Result<()> {
        let Some(process) = config.process() else {
            return Ok(());
        };
        let dir = process.cwd();
        let on_mount = config
            .mounts()
            .iter()
            .flatten()
            .any(|mount| dir.starts_with(mount.destination()));
        if on_mount || root.open(dir, OFlags::PATH | OFlags::DIRECTORY).is_ok() {
            return Ok(());
        }
        if locked.record.config.spec.workdir.is_some() {
            return Err(Error::WorkdirMissing {
                dir: dir.display().to_string(),
                id: locked.record.id.clone(),
            });
        }
        let mode = rustix::fs::Mode::from_raw_mode(0o755);
        let made = root
            .mkdir_all(dir, mode)
            .map_err(Error::path("create the working directory", dir))?;
        let user = process.user();
        rustix::fs::fchown(
            &made,
            Some(rustix::fs::Uid::from_raw(user.uid())),
            Some(rustix::fs::Gid::from_raw(user.gid())),
        )
        .map_err(|errno| Error::path("set the owner of", dir)(errno.into()))
    }
}
