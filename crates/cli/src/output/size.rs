//! Bytes for people, as Podman prints them: powers of a thousand, three digits.

const UNITS: &[&str] = &["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// `7.63 MB`.
pub fn human(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // three digits are kept
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{} {}", three_digits(size), UNITS[unit])
}

/// Go's `%.3g` of a number from 0 to 1000.
fn three_digits(size: f64) -> String {
    let decimals = match size {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{size:.decimals$}");
    if text == "1000" {
        return "1e+03".to_owned();
    }
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_podmans() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (1234, "1.23 kB"),
            (4_498_000, "4.5 MB"),
            (7_630_000, "7.63 MB"),
            (76_300_000, "76.3 MB"),
            (763_000_000, "763 MB"),
            (100_000_000, "100 MB"),
            (999_700, "1e+03 kB"),
            (1_200_000_000, "1.2 GB"),
        ] {
            assert_eq!(human(bytes), expected, "{bytes}");
        }
    }
}
