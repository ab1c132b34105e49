//! Users and groups as the image has them.
//!
//! The files are the image's, so hostile: the caller opens them beneath the image's root and
//! hands in at most [`MAX_FILE_BYTES`]; lines beyond [`MAX_LINE_BYTES`] are passed over. No
//! name service of the host is asked.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A longer file is refused.
pub const MAX_FILE_BYTES: usize = 8 << 20;
/// A longer line is no entry.
pub const MAX_LINE_BYTES: usize = 64 << 10;
/// The kernel takes no more groups (`NGROUPS_MAX`).
const MAX_GROUPS: usize = 65536;
/// Ids above are refused, as runc does.
const MAX_ID: u32 = i32::MAX.cast_unsigned();

/// Which file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserFile {
    /// `/etc/passwd`.
    Passwd,
    /// `/etc/group`.
    Group,
}

impl UserFile {
    /// Its path in the image.
    pub fn path(self) -> &'static str {
        match self {
            Self::Passwd => "/etc/passwd",
            Self::Group => "/etc/group",
        }
    }
}

/// Gives a file's bytes; `None` where the image has no such file.
pub type ReadFile<'a> = dyn Fn(UserFile) -> io::Result<Option<Vec<u8>>> + 'a;

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Further groups, ascending.
    pub additional_gids: Vec<u32>,
    /// Home directory; `/` where the image does not say.
    pub home: String,
    /// The name in the image.
    pub name: Option<String>,
}

impl Default for ResolvedUser {
    fn default() -> Self {
        Self {
            uid: 0,
            gid: 0,
            additional_gids: Vec::new(),
            home: "/".to_owned(),
            name: None,
        }
    }
}

/// Resolves `user[:group]`, each a name or a number; empty is root.
///
/// Without a group it is the user's, and those that list the user are added. `group_add` is
/// added in any case.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::GroupUnknown`], [`Error::UserInvalid`], [`Error::UserFile`].
pub fn resolve(text: &str, group_add: &[String], read: &ReadFile<'_>) -> Result<ResolvedUser> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, group),
        None => (text, ""),
    };
    if group.contains(':') {
        return Err(invalid(text, "more than one colon"));
    }
    let passwd = bytes(read, UserFile::Passwd)?;
    let groups = bytes(read, UserFile::Group)?;

    let mut resolved = find_user(user, &passwd)?;
    if group.is_empty() {
        resolved.additional_gids = listing(resolved.name.as_deref(), &groups);
    } else {
        resolved.gid = find_group(group, &groups)?;
    }
    if !text.is_empty() {
        // Negative permissions of a group hold for a process only if it lists it
        // (CVE-2022-2989): as Podman does, the primary group is among the others.
        resolved.additional_gids.push(resolved.gid);
    }
    for group in group_add {
        resolved.additional_gids.push(find_group(group, &groups)?);
    }
    resolved.additional_gids.sort_unstable();
    resolved.additional_gids.dedup();
    resolved.additional_gids.truncate(MAX_GROUPS);
    Ok(resolved)
}

