//! Who the process is: ids, groups, capabilities, limits, keyring, filter.
//!
//! Raw system calls: the C library's wrappers change every thread and take locks.

use std::ffi::CStr;

use rustix::io::Errno;

use super::{At, Done, check, last_errno};
use crate::capability;
use crate::plan::process::{CapabilitySets, Filter, ProcessPlan};
use crate::step::Step;

/// Turns the process into the container's user. The last privileges go here, save what a
/// filter that must be loaded before the exec needs.
pub(super) fn become_user(process: &ProcessPlan) -> Done {
    set_limits(process)?;
    if let Some(umask) = process.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask & 0o777));
    }
    // With rights still: a directory the user may not enter is refused below.
    let early = rustix::process::chdir(&*process.cwd);
    drop_bounding(process.capabilities.bounding)?;
    if !process.no_new_privileges
        && let Some(filter) = &process.filter
    {
        // Without no_new_privs loading a filter takes CAP_SYS_ADMIN: now or never.
        load(filter)?;
    }
    keep_capabilities()?;
    if !process.keep_groups {
        set_groups(&process.groups)?;
    }
    set_ids(process.uid, process.gid)?;
    set_capabilities(&process.capabilities)?;
    if early.is_err() {
        rustix::process::chdir(&*process.cwd).at(Step::WorkingDirectory)?;
    }
    require_cwd_inside().at(Step::WorkingDirectory)?;
    if process.no_new_privileges {
        no_new_privileges()?;
    }
    Ok(())
}

/// Loads the filter as late as possible where no_new_privs allows it at any time.
pub(super) fn load_late_filter(process: &ProcessPlan) -> Done {
    match &process.filter {
        Some(filter) if process.no_new_privileges => load(filter),
        _ => Ok(()),
    }
}

/// Marks every descriptor above the preserved ones close-on-exec (CVE-2024-21626).
pub(super) fn close_descriptors(preserved: u32) -> Done {
    let first = 3u32.saturating_add(preserved);
    // SAFETY: plain integers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(result as i32).at(Step::Descriptors)
}

/// Takes new user and group ids, real, effective and saved.
pub(super) fn set_ids(uid: u32, gid: u32) -> Done {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) } as i32).at(Step::Ids)?;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) } as i32).at(Step::Ids)
}

/// Joins a new session keyring, so that the caller's keys are not the container's. A kernel
/// or an outer filter without keyrings has none to leak.
pub(super) fn join_keyring(name: &CStr) {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: `name` is null-terminated and only read.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
}

fn set_limits(process: &ProcessPlan) -> Done {
    for (index, limit) in process.limits.iter().enumerate() {
        // SAFETY: `limit.value` is a live rlimit64 that the kernel only reads.
        let result = unsafe {
            libc::syscall(
                libc::SYS_prlimit64,
                0,
                limit.resource,
                std::ptr::from_ref(&limit.value),
                std::ptr::null_mut::<libc::rlimit64>(),
            )
        };
        check(result as i32).at_index(Step::Limit, index)?;
    }
    Ok(())
}

fn set_groups(groups: &[u32]) -> Done {
    // SAFETY: the pointer and the length describe a live slice that is only read.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    match check(result as i32) {
        // A user namespace of one mapped id may not set groups; none are wanted.
        Err(Errno::PERM) if groups.is_empty() => Ok(()),
        result => result.at(Step::Groups),
    }
}

fn prctl(option: i32, a: u64, b: u64) -> Result<(), Errno> {
    // SAFETY: every option used here takes integers only.
    check(unsafe { libc::prctl(option, a, b, 0, 0) })
}

fn drop_bounding(keep: u64) -> Done {
    for capability in 0..64 {
        if keep & 1 << capability != 0 {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(()) => {}
            // Past the last one this kernel has.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno).at(Step::Capabilities),
        }
    }
    Ok(())
}

fn keep_capabilities() -> Done {
    prctl(libc::PR_SET_KEEPCAPS, 1, 0).at(Step::Capabilities)
}

/// `struct __user_cap_header_struct`, version 3.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; two of them hold 64 bits.
#[repr(C)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn set_capabilities(sets: &CapabilitySets) -> Done {
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: both are live structs of the layout that version 3 asks for.
    let result =
        unsafe { libc::syscall(libc::SYS_capset, std::ptr::from_ref(&header), data.as_ptr()) };
    check(result as i32).at(Step::Capabilities)?;
    // Not known before Linux 4.3: then there is nothing to clear.
    let _ = prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as u64,
        0,
    );
    for capability in 0..u64::from(capability::COUNT) {
        if sets.ambient & 1 << capability != 0 {
            // One that is not inheritable as well cannot be raised: it stays out, as with runc.
            let _ = prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_RAISE as u64,
                capability,
            );
        }
    }
    Ok(())
}

fn no_new_privileges() -> Done {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).at(Step::NoNewPrivileges)
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const minke_seccomp::bpf::SockFilter,
}

fn load(filter: &Filter) -> Done {
    let program = Program {
        length: filter.program.len() as u16,
        filter: filter.program.as_ptr(),
    };
    // SAFETY: `program` points to `length` live instructions of the kernel's layout.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            filter.flags,
            std::ptr::from_ref(&program),
        )
    };
    if result < 0 {
        return Err(last_errno()).at(Step::Seccomp);
    }
    Ok(())
}

/// Refuses a working directory outside the container's root, which a leaked descriptor could
/// lead to.
fn require_cwd_inside() -> Result<(), Errno> {
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the pointer and the length describe a live buffer.
    let length = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    if length < 0 {
        return Err(last_errno());
    }
    // The kernel writes "(unreachable)/..." for what is not below our root.
    if buffer[0] == b'/' {
        Ok(())
    } else {
        Err(Errno::NOENT)
    }
}
