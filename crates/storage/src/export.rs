use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use minke_sys::rooted::Root;
use rustix::fs::OFlags;

use crate::tar::split::{CRC, Piece, SplitReader};
use crate::{Error, Layer, LayerId, Record, Result, Store, mapped, pack};

/// How a layer is given back as a tar stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerExport {
    /// The very bytes it was made from.
    Original,
    /// A stream of the same effect, since none was recorded.
    Equivalent,
}

impl Store {
    /// Writes the changes of a layer as an uncompressed tar stream.
    ///
    /// An image's layer gives the bytes it was unpacked from, each file checked against the
    /// checksum recorded then; a container's gives what it changed so far, with whiteouts, in
    /// the order of names, and with the owners that its user namespace sees.
    ///
    /// # Errors
    /// [`Error::LayerUnknown`]; [`Error::LayerModified`] if a file is not as it was unpacked,
    /// by when part of the stream is written; [`Error::Io`] also if `output` fails.
    pub fn export_layer(&self, id: &LayerId, output: &mut dyn Write) -> Result<LayerExport> {
        let layers = self.layers()?;
        let layer = layers.get(id).ok_or_else(|| Layer::unknown(id.as_str()))?;
        let owners = mapped::from_record(&layer.uid_map, &layer.gid_map);
        let changes = self.inner().driver().changes(id);
        let root = Root::open_dir(&changes).map_err(Error::io("open", &changes))?;
        let split = self.inner().split_path(id);
        match File::open(&split) {
            Ok(file) => {
                Reassembly {
                    id,
                    root,
                    split,
                    buffer: vec![0; 256 * 1024],
                }
                .run(file, output)?;
                Ok(LayerExport::Original)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let in_user_namespace = self.options().in_user_namespace;
                pack::write_changes(&root, in_user_namespace, owners, output)
                    .map_err(Error::io("export", changes))?;
                Ok(LayerExport::Equivalent)
            }
            Err(error) => Err(Error::io("open", split)(error)),
        }
    }
}

struct Reassembly<'i> {
    id: &'i LayerId,
    root: Root,
    split: PathBuf,
    buffer: Vec<u8>,
}

impl Reassembly<'_> {
    fn run(&mut self, split: File, output: &mut dyn Write) -> Result<()> {
        let mut pieces = SplitReader::new(split);
        while let Some(piece) = pieces.next().map_err(Error::io("read", &self.split))? {
            match piece {
                Piece::Segment(bytes) => {
                    output
                        .write_all(&bytes)
                        .map_err(Error::io("write", "the tar stream"))?;
                }
                Piece::File { size: 0, .. } => {}
                Piece::File { name, size, crc } => self.file(&name, size, crc, output)?,
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &[u8], size: u64, crc: u64, output: &mut dyn Write) -> Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(name));
        let changed = || Error::LayerModified {
            id: self.id.clone(),
            file: path.clone(),
        };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let file = self
            .root
            .open(&path, flags)
            .map_err(Error::io("open", &path))?;
        let mut file = File::from(file);
        let is_plain = file
            .metadata()
            .is_ok_and(|stat| stat.is_file() && stat.len() == size);
        if !is_plain {
            return Err(changed());
        }
        let mut digest = CRC.digest();
        let mut left = size;
        while left > 0 {
            let want = self
                .buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = match file.read(&mut self.buffer[..want]) {
                Ok(0) => return Err(changed()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", &path)(error)),
            };
            digest.update(&self.buffer[..length]);
            output
                .write_all(&self.buffer[..length])
                .map_err(Error::io("write", "the tar stream"))?;
            left -= length as u64;
        }
        if digest.finalize() != crc {
            return Err(changed());
        }
        Ok(())
    }
}
