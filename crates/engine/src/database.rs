//! What is intended: one SQLite file below the graph root.
//!
//! ```text
//! containers(id, name, created, config, state, network_host)
//!   config  JSON: what was asked for and decided at creation, and by `update`; never changed by
//!           a start
//!   state   JSON: facts of the last start, replaced whole under the container's lock
//!   network_host  the container whose network it joins, as named; from config
//! ```
//!
//! What a `create` writes survives a loss of power (`synchronous=FULL` for that
//! transaction); facts of a start need not, and cost no sync.
//!
//! The schema has a version (`user_version`); a newer one is refused. WAL lets readers go on
//! while one process writes; a writer waits for another at most [`BUSY`].

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use minke_runtime_spec::container::NetworkMode;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use crate::container::record::{Config, Record, State};
use crate::error::{Error, Result};
use crate::timestamp::to_nanoseconds;

/// The schema this code writes.
const VERSION: i32 = 2;

/// How long a writer waits for another process.
const BUSY: Duration = Duration::from_secs(30);

const SCHEMA: &str = "
    CREATE TABLE containers (
        id TEXT PRIMARY KEY NOT NULL,
        name TEXT NOT NULL UNIQUE,
        created INTEGER NOT NULL,
        config TEXT NOT NULL,
        state TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX containers_by_creation ON containers (created);
";

/// From version 1 to 2: a teardown finds who has joined a network without reading every container.
const NETWORK_HOST: &str = "
    ALTER TABLE containers ADD COLUMN network_host TEXT;
    UPDATE containers SET network_host =
        json_extract(config, '$.spec.namespaces.network.container') WHERE json_valid(config);
    CREATE INDEX containers_by_network_host ON containers (network_host)
        WHERE network_host IS NOT NULL;
";

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the file, making it when it is missing.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| Error::Database {
            path: path.to_owned(),
            source,
        };
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        // The last one to leave would copy the log into the file, syncing twice: every short
        // command is the last one. The log is copied once it has grown instead.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .and_then(|_| connection.pragma_update(None, "wal_autocheckpoint", 25))
            .and_then(|()| connection.pragma_update(None, "synchronous", "NORMAL"))
            .map_err(failed)?;
        let database = Self {
            path: path.to_owned(),
            connection,
        };
        database.prepare()?;
        Ok(database)
    }

    fn prepare(&self) -> Result<()> {
        let version = self.version()?;
        if version == VERSION {
            return Ok(());
        }
        self.run_patiently(|db| db.pragma_update(None, "journal_mode", "WAL"))?;
        // Others may be doing the same: the version is looked at again inside.
        self.run(|db| {
            db.execute_batch("BEGIN IMMEDIATE")?;
            let result = self.migrate(db);
            db.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
            result
        })?;
        match self.version()? {
            VERSION => Ok(()),
            newer => Err(Error::invalid(format!(
                "{} has version {newer} and this minke knows {VERSION}: use the minke that wrote it",
                self.path.display()
            ))),
        }
    }

    fn migrate(&self, db: &Connection) -> rusqlite::Result<()> {
        let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version >= VERSION {
            return Ok(());
        }
        if version < 1 {
            db.execute_batch(SCHEMA)?;
        }
        db.execute_batch(NETWORK_HOST)?;
        db.pragma_update(None, "user_version", VERSION)
    }

    fn version(&self) -> Result<i32> {
        self.run_patiently(|db| db.pragma_query_value(None, "user_version", |row| row.get(0)))
    }

    /// As `run`, again while another process holds the file: changing the journal's kind, and
    /// reading while that goes on, are refused at once and not waited for by SQLite.
    fn run_patiently<T>(&self, act: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let patience = Instant::now() + BUSY;
        loop {
            match act(&self.connection) {
                Err(rusqlite::Error::SqliteFailure(failure, _))
                    if matches!(
                        failure.code,
                        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked
                    ) && Instant::now() < patience =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                result => return self.run(|_| result),
            }
        }
    }

    fn run<T>(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        act(&self.connection).map_err(|source| Error::Database {
            path: self.path.clone(),
            source,
        })
    }

    /// As `run`; with `durable` what is written is on disk when this returns.
    fn run_durably<T>(
        &self,
        durable: bool,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        if !durable {
            return self.run(act);
        }
        self.run(|db| db.pragma_update(None, "synchronous", "FULL"))?;
        let result = self.run(act);
        self.run(|db| db.pragma_update(None, "synchronous", "NORMAL"))?;
        result
    }

    /// Adds a container. `Ok(Some(holder))` when its name is taken.
    pub fn insert(&self, record: &Record) -> Result<Option<String>> {
        let config = to_json(&record.id, &record.config)?;
        let state = to_json(&record.id, &record.state)?;
        // One that goes with its end need not survive the host's.
        let durable = !record.config.spec.remove;
        let inserted = self.run_durably(durable, |db| {
            db.execute(
                "INSERT INTO containers (id, name, created, config, state, network_host)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO NOTHING",
                params![
                    record.id,
                    record.name,
                    to_nanoseconds(record.config.created),
                    config,
                    state,
                    network_host(&record.config)
                ],
            )
        })?;
        if inserted == 1 {
            return Ok(None);
        }
        self.id_of_name(&record.name)
    }

    /// Replaces what is wanted of a container.
    pub fn update_config(&self, id: &str, config: &Config) -> Result<()> {
        let text = to_json(id, config)?;
        let changed = self.run_durably(!config.spec.remove, |db| {
            db.execute(
                "UPDATE containers SET config = ?2 WHERE id = ?1",
                params![id, text],
            )
        })?;
        if changed == 1 {
            return Ok(());
        }
        Err(Error::ContainerUnknown {
            name: id.to_owned(),
        })
    }

    /// Replaces the facts of a container.
    pub fn update_state(&self, id: &str, state: &State) -> Result<()> {
        let text = to_json(id, state)?;
        let changed = self.run(|db| {
            db.execute(
                "UPDATE containers SET state = ?2 WHERE id = ?1",
                params![id, text],
            )
        })?;
        if changed == 1 {
            Ok(())
        } else {
            Err(Error::ContainerUnknown {
                name: id.to_owned(),
            })
        }
    }

    /// Gives a container another name.
    pub fn rename(&self, id: &str, name: &str) -> Result<()> {
        let changed = self.run(|db| {
            db.execute(
                "UPDATE OR IGNORE containers SET name = ?2 WHERE id = ?1",
                params![id, name],
            )
        })?;
        if changed == 1 {
            return Ok(());
        }
        Err(match self.id_of_name(name)? {
            Some(holder) => Error::NameTaken {
                name: name.to_owned(),
                holder,
            },
            None => Error::ContainerUnknown {
                name: id.to_owned(),
            },
        })
    }

    /// Forgets a container; forgotten already is success.
    pub fn delete(&self, id: &str) -> Result<()> {
        // Forgotten by a loss of power, a removal is repeated: its record names nothing then.
        self.run(|db| db.execute("DELETE FROM containers WHERE id = ?1", params![id]))?;
        Ok(())
    }

    /// One container by its full id.
    pub fn get(&self, id: &str) -> Result<Option<Record>> {
        let row = self.run(|db| {
            db.prepare_cached("SELECT id, name, config, state FROM containers WHERE id = ?1")?
                .query_row(params![id], |row| Ok((Row::read(row)?, Row::state(row)?)))
                .optional()
        })?;
        row.map(|(row, state)| row.parse(state)).transpose()
    }

    /// Every container of whose facts `select` makes something, with that, the oldest first. One
    /// whose record is damaged is left out, with a warning that names it.
    pub fn list<T>(&self, select: impl Fn(&State) -> Option<T>) -> Result<Vec<(Record, T)>> {
        let mut found = Vec::new();
        self.run(|db| {
            // In the table's own order: by an index each row costs a way down the tree.
            let mut statement = db.prepare("SELECT id, name, config, state FROM containers")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                // What is not wanted is not even copied: configurations are long.
                let state = Row::state(row)?;
                let Some(selected) = select(&state) else {
                    continue;
                };
                match Row::read(row)?.parse(state) {
                    Ok(record) => found.push((record, selected)),
                    Err(error) => tracing::warn!("{}: remove it with `rm`", error.chain()),
                }
            }
            Ok(())
        })?;
        found.sort_by_key(|(record, _): &(Record, T)| record.config.created);
        Ok(found)
    }

    /// Every container, the oldest first; see [`list`](Self::list).
    pub fn all(&self) -> Result<Vec<Record>> {
        let found = self.list(|_| Some(()))?;
        Ok(found.into_iter().map(|(record, ())| record).collect())
    }

    /// `(id, name)` of every container, the oldest first.
    pub fn names(&self) -> Result<Vec<(String, String)>> {
        let mut found: Vec<(i64, String, String)> = self.run(|db| {
            db.prepare("SELECT created, id, name FROM containers")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })?;
        found.sort();
        Ok(found.into_iter().map(|(_, id, name)| (id, name)).collect())
    }

    /// `(id, host)` of containers that join the network of another, as they name it.
    pub fn network_guests(&self) -> Result<Vec<(String, String)>> {
        self.run(|db| {
            db.prepare_cached(
                "SELECT id, network_host FROM containers WHERE network_host IS NOT NULL",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
        })
    }

    /// Containers in whose configuration one of `words` stands anywhere, the newest first. One
    /// whose record is damaged is left out.
    pub fn mentioning(&self, words: &[&str]) -> Result<Vec<Record>> {
        let mut found = Vec::new();
        for word in words {
            let rows = self.run(|db| {
                db.prepare_cached(
                    "SELECT id, name, config, state FROM containers
                     WHERE instr(config, ?1) ORDER BY created DESC",
                )?
                .query_map(params![word], |row| Ok((Row::read(row)?, Row::state(row)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
            })?;
            let records = rows
                .into_iter()
                .filter_map(|(row, state)| row.parse(state).ok());
            for record in records {
                if !found.iter().any(|known: &Record| known.id == record.id) {
                    found.push(record);
                }
            }
        }
        Ok(found)
    }

    /// Who has a name.
    pub fn id_of_name(&self, name: &str) -> Result<Option<String>> {
        self.run(|db| {
            db.prepare_cached("SELECT id FROM containers WHERE name = ?1")?
                .query_row(params![name], |row| row.get(0))
                .optional()
        })
    }

    /// The full id that a name, an id or the beginning of one stands for.
    pub fn find(&self, text: &str) -> Result<String> {
        if text.is_empty() {
            return Err(Error::invalid("name or ID cannot be empty"));
        }
        if let Some(id) = self.id_of_name(text)? {
            return Ok(id);
        }
        let mut found = Vec::new();
        if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            found = self.run(|db| {
                db.prepare_cached(
                    "SELECT id FROM containers WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2",
                )?
                .query_map(params![text], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()
            })?;
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Error::ContainerUnknown {
                name: text.to_owned(),
            }),
            _ => Err(Error::Ambiguous {
                name: text.to_owned(),
            }),
        }
    }
}

/// A row as bytes: it is parsed where errors can name the container.
struct Row {
    id: String,
    name: String,
    config: Vec<u8>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            config: bytes(row, "config")?.to_vec(),
        })
    }

    /// The facts. Where they are damaged, the next start or removal takes away whatever may be
    /// there of the last one.
    fn state(row: &rusqlite::Row<'_>) -> rusqlite::Result<State> {
        match serde_json::from_slice(bytes(row, "state")?) {
            Ok(state) => Ok(state),
            Err(error) => {
                let id: String = row.get("id")?;
                tracing::warn!(container = id, %error, "its facts are damaged and forgotten");
                Ok(State {
                    dirty: true,
                    ..State::default()
                })
            }
        }
    }

    fn parse(self, state: State) -> Result<Record> {
        let config = serde_json::from_slice(&self.config).map_err(|source| Error::Record {
            object: format!("container {}", self.id),
            source,
        })?;
        Ok(Record {
            id: self.id,
            name: self.name,
            config,
            state,
        })
    }
}

