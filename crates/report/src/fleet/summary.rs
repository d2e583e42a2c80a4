//! `summary.json` of a collected fleet: what holds on which kind of host, and how much hosts of a kind differ.
//!
//! Field names are the file format `isomark.fleet-summary/1`. Hosts count once each, whatever number of trials they have:
//! a comparison is made within a host, and hosts are its replicas.

use isomark_core::record::Cell;
use isomark_core::{Better, Metric, Params};
use serde::{Deserialize, Serialize};

use super::cluster::{self, Components, ENOUGH, Group};
use super::collected::{Collected, HostEntry, Status};
use super::hosts::{Against, Host, Point};
use crate::claims::file::File;
use crate::claims::verdict::Verdict as Claimed;
use crate::region::{Region, quantity, region};
use crate::stats::median::{median, sorted};
use crate::stats::paired::Estimate;
use crate::stats::random::Random;
use crate::stats::verdict::{Quantity, Verdict, judge};
use crate::summarise::{number, rounded};
use crate::summary::Number;
use crate::words::stored;

/// Schema name of a fleet's `summary.json`.
pub const SCHEMA: &str = "isomark.fleet-summary/1";

/// The answers of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetSummary {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Name of the plan.
    pub plan: String,
    /// SHA-256 of the payload.
    pub payload_sha256: Option<String>,
    /// Kinds of hosts.
    pub classes: Vec<ClassSummary>,
    /// Every host that was asked for, and what became of it.
    pub hosts: Vec<HostEntry>,
    /// What a reader must know before believing the numbers.
    pub warnings: Vec<String>,
}

/// The answers of one kind of host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// Its label.
    pub label: String,
    /// Hosts that were asked for.
    pub replicas: u32,
    /// Hosts that these answers rest on.
    pub hosts: usize,
    /// What kind of host it is, in words; none without a host.
    pub host: Option<String>,
    /// One entry per cell with values.
    pub cells: Vec<FleetCell>,
    /// What its hosts say of the documents' claims.
    pub claims: Vec<FleetClaim>,
}

/// A cell on all hosts of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetCell {
    /// Runtime.
    pub runtime: String,
    /// Scenario.
    pub scenario: String,
    /// Parameters.
    pub params: Params,
    /// Metrics, the headline first.
    pub metrics: Vec<FleetMetric>,
}

/// A metric on all hosts of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetMetric {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Which direction is better.
    pub better: Better,
    /// Hosts with values.
    pub hosts: usize,
    /// Trials of all hosts.
    pub n: usize,
    /// Smallest of the hosts' medians.
    pub min: Option<Number>,
    /// Median of the hosts' medians.
    pub median: Option<Number>,
    /// Largest of them.
    pub max: Option<Number>,
    /// Against the plain process of each host.
    pub versus: Option<FleetVersus>,
    /// Each host's median and ratio, for the headline metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<HostPoint>,
}

/// What one host says of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostPoint {
    /// The host.
    pub host: String,
    /// Trials.
    pub n: usize,
    /// Median.
    pub median: Number,
    /// Ratio to the plain process: exp of the median log-ratio within blocks.
    pub ratio: Option<f64>,
    /// Median difference, for sizes.
    pub difference: Option<Number>,
}

/// A metric against the plain process, over hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetVersus {
    /// Hosts with a comparison.
    pub hosts: usize,
    /// Pairs of all hosts.
    pub n: usize,
    /// Geometric mean of the hosts' ratios; none for sizes.
    pub ratio: Option<f64>,
    /// Mean of the hosts' differences, for sizes.
    pub difference: Option<Number>,
    /// 95 % interval over hosts like these, by cluster bootstrap; none for fewer than five hosts.
    pub ci95: Option<[f64; 2]>,
    /// Differences that count as none.
    pub region: Region,
    /// What can be said of hosts of this class.
    pub verdict: Verdict,
    /// Why nothing can be said.
    pub why: Option<String>,
    /// Standard deviation of trials within a host: of log-ratios (0.1 is about 10 %), or of differences.
    pub within_sd: Option<f64>,
    /// Standard deviation between hosts beyond what their trials explain.
    pub between_sd: Option<f64>,
    /// Share of the variance that lies between hosts.
    pub icc: Option<f64>,
}

/// What a class says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// At least half of its hosts support it, and none refutes it.
    Supported,
    /// At least half of its hosts refute it, and none supports it.
    Refuted,
    /// Some support it, others refute it.
    Mixed,
    /// Too few hosts could decide.
    Inconclusive,
    /// No host could test it.
    NotTestable,
}

