//! `--security-opt KEY=VALUE`.

use crate::container::{Seccomp, Security};
use crate::{Error, Result};

/// Adds one option to `security`. Docker's older `KEY:VALUE` is taken too.
///
/// # Errors
/// [`Error::Syntax`].
pub fn add(security: &mut Security, text: &str) -> Result<()> {
    let separator = if text.contains('=') { '=' } else { ':' };
    let (key, value) = match text.split_once(separator) {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    let refuse = |number: u8| {
        Error::syntax(
            "--security-opt",
            format!("invalid --security-opt {number}: {text:?}"),
        )
    };
    if key == "no-new-privileges" {
        let on = value.map_or(Some(true), super::parse_bool);
        security.no_new_privileges = on.ok_or_else(|| refuse(2))?;
        return Ok(());
    }
    let value = value.ok_or_else(|| refuse(1))?;
    let words = |separator: char| value.split(separator).map(str::to_owned);
    match key {
        "apparmor" => security.apparmor = Some(value.to_owned()),
        "label" if value == "nested" => security.label_nested = true,
        "label" => security.label.push(value.to_owned()),
        "mask" => security.mask.extend(words(':')),
        "unmask" => security.unmask.extend(words(':')),
        "proc-opts" => security.proc_options = words(',').collect(),
        "seccomp" if value == "unconfined" => security.seccomp = Seccomp::Unconfined,
        "seccomp" => security.seccomp = Seccomp::Path(value.into()),
        "systempaths" if value == "unconfined" => security.unmask.push("ALL".to_owned()),
        "systempaths" => {
            let message =
                format!("invalid systempaths option {value:?}, only `unconfined` is supported");
            return Err(Error::syntax("--security-opt", message));
        }
        _ => return Err(refuse(2)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_added() {
        let mut security = Security::default();
        for text in [
            "no-new-privileges",
            "seccomp=/p.json",
            "apparmor:unconfined",
            "label=disable",
            "label=type:t",
            "mask=/a:/b",
            "systempaths=unconfined",
            "proc-opts=hidepid=2,gid=1",
        ] {
            add(&mut security, text).unwrap();
        }
        let expected = Security {
            no_new_privileges: true,
            seccomp: Seccomp::Path("/p.json".into()),
            apparmor: Some("unconfined".into()),
            label: vec!["disable".into(), "type:t".into()],
            mask: vec!["/a".into(), "/b".into()],
            unmask: vec!["ALL".into()],
            proc_options: vec!["hidepid=2".into(), "gid=1".into()],
            ..Security::default()
        };
        assert_eq!(security, expected);
        add(&mut security, "no-new-privileges=false").unwrap();
        assert!(!security.no_new_privileges);
    }

    #[test]
    fn wrong_options_are_refused() {
        for text in [
            "seccomp",
            "no-new-privileges=maybe",
            "magic=on",
            "systempaths=all",
        ] {
            assert!(add(&mut Security::default(), text).is_err(), "{text}");
        }
    }
}
