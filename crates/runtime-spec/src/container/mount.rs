//! What is mounted where, and how.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One mount, from `-v`, `--mount` or `--tmpfs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What.
    pub kind: MountKind,
    /// The absolute path in the container.
    pub destination: String,
    /// How.
    #[serde(default)]
    pub options: MountOptions,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A path of the host. One starting with `.` is relative to the caller's directory, and
    /// the engine makes it absolute.
    Bind {
        /// The path.
        source: String,
    },
    /// A path of the host with a throw-away upper layer; the engine resolves it to a bind.
    Overlay {
        /// The path.
        source: String,
    },
    /// A volume; the engine resolves it to a bind.
    Volume {
        /// Its name; `None` is an anonymous one.
        name: Option<String>,
    },
    /// An image's root; the engine resolves it to a bind.
    Image {
        /// The reference.
        source: String,
    },
    /// Every path of the host that matches, each below the target under its own name; the
    /// engine resolves it to binds.
    Glob {
        /// The pattern.
        pattern: String,
    },
    /// Memory.
    Tmpfs,
    /// Memory that is never swapped.
    Ramfs,
    /// Another instance of devpts.
    Devpts,
}

/// What becomes of the directories that the image wants as volumes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageVolumes {
    /// Each is an anonymous volume.
    #[default]
    Anonymous,
    /// Each is memory.
    Tmpfs,
    /// They stay in the container's own layer.
    Ignore,
}

/// Another container whose mounts are taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesFrom {
    /// Its name or id.
    pub container: String,
    /// `ro`, `rw`; absent is as they are there.
    #[serde(default)]
    pub read_only: Option<bool>,
}

/// How a mount propagates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// `private`
    Private,
    /// `rprivate`
    Rprivate,
    /// `slave`
    Slave,
    /// `rslave`
    Rslave,
    /// `shared`
    Shared,
    /// `rshared`
    Rshared,
    /// `unbindable`
    Unbindable,
    /// `runbindable`
    Runbindable,
}

impl Propagation {
    /// The word of mount options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Rprivate => "rprivate",
            Self::Slave => "slave",
            Self::Rslave => "rslave",
            Self::Shared => "shared",
            Self::Rshared => "rshared",
            Self::Unbindable => "unbindable",
            Self::Runbindable => "runbindable",
        }
    }

    /// From the word of mount options.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "private" => Self::Private,
            "rprivate" => Self::Rprivate,
            "slave" => Self::Slave,
            "rslave" => Self::Rslave,
            "shared" => Self::Shared,
            "rshared" => Self::Rshared,
            "unbindable" => Self::Unbindable,
            "runbindable" => Self::Runbindable,
            _ => return None,
        })
    }
}

/// With whom an SELinux label is shared; the engine relabels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relabel {
    /// `z`: all containers.
    Shared,
    /// `Z`: this container.
    Private,
}

/// Options as data. `None` is: not given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// `ro`, `rw`.
    pub read_only: Option<bool>,
    /// `exec`, `noexec`.
    pub exec: Option<bool>,
    /// `suid`, `nosuid`.
    pub suid: Option<bool>,
    /// `dev`, `nodev`.
    pub dev: Option<bool>,
    /// `rprivate`, ...
    pub propagation: Option<Propagation>,
    /// `rbind`, `bind`.
    pub recursive: Option<bool>,
    /// `z`, `Z`.
    pub relabel: Option<Relabel>,
    /// `U`: the engine gives the source to the container's user.
    pub chown: bool,
    /// `O`: the engine puts a throw-away layer on top.
    pub overlay: bool,
    /// `upperdir=` and `workdir=` of `O`.
    pub overlay_dirs: Option<(String, String)>,
    /// `idmap`, `idmap=MAPPING`.
    pub idmap: Option<String>,
    /// `copy`, `nocopy`: whether a new volume takes over what the image has there.
    pub copy: Option<bool>,
    /// `subpath=`: of the volume or image.
    pub subpath: Option<String>,
    /// `no-dereference`: mount the link, not what it points to.
    pub no_dereference: bool,
    /// `size=` of a tmpfs, verbatim.
    pub size: Option<String>,
    /// `mode=` of a tmpfs, verbatim.
    pub mode: Option<String>,
    /// `tmpcopyup`, `notmpcopyup`.
    pub copy_up: Option<bool>,
    /// `noatime` of a tmpfs.
    pub noatime: bool,
    /// `noswap` of a tmpfs.
    pub noswap: bool,
    /// `volume-opt=`, for the volume driver.
    pub driver_options: Vec<String>,
}

