//! Which names may a thresholds file use?
//!
//! What the shelves and the runs at hand have; nothing is guessed.

use isomark_core::Metric;
use isomark_core::record::Run;

/// The names that a thresholds file may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    runtimes: Vec<String>,
    metrics: Vec<(String, Metric)>,
}

impl Known {
    /// Adds a runtime.
    pub fn runtime(&mut self, name: &str) {
        if !self.runtimes.iter().any(|known| known == name) {
            self.runtimes.push(name.to_owned());
        }
    }

    /// Adds a metric of a scenario.
    pub fn metric(&mut self, scenario: &str, metric: &Metric) {
        if !self.metrics.iter().any(|(of, known)| of == scenario && known.name == metric.name) {
            self.metrics.push((scenario.to_owned(), metric.clone()));
        }
    }

    /// Adds everything that a run names.
    pub fn run(&mut self, run: &Run) {
        for cell in &run.cells {
            self.runtime(&cell.runtime);
            cell.metrics.iter().for_each(|metric| self.metric(&cell.scenario, metric));
        }
    }

    pub(super) fn runtimes(&self) -> impl Iterator<Item = &str> + Clone {
        self.runtimes.iter().map(String::as_str)
    }

    pub(super) fn scenarios(&self) -> impl Iterator<Item = &str> + Clone {
        self.metrics.iter().map(|(scenario, _)| scenario.as_str())
    }

    pub(super) fn metrics<'k>(
        &'k self,
        scenario: Option<&'k str>,
    ) -> impl Iterator<Item = &'k Metric> + Clone {
        let wanted = move |of: &str| scenario.is_none_or(|s| s == of);
        self.metrics.iter().filter(move |(of, _)| wanted(of)).map(|(_, metric)| metric)
    }
}
