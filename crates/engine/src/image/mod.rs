//! Images: one operation a file.

pub(crate) mod change; // `commit --change`
mod configuration; // registries.conf, policy.json, auth.json
mod hello; // the image in the binary
mod inspect; // everything about one image
pub(crate) mod list; // images in short
mod load; // from archives
pub(crate) mod lookup; // from what was typed to an image
pub(crate) mod pull; // from registries
pub(crate) mod remove; // names, then the image
pub(crate) mod runlabel; // the command in a label
pub(crate) mod save; // to archives
mod tag; // one more name
