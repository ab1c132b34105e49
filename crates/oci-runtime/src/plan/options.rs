//! Mount option words of config.json, as runc and mount(8) spell them.

use minke_sys::mount::MountAttrFlags;

/// What a list of option words asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// `bind` or `rbind` was there.
    pub bind: Option<Depth>,
    /// Attributes of this mount to turn on and off.
    pub set: MountAttrFlags,
    pub clear: MountAttrFlags,
    /// The same for everything beneath it too.
    pub set_recursive: MountAttrFlags,
    pub clear_recursive: MountAttrFlags,
    /// MS_* propagation, with MS_REC for the `r` forms.
    pub propagation: Option<u64>,
    /// Copy what the image has at the mount point into the new tmpfs.
    pub copy_up: bool,
    /// Words for the file system itself: `key=value` or a flag.
    pub data: Vec<(String, Option<String>)>,
}

/// One mount or all beneath it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Single,
    Recursive,
}

/// `(word, attribute, whether the word turns it on)`.
const ATTRIBUTES: &[(&str, MountAttrFlags, bool)] = &[
    ("ro", MountAttrFlags::MOUNT_ATTR_RDONLY, true),
    ("rw", MountAttrFlags::MOUNT_ATTR_RDONLY, false),
    ("nosuid", MountAttrFlags::MOUNT_ATTR_NOSUID, true),
    ("suid", MountAttrFlags::MOUNT_ATTR_NOSUID, false),
    ("nodev", MountAttrFlags::MOUNT_ATTR_NODEV, true),
    ("dev", MountAttrFlags::MOUNT_ATTR_NODEV, false),
    ("noexec", MountAttrFlags::MOUNT_ATTR_NOEXEC, true),
    ("exec", MountAttrFlags::MOUNT_ATTR_NOEXEC, false),
    ("nodiratime", MountAttrFlags::MOUNT_ATTR_NODIRATIME, true),
    ("diratime", MountAttrFlags::MOUNT_ATTR_NODIRATIME, false),
    ("nosymfollow", MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, true),
    ("symfollow", MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, false),
];

/// Access time words choose one of a set: the whole set is cleared first.
const ACCESS_TIMES: &[(&str, MountAttrFlags)] = &[
    ("relatime", MountAttrFlags::MOUNT_ATTR_RELATIME),
    ("noatime", MountAttrFlags::MOUNT_ATTR_NOATIME),
    ("strictatime", MountAttrFlags::MOUNT_ATTR_STRICTATIME),
    ("norelatime", MountAttrFlags::MOUNT_ATTR_STRICTATIME),
    ("atime", MountAttrFlags::MOUNT_ATTR_RELATIME),
];

const PROPAGATIONS: &[(&str, u64)] = &[
    ("private", libc::MS_PRIVATE),
    ("rprivate", libc::MS_PRIVATE | libc::MS_REC),
    ("shared", libc::MS_SHARED),
    ("rshared", libc::MS_SHARED | libc::MS_REC),
    ("slave", libc::MS_SLAVE),
    ("rslave", libc::MS_SLAVE | libc::MS_REC),
    ("unbindable", libc::MS_UNBINDABLE),
    ("runbindable", libc::MS_UNBINDABLE | libc::MS_REC),
];

/// Words that say nothing here: defaults, and hints for other programs.
const IGNORED: &[&str] = &[
    "defaults", "async", "nofail", "loud", "norbind", "idmap", "ridmap",
];

impl MountOptions {
    /// Sorts the words. Later ones win over earlier ones, as in mount(8).
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Self {
        let mut options = Self {
            bind: None,
            set: MountAttrFlags::empty(),
            clear: MountAttrFlags::empty(),
            set_recursive: MountAttrFlags::empty(),
            clear_recursive: MountAttrFlags::empty(),
            propagation: None,
            copy_up: false,
            data: Vec::new(),
        };
        for word in words {
            options.take(word.as_ref());
        }
        options
    }

    fn take(&mut self, word: &str) {
        let attribute = |word: &str| ATTRIBUTES.iter().find(|(name, ..)| *name == word);
        if let Some(&(_, flag, on)) = attribute(word) {
            switch(&mut self.set, &mut self.clear, flag, on);
        } else if let Some(&(_, flag, on)) = word.strip_prefix('r').and_then(attribute) {
            switch(&mut self.set_recursive, &mut self.clear_recursive, flag, on);
        } else if let Some(&(_, flag)) = ACCESS_TIMES.iter().find(|(name, _)| *name == word) {
            self.set &= !MountAttrFlags::MOUNT_ATTR__ATIME;
            self.set |= flag;
            self.clear |= MountAttrFlags::MOUNT_ATTR__ATIME;
        } else if let Some(&(_, flags)) = PROPAGATIONS.iter().find(|(name, _)| *name == word) {
            self.propagation = Some(flags);
        } else {
            match word {
                "bind" => self.bind = Some(Depth::Single),
                "rbind" => self.bind = Some(Depth::Recursive),
                "tmpcopyup" => self.copy_up = true,
                _ if word.is_empty() || IGNORED.contains(&word) => {}
                _ => self.data.push(match word.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (word.to_owned(), None),
                }),
            }
        }
    }
}

fn switch(set: &mut MountAttrFlags, clear: &mut MountAttrFlags, flag: MountAttrFlags, on: bool) {
    if on {
        *set |= flag;
        *clear &= !flag;
    } else {
        *clear |= flag;
        *set &= !flag;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_and_the_last_one_wins() {
        let options = MountOptions::parse(&["ro", "nosuid", "rw", "mode=755", "newinstance"]);
        assert_eq!(options.set, MountAttrFlags::MOUNT_ATTR_NOSUID);
        assert_eq!(options.clear, MountAttrFlags::MOUNT_ATTR_RDONLY);
        assert_eq!(
            options.data,
            [
                ("mode".to_owned(), Some("755".to_owned())),
                ("newinstance".to_owned(), None)
            ]
        );
        assert_eq!(options.bind, None);
    }

    #[test]
    fn recursive_forms_are_kept_apart() {
        let options = MountOptions::parse(&["rbind", "rslave", "rro", "nodev"]);
        assert_eq!(options.bind, Some(Depth::Recursive));
        assert_eq!(options.propagation, Some(libc::MS_SLAVE | libc::MS_REC));
        assert_eq!(options.set_recursive, MountAttrFlags::MOUNT_ATTR_RDONLY);
        assert_eq!(options.set, MountAttrFlags::MOUNT_ATTR_NODEV);
    }

    #[test]
    fn access_time_is_one_choice() {
        let options = MountOptions::parse(&["noatime", "strictatime"]);
        assert_eq!(options.set, MountAttrFlags::MOUNT_ATTR_STRICTATIME);
        assert_eq!(options.clear, MountAttrFlags::MOUNT_ATTR__ATIME);
    }
}
