//! `export`: a container's files as a tar stream.

use std::io::Write;

use minke_storage::Packer;

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Writes the container's root as an uncompressed tar stream, whether it runs or not. What is
    /// mounted in it is left out; it may change meanwhile and is neither paused nor locked.
    ///
    /// # Errors
    /// No such container; a file that cannot be read; `output`'s own.
    pub fn export(&self, name: &str, output: &mut dyn Write) -> Result<()> {
        let record = self.find(name)?;
        let root = self.view_root(&record)?;
        let map = record.id_map();
        let mut packer = Packer::new(output).whole_seconds().inside(map.as_ref());
        packer
            .below(&root, "".as_ref())
            .and_then(|()| packer.finish())
            .map_err(Error::system("export the container"))
    }
}
