//! Whether a payload answered rightly.
//!
//! What the answer must be is computed here by simple code that shares only the input data with the kernels. An
//! answer is checked as a whole: the values, the exact bits where they are known, the residuals, and that the
//! counts and times agree with each other. Expected values are kept per kernel, size and path, so that checking
//! ten thousand replies costs one computation.

pub mod exact;
pub mod freivalds;
pub mod gravity;
pub mod sha256;
pub mod solution;
pub mod spectrum;

mod expected;
mod tales;

use crate::counts;
use crate::data::{EMPTY, fold, mix};
use crate::wire::{Isa, Job, Reply, WireError};
use expected::{Expected, Value};
use std::fmt;

/// Why a reply is not the answer to its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A field is missing or no number.
    Reply(WireError),
    /// A field holds something that it cannot.
    Field {
        /// Its name.
        name: &'static str,
        /// What the payload told.
        told: String,
        /// What it must be.
        must: String,
    },
    /// The job is one that no payload can answer.
    Job(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(why) => why.fmt(f),
            Self::Field { name, told, must } => write!(f, "the payload told {name}={told}, must be {must}"),
            Self::Job(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Wrong {}

impl From<WireError> for Wrong {
    fn from(why: WireError) -> Self {
        Self::Reply(why)
    }
}

/// The error for one field.
fn wrong(name: &'static str, told: impl fmt::Display, must: impl fmt::Display) -> Wrong {
    Wrong::Field { name, told: told.to_string(), must: must.to_string() }
}

/// Requires a number to be exactly this.
fn exactly(reply: &Reply, name: &'static str, must: u64) -> Result<(), Wrong> {
    let told = reply.u64(name)?;
    if told == must { Ok(()) } else { Err(wrong(name, told, must)) }
}

/// Checks a reply against its job.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(job: &Job, reply: &Reply) -> Result<(), Wrong> {
    match job {
        Job::Echo(token) => exactly(reply, "token", *token),
        Job::Touch { bytes } => {
            let pages = bytes.div_ceil(counts::PAGE);
            exactly(reply, "bytes", *bytes)?;
            exactly(reply, "pages", pages)?;
            exactly(reply, "sum", expected::cached_word(("touch", pages), touch_sum))
        }
        Job::Write { bytes } => {
            exactly(reply, "bytes", *bytes)?;
            exactly(reply, "check", expected::cached_word(("write", *bytes), write_check))
        }
        Job::Features => features(reply),
        Job::Work { steps } => exactly(reply, "check", expected::cached_word(("work", *steps), work_check)),
        Job::Free
        | Job::Storm { .. }
        | Job::Calm
        | Job::Break { .. }
        | Job::Probe(_)
        | Job::Plant { .. }
        | Job::Sweep { .. } => tales::check(job, reply),
        Job::Kernel { name, n, isa, tsc_hz, millis, .. } => kernel(reply, name, *n, *isa, (*tsc_hz, *millis)),
    }
}

fn touch_sum(pages: u64) -> u64 {
    (0..pages).fold(0, |s, page| s.wrapping_add(mix(page)))
}

fn work_check(steps: u64) -> u64 {
    (0..steps).fold(EMPTY, fold)
}

fn write_check(bytes: u64) -> u64 {
    let whole = (0..bytes / 8).fold(EMPTY, |h, i| fold(h, mix(i)));
    match bytes % 8 {
        0 => whole,
        rest => fold(whole, mix(bytes / 8) & ((1 << (8 * rest)) - 1)),
    }
}

/// What is enabled must be reported, and nothing else may be named.
fn features(reply: &Reply) -> Result<(), Wrong> {
    let reported: Vec<&str> = reply.str("reported")?.split(',').collect();
    for isa in &reported {
        isa.parse::<Isa>()?;
    }
    match reply.str("enabled")?.split(',').find(|isa| !reported.contains(isa)) {
        Some(isa) => Err(wrong("enabled", isa, "reported too")),
        None => Ok(()),
    }
}

fn kernel(reply: &Reply, name: &str, n: u64, asked: Isa, (tsc_hz, millis): (u64, u64)) -> Result<(), Wrong> {
    let known = crate::kernel(name).ok_or_else(|| Wrong::Job(format!("kernel {name:?} is unknown")))?;
    exactly(reply, "n", n)?;
    if reply.str("name")? != name {
        return Err(wrong("name", reply.str("name")?, name));
    }
    let isa: Isa = reply.str("isa")?.parse()?;
    let asked = if known.vectorised { asked } else { Isa::Baseline };
    if isa == Isa::Auto || (asked != Isa::Auto && isa != asked) {
        return Err(wrong("isa", isa, asked));
    }
    let work = counts::work(name, n, isa).ok_or_else(|| Wrong::Job(format!("{name} has no work count")))?;
    exactly(reply, "work", work)?;
    windows(reply, work, u128::from(tsc_hz / 1000) * u128::from(millis))?;
    let expected = expected::of(name, n, isa)?;
    values(reply, &expected)
}

/// Whether the counts and times of the windows agree with each other.
fn windows(reply: &Reply, work: u64, enough: u128) -> Result<(), Wrong> {
    let number = |name| reply.u64(name).map(u128::from);
    let count = number("windows")?;
    let (best_ticks, best_work) = (number("best_ticks")?, number("best_work")?);
    let (total_ticks, total_work) = (number("total_ticks")?, number("total_work")?);
    if count < 10 {
        return Err(wrong("windows", count, "10 or more"));
    }
    if best_ticks == 0 {
        return Err(wrong("best_ticks", 0, "more than 0"));
    }
    if best_work == 0 || best_work % u128::from(work) != 0 {
        return Err(wrong("best_work", best_work, format_args!("a multiple of {work}")));
    }
    if total_work != best_work * count {
        return Err(wrong("total_work", total_work, best_work * count));
    }
    if total_ticks < best_ticks * count {
        // Windows of equal work: the best rate cannot be below the sustained one.
        return Err(wrong("total_ticks", total_ticks, format_args!("{} or more", best_ticks * count)));
    }
    if total_ticks < enough {
        return Err(wrong(
            "total_ticks",
            total_ticks,
            format_args!("{enough} or more, as long as was asked"),
        ));
    }
    Ok(())
}

/// The answer's values, bits and residuals.
fn values(reply: &Reply, expected: &Expected) -> Result<(), Wrong> {
    let told = reply.str("answer")?;
    let mut parts = told.split(',');
    for value in &expected.values {
        let part = parts.next().unwrap_or("");
        let good = match value {
            Value::Text(text) => part == text,
            Value::Near { value, within } => part.parse().is_ok_and(|v: f64| (v - value).abs() <= *within),
        };
        if !good {
            return Err(wrong("answer", part, value));
        }
    }
    if parts.next().is_some() {
        return Err(wrong("answer", told, format_args!("{} values", expected.values.len())));
    }
    let bits = reply.str("bits")?;
    let told = u64::from_str_radix(bits, 16).ok().filter(|_| bits.len() == 16);
    match (told, expected.bits) {
        (None, _) => return Err(wrong("bits", bits, "16 hexadecimal digits")),
        (Some(told), Some(must)) if told != must => {
            return Err(wrong("bits", bits, format_args!("{must:016x}")));
        }
        _ => {}
    }
    for &(name, limit) in &expected.limits {
        let told = reply.f64(name)?;
        if !(0.0..=limit).contains(&told) {
            return Err(wrong(name, format_args!("{told:e}"), format_args!("at most {limit:e}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
