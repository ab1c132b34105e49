//! `/etc/passwd` and `/etc/group` of a container: the image's, and lines for who is not there.
//!
//! The image's files are read beneath its root and never written: copies are mounted on them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minke_runtime_spec::ContainerSpec;
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

/// Writes copies below `dir` where lines are to be added: that of passwd, that of group.
pub(super) fn write(
    spec: &ContainerSpec,
    user: &ResolvedUser,
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
    if !account.asked.is_empty() && user.name.is_none() {
        users.push(account.passwd_line(spec.files.passwd_entry.as_deref()));
    }
    let known = has_id(&group, user.gid);
    let groups: Vec<String> = if !account.asked.is_empty() && !known {
        vec![account.group_line(spec.files.group_entry.as_deref())]
    } else {
        Vec::new()
    };
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
        assert!(has_id(b"a:x:45:\n", 45) && !has_id(b"a:x:4:\n", 45));
    }
}
