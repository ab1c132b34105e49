//! Signal dispositions and mask, as a program that starts anew expects them.
//!
//! What is ignored or blocked survives an exec: Rust ignores SIGPIPE, and a runtime that waits
//! in the foreground blocks nearly all.

/// The kernel's `struct sigaction`; all-zero is SIG_DFL with an empty mask.
#[repr(C)]
struct Disposition([u64; 4]);

/// Signals 1 to 64, and the bytes of a set of them.
const LAST: i32 = 64;
const SET_BYTES: usize = 8;

/// Takes every signal back to its default and blocks none.
pub(super) fn reset() {
    let default = Disposition([0; 4]);
    for number in 1..=LAST {
        // SAFETY: `default` is at least as large as the kernel's struct and only read; SIGKILL
        // and SIGSTOP are refused, which is what they are by default.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                std::ptr::from_ref(&default),
                std::ptr::null_mut::<Disposition>(),
                SET_BYTES,
            )
        };
    }
    let none: u64 = 0;
    // SAFETY: `none` is a live signal set of the size given and only read.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            std::ptr::from_ref(&none),
            std::ptr::null_mut::<u64>(),
            SET_BYTES,
        )
    };
}
