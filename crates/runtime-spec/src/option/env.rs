//! `-e KEY=VALUE`, `-e KEY`, and the files of such lines.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Adds one option's variables to `env`.
///
/// `KEY` alone takes the value that `lookup` has, and nothing if it has none. `PREFIX*` takes
/// all of `host` that start so. A text without a name is refused.
///
/// # Errors
/// [`Error::Syntax`].
pub fn add(
    env: &mut BTreeMap<String, String>,
    text: &str,
    host: &dyn Fn() -> Vec<(String, String)>,
) -> Result<()> {
    if let Some((key, value)) = text.split_once('=') {
        if key.is_empty() {
            let message = format!("invalid variable: {text:?}");
            return Err(Error::syntax("--env", message));
        }
        env.insert(key.to_owned(), value.to_owned());
    } else if let Some(prefix) = text.strip_suffix('*') {
        let taken = host()
            .into_iter()
            .filter(|(key, _)| key.starts_with(prefix));
        env.extend(taken);
    } else if let Some((key, value)) = host().into_iter().find(|(key, _)| key == text) {
        env.insert(key, value);
    }
    Ok(())
}

/// Adds the variables of an `--env-file`'s text: lines as [`add`] takes them; empty lines and
/// those that start with `#` are left out.
///
/// # Errors
/// [`Error::Syntax`].
pub fn add_file(
    env: &mut BTreeMap<String, String>,
    text: &str,
    host: &dyn Fn() -> Vec<(String, String)>,
) -> Result<()> {
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        add(env, line, host)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Vec<(String, String)> {
        [("HOME", "/root"), ("LC_ALL", "C"), ("LC_TIME", "de")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn variables_are_added() {
        for (text, expected) in [
            ("A=b=c", "A=b=c"),
            ("A=", "A="),
            ("HOME", "HOME=/root"),
            ("NOTHERE", ""),
            ("LC_*", "LC_ALL=C LC_TIME=de"),
        ] {
            let mut env = BTreeMap::new();
            add(&mut env, text, &host).unwrap();
            let read: Vec<String> = env
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            assert_eq!(read.join(" "), expected, "{text}");
        }
        assert!(add(&mut BTreeMap::new(), "=x", &host).is_err());
    }

    #[test]
    fn files_have_comments() {
        let mut env = BTreeMap::new();
        add_file(&mut env, "# c\n\nA=1\n  B=2 \nHOME\n", &host).unwrap();
        assert_eq!(env.len(), 3);
        assert_eq!(env["B"], "2 ");
    }
}
