//! `tag`: one more name for an image.

use std::str::FromStr;

use minke_image::UserName;

use crate::Engine;
use crate::error::Result;

impl Engine {
    /// Gives an image the name `new`, taking it from the image that has it. A short name goes
    /// below localhost.
    ///
    /// # Errors
    /// No such image; a name that does not parse.
    pub fn tag(&self, name: &str, new: &str) -> Result<()> {
        let image = self.find_image(name)?;
        let reference = match UserName::from_str(new)? {
            UserName::Qualified(reference) => reference,
            UserName::Short(short) => short.in_registry("localhost")?,
        };
        let names = [reference.with_default_tag().to_string()];
        self.store_mut()?
            .write_images()?
            .add_names(&image.id, &names)?;
        Ok(())
    }
}
