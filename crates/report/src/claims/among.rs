//! Of how many comparisons is this one, any of which could decide a claim alone?
//!
//! A sentence about everything falls by one counterexample, so each further point gives chance one more try: of
//! thirteen points that lie exactly at a threshold, each judged by an interval of its own, one run in six would find a
//! counterexample. The error that a claim may have is therefore shared among the points that could each decide it
//! (Bonferroni, which holds whatever their dependence). A verdict that needs all points needs no share: it is wrong only
//! where every single one is (Berger 1982). What is counted and not sampled cannot stray, and takes none.

use super::file::Part;
use super::verdict::{Quantifier, Verdict};

/// How many share the error with a point, for each verdict that it could bring about; 1 for a point on its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Among {
    /// In making the claim supported.
    pub supported: f64,
    /// In making it refuted.
    pub refuted: f64,
}

impl Among {
    /// Of a point that shares with nobody.
    pub const ALONE: Self = Self { supported: 1.0, refuted: 1.0 };

    /// How many share the error of a verdict.
    #[must_use]
    pub const fn of(self, verdict: Verdict) -> f64 {
        match verdict {
            Verdict::Supported => self.supported,
            _ => self.refuted,
        }
    }

    /// The larger of both, as a whole number of comparisons.
    #[must_use]
    pub fn most(self) -> usize {
        whole(self.supported.max(self.refuted))
    }
}

/// A number of comparisons as it is told; a hair of slack for quotients that should be whole.
#[must_use]
pub fn whole(among: f64) -> usize {
    (among - 1e-9).ceil() as usize
}

/// A rule with how many points that are sampled each of its layers has.
pub struct Shape<'p> {
    /// The rule.
    pub part: &'p Part,
    /// Points by layer.
    pub layers: Vec<usize>,
}

/// For each rule and each of its layers, what the layer's points share.
#[must_use]
pub fn shares(parts: Quantifier, shapes: &[Shape<'_>]) -> Vec<Vec<Among>> {
    let of = |verdict| Direction::new(parts, shapes, verdict);
    let (supported, refuted) = (of(Verdict::Supported), of(Verdict::Refuted));
    let one = |shape: &Shape<'_>, n: usize| Among {
        supported: supported.of(shape, n),
        refuted: refuted.of(shape, n),
    };
    shapes.iter().map(|shape| shape.layers.iter().map(|n| one(shape, *n)).collect()).collect()
}

/// How the error of one verdict is handed down from the claim to its points: in whole where all must agree, in shares by
/// the number of points where one suffices.
struct Direction {
    verdict: Verdict,
    parts: Quantifier,
    claim: usize,
}