impl Holds {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Refuted => "refuted",
            Self::Mixed => "mixed",
            Self::Inconclusive => "inconclusive",
            Self::NotTestable => "not testable",
        }
    }
}

/// A claim on a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetClaim {
    /// Its name.
    pub id: String,
    /// The claim in a few words.
    pub title: String,
    /// What the class says.
    pub verdict: Holds,
    /// Hosts that support it.
    pub supported: usize,
    /// Hosts that refute it.
    pub refuted: usize,
    /// Hosts on which nothing can be said.
    pub inconclusive: usize,
    /// Hosts that measured nothing of it.
    pub not_testable: usize,
}

/// The answers of a class, from what its hosts say.
pub(super) fn class(label: &str, replicas: u32, hosts: &[Host], files: &[File]) -> ClassSummary {
    let asked = hosts.first().map_or(&[][..], |host| &host.run.cells);
    let cells = asked.iter().enumerate().map(|(at, found)| cell(label, hosts, at, found));
    ClassSummary {
        label: label.to_owned(),
        replicas,
        hosts: hosts.len(),
        host: hosts.first().map(words),
        cells: cells.filter(|cell| !cell.metrics.is_empty()).collect(),
        claims: files.iter().enumerate().map(|(at, file)| claim(file, hosts, at)).collect(),
    }
}

fn words(host: &Host) -> String {
    let host = &host.run.host;
    let text = stored(
        "class_host",
        &[
            ("cpus", &host.cpus),
            ("cpu", &host.cpu),
            ("memory", &crate::fmt::quantity("byte", host.memory as f64, None)),
            ("kernel", &host.kernel),
            ("class", &host.kvm_class),
            ("cgroup", &host.cgroup),
        ],
    );
    crate::fmt::clean(&text)
}

fn cell(label: &str, hosts: &[Host], at: usize, found: &Cell) -> FleetCell {
    let one = |(place, metric): (usize, &Metric)| {
        let seen: Vec<(&Host, Point)> =
            hosts.iter().filter_map(|host| Some((host, (*host.cells.get(at)?.get(place)?)?))).collect();
        (!seen.is_empty()).then(|| one_metric(label, found, metric, place == 0, &seen))
    };
    FleetCell {
        runtime: found.runtime.clone(),
        scenario: found.scenario.clone(),
        params: found.params.clone(),
        metrics: found.metrics.iter().enumerate().filter_map(one).collect(),
    }
}

fn one_metric(
    label: &str,
    cell: &Cell,
    metric: &Metric,
    headline: bool,
    seen: &[(&Host, Point)],
) -> FleetMetric {
    let medians: Vec<f64> = seen.iter().map(|(_, point)| point.median).collect();
    let order = sorted(&medians);
    let whole = |x: f64| number(metric, x);
    let size = quantity(metric) == Quantity::Size;
    let point = |(host, point): &(&Host, Point)| HostPoint {
        host: host.title.clone(),
        n: point.n,
        median: whole(point.median),
        ratio: point.versus.filter(|_| !size).map(|v| rounded(v.middle.exp())),
        difference: point.versus.filter(|_| size).map(|v| whole(v.middle)),
    };
    let against: Vec<Against> = seen.iter().filter_map(|(_, point)| point.versus).collect();
    FleetMetric {
        name: metric.name.to_string(),
        unit: metric.unit.to_string(),
        better: metric.better,
        hosts: seen.len(),
        n: seen.iter().map(|(_, point)| point.n).sum(),
        min: order.first().copied().map(whole),
        median: median(&order).map(whole),
        max: order.last().copied().map(whole),
        versus: (!against.is_empty()).then(|| versus(label, cell, metric, &against)),
        points: if headline { seen.iter().map(point).collect() } else { Vec::new() },
    }
}

