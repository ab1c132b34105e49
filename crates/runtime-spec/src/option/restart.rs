//! `--restart POLICY[:RETRIES]`.

use crate::container::RestartPolicy;
use crate::{Error, Result};

/// Parses the option.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(text: &str) -> Result<RestartPolicy> {
    let refuse = |message: String| Error::syntax("--restart", message);
    match text {
        "" | "no" | "never" => return Ok(RestartPolicy::No),
        "always" => return Ok(RestartPolicy::Always),
        "unless-stopped" => return Ok(RestartPolicy::UnlessStopped),
        "on-failure" => return Ok(RestartPolicy::OnFailure { max_retries: None }),
        _ => {}
    }
    match text.split_once(':') {
        Some(("on-failure", retries)) => match retries.parse() {
            Ok(0) => Ok(RestartPolicy::OnFailure { max_retries: None }),
            Ok(retries) => Ok(RestartPolicy::OnFailure {
                max_retries: Some(retries),
            }),
            Err(_) => Err(refuse(format!(
                "parsing restart policy retry count: invalid count {retries:?}"
            ))),
        },
        Some(("always" | "no" | "unless-stopped", _)) => Err(refuse(
            "restart policy retries can only be specified with on-failure restart policy: invalid argument".to_owned(),
        )),
        _ => Err(refuse(format!(
            "{text:?} is not a valid restart policy: invalid argument"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read() {
        for (text, expected) in [
            ("", Some(RestartPolicy::No)),
            ("no", Some(RestartPolicy::No)),
            ("always", Some(RestartPolicy::Always)),
            ("unless-stopped", Some(RestartPolicy::UnlessStopped)),
            (
                "on-failure",
                Some(RestartPolicy::OnFailure { max_retries: None }),
            ),
            (
                "on-failure:3",
                Some(RestartPolicy::OnFailure {
                    max_retries: Some(3),
                }),
            ),
            ("on-failure:x", None),
            ("always:3", None),
            ("sometimes", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        let refusal = parse("sometimes").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "\"sometimes\" is not a valid restart policy: invalid argument"
        );
    }
}
