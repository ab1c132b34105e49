//! `top`: the processes of a container, read from procfs, from outside.
//!
//! Nothing is executed in the container and no namespace is joined: numbers are translated by
//! what the kernel says of each process (`NSpid`, `uid_map`). Names of users come from the
//! container's own files, read beneath its root.

mod descriptor; // the columns
mod names; // users and groups
mod process; // the facts of one process

use minke_sys::rooted::Root;

use self::descriptor::Descriptor;
use self::names::Names;
use self::process::Process;
use super::record::Record;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

/// What is shown where nothing is asked for (Podman's).
const DEFAULT: &[&str] = &[
    "user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args",
];

/// The processes of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessTable {
    /// The titles of the columns.
    pub titles: Vec<&'static str>,
    /// A process a row, by its number.
    pub rows: Vec<Vec<String>>,
}

/// The names of all columns that [`Engine::top`] knows.
pub fn descriptors() -> Vec<&'static str> {
    descriptor::all()
        .map(|descriptor| descriptor.name)
        .collect()
}

/// Whether these are columns, and not arguments for a ps(1).
pub fn are_descriptors(words: &[String]) -> bool {
    split(words).all(|word| Descriptor::named(word).is_some())
}

impl Engine {
    /// The processes of a container, with these columns; with none, the usual ones. A word may
    /// name several, between commas.
    ///
    /// # Errors
    /// No such container, or one that does not run; a column nobody knows.
    pub fn top(&self, name: &str, columns: &[String]) -> Result<ProcessTable> {
        let record = self.find(name)?;
        self.require_group(&record, no_group_for_top(&record.id))?;
        let (state, _) = self.status(&record);
        if !matches!(state, ContainerState::Running | ContainerState::Paused) {
            return Err(Error::WrongState {
                text: "top can only be used on running containers".to_owned(),
            });
        }
        let mut chosen: Vec<&str> = split(columns).collect();
        if chosen.is_empty() {
            chosen = DEFAULT.to_vec();
        }
        let columns = chosen
            .into_iter()
            .map(|word| {
                Descriptor::named(word)
                    .ok_or_else(|| Error::invalid(format!("unknown descriptor: {word}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let names = self.names(&record);
        let mut processes: Vec<Process> = self
            .processes_of(&record)
            .into_iter()
            .filter_map(|pid| Process::read(pid).ok())
            .collect();
        processes.sort_by_key(Process::inner_pid);
        let row = |process: &Process| {
            let cells = columns.iter().map(|column| column.cell(process, &names));
            cells.collect()
        };
        Ok(ProcessTable {
            titles: columns.iter().map(|column| column.title).collect(),
            rows: processes.iter().map(row).collect(),
        })
    }

    /// Those in its control group; where it has none, those in its process namespace.
    fn processes_of(&self, record: &Record) -> Vec<i32> {
        let grouped = self.group(record).and_then(|group| group.processes().ok());
        match (grouped, record.state.init) {
            (Some(pids), _) if !pids.is_empty() => pids.into_iter().collect(),
            (_, Some(init)) => process::in_namespace_of(init.pid),
            (_, None) => Vec::new(),
        }
    }

    /// The container's names of users and groups, by its root as the host has it mounted.
    fn names(&self, record: &Record) -> Names {
        let root = self.root_path(record).ok();
        let root = root.and_then(|path| Root::open_dir(&path).ok());
        Names::of(root.as_ref())
    }
}

/// Podman's words, for `stats` too.
pub(super) fn no_group_for_top(id: &str) -> String {
    format!("cannot run top on container {id} as it did not create a cgroup")
}

fn split(words: &[String]) -> impl Iterator<Item = &str> {
    words
        .iter()
        .flat_map(|word| word.split(','))
        .filter(|word| !word.is_empty())
}
