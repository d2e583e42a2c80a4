//! Which values belong together?
//!
//! Samples grouped by cell and metric. Warm-ups are left out, failures are counted and kept in words, nothing is
//! dropped for its value. Two cells are paired by block and by nothing else.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isomark_core::record::{Block, Failure, Outcome, Run, Sample};
use isomark_core::{Error, Phase};

/// Different values of one note that are kept; hashes of results could otherwise fill the memory.
const NOTES: usize = 8;
/// Longest series of raw numbers that is kept for curves; latencies of single requests are longer.
const CURVE: usize = 64;
/// Most different names that the samples of one cell may have: metrics, notes and inner steps. They have dozens; each new one is
/// looked for among the others.
const NAMES: usize = 1_000;
/// Different failures of one cell that are kept in words; all are counted.
const FAILURES: usize = 20;

/// A run's samples, grouped.
#[derive(Clone, Debug)]
pub struct Dataset<'r> {
    /// What was decided before the first sample.
    pub run: &'r Run,
    /// What each cell of [`Run::cells`] recorded, in the same order.
    pub cells: Vec<Observed>,
    /// How noisy the host was, block by block.
    pub blocks: Vec<Block>,
}

/// An inner step as it was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// What was done.
    pub name: String,
    /// When, in ns since `create` began.
    pub at: Vec<f64>,
    /// How long after the step before, in ns, within the same trial.
    pub since: Vec<f64>,
}

/// What the trials of one cell recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Trials, warm-ups left out.
    pub trials: usize,
    /// Trials without values.
    pub failed: usize,
    /// Values by metric in the order they were taken: block and value.
    pub series: BTreeMap<String, Vec<(u32, f64)>>,
    /// Time in each phase per trial, in ns, repeated calls added up.
    pub phases: BTreeMap<Phase, Vec<f64>>,
    /// Inner steps as told, in the order of their first appearance.
    pub steps: Vec<Told>,
    /// Raw numbers behind the values, trial by trial, the short ones: what curves are drawn from.
    pub curves: Vec<BTreeMap<String, Vec<f64>>>,
    /// Words of the samples: for each note its different values (the first few).
    pub notes: BTreeMap<String, BTreeSet<String>>,
    /// Failures by what they said, the first first.
    pub failures: Vec<Failures>,
}

/// Failures that said the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// What they said.
    pub failure: Failure,
    /// How many they were.
    pub count: usize,
    /// Block of the first.
    pub block: u32,
}

impl<'r> Dataset<'r> {
    /// Groups the samples of a run.
    ///
    /// # Errors
    /// [`Error::Input`] naming the line of a sample whose cell the run does not have, or with a number that nobody can have
    /// measured.
    pub fn new(run: &'r Run, samples: &[Sample], blocks: Vec<Block>) -> Result<Self, Error> {
        let mut cells = vec![Observed::default(); run.cells.len()];
        for (line, sample) in samples.iter().enumerate() {
            let Some(cell) = cells.get_mut(sample.cell) else {
                let (line, index, known) = (line + 1, sample.cell, run.cells.len());
                let text = format!(
                    "samples.jsonl line {line}: field cell is {index}, but run.json has {known} cells; \
                     the files belong to different runs"
                );
                return Err(Error::Input(text));
            };
            if let Some((field, value)) = immeasurable(sample) {
                let line = line + 1;
                return Err(Error::Input(format!(
                    "samples.jsonl line {line}: field {field} is {value:e}: nothing that was measured; take the line away"
                )));
            }
            if !sample.warmup && !cell.add(sample) {
                let (line, index) = (line + 1, sample.cell);
                return Err(Error::Input(format!(
                    "samples.jsonl line {line}: the trials of cell {index} have more than {NAMES} different names of metrics, \
                     notes or steps; take away what isomark did not write"
                )));
            }
        }
        for series in cells.iter_mut().flat_map(|cell| cell.series.values_mut()) {
            // A resumed run may have gone back to an earlier block. Stable: within a block, as taken.
            series.sort_by_key(|(block, _)| *block);
        }
        Ok(Self { run, cells, blocks })
    }

