//! Parameters of a cell as people write them: `32 MiB of memory`, not `memory 33554432`.
//!
//! Groups of cells are told apart by what differs between them and by nothing else. A parameter that nobody knows is
//! written as it is.

use isomark_core::{Params, Value};

use crate::fmt;
use crate::words::{comma, find, tell};

/// Parameters in words: `warm page cache, 32 MiB of memory`.
#[must_use]
pub fn words(params: &Params) -> String {
    fmt::clean(&comma(&params.iter().map(|(key, value)| word(key, value)).collect::<Vec<_>>()))
}

/// One parameter in words.
fn word(key: &str, value: &Value) -> String {
    let text = value.to_string();
    // What is called by a name of its own: `cache=warm`.
    if let Some(known) = find("param", &format!("{key}-{text}")) {
        return known;
    }
    match (key, value) {
        ("memory", Value::Number(bytes)) => tell("param.memory", &[("value", &size(*bytes))]),
        ("instances", _) => tell("param.instances", &[("value", &text)]),
        ("tenants", _) => tell("param.tenants", &[("value", &text)]),
        ("concurrency", _) => tell("param.concurrency", &[("value", &text)]),
        ("most", _) => tell("param.most", &[("value", &text)]),
        ("millis", _) => tell("param.millis", &[("value", &text)]),
        ("window_ms", _) => tell("param.window_ms", &[("value", &text)]),
        ("rest_ms", _) => tell("param.rest_ms", &[("value", &text)]),
        ("n", _) => format!("n = {text}"),
        ("storm", _) => tell("param.storm", &[("value", &text)]),
        ("victim" | "kernel" | "provision", _) => text,
        _ => format!("{key} {text}"),
    }
}

/// The value of a parameter, as a column that has its name shows it.
#[must_use]
pub fn value(key: &str, value: &Value) -> String {
    match (key, value) {
        ("memory", Value::Number(bytes)) => size(*bytes),
        _ => fmt::clean(&value.to_string()),
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
        fmt::clean(&comma(&own.map(|(key, value)| word(key, value)).collect::<Vec<_>>()))
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
        assert_eq!(value("memory", &Value::Number(512 << 20)), "512 MiB");
        assert_eq!(value("n", &Value::Number(4096)), "4096");
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
