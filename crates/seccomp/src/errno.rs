//! errno names as policies write them.

use std::collections::HashMap;
use std::sync::LazyLock;

use syscalls::Errno;

/// Beyond this the kernel returns no errno (`MAX_ERRNO`).
const LAST: i32 = 4095;

static NUMBERS: LazyLock<HashMap<&'static str, u32>> = LazyLock::new(|| {
    let mut numbers: HashMap<&'static str, u32> = (1..=LAST)
        .filter_map(|number| Some((Errno::new(number).name()?, number.cast_unsigned())))
        .collect();
    for (alias, name) in [
        ("EWOULDBLOCK", "EAGAIN"),
        ("EDEADLOCK", "EDEADLK"),
        ("ENOTSUP", "EOPNOTSUPP"),
    ] {
        if let Some(number) = numbers.get(name).copied() {
            numbers.entry(alias).or_insert(number);
        }
    }
    numbers
});

/// The number of `text`, which is a name (`EPERM`) or a decimal number.
pub(crate) fn number(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| NUMBERS.get(text).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_known() {
        for (text, expected) in [
            ("EPERM", Some(1)),
            ("EINVAL", Some(22)),
            ("EAGAIN", Some(11)),
            ("EWOULDBLOCK", Some(11)),
            ("ENOSYS", Some(38)),
            ("ENOTSUP", Some(95)),
            ("38", Some(38)),
            ("ENOTHING", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
