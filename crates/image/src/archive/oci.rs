//! `oci-archive:` files, to write: a layout made in a scratch directory, then packed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Mutex;

use super::output::{Output, append};
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::layout::LayoutDestination;
use crate::media_type::MediaType;
use crate::name::ImageName;
use crate::transport::{CopiedImage, ImageDestination, Layer, LayerForm};

/// One image on its way into an OCI archive, which is complete after
/// [`ImageDestination::commit`].
pub struct OciArchiveDestination {
    name: ImageName,
    layout: LayoutDestination,
    directory: tempfile::TempDir,
    output: Mutex<Option<Output>>,
}

impl OciArchiveDestination {
    /// Prepares an archive at `path` with an image called `image`, by way of a directory in
    /// `scratch`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn create(path: &Path, image: Option<&str>, scratch: &Path) -> Result<Self> {
        Self::over(Output::file(path)?, path, image, scratch)
    }

    /// Prepares an archive that goes to `out` when the image is complete.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn to_stream(
        out: Box<dyn Write + Send>,
        image: Option<&str>,
        scratch: &Path,
    ) -> Result<Self> {
        Self::over(Output::stream(out), Path::new("-"), image, scratch)
    }

    fn over(output: Output, path: &Path, image: Option<&str>, scratch: &Path) -> Result<Self> {
        let directory =
            tempfile::tempdir_in(scratch).map_err(Error::file("create a directory in", scratch))?;
        Ok(OciArchiveDestination {
            name: ImageName::OciArchive {
                path: path.to_owned(),
                name: image.map(str::to_owned),
            },
            layout: LayoutDestination::open(directory.path(), image)?,
            directory,
            output: Mutex::new(Some(output)),
        })
    }
}

impl ImageDestination for OciArchiveDestination {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn layer_form(&self) -> LayerForm {
        self.layout.layer_form()
    }

    fn accepts(&self, manifest: &MediaType) -> bool {
        self.layout.accepts(manifest)
    }

    fn find_layer(&self, layer: &Layer<'_>) -> Result<Option<Descriptor>> {
        self.layout.find_layer(layer)
    }

    fn put_layer(&self, layer: &Layer<'_>, stream: &mut dyn Read) -> Result<Descriptor> {
        self.layout.put_layer(layer, stream)
    }

    fn commit(&mut self, image: &CopiedImage<'_>) -> Result<()> {
        self.layout.commit(image)?;
        let output = self.output.get_mut();
        let output = output.unwrap_or_else(|poisoned| poisoned.into_inner());
        let output = output.take().ok_or_else(|| Error::Unsupported {
            what: "a second image in an oci-archive".to_owned(),
            hint: String::new(),
        })?;
        let mut archive = tar::Builder::new(output);
        pack(self.directory.path(), Path::new(""), &mut archive)
            .and_then(|()| archive.into_inner())
            .and_then(Output::publish)
            .map_err(Error::file("write", self.name.to_string()))
    }
}

/// Appends the files below `root`/`inside`, in order of name.
fn pack(root: &Path, inside: &Path, archive: &mut tar::Builder<Output>) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join(inside))? {
        names.push(inside.join(entry?.file_name()));
    }
    names.sort();
    for name in names {
        let path = root.join(&name);
        if path.is_dir() {
            pack(root, &name, archive)?;
            continue;
        }
        let file = File::open(&path)?;
        let size_bytes = file.metadata()?.len();
        append(archive, &name.to_string_lossy(), size_bytes, file)?;
    }
    Ok(())
}
