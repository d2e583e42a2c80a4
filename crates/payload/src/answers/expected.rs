//! What each kernel must answer, computed once and kept.
//!
//! Keyed by everything the answer depends on; entries are few, because a plan has few sizes.

use super::{Wrong, exact, freivalds, gravity, sha256, solution, spectrum};
use crate::counts::{self, MAPPING, PAGE};
use crate::data::{EMPTY, fold};
use crate::wire::Isa;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// One value of an answer.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Exactly this text.
    Text(String),
    /// This number within a tolerance.
    Near { value: f64, within: f64 },
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Near { value, within } => write!(f, "{value:e} within {within:e}"),
        }
    }
}

/// The whole answer.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// In the order of the field.
    pub(super) values: Vec<Value>,
    /// The exact bits, for results that are exact on every path.
    pub(super) bits: Option<u64>,
    /// Residuals the payload must tell, each between 0 and its limit.
    pub(super) limits: Vec<(&'static str, f64)>,
}

impl Expected {
    /// A result that is exact.
    pub(super) fn exact(answer: &dyn fmt::Display, bits: u64) -> Self {
        Self { values: vec![Value::Text(answer.to_string())], bits: Some(bits), limits: Vec::new() }
    }

    /// Rounded values, each with its tolerance.
    pub(super) fn near(values: &[(f64, f64)], limits: &[(&'static str, f64)]) -> Self {
        let values = values.iter().map(|&(value, within)| Value::Near { value, within }).collect();
        Self { values, bits: None, limits: limits.to_vec() }
    }
}

type Kept<K, V> = Mutex<BTreeMap<K, V>>;

/// Computes a value unless it is there. The lock is not held meanwhile: two threads may both compute, neither waits.
fn kept<K: Ord + Clone, V: Clone, E>(
    cache: &Kept<K, V>,
    key: &K,
    make: impl FnOnce() -> Result<V, E>,
) -> Result<V, E> {
    let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = lock().get(key) {
        return Ok(value.clone());
    }
    let value = make()?;
    lock().insert(key.clone(), value.clone());
    Ok(value)
}

/// A checksum that is a function of one number.
pub(super) fn cached_word(key: (&'static str, u64), make: impl FnOnce(u64) -> u64) -> u64 {
    static CACHE: Kept<(&str, u64), u64> = Mutex::new(BTreeMap::new());
    kept(&CACHE, &key, || Ok::<_, std::convert::Infallible>(make(key.1)))
        .unwrap_or_else(|never| match never {})
}

/// What a kernel must answer.
///
/// # Errors
/// If the catalog's kernel has no oracle, or none for this size.
pub(super) fn of(kernel: &str, n: u64, isa: Isa) -> Result<Arc<Expected>, Wrong> {
    static CACHE: Kept<(String, u64, Isa), Arc<Expected>> = Mutex::new(BTreeMap::new());
    kept(&CACHE, &(kernel.to_owned(), n, isa), || {
        let small = usize::try_from(n).ok().filter(|_| (1..=1 << 40).contains(&n));
        let size = small.ok_or_else(|| Wrong::Job(format!("{kernel}: no payload can do n={n}")))?;
        compute(kernel, size, isa).map(Arc::new)
    })
}

fn compute(kernel: &str, n: usize, isa: Isa) -> Result<Expected, Wrong> {
    Ok(match kernel {
        "dgemm" => freivalds::product(n),
        "fma-peak" => exact::peak(n as u64, isa),
        "lu" => solution::solved(n),
        "fft" => spectrum::transformed(n),
        "nbody" => gravity::stepped(n),
        "spmv" => exact::laplacian(n as u64),
        "pi" => exact::pi(n as u64),
        "sha256" => sha256::digested(n),
        "sort" => exact::sorted(n),
        "copy" => exact::stream(n, |x, _| x),
        "scale" => exact::stream(n, |x, _| exact::SCALAR * x),
        "add" => exact::stream(n, |x, y| x + y),
        "triad" => exact::stream(n, |x, y| x + exact::SCALAR * y),
        "random" => exact::table(n as u64),
        "getpid" | "fork" => counted(n as u64),
        "pipe" => counted((0..n).map(|i| (i % 256) as u64).sum()),
        "mmap" => counted(n as u64 * (MAPPING / PAGE)),
        "first-touch" => counted((n as u64).div_ceil(counts::PAGE)),
        _ => return Err(Wrong::Job(format!("kernel {kernel:?} has no oracle"))),
    })
}

/// Kernels that cross into the operating system answer with what came back.
fn counted(count: u64) -> Expected {
    Expected::exact(&count, fold(EMPTY, count))
}
