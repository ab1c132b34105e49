//! Image archives: `docker-archive:` and `oci-archive:`.

mod docker;
mod docker_writer;
mod members;
mod oci;
mod output;

use std::path::Path;
use std::sync::Arc;

pub use docker::{DockerArchive, DockerArchiveSource};
pub use docker_writer::{DockerArchiveDestination, DockerArchiveWriter};
pub(crate) use members::Members;
pub use oci::OciArchiveDestination;

use crate::error::{Error, Result};
use crate::layout::LayoutSource;
use crate::reference::ImageReference;
use crate::transport::ImageSource;

/// An image found in an archive or directory.
pub struct FoundImage {
    /// What it is called there; may be empty.
    pub names: Vec<ImageReference>,
    /// The image.
    pub source: Box<dyn ImageSource>,
}

/// Opens every image at `path`, whichever format it is in: an OCI layout directory, an OCI
/// archive or a docker archive. Compressed archives are expanded in the directory `scratch`.
///
/// # Errors
/// [`Error::NotAnImageArchive`] says for each format why it is not one.
pub fn open_all(path: &Path, scratch: &Path) -> Result<Vec<FoundImage>> {
    if path.is_dir() {
        return as_layout(LayoutSource::open_all(path)?);
    }
    let members = Arc::new(match Members::open(path, scratch) {
        Ok(members) => members,
        Err(error @ Error::File { .. }) => return Err(error),
        Err(error) => return Err(no_match(&[("archive", &error)])),
    });
    let oci = match LayoutSource::open_all_in(&members) {
        Ok(sources) => return as_layout(sources),
        Err(error) => error,
    };
    match DockerArchive::of(members) {
        Ok(archive) => (0..archive.len())
            .map(|index| {
                Ok(FoundImage {
                    names: archive.names(index),
                    source: Box::new(archive.source(index)?),
                })
            })
            .collect(),
        Err(docker) => Err(no_match(&[
            ("oci-archive", &oci),
            ("docker-archive", &docker),
        ])),
    }
}

fn as_layout(sources: Vec<LayoutSource>) -> Result<Vec<FoundImage>> {
    let found = sources.into_iter().map(|source| FoundImage {
        names: source.reference().into_iter().collect(),
        source: Box::new(source),
    });
    Ok(found.collect())
}

fn no_match(problems: &[(&str, &Error)]) -> Error {
    let line = |(format, error): &(&str, &Error)| format!("\n * {format}: {error}");
    Error::NotAnImageArchive {
        problems: problems.iter().map(line).collect(),
    }
}
