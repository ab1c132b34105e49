//! Moments in records: RFC 3339 text.

pub use jiff::Timestamp;

/// A moment as nanoseconds since 1970, for the database.
pub(crate) fn to_nanoseconds(time: Timestamp) -> i64 {
    time.as_nanosecond().try_into().unwrap_or(i64::MAX)
}
