//! The process of the container.

use std::path::PathBuf;

use clap::Args;

// What runs, as whom and with which variables.
#[derive(Debug, Clone, Default, Args)]
pub struct ProcessFlags {
    /// Environment variable: KEY=VALUE, or KEY or KEY* for values of this environment
    #[arg(short, long)]
    pub env: Vec<String>,
    /// File with a variable a line
    #[arg(long, value_name = "PATH")]
    pub env_file: Vec<PathBuf>,
    /// Pass this environment on
    #[arg(long)]
    pub env_host: bool,
    /// Directory to start in
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User, and group after a colon
    #[arg(short, long)]
    pub user: Option<String>,
    /// Further groups
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Program in place of the image's: a path, or a JSON array of words
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// File creation mask
    #[arg(long)]
    pub umask: Option<String>,
    /// Run an init as process 1, which passes signals on and reaps
    #[arg(long)]
    pub init: bool,
    /// The init to run in place of our own
    #[arg(long, value_name = "PATH")]
    pub init_path: Option<PathBuf>,
    /// Variable in whose value $NAME is the image's: KEY=VALUE
    #[arg(long, value_name = "VARIABLE")]
    pub env_merge: Vec<String>,
    /// Leave out a variable of the image or the defaults
    #[arg(long, value_name = "NAME")]
    pub unsetenv: Vec<String>,
    /// Leave all of them out
    #[arg(long)]
    pub unsetenv_all: bool,
    /// Pass the host's proxy variables on (default true)
    #[arg(long)]
    pub http_proxy: Option<bool>,
    /// Make it ready for systemd: true (if its command is an init), always, false
    #[arg(long, value_name = "MODE")]
    pub systemd: Option<String>,
    /// Time zone, or `local` for the host's
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Execution domain: LINUX or LINUX32
    #[arg(long, value_name = "DOMAIN")]
    pub personality: Option<String>,
    /// Put the user in /etc/passwd and its group in /etc/group (default true)
    #[arg(long)]
    pub passwd: Option<bool>,
    /// Line for the user in /etc/passwd
    #[arg(long, value_name = "LINE")]
    pub passwd_entry: Option<String>,
    /// Line for the group in /etc/group
    #[arg(long, value_name = "LINE")]
    pub group_entry: Option<String>,
    /// User of the host to put in /etc/passwd
    #[arg(long, value_name = "USER")]
    pub hostuser: Vec<String>,
}
