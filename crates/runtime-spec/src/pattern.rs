//! File name patterns as Go's `path.Match` has them.

/// Whether `name` matches `pattern` whole: `*` is any text and `?` one byte, neither of them a
/// slash; `[a-z]` is one of a class and `[^a-z]` one outside it; `\` takes what follows as it
/// is. A pattern that is not well-formed matches nothing.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, name)
                || matches!(name, [first, after @ ..] if *first != b'/' && matches(pattern, after))
        }
        ([b'?', rest @ ..], [first, after @ ..]) => *first != b'/' && matches(rest, after),
        ([b'[', rest @ ..], [first, after @ ..]) => match class(rest, *first) {
            Some((true, rest)) => matches(rest, after),
            _ => false,
        },
        ([b'\\', one, rest @ ..], [first, after @ ..]) => one == first && matches(rest, after),
        ([b'\\'], _) => false,
        ([one, rest @ ..], [first, after @ ..]) => one == first && matches(rest, after),
        _ => false,
    }
}

/// Whether `byte` is of the class that `pattern` begins in, and what follows the class.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    let mut first = true;
    loop {
        match rest {
            [b']', after @ ..] if !first => return Some((found != negated && byte != b'/', after)),
            [low, b'-', high, after @ ..] if *high != b']' => {
                found |= (*low..=*high).contains(&byte);
                rest = after;
            }
            [b'\\', one, after @ ..] | [one, after @ ..] => {
                found |= *one == byte;
                rest = after;
            }
            [] => return None,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", "a/b", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[a", "a", false),
            ("a*b*c", "axxbyyc", true),
            ("", "", true),
        ] {
            let matched = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(matched, expected, "{pattern} {name}");
        }
    }
}