/// A column's bytes, whatever was done to them.
fn bytes<'a>(row: &'a rusqlite::Row<'_>, column: &str) -> rusqlite::Result<&'a [u8]> {
    Ok(row.get_ref(column)?.as_bytes().unwrap_or_default())
}

fn network_host(config: &Config) -> Option<&str> {
    match &config.spec.namespaces.network {
        NetworkMode::Container(name) => Some(name),
        _ => None,
    }
}

fn to_json<T: serde::Serialize>(id: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|source| Error::Record {
        object: format!("container {id}"),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: char, name: &str) -> Record {
        Record {
            id: id.to_string().repeat(64),
            name: name.to_owned(),
            config: Config::default(),
            state: State::default(),
        }
    }

    #[test]
    fn containers_are_found_by_name_id_and_prefix() {
        let scratch = tempfile::tempdir().unwrap();
        let database = Database::open(&scratch.path().join("db")).unwrap();
        assert_eq!(database.insert(&record('a', "one")).unwrap(), None);
        assert_eq!(database.insert(&record('b', "two")).unwrap(), None);
        let taken = database.insert(&record('c', "two")).unwrap();
        assert_eq!(taken, Some("b".repeat(64)));
        assert_eq!(database.find("one").unwrap(), "a".repeat(64));
        assert_eq!(database.find("bbb").unwrap(), "b".repeat(64));
        assert_eq!(database.find(&"a".repeat(64)).unwrap(), "a".repeat(64));
        assert!(matches!(
            database.find("c"),
            Err(Error::ContainerUnknown { .. })
        ));
        assert!(database.find("").is_err());
        assert!(database.find("b%").is_err());
        let mut similar = record('a', "three");
        similar.id.replace_range(60.., "bbbb");
        database.insert(&similar).unwrap();
        assert!(matches!(database.find("aa"), Err(Error::Ambiguous { .. })));
        assert_eq!(database.all().unwrap().len(), 3);
        database.delete(&"b".repeat(64)).unwrap();
        database.delete(&"b".repeat(64)).unwrap();
        assert!(database.find("two").is_err());
    }

    #[test]
    fn names_stay_unique_when_changed() {
        let scratch = tempfile::tempdir().unwrap();
        let database = Database::open(&scratch.path().join("db")).unwrap();
        database.insert(&record('a', "one")).unwrap();
        database.insert(&record('b', "two")).unwrap();
        let id = "a".repeat(64);
        let taken = database.rename(&id, "two").unwrap_err();
        assert!(matches!(taken, Error::NameTaken { .. }), "{taken}");
        database.rename(&id, "three").unwrap();
        assert_eq!(database.find("three").unwrap(), id);
        assert!(database.find("one").is_err());
        assert!(database.rename(&"c".repeat(64), "four").is_err());
    }

    #[test]
    fn a_newer_schema_is_refused_and_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("db");
        drop(Database::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let error = Database::open(&path).unwrap_err().to_string();
        assert!(error.contains("99"), "{error}");
    }

    #[test]
    fn damage_stays_with_its_container() {
        let scratch = tempfile::tempdir().unwrap();
        let database = Database::open(&scratch.path().join("db")).unwrap();
        for (id, name) in [('a', "whole"), ('b', "config"), ('c', "facts")] {
            database.insert(&record(id, name)).unwrap();
        }
        let spoil = |column: &str, name: &str| {
            let text = format!("UPDATE containers SET {column} = x'ff7b' WHERE name = '{name}'");
            let text = text.replace("x'ff7b'", "CAST(x'ff7b' AS TEXT)");
            database.run(|db| db.execute(&text, [])).unwrap();
        };
        spoil("config", "config");
        spoil("state", "facts");
        let found = database.all().unwrap();
        let names: Vec<&str> = found.iter().map(|record| record.name.as_str()).collect();
        assert_eq!(names, ["whole", "facts"]);
        assert!(found[1].state.dirty);
        let id = database.find("config").unwrap();
        let error = database.get(&id).unwrap_err();
        assert!(matches!(error, Error::Record { .. }), "{error}");
    }

    #[test]
    fn version_1_is_brought_up_and_its_network_guests_are_known() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("db");
        let mut guest = record('a', "guest");
        guest.config.spec.namespaces.network = NetworkMode::Container("host".into());
        let old = Connection::open(&path).unwrap();
        old.execute_batch(SCHEMA).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        let config = to_json("a", &guest.config).unwrap();
        old.execute(
            "INSERT INTO containers VALUES (?1, 'guest', 1, ?2, '{}')",
            params![guest.id, config],
        )
        .unwrap();
        drop(old);
        let database = Database::open(&path).unwrap();
        database.insert(&record('b', "other")).unwrap();
        let guests = database.network_guests().unwrap();
        assert_eq!(guests, [(guest.id, "host".to_owned())]);
    }

    #[test]
    fn several_processes_may_make_it_at_once() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("db");
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d", "e", "f"] {
                let path = &path;
                scope.spawn(move || {
                    let id = name.chars().next().unwrap();
                    let database = Database::open(path).unwrap();
                    database.insert(&record(id, name)).unwrap();
                });
            }
        });
        assert_eq!(Database::open(&path).unwrap().all().unwrap().len(), 6);
    }
}