    /// Values of `metric` in two cells, block by block: (first cell, second cell).
    ///
    /// ```
    /// use isomark_core::record::{Cell, Outcome, Run, Sample};
    /// use isomark_report::Dataset;
    ///
    /// let cell = |runtime| Cell::new(runtime, "startup", Vec::new());
    /// let run = Run::new("demo", vec![cell("process"), cell("mine")]);
    /// let trial = |at, block, ns| Sample::new(at, block, Outcome::of([("startup", ns)]));
    /// // In block 1 only one of them has a value: it has no partner.
    /// let samples = [trial(0, 0, 80.0), trial(1, 0, 90.0), trial(0, 1, 81.0)];
    /// let data = Dataset::new(&run, &samples, Vec::new())?;
    /// assert_eq!(data.pairs(1, 0, "startup"), [(0, (90.0, 80.0))]);
    /// # Ok::<(), isomark_core::Error>(())
    /// ```
    #[must_use]
    pub fn pairs(&self, cell: usize, base: usize, metric: &str) -> Vec<(u32, (f64, f64))> {
        let series = |at: usize| self.cells.get(at).and_then(|c| c.series.get(metric));
        let (Some(ours), Some(theirs)) = (series(cell), series(base)) else { return Vec::new() };
        paired(ours, theirs)
    }
}

/// The refusal of samples with the folder that they lie in.
pub(crate) fn of(dir: &Path, e: Error) -> Error {
    match e {
        Error::Input(why) => Error::Input(dir.join(why).display().to_string()),
        e => e,
    }
}

/// Largest magnitude of a number, and the inverse of the smallest: in any unit far from what is measured, and far enough from
/// the ends of floats that no ratio, sum or square of such numbers reaches them. What is computed from more would be no number,
/// and an axis up to it has no end.
const MAGNITUDE: f64 = 1e30;

/// The first number of a sample that nobody can have measured, by its field.
fn immeasurable(sample: &Sample) -> Option<(String, f64)> {
    let absurd = |x: &f64| *x != 0.0 && !(MAGNITUDE.recip()..=MAGNITUDE).contains(&x.abs());
    let values = match &sample.outcome {
        Outcome::Values(values) => values.iter().find(|(_, x)| absurd(x)),
        Outcome::Failed(_) => None,
    };
    let values = values.map(|(name, x)| (format!("values.{name}"), *x));
    values.or_else(|| {
        let series = || sample.series.iter().flat_map(|(name, all)| all.iter().map(move |x| (name, *x)));
        series().find(|(_, x)| absurd(x)).map(|(name, x)| (format!("series.{name}"), x))
    })
}

/// Two series that ascend by block, read side by side. Last one wins within a block on either side; a block has one trial
/// of a cell.
fn paired(ours: &[(u32, f64)], theirs: &[(u32, f64)]) -> Vec<(u32, (f64, f64))> {
    let mut pairs = Vec::with_capacity(ours.len().min(theirs.len()));
    let (mut our, mut their) = (0, 0);
    while let (Some((block, _)), Some((other, _))) = (ours.get(our), theirs.get(their)) {
        match block.cmp(other) {
            Ordering::Less => our += 1,
            Ordering::Greater => their += 1,
            Ordering::Equal => {
                (our, their) = (beyond(ours, our, *block), beyond(theirs, their, *block));
                pairs.push((*block, (ours[our - 1].1, theirs[their - 1].1)));
            }
        }
    }
    pairs
}

/// Where the values of a block end.
fn beyond(series: &[(u32, f64)], from: usize, block: u32) -> usize {
    from + series[from..].iter().take_while(|(at, _)| *at == block).count()
}

impl Observed {
    /// Whether there was room for its names.
    fn add(&mut self, sample: &Sample) -> bool {
        let values = if let Outcome::Values(values) = &sample.outcome { values.len() } else { 0 };
        if [values, sample.notes.len(), self.series.len() + self.notes.len() + self.steps.len()]
            .into_iter()
            .any(|names| names > NAMES)
        {
            return false;
        }
        self.trials += 1;
        for (key, words) in &sample.notes {
            let seen = self.notes.entry(key.clone()).or_default();
            if seen.len() < NOTES {
                seen.insert(words.clone());
            }
        }
        match &sample.outcome {
            Outcome::Values(values) => self.keep(sample, values),
            Outcome::Failed(failure) => self.fail(sample.block, failure),
        }
        true
    }

