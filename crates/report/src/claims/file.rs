//! A claim as it is written in `scenarios/claims/*.toml`, and what is refused in one.
//!
//! Data only: which sentence, which cells, which estimate, which thresholds, who published what. Each refusal names the
//! file, the line and the key, because a rule that is silently misread would judge something else than it says.

use std::collections::BTreeMap;

use isomark_core::{Error, Params, Value};
use serde::Deserialize;
use toml::Spanned;

use super::layers::Layers;
use super::verdict::Quantifier;

/// A sentence of the documents with its rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Its name: that of the file.
    pub id: Spanned<String>,
    /// The claim in a few words, for a table.
    pub title: String,
    /// The claim in a few words, in Chinese.
    #[serde(rename = "title_zh")]
    pub title_zh: Option<String>,
    /// The sentence.
    pub text: String,
    /// The sentence in Chinese.
    #[serde(rename = "text_zh")]
    pub text_zh: Option<String>,
    /// The documents that say it, by their short names.
    pub documents: Vec<String>,
    /// Where they say it.
    pub place: String,
    /// Whether the claim needs all of its parts or one.
    #[serde(default)]
    pub parts: Quantifier,
    /// One sentence for newcomers per verdict.
    pub says: Says,
    /// The same in Chinese.
    #[serde(rename = "sentence_zh")]
    pub sentence_zh: Option<Says>,
    /// What is decided, one rule each.
    #[serde(rename = "part")]
    pub rules: Vec<Part>,
    /// What others published.
    #[serde(default)]
    pub published: Vec<Published>,
}

/// What a newcomer is told; `{measured}` stands for the measured values.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Says {
    /// If the claim holds.
    pub supported: Option<String>,
    /// If it does not.
    pub refuted: Option<String>,
    /// If nothing can be said.
    pub inconclusive: Option<String>,
    /// If no run on one host could say anything.
    #[serde(rename = "not-testable")]
    pub not_testable: Option<String>,
}

/// One rule of a claim.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Part {
    /// Name of the rule (`C1a`).
    pub rule: Spanned<String>,
    /// The quantity in a few words, for where several stand together.
    #[serde(default)]
    pub about: String,
    /// The same in Chinese.
    #[serde(rename = "about_zh")]
    pub about_zh: Option<String>,
    /// What is decided, in words that hold the estimate and the threshold.
    pub asks: String,
    /// Why it cannot be tested here, fixed before any run.
    pub not_testable: Option<String>,
    /// Layers that are judged.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Layers that they are compared with.
    #[serde(default)]
    pub against: Vec<String>,
    /// Scenario whose cells are used.
    pub scenario: Option<String>,
    /// Parameters that those cells have; a list names alternatives.
    #[serde(default)]
    pub params: BTreeMap<String, OneOf>,
    /// Parameters that those cells do not have: what a plan varies beside the rule's own question.
    #[serde(default)]
    pub without: Vec<String>,
    /// A parameter of which each runtime stands with the value that suits it best: the highest median.
    pub best: Option<String>,
    /// Whether the quantity is a share that is written in per cent.
    #[serde(default)]
    pub percent: bool,
    /// What is taken of a trial: a metric, or a sum of metrics with their factors.
    pub value: Option<Taken>,
    /// What that is divided by, within the same trial.
    pub over: Option<Taken>,
    /// How values become an estimate.
    #[serde(default)]
    pub estimate: Estimator,
    /// The parameter that is changed, for estimates that compare a runtime with itself.
    pub change: Option<Change>,
    /// Whether the quantity is counted and not sampled: its interval is then from the smallest to the largest value.
    #[serde(default)]
    pub exact: bool,
    /// Whether all runtimes and parameters of a layer must agree, or one suffices.
    #[serde(default)]
    pub within: Quantifier,
    /// Whether all layers must agree, or one suffices.
    #[serde(default)]
    pub across: Quantifier,
    /// Whether it is reported beside the others without deciding anything.
    #[serde(default)]
    pub reported: bool,
    /// Trials that a verdict needs, where the usual 20 do not fit the quantity.
    pub least: Option<usize>,
    /// Where the interval must lie for the claim to hold.
    pub supported: Option<Bound>,
    /// Where it must lie for the claim to be wrong.
    pub refuted: Option<Bound>,
}