const TWICE: &str = "duplicate mount option passed";
const BAD: &str = "invalid mount option";

impl MountOptions {
    /// Adds one word, as it stands between commas.
    ///
    /// # Errors
    /// [`Error::Syntax`], for an unknown option, a contradiction, or one that `tmpfs` does or
    /// does not have.
    pub fn add(&mut self, word: &str, tmpfs: bool) -> Result<()> {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (word, None),
        };
        match key {
            "ro" | "rw" => once(&mut self.read_only, key == "ro", "rw", "ro"),
            "exec" | "noexec" => once(&mut self.exec, key == "exec", "noexec", "exec"),
            "suid" | "nosuid" => once(&mut self.suid, key == "suid", "nosuid", "suid"),
            "dev" | "nodev" => once(&mut self.dev, key == "dev", "nodev", "dev"),
            "copy" | "nocopy" => once(&mut self.copy, key == "copy", "nocopy", "copy"),
            "consistency" => Ok(()), // of Macs; without effect, as in Docker
            "size" | "mode" | "tmpcopyup" | "notmpcopyup" | "noatime" | "noswap" if tmpfs => {
                self.add_tmpfs(key, value)
            }
            "bind" | "rbind" | "z" | "Z" if tmpfs => Err(refuse(format!(
                "the '{key}' option is not allowed with tmpfs mounts: {BAD}"
            ))),
            "size" | "mode" | "tmpcopyup" | "notmpcopyup" | "noatime" | "noswap" => Err(refuse(
                format!("the '{key}' option is only allowed with tmpfs mounts: {BAD}"),
            )),
            _ => match Propagation::parse(key) {
                Some(mode) if self.propagation.is_none() => {
                    self.propagation = Some(mode);
                    Ok(())
                }
                Some(_) => Err(refuse(format!(
                    "only one root propagation mode can be used: {TWICE}"
                ))),
                None => self.add_bind(word, key, value),
            },
        }
    }

    fn add_tmpfs(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        let text = || value.unwrap_or_default().to_owned();
        match key {
            "size" if self.size.is_none() => self.size = Some(text()),
            "mode" if self.mode.is_none() => self.mode = Some(text()),
            "size" | "mode" => {
                return Err(refuse(format!(
                    "only one tmpfs {key} can be specified: {TWICE}"
                )));
            }
            "noatime" => self.noatime = true,
            "noswap" => self.noswap = true,
            _ if self.copy_up.is_none() => self.copy_up = Some(key == "tmpcopyup"),
            _ => {
                return Err(refuse(format!(
                    "the 'tmpcopyup' or 'notmpcopyup' option can only be set once: {TWICE}"
                )));
            }
        }
        Ok(())
    }

    fn add_bind(&mut self, word: &str, key: &str, value: Option<&str>) -> Result<()> {
        match key {
            "bind" | "rbind" => {
                return once(&mut self.recursive, key == "rbind", "rbind", "bind");
            }
            "z" | "Z" => {
                let label = if key == "z" {
                    Relabel::Shared
                } else {
                    Relabel::Private
                };
                return once(&mut self.relabel, label, "z", "Z");
            }
            "U" if !self.chown => self.chown = true,
            "U" => {
                return Err(refuse(format!(
                    "the 'U' option can only be set once: {TWICE}"
                )));
            }
            "O" => self.overlay = true,
            "idmap" if self.idmap.is_none() => {
                self.idmap = Some(value.unwrap_or_default().to_owned());
            }
            "idmap" => {
                return Err(refuse(format!(
                    "the 'idmap' option can only be set once: {TWICE}"
                )));
            }
            "subpath" => self.subpath = value.map(str::to_owned),
            "no-dereference" => self.no_dereference = true,
            "volume-opt" => self.driver_options.extend(value.map(str::to_owned)),
            "upperdir" | "workdir" if self.overlay => {
                let (upper, work) = self.overlay_dirs.get_or_insert_default();
                let slot = if key == "upperdir" { upper } else { work };
                value.unwrap_or_default().clone_into(slot);
            }
            _ => return Err(refuse(format!("unknown mount option {word:?}: {BAD}"))),
        }
        Ok(())
    }

    /// Parses a comma-separated list.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn parse(list: &str, tmpfs: bool) -> Result<Self> {
        let mut options = Self::default();
        for word in list.split(',').filter(|word| !word.is_empty()) {
            options.add(word, tmpfs)?;
        }
        Ok(options)
    }

    /// The words for the runtime config, with the defaults of a bind or tmpfs mount.
    pub fn to_words(&self, tmpfs: bool) -> Vec<String> {
        let switch = |value: Option<bool>, yes: &str, no: &str| {
            value.map(|value| if value { yes } else { no }.to_owned())
        };
        let recursive = self.recursive.unwrap_or(true);
        let propagation = match (self.propagation, recursive) {
            (Some(mode), _) => mode,
            (None, true) => Propagation::Rprivate,
            (None, false) => Propagation::Private,
        };
        // Podman's defaults: nothing in memory raises privileges unless that is asked.
        let hardened = |value: Option<bool>| value.or(tmpfs.then_some(false));
        let mut words: Vec<String> = Vec::new();
        words.push(
            if self.read_only == Some(true) {
                "ro"
            } else {
                "rw"
            }
            .to_owned(),
        );
        words.extend(switch(self.exec, "exec", "noexec"));
        words.extend(switch(hardened(self.suid), "suid", "nosuid"));
        words.extend(switch(hardened(self.dev), "dev", "nodev"));
        words.push(propagation.as_str().to_owned());
        if tmpfs {
            words.extend(self.size.as_ref().map(|size| format!("size={size}")));
            words.extend(self.mode.as_ref().map(|mode| format!("mode={mode}")));
            words.extend(self.noatime.then(|| "noatime".to_owned()));
            words.extend(self.noswap.then(|| "noswap".to_owned()));
            words.extend(self.copy_up.unwrap_or(true).then(|| "tmpcopyup".to_owned()));
            return words;
        }
        words.extend(self.idmap.is_some().then(|| "idmap".to_owned()));
        words.extend(self.no_dereference.then(|| "copy-symlink".to_owned()));
        words.push(if recursive { "rbind" } else { "bind" }.to_owned());
        words
    }
}

