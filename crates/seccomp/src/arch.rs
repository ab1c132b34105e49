//! Architectures, and what number a syscall has on each.

use std::collections::HashMap;
use std::sync::LazyLock;

use oci_spec::runtime::Arch;

use crate::{Error, Result};

/// Set in the number of every x32 call.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// A calling convention the kernel runs programs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// x86_64 with 32-bit pointers.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM (EABI).
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Architecture {
    /// The architecture this was built for; `None` where no program can be made.
    pub const fn native() -> Option<Self> {
        if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else if cfg!(target_arch = "riscv64") {
            Some(Self::Riscv64)
        } else {
            None
        }
    }

    /// The name libseccomp has for it, which is what policies' conditions say.
    pub const fn libseccomp_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The runtime-spec's name.
    pub const fn scmp(self) -> Arch {
        match self {
            Self::X86_64 => Arch::ScmpArchX86_64,
            Self::X86 => Arch::ScmpArchX86,
            Self::X32 => Arch::ScmpArchX32,
            Self::Aarch64 => Arch::ScmpArchAarch64,
            Self::Arm => Arch::ScmpArchArm,
            Self::Riscv64 => Arch::ScmpArchRiscv64,
        }
    }

    /// From the runtime-spec's name, where `SCMP_ARCH_NATIVE` means `native`.
    ///
    /// # Errors
    /// [`Error::ArchitectureUnsupported`].
    pub fn from_scmp(arch: Arch, native: Self) -> Result<Self> {
        match arch {
            Arch::ScmpArchNative => Ok(native),
            Arch::ScmpArchX86_64 => Ok(Self::X86_64),
            Arch::ScmpArchX86 => Ok(Self::X86),
            Arch::ScmpArchX32 => Ok(Self::X32),
            Arch::ScmpArchAarch64 => Ok(Self::Aarch64),
            Arch::ScmpArchArm => Ok(Self::Arm),
            Arch::ScmpArchRiscv64 => Ok(Self::Riscv64),
            arch => Err(Error::ArchitectureUnsupported { arch }),
        }
    }

    /// What `seccomp_data.arch` holds (`AUDIT_ARCH_*`). x32 has that of x86_64.
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xc000_00f3,
        }
    }

    /// Whether arguments are compared by their low 32 bits only, as libseccomp does.
    pub(crate) const fn compares_low_words(self) -> bool {
        matches!(self, Self::X86 | Self::X32 | Self::Arm)
    }

    /// The number of a syscall, with [the x32 bit](X32_BIT) where it belongs.
    pub fn syscall(self, name: &str) -> Option<u32> {
        match self {
            Self::X86_64 => X86_64.get(name).copied(),
            Self::X86 => X86.get(name).copied(),
            Self::X32 => x32(name),
            Self::Aarch64 => AARCH64.get(name).copied(),
            Self::Arm => ARM.get(name).copied(),
            Self::Riscv64 => RISCV64.get(name).copied(),
        }
    }

    /// The multiplexer that also reaches the syscall: its number, and its first argument.
    pub(crate) fn multiplexed(self, name: &str) -> Option<(u32, u32)> {
        if self != Self::X86 {
            return None;
        }
        let find = |table: &[(&str, u32)]| {
            table
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, call)| *call)
        };
        if let Some(call) = find(SOCKETCALL) {
            return Some((self.syscall("socketcall")?, call));
        }
        Some((self.syscall("ipc")?, find(IPC)?))
    }
}

type Table = LazyLock<HashMap<&'static str, u32>>;

