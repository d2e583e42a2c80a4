//! How much worse is too much worse?
//!
//! A limit is relative, absolute or both; with both the larger counts. A TOML file may change the defaults by kind of
//! quantity and set limits for any mix of runtime, scenario and metric. The entry that names most of the three wins;
//! among equals a metric counts more than a scenario, and that more than a runtime. A metric that is not the headline of
//! its scenario decides only if an entry names it. A name that nothing has is an error with the nearest valid one: a
//! misspelt threshold that is ignored is a gate that stands open.
//!
//! ```toml
//! [default]
//! time = "3%"
//! size = { relative = "5%", absolute = "64 KiB" }
//!
//! [[limit]]
//! runtime = "microvm"
//! scenario = "startup"
//! metric = "startup"
//! relative = "5%"
//! absolute = "20 us"
//!
//! [[limit]]
//! metric = "rss"
//! ignore = true
//! ```

mod file;
mod known;

use isomark_core::{Error, Metric};

use crate::region::{Region, quantity};
use crate::stats::verdict::Quantity;

pub use known::Known;

/// How much a metric may get worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// As a share of the base: 0.03 for 3 %.
    pub relative: f64,
    /// In the metric's own unit, if one was set; the larger of both counts.
    pub absolute: Option<f64>,
    /// Whether the metric is shown only and decides nothing.
    pub ignore: bool,
    /// Whether an entry names this very metric, or asks for every one: then it decides even if it is no headline.
    pub named: bool,
}

impl Limit {
    const fn relative(relative: f64) -> Self {
        Self { relative, absolute: None, ignore: false, named: false }
    }

    /// As a region of equivalence.
    #[must_use]
    pub const fn region(self) -> Region {
        Region { relative: self.relative, absolute: self.absolute }
    }
}

/// All limits of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    time: Limit,
    rate: Limit,
    size: Limit,
    rows: Vec<Row>,
    every: bool,
}

/// One `[[limit]]`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    runtime: Option<String>,
    scenario: Option<String>,
    metric: Option<String>,
    relative: Option<f64>,
    absolute: Option<Absolute>,
    ignore: bool,
}

/// An absolute limit with the kind of quantity it can be held against.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Absolute {
    value: f64,
    /// None for a bare number, which means the metric's own unit whatever that is.
    kind: Option<Quantity>,
}

impl Default for Thresholds {
    /// Times 3 % but at least a microsecond (below that two clock readings and one interrupt decide), rates 3 %,
    /// sizes 5 % but at least 64 KiB (sixteen pages: what an allocator or a page cache moves by itself).
    fn default() -> Self {
        Self {
            time: Limit { absolute: Some(1_000.0), ..Limit::relative(0.03) },
            rate: Limit::relative(0.03),
            size: Limit { absolute: Some(65_536.0), ..Limit::relative(0.05) },
            rows: Vec::new(),
            every: false,
        }
    }
}

impl Thresholds {
    /// Reads a thresholds file.
    ///
    /// # Errors
    /// [`Error::Input`] naming file, line and field, and the nearest valid name for one that nothing has.
    pub fn parse(file: &str, text: &str, known: &Known) -> Result<Self, Error> {
        file::read(file, text, known)
    }

    /// The same limits with every metric deciding, not the headline of each scenario alone.
    #[must_use]
    pub fn every_metric(self) -> Self {
        Self { every: true, ..self }
    }

    /// The limit of a metric in a scenario on a runtime.
    #[must_use]
    pub fn of(&self, runtime: &str, scenario: &str, metric: &Metric) -> Limit {
        let kind = quantity(metric);
        let fits = self.rows.iter().filter(|row| row.fits(runtime, scenario, &metric.name));
        let found = fits.filter_map(|row| Some((row.rank(), row.limit(kind, metric)?)));
        let limit = found.max_by_key(|(rank, _)| *rank).map(|(_, limit)| limit);
        let limit = limit.unwrap_or_else(|| self.built_in(kind, metric));
        Limit { named: limit.named || self.every, ..limit }
    }

    fn built_in(&self, kind: Quantity, metric: &Metric) -> Limit {
        match kind {
            Quantity::Time => self.time,
            Quantity::Rate => self.rate,
            // A count has no bytes.
            Quantity::Size if metric.unit != "byte" => Limit { absolute: None, ..self.size },
            Quantity::Size => self.size,
        }
    }
}

impl Row {
    fn names(&self) -> (&Option<String>, &Option<String>, &Option<String>) {
        (&self.runtime, &self.scenario, &self.metric)
    }

