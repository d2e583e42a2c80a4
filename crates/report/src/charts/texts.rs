//! The words of the charts, in one place.
//!
//! Titles, captions and what a chart says to somebody who cannot see it. Numbers arrive as words.

/// A sentence about many things: the first few by name, the rest by number.
#[must_use]
pub fn listing(head: &str, mut parts: Vec<String>) -> String {
    const NAMED: usize = 12;
    let rest = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
    format!("{head}{}{more}.", parts.join("; "))
}

/// Before the newest values of a history.
pub const NEWEST: &str = "Newest values: ";
/// Before medians.
pub const MEDIANS: &str = "Medians: ";

/// Title of the slopes.
pub const SLOPES: &str = "Memory while more and more instances are alive, with the lines through it";
/// By what memory is counted, for the headings of the slopes.
pub const TAKEN: [&str; 2] =
    ["By PSS: pages of the instances, shared ones in parts", "By MemAvailable: what the host has no longer"];
/// Before what the slopes say.
pub const SLOPES_SAY: &str = "Each further instance takes, by PSS: ";

/// How to read the slopes.
#[must_use]
pub fn slopes(n: &str) -> String {
    format!(
        "Dots: totals over the number of instances alive, all trials ({n}); line: Theil–Sen, the median slope of the trials; shade: \
         its exact 95 % interval; above: bytes for each further instance. The first one also \
         carries what all share. Each panel has a scale of its own."
    )
}

/// How to read sizes as a grid.
#[must_use]
pub fn grid(n: &str) -> String {
    format!(
        "Medians, {n}; the stronger the ground, the more, in doublings; empty: this runtime has no such thing. Intervals: in the table."
    )
}

/// Title of the ramp.
pub const RAMP: &str = "Requests while more and more instances are alive";
/// Before what the ramp says.
pub const RAMP_SAYS: &str = "Instances that passed, and what stopped the ramp: ";

/// How to read the ramp.
#[must_use]
pub fn ramp(n: &str) -> String {
    format!(
        "95th percentile of a request at each level, median of the ramps ({n}); upwards is slower, rightwards are more instances \
         (logarithmic axes, the same for all panels); \
         grey: the other runtimes; dashed: twice the time with one instance. A cap is a lower bound, not a limit."
    )
}

/// How many instances a ramp reached.
#[must_use]
pub fn reached(instances: f64) -> String {
    format!("{instances:.0} instances")
}

/// What stopped a ramp.
#[must_use]
pub fn stopped(rule: &str) -> String {
    if rule == "cap" { "stopped by the plan’s cap".to_owned() } else { crate::fmt::clean(rule) }
}

/// One level of a ramp, for a pointer over it.
#[must_use]
pub fn at_level(runtime: &str, alive: f64, p95: &str) -> String {
    format!("{runtime}: {alive:.0} alive, p95 {p95}")
}

/// Before what the trade-off says.
pub const TRADE_OFF_SAYS: &str = "Reach into the host and price: ";
/// Before what the stacks say.
pub const LAYERS_SAY: &str = "Boxes from the hardware up: ";

/// Before what the ratios say.
pub const RATIOS_SAY: &str = "Verdicts on the kernels: ";

/// Title of the kernel profile.
pub const PROFILE: &str = "Profile: every kernel in every runtime";
/// Before what the profile says.
pub const PROFILE_SAYS: &str = "Kernels of which a runtime differs from the plain process: ";

/// How to read the kernel profile.
#[must_use]
pub fn profile(n: &str) -> String {
    format!(
        "Rate of the plain process (median, best window) and each runtime’s rate as its multiple, paired within blocks ({n}). \
         Orange: slower, blue: faster, the stronger the more; green: equivalent within the region; grey with ~: nothing can be said; empty: not measured. Brackets, where there is room: exact 95 % intervals."
    )
}

/// Title of the heat map of interference.
pub const INTERFERENCE: &str = "How much a bad neighbour slows a program down";
/// Before what the heat map says.
pub const INTERFERENCE_SAYS: &str = "Slowdown beside its worst neighbour: ";

/// How to read the heat map of interference.
#[must_use]
pub fn interference(n: &str) -> String {
    format!(
        "Time of a victim beside the storm over its time alone, medians ({n}); 1.00× is undisturbed, 2.0× on the same core is fair \
         sharing. The stronger the orange, the worse; ~: no interval that leaves out 1; empty: not measured. Brackets, where there is room: exact 95 % intervals."
    )
}

/// Title of the isolation matrix.
pub const MATRIX: &str = "What of the host is seen from inside";
/// Before what the isolation matrix says.
pub const MATRIX_SAYS: &str = "Seen of what was planted and asked: ";
/// Headings of its groups.
pub const MATRIX_GROUPS: [&str; 3] = ["Canaries planted on the host", "Facts of the host", "In numbers"];
/// Rows of its last group.
pub const MATRIX_COUNTS: [(&str, &str); 3] = [
    ("leak", "share seen"),
    ("calls-reached", "system calls reached inside"),
    ("interface", "host system calls in reach"),
];
/// A cell of the isolation matrix.
pub const SEEN: &str = "seen";
/// A cell of the isolation matrix.
pub const HIDDEN: &str = "hidden";
/// A cell of the isolation matrix.
pub const NOT_TESTABLE: &str = "not testable on this host";

/// How to read the isolation matrix.
#[must_use]
pub fn matrix(n: &str) -> String {
    format!(
        "Full dot on orange: seen inside in at least one trial; ring: hidden; dash: not testable on this host ({n}). A fact counts as seen \
         only if what is told inside is the host’s. None of this says whether a box can be broken out of."
    )
}

/// Title of the matrix of containment.
pub const CONTAINMENT: &str = "When a program goes wrong, what stays inside";
/// Before what the matrix of containment says.
pub const CONTAINMENT_SAYS: &str = "Ways of going wrong that were contained in every trial: ";
/// Metrics of containment with their headings.
pub const CONTAINED: [(&str, &str); 3] = [
    ("contained", "Ended or refused at its limits, processes gone"),
    ("neighbour", "The neighbour still answers"),
    ("host", "A fresh instance starts"),
];
/// A cell of the matrix of containment.
pub const YES: &str = "yes";
/// A cell of the matrix of containment.
pub const NO: &str = "no";

/// How to read the matrix of containment.
#[must_use]
pub fn containment(n: &str) -> String {
    format!(
        "Each way of going wrong in each runtime ({n}): yes: in all of them, no: in none, else in how many; empty: not measured. \
         Where only the program’s own bound held, it counts as not contained."
    )
}

/// Titles of charts of a headline metric: scenario, metric, title.
pub const TITLES: [(&str, &str, &str); 4] = [
    ("creation", "rate", "Instances made in a second"),
    ("reclaim", "returned", "Share of touched memory that comes back to the host"),
    ("utilisation", "utilisation", "Share of the host’s capacity that was served in time"),
    ("density", "instances", "Instances that passed before a rule stopped the ramp"),
];
