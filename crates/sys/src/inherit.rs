//! Descriptors that this process was started with, by their numbers.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;

/// Whether a descriptor with this number is open.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: fcntl with F_GETFD touches no memory, whatever the number.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Lets programs that are executed have a descriptor, or not.
///
/// # Errors
/// `EBADF` if it is not open.
pub fn pass_on(fd: RawFd, passed: bool) -> io::Result<()> {
    let flags = if passed { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: fcntl with F_SETFD touches no memory and closes nothing, whatever the number.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_descriptor_is_passed_on_or_not() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let seen = || {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let listed = std::process::Command::new("/bin/ls").arg(path).output();
            listed.unwrap().status.success()
        };
        assert!(is_open(file.as_raw_fd()) && !is_open(1_000_000));
        pass_on(file.as_raw_fd(), true).unwrap();
        assert!(seen());
        pass_on(file.as_raw_fd(), false).unwrap();
        assert!(!seen());
        assert!(pass_on(1_000_000, true).is_err());
    }
}
