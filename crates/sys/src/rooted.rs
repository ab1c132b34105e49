//! Paths resolved beneath a directory, as though it were `/`.
//!
//! Whatever lives in an image, a container or a build context is hostile: its symlinks may
//! point anywhere and may change while we look. A [`Root`] hands every path to openat2(2)
//! with `RESOLVE_IN_ROOT`, so that the kernel keeps `..` and absolute links inside, and what
//! is found is then acted on by descriptor.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// How often a path is tried again while the tree moves under the resolver.
const MOVING_TREE_TRIES: usize = 128;

/// As many symlinks as the kernel itself follows in one path.
const MAX_LINKS: usize = 40;

/// A directory under which paths are resolved as though it were `/`.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl Root {
    /// Opens the directory at `path`, which the caller trusts.
    ///
    /// # Errors
    /// As open(2); `ENOTDIR` if it is no directory.
    pub fn open_dir(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            fd: fs::open(path, flags, Mode::empty())?,
        })
    }

    /// Takes a directory descriptor as a root.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// A second handle on the same directory.
    ///
    /// # Errors
    /// As fcntl(2) `F_DUPFD_CLOEXEC`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
        })
    }

    /// Opens `path`, keeping every `..` and symlink inside this root.
    ///
    /// `O_CLOEXEC` is always added.
    ///
    /// # Errors
    /// As openat2(2); `EAGAIN` only once the tree has kept moving for 128 tries.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.open_mode(path, flags, Mode::empty())
    }

    /// As [`Root::open`], with the mode of what `O_CREAT` makes (the umask applies).
    ///
    /// # Errors
    /// As [`Root::open`].
    pub fn open_mode(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        resolve(self.fd.as_fd(), path, flags, mode, ResolveFlags::IN_ROOT)
    }

    /// Opens `path` if no component of it, nor its end, is a symlink.
    ///
    /// # Errors
    /// As [`Root::open`], and `ELOOP` where a symlink is met.
    pub fn open_no_symlinks(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        resolve(self.fd.as_fd(), path, flags, Mode::empty(), how)
    }

    /// Opens the directory that holds `path`, and gives the name of `path` in it.
    ///
    /// The name is a single component, never `.`, `..` or empty, so it may be handed to the
    /// `*at` calls together with the descriptor and a no-follow flag. `..` in `path` is
    /// resolved by the kernel where it leads, inside the root.
    ///
    /// # Errors
    /// As [`Root::open`]; `EINVAL` if `path` ends in `..` or names the root itself.
    pub fn open_parent<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(Errno::INVAL.into());
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.open(parent, OFlags::PATH | OFlags::DIRECTORY)?, name))
    }

    /// Makes the directories of `path` that are missing and opens the last one.
    ///
    /// Symlinks on the way are followed inside the root, dangling ones too: their targets
    /// are made. What exists keeps its mode; the umask applies to what is made.
    ///
    /// # Errors
    /// As mkdirat(2) and [`Root::open`]; `ELOOP` after 40 symlinks.
    pub fn mkdir_all(&self, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.open(path, flags) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            result => return result,
        }
        let real = self.walk_making(path, mode)?;
        self.open_no_symlinks(&real, flags)
    }

    /// Walks `path` one component at a time, making what is missing; gives the real path.
    fn walk_making(&self, path: &Path, mode: Mode) -> io::Result<PathBuf> {
        let mut todo: VecDeque<OsString> = components(path);
        let mut real = PathBuf::new();
        let mut here = self.fd.try_clone()?;
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == "/" || name == ".." {
                if name == "/" {
                    real = PathBuf::new();
                } else {
                    real.pop();
                }
                here = self.open_no_symlinks(&real, OFlags::PATH | OFlags::DIRECTORY)?;
                continue;
            }
            let next = open_or_make(here.as_fd(), &name, mode)?;
            match FileType::from_raw_mode(fs::fstat(&next)?.st_mode) {
                FileType::Directory => {
                    real.push(&name);
                    here = next;
                }
                FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = fs::readlinkat(&next, "", Vec::new())?;
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    for part in components(&target).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                _ => return Err(Errno::NOTDIR.into()),
            }
        }
        Ok(real)
    }

    /// Reads a regular file of at most `cap` bytes, following symlinks inside the root.
    ///
    /// A FIFO, a device or a socket is refused before it is opened, so none can make us wait.
    ///
    /// # Errors
    /// As [`Root::open`]; `InvalidInput` if it is no regular file, `FileTooLarge` if it holds
    /// more than `cap` bytes.
    pub fn read(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
        let handle = self.open_regular(path)?;
        let claimed = handle.metadata()?.len();
        let mut bytes = Vec::with_capacity(claimed.min(cap).min(1 << 20) as usize);
        handle.take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > cap {
            let text = format!("{} holds more than {cap} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(bytes)
    }

    /// Opens a regular file for reading, following symlinks inside the root.
    ///
    /// # Errors
    /// As [`Root::open`]; `InvalidInput` if it is no regular file.
    pub fn open_regular(&self, path: &Path) -> io::Result<File> {
        require_regular(path, &self.metadata(path)?)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = self.open(path, flags)?;
        require_regular(path, &fs::fstat(&fd)?)?;
        Ok(File::from(fd))
    }

    /// The metadata of what `path` leads to.
    ///
    /// # Errors
    /// As [`Root::open`].
    pub fn metadata(&self, path: &Path) -> io::Result<Stat> {
        Ok(fs::fstat(self.open(path, OFlags::PATH)?)?)
    }

    /// The metadata of `path` itself, even where it is a symlink.
    ///
    /// # Errors
    /// As [`Root::open`].
    pub fn symlink_metadata(&self, path: &Path) -> io::Result<Stat> {
        Ok(fs::fstat(
            self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?,
        )?)
    }

    /// Where the symlink at `path` points, as it is written.
    ///
    /// # Errors
    /// As [`Root::open`]; `EINVAL` if it is no symlink.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let fd = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        match fs::readlinkat(&fd, "", Vec::new()) {
            Ok(target) => Ok(PathBuf::from(OsString::from_vec(target.into_bytes()))),
            Err(Errno::NOENT) => Err(Errno::INVAL.into()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes a symlink at `path` with the text `target`.
    ///
    /// # Errors
    /// As [`Root::open_parent`] and symlinkat(2).
    pub fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (parent, name) = self.open_parent(path)?;
        Ok(fs::symlinkat(target, parent, name)?)
    }

    /// Removes what is not a directory at `path`; the end of the path is not followed.
    ///
    /// # Errors
    /// As [`Root::open_parent`] and unlinkat(2).
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.open_parent(path)?;
        Ok(fs::unlinkat(parent, name, AtFlags::empty())?)
    }
}