fn once<T>(slot: &mut Option<T>, value: T, one: &str, other: &str) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(refuse(format!(
            "only one of '{one}' and '{other}' can be used: {TWICE}"
        )));
    }
    Ok(())
}

fn refuse(message: String) -> Error {
    Error::syntax("--volume", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_words() {
        for (list, tmpfs, expected) in [
            ("", false, "rw,rprivate,rbind"),
            ("ro", false, "ro,rprivate,rbind"),
            ("bind,rw", false, "rw,private,bind"),
            ("z,U,rslave", false, "rw,rslave,rbind"),
            (
                "noexec,nosuid,nodev",
                false,
                "rw,noexec,nosuid,nodev,rprivate,rbind",
            ),
            ("idmap=uids=0-1-10", false, "rw,rprivate,idmap,rbind"),
            (
                "size=10m,mode=700",
                true,
                "rw,nosuid,nodev,rprivate,size=10m,mode=700,tmpcopyup",
            ),
            ("notmpcopyup", true, "rw,nosuid,nodev,rprivate"),
        ] {
            let options = MountOptions::parse(list, tmpfs).unwrap();
            assert_eq!(options.to_words(tmpfs).join(","), expected, "{list}");
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        for (list, tmpfs, fragment) in [
            (
                "ro,rw",
                false,
                "only one of 'rw' and 'ro' can be used: duplicate mount option passed",
            ),
            ("z,Z", false, "only one of 'z' and 'Z' can be used"),
            ("shared,slave", false, "only one root propagation mode"),
            (
                "size=1m",
                false,
                "the 'size' option is only allowed with tmpfs mounts",
            ),
            ("Z", true, "not allowed with tmpfs mounts"),
            (
                "bogus",
                false,
                "unknown mount option \"bogus\": invalid mount option",
            ),
            ("upperdir=/x", false, "unknown mount option"),
            ("idmap,idmap", false, "can only be set once"),
        ] {
            let refusal = MountOptions::parse(list, tmpfs).unwrap_err().to_string();
            assert!(refusal.contains(fragment), "{list}: {refusal}");
        }
    }
}
