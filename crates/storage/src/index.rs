//! The index files: JSON arrays of records, replaced whole under their lock.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use minke_sys::atomic::{self, Durability, ReplaceOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::lastwrite::{Held, LockPath, Token};
use crate::{Error, Result};

/// No index grows beyond this.
const MAX_INDEX_BYTES: u64 = 1 << 30;

/// What a record must tell to be found.
pub trait Record {
    /// The id, 64 hex digits.
    fn id(&self) -> &str;
    /// The names, unique among records of the kind.
    fn names(&self) -> &[String];
    /// The error for a reference that finds nothing.
    fn unknown(reference: &str) -> Error;
    /// Whether the record is to be seen at all.
    fn is_whole(&self) -> bool {
        true
    }
}

/// Which file a record is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The main file, synced.
    Stable,
    /// The file of records that need not survive a power loss.
    Volatile,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub(crate) record: T,
    pub(crate) place: Place,
}

/// All records of one kind, as they were at one moment.
#[derive(Debug, Clone)]
pub struct Index<T> {
    pub(crate) entries: Vec<Entry<T>>,
    /// Records of the two files that we do not understand, written back as they were.
    foreign: [Vec<Value>; 2],
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            foreign: Default::default(),
        }
    }
}

impl<T: Record> Index<T> {
    /// Every record, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.entries
            .iter()
            .map(|entry| &entry.record)
            .filter(|record| record.is_whole())
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The record of exactly this id.
    pub fn get(&self, id: impl AsRef<str>) -> Option<&T> {
        self.iter().find(|record| record.id() == id.as_ref())
    }

    /// The record that has this name.
    pub fn by_name(&self, name: &str) -> Option<&T> {
        self.iter()
            .rev()
            .find(|record| record.names().iter().any(|other| other == name))
    }

