//! Replaces a file so that a crash leaves the old content or the new, never a mix.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What must survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Readers see the old or the new file; after a power loss even an empty one may be there.
    /// For files that a reboot makes meaningless.
    Cached,
    /// After a power loss the old or the new content is there, whole.
    Ordered,
    /// When the call returns, the new content survives a power loss.
    #[default]
    Durable,
}

/// How a file is replaced.
#[derive(Debug, Clone)]
pub struct ReplaceOptions {
    /// Permission bits of the new file, whatever the umask.
    pub mode: u32,
    /// What must survive a loss of power.
    pub durability: Durability,
}

impl Default for ReplaceOptions {
    fn default() -> Self {
        Self {
            mode: 0o600,
            durability: Durability::default(),
        }
    }
}

/// Replaces the file at `path` with `bytes`.
///
/// # Errors
/// As the file calls; the old file is untouched then and no temporary one is left.
pub fn replace(path: &Path, bytes: &[u8], options: &ReplaceOptions) -> io::Result<()> {
    replace_with(path, options, |file| file.write_all(bytes))
}

/// Replaces the file at `path` with what `write` puts in the file it is handed.
///
/// # Errors
/// Those of `write`, or as the file calls; the old file is untouched then.
pub fn replace_with(
    path: &Path,
    options: &ReplaceOptions,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let mut temporary = Temporary::beside(path)?;
    temporary
        .file
        .set_permissions(Permissions::from_mode(options.mode & 0o7777))?;
    write(&mut temporary.file)?;
    if options.durability != Durability::Cached {
        temporary.file.sync_data()?;
    }
    fs::rename(&temporary.path, path)?;
    temporary.renamed = true;
    if options.durability == Durability::Durable {
        sync_dir(parent_of(path))?;
    }
    Ok(())
}

/// Makes the names in the directory `path` survive a loss of power.
///
/// # Errors
/// As open(2) and fsync(2).
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Begins to write a range of `file` to disk without waiting for the end of it, so that a later
/// sync finds less to do. A hint: file systems that know no such thing ignore it.
pub fn start_writeback(file: impl AsFd, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else {
        return;
    };
    // SAFETY: the call takes no pointers, and the descriptor is borrowed for its time.
    unsafe {
        libc::sync_file_range(
            file.as_fd().as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        );
    }
}

struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    fn beside(path: &Path) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let mut temporary = OsString::from(".tmp-");
            temporary.push(name);
            temporary.push(format!("-{}-{count}", std::process::id()));
            let path = parent_of(path).join(temporary);
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
            {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        renamed: false,
                    });
                }
                // A leftover of a process that had our pid, or of one in another namespace.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove a temporary file");
        }
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_content_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for durability in [Durability::Cached, Durability::Ordered, Durability::Durable] {
            let options = ReplaceOptions {
                mode: 0o640,
                durability,
            };
            replace(&path, format!("{durability:?}").as_bytes(), &options).unwrap();
            assert_eq!(
                fs::read_to_string(&path).unwrap(),
                format!("{durability:?}")
            );
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
                0o640
            );
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn failing_writer_leaves_the_old_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        let result = replace_with(&path, &ReplaceOptions::default(), |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("no more"))
        });
        assert!(result.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
