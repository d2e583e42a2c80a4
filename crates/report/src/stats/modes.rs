//! Do the values gather in two places?
//!
//! A median between two modes describes neither. The dip of the values is compared with what one sample in a thousand
//! from a uniform distribution reaches, the unimodal shape that dips most; real noise with one mode, however skewed,
//! alarms far more rarely still. Values on a grid (pages, ticks of a clock) are first spread over its steps, or the grid
//! itself would look like modes; and two modes that lie closer than 5 % are no news.

use super::dip::dip;
use super::median::{median, sorted};

/// Fewest values in which modes are looked for.
pub const ENOUGH: usize = 20;
/// Fewest of the values in the smaller mode: a tail of odd ones is no mode.
const SHARE: f64 = 0.1;
/// Smallest relative distance of two modes that are worth a word.
const APART: f64 = 0.05;

/// n and the 99.9 % quantile of √n · dip over samples of n uniform values.
///
/// numpy 2.4.6 `default_rng(20260101).random(n)` and diptest 0.12.0 `dipstat`; 200,000 samples each up to n = 500,
/// 40,000 beyond.
const CRITICAL: [(f64, f64); 13] = [
    (20.0, 0.6196),
    (25.0, 0.6311),
    (30.0, 0.6402),
    (40.0, 0.6549),
    (50.0, 0.6600),
    (70.0, 0.6744),
    (100.0, 0.6868),
    (150.0, 0.6973),
    (200.0, 0.7051),
    (500.0, 0.7168),
    (1000.0, 0.7320),
    (2000.0, 0.7320),
    (5000.0, 0.7320),
];

/// A place where values gather.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    /// Median of the values there.
    pub at: f64,
    /// Their share of all values.
    pub share: f64,
}

/// The two modes of `values`, the lower one first; `None` if they may well have one only.
#[must_use]
pub fn two_modes(values: &[f64]) -> Option<[Mode; 2]> {
    if values.len() < ENOUGH || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let all = sorted(values);
    let n = all.len() as f64;
    (dip(&spread(&all))? * n.sqrt() > critical(n)).then_some(())?;
    let split = divide(&all)?;
    let mode = |part: &[f64]| Some(Mode { at: median(part)?, share: part.len() as f64 / n });
    let [low, high] = [mode(&all[..split])?, mode(&all[split..])?];
    let scale = low.at.abs().min(high.at.abs());
    (high.at - low.at > APART * scale).then_some([low, high])
}

/// Between tabulated n, linear in ln n.
fn critical(n: f64) -> f64 {
    let above = CRITICAL.partition_point(|(at, _)| *at <= n);
    match (above.checked_sub(1).and_then(|i| CRITICAL.get(i)), CRITICAL.get(above)) {
        (Some((n0, c0)), Some((n1, c1))) => c0 + (c1 - c0) * (n / n0).ln() / (n1 / n0).ln(),
        (Some((_, c)), None) | (None, Some((_, c))) => *c,
        (None, None) => f64::INFINITY,
    }
}

/// Ascending values with equal ones spread evenly over one step of their grid, the smallest distance that occurs.
fn spread(sorted: &[f64]) -> Vec<f64> {
    let steps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0);
    let step = steps.fold(f64::INFINITY, f64::min);
    let step = if step.is_finite() { step } else { 1.0 };
    let mut all = Vec::with_capacity(sorted.len());
    for group in sorted.chunk_by(|a, b| a == b) {
        let size = group.len() as f64;
        all.extend(group.iter().zip(0_u32..).map(|(x, i)| x + step * ((f64::from(i) + 0.5) / size - 0.5)));
    }
    all
}

/// Where ascending values fall into two parts whose distances from their own medians add up to the least.
fn divide(sorted: &[f64]) -> Option<usize> {
    let n = sorted.len();
    let mut sums = vec![0.0; n + 1];
    for (i, x) in sorted.iter().enumerate() {
        sums[i + 1] = sums[i] + (x - sorted[0]);
    }
    // Upper half less lower half; the middle one of an odd number counts for neither.
    let within = |from: usize, to: usize| {
        let half = (to - from) / 2;
        (sums[to] - sums[to - half]) - (sums[from + half] - sums[from])
    };
    let least = (SHARE * n as f64).ceil() as usize;
    let cost = |split: &usize| within(0, *split) + within(*split, n);
    (least.max(1)..=n - least).min_by(|a, b| cost(a).total_cmp(&cost(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::random::Random;

    fn bell(random: &mut Random) -> f64 {
        // Box & Muller.
        (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
    }

    /// How many of `times` samples of `n` values are told to have two modes.
    fn alarms(n: usize, times: u64, draw: impl Fn(&mut Random) -> f64) -> usize {
        let one = |seed| {
            let mut random = Random::new(seed);
            two_modes(&(0..n).map(|_| draw(&mut random)).collect::<Vec<_>>()).is_some()
        };
        (0..times).filter(|seed| one(*seed)).count()
    }

    type Shape = (&'static str, fn(&mut Random) -> f64);

    /// Shapes with one mode, as launches have them and worse.
    const ONE: [Shape; 7] = [
        ("normal", |r| 100.0 + bell(r)),
        ("lognormal 0.5", |r| (0.5 * bell(r)).exp()),
        ("lognormal 1.5", |r| (1.5 * bell(r)).exp()),
        ("exponential", |r| 1.0 - (1.0 - r.unit()).ln()),
        ("Cauchy", |r| 1e3 + (std::f64::consts::PI * (r.unit() - 0.5)).tan()),
        ("whole pages", |r| (500.0 + 2.0 * bell(r)).round() * 4096.0),
        ("three levels", |r| 4096.0 * (100 + r.below(3)) as f64),
    ];

    #[test]
    fn one_mode_hardly_ever_alarms() {
        for (name, draw) in ONE {
            for n in [20, 40, 100, 400] {
                let found = alarms(n, 1000, draw);
                assert!(found <= 3, "{name}, n = {n}: {found} of 1000");
            }
        }
        let worst = alarms(60, 4000, |r| 10.0 + 10.0 * r.unit());
        assert!(worst <= 12, "uniform, the worst there is: {worst} of 4000");
    }

    #[test]
    fn two_modes_are_found_and_named() {
        let draw =
            |r: &mut Random| if r.unit() < 0.6 { 312.0 + 5.0 * bell(r) } else { 450.0 + 8.0 * bell(r) };
        for n in [40, 100] {
            let found = alarms(n, 500, draw);
            assert!(found >= 475, "n = {n}: {found} of 500");
        }
        let mut random = Random::new(4);
        let [low, high] = two_modes(&(0..200).map(|_| draw(&mut random)).collect::<Vec<_>>()).unwrap();
        assert!((low.at - 312.0).abs() < 3.0 && (high.at - 450.0).abs() < 5.0, "{low:?} {high:?}");
        assert!((low.share - 0.6).abs() < 0.1 && (low.share + high.share - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_news_is_not_told() {
        // Two clear modes 1 % apart; one odd value in thirty; a constant; too few.
        assert!(alarms(100, 50, |r| if r.unit() < 0.5 { 100.0 } else { 101.0 } + 0.01 * bell(r)) == 0);
        let mut odd: Vec<f64> = (0..30).map(|i| 100.0 + f64::from(i) / 10.0).collect();
        odd[7] = 1e6;
        assert_eq!(two_modes(&odd), None);
        assert_eq!(two_modes(&[5.0; 40]), None);
        assert_eq!(two_modes(&[[1.0; 9], [9.0; 9]].concat()), None);
    }
}
