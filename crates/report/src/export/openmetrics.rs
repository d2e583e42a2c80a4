//! OpenMetrics text, for the textfile collector of a node exporter or a push gateway.
//!
//! Definition: OpenMetrics 1.0, text format (`application/openmetrics-text; version=1.0.0`): a family is not interleaved
//! with others, its name ends in its unit, TYPE comes before UNIT and HELP, label values escape backslash, quote and line
//! feed, and the exposition ends with `# EOF`. Times in seconds, sizes in bytes, as its section on units asks.

use std::collections::BTreeMap;

use super::measured;
use crate::fmt::clean;
use crate::summary::{CellSummary, MetricSummary, Summary};

/// The medians of a run with their intervals, as gauges.
///
/// ```
/// use isomark_core::record::Run;
/// use isomark_report::{Dataset, export::openmetrics::openmetrics, summarise::summarise};
///
/// let run = Run::new("demo", Vec::new());
/// let text = openmetrics(&summarise(&Dataset::new(&run, &[], Vec::new())?));
/// assert!(text.contains("plan=\"demo\"") && text.ends_with("# EOF\n"));
/// # Ok::<(), isomark_core::Error>(())
/// ```
#[must_use]
pub fn openmetrics(summary: &Summary) -> String {
    let mut families: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for (cell, metric) in measured(summary) {
        let (unit, factor) = unit(&metric.unit);
        let name = format!("isomark_{}_{unit}", safe(&metric.name));
        let lines = &mut families.entry(name.clone()).or_insert_with(|| (unit, Vec::new())).1;
        lines.extend(points(&name, summary, cell, metric, factor));
    }
    let mut out = String::new();
    for (name, (unit, lines)) in &families {
        out.push_str(&format!("# TYPE {name} gauge\n# UNIT {name} {unit}\n"));
        out.push_str(&format!("# HELP {name} Median over a run, with its exact 95 % interval.\n"));
        lines.iter().for_each(|line| out.push_str(line));
    }
    let run = &summary.run;
    out.push_str("# TYPE isomark_run info\n# HELP isomark_run The run that the values come from.\n");
    let labels = [
        ("id", run.id.as_str()),
        ("plan", &run.plan),
        ("kernel", &run.host.kernel),
        ("kvm_class", &run.host.kvm_class),
        ("cgroup", &run.host.cgroup),
        ("payload_sha256", &run.payload_sha256),
        ("isomark", &run.isomark),
    ];
    out.push_str(&format!("isomark_run_info{{{}}} 1\n# EOF\n", labelled(&labels)));
    out
}

fn points(
    name: &str,
    summary: &Summary,
    cell: &CellSummary,
    metric: &MetricSummary,
    factor: f64,
) -> Vec<String> {
    let params = cell.params.to_string();
    let values = [
        ("median", metric.median),
        ("low95", metric.ci95.map(|ci| ci[0])),
        ("high95", metric.ci95.map(|ci| ci[1])),
    ];
    let line = |(stat, value): (&str, Option<crate::summary::Number>)| {
        let labels = [
            ("host", summary.run.host.name.as_str()),
            ("runtime", &cell.runtime),
            ("scenario", &cell.scenario),
            ("params", &params),
            ("stat", stat),
        ];
        // `{:?}` writes a float so that it reads back as the same one.
        Some(format!("{name}{{{}}} {:?}\n", labelled(&labels), value?.0 * factor))
    };
    values.into_iter().filter_map(line).collect()
}

fn labelled(labels: &[(&str, &str)]) -> String {
    labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect::<Vec<_>>().join(",")
}

fn escape(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The base unit and how many of it the stored unit is.
fn unit(stored: &str) -> (String, f64) {
    match stored {
        "ns" => ("seconds".to_owned(), 1e-9),
        "byte" => ("bytes".to_owned(), 1.0),
        // The base unit of a part of a whole, as of any quotient.
        "share" => ("ratio".to_owned(), 1.0),
        "byte/s" => ("bytes_per_second".to_owned(), 1.0),
        other => (safe(&other.replace("/s", "_per_second")), 1.0),
    }
}

/// Letters, digits and underscores only.
fn safe(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