/// One value or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a parameter is a word, a whole number from 0 on, true or false, or a list of these"
)]
pub enum OneOf {
    /// This one.
    One(Value),
    /// Any of these.
    Many(Vec<Value>),
}

impl OneOf {
    /// Whether a parameter's value is meant.
    #[must_use]
    pub fn has(&self, value: &Value) -> bool {
        match self {
            Self::One(one) => one == value,
            Self::Many(all) => all.contains(value),
        }
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> Option<&Value> {
        match self {
            Self::One(one) => Some(one),
            Self::Many(all) => all.first(),
        }
    }
}

/// What is taken of a trial.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a value is the name of a metric, or names of metrics with their factors")]
pub enum Taken {
    /// A metric.
    Metric(String),
    /// A sum of metrics, each with its factor.
    Sum(BTreeMap<String, f64>),
}

impl Taken {
    /// The metrics with their factors.
    #[must_use]
    pub fn terms(&self) -> Vec<(&str, f64)> {
        match self {
            Self::Metric(name) => vec![(name, 1.0)],
            Self::Sum(all) => all.iter().map(|(name, factor)| (name.as_str(), *factor)).collect(),
        }
    }
}

/// How values become an estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Median over the trials of a cell.
    #[default]
    Median,
    /// Median of the ratios to the layer that it is compared with, paired by block.
    Ratio,
    /// Median of the differences to that layer, paired by block.
    Difference,
    /// Median of the ratios between two values of a parameter in one runtime, paired by block; counted only where the
    /// layer that it is compared with gains by the change.
    Gain,
    /// That ratio in one layer over the same ratio in another, paired by block.
    Interaction,
    /// Whether a word that the payload noted is the same as in the layer that it is compared with: 1 or 0.
    Same,
}

/// The parameter that is changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its name.
    pub param: String,
    /// Value before.
    pub from: Value,
    /// Value after.
    pub to: Value,
}

/// Where an interval must lie: exactly one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bound {
    /// The 95 % interval lies at or above it.
    pub at_least: Option<f64>,
    /// The 95 % interval lies above it.
    pub above: Option<f64>,
    /// The 95 % interval lies at or below it.
    pub at_most: Option<f64>,
    /// The 95 % interval lies below it.
    pub below: Option<f64>,
    /// The 90 % interval lies between these: two one-sided tests at 5 %.
    pub within: Option<[f64; 2]>,
}

impl Bound {
    /// The values that it admits, from and to.
    #[must_use]
    pub fn range(&self) -> [f64; 2] {
        let low = self.at_least.or(self.above);
        let high = self.at_most.or(self.below);
        self.within.unwrap_or([low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY)])
    }

    fn sides(&self) -> usize {
        let ones = [self.at_least, self.above, self.at_most, self.below];
        ones.iter().flatten().count() + usize::from(self.within.is_some())
    }
}

/// A figure that others published.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// What was measured, on what, how.
    pub what: String,
    /// The figure with its unit.
    pub value: String,
    /// Who published it.
    pub source: String,
    /// How good the evidence is: `data`, `text`, `abstract`, `secondary` or `memory`.
    pub evidence: String,
}

/// What is known about the origin of a published figure.
const EVIDENCE: [&str; 5] = ["data", "text", "abstract", "secondary", "memory"];

impl File {
    /// Reads a claim and checks that it can be judged.
    ///
    /// # Errors
    /// [`Error::Input`] naming file, line and key.
    pub fn parse(name: &str, text: &str, layers: &Layers) -> Result<Self, Error> {
        let file: Self = toml::from_str(text).map_err(|e| Error::Input(format!("claim {name}: {e}")))?;
        let line = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        let refuse = |at: usize, why: String| Error::Input(format!("claim {name} line {}: {why}", line(at)));
        let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".toml");
        if file.id.get_ref() != stem {
            let why = format!("key id is {:?}, but the file is named {stem:?}", file.id.get_ref());
            return Err(refuse(file.id.span().start, why));
        }
        if file.rules.is_empty() {
            return Err(refuse(0, "no [[part]]: nothing would be decided".to_owned()));
        }
        for part in &file.rules {
            let fail =
                |why: String| refuse(part.rule.span().start, format!("part {}: {why}", part.rule.get_ref()));
            part.check(layers).map_err(fail)?;
        }
        file.check_words().map_err(|why| refuse(file.id.span().start, why))?;
        Ok(file)
    }

    fn check_words(&self) -> Result<(), String> {
        if let Some(odd) = self.published.iter().find(|p| !EVIDENCE.contains(&&*p.evidence)) {
            return Err(format!(
                "published {:?}: key evidence is {:?}, not one of {}",
                odd.what,
                odd.evidence,
                EVIDENCE.join(", ")
            ));
        }
        let testable = self.rules.iter().any(|part| part.not_testable.is_none());
        self.says.check("says", testable)?;
        self.sentence_zh.as_ref().map_or(Ok(()), |says| says.check("sentence_zh", testable))
    }
}

