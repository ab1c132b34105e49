//! `/etc/passwd` and `/etc/group` of a container: the image's, and lines for who is not there.
//!
//! The image's files are read beneath its root and never written: copies are mounted on them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::container::{Mount, UserMode};
use minke_runtime_spec::user::{MAX_FILE_BYTES, ResolvedUser};
use minke_sys::rooted::Root;

use crate::error::{Error, Result};

/// What a line is made of.
struct Account<'a> {
    user: &'a ResolvedUser,
    /// What was asked for as user.
    asked: String,
    home: &'a str,
}

/// The user of the engine, who keeps the ids of the host inside.
pub(super) struct CurrentUser {
    name: String,
    uid: u32,
    gid: u32,
    full_name: String,
    home: String,
    /// The name of the group.
    group: Option<String>,
}

impl CurrentUser {
    /// Of a container that keeps the ids as they are; none where others are asked for, or where
    /// the host does not know the user.
    pub(super) fn of(spec: &ContainerSpec, (uid, gid): (u32, u32)) -> Option<Self> {
        let keeps = matches!(
            spec.namespaces.user,
            UserMode::KeepId {
                uid: None,
                gid: None,
                ..
            }
        );
        if !keeps {
            return None;
        }
        let text = fs::read_to_string("/etc/passwd").ok()?;
        let mut user = text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [name, _, id, _, full_name, home, ..] if id.parse() == Ok(uid) => Some(Self {
                    name: name.to_owned(),
                    uid,
                    gid,
                    full_name: full_name.to_owned(),
                    home: home.to_owned(),
                    group: None,
                }),
                _ => None,
            }
        })?;
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        user.group = groups.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [name, _, id, ..] if id.parse() == Ok(gid) => Some(name.to_owned()),
                _ => None,
            }
        });
        Some(user)
    }

    /// Where the user lives in the container: at home, if that is mounted there, else in the
    /// working directory (Podman's rule).
    pub(super) fn home<'a>(&'a self, spec: &ContainerSpec, workdir: &'a str) -> &'a str {
        let home = Path::new(&self.home);
        let holds = |mount: &Mount| {
            let destination = Path::new(&mount.destination);
            destination != Path::new("/") && home.starts_with(destination)
        };
        if spec.mounts.iter().any(holds) {
            &self.home
        } else {
            workdir
        }
    }

    /// Whether the image has no line for the user.
    pub(super) fn is_missing(&self, root: &Root) -> Result<bool> {
        let passwd = read(root, "/etc/passwd")?;
        Ok(passwd.is_some_and(|text| !has_name(&text, &self.name) && !has_id(&text, self.uid)))
    }

    fn passwd_line(&self, asked: Option<&str>, home: &str) -> String {
        let (uid, gid) = (self.uid.to_string(), self.gid.to_string());
        let values = [
            ("$USERNAME", self.name.as_str()),
            ("$UID", &uid),
            ("$GID", &gid),
            ("$NAME", &self.full_name),
            ("$HOME", home),
        ];
        replace(
            asked.unwrap_or("$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh"),
            &values,
        )
    }
}

/// Writes copies below `dir` where lines are to be added: that of passwd, that of group.
pub(super) fn write(
    spec: &ContainerSpec,
    user: &ResolvedUser,
    current: Option<&CurrentUser>,
    asked: &str,
    home: &str,
    root: &Root,
    dir: &Path,
) -> Result<(Option<PathBuf>, Option<PathBuf>)> {
    if spec.files.no_passwd {
        return Ok((None, None));
    }
    let (Some(passwd), Some(group)) = (read(root, "/etc/passwd")?, read(root, "/etc/group")?)
    else {
        // An image without them has no use for them.
        return Ok((None, None));
    };
    let account = Account {
        user,
        asked: asked.split(':').next().unwrap_or_default().to_owned(),
        home,
    };
    let mut users: Vec<String> = Vec::new();
    for name in &spec.files.host_users {
        users.push(host_user(name)?);
    }
    let current = match current {
        Some(current) if current.is_missing(root)? => Some(current),
        _ => None,
    };
    let asked_entry = spec.files.passwd_entry.as_deref();
    if let Some(current) = current {
        users.push(current.passwd_line(asked_entry, home));
    }
    let is_current = current.is_some_and(|current| current.uid == user.uid);
    if !account.asked.is_empty() && user.name.is_none() && !is_current {
        users.push(account.passwd_line(asked_entry));
    }
    let known = has_id(&group, user.gid);
    let mut groups = Vec::new();
    let mut added = None;
    if let Some(current) = current
        && let Some(name) = &current.group
        && !has_name(&group, name)
        && !has_id(&group, current.gid)
    {
        groups.push(format!("{name}:x:{}:{}", current.gid, current.name));
        added = Some(current.gid);
    }
    if !account.asked.is_empty() && !known && added != Some(user.gid) {
        groups.push(account.group_line(spec.files.group_entry.as_deref()));
    }
    Ok((
        copy(dir, "passwd", &passwd, &users)?,
        copy(dir, "group", &group, &groups)?,
    ))
}

