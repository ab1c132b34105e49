//! The commands: one file each, with its flags, its one call of the engine, and its tests.

pub mod attach;
pub mod checkpoint;
pub mod cleanup;
pub mod clone;
pub mod commit;
pub mod completion;
pub mod cp;
pub mod create;
pub mod diff;
pub mod exec;
pub mod exists;
pub mod export;
pub mod healthcheck;
pub mod images;
pub mod info;
pub mod init;
pub mod inspect;
pub mod kill;
pub mod load;
pub mod logs;
pub mod mount;
pub mod pause;
pub mod port;
pub mod prune;
pub mod ps;
pub mod pull;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod runlabel;
pub mod save;
pub mod start;
pub mod stats;
pub mod stop;
pub mod tag;
pub mod top;
pub mod unpause;
pub mod unshare;
pub mod update;
pub mod version;
pub mod wait;

mod session; // attaching this process's streams
