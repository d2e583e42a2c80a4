//! Where does each value stand among all of them?
//!
//! Ranks from 1; values that are equal share the mean of the ranks they cover.

use serde::{Deserialize, Serialize};

/// The result of a rank test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// Values, or differences other than zero, that it rests on.
    pub n: usize,
    /// Its statistic.
    pub statistic: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// How the p-value was found.
    pub method: Method,
}

/// How a p-value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By the distribution itself.
    Exact,
    /// By the normal approximation with tie and continuity corrections.
    Normal,
}

/// Ranks of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Rank of each value, in the order of the values.
    pub ranks: Vec<f64>,
    /// Σ (t³ − t) over groups of t equal values: what ties take from the variance of a rank sum.
    pub ties: f64,
}

/// Ranks `values`.
#[must_use]
pub fn rank(values: &[f64]) -> Ranked {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let (mut ties, mut from) = (0.0, 0);
    for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let size = group.len() as f64;
        let shared = from as f64 + (size + 1.0) / 2.0;
        for at in group {
            ranks[*at] = shared;
        }
        ties += size.powi(3) - size;
        from += group.len();
    }
    Ranked { ranks, ties }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks() {
        let found = rank(&[3.0, 1.0, 3.0, 2.0, 3.0]);
        assert_eq!(found.ranks, [4.0, 1.0, 4.0, 2.0, 4.0]);
        assert_eq!(found.ties, 24.0);
        assert_eq!(rank(&[]), Ranked { ranks: vec![], ties: 0.0 });
    }
}
