//! libseccomp, loaded at run time so that building needs nothing of it.
#![allow(clippy::missing_transmute_annotations)] // the fields have the types

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;

use minke_seccomp::Architecture;
use minke_seccomp::bpf::SockFilter;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompOperator};

/// `struct scmp_arg_cmp`.
#[repr(C)]
struct Compare {
    arg: c_uint,
    op: c_int,
    datum_a: u64,
    datum_b: u64,
}

/// The functions used here.
pub struct Libseccomp {
    init: unsafe extern "C" fn(u32) -> *mut c_void,
    release: unsafe extern "C" fn(*mut c_void),
    arch_add: unsafe extern "C" fn(*mut c_void, u32) -> c_int,
    rule_add_array: unsafe extern "C" fn(*mut c_void, u32, c_int, c_uint, *const Compare) -> c_int,
    resolve_name: unsafe extern "C" fn(*const c_char) -> c_int,
    resolve_name_arch: unsafe extern "C" fn(u32, *const c_char) -> c_int,
    export_bpf: unsafe extern "C" fn(*const c_void, c_int) -> c_int,
}

/// Looks a function up; `None` where the library lacks it.
macro_rules! function {
    ($library:expr, $name:literal) => {{
        let name: &CStr = $name;
        // SAFETY: the handle is from dlopen and never closed; the name ends in a null.
        let address = unsafe { libc::dlsym($library, name.as_ptr()) };
        if address.is_null() {
            return None;
        }
        // SAFETY: seccomp.h declares this symbol with the type of the field it goes to.
        unsafe { std::mem::transmute::<*mut c_void, _>(address) }
    }};
}

impl Libseccomp {
    /// `None` where the library is not installed.
    pub fn open() -> Option<Self> {
        // SAFETY: the name ends in a null; the library's constructors have no conditions.
        let library = unsafe { libc::dlopen(c"libseccomp.so.2".as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return None;
        }
        Some(Self {
            init: function!(library, c"seccomp_init"),
            release: function!(library, c"seccomp_release"),
            arch_add: function!(library, c"seccomp_arch_add"),
            rule_add_array: function!(library, c"seccomp_rule_add_array"),
            resolve_name: function!(library, c"seccomp_syscall_resolve_name"),
            resolve_name_arch: function!(library, c"seccomp_syscall_resolve_name_arch"),
            export_bpf: function!(library, c"seccomp_export_bpf"),
        })
    }

    /// The number of a syscall: -1 unknown, other negatives are not native to the architecture.
    pub fn number(&self, arch: Architecture, name: &str) -> c_int {
        let name = CString::new(name).unwrap();
        // SAFETY: the name ends in a null and outlives the call.
        unsafe { (self.resolve_name_arch)(arch.scmp() as u32, name.as_ptr()) }
    }

    /// Builds the policy as runc does and exports it.
    pub fn compile(&self, seccomp: &LinuxSeccomp) -> Vec<SockFilter> {
        let default = word(seccomp.default_action(), seccomp.default_errno_ret());
        // SAFETY: any action word may be passed.
        let context = unsafe { (self.init)(default) };
        assert!(!context.is_null());
        for arch in seccomp.architectures().iter().flatten() {
            // SAFETY: the context is alive. The native one is refused as present already.
            let _ = unsafe { (self.arch_add)(context, *arch as u32) };
        }
        for rule in seccomp.syscalls().iter().flatten() {
            let word = word(rule.action(), rule.errno_ret());
            if word == default {
                continue;
            }
            let compares: Vec<Compare> = rule.args().iter().flatten().map(compare).collect();
            for name in rule.names() {
                let name = CString::new(name.as_str()).unwrap();
                // SAFETY: the name ends in a null and outlives the call.
                let number = unsafe { (self.resolve_name)(name.as_ptr()) };
                if number == -1 {
                    continue;
                }
                let count = compares.len() as c_uint;
                // SAFETY: the context is alive and `compares` has `count` elements.
                let result = unsafe {
                    (self.rule_add_array)(context, word, number, count, compares.as_ptr())
                };
                assert_eq!(result, 0, "{name:?}");
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        // SAFETY: the context and the descriptor are alive.
        assert_eq!(unsafe { (self.export_bpf)(context, file.as_raw_fd()) }, 0);
        // SAFETY: the context is not used again.
        unsafe { (self.release)(context) };
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let (instructions, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty());
        instructions
            .iter()
            .map(|raw| SockFilter {
                code: u16::from_ne_bytes([raw[0], raw[1]]),
                jt: raw[2],
                jf: raw[3],
                k: u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]),
            })
            .collect()
    }
}

fn word(action: oci_spec::runtime::LinuxSeccompAction, errno: Option<u32>) -> u32 {
    action.as_u32(Some(errno.unwrap_or(1)))
}

fn compare(argument: &oci_spec::runtime::LinuxSeccompArg) -> Compare {
    let (datum_a, datum_b) = match argument.op() {
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            (argument.value(), argument.value_two().unwrap_or_default())
        }
        _ => (argument.value(), 0),
    };
    Compare {
        arg: argument.index() as c_uint,
        op: argument.op() as c_int,
        datum_a,
        datum_b,
    }
}
