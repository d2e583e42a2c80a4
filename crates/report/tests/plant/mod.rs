//! Runs whose truth is known: samples that follow from a rule, its thresholds and a value planted on either side of them.

use std::collections::BTreeMap;

use isomark_core::record::{Cell, Host, Outcome, PayloadRecord, RUN_SCHEMA, Run, RuntimeRecord, Sample};
use isomark_core::{Identity, Metric, Params};
use isomark_report::claims::claim;
use isomark_report::claims::file::{Bound, Estimator, File, Part, Taken};
use isomark_report::claims::layers::{Layer, Layers};
use isomark_report::claims::outcome::PartOutcome;
use isomark_report::dataset::Dataset;
use isomark_report::stats::random::Random;
use isomark_report::summary::Claim;

pub(crate) const BLOCKS: u32 = 40;
/// What an unchanged or a compared cell measures.
pub(crate) const BASE: f64 = 1000.0;
/// What a plain process gains by optimised code.
pub(crate) const GAIN: f64 = 2.0;

/// What is planted: the true value, and how far single blocks lie from it on both sides, in turns.
#[derive(Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) value: f64,
    pub(crate) spread: f64,
}

/// A value well inside a bound.
pub(crate) fn inside(bound: Bound) -> f64 {
    let beyond = |t: f64, factor: f64, step: f64| if t > 0.0 { t * factor } else { t + step };
    match bound {
        Bound { at_least: Some(t), .. } => beyond(t, 1.2, 0.0),
        Bound { above: Some(t), .. } => beyond(t, 1.2, 1.0),
        Bound { at_most: Some(t), .. } => beyond(t, 0.85, t / 5.0),
        Bound { below: Some(t), .. } => beyond(t, 0.85, -1.0),
        Bound { within: Some([a, b]), .. } => f64::midpoint(a, b),
        Bound { .. } => panic!("a bound without a side passed the check"),
    }
}

/// The edge of a bound: what lies on both sides of it is undecided.
pub(crate) fn edge(bound: Bound) -> f64 {
    let [low, high] = bound.range();
    if low.is_finite() { low } else { high }
}

/// A runtime of a layer: one that the data places there, as a variant where it stands at several.
pub(crate) fn name_at(layer: &Layer) -> String {
    match layer.runtimes.first() {
        Some(name) if layer.details.is_empty() => name.clone(),
        Some(name) => format!("{name}@planted"),
        None => format!("unheard-of-{}", layer.id),
    }
}

pub(crate) struct Plant<'p> {
    pub(crate) layers: &'p Layers,
    pub(crate) part: &'p Part,
    pub(crate) run: Run,
    pub(crate) samples: Vec<Sample>,
    pub(crate) random: Random,
}

impl<'p> Plant<'p> {
    pub(crate) fn new(layers: &'p Layers, part: &'p Part, seed: u64) -> Self {
        let host = Host { name: "planted".into(), kvm_class: "hardware".into(), ..Host::default() };
        let payload = PayloadRecord {
            sha256: "0".repeat(64),
            target: "x86_64-unknown-linux-musl".into(),
            bytes: 1,
            path: None,
            note: None,
        };
        let run = Run {
            schema: RUN_SCHEMA.into(),
            id: "planted".into(),
            started: "2026-01-01T00:00:00Z".into(),
            isomark: "0".into(),
            argv: Vec::new(),
            plan: "planted".into(),
            seed,
            warmup: 0,
            blocks: BLOCKS,
            precision: None,
            cells: Vec::new(),
            questions: BTreeMap::new(),
            runtimes: Vec::new(),
            host,
            payload,
            program: None,
            part: None,
            labels: BTreeMap::new(),
            binary_sha256: None,
        };
        Self { layers, part, run, samples: Vec::new(), random: Random::new(seed) }
    }