impl Direction {
    fn new(parts: Quantifier, shapes: &[Shape<'_>], verdict: Verdict) -> Self {
        let mut direction = Self { verdict, parts, claim: 0 };
        let deciding = shapes.iter().filter(|shape| !shape.part.reported);
        direction.claim = direction.joined(parts, deciding.map(|shape| direction.rule(shape)));
        direction
    }

    /// How many tries chance has, from how many it has in each of several.
    fn joined(&self, quantifier: Quantifier, each: impl Iterator<Item = usize>) -> usize {
        if quantifier.by_one() == self.verdict { each.sum() } else { each.max().unwrap_or(0) }
    }

    fn layer(&self, shape: &Shape<'_>, n: usize) -> usize {
        self.joined(shape.part.within, std::iter::repeat_n(1, n))
    }

    fn rule(&self, shape: &Shape<'_>) -> usize {
        self.joined(shape.part.across, shape.layers.iter().map(|n| self.layer(shape, *n)))
    }

    /// The divisor of the error at a point of a layer with so many.
    fn of(&self, shape: &Shape<'_>, n: usize) -> f64 {
        let share = |quantifier: Quantifier, whole: usize, own: usize| {
            if quantifier.by_one() == self.verdict { whole.max(1) as f64 / own.max(1) as f64 } else { 1.0 }
        };
        let (rule, layer) = (self.rule(shape), self.layer(shape, n));
        // What is reported beside decides nothing, and has an error of its own.
        let claim = if shape.part.reported { 1.0 } else { share(self.parts, self.claim, rule) };
        claim * share(shape.part.across, rule, layer) * share(shape.part.within, layer, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Quantifier::{Every, Some};
    use super::*;

    fn part(within: Quantifier, across: Quantifier, reported: bool) -> Part {
        let text = "rule = 'R'\nasks = '?'";
        Part { within, across, reported, ..toml::from_str(text).expect("a part") }
    }

    #[track_caller]
    fn check(parts: Quantifier, rules: &[(&Part, &[usize])], expected: &[&[(f64, f64)]]) {
        let shapes: Vec<Shape<'_>> =
            rules.iter().map(|(part, layers)| Shape { part, layers: layers.to_vec() }).collect();
        let found = shares(parts, &shapes);
        let told = |x: f64| (1e6 * x).round() / 1e6;
        let told = |a: &Among| (told(a.supported), told(a.refuted));
        let found: Vec<Vec<(f64, f64)>> = found.iter().map(|rule| rule.iter().map(told).collect()).collect();
        assert_eq!(found, expected.iter().map(|rule| rule.to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn who_could_decide_alone_shares_the_error() {
        let every = part(Every, Every, false);
        check(Every, &[(&every, &[1])], &[&[(1.0, 1.0)]]);
        check(Every, &[(&every, &[13])], &[&[(1.0, 13.0)]]);
        check(Every, &[(&every, &[3, 5]), (&every, &[4])], &[&[(1.0, 12.0); 2], &[(1.0, 12.0)]]);
        // A layer without points that are sampled takes no share.
        check(Every, &[(&every, &[0, 5]), (&every, &[0])], &[&[(1.0, 5.0); 2], &[(1.0, 5.0)]]);
        // One of the parts suffices for support, all are needed against it.
        check(Some, &[(&every, &[3]), (&every, &[4])], &[&[(2.0, 3.0)], &[(2.0, 4.0)]]);
    }

    #[test]
    fn the_other_way_round_where_one_example_supports() {
        let some = part(Some, Some, false);
        check(Every, &[(&some, &[2, 3])], &[&[(5.0, 1.0); 2]]);
        let mixed = part(Some, Every, false);
        // For support each layer needs an example of its own; against it one layer without any suffices.
        check(Every, &[(&mixed, &[2, 5])], &[&[(2.0, 2.0), (5.0, 2.0)]]);
        check(Some, &[(&mixed, &[2]), (&mixed, &[3])], &[&[(5.0, 1.0)], &[(5.0, 1.0)]]);
    }

    #[test]
    fn what_is_reported_beside_is_a_matter_of_its_own() {
        let (every, beside) = (part(Every, Every, false), part(Every, Every, true));
        check(Every, &[(&every, &[3]), (&beside, &[4, 1])], &[&[(1.0, 3.0)], &[(1.0, 5.0); 2]]);
    }

    #[test]
    fn the_shares_of_a_claim_never_exceed_its_error() {
        // Every shape of two rules with two layers of one to three points, for all quantifiers.
        let both = [Every, Some];
        for bits in 0..32_u32 {
            let pick = |at: u32| both[((bits >> at) & 1) as usize];
            let rules = [part(pick(0), pick(1), false), part(pick(2), pick(3), false)];
            for counts in 0..81_usize {
                let n = |at: u32| 1 + counts / 3_usize.pow(at) % 3;
                let layers = [vec![n(0), n(1)], vec![n(2), n(3)]];
                let shapes: Vec<Shape<'_>> = rules
                    .iter()
                    .zip(&layers)
                    .map(|(part, layers)| Shape { part, layers: layers.clone() })
                    .collect();
                let found = shares(pick(4), &shapes);
                for verdict in [Verdict::Supported, Verdict::Refuted] {
                    // The largest chance of error there can be: sums where one suffices, else the largest.
                    let join = |quantifier: Quantifier, each: Vec<f64>| {
                        if quantifier.by_one() == verdict {
                            each.iter().sum()
                        } else {
                            each.iter().copied().fold(0.0, f64::max)
                        }
                    };
                    let of_rule = |(shape, found): (&Shape<'_>, &Vec<Among>)| {
                        let of_layer =
                            |(n, a): (&usize, &Among)| join(shape.part.within, vec![1.0 / a.of(verdict); *n]);
                        join(shape.part.across, shape.layers.iter().zip(found).map(of_layer).collect())
                    };
                    let total = join(pick(4), shapes.iter().zip(&found).map(of_rule).collect());
                    assert!((total - 1.0).abs() < 1e-9, "{total} for {bits} {counts} {verdict:?}");
                }
            }
        }
    }
}