    fn fits(&self, runtime: &str, scenario: &str, metric: &str) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        same(&self.runtime, runtime) && same(&self.scenario, scenario) && same(&self.metric, metric)
    }

    /// How many of the three it names, then metric before scenario before runtime.
    fn rank(&self) -> (usize, bool, bool, bool) {
        let named = [self.metric.is_some(), self.scenario.is_some(), self.runtime.is_some()];
        (named.iter().filter(|n| **n).count(), named[0], named[1], named[2])
    }

    /// None if nothing of it can be held against such a metric: bytes against a time.
    fn limit(&self, kind: Quantity, metric: &Metric) -> Option<Limit> {
        let fits = |a: &Absolute| match a.kind {
            None => true,
            Some(Quantity::Size) => metric.unit == "byte",
            Some(of) => of == kind,
        };
        let absolute = self.absolute.filter(fits).map(|a| a.value);
        let says = self.relative.is_some() || absolute.is_some() || self.ignore;
        says.then(|| Limit {
            relative: self.relative.unwrap_or(0.0),
            absolute,
            ignore: self.ignore,
            named: self.metric.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let mut known = Known::default();
        ["process", "namespace", "microvm"].iter().for_each(|name| known.runtime(name));
        known.metric("startup", &Metric::time("startup"));
        known.metric("startup", &Metric::time("create"));
        known.metric("memory", &Metric::size("pss"));
        known.metric("throughput", &Metric::rate("best", "flop"));
        known
    }

    fn parse(text: &str) -> Result<Thresholds, String> {
        Thresholds::parse("limits.toml", text, &known()).map_err(|e| e.to_string())
    }

    #[track_caller]
    fn refused(text: &str, with: &[&str]) {
        let why = parse(text).unwrap_err();
        assert!(why.starts_with("thresholds limits.toml line "), "{why}");
        assert!(with.iter().all(|part| why.contains(part)), "{why}");
    }

    #[test]
    fn defaults_by_kind() {
        let all = Thresholds::default();
        assert_eq!(all, parse("").unwrap());
        let of = |metric: &Metric| all.of("microvm", "any", metric);
        assert_eq!(of(&Metric::time("startup")).relative, 0.03);
        assert_eq!(of(&Metric::rate("best", "flop")), Limit::relative(0.03));
        assert_eq!(of(&Metric::size("pss")).absolute, Some(65_536.0));
        let count = Metric { unit: "thing".into(), ..Metric::size("things") };
        assert_eq!(of(&count), Limit::relative(0.05));
    }

    #[test]
    fn the_most_specific_entry_wins() {
        let text = r#"
            [default]
            time = "4%"
            rate = 0.06
            size = { relative = "1 %", absolute = "1 MiB" }
            [[limit]]
            runtime = "microvm"
            relative = "10%"
            [[limit]]
            scenario = "startup"
            relative = "20%"
            [[limit]]
            metric = "startup"
            relative = "30%"
            [[limit]]
            runtime = "microvm"
            scenario = "startup"
            relative = "40%"
            absolute = "20 us"
            [[limit]]
            runtime = "namespace"
            absolute = "1 KiB"
            [[limit]]
            metric = "pss"
            runtime = "process"
            ignore = true
        "#;
        let all = parse(text).unwrap();
        let of = |r: &str, s: &str, m: &Metric| all.of(r, s, m).relative;
        let (startup, create) = (Metric::time("startup"), Metric::time("create"));
        assert_eq!(of("process", "program", &Metric::time("wall")), 0.04);
        assert_eq!(of("process", "throughput", &Metric::rate("best", "flop")), 0.06);
        assert_eq!(of("microvm", "memory", &Metric::size("pss")), 0.10);
        assert_eq!(of("process", "startup", &create), 0.20);
        assert_eq!(of("process", "startup", &startup), 0.30);
        assert_eq!(of("microvm", "startup", &startup), 0.40);
        assert_eq!(all.of("microvm", "startup", &create).absolute, Some(20_000.0));
        // Bytes cannot be held against a time: the entry does not speak of times.
        assert_eq!(of("namespace", "program", &Metric::time("wall")), 0.04);
        let bytes = all.of("namespace", "memory", &Metric::size("pss"));
        assert_eq!(bytes, Limit { relative: 0.0, absolute: Some(1024.0), ..Limit::relative(0.0) });
        assert!(all.of("process", "memory", &Metric::size("pss")).ignore);
    }

    #[test]
    fn what_is_misspelt_is_refused_with_the_nearest_name() {
        refused("[[limit]]\nmetric = \"startpu\"", &["line 2", "metric", "did you mean \"startup\"?"]);
        refused("[[limit]]\nruntime = \"microvn\"", &["line 2", "runtime", "did you mean \"microvm\"?"]);
        refused("\n[[limit]]\nscenario = \"memry\"", &["line 3", "scenario", "\"memory\""]);
        refused("[[limit]]\nscenario = \"memory\"\nmetric = \"startup\"", &["line 3", "known: pss"]);
        refused("[[limits]]\nmetric = \"pss\"", &["line 1", "limits", "did you mean \"limit\"?"]);
        refused("[[limit]]\nrelativ = \"3%\"", &["line 2", "did you mean \"relative\"?"]);
        refused("[default]\ntimes = \"3%\"", &["line 2", "did you mean \"time\"?"]);
        refused("[default]\nsize = { abs = 3 }", &["line 2", "abs"]);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        refused("[[limit]]\nmetric = \"pss\"", &["line 1", "relative, absolute or ignore"]);
        refused("[[limit]]\nrelative = \"3%\"", &["line 1", "runtime, scenario or metric"]);
        refused("[[limit]]\nmetric = \"pss\"\nabsolute = \"3 ms\"", &["line 3", "byte"]);
        refused("[[limit]]\nmetric = \"pss\"\nabsolute = \"3 parsecs\"", &["line 3", "parsecs"]);
        refused("[[limit]]\nmetric = \"pss\"\nrelative = \"-3%\"", &["line 3"]);
        refused("[[limit]]\nmetric = \"pss\"\nrelative = 3", &["line 3", "300 %"]);
        refused("[[limit]]\nmetric = \"pss\"\nrelative = nan", &["line 3"]);
        refused("[[limit]]\nmetric = \"pss\"\nrelative = true", &["line 3"]);
        refused("[[limit]]\nmetric = 3\nrelative = 0.1", &["line 2", "metric"]);
        refused("[[limit]]\nmetric = \"pss\"\nignore = 1", &["line 3", "ignore"]);
        refused("[limit]\nmetric = \"pss\"", &["line 1", "[[limit]]"]);
        refused("[[limit]\n", &["line 1"]);
        let twice = "[[limit]]\nmetric = \"pss\"\nrelative = 0.1\n";
        refused(&format!("{twice}{twice}"), &["line 4", "again"]);
    }
}
