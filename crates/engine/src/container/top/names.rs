//! Names of users and groups, of a container and of the host.

use std::collections::HashMap;
use std::path::Path;

use minke_sys::rooted::Root;

/// A longer file is not read: it is the image's, or a client's.
const LONGEST: u64 = 8 << 20;

/// Names by number.
#[derive(Debug, Default)]
pub struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    host_users: HashMap<u32, String>,
    host_groups: HashMap<u32, String>,
}

impl Names {
    /// Those in a container's root, and the host's. A file that cannot be read has none.
    pub fn of(root: Option<&Root>) -> Self {
        let inside = |path: &str| {
            let bytes = root.and_then(|root| root.read(Path::new(path), LONGEST).ok());
            parse(&bytes.unwrap_or_default())
        };
        let host = |path: &str| parse(&std::fs::read(path).unwrap_or_default());
        Self {
            users: inside("/etc/passwd"),
            groups: inside("/etc/group"),
            host_users: host("/etc/passwd"),
            host_groups: host("/etc/group"),
        }
    }

    /// A user of the container, by name where it has one.
    pub fn user(&self, id: u32) -> String {
        named(&self.users, id)
    }

    /// A group of the container.
    pub fn group(&self, id: u32) -> String {
        named(&self.groups, id)
    }

    /// A user of the host.
    pub fn host_user(&self, id: u32) -> String {
        named(&self.host_users, id)
    }

    /// A group of the host.
    pub fn host_group(&self, id: u32) -> String {
        named(&self.host_groups, id)
    }
}

fn named(names: &HashMap<u32, String>, id: u32) -> String {
    names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

/// `NAME:PASSWORD:NUMBER:...` a line; the first of a number counts. Names with control
/// characters are none: they would reach a terminal.
fn parse(bytes: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else {
            continue;
        };
        let is_plain = !name.is_empty() && name.len() <= 64 && !name.contains(char::is_control);
        if let (Ok(number), true) = (number.parse(), is_plain) {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_plain_name_counts() {
        let names = parse(b"root:x:0:0::/:\ntoor:x:0:0\nbad\x1b[2J:x:5:5\nno\nx:y:z\n:x:7:7\n");
        assert_eq!(names.len(), 1);
        assert_eq!(named(&names, 0), "root");
        assert_eq!(named(&names, 5), "5");
    }
}
