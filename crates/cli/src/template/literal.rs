//! Numbers, characters and strings as Go writes them.

use super::value::Value;

/// The value of a number.
///
/// # Errors
/// In Go's words, if it is none, or too large.
pub fn number(text: &str) -> Result<Value, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase().replace('_', "");
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'0'..=b'9', ..] if !lower.contains(['.', 'e']) => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return Err(format!("bad number syntax: {text:?}"));
    }
    if let Ok(value) = i128::from_str_radix(digits, radix) {
        let value = if negative { -value } else { value };
        let value = i64::try_from(value).map_err(|_| format!("integer overflow: {text:?}"))?;
        return Ok(Value::Int(value));
    }
    if radix != 10 {
        return Err(format!("bad number syntax: {text:?}"));
    }
    if digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("integer overflow: {text:?}"));
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float(if negative { -value } else { value })),
        _ => Err(format!("bad number syntax: {text:?}")),
    }
}

/// The number of a character: `'a'` is 97.
///
/// # Errors
/// In Go's words, if it is not one character.
pub fn character(text: &str) -> Result<Value, String> {
    let malformed = || format!("malformed character constant: {text}");
    let inner = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
        .ok_or_else(malformed)?;
    let bytes = unescaped(inner, '\'').ok_or_else(malformed)?;
    let code = match (std::str::from_utf8(&bytes), bytes.as_slice()) {
        (Ok(text), _) => {
            let mut letters = text.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => u32::from(letter),
                _ => return Err(malformed()),
            }
        }
        (Err(_), [byte]) => u32::from(*byte),
        (Err(_), _) => return Err(malformed()),
    };
    Ok(Value::Int(i64::from(code)))
}

/// The text of a string in quotes or back quotes.
///
/// # Errors
/// In Go's words, if an escape is none of Go's.
pub fn string(text: &str) -> Result<String, String> {
    if let Some(raw) = text.strip_prefix('`') {
        return Ok(raw.strip_suffix('`').unwrap_or(raw).replace('\r', ""));
    }
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let bytes = inner.and_then(|inner| unescaped(inner, '"'));
    let bytes = bytes.ok_or("invalid syntax")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unescaped(text: &str, quote: char) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            escape(&mut letters, quote, &mut bytes)?;
        } else {
            push(letter, &mut bytes);
        }
    }
    Some(bytes)
}

fn push(letter: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what follows a backslash.
fn escape(letters: &mut std::str::Chars<'_>, quote: char, bytes: &mut Vec<u8>) -> Option<()> {
    let letter = letters.next()?;
    match letter {
        'a' => bytes.push(7),
        'b' => bytes.push(8),
        't' => bytes.push(b'\t'),
        'n' => bytes.push(b'\n'),
        'v' => bytes.push(11),
        'f' => bytes.push(12),
        'r' => bytes.push(b'\r'),
        '\\' => bytes.push(b'\\'),
        'x' => bytes.push(u8::try_from(digits(letters, 2, 16)?).ok()?),
        'u' => push(char::from_u32(digits(letters, 4, 16)?)?, bytes),
        'U' => push(char::from_u32(digits(letters, 8, 16)?)?, bytes),
        '0'..='7' => {
            let first = letter.to_digit(8)?;
            let rest = digits(letters, 2, 8)?;
            bytes.push(u8::try_from(first * 64 + rest).ok()?);
        }
        _ if letter == quote => push(quote, bytes),
        _ => return None,
    }
    Some(())
}

fn digits(letters: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value: u32 = 0;
    for _ in 0..count {
        let digit = letters.next()?.to_digit(radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_gos() {
        for (text, expected) in [
            ("\"a\\tb\"", Ok("a\tb")),
            ("`a\\tb`", Ok("a\\tb")),
            ("\"\\u00e9\\x41\\101\\\"\"", Ok("\u{e9}AA\"")),
            ("\"\\U0001F600\"", Ok("\u{1F600}")),
            ("\"\\q\"", Err("invalid syntax")),
            ("\"\\'\"", Err("invalid syntax")),
            ("\"\\x4\"", Err("invalid syntax")),
            ("\"\\777\"", Err("invalid syntax")),
        ] {
            let found = string(text);
            let found = found.as_deref().map_err(String::as_str);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for text in [
            "0x",
            "08",
            "1i",
            "99999999999999999999",
            "+",
            "1e999",
            "0x1.8p1",
        ] {
            assert!(number(text).is_err(), "{text}");
        }
        for text in ["'ab'", "''", "'\\q'"] {
            assert!(character(text).is_err(), "{text}");
        }
    }
}
