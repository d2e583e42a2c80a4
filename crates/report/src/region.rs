//! Which difference is too small to matter?
//!
//! The region of equivalence of each metric, fixed here and never fitted to a run: compute kernels ± 2 %, sustained
//! rates, memory bandwidth and operating-system calls ± 5 %, times ± 10 %, memory max(1 MiB, 5 %), disk
//! max(64 KiB, 1 %) (the project's statistics, item 6; a few blocks of metadata are no difference).

use isomark_core::payload::catalog;
use isomark_core::record::Cell;
use isomark_core::{Better, Metric};
use serde::{Deserialize, Serialize};

use crate::stats::verdict::Quantity;

/// Differences that count as none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// As a share of the reference: 0.05 for 5 %.
    pub relative: f64,
    /// At least this much in the metric's own unit, whatever the reference is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute: Option<f64>,
}

impl Region {
    /// As bounds of a ratio: the same distance on both sides of 1 on a logarithmic scale, so that a verdict does not
    /// depend on which arm is called the reference.
    #[must_use]
    pub fn ratio(self) -> [f64; 2] {
        [1.0 / (1.0 + self.relative), 1.0 + self.relative]
    }

    /// As bounds of a difference to a reference of `base`, in the metric's own unit.
    #[must_use]
    pub fn difference(self, base: f64) -> [f64; 2] {
        let half = (self.relative * base.abs()).max(self.absolute.unwrap_or(0.0));
        [-half, half]
    }
}

/// The region of a metric in a cell.
#[must_use]
pub fn region(cell: &Cell, metric: &Metric) -> Region {
    let relative = |relative| Region { relative, absolute: None };
    match quantity(metric) {
        Quantity::Time => relative(0.10),
        Quantity::Size if cell.scenario == "disk" => Region { relative: 0.01, absolute: Some(65_536.0) },
        Quantity::Size if metric.unit == "byte" => Region { relative: 0.05, absolute: Some(1_048_576.0) },
        Quantity::Rate if metric.name != "sustained" && is_compute(cell) => relative(0.02),
        Quantity::Size | Quantity::Rate => relative(0.05),
    }
}

fn is_compute(cell: &Cell) -> bool {
    let kernel = cell.params.text("kernel").and_then(catalog::kernel);
    kernel.is_some_and(|k| k.kind == catalog::Kind::Compute)
}

/// What kind of quantity a metric is, by its unit.
#[must_use]
pub fn quantity(metric: &Metric) -> Quantity {
    if metric.unit == "ns" {
        Quantity::Time
    } else if metric.unit.ends_with("/s") || metric.better == Better::Higher {
        Quantity::Rate
    } else {
        Quantity::Size
    }
}

#[cfg(test)]
mod tests {
    use isomark_core::Params;

    use super::*;

    #[track_caller]
    fn check(scenario: &str, kernel: Option<&str>, metric: &Metric, relative: f64, absolute: Option<f64>) {
        let params = kernel.map_or_else(Params::new, |k| Params::new().with("kernel", k));
        let scenario = scenario.to_owned();
        let metrics = vec![metric.clone()];
        let cell =
            Cell { runtime: "r".into(), scenario, params, every: 1, metrics, skipped: None, arm: None };
        assert_eq!(region(&cell, metric), Region { relative, absolute });
    }

    #[test]
    fn as_the_method_says() {
        check("startup", None, &Metric::time("startup"), 0.10, None);
        check("memory", None, &Metric::size("pss"), 0.05, Some(1_048_576.0));
        check("disk", None, &Metric::size("marginal"), 0.01, Some(65_536.0));
        check("throughput", Some("dgemm"), &Metric::rate("best", "flop"), 0.02, None);
        check("throughput", Some("dgemm"), &Metric::rate("sustained", "flop"), 0.05, None);
        check("throughput", Some("triad"), &Metric::rate("best", "byte"), 0.05, None);
        check("throughput", Some("getpid"), &Metric::rate("best", "call"), 0.05, None);
        check("throughput", Some("unheard-of"), &Metric::rate("best", "thing"), 0.05, None);
    }

    #[test]
    fn the_larger_of_share_and_size_counts() {
        let memory = Region { relative: 0.05, absolute: Some(1_048_576.0) };
        assert_eq!(memory.difference(1e6), [-1_048_576.0, 1_048_576.0]);
        assert_eq!(memory.difference(1e9), [-5e7, 5e7]);
        let [low, high] = memory.ratio();
        assert!((low * high - 1.0).abs() < 1e-15);
    }
}
