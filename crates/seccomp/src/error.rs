use oci_spec::runtime::Arch;

/// What can be wrong with a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy text is longer than [`crate::MAX_PROFILE_BYTES`].
    #[error("seccomp profile of {bytes} bytes is larger than the limit of {limit}")]
    ProfileTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The policy text is not a policy.
    #[error("decoding seccomp profile failed")]
    ProfileDecode {
        /// Where and why.
        source: serde_json::Error,
    },
    /// A policy names an errno that Linux does not have.
    #[error("unknown errno {name}")]
    ErrnoUnknown {
        /// The name as written.
        name: String,
    },
    /// Both forms of the architecture list are present.
    #[error(
        "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'"
    )]
    ArchitecturesTwice,
    /// A rule has both `name` and `names`.
    #[error(
        "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'"
    )]
    NameTwice,
    /// A kernel version is not `MAJOR.MINOR`.
    #[error("invalid kernel version {text:?} in the seccomp profile, expected MAJOR.MINOR")]
    KernelVersion {
        /// The text as written.
        text: String,
    },
    /// No program can be made for this architecture.
    #[error("no seccomp program can be made for architecture {arch:?}")]
    ArchitectureUnsupported {
        /// The architecture asked for.
        arch: Arch,
    },
    /// A rule looks at an argument that no syscall has.
    #[error("seccomp rule for {name} looks at argument {index}, a syscall has 0 to 5")]
    ArgumentIndex {
        /// The syscall.
        name: String,
        /// The index.
        index: usize,
    },
    /// The program is longer than the kernel takes.
    #[error("seccomp program of {instructions} instructions is longer than the kernel's {limit}")]
    ProgramTooLong {
        /// Its length.
        instructions: usize,
        /// The kernel's limit.
        limit: usize,
    },
}

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The policy is wrong.
    Invalid,
    /// The policy is right, but cannot be served here.
    Unsupported,
}

impl Error {
    /// What a caller may branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::ArchitectureUnsupported { .. } | Error::ProgramTooLong { .. } => {
                ErrorKind::Unsupported
            }
            _ => ErrorKind::Invalid,
        }
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
