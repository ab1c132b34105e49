use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use minke_sys::rooted::Root;

use crate::driver::Driver;
use crate::tempdir::TempDir;
use crate::unpack::{self, UnpackOptions};
use crate::{Digest, Error, LayerId, Result};

/// The recording within its own temporary directory: the driver's may be another mount.
const SPLIT: &str = "tar-split.gz";

/// What a tar stream turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffSummary {
    /// The digest of the whole uncompressed stream.
    pub diff_id: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The user ids in it, in order.
    pub uids: Vec<u32>,
    /// The group ids in it, in order.
    pub gids: Vec<u32>,
}

/// A layer being unpacked, with no lock held and nobody knowing of it yet.
///
/// Dropped before it is committed, it leaves nothing behind; killed with its process, it is
/// removed by the next who opens the store.
#[derive(Debug)]
pub struct LayerStage {
    temporary: TempDir,
    recordings: PathBuf,
    recording: Option<TempDir>,
    changes: PathBuf,
    options: UnpackOptions,
    durable: bool,
    summary: Option<DiffSummary>,
}

impl LayerStage {
    pub(crate) fn new(
        driver: &dyn Driver,
        recordings: PathBuf,
        options: UnpackOptions,
        durable: bool,
    ) -> Result<Self> {
        let temporary = TempDir::new(driver.temporary_root())?;
        let changes = driver.prepare(temporary.path())?;
        let (recording, summary) = (None, None);
        Ok(Self {
            temporary,
            recordings,
            recording,
            changes,
            options,
            durable,
            summary,
        })
    }

    /// Unpacks `diff`, an uncompressed tar stream that is read once, to its end.
    ///
    /// Whiteouts follow image-spec `layer.md` § Whiteouts and count for the layers below only.
    /// Of the extended attributes, `security.capability` and `user.*` are kept, save overlay's
    /// own. When this returns, the data is on disk, if the store is a durable one.
    ///
    /// # Errors
    /// [`Error::Archive`] if the stream is not a tar archive to be trusted, [`Error::Unpack`]
    /// where the system refuses an entry, [`Error::Stream`] if `diff` fails. After an error
    /// the stage is of no use. [`Error::Unsupported`] if the stage has had a stream before.
    pub fn apply(&mut self, diff: impl Read) -> Result<DiffSummary> {
        if self.summary.is_some() {
            return Err(Error::Unsupported {
                what: "a second stream for a layer".to_owned(),
            });
        }
        let root = Root::open_dir(&self.changes).map_err(Error::io("open", &self.changes))?;
        let recording = TempDir::new(&self.recordings)?;
        let path = recording.path().join(SPLIT);
        let split = File::create_new(&path).map_err(Error::io("create", &path))?;
        let unpacked = unpack::unpack(diff, &root, split, &self.options)?;
        self.recording = unpacked.is_reproducible.then_some(recording);
        if self.durable {
            rustix::fs::syncfs(&root).map_err(Error::io("sync", &self.changes))?;
        }
        let in_order = |ids: BTreeSet<u32>| ids.into_iter().collect();
        let summary = DiffSummary {
            diff_id: unpacked.diff_id,
            size: unpacked.size,
            uids: in_order(unpacked.uids),
            gids: in_order(unpacked.gids),
        };
        Ok(self.summary.insert(summary).clone())
    }

    /// Where its files go, for one that is filled otherwise than by [`LayerStage::apply`].
    pub(crate) fn directory(&self) -> &Path {
        &self.changes
    }

    /// Makes the files survive a loss of power, if the store is a durable one.
    pub(crate) fn sync(&self) -> Result<()> {
        if !self.durable {
            return Ok(());
        }
        let changes = File::open(&self.changes).map_err(Error::io("open", &self.changes))?;
        rustix::fs::syncfs(&changes).map_err(Error::io("sync", &self.changes))
    }

    /// What was applied, if anything was.
    pub fn summary(&self) -> Option<&DiffSummary> {
        self.summary.as_ref()
    }

    /// Puts the files in their places, the recording at `split`. The layers lock must be held.
    pub(crate) fn install(
        &mut self,
        driver: &dyn Driver,
        id: &LayerId,
        parent: Option<&LayerId>,
        split: &Path,
    ) -> Result<()> {
        driver.install(&mut self.temporary, id, parent)?;
        if let Some(recording) = &self.recording {
            let recorded = recording.path().join(SPLIT);
            std::fs::rename(recorded, split).map_err(Error::io("move a recording to", split))?;
        }
        Ok(())
    }
}
