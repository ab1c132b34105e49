//! `save`: images to archives and directories.

use std::path::PathBuf;

use minke_image::archive::{DockerArchiveWriter, OciArchiveDestination};
use minke_image::progress::Silent;
use minke_image::storage::StorageSource;
use minke_image::{CopyOptions, ImageReference, LayoutDestination, Policy, copy};

use super::lookup::Found;
use crate::Engine;
use crate::error::{Error, Result};

/// Where and how to save.
#[derive(Debug, Clone)]
pub struct SaveRequest {
    /// The format.
    pub format: SaveFormat,
    /// The file or directory; it must not exist.
    pub output: PathBuf,
}

/// Formats of saved images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveFormat {
    /// What `docker save` writes; holds several images.
    DockerArchive,
    /// An OCI layout as a tar file.
    OciArchive,
    /// An OCI layout as a directory.
    OciDir,
    /// The `dir:` transport. Not there yet.
    DockerDir,
}

impl Engine {
    /// Saves images to `request.output`.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`] before anything is written; several images in a format that
    /// holds one.
    pub fn save(&self, names: &[String], request: &SaveRequest) -> Result<()> {
        let images = names
            .iter()
            .map(|name| self.find_image(name))
            .collect::<Result<Vec<_>>>()?;
        let result = self.write(&images, request);
        if result.is_err() && request.format != SaveFormat::OciDir {
            // Half an archive is none.
            let _ = std::fs::remove_file(&request.output);
        }
        result
    }

    fn write(&self, images: &[Found], request: &SaveRequest) -> Result<()> {
        let scratch = self.temp_dir()?;
        // These images were admitted when they came.
        let options = CopyOptions::new(Policy::accept_anything());
        let output = &request.output;
        if request.format == SaveFormat::DockerArchive {
            let writer = DockerArchiveWriter::create(output, &scratch)?;
            for image in images {
                let source = StorageSource::open(self.store_mut()?, image.id.as_str())?;
                let names = reference(image)?.into_iter().collect();
                copy(&source, &mut writer.image(names), &options, &Silent)?;
            }
            return Ok(writer.finish()?);
        }
        let [image] = images else {
            return Err(Error::invalid(
                "only the docker-archive format holds several images",
            ));
        };
        let source = StorageSource::open(self.store_mut()?, image.id.as_str())?;
        let name = reference(image)?.map(|reference| reference.to_string());
        let name = name.as_deref();
        match request.format {
            SaveFormat::OciArchive => {
                let mut archive = OciArchiveDestination::create(output, name, &scratch)?;
                copy(&source, &mut archive, &options, &Silent)?;
            }
            SaveFormat::OciDir => {
                let mut layout = LayoutDestination::open(output, name)?;
                copy(&source, &mut layout, &options, &Silent)?;
            }
            SaveFormat::DockerArchive | SaveFormat::DockerDir => {
                return Err(Error::Unsupported {
                    what: "the format docker-dir".into(),
                });
            }
        }
        Ok(())
    }
}

/// The name to save an image under: the one asked for, not every one it has.
fn reference(image: &Found) -> Result<Option<ImageReference>> {
    Ok(image.name.as_deref().map(str::parse).transpose()?)
}