/// Reads a table of the `syscalls` crate into a map.
macro_rules! table {
    ($arch:ident, $extra:expr) => {
        LazyLock::new(|| {
            use syscalls::$arch::Sysno;
            let last = usize::try_from(Sysno::last().id()).unwrap_or_default();
            let mut numbers: HashMap<&'static str, u32> = (0..=last)
                .filter_map(Sysno::new)
                .map(|call| (call.name(), call.id().cast_unsigned()))
                .collect();
            let extra: &[(&'static str, u32)] = $extra;
            numbers.extend(extra.iter().copied());
            numbers
        })
    };
}

static X86_64: Table = table!(x86_64, &[]);
static X86: Table = table!(x86, &[]);
// Where the tables say fstatat, libseccomp and its policies say newfstatat.
static AARCH64: Table = table!(aarch64, &[("newfstatat", 79)]);
static RISCV64: Table = table!(
    riscv64,
    &[
        ("newfstatat", 79),
        ("riscv_hwprobe", 258),
        ("riscv_flush_icache", 259)
    ]
);
// ARM's private calls are numbered from 0x0f0000 (asm/unistd.h).
static ARM: Table = table!(
    arm,
    &[
        ("breakpoint", 0x0f_0001),
        ("cacheflush", 0x0f_0002),
        ("usr26", 0x0f_0003),
        ("usr32", 0x0f_0004),
        ("set_tls", 0x0f_0005),
        ("get_tls", 0x0f_0006),
    ]
);

fn x32(name: &str) -> Option<u32> {
    let own = X32_OWN.iter().position(|known| *known == name);
    if let Some(position) = own {
        return Some(X32_BIT + X32_OWN_FIRST + u32::try_from(position).ok()?);
    }
    if X86_64_ONLY.contains(&name) {
        return None;
    }
    X86_64.get(name).map(|number| X32_BIT | number)
}

/// The first number that exists for x32 alone.
const X32_OWN_FIRST: u32 = 512;

/// The calls with a number of their own on x32, from 512 (`arch/x86/entry/syscalls/syscall_64.tbl`).
const X32_OWN: &[&str] = &[
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// The calls of x86_64 that x32 has not at all (ABI `64` of the same table).
const X86_64_ONLY: &[&str] = &[
    "uselib",
    "_sysctl",
    "create_module",
    "get_kernel_syms",
    "query_module",
    "nfsservctl",
    "set_thread_area",
    "get_thread_area",
    "epoll_ctl_old",
    "epoll_wait_old",
    "vserver",
];

/// First arguments of socketcall(2) (`linux/net.h`).
const SOCKETCALL: &[(&str, u32)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// First arguments of ipc(2) (`linux/ipc.h`).
const IPC: &[(&str, u32)] = &[
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (arch, name, expected) in [
            (Architecture::X86_64, "read", Some(0)),
            (Architecture::X86_64, "newfstatat", Some(262)),
            (Architecture::X86_64, "file_setattr", Some(469)),
            (Architecture::X86_64, "socketcall", None),
            (Architecture::X86, "read", Some(3)),
            (Architecture::X86, "socketcall", Some(102)),
            (Architecture::X86, "socket", Some(359)),
            (Architecture::X32, "read", Some(X32_BIT)),
            (Architecture::X32, "ioctl", Some(X32_BIT | 514)),
            (Architecture::X32, "pwritev2", Some(X32_BIT | 547)),
            (Architecture::X32, "uselib", None),
            (Architecture::Aarch64, "newfstatat", Some(79)),
            (Architecture::Aarch64, "open", None),
            (Architecture::Arm, "cacheflush", Some(0x0f_0002)),
            (Architecture::Riscv64, "riscv_flush_icache", Some(259)),
        ] {
            assert_eq!(arch.syscall(name), expected, "{arch:?} {name}");
        }
    }

    #[test]
    fn multiplexers_are_x86s() {
        assert_eq!(Architecture::X86.multiplexed("socket"), Some((102, 1)));
        assert_eq!(Architecture::X86.multiplexed("shmctl"), Some((117, 24)));
        assert_eq!(Architecture::X86.multiplexed("read"), None);
        assert_eq!(Architecture::X86_64.multiplexed("socket"), None);
    }
}