fn versus(label: &str, cell: &Cell, metric: &Metric, against: &[Against]) -> FleetVersus {
    let kind = quantity(metric);
    let middles: Vec<f64> = against.iter().map(|a| a.middle).collect();
    let mean = middles.iter().sum::<f64>() / middles.len() as f64;
    // The purpose names the numbers: the same fleet gives the same interval, whatever else is in it.
    let name = format!("{label} {} {} {} {}", cell.runtime, cell.scenario, cell.params, metric.name);
    let interval = cluster::interval(&middles, &mut Random::named(0, &name));
    let groups: Vec<Group> = against.iter().filter_map(|a| a.group).collect();
    let parts = cluster::components(&groups);
    let n = against.iter().map(|a| a.n).sum();
    let region = region(cell, metric);
    let size = kind == Quantity::Size;
    let (value, ci95, bounds) = if size {
        let bases: Vec<f64> = against.iter().map(|a| a.base).collect();
        (mean, interval, region.difference(median(&bases).unwrap_or(0.0)))
    } else {
        (mean.exp(), interval.map(|ci| ci.map(f64::exp)), region.ratio())
    };
    let (verdict, why) = match ci95 {
        Some(_) => judge(&Estimate { n, value, ci95 }, bounds, kind),
        None => {
            let hosts = against.len();
            (Verdict::Inconclusive, Some(stored("few_hosts", &[("n", &hosts), ("needed", &ENOUGH)])))
        }
    };
    FleetVersus {
        hosts: against.len(),
        n,
        ratio: (!size).then(|| rounded(value)),
        difference: size.then(|| number(metric, value)),
        ci95: ci95.map(|ci| ci.map(rounded)),
        region,
        verdict,
        why,
        within_sd: parts.map(|p| rounded(p.within.sqrt())),
        between_sd: parts.map(|p| rounded(p.between.sqrt())),
        icc: parts.and_then(Components::icc).map(rounded),
    }
}

fn claim(file: &File, hosts: &[Host], at: usize) -> FleetClaim {
    let count = |verdict: Claimed| hosts.iter().filter(|host| host.claims.get(at) == Some(&verdict)).count();
    let (supported, refuted) = (count(Claimed::Supported), count(Claimed::Refuted));
    let not_testable = count(Claimed::NotTestable);
    let verdict = holds(supported, refuted, not_testable, hosts.len());
    FleetClaim {
        id: file.id.get_ref().clone(),
        title: file.title.clone(),
        verdict,
        supported,
        refuted,
        inconclusive: count(Claimed::Inconclusive),
        not_testable,
    }
}

/// What a class says of a claim, from how many of its hosts say what.
const fn holds(supported: usize, refuted: usize, not_testable: usize, hosts: usize) -> Holds {
    match (supported, refuted) {
        (1.., 1..) => Holds::Mixed,
        (1.., 0) if supported * 2 >= hosts => Holds::Supported,
        (0, 1..) if refuted * 2 >= hosts => Holds::Refuted,
        (0, 0) if not_testable == hosts => Holds::NotTestable,
        _ => Holds::Inconclusive,
    }
}

/// The text that counts hosts of a status.
const fn gone_text(status: Status) -> &'static str {
    match status {
        Status::Ok => "gone_ok",
        Status::Missing => "gone_missing",
        Status::Failed => "gone_failed",
        Status::Unfit => "gone_unfit",
        Status::Unlike => "gone_unlike",
    }
}

/// What a reader must know: who is missing, and which classes are too small.
pub(super) fn warnings(fleet: &Collected, classes: &[ClassSummary]) -> Vec<String> {
    let mut all = fleet.notes.clone();
    for class in classes {
        let gone: Vec<String> = [Status::Missing, Status::Failed, Status::Unfit, Status::Unlike]
            .into_iter()
            .filter_map(|status| {
                let own = fleet.hosts.iter().filter(|h| h.class == class.label && h.status == status);
                let count = own.count();
                (count > 0).then(|| stored(gone_text(status), &[("n", &count)]))
            })
            .collect();
        if !gone.is_empty() {
            let (label, hosts, replicas) = (&class.label, class.hosts, class.replicas);
            let gone = gone.join(", ");
            all.push(stored(
                "class_gone",
                &[("label", label), ("n", &hosts), ("all", &replicas), ("gone", &gone)],
            ));
        }
        if class.hosts < ENOUGH {
            let (label, hosts) = (&class.label, class.hosts);
            all.push(stored("class_few", &[("label", label), ("n", &hosts), ("needed", &ENOUGH)]));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_on_a_class_if_half_support_it_and_none_refutes_it() {
        // Supported, refuted, not testable, of so many.
        for (counts, expected) in [
            ((10, 0, 0, 10), Holds::Supported),
            ((5, 0, 0, 10), Holds::Supported),
            ((4, 0, 0, 10), Holds::Inconclusive),
            ((9, 1, 0, 10), Holds::Mixed),
            ((0, 5, 5, 10), Holds::Refuted),
            ((0, 4, 6, 10), Holds::Inconclusive),
            ((0, 0, 9, 10), Holds::Inconclusive),
            ((0, 0, 10, 10), Holds::NotTestable),
            ((1, 0, 0, 1), Holds::Supported),
            ((0, 0, 0, 0), Holds::NotTestable),
        ] {
            let (supported, refuted, not_testable, hosts) = counts;
            assert_eq!(holds(supported, refuted, not_testable, hosts), expected, "{counts:?}");
        }
    }
}
