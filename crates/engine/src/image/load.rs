//! `load`: images from archives and layout directories.

use std::path::Path;

use minke_image::archive::open_all;
use minke_image::{CopyOptions, Progress};

use super::configuration;
use crate::Engine;
use crate::error::Result;

impl Engine {
    /// Loads every image at `input` and gives their names, or ids where they have none.
    ///
    /// # Errors
    /// `payload does not match any of the supported image formats`; a damaged image. Images
    /// before that one stay loaded.
    pub fn load(&self, input: &Path, progress: &dyn Progress) -> Result<Vec<String>> {
        let policy = configuration::policy(&self.options.surroundings, None)?;
        let options = CopyOptions::new(policy);
        let scratch = self.temp_dir()?;
        let mut loaded = Vec::new();
        for image in open_all(input, &scratch)? {
            let found = self.store_image(&*image.source, &image.names, &options, progress)?;
            if image.names.is_empty() {
                loaded.push(format!("sha256:{}", found.id));
            }
            loaded.extend(image.names.iter().map(ToString::to_string));
        }
        Ok(loaded)
    }
}
