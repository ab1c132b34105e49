//! `--volumes-from CONTAINER[:OPTIONS]`.

use crate::container::VolumesFrom;
use crate::{Error, Result};

/// Parses the option.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(text: &str) -> Result<VolumesFrom> {
    let refuse = |message: String| Error::syntax("--volumes-from", message);
    let (container, list) = text.split_once(':').unwrap_or((text, ""));
    if container.is_empty() {
        return Err(refuse(format!(
            "invalid volumes-from {text:?}: no container"
        )));
    }
    let mut read_only = None;
    let mut relabeled = false;
    for word in list.split(',').filter(|word| !word.is_empty()) {
        let twice = match word {
            "ro" | "rw" => read_only.replace(word == "ro").is_some(),
            // The labels are those of the mounts taken over.
            "z" => std::mem::replace(&mut relabeled, true),
            _ => {
                return Err(refuse(format!(
                    "invalid options {list:?}, can only specify 'ro', 'rw', and 'z'"
                )));
            }
        };
        if twice {
            return Err(refuse(format!(
                "invalid options {list:?}, can only specify 1 'ro' or 'rw' option, and 'z' once"
            )));
        }
    }
    Ok(VolumesFrom {
        container: container.to_owned(),
        read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_options_are_read() {
        for (text, expected) in [
            ("web", Some(("web", None))),
            ("web:ro", Some(("web", Some(true)))),
            ("web:rw,z", Some(("web", Some(false)))),
            ("web:ro,rw", None),
            ("web:Z", None),
            (":ro", None),
        ] {
            let read = parse(text).ok();
            let read = read.as_ref().map(|from| (&*from.container, from.read_only));
            assert_eq!(read, expected, "{text}");
        }
    }
}