impl Account<'_> {
    fn passwd_line(&self, asked: Option<&str>) -> String {
        let (uid, gid) = (self.user.uid.to_string(), self.user.gid.to_string());
        match asked {
            Some(text) => replace(
                text,
                &[
                    ("$USERNAME", &self.asked),
                    ("$UID", &uid),
                    ("$GID", &gid),
                    ("$NAME", "container user"),
                    ("$HOME", self.home),
                ],
            ),
            None => format!(
                "{}:*:{uid}:{gid}:container user:{}:/bin/sh",
                self.asked, self.home
            ),
        }
    }

    fn group_line(&self, asked: Option<&str>) -> String {
        let gid = self.user.gid.to_string();
        match asked {
            Some(text) => replace(
                text,
                &[
                    ("$GROUPNAME", &gid),
                    ("$GID", &gid),
                    ("$USERLIST", &self.asked),
                ],
            ),
            None => format!("{gid}:x:{gid}:{}", self.asked),
        }
    }
}

fn replace(text: &str, values: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(name, value);
    }
    text.trim_end_matches('\n').to_owned()
}

fn read(root: &Root, path: &str) -> Result<Option<Vec<u8>>> {
    match root.read(Path::new(path), MAX_FILE_BYTES as u64) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::path("read the image's", path)(source)),
    }
}

fn has_name(file: &[u8], name: &str) -> bool {
    let mut lines = file.split(|&byte| byte == b'\n');
    lines.any(|line| line.split(|&byte| byte == b':').next() == Some(name.as_bytes()))
}

fn has_id(file: &[u8], id: u32) -> bool {
    let id = id.to_string();
    let mut lines = file.split(|&byte| byte == b'\n');
    lines.any(|line| line.split(|&byte| byte == b':').nth(2) == Some(id.as_bytes()))
}

/// The line of a user of the host, by name or id; its shell is one that every image has.
fn host_user(name: &str) -> Result<String> {
    let text = fs::read_to_string("/etc/passwd").map_err(Error::path("read", "/etc/passwd"))?;
    let found = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [own, _, uid, gid, gecos, home, ..] if own == name || uid == name => {
                Some(format!("{own}:*:{uid}:{gid}:{gecos}:{home}:/bin/sh"))
            }
            _ => None,
        }
    });
    found.ok_or_else(|| Error::invalid(format!("unable to find host user {name}: unknown user")))
}

fn copy(dir: &Path, name: &str, image: &[u8], lines: &[String]) -> Result<Option<PathBuf>> {
    if lines.is_empty() {
        return Ok(None);
    }
    let mut text = image.to_vec();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    for line in lines {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    let path = dir.join(name);
    fs::write(&path, text).map_err(Error::path("write", &path))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&path, mode).map_err(Error::path("set the mode of", &path))?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_made_of_the_user() {
        let user = ResolvedUser {
            uid: 123,
            gid: 45,
            ..ResolvedUser::default()
        };
        let account = Account {
            user: &user,
            asked: "123".into(),
            home: "/w",
        };
        assert_eq!(
            account.passwd_line(None),
            "123:*:123:45:container user:/w:/bin/sh"
        );
        assert_eq!(
            account.passwd_line(Some("$USERNAME:x:$UID:$GID:$NAME:$HOME")),
            "123:x:123:45:container user:/w"
        );
        assert_eq!(account.group_line(None), "45:x:45:123");
        assert!(has_name(b"a:x:45:\n", "a") && !has_name(b"ab:x:4:\n", "a"));
        assert!(has_id(b"a:x:45:\n", 45) && !has_id(b"a:x:4:\n", 45));
    }
}
