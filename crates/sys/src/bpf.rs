//! bpf(2), as far as a container runtime needs it: a program that decides which devices the
//! processes of a cgroup may use.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One instruction, as `struct bpf_insn` of linux/bpf.h lays it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Class, source and operation.
    pub code: u8,
    /// Destination register in the low half of the machine's bit-field order, source in the
    /// other; see [`Instruction::new`].
    registers: u8,
    /// Of a jump or a memory access.
    pub offset: i16,
    /// The constant operand.
    pub immediate: i32,
}

impl Instruction {
    /// Builds an instruction; registers are 0 to 10.
    pub const fn new(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Self {
        let (destination, source) = (destination & 0xf, source & 0xf);
        let registers = if cfg!(target_endian = "little") {
            destination | source << 4
        } else {
            destination << 4 | source
        };
        Self {
            code,
            registers,
            offset,
            immediate,
        }
    }

    /// The register written to or compared.
    pub const fn destination(self) -> u8 {
        if cfg!(target_endian = "little") {
            self.registers & 0xf
        } else {
            self.registers >> 4
        }
    }

    /// The register read from.
    pub const fn source(self) -> u8 {
        if cfg!(target_endian = "little") {
            self.registers >> 4
        } else {
            self.registers & 0xf
        }
    }
}

/// Why a program was not taken.
#[derive(Debug, thiserror::Error)]
#[error("the kernel refused the device program{}{log}", if log.is_empty() { "" } else { ": " })]
pub struct LoadError {
    /// The verifier's last words; empty when it was not asked (no right to, no such call).
    pub log: String,
    /// errno(3).
    pub source: io::Error,
}

/// A loaded program of type BPF_PROG_TYPE_CGROUP_DEVICE. Where it is attached it outlives
/// this descriptor.
#[derive(Debug)]
pub struct DeviceProgram {
    fd: OwnedFd,
}

impl DeviceProgram {
    /// Has the kernel verify and load a program. It returns 0 in register 0 to deny.
    ///
    /// # Errors
    /// [`LoadError`]; its source is `PermissionDenied` without CAP_BPF in the first user
    /// namespace.
    pub fn load(instructions: &[Instruction]) -> Result<Self, LoadError> {
        let refusal = match load(instructions, &mut []) {
            Ok(fd) => return Ok(Self { fd }),
            Err(source) => source,
        };
        if refusal.raw_os_error() == Some(libc::EPERM) {
            return Err(LoadError {
                log: String::new(),
                source: refusal,
            });
        }
        let mut log = vec![0; LOG_BYTES];
        match load(instructions, &mut log) {
            Ok(fd) => Ok(Self { fd }),
            Err(source) => Err(LoadError {
                log: last_words(&log),
                source,
            }),
        }
    }

    /// Puts the program on a cgroup of the v2 tree, beside those that are there already: an
    /// access has to be allowed by each. It goes when the group is removed.
    ///
    /// # Errors
    /// As bpf(2), BPF_PROG_ATTACH.
    pub fn attach(&self, cgroup: BorrowedFd<'_>) -> io::Result<()> {
        let mut attributes = AttachAttributes {
            target_fd: cgroup.as_raw_fd() as u32,
            attach_bpf_fd: self.fd.as_raw_fd() as u32,
            attach_type: BPF_CGROUP_DEVICE,
            attach_flags: BPF_F_ALLOW_MULTI,
            replace_bpf_fd: 0,
        };
        // SAFETY: the attributes are those of this command and live; the kernel only reads.
        unsafe { bpf(BPF_PROG_ATTACH, &mut attributes) }.map(drop)
    }
}

impl AsFd for DeviceProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

const LOG_BYTES: usize = 1 << 20;

/// The part of `union bpf_attr` that BPF_PROG_LOAD has had since Linux 4.15.
#[repr(C)]
struct LoadAttributes {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
struct AttachAttributes {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

fn load(instructions: &[Instruction], log: &mut [u8]) -> io::Result<OwnedFd> {
    let count = u32::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut attributes = LoadAttributes {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: count,
        insns: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        log_buf: match log {
            [] => 0,
            log => log.as_mut_ptr() as u64,
        },
        kern_version: 0,
        prog_flags: 0,
        prog_name: *b"minke_devices\0\0\0",
    };
    // SAFETY: the attributes are those of this command; instructions, licence and log outlive
    // the call and have the lengths given.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attributes) }?;
    // SAFETY: a descriptor just made for us; bpf(2) makes it close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes the system call.
///
/// # Safety
/// `attributes` must be the leading part of `union bpf_attr` for `command`, and every address
/// in it valid for its length.
unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the caller vouches for what is in `attributes`; it is live and of this size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}

/// The line of the verifier's log that says why; counters follow it.
fn last_words(log: &[u8]) -> String {
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end])
        .lines()
        .rfind(|line| !line.is_empty() && !line.starts_with("processed "))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: [Instruction; 2] = [
        Instruction::new(0xb7, 0, 0, 0, 1),
        Instruction::new(0x95, 0, 0, 0, 0),
    ];

    #[test]
    fn registers_are_where_the_kernel_looks() {
        let instruction = Instruction::new(0x61, 2, 1, 4, -1);
        assert_eq!((instruction.destination(), instruction.source()), (2, 1));
        assert_eq!(size_of::<Instruction>(), 8);
        assert_eq!(size_of::<LoadAttributes>(), 64);
    }

    #[test]
    fn a_program_loads_and_a_bad_one_is_explained() {
        match DeviceProgram::load(&ALLOW) {
            Ok(_) => {}
            Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                eprintln!("skipped: loading programs needs CAP_BPF");
                return;
            }
            Err(error) => panic!("{error}: {}", error.source),
        }
        let without_result = [ALLOW[1]];
        let error = DeviceProgram::load(&without_result).unwrap_err();
        assert!(error.log.contains("R0"), "{error}");
        assert!(!DeviceProgram::load(&[]).unwrap_err().log.contains('\0'));
    }
}
