use crate::option::size::SizeError;

/// Why an option, or a container as a whole, is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A user-facing option text is not of its form.
    #[error("{message}")]
    Syntax {
        /// The option, as typed: `--publish`.
        option: &'static str,
        /// What is wrong, in the words that scripts match.
        message: String,
    },
    /// A size is not of its form.
    #[error("invalid value for {what}: {reason}")]
    Size {
        /// What it was for: `memory`.
        what: &'static str,
        /// What is wrong with it.
        reason: SizeError,
    },
    /// No capability has this name.
    #[error("{name:?}: unknown capability")]
    CapabilityUnknown {
        /// The name with its prefix, in capitals.
        name: String,
    },
    /// A capability is both added and dropped.
    #[error("capability {name:?} cannot be dropped and added")]
    CapabilityContradiction {
        /// The name.
        name: String,
    },
    /// All capabilities are both added and dropped.
    #[error("adding all caps and removing all caps not allowed")]
    CapabilitiesContradiction,
    /// A mount target is not absolute.
    #[error("invalid container path {path:?}, must be an absolute path")]
    ContainerPathRelative {
        /// The path as given.
        path: String,
    },
    /// Two different mounts have one target.
    #[error("{destination}: duplicate mount destination")]
    MountTwice {
        /// The target.
        destination: String,
    },
    /// A mount that the engine resolves to a bind was left as it is.
    #[error("mount of {destination} names a {kind} that was not resolved to a host path")]
    MountUnresolved {
        /// The target.
        destination: String,
        /// `volume`, `image`, ...
        kind: &'static str,
    },
    /// A namespace of another container was left as it is.
    #[error("the {kind} namespace to join was not resolved to a path")]
    NamespaceUnresolved {
        /// `pid`, `network`, ...
        kind: &'static str,
    },
    /// The user is not in the image.
    #[error("unable to find user {name}: no matching entries in passwd file")]
    UserUnknown {
        /// The name.
        name: String,
    },
    /// The group is not in the image.
    #[error("unable to find group {name}: no matching entries in group file")]
    GroupUnknown {
        /// The name.
        name: String,
    },
    /// The image's user files cannot be read.
    #[error("cannot read {file} of the image")]
    UserFile {
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// An id does not fit, or a user text has no form.
    #[error("invalid user {text:?}: {reason}")]
    UserInvalid {
        /// As given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A sysctl is not one of a namespace.
    #[error("sysctl '{key}' is not allowed")]
    SysctlNotAllowed {
        /// The key.
        key: String,
    },
    /// A sysctl belongs to a namespace that is the host's.
    #[error(
        "sysctl {key}={value} can't be set since {namespace} Namespace set to host: invalid argument"
    )]
    SysctlOfHost {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// `Network`.
        namespace: &'static str,
    },
    /// A device is not there.
    #[error("stat {path}: no such file or directory")]
    DeviceMissing {
        /// Its path.
        path: String,
    },
    /// A file of the Container Device Interface is not of its form.
    #[error("invalid CDI file: {what}")]
    Cdi {
        /// What is wrong.
        what: String,
    },
    /// No file names these devices, or two do.
    #[error("unresolvable CDI devices {}", names.join(", "))]
    CdiUnresolvable {
        /// Their names.
        names: Vec<String>,
    },
    /// Device rules need a device cgroup.
    #[error("device cgroup rules are not supported in rootless mode or in a user namespace")]
    DeviceRulesRootless,
    /// An AppArmor profile was asked for where there is no AppArmor.
    #[error("apparmor profile {profile:?} specified, but Apparmor is not enabled on this system")]
    ApparmorMissing {
        /// The profile.
        profile: String,
    },
    /// A seccomp profile was named whose text was not handed in.
    #[error("opening seccomp profile failed: open {path}: no such file or directory")]
    SeccompMissing {
        /// Its path.
        path: String,
    },
    /// The seccomp policy is wrong.
    #[error(transparent)]
    Seccomp(#[from] minke_seccomp::Error),
}

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked is wrong in itself.
    Invalid,
    /// What was asked names something that is not there.
    NotFound,
    /// What was asked cannot be had on this host.
    Unsupported,
    /// A file could not be read.
    Io,
    /// The caller left something unresolved.
    Unresolved,
}

impl Error {
    /// What a caller may branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::UserUnknown { .. }
            | Error::GroupUnknown { .. }
            | Error::DeviceMissing { .. }
            | Error::CdiUnresolvable { .. }
            | Error::SeccompMissing { .. } => ErrorKind::NotFound,
            Error::UserFile { .. } => ErrorKind::Io,
            Error::DeviceRulesRootless | Error::ApparmorMissing { .. } => ErrorKind::Unsupported,
            Error::MountUnresolved { .. } | Error::NamespaceUnresolved { .. } => {
                ErrorKind::Unresolved
            }
            _ => ErrorKind::Invalid,
        }
    }

    pub(crate) fn syntax(option: &'static str, message: impl Into<String>) -> Self {
        Error::Syntax {
            option,
            message: message.into(),
        }
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
