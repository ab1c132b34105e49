//! Signals by name or number.

use crate::{Error, Result};

/// The first real-time signal as programs see it: the C library keeps two for itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// x86's and ARM's numbers, from 1.
const NAMES: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names.
const ALIASES: &[(&str, i32)] = &[("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// Reads a signal: `15`, `TERM`, `sigterm`, `RTMIN+3`, `SIGRTMAX-1`.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(text: &str) -> Result<i32> {
    read(text).ok_or_else(|| Error::syntax("--signal", format!("invalid signal: {text}")))
}

/// The name, with `SIG`, of a signal.
pub fn name(number: i32) -> Option<String> {
    if (RTMIN..=RTMAX).contains(&number) {
        return Some(match number - RTMIN {
            0 => "SIGRTMIN".to_owned(),
            offset => format!("SIGRTMIN+{offset}"),
        });
    }
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    NAMES.get(index).map(|name| format!("SIG{name}"))
}

fn read(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(position) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(position + 1).ok();
    }
    if let Some((_, number)) = ALIASES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let offset = |text: &str, sign: char| match text {
        "" => Some(0),
        _ => text.strip_prefix(sign)?.parse::<u8>().ok().map(i32::from),
    };
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        RTMIN + offset(rest, '+')?
    } else {
        RTMAX - offset(name.strip_prefix("RTMAX")?, '-')?
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read() {
        for (text, expected) in [
            ("15", Some(15)),
            ("TERM", Some(15)),
            ("sigterm", Some(15)),
            ("SIGKILL", Some(9)),
            ("SYS", Some(31)),
            ("IOT", Some(6)),
            ("RTMIN", Some(34)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("RTMIN+31", None),
            ("RTMIN-1", None),
            ("0", None),
            ("65", None),
            ("NOPE", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        assert_eq!(
            parse("NOPE").unwrap_err().to_string(),
            "invalid signal: NOPE"
        );
        for number in 1..=31 {
            assert_eq!(parse(&name(number).unwrap()).unwrap(), number);
        }
    }
}