    pub(crate) fn layer(&self, id: &str) -> &'p Layer {
        self.layers.get(id).expect("a known layer")
    }

    /// The cells of a layer: one, or one before and one after the change.
    pub(crate) fn layer_cells(&mut self, id: &str, truth: Truth, gain: f64, word: &str) {
        let layer = self.layer(id);
        let name = name_at(layer);
        if !self.run.runtimes.iter().any(|record| record.name == name) {
            let identity = Some(Identity { details: layer.details.clone(), ..Identity::default() });
            let record = RuntimeRecord { name: name.clone(), kind: layer.kind, identity, unavailable: None };
            self.run.runtimes.push(record);
        }
        let mut params = Params::new();
        for (key, values) in self.part.params.iter().chain(&layer.params) {
            params.set(key, values.first().expect("a value").clone());
        }
        match &self.part.change {
            Some(change) => {
                let flat = Truth { value: truth.value, spread: 0.0 };
                self.cell(&name, params.clone().with(&change.param, change.from.clone()), flat, word);
                let after = Truth { value: truth.value * gain, ..truth };
                self.cell(&name, params.with(&change.param, change.to.clone()), after, word);
            }
            None => self.cell(&name, params, truth, word),
        }
    }

    pub(crate) fn cell(&mut self, runtime: &str, params: Params, truth: Truth, word: &str) {
        let terms: Vec<String> = [&self.part.value, &self.part.over]
            .into_iter()
            .flatten()
            .flat_map(Taken::terms)
            .map(|(name, _)| name.to_owned())
            .collect();
        let metrics =
            terms.iter().map(|name| Metric { name: name.clone().into(), ..Metric::time("x") }).collect();
        let cell = self.run.cells.len();
        let scenario = self.part.scenario.clone().expect("a scenario");
        let runtime = runtime.to_owned();
        self.run.cells.push(Cell { runtime, scenario, params, every: 1, metrics, skipped: None, arm: None });
        for block in 0..BLOCKS {
            // In turns above and below: the median's interval then holds the truth for certain.
            let side = if block % 2 == 0 { 1.0 } else { -1.0 };
            let off = side * truth.spread * (0.5 + 0.5 * self.random.unit());
            let value = truth.value + off;
            self.samples.push(Sample {
                cell,
                block,
                warmup: false,
                at_ns: 0,
                phases: Vec::new(),
                steps: Vec::new(),
                series: BTreeMap::new(),
                notes: [("isa".to_owned(), word.to_owned())].into(),
                outcome: Outcome::Values(self.values(value)),
            });
        }
    }

    /// Metrics whose combination is `value`: all are 1 but the last, which is searched for.
    pub(crate) fn values(&self, value: f64) -> BTreeMap<String, f64> {
        let top = self.part.value.as_ref().map(Taken::terms).unwrap_or_default();
        if top.len() == 1 && self.part.over.is_none() {
            return [(top[0].0.to_owned(), value / top[0].1)].into();
        }
        let bottom = self.part.over.as_ref().map(Taken::terms).unwrap_or_default();
        let last = top.last().expect("a metric").0;
        let of = |x: f64| {
            let sum = |terms: &[(&str, f64)]| -> f64 {
                terms.iter().map(|(name, factor)| factor * if *name == last { x } else { 1.0 }).sum()
            };
            if bottom.is_empty() { sum(&top) } else { sum(&top) / sum(&bottom) }
        };
        let (mut low, mut high) = (0.0, 1e13);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if of(middle) < value { low = middle } else { high = middle }
        }
        let names = top.iter().chain(&bottom).map(|(name, _)| *name);
        names.map(|name| (name.to_owned(), if name == last { low } else { 1.0 })).collect()
    }

    pub(crate) fn judged(mut self, file: &File, truth: Truth) -> (Claim, PartOutcome) {
        let part = self.part;
        let flat = |value: f64| Truth { value, spread: 0.0 };
        let scaled = |base: f64| Truth { value: truth.value * base, spread: truth.spread * base };
        for id in &part.against {
            let word = "avx2";
            self.layer_cells(id, flat(BASE), GAIN, word);
        }
        for id in &part.layers {
            match part.estimate {
                Estimator::Median => self.layer_cells(id, truth, 1.0, ""),
                Estimator::Ratio => self.layer_cells(id, scaled(BASE), 1.0, ""),
                Estimator::Difference => {
                    self.layer_cells(id, Truth { value: BASE + truth.value, ..truth }, 1.0, "");
                }
                Estimator::Gain => self.layer_cells(id, scaled(BASE), 1.0, ""),
                Estimator::Interaction => self.layer_cells(id, scaled(BASE), 1.0, ""),
                Estimator::Same => {
                    let word = if truth.value >= 1.0 { "avx2" } else { "baseline" };
                    self.layer_cells(id, flat(BASE), 1.0, word);
                }
            }
        }
        let data = Dataset::new(&self.run, &self.samples, Vec::new()).expect("samples of this run");
        let claim = claim(&data, self.layers, file);
        let rule = part.rule.get_ref();
        let outcome = claim.measured.parts.iter().find(|one| one.rule == *rule).expect("the part").clone();
        (claim, outcome)
    }
}