    /// The record of this id, or of this name, or whose id alone begins so.
    ///
    /// # Errors
    /// Not found, or [`Error::Ambiguous`].
    pub fn lookup(&self, reference: &str) -> Result<&T> {
        if let Some(record) = self.get(reference).or_else(|| self.by_name(reference)) {
            return Ok(record);
        }
        let mut fitting = self
            .iter()
            .filter(|record| !reference.is_empty() && record.id().starts_with(reference));
        match (fitting.next(), fitting.next()) {
            (Some(record), None) => Ok(record),
            (Some(_), Some(_)) => Err(Error::Ambiguous {
                reference: reference.to_owned(),
            }),
            (None, _) => Err(T::unknown(reference)),
        }
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Result<(&mut T, Place)> {
        let found = self
            .entries
            .iter_mut()
            .find(|entry| entry.record.id() == id);
        found
            .map(|entry| (&mut entry.record, entry.place))
            .ok_or_else(|| T::unknown(id))
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Entry<T>> {
        let position = self
            .entries
            .iter()
            .position(|entry| entry.record.id() == id)?;
        Some(self.entries.remove(position))
    }
}

/// The two files and the lock of one kind of record, with what was last read of them.
#[derive(Debug)]
pub(crate) struct IndexFiles<T> {
    lock: LockPath,
    /// The stable file and the volatile one, where the kind has one.
    files: [Option<PathBuf>; 2],
    cache: Mutex<Option<Cached<T>>>,
}

#[derive(Debug)]
struct Cached<T> {
    token: Token,
    stamps: [Stamp; 2],
    index: Arc<Index<T>>,
}

/// Tells a replaced file from the one before, should a writer have left the token alone.
type Stamp = Option<(u64, u64, i64, i64)>;

impl<T: Record + Clone + Serialize + DeserializeOwned> IndexFiles<T> {
    pub(crate) fn new(lock: PathBuf, stable: PathBuf, volatile: Option<PathBuf>) -> Self {
        let files = [Some(stable), volatile];
        Self {
            lock: LockPath::new(lock),
            files,
            cache: Mutex::new(None),
        }
    }

    /// The records as they are now; the lock is held only while they are read.
    pub(crate) fn read(&self) -> Result<Arc<Index<T>>> {
        self.read_locked().map(|(_, index)| index)
    }

    /// As [`IndexFiles::read`], keeping the shared lock.
    ///
    /// Some programs hold the lock all the time that they unpack a layer. A reader does not wait
    /// for them: files are replaced whole, so what stands there is a whole index, and the lock
    /// is then not held.
    pub(crate) fn read_locked(&self) -> Result<(Option<Held>, Arc<Index<T>>)> {
        match self.lock.try_shared()? {
            Some(held) => {
                let index = self.load(&held)?;
                Ok((Some(held), index))
            }
            None => Ok((None, Arc::new(self.parse_files()?))),
        }
    }

    /// Locks for writing and reads what there is now.
    pub(crate) fn write_locked(&self) -> Result<(Held, Index<T>)> {
        let held = self.lock.exclusive()?;
        let index = Arc::unwrap_or_clone(self.load(&held)?);
        Ok((held, index))
    }

    fn load(&self, held: &Held) -> Result<Arc<Index<T>>> {
        let token = held.token()?;
        let stamps = [self.stamp(0)?, self.stamp(1)?];
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = cache.as_ref()
            && cached.token == token
            && cached.stamps == stamps
        {
            return Ok(Arc::clone(&cached.index));
        }
        let index = Arc::new(self.parse_files()?);
        *cache = Some(Cached {
            token,
            stamps,
            index: Arc::clone(&index),
        });
        Ok(index)
    }

    fn parse_files(&self) -> Result<Index<T>> {
        let mut index = Index::default();
        for (number, place) in [(0, Place::Stable), (1, Place::Volatile)] {
            if let Some(path) = &self.files[number] {
                index.foreign[number] = read_file(path, place, &mut index.entries)?;
            }
        }
        Ok(index)
    }

    fn stamp(&self, number: usize) -> Result<Stamp> {
        let Some(path) = &self.files[number] else {
            return Ok(None);
        };
        match std::fs::metadata(path) {
            Ok(file) => Ok(Some((
                file.ino(),
                file.size(),
                file.mtime(),
                file.mtime_nsec(),
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    /// Replaces the file of `place` with the records of `index` that belong there.
    pub(crate) fn save(
        &self,
        held: &Held,
        index: &Index<T>,
        place: Place,
        durability: Durability,
    ) -> Result<()> {
        let (number, durability) = match place {
            Place::Stable => (0, durability),
            Place::Volatile => (1, Durability::Cached),
        };
        let path = self.files[number]
            .as_ref()
            .ok_or_else(|| Error::Unsupported {
                what: "a record that need not survive a power loss, of this kind,".to_owned(),
            })?;
        let text = self
            .render(index, place, number)
            .map_err(|source| Error::Index {
                path: path.clone(),
                source,
            })?;
        held.record_write()?;
        let options = ReplaceOptions {
            mode: 0o600,
            durability,
        };
        atomic::replace(path, &text, &options).map_err(Error::io("write", path))
    }

    fn render(&self, index: &Index<T>, place: Place, number: usize) -> serde_json::Result<Vec<u8>> {
        let mut records: Vec<&T> = Vec::with_capacity(index.entries.len());
        records.extend(
            index
                .entries
                .iter()
                .filter(|entry| entry.place == place)
                .map(|entry| &entry.record),
        );
        let mut text = serde_json::to_vec(&records)?;
        for value in &index.foreign[number] {
            text.pop();
            if text.len() > 1 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, value)?;
            text.push(b']');
        }
        Ok(text)
    }
}

/// Adds the records of a file to `entries`; gives those that could not be understood.
fn read_file<T: Record + DeserializeOwned>(
    path: &Path,
    place: Place,
    entries: &mut Vec<Entry<T>>,
) -> Result<Vec<Value>> {
    let text = match File::open(path) {
        Ok(file) => read_capped(file).map_err(Error::io("read", path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let (records, foreign) = parse::<T>(&text).map_err(|source| Error::Index {
        path: path.to_owned(),
        source,
    })?;
    for value in &foreign {
        tracing::warn!(path = %path.display(), record = %value, "a record cannot be understood");
    }
    let mut seen: HashSet<String> = entries
        .iter()
        .map(|entry| entry.record.id().to_owned())
        .collect();
    for record in records {
        if seen.insert(record.id().to_owned()) {
            entries.push(Entry { record, place });
        }
    }
    Ok(foreign)
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<(Vec<T>, Vec<Value>)> {
    if let Ok(records) = serde_json::from_slice::<Option<Vec<T>>>(text) {
        return Ok((records.unwrap_or_default(), Vec::new()));
    }
    let mut records = Vec::new();
    let mut foreign = Vec::new();
    for value in serde_json::from_slice::<Vec<Value>>(text)? {
        match serde_json::from_value(value.clone()) {
            Ok(record) => records.push(record),
            Err(_) => foreign.push(value),
        }
    }
    Ok((records, foreign))
}

fn read_capped(file: File) -> io::Result<Vec<u8>> {
    let claimed = file.metadata()?.len();
    if claimed > MAX_INDEX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut text = Vec::with_capacity(claimed as usize);
    file.take(MAX_INDEX_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;

    fn files(dir: &Path) -> IndexFiles<Layer> {
        let volatile = Some(dir.join("volatile-layers.json"));
        IndexFiles::new(dir.join("layers.lock"), dir.join("layers.json"), volatile)
    }

    #[test]
    fn unknown_fields_and_foreign_records_survive() {
        let dir = tempfile::tempdir().unwrap();
        let id = "a".repeat(64);
        let text = format!(
            r#"[{{"id":"{id}","created":"2026-01-02T03:04:05.5Z","future":[1,{{"x":2}}]}},{{"id":"odd"}}]"#
        );
        std::fs::write(dir.path().join("layers.json"), &text).unwrap();
        let files = files(dir.path());
        let (held, index) = files.write_locked().unwrap();
        assert_eq!(index.len(), 1);
        files
            .save(&held, &index, Place::Stable, Durability::Cached)
            .unwrap();
        let after = std::fs::read_to_string(dir.path().join("layers.json")).unwrap();
        let [before, after] =
            [&text, &after].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn reads_again_only_after_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let first = files.read().unwrap();
        assert!(Arc::ptr_eq(&first, &files.read().unwrap()));
        std::fs::write(
            dir.path().join("layers.json"),
            format!(r#"[{{"id":"{}"}}]"#, "b".repeat(64)),
        )
        .unwrap();
        assert_eq!(files.read().unwrap().len(), 1);
    }

    #[test]
    fn readers_do_not_wait_for_writers() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let (_held, _) = files.write_locked().unwrap();
        let text = format!(r#"[{{"id":"{}"}}]"#, "b".repeat(64));
        std::fs::write(dir.path().join("layers.json"), text).unwrap();
        let (held, index) = files.read_locked().unwrap();
        assert!(held.is_none());
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn damage_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("layers.json"), "[{\"id\":").unwrap();
        let error = files(dir.path()).read().unwrap_err();
        assert!(error.to_string().contains("layers.json"), "{error}");
        std::fs::write(dir.path().join("layers.json"), "").unwrap();
        assert!(files(dir.path()).read().unwrap().is_empty());
    }

    #[test]
    fn prefixes_find_one_or_complain() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = [
            format!("abc{}", "0".repeat(61)),
            format!("abd{}", "0".repeat(61)),
        ];
        let text = format!(r#"[{{"id":"{one}","names":["first"]}},{{"id":"{two}"}}]"#);
        std::fs::write(dir.path().join("layers.json"), text).unwrap();
        let index = files(dir.path()).read().unwrap();
        assert_eq!(index.lookup("abc").unwrap().id.as_str(), one);
        assert_eq!(index.lookup("first").unwrap().id.as_str(), one);
        assert!(matches!(index.lookup("ab"), Err(Error::Ambiguous { .. })));
        assert!(matches!(index.lookup("x"), Err(Error::LayerUnknown { .. })));
        assert!(matches!(index.lookup(""), Err(Error::LayerUnknown { .. })));
    }
}
