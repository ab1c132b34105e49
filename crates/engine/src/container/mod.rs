//! Containers: one operation a file.

mod accounts; // passwd and group
pub(crate) mod again; // stop, and start
pub(crate) mod attach; // a client's streams and a container's
mod cdi; // devices by name
pub(crate) mod cleanup; // what is left to do when a container has ended
pub(crate) mod clone; // another like it
pub(crate) mod commit; // an image of it
pub(crate) mod copy; // files in and out
pub(crate) mod create; // a record and a writable layer
mod dependents; // who needs another
mod devices; // nodes of the host
pub(crate) mod diff; // what it changed
pub(crate) mod exec; // one more process
mod export; // its files as a tar stream
mod external; // what other engines have in the store
mod files; // resolv.conf, hosts, hostname
pub(crate) mod filter; // which containers, by what they are
pub(crate) mod health; // whether it is well
mod hooks; // programs that a host runs at its stages
mod host; // this machine, for the configuration
mod inspect; // everything about one container
mod intermediate; // ids of a normal user's namespace
mod kill; // a signal
pub(crate) mod list; // containers in short
mod lock; // one change of a container at a time
pub(crate) mod logs; // what it wrote
mod monitor; // starting conmon and hearing it
pub(crate) mod mount; // its files on the host
mod mounts; // which mounts it has
mod network; // its networks
mod pause; // the freezer
mod pipe; // a stream between two threads
pub(crate) mod preserve; // the caller's descriptors
pub(crate) mod prune; // all that do not run
mod readiness; // for a service manager
pub(crate) mod record; // what is stored
pub(crate) mod remove; // without a trace
mod rename; // another name
mod restart; // when it has ended, and its policy
mod rootfs; // a directory of the host as its root
mod runtime; // the OCI runtime, embedded or not
pub(crate) mod select; // which containers, by what was typed
mod stage; // what is mounted before the runtime mounts
mod start; // from a record to a running process
pub(crate) mod stats; // what it uses
pub(crate) mod status; // what is true now
pub(crate) mod stop; // politely, then not
mod subscriptions; // what every container gets of the host
pub(crate) mod top; // its processes
mod tree; // its files as it sees them
pub(crate) mod update; // what may change of one that is there
mod user_network; // pasta and slirp4netns
pub(crate) mod users; // its user namespace
pub(crate) mod wait; // for its end
mod zone; // time zones of the host
