//! Signal names and numbers, real-time ones included.

use crate::error::{Error, Result};

/// Names without their `SIG`, at the index of their number on x86-64 and arm64.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Reads `TERM`, `SIGTERM`, `15`, `RTMIN+3` or `SIGRTMAX-1`.
///
/// # Errors
/// [`Error::InvalidSignal`].
pub fn parse(text: &str) -> Result<i32> {
    let number = match text.parse::<i32>() {
        Ok(number) => Some(number),
        Err(_) => named(text),
    };
    number
        .filter(|number| (0..=RTMAX).contains(number))
        .ok_or_else(|| Error::InvalidSignal {
            signal: text.to_owned(),
        })
}

fn named(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return real_time(RTMIN, offset);
    }
    if let Some(offset) = name.strip_prefix("RTMAX") {
        return real_time(RTMAX, offset);
    }
    let index = NAMES.iter().skip(1).position(|known| *known == name)?;
    Some(index as i32 + 1)
}

fn real_time(base: i32, offset: &str) -> Option<i32> {
    let offset: i32 = match offset {
        "" => 0,
        _ => offset.parse().ok()?,
    };
    let number = base.checked_add(offset)?;
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let table = [
            ("TERM", 15),
            ("sigkill", 9),
            ("0", 0),
            ("37", 37),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("SIGRTMIN", 34),
            ("SYS", 31),
        ];
        for (text, number) in table {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for bad in ["", "SIG", "FOO", "65", "-1", "RTMIN-1", "RTMAX+1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
