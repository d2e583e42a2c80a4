//! Parameters of a cell as people write them: `32 MiB of memory`, not `memory 33554432`.
//!
//! Groups of cells are told apart by what differs between them and by nothing else. A parameter that nobody knows is
//! written as it is.

use isomark_core::{Params, Value};

use crate::fmt;

/// What a parameter with this value is called.
const KNOWN: [(&str, &str, &str); 28] = [
    ("cache", "warm", "warm page cache"),
    ("cache", "cold", "cold page cache"),
    ("load", "idle", "idle"),
    ("load", "light", "lightly used"),
    ("load", "touched", "after touching 64 MiB"),
    ("origin", "fresh", "started afresh"),
    ("origin", "snapshot", "from a snapshot"),
    ("origin", "pool", "from a pool"),
    ("pages", "small", "small pages"),
    ("pages", "huge", "huge pages"),
    ("limits", "off", "without limits"),
    ("limits", "on", "with limits"),
    ("place", "free", "on any core"),
    ("place", "same", "on the same core"),
    ("place", "other", "on another core"),
    ("policy", "shares", "sharing all cores"),
    ("policy", "partition", "a core each"),
    ("isa", "auto", "widest path"),
    ("isa", "baseline", "SSE2 path"),
    ("isa", "avx2", "AVX2 path"),
    ("isa", "avx512", "AVX-512 path"),
    ("ask", "functions", "functions of the host’s kernel"),
    ("how", "crash", "crash"),
    ("how", "privileged", "privileged instruction"),
    ("how", "memory", "memory taken"),
    ("how", "fork", "children made"),
    ("how", "spin", "endless loop"),
    ("how", "fill", "disk filled"),
];

/// Parameters in words: `warm page cache, 32 MiB of memory`.
#[must_use]
pub fn words(params: &Params) -> String {
    fmt::clean(&params.iter().map(|(key, value)| word(key, value)).collect::<Vec<_>>().join(", "))
}

/// One parameter in words.
fn word(key: &str, value: &Value) -> String {
    let text = value.to_string();
    if let Some((.., known)) = KNOWN.iter().find(|(k, v, _)| (*k, *v) == (key, text.as_str())) {
        return (*known).to_owned();
    }
    match (key, value) {
        ("memory", Value::Number(bytes)) => format!("{} of memory", size(*bytes)),
        ("instances", _) => format!("{text} instances"),
        ("tenants", _) => format!("{text} tenants"),
        ("concurrency", _) => format!("{text} at a time"),
        ("most", _) => format!("{text} at most"),
        ("millis", _) => format!("for {text} ms"),
        ("window_ms", _) => format!("windows of {text} ms"),
        ("rest_ms", _) => format!("rests of {text} ms"),
        ("n", _) => format!("n = {text}"),
        ("storm", _) => format!("{text} storm"),
        ("victim" | "kernel" | "provision", _) => text,
        _ => format!("{key} {text}"),
    }
}

/// A size that was asked for: whole units, for it was written so.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(
        || fmt::quantity("byte", bytes as f64, None),
        |(shift, unit)| format!("{} {unit}", bytes >> shift),
    )
}

/// What tells each of these sets of parameters from the others, in words; empty for a single one.
#[must_use]
pub fn headings(all: &[&Params]) -> Vec<String> {
    let differs = |key: &str, value: &Value| all.iter().any(|other| other.get(key) != Some(value));
    let one = |params: &&Params| {
        let own = params.iter().filter(|(key, value)| differs(key, value));
        fmt::clean(&own.map(|(key, value)| word(key, value)).collect::<Vec<_>>().join(", "))
    };
    all.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_as_people_write_them() {
        let params = Params::new().with("memory", 32 << 20).with("cache", "warm").with("millis", 40);
        assert_eq!(words(&params), "warm page cache, 32 MiB of memory, for 40 ms");
        assert_eq!(words(&Params::new().with("memory", 1_000_000).with("x", "y")), "977 KiB of memory, x y");
        assert_eq!(words(&Params::new().with("memory", 1 << 40)), "1024 GiB of memory");
    }

    #[test]
    fn headings_name_what_differs() {
        let base = || Params::new().with("memory", 32 << 20);
        let (warm, cold) = (base().with("cache", "warm"), base().with("cache", "cold"));
        assert_eq!(headings(&[&warm, &cold]), ["warm page cache", "cold page cache"]);
        assert_eq!(headings(&[&warm]), [""]);
        assert_eq!(headings(&[&base(), &warm]), ["", "warm page cache"]);
    }
}
