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
    /// Run an init as process 1 (not supported)
    #[arg(long, hide = true)]
    pub init: bool,
}
