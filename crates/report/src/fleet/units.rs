//! How long and how much: the two quantities that a fleet's description has in words.
//!
//! Whole seconds and whole bytes, checked before anything is rendered from them.

/// Seconds of `90s`, `30m` or `2h`: at least one, at most thirty days.
///
/// # Errors
/// What is wrong, with what to write instead.
pub fn seconds(text: &str) -> Result<u64, String> {
    let (number, scale) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        _ => return Err(format!("{text:?} has no unit; write 90s, 30m or 2h")),
    };
    let seconds = whole(number).and_then(|n| n.checked_mul(scale)).filter(|s| (1..=2_592_000).contains(s));
    seconds.ok_or_else(|| format!("{text:?} is no whole time of 1 second to 30 days; write 90s, 30m or 2h"))
}

/// Bytes of `512M` or `8G`, in whole MiB: at least 16 MiB.
///
/// # Errors
/// What is wrong, with what to write instead.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.as_bytes().last() {
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => return Err(format!("{text:?} has no unit; write 512M or 8G")),
    };
    let bytes = whole(number).filter(|n| *n <= 1 << 24).map(|n| n << shift);
    bytes
        .filter(|b| (16 << 20..=1 << 50).contains(b))
        .ok_or_else(|| format!("{text:?} is no whole size of at least 16M; write 512M or 8G"))
}

fn whole(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed_and_bounds_kept() {
        assert_eq!((seconds("90s"), seconds("30m"), seconds("2h")), (Ok(90), Ok(1800), Ok(7200)));
        assert_eq!((bytes("512M"), bytes("8G")), (Ok(512 << 20), Ok(8 << 30)));
        for bad in ["", "90", "s", "0s", "-1m", "1.5h", "800h", "99999999999999999999h", "1d", "é"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        for bad in ["", "512", "G", "1M", "1.5G", "99999999999G", "16777217G", "8Gi", "é"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
