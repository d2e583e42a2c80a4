//! What would other methods say of the same pairs?
//!
//! Companions stand beside the exact interval of the median log-ratio and decide nothing: who trusts another estimator
//! more finds it here, with its p-value adjusted for all the questions that the run asks.

use isomark_core::record::Run;

use crate::reference::is_floor;
use crate::stats::hodges_lehmann::one_sample;
use crate::stats::paired::{Estimate, log_ratios};
use crate::stats::{cliff as delta, holm, signed_rank};
use crate::summarise::{companion, rounded};
use crate::summary::{CellSummary, Companion, Wilcoxon};

/// Hodges–Lehmann over the log-ratios; none without them.
pub(crate) fn hodges_lehmann(pairs: &[(f64, f64)]) -> Option<Companion> {
    let shift = one_sample(&log_ratios(pairs)?)?;
    let (value, ci95) = (shift.value.exp(), shift.ci95.map(|ci| ci.map(f64::exp)));
    Some(companion(Estimate { n: pairs.len(), value, ci95 }))
}

/// Wilcoxon's test of the log-ratios, or of the differences where a value has no logarithm; not adjusted yet.
pub(crate) fn wilcoxon(pairs: &[(f64, f64)]) -> Wilcoxon {
    let effects = log_ratios(pairs).unwrap_or_else(|| pairs.iter().map(|(x, base)| x - base).collect());
    let test = signed_rank::wilcoxon(&effects);
    Wilcoxon { p: rounded(test.p), p_holm: rounded(test.p), method: test.method }
}

/// Cliff's delta of the values over those of the reference.
pub(crate) fn cliff(pairs: &[(f64, f64)]) -> Option<f64> {
    let (xs, bases): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    delta::delta(&xs, &bases).map(rounded)
}

/// Adjusts the p-values of all tests of a run by Holm. Floors are no runtimes to choose, and no part of the family.
pub(crate) fn adjust(run: &Run, cells: &mut [CellSummary]) {
    let mut family: Vec<&mut Wilcoxon> = cells
        .iter_mut()
        .filter(|cell| !is_floor(run, &cell.runtime))
        .flat_map(|cell| &mut cell.metrics)
        .filter_map(|metric| metric.versus.as_mut()?.wilcoxon.as_mut())
        .collect();
    let adjusted = holm::holm(&family.iter().map(|test| test.p).collect::<Vec<_>>());
    for (test, p) in family.iter_mut().zip(adjusted) {
        test.p_holm = rounded(p);
    }
}