    fn keep(&mut self, sample: &Sample, values: &BTreeMap<String, f64>) {
        for (metric, value) in values {
            if let Some(series) = self.series.get_mut(metric) {
                series.push((sample.block, *value));
            } else {
                self.series.insert(metric.clone(), vec![(sample.block, *value)]);
            }
        }
        if !sample.series.is_empty() {
            let short = sample.series.iter().filter(|(_, numbers)| numbers.len() <= CURVE);
            self.curves.push(short.map(|(name, numbers)| (name.clone(), numbers.clone())).collect());
        }
        let mut phases: BTreeMap<Phase, u64> = BTreeMap::new();
        for (phase, ns) in &sample.phases {
            let sum = phases.entry(*phase).or_default();
            *sum = sum.saturating_add(*ns);
        }
        for (phase, ns) in phases {
            self.phases.entry(phase).or_default().push(ns as f64);
        }
        let (first, mut before) = (sample.steps.first().map(|(name, _)| name), 0);
        for (at, (name, ns)) in in_time(&sample.steps).into_iter().enumerate() {
            let known = self.steps.iter().position(|step| step.name == *name);
            let known = known.unwrap_or_else(|| {
                self.steps.push(Told { name: name.clone(), ..Told::default() });
                self.steps.len() - 1
            });
            let step = &mut self.steps[known];
            step.at.push(*ns as f64);
            // Where another instance begins, what lies before is not a step but everything between the two.
            if at == 0 || Some(name) != first {
                step.since.push(ns.saturating_sub(before) as f64);
            }
            before = *ns;
        }
    }

    fn fail(&mut self, block: u32, failure: &Failure) {
        self.failed += 1;
        if let Some(same) = self.failures.iter_mut().find(|f| f.failure == *failure) {
            same.count += 1;
        } else if self.failures.len() < FAILURES {
            self.failures.push(Failures { failure: failure.clone(), count: 1, block });
        }
    }

    /// Values of a metric without their blocks, in the order of the blocks.
    #[must_use]
    pub fn values(&self, metric: &str) -> Vec<f64> {
        self.series
            .get(metric)
            .map_or_else(Vec::new, |series| series.iter().map(|(_, value)| *value).collect())
    }
}

/// The steps of each instance in the order of time. A parent that is suspended until its child has called `execve` tells of
/// that only when it runs again, which may be after the child's first own words.
fn in_time(steps: &[(String, u64)]) -> Vec<&(String, u64)> {
    let mut all: Vec<&(String, u64)> = steps.iter().collect();
    let first = steps.first().map(|(name, _)| name);
    let mut from = 0;
    for to in 1..=all.len() {
        // The first step of all is told again where another instance begins.
        if to == all.len() || Some(&all[to].0) == first {
            all[from..to].sort_by_key(|(_, ns)| *ns);
            from = to;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(all: &[(&str, u64)]) -> Vec<(String, u64)> {
        all.iter().map(|(name, ns)| ((*name).to_owned(), *ns)).collect()
    }

    #[test]
    fn steps_are_in_the_order_of_time_within_each_instance() {
        let told = steps(&[
            ("clone", 10),
            ("execve", 90),
            ("main", 40),
            ("clone", 200),
            ("main", 230),
            ("execve", 220),
        ]);
        let names: Vec<(&str, u64)> =
            in_time(&told).into_iter().map(|(name, ns)| (name.as_str(), *ns)).collect();
        let wanted =
            [("clone", 10), ("main", 40), ("execve", 90), ("clone", 200), ("execve", 220), ("main", 230)];
        assert_eq!(names, wanted);
        assert!(in_time(&[]).is_empty());
    }

    fn series() -> impl Strategy<Value = Vec<(u32, f64)>> {
        prop::collection::vec((0_u32..30, -1e3..1e3_f64), 0..60).prop_map(|mut all| {
            all.sort_by_key(|(block, _)| *block);
            all
        })
    }

    proptest! {
        #[test]
        fn blocks_are_paired_as_maps_pair_them(ours in series(), theirs in series()) {
            let base: BTreeMap<u32, f64> = theirs.iter().copied().collect();
            let own: BTreeMap<u32, f64> = ours.iter().copied().collect();
            let wanted: Vec<(u32, (f64, f64))> =
                own.into_iter().filter_map(|(block, x)| Some((block, (x, *base.get(&block)?)))).collect();
            prop_assert_eq!(paired(&ours, &theirs), wanted);
        }
    }
}
