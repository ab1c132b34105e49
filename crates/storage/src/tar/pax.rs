//! Extended header records.

use super::header::Fault;

/// The records of one extended header that mean something to a layer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link_path: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mtime: Option<(i64, u32)>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: SparseRecords,
}

/// The `GNU.sparse` records, in their three versions.
#[derive(Debug, Default, Clone)]
pub(crate) struct SparseRecords {
    pub(crate) version: Option<(u64, u64)>,
    major: Option<u64>,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) real_size: Option<u64>,
    /// Offsets and lengths of versions 0.0 and 0.1.
    pub(crate) map: Option<Vec<u64>>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

impl Pax {
    pub(crate) fn parse(mut bytes: &[u8]) -> Result<Self, Fault> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes)?;
            pax.set(key, value)?;
            bytes = rest;
        }
        Ok(pax)
    }

    /// Global headers may say nothing that other readers understand differently.
    pub(crate) fn check_global(mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let (key, _, rest) = record(bytes)?;
            let framing = matches!(key, b"path" | b"linkpath" | b"size");
            if framing || key.starts_with(b"GNU.sparse.") {
                let key = String::from_utf8_lossy(key);
                return Err(format!("a global extended header sets {key:?}"));
            }
            bytes = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        // An empty value takes the record back: what the header block says holds.
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(path(value)?),
            b"linkpath" => self.link_path = Some(path(value)?),
            b"size" => self.size = Some(decimal(value, "size")?),
            b"uid" => self.uid = Some(decimal(value, "uid")?),
            b"gid" => self.gid = Some(decimal(value, "gid")?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(field) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.set(field, value)?;
                }
            }
        }
        Ok(())
    }
}

impl SparseRecords {
    fn set(&mut self, field: &[u8], value: &[u8]) -> Result<(), Fault> {
        match field {
            b"major" => self.major = Some(decimal(value, "sparse version")?),
            b"minor" => {
                let minor = decimal(value, "sparse version")?;
                self.version = self.major.map(|major| (major, minor));
            }
            b"name" => self.name = Some(path(value)?),
            b"size" | b"realsize" => self.real_size = Some(decimal(value, "sparse size")?),
            b"offset" | b"numbytes" => {
                self.map
                    .get_or_insert_default()
                    .push(decimal(value, "sparse map")?);
            }
            b"map" => {
                let numbers = value.split(|byte| *byte == b',');
                let map: Result<_, _> = numbers.map(|text| decimal(text, "sparse map")).collect();
                self.map = Some(map?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A key, its value, and what follows.
type Split<'b> = (&'b [u8], &'b [u8], &'b [u8]);

/// Splits `"length key=value\n"` off the front.
fn record(bytes: &[u8]) -> Result<Split<'_>, Fault> {
    let bad = || "a record of an extended header is broken".to_owned();
    let space = bytes
        .iter()
        .take(20)
        .position(|byte| *byte == b' ')
        .ok_or_else(bad)?;
    let length = usize::try_from(decimal(&bytes[..space], "record length")?).map_err(|_| bad())?;
    if length <= space + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return Err(bad());
    }
    let text = &bytes[space + 1..length - 1];
    let equals = text.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
    if equals == 0 {
        return Err(bad());
    }
    Ok((&text[..equals], &text[equals + 1..], &bytes[length..]))
}

fn path(value: &[u8]) -> Result<Vec<u8>, Fault> {
    if value.contains(&0) {
        return Err("a name holds a null byte".to_owned());
    }
    Ok(value.to_vec())
}

pub(crate) fn decimal(text: &[u8], what: &str) -> Result<u64, Fault> {
    let bad = || format!("the {what} of an extended header is no number");
    if text.is_empty() || text.len() > 20 {
        return Err(bad());
    }
    text.iter()
        .try_fold(0_u64, |number, byte| match byte {
            b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
            _ => None,
        })
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or_else(bad)
}

/// Seconds and nanoseconds of `"[-]seconds[.fraction]"`; the nanoseconds count upwards.
fn time(value: &[u8]) -> Result<(i64, u32), Fault> {
    let (negative, text) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let dot = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match dot {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = decimal(whole, "mtime")?.cast_signed();
    let mut nanos = 0;
    for place in 0..9 {
        let digit = match fraction.get(place) {
            None => 0,
            Some(byte @ b'0'..=b'9') => u32::from(byte - b'0'),
            Some(_) => return Err("the mtime of an extended header is no number".to_owned()),
        };
        nanos = nanos * 10 + digit;
    }
    Ok(match (negative, nanos) {
        (false, nanos) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, nanos) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_layer_needs() {
        let pax = Pax::parse(b"30 SCHILY.xattr.user.x=a=b\nzz\n").unwrap();
        assert_eq!(pax.xattrs, [(b"user.x".to_vec(), b"a=b\nzz".to_vec())]);
        let text = b"12 path=a/b\n11 size=42\n27 mtime=1700000000.123456\n";
        let pax = Pax::parse(text).unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a/b"[..]));
        assert_eq!(pax.size, Some(42));
        assert_eq!(pax.mtime, Some((1_700_000_000, 123_456_000)));
    }

    #[test]
    fn times_before_1970() {
        assert_eq!(time(b"-1.25").unwrap(), (-2, 750_000_000));
        assert_eq!(time(b"-3").unwrap(), (-3, 0));
        assert!(time(b"1.x").is_err());
        assert!(time(b"").is_err());
    }

    #[test]
    fn refuses_broken_records() {
        for bad in [
            &b"5 a=b"[..],
            b"99 path=a\n",
            b"0 path=a\n",
            b"9 path=a\x00x",
            b"8 =value\n",
            b"13 size=99999\n",
            b"11 size=-1\n",
            b"10 path=\0a\n",
        ] {
            assert!(Pax::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn global_headers_may_not_frame() {
        assert!(Pax::check_global(b"16 comment=hello\n").is_err());
        assert!(Pax::check_global(b"17 comment=hello\n").is_ok());
        assert!(Pax::check_global(b"10 size=5\n").is_err());
    }
}
