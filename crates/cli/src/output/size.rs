//! Bytes for people, as Podman prints them.

const DECIMAL: &[&str] = &["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: &[&str] = &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// `7.63 MB`: powers of a thousand, three digits.
pub fn human(bytes: u64) -> String {
    let (number, unit) = scaled(bytes, 1000.0, DECIMAL);
    format!("{} {unit}", digits(number, 3))
}

/// `7.63MB`, with so many digits: `units.HumanSizeWithPrecision` of Go.
pub fn tight(bytes: u64, precision: usize) -> String {
    let (number, unit) = scaled(bytes, 1000.0, DECIMAL);
    format!("{}{unit}", digits(number, precision))
}

/// `7.276MiB`: powers of 1024, four digits.
pub fn binary(bytes: u64) -> String {
    let (number, unit) = scaled(bytes, 1024.0, BINARY);
    format!("{}{unit}", digits(number, 4))
}

fn scaled(bytes: u64, base: f64, units: &[&'static str]) -> (f64, &'static str) {
    #[allow(clippy::cast_precision_loss)] // a few digits are kept
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    (size, units[unit])
}

/// Go's `%.Ng` of a number from 0 to 1024.
fn digits(size: f64, precision: usize) -> String {
    let limit = 10f64.powi(i32::try_from(precision).unwrap_or(i32::MAX));
    let whole = |size: f64| match size {
        size if size >= 1000.0 => 4,
        size if size >= 100.0 => 3,
        size if size >= 10.0 => 2,
        _ => 1,
    };
    // Rounding may add a digit before the point.
    let decimals = precision.saturating_sub(whole(size));
    let rounded: f64 = format!("{size:.decimals$}").parse().unwrap_or(size);
    let decimals = precision.saturating_sub(whole(rounded));
    let text = format!("{size:.decimals$}");
    if rounded >= limit {
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

    #[test]
    fn units_may_follow_at_once() {
        assert_eq!(binary(1 << 20), "1MiB");
        assert_eq!(binary(1_048_064), "1024KiB");
        assert_eq!(tight(0, 3), "0B");
        assert_eq!(tight(12_345, 3), "12.3kB");
        assert_eq!(tight(12_345, 4), "12.35kB");
        assert_eq!(tight(999_970, 4), "1000kB");
    }
}
