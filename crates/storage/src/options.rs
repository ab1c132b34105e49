use std::path::PathBuf;

/// What `storage.conf(5)` says of the overlay driver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverlayOptions {
    /// Mount options for every mount, unless a mount brings its own.
    pub mount_options: Vec<String>,
    /// A program that mounts in place of the kernel. Parsed; mounts are refused where it is set.
    pub mount_program: Option<PathBuf>,
    /// Leave the owner of a file as it is where it cannot be set.
    pub ignore_chown_errors: bool,
    /// Whether the driver's directory is left as it is rather than made a private mount.
    pub skip_mount_home: bool,
}

/// Where a store is and how it behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The directory of what stays.
    pub graph_root: PathBuf,
    /// The directory of what a reboot ends, normally on tmpfs.
    pub run_root: PathBuf,
    /// The copy-on-write driver by name. Only `overlay` exists now.
    pub driver: String,
    /// Of the overlay driver.
    pub overlay: OverlayOptions,
    /// Read-only stores whose images may be used. Parsed; not read yet.
    pub additional_image_stores: Vec<PathBuf>,
    /// Whether this process is root only in its own user namespace: overlay then keeps its
    /// marks in `user.overlay.*`, and device nodes are left out.
    pub in_user_namespace: bool,
    /// Keep container records in the run root, where a reboot ends them.
    pub transient: bool,
    /// Whether `volatile` is never passed to overlay.
    pub disable_volatile: bool,
    /// Whether what is recorded survives a loss of power. Turn it off for tests.
    pub durable: bool,
    /// The most bytes the tar stream of a layer may have.
    pub max_layer_bytes: u64,
}

impl StoreOptions {
    /// An overlay store at these two directories, all else as usual.
    pub fn new(graph_root: impl Into<PathBuf>, run_root: impl Into<PathBuf>) -> Self {
        Self {
            graph_root: graph_root.into(),
            run_root: run_root.into(),
            driver: "overlay".to_owned(),
            overlay: OverlayOptions::default(),
            additional_image_stores: Vec::new(),
            in_user_namespace: false,
            transient: false,
            disable_volatile: false,
            durable: true,
            max_layer_bytes: 1 << 40,
        }
    }
}