fn bytes(read: &ReadFile<'_>, file: UserFile) -> Result<Vec<u8>> {
    let failed = |source| Error::UserFile {
        file: file.path(),
        source,
    };
    let bytes = read(file).map_err(failed)?.unwrap_or_default();
    if bytes.len() > MAX_FILE_BYTES {
        return Err(failed(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(bytes)
}

fn find_user(user: &str, passwd: &[u8]) -> Result<ResolvedUser> {
    let wanted = if user.is_empty() { "0" } else { user };
    let number = id(wanted)?;
    let entry = entries(passwd).find_map(|fields| match fields[..] {
        [name, _, uid, gid, _, home, ..] => {
            let (uid, gid): (u32, u32) = (uid.parse().ok()?, gid.parse().ok()?);
            (name == wanted || Some(uid) == number).then(|| ResolvedUser {
                uid,
                gid,
                additional_gids: Vec::new(),
                home: if home.is_empty() { "/" } else { home }.to_owned(),
                name: Some(name.to_owned()),
            })
        }
        _ => None,
    });
    match (entry, number) {
        (Some(entry), _) => Ok(entry),
        (None, Some(uid)) => Ok(ResolvedUser {
            uid,
            ..ResolvedUser::default()
        }),
        (None, None) => Err(Error::UserUnknown {
            name: user.to_owned(),
        }),
    }
}

fn find_group(group: &str, groups: &[u8]) -> Result<u32> {
    let number = id(group)?;
    let entry = entries(groups).find_map(|fields| match fields[..] {
        [name, _, gid, ..] if name == group => gid.parse().ok(),
        _ => None,
    });
    entry.or(number).ok_or_else(|| Error::GroupUnknown {
        name: group.to_owned(),
    })
}

/// The groups that list a user.
fn listing(name: Option<&str>, groups: &[u8]) -> Vec<u32> {
    let Some(name) = name else {
        return Vec::new();
    };
    entries(groups)
        .filter_map(|fields| match fields[..] {
            [_, _, gid, members, ..] if members.split(',').any(|member| member == name) => {
                gid.parse().ok()
            }
            _ => None,
        })
        .take(MAX_GROUPS)
        .collect()
}

/// The id a text is, if it is a number.
fn id(text: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        _ => Err(invalid(text, "uids and gids must be in range 0-2147483647")),
    }
}

fn entries(file: &[u8]) -> impl Iterator<Item = Vec<&str>> {
    file.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && line.len() <= MAX_LINE_BYTES)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .map(|line| line.trim_end().splitn(7, ':').collect())
}

fn invalid(text: &str, reason: &'static str) -> Error {
    Error::UserInvalid {
        text: text.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/var/www:/bin/false\n\
                          odd:x:many:1::/:\nnobody:x:65534:65534:::\n";
    const GROUP: &str = "root:x:0:\naudio:x:29:web,root\nweb:x:33:\nvideo:x:44:web\n";

    fn read(file: UserFile) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(match file {
            UserFile::Passwd => PASSWD.into(),
            UserFile::Group => GROUP.into(),
        }))
    }

    #[test]
    fn users_are_resolved() {
        for (text, uid, gid, groups, home) in [
            ("", 0, 0, &[29][..], "/root"),
            ("root", 0, 0, &[0, 29][..], "/root"),
            ("0", 0, 0, &[0, 29][..], "/root"),
            ("web", 33, 33, &[29, 33, 44][..], "/var/www"),
            ("33", 33, 33, &[29, 33, 44][..], "/var/www"),
            ("web:video", 33, 44, &[44][..], "/var/www"),
            ("web:7", 33, 7, &[7][..], "/var/www"),
            ("1000", 1000, 0, &[0][..], "/"),
            ("1000:1001", 1000, 1001, &[1001][..], "/"),
            (":video", 0, 44, &[44][..], "/root"),
            ("nobody", 65534, 65534, &[65534][..], "/"),
        ] {
            let user = resolve(text, &[], &read).unwrap();
            assert_eq!((user.uid, user.gid), (uid, gid), "{text}");
            assert_eq!(user.additional_gids, groups, "{text}");
            assert_eq!(user.home, home, "{text}");
        }
    }

    #[test]
    fn unknown_users_are_named() {
        for (text, message) in [
            (
                "nope",
                "unable to find user nope: no matching entries in passwd file",
            ),
            (
                "odd",
                "unable to find user odd: no matching entries in passwd file",
            ),
            (
                "web:nope",
                "unable to find group nope: no matching entries in group file",
            ),
            (
                "4294967295",
                "invalid user \"4294967295\": uids and gids must be in range 0-2147483647",
            ),
            ("a:b:c", "invalid user \"a:b:c\": more than one colon"),
        ] {
            assert_eq!(resolve(text, &[], &read).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn groups_are_added() {
        let add = ["video".to_owned(), "7".to_owned(), "audio".to_owned()];
        let user = resolve("web", &add, &read).unwrap();
        assert_eq!(user.additional_gids, [7, 29, 33, 44]);
    }

    #[test]
    fn hostile_files_are_bounded() {
        let huge = |_: UserFile| -> io::Result<Option<Vec<u8>>> {
            Ok(Some(vec![b'a'; MAX_FILE_BYTES + 1]))
        };
        assert!(matches!(
            resolve("root", &[], &huge),
            Err(Error::UserFile { .. })
        ));
        let long = |_: UserFile| -> io::Result<Option<Vec<u8>>> {
            let mut line = format!("u:x:5:5:{}:/:", "g".repeat(MAX_LINE_BYTES)).into_bytes();
            line.extend(b"\nv:x:6:6::/:\n\xff\xfe:x:7:7::/:\n");
            Ok(Some(line))
        };
        assert!(matches!(
            resolve("u", &[], &long),
            Err(Error::UserUnknown { .. })
        ));
        assert_eq!(resolve("v", &[], &long).unwrap().uid, 6);
        let none = |_: UserFile| -> io::Result<Option<Vec<u8>>> { Ok(None) };
        assert_eq!(resolve("", &[], &none).unwrap(), ResolvedUser::default());
    }
}
