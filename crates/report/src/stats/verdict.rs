//! Is it slower, or can nothing be said?
//!
//! A verdict rests on where the whole 95 % interval lies against a region of equivalence fixed beforehand, never on
//! the interval merely excluding 1, and needs 20 pairs. Thresholds: the project's statistics, items 6 and 7.

use serde::{Deserialize, Serialize};

use super::paired::Estimate;
use crate::words::stored;

/// Pairs that a verdict needs.
pub const ENOUGH: usize = 20;
/// Largest number of pairs for which not even an interval exists.
pub const TOO_FEW: usize = 5;

/// What can be said of a runtime against its reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Takes longer, or has a lower rate.
    Slower,
    /// Takes less time, or has a higher rate.
    Faster,
    /// Takes more room.
    More,
    /// Takes less room.
    Less,
    /// The whole interval lies inside the region of equivalence.
    Equivalent,
    /// Nothing can be said; the reason stands beside it.
    Inconclusive,
}

impl Verdict {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::More => "more",
            Self::Less => "less",
            Self::Equivalent => "equivalent",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What kind of quantity is compared: decides the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A duration: higher is slower.
    Time,
    /// A rate: lower is slower.
    Rate,
    /// A size or a count: more or less of it.
    Size,
}

impl Quantity {
    /// The verdict for values that lie above the reference.
    const fn above(self) -> Verdict {
        match self {
            Self::Time => Verdict::Slower,
            Self::Rate => Verdict::Faster,
            Self::Size => Verdict::More,
        }
    }

    /// The verdict for values that lie below the reference.
    const fn below(self) -> Verdict {
        match self {
            Self::Time => Verdict::Faster,
            Self::Rate => Verdict::Slower,
            Self::Size => Verdict::Less,
        }
    }
}

/// Judges an estimate against the region `[low, high]` of equivalence, in the estimate's own unit.
///
/// Returns the verdict and, where it is inconclusive, why.
///
/// ```
/// use isomark_report::stats::paired::Estimate;
/// use isomark_report::stats::verdict::{judge, Quantity, Verdict};
/// let found = Estimate { n: 24, value: 1.3, ci95: Some([1.2, 1.4]) };
/// assert_eq!(judge(&found, [1.0 / 1.1, 1.1], Quantity::Time).0, Verdict::Slower);
/// ```
#[must_use]
pub fn judge(found: &Estimate, region: [f64; 2], quantity: Quantity) -> (Verdict, Option<String>) {
    let nothing = |why: String| (Verdict::Inconclusive, Some(why));
    let Some([low, high]) = found.ci95 else {
        return nothing(stored("no_interval", &[("n", &found.n)]));
    };
    if found.n < ENOUGH {
        return nothing(stored("pairs", &[("n", &found.n), ("needed", &ENOUGH)]));
    }
    if low > region[1] {
        (quantity.above(), None)
    } else if high < region[0] {
        (quantity.below(), None)
    } else if low >= region[0] && high <= region[1] {
        (Verdict::Equivalent, None)
    } else {
        nothing(stored("across", &[]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(n: usize, ci95: Option<[f64; 2]>, quantity: Quantity, expected: Verdict) {
        let (found, why) = judge(&Estimate { n, value: 1.0, ci95 }, [0.9, 1.1], quantity);
        assert_eq!(found, expected);
        assert_eq!(why.is_some(), expected == Verdict::Inconclusive);
    }

    #[test]
    fn where_the_interval_lies_decides() {
        check(20, Some([1.11, 1.3]), Quantity::Time, Verdict::Slower);
        check(20, Some([0.5, 0.89]), Quantity::Time, Verdict::Faster);
        check(20, Some([1.11, 1.3]), Quantity::Rate, Verdict::Faster);
        check(20, Some([0.5, 0.89]), Quantity::Rate, Verdict::Slower);
        check(20, Some([1.11, 1.3]), Quantity::Size, Verdict::More);
        check(20, Some([0.5, 0.89]), Quantity::Size, Verdict::Less);
        check(20, Some([0.9, 1.1]), Quantity::Time, Verdict::Equivalent);
        check(20, Some([1.05, 1.2]), Quantity::Time, Verdict::Inconclusive);
        check(20, Some([0.5, 1.5]), Quantity::Time, Verdict::Inconclusive);
        check(19, Some([5.0, 6.0]), Quantity::Time, Verdict::Inconclusive);
        check(5, None, Quantity::Time, Verdict::Inconclusive);
    }

    #[test]
    fn too_few_is_said() {
        let (_, why) = judge(&Estimate { n: 5, value: 9.0, ci95: None }, [0.9, 1.1], Quantity::Time);
        assert!(why.unwrap().contains("no verdict below 6"));
    }

    proptest! {
        #[test]
        fn excluding_one_is_not_enough(low in 1.0001..1.1_f64, width in 0.0..1.0_f64) {
            let found = Estimate { n: 50, value: low, ci95: Some([low, low + width]) };
            let verdict = judge(&found, [0.9, 1.1], Quantity::Time).0;
            prop_assert!(matches!(verdict, Verdict::Equivalent | Verdict::Inconclusive));
        }
    }
}
