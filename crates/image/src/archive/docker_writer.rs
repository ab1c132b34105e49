//! `docker-archive:` files, to write: one or several images that share their layers.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use super::docker::{Item, MANIFEST_FILE};
use super::output::{Output, append};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::media_type::Compression;
use crate::name::{ArchiveSelector, ImageName};
use crate::reference::ImageReference;
use crate::transport::{CopiedImage, ImageDestination, Layer, LayerForm};

/// Writes a docker archive, image after image.
///
/// A file appears at its path when [`DockerArchiveWriter::finish`] is called, not before.
pub struct DockerArchiveWriter {
    path: PathBuf,
    scratch: PathBuf,
    state: Mutex<State>,
}

struct State {
    tar: tar::Builder<Output>,
    written: BTreeSet<String>,
    items: Vec<Item>,
}

impl DockerArchiveWriter {
    /// Begins an archive that will be at `path`. Layers whose size is not known beforehand
    /// pass through the directory `scratch`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn create(path: &Path, scratch: &Path) -> Result<Self> {
        Ok(Self::over(Output::file(path)?, path, scratch))
    }

    /// Begins an archive that goes to `out` as it is made.
    pub fn to_stream(out: Box<dyn Write + Send>, scratch: &Path) -> Self {
        Self::over(Output::stream(out), Path::new("-"), scratch)
    }

    fn over(output: Output, path: &Path, scratch: &Path) -> Self {
        DockerArchiveWriter {
            path: path.to_owned(),
            scratch: scratch.to_owned(),
            state: Mutex::new(State {
                tar: tar::Builder::new(output),
                written: BTreeSet::new(),
                items: Vec::new(),
            }),
        }
    }

    /// A place for one more image, called `names`.
    pub fn image(&self, names: Vec<ImageReference>) -> DockerArchiveDestination<'_> {
        let selector = names.first().cloned().map(ArchiveSelector::Reference);
        DockerArchiveDestination {
            name: ImageName::DockerArchive {
                path: self.path.clone(),
                selector,
            },
            names,
            writer: self,
        }
    }

    /// Writes the table of contents and completes the archive.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn finish(self) -> Result<()> {
        let state = self.state.into_inner();
        let mut state = state.unwrap_or_else(|poisoned| poisoned.into_inner());
        let table = serde_json::to_vec(&state.items).expect("names serialise");
        let done = append(
            &mut state.tar,
            MANIFEST_FILE,
            table.len() as u64,
            &table[..],
        )
        .and_then(|()| state.tar.into_inner())
        .and_then(Output::publish);
        done.map_err(Error::file("write", self.path))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Appends a member once; `stream` must hold `size_bytes`.
    fn put(&self, member: &str, size_bytes: u64, stream: &mut dyn Read) -> Result<()> {
        let mut state = self.state();
        if state.written.contains(member) {
            return Ok(());
        }
        let done = append(&mut state.tar, member, size_bytes, stream);
        done.map_err(Error::file("write", &self.path))?;
        state.written.insert(member.to_owned());
        Ok(())
    }

    fn put_unsized(&self, member: &str, stream: &mut dyn Read) -> Result<()> {
        let scratch = || Error::file("write to", &self.scratch);
        let mut spool = tempfile::tempfile_in(&self.scratch).map_err(scratch())?;
        let size_bytes = io::copy(stream, &mut spool).map_err(scratch())?;
        spool.seek(SeekFrom::Start(0)).map_err(scratch())?;
        self.put(member, size_bytes, &mut spool)
    }
}

/// One image on its way into a docker archive.
pub struct DockerArchiveDestination<'a> {
    name: ImageName,
    names: Vec<ImageReference>,
    writer: &'a DockerArchiveWriter,
}

fn layer_member(diff_id: &Digest) -> String {
    format!("{}.tar", diff_id.hex())
}

impl ImageDestination for DockerArchiveDestination<'_> {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn layer_form(&self) -> LayerForm {
        LayerForm::Tar
    }

    fn find_layer(&self, layer: &Layer<'_>) -> Result<Option<Descriptor>> {
        let there = layer
            .diff_id()
            .is_some_and(|id| self.writer.state().written.contains(&layer_member(id)));
        Ok(there.then(|| layer.descriptor.clone()))
    }

    fn put_layer(&self, layer: &Layer<'_>, stream: &mut dyn Read) -> Result<Descriptor> {
        let diff_id = layer.diff_id().ok_or_else(|| Error::Unsupported {
            what: "a layer without diff ID in docker-archive".to_owned(),
            hint: String::new(),
        })?;
        let member = layer_member(diff_id);
        let descriptor = layer.descriptor;
        let plain = descriptor.digest == *diff_id
            && descriptor.media_type.layer_compression() == Some(Compression::None);
        match plain {
            true => self.writer.put(&member, descriptor.size_bytes, stream)?,
            false => self.writer.put_unsized(&member, stream)?,
        }
        Ok(descriptor.clone())
    }

    fn commit(&mut self, image: &CopiedImage<'_>) -> Result<()> {
        let config = format!("{}.json", Digest::of(image.config).hex());
        let size_bytes = image.config.len() as u64;
        self.writer
            .put(&config, size_bytes, &mut &image.config[..])?;
        self.writer.state().items.push(Item {
            config,
            repo_tags: self.names.iter().map(ToString::to_string).collect(),
            layers: image.diff_ids.iter().map(layer_member).collect(),
        });
        Ok(())
    }
}
