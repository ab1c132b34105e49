//! The terminal: a pty of the container's own devpts, its master sent to the monitor.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, Result};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::termios::Winsize;

use super::{At, Done, check, last_errno, place};
use crate::plan::ConsolePlan;
use crate::step::Step;

/// Opens a pty beneath `root`, shows it at /dev/console and sends its master away. Gives the
/// other end.
pub(super) fn open(root: BorrowedFd<'_>, plan: Option<&ConsolePlan>) -> Done<Option<OwnedFd>> {
    let Some(plan) = plan else {
        return Ok(None);
    };
    let (master, terminal) = pair(root).at(Step::Console)?;
    show(root, terminal.as_fd()).at(Step::Console)?;
    hand_over(plan, &master).at(Step::Console)?;
    Ok(Some(terminal))
}

/// As [`open`], for a process that enters a container: /dev/console stays the container's.
pub(super) fn open_in_current_root(plan: Option<&ConsolePlan>) -> Done<Option<OwnedFd>> {
    let Some(plan) = plan else {
        return Ok(None);
    };
    let root = super::current_root().at(Step::Console)?;
    let (master, terminal) = pair(root.as_fd()).at(Step::Console)?;
    hand_over(plan, &master).at(Step::Console)?;
    Ok(Some(terminal))
}

fn pair(root: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd)> {
    let master = place::open(root, c"dev/pts/ptmx", OFlags::RDWR | OFlags::NOCTTY)?;
    let stat = rustix::fs::fstat(&master)?;
    // What the image put in its place is not a terminal multiplexer (CVE-2025-52565).
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        || stat.st_rdev != rustix::fs::makedev(5, 2)
    {
        return Err(Errno::NODEV);
    }
    rustix::pty::unlockpt(&master)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    // SAFETY: the ioctl takes open flags as its argument and returns a new descriptor.
    let terminal = unsafe {
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(&master),
            libc::TIOCGPTPEER,
            flags.bits(),
        )
    };
    if terminal < 0 {
        return Err(last_errno());
    }
    // SAFETY: just made for us by the kernel.
    Ok((master, unsafe { OwnedFd::from_raw_fd(terminal) }))
}

fn show(root: BorrowedFd<'_>, terminal: BorrowedFd<'_>) -> Result<()> {
    let dev = place::open_ordinary(root, c"dev", OFlags::PATH | OFlags::DIRECTORY)?;
    let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(rustix::fs::openat(
        &dev,
        c"console",
        flags | OFlags::NOCTTY,
        Mode::from_raw_mode(0o666),
    )?);
    let onto = rustix::fs::openat(
        &dev,
        c"console",
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let copy = open_tree(
        terminal,
        c"",
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH,
    )?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&copy, c"", &onto, c"", flags)
}

fn hand_over(plan: &ConsolePlan, master: &OwnedFd) -> std::io::Result<()> {
    if let Some((rows, columns)) = plan.size {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(master, size)?;
    }
    minke_sys::fdpass::send(plan.socket.as_fd(), b"/dev/ptmx", master.as_fd())
}

/// Makes the terminal our controlling one and our standard streams.
pub(super) fn take(terminal: &OwnedFd, uid: u32) -> Done {
    // SAFETY: a valid descriptor and a plain integer.
    let result = unsafe {
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(terminal),
            libc::TIOCSCTTY,
            0,
        )
    };
    check(result).at(Step::Console)?;
    match rustix::fs::fchown(terminal, Some(Uid::from_raw(uid)), None) {
        // A user namespace without the tty group, or a read-only devpts.
        Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
        failed => failed.at(Step::Console)?,
    }
    rustix::stdio::dup2_stdin(terminal).at(Step::Console)?;
    rustix::stdio::dup2_stdout(terminal).at(Step::Console)?;
    rustix::stdio::dup2_stderr(terminal).at(Step::Console)
}

/// Lets the container's user reopen its standard streams (/dev/stdout), if they are pipes.
pub(super) fn give_stdio_to(uid: u32) {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for stream in streams {
        let Ok(stat) = rustix::fs::fstat(stream) else {
            continue;
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if matches!(kind, FileType::Fifo | FileType::Socket) {
            // Refused for streams that are not ours to give: then reopening is not either.
            let _ = rustix::fs::fchown(stream, Some(Uid::from_raw(uid)), None::<Gid>);
        }
    }
}
