//! What a chart says to somebody who cannot see it, and the words that several charts share.
//!
//! The words themselves are in `report-templates/lang`; here are their keys. Numbers arrive as words.

use crate::words::{say, tell};

/// A sentence about many things: the first few by name, the rest by number.
#[must_use]
pub fn listing(head: &str, mut parts: Vec<String>) -> String {
    const NAMED: usize = 12;
    let rest = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    let said = parts.join(&say("list.semicolon"));
    let said = if rest > 0 { tell("chart.said_more", &[("said", &said), ("n", &rest)]) } else { said };
    format!("{}{said}.", say(head))
}

/// Before the newest values of a history.
pub const NEWEST: &str = "chart.newest";
/// Before medians.
pub const MEDIANS: &str = "chart.medians_are";
/// The two charts of slopes, by what memory is counted: file, title, what is counted, before what the slopes say.
pub const SLOPES: [[&str; 4]; 2] = [
    ["memory-slopes", "chart.slopes", "chart.taken_pss", "chart.slopes_say"],
    ["memory-slopes-host", "chart.slopes_host", "chart.taken_available", "chart.slopes_say_host"],
];
/// Before what the ramp says.
pub const RAMP_SAYS: &str = "chart.ramp_says";

/// How many instances a ramp reached.
#[must_use]
pub fn reached(instances: f64) -> String {
    tell("chart.reached", &[("n", &format!("{instances:.0}"))])
}

/// What stopped a ramp.
#[must_use]
pub fn stopped(rule: &str) -> String {
    if rule == "cap" { say("chart.cap") } else { crate::fmt::clean(&crate::words::retold(rule)) }
}

/// One level of a ramp, for a pointer over it.
#[must_use]
pub fn at_level(runtime: &str, alive: f64, p95: &str) -> String {
    tell("chart.at_level", &[("who", &runtime), ("n", &format!("{alive:.0}")), ("p95", &p95)])
}

/// Before what the trade-off says.
pub const TRADE_OFF_SAYS: &str = "chart.tradeoff_says";
/// Before what the stacks say.
pub const LAYERS_SAY: &str = "chart.layers_say";
/// Before what the ratios say.
pub const RATIOS_SAY: &str = "chart.ratios_say";
/// Before what the profile says.
pub const PROFILE_SAYS: &str = "chart.profile_says";
/// Before what the heat map says.
pub const INTERFERENCE_SAYS: &str = "chart.interference_says";
/// Before what the isolation matrix says.
pub const MATRIX_SAYS: &str = "chart.matrix_says";
/// Headings of its groups.
pub const MATRIX_GROUPS: [&str; 3] = ["chart.matrix_canaries", "chart.matrix_facts", "chart.matrix_numbers"];
/// Rows of its last group.
pub const MATRIX_COUNTS: [(&str, &str); 3] = [
    ("leak", "chart.matrix_leak"),
    ("calls-reached", "chart.matrix_calls"),
    ("interface", "chart.interface"),
];
/// A cell of the isolation matrix.
pub const SEEN: &str = "chart.seen";
/// A cell of the isolation matrix.
pub const HIDDEN: &str = "chart.hidden";
/// A cell of the isolation matrix.
pub const NOT_TESTABLE: &str = "chart.untestable";
/// Before what the matrix of containment says.
pub const CONTAINMENT_SAYS: &str = "chart.containment_says";
/// Metrics of containment with their headings.
pub const CONTAINED: [(&str, &str); 3] =
    [("contained", "chart.contained"), ("neighbour", "chart.neighbour"), ("host", "chart.host_went_on")];
/// A cell of the matrix of containment.
pub const YES: &str = "chart.yes";
/// A cell of the matrix of containment.
pub const NO: &str = "chart.no";
