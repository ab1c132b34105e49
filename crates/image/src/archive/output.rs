//! Where an archive is written: a file that appears when complete, or a stream.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// An archive being written.
pub(super) struct Output {
    out: BufWriter<Box<dyn Write + Send>>,
    target: Option<Target>,
}

/// A file that is removed unless it is published.
struct Target {
    partial: PathBuf,
    path: PathBuf,
    published: bool,
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

impl Output {
    /// Writes to a file beside `path`.
    pub(super) fn file(path: &Path) -> Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        let partial = PathBuf::from(partial);
        let file = File::create_new(&partial).map_err(Error::file("create", &partial))?;
        let mut output = Self::stream(Box::new(file));
        output.target = Some(Target {
            partial,
            path: path.to_owned(),
            published: false,
        });
        Ok(output)
    }

    /// Writes to `out`.
    pub(super) fn stream(out: Box<dyn Write + Send>) -> Self {
        Output {
            out: BufWriter::with_capacity(256 << 10, out),
            target: None,
        }
    }

    /// Flushes, and gives a file its name.
    pub(super) fn publish(mut self) -> io::Result<()> {
        self.out.flush()?;
        if let Some(target) = &mut self.target {
            fs::rename(&target.partial, &target.path)?;
            target.published = true;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Appends a read-only file of root's, dated 1970, so that equal images make equal archives.
pub(super) fn append(
    tar: &mut tar::Builder<Output>,
    name: &str,
    size_bytes: u64,
    stream: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o444);
    header.set_size(size_bytes);
    let mut exact = Exact {
        stream,
        left: size_bytes,
    };
    tar.append_data(&mut header, name, &mut exact)?;
    match exact.left {
        0 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Holds a stream to its announced size: an archive's framing depends on it.
struct Exact<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "longer than announced"))?;
        Ok(count)
    }
}
