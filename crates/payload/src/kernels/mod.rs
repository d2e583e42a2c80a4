//! The kernels: one file each, all behind one trait, all measured by the same code.
//!
//! An iteration always starts from the same data, so its result depends on the size and the path but not on how
//! often it ran. A kernel checks its own result before a rate leaves the payload.

#![allow(
    clippy::needless_range_loop,
    reason = "index arithmetic over lanes and strides is what these loops say"
)]

mod bodies;
mod butterfly;
mod digest;
mod fft;
pub(crate) mod gemm;
mod laplacian;
mod lu;
mod matrix;
mod os;
mod peak;
mod pi;
mod random;
mod sort;
mod stream;
mod trig;

use crate::catalog;
use crate::counts;
use crate::simd::Path;
use crate::windows::{Asked, measure};
use crate::wire::{Isa, Reply, WRONG, WireError};

/// One kernel with its data prepared.
pub(crate) trait Kernel {
    /// Does the work once. Timed.
    ///
    /// # Errors
    /// If the operating system refuses a call that is the kernel's work.
    fn iterate(&mut self) -> Result<(), WireError>;

    /// What came out, checked. Not timed.
    ///
    /// # Errors
    /// If the result is wrong.
    fn answer(&mut self) -> Result<Answer, WireError>;
}

/// What a kernel computed.
pub(crate) struct Answer {
    /// Values that the harness knows or computes itself, separated by commas.
    pub(crate) values: String,
    /// Hash of the exact result.
    pub(crate) bits: u64,
    /// Further fields of the reply: residuals and the like.
    pub(crate) more: Reply,
}

impl Answer {
    /// An answer without further fields.
    pub(crate) fn new(values: &dyn std::fmt::Display, bits: u64) -> Self {
        Self { values: values.to_string(), bits, more: Reply::new() }
    }

    /// The same answer with one more field.
    pub(crate) fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.more = self.more.with(key, value);
        self
    }
}

/// Numbers as one field; `{:e}` prints the shortest text that reads back as the same double.
pub(crate) fn join(values: &[f64]) -> String {
    values.iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(",")
}

/// Refuses a result whose residual is above its limit, or not a number.
pub(crate) fn within(what: &str, value: f64, limit: f64) -> Result<(), WireError> {
    if value <= limit {
        Ok(())
    } else {
        Err(WireError(format!("{what} is {value:e}, the limit is {limit:e}")))
    }
}

/// A size as an index, between the bounds the kernel can do.
pub(crate) fn size(n: u64, least: u64, most: u64) -> Result<usize, WireError> {
    match usize::try_from(n) {
        Ok(size) if (least..=most).contains(&n) => Ok(size),
        _ => Err(WireError(format!("n={n} is not between {least} and {most}"))),
    }
}

/// Refuses a size that is no power of two.
pub(crate) fn power_of_two(n: usize) -> Result<usize, WireError> {
    if n.is_power_of_two() { Ok(n) } else { Err(WireError(format!("n={n} is not a power of two"))) }
}

/// A kernel ready to run.
///
/// # Errors
/// If the size is out of bounds or the memory is not to be had.
pub(crate) fn prepare(name: &str, n: u64, path: Path) -> Result<Box<dyn Kernel>, WireError> {
    Ok(match name {
        "dgemm" => Box::new(matrix::Dgemm::new(n, path)?),
        "fma-peak" => Box::new(peak::Peak::new(n, path)?),
        "lu" => Box::new(lu::Lu::new(n, path)?),
        "fft" => Box::new(fft::Fft::new(n, path)?),
        "nbody" => Box::new(bodies::Bodies::new(n, path)?),
        "spmv" => Box::new(laplacian::Spmv::new(n)?),
        "pi" => Box::new(pi::Pi::new(n)?),
        "sha256" => Box::new(digest::Digest::new(n)?),
        "sort" => Box::new(sort::Sort::new(n)?),
        "copy" | "scale" | "add" | "triad" => Box::new(stream::Stream::new(name, n, path)?),
        "random" => Box::new(random::Random::new(n)?),
        "getpid" => Box::new(os::Getpid::new(n)?),
        "pipe" => Box::new(os::Pipe::new(n)?),
        "mmap" => Box::new(os::Mmap::new(n)?),
        "first-touch" => Box::new(os::FirstTouch::new(n)?),
        "fork" => Box::new(os::Fork::new(n)?),
        _ => return Err(WireError(format!("kernel {name:?} is not built in"))),
    })
}

/// The answer to the job `kernel`.
///
/// # Errors
/// If the kernel, the size or the path is not to be had, or the result is wrong.
pub(crate) fn job(name: &str, n: u64, isa: Isa, asked: Asked) -> Result<Reply, WireError> {
    let kernel = catalog::kernel(name).ok_or_else(|| WireError(format!("kernel {name:?} is unknown")))?;
    let path = Path::resolve(if kernel.vectorised { isa } else { Isa::Baseline })?;
    let work = counts::work(name, n, path.isa()).unwrap_or(0);
    if work == 0 || asked.tsc_hz < 1000 {
        return Err(WireError(format!("n={n} and tsc_hz={} leave nothing to measure", asked.tsc_hz)));
    }
    let mut ready = prepare(name, n, path)?;
    let windows = measure(&mut *ready, work, asked)?;
    let answer = ready.answer().map_err(|e| WireError(format!("{WRONG}{e}")))?;
    Ok(answer
        .more
        .with("name", name)
        .with("n", n)
        .with("isa", path.isa())
        .with("work", work)
        .with("windows", windows.count)
        .with("best_ticks", windows.best_ticks)
        .with("best_work", windows.work)
        .with("total_ticks", windows.total_ticks)
        .with("total_work", windows.work.saturating_mul(windows.count))
        .with("answer", answer.values)
        .with("bits", format_args!("{:016x}", answer.bits)))
}

#[cfg(test)]
mod tests;
