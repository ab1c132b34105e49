//! Floating point numbers as Go writes them.

/// The number in the form of `verb` (`e`, `f`, `g`, or their capitals).
///
/// Without a precision, `e` and `f` have six digits, `g` as many as tell it from its neighbours.
pub fn text(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = match verb.to_ascii_lowercase() {
        'e' => scientific(value, Some(precision.unwrap_or(6))),
        'f' => format!("{value:.*}", precision.unwrap_or(6)),
        _ => general(value, precision),
    };
    if verb.is_ascii_uppercase() {
        text.to_uppercase()
    } else {
        text
    }
}

/// The digits, and the power of ten of the first one.
fn decimal(value: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or(0))
}

fn scientific(value: f64, precision: Option<usize>) -> String {
    let (digits, exponent) = decimal(value, precision);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn general(value: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|precision| precision.max(1));
    let (digits, exponent) = decimal(value, precision.map(|precision| precision - 1));
    let significant: String = digits.chars().filter(char::is_ascii_digit).collect();
    let significant = significant.trim_end_matches('0').len().max(1);
    let point = exponent + 1;
    let mut limit = precision.map_or(6, |precision| i32::try_from(precision).unwrap_or(i32::MAX));
    let count = i32::try_from(significant).unwrap_or(i32::MAX);
    if precision.is_some() && limit > count && count >= point {
        limit = count;
    }
    if exponent < -4 || exponent >= limit {
        return scientific(value, Some(significant - 1));
    }
    let decimals = usize::try_from(count - point).unwrap_or(0);
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gos() {
        for (value, verb, precision, expected) in [
            (1e5, 'g', None, "100000"),
            (1e6, 'g', None, "1e+06"),
            (1e20, 'g', None, "1e+20"),
            (123456789.5, 'g', None, "1.234567895e+08"),
            (0.00001, 'g', None, "1e-05"),
            (0.0001, 'g', None, "0.0001"),
            (12.5, 'g', None, "12.5"),
            (0.0, 'g', None, "0"),
            (100.0, 'g', Some(3), "100"),
            (1234.5, 'g', Some(3), "1.23e+03"),
            (2.34159, 'g', Some(3), "2.34"),
            (2.5, 'g', Some(6), "2.5"),
            (12345.678, 'e', None, "1.234568e+04"),
            (12345.678, 'E', Some(2), "1.23E+04"),
            (2.34159, 'f', Some(2), "2.34"),
            (1.0, 'f', None, "1.000000"),
            (-2.5, 'f', Some(1), "-2.5"),
        ] {
            assert_eq!(text(value, verb, precision), expected, "{value} {verb}");
        }
    }
}
