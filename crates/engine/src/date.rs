//! Dates of a run, from one place.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Now, UTC, to the second.
#[must_use]
pub fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}

/// RFC 3339, e.g. `2026-11-21T09:30:00Z`.
#[must_use]
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// For folder names: sorts by time and holds no colons, e.g. `2026-11-21T09-30-00Z`.
#[must_use]
pub fn for_folder(at: OffsetDateTime) -> String {
    rfc3339(at).replace(':', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_name_is_the_date_without_colons() {
        assert_eq!(rfc3339(OffsetDateTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
        assert_eq!(for_folder(OffsetDateTime::UNIX_EPOCH), "1970-01-01T00-00-00Z");
    }
}