/// Opens again, with `flags`, the very file that `held` is: nothing is looked up. With `held`
/// opened by `O_PATH` it can be seen first what it is, so that no device or pipe is opened by
/// mistake.
///
/// # Errors
/// As open(2); `ELOOP` where `held` is a symlink.
pub fn reopen(held: impl AsFd, flags: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", held.as_fd().as_raw_fd());
    Ok(fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?)
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn resolve(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    how: ResolveFlags,
) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let how = how | ResolveFlags::NO_MAGICLINKS;
    let open = || fs::openat2(dir, path, flags | OFlags::CLOEXEC, mode, how);
    for _ in 1..MOVING_TREE_TRIES {
        match open() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
    Ok(open()?)
}

fn open_or_make(dir: BorrowedFd<'_>, name: &OsStr, mode: Mode) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => match fs::mkdirat(dir, name, mode) {
            Ok(()) | Err(Errno::EXIST) => Ok(fs::openat(dir, name, flags, Mode::empty())?),
            Err(errno) => Err(errno.into()),
        },
        result => Ok(result?),
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir | Component::Prefix(_)))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

fn require_regular(path: &Path, stat: &Stat) -> io::Result<()> {
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        return Ok(());
    }
    let text = format!("{} is not a regular file", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scratch() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        std::fs::write(dir.path().join("secret"), "outside").unwrap();
        let root = Root::open_dir(&dir.path().join("root")).unwrap();
        (dir, root)
    }

    #[test]
    fn dots_and_links_stay_inside() {
        let (dir, root) = scratch();
        symlink("../../secret", dir.path().join("root/up")).unwrap();
        symlink(dir.path().join("secret"), dir.path().join("root/abs")).unwrap();
        for path in ["../secret", "../../secret", "up", "abs", "/../secret"] {
            let error = root.read(Path::new(path), 100).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{path}");
        }
        std::fs::write(dir.path().join("root/secret"), "inside").unwrap();
        assert_eq!(root.read(Path::new("up"), 100).unwrap(), b"inside");
        assert_eq!(
            root.read_link(Path::new("up")).unwrap(),
            Path::new("../../secret")
        );
    }

    #[test]
    fn reads_are_capped_and_only_of_regular_files() {
        let (dir, root) = scratch();
        std::fs::write(dir.path().join("root/big"), [0; 101]).unwrap();
        let error = root.read(Path::new("big"), 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(root.read(Path::new("big"), 101).unwrap().len(), 101);
        nix::unistd::mkfifo(&dir.path().join("root/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = root.read(Path::new("fifo"), 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        symlink("/proc/self/environ", dir.path().join("root/env")).unwrap();
        assert!(root.read(Path::new("env"), 100).is_err());
    }

    #[test]
    fn mkdir_all_follows_dangling_links_inside() {
        let (dir, root) = scratch();
        std::fs::create_dir(dir.path().join("root/var")).unwrap();
        symlink("/run", dir.path().join("root/var/run")).unwrap();
        symlink("../../../../out", dir.path().join("root/var/out")).unwrap();
        root.mkdir_all(Path::new("/var/run/a/b"), Mode::from(0o755))
            .unwrap();
        root.mkdir_all(Path::new("var/out/x"), Mode::from(0o755))
            .unwrap();
        assert!(dir.path().join("root/run/a/b").is_dir());
        assert!(dir.path().join("root/out/x").is_dir());
        assert!(!dir.path().join("out").exists());
        symlink("loop", dir.path().join("root/loop")).unwrap();
        let error = root
            .mkdir_all(Path::new("loop/x"), Mode::from(0o755))
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn parent_gives_a_plain_name() {
        let (dir, root) = scratch();
        std::fs::create_dir(dir.path().join("root/d")).unwrap();
        let (parent, name) = root.open_parent(Path::new("/d/../d/./f")).unwrap();
        assert_eq!(name, "f");
        fs::mkdirat(&parent, name, Mode::from(0o700)).unwrap();
        assert!(dir.path().join("root/d/f").is_dir());
        for path in ["/", "", "..", "d/.."] {
            assert!(root.open_parent(Path::new(path)).is_err(), "{path:?}");
        }
    }
}