impl Says {
    fn check(&self, table: &str, testable: bool) -> Result<(), String> {
        let Self { supported, refuted, inconclusive, not_testable } = self;
        let needed = if testable {
            [("supported", supported), ("refuted", refuted), ("inconclusive", inconclusive)].to_vec()
        } else {
            vec![("not-testable", not_testable)]
        };
        if let Some((key, _)) = needed.iter().find(|(_, words)| words.is_none()) {
            return Err(format!("key {table}.{key} is missing"));
        }
        for words in [supported, refuted, inconclusive, not_testable].into_iter().flatten() {
            if words.replace("{measured}", "").contains(['{', '}']) {
                return Err(format!("{table} {words:?}: {{measured}} is the only word that is filled in"));
            }
        }
        Ok(())
    }
}

impl Part {
    fn check(&self, layers: &Layers) -> Result<(), String> {
        if self.not_testable.is_some() {
            return match (&self.scenario, &self.supported) {
                (None, None) => Ok(()),
                _ => Err("key not-testable stands beside a rule; leave one of them out".to_owned()),
            };
        }
        if let Some(id) = self.layers.iter().chain(&self.against).find(|id| layers.get(id).is_none()) {
            return Err(format!("keys layers and against: {id:?} is none of {}", layers.ids().join(", ")));
        }
        if self.layers.is_empty() {
            return Err("key layers is missing: a verdict names its layer".to_owned());
        }
        if self.about.is_empty() {
            return Err("key about is missing: a quantity needs a name".to_owned());
        }
        if self.scenario.is_none() || self.value.is_none() {
            return Err("keys scenario and value are needed".to_owned());
        }
        self.check_estimate()?;
        self.check_bounds()
    }

    fn check_estimate(&self) -> Result<(), String> {
        use Estimator::{Difference, Gain, Interaction, Median, Ratio, Same};
        let (against, change) = (!self.against.is_empty(), self.change.is_some());
        let wanted = match self.estimate {
            Median => (Some(false), false),
            Ratio | Difference | Same => (Some(true), false),
            Gain => (None, true),
            Interaction => (Some(true), true),
        };
        match wanted {
            (Some(true), _) if !against => {
                Err("key against is missing: compared with which layers?".to_owned())
            }
            (Some(false), _) if against => {
                Err("key against is given, but the estimate compares nothing".to_owned())
            }
            (_, true) if !change => {
                Err("key change is missing: which parameter, from what, to what?".to_owned())
            }
            (_, false) if change => Err("key change is given, but the estimate changes nothing".to_owned()),
            _ if self.least.is_some_and(|n| n < 6 && !self.exact) => {
                Err("key least: below 6 trials there is no interval".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_bounds(&self) -> Result<(), String> {
        let (Some(supported), Some(refuted)) = (self.supported, self.refuted) else {
            return Err("keys supported and refuted are both needed".to_owned());
        };
        for (key, bound) in [("supported", supported), ("refuted", refuted)] {
            if bound.sides() != 1 {
                let words = "exactly one of at-least, above, at-most, below, within";
                return Err(format!("key {key} needs {words}"));
            }
            if bound.within.is_some_and(|[low, high]| low >= high) {
                return Err(format!("key {key}: within goes from the smaller to the larger"));
            }
        }
        let ([a, b], [c, d]) = (supported.range(), refuted.range());
        if a.max(c) < b.min(d) {
            return Err("keys supported and refuted overlap: one value would be both".to_owned());
        }
        Ok(())
    }

    /// Whether a cell's parameters are those that the rule asks for, apart from the one it changes.
    #[must_use]
    pub fn admits(&self, params: &Params) -> bool {
        self.params.iter().all(|(key, wanted)| params.get(key).is_some_and(|value| wanted.has(value)))
            && self.without.iter().all(|key| params.get(key).is_none())
    }
}
