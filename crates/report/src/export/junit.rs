//! JUnit's XML, as CI services read it.
//!
//! There is no standard but the schema of Jenkins' xUnit plugin (`junit-10.xsd`) and what services accept:
//! `testsuites/testsuite[name, tests, failures, errors, skipped]/testcase[name, classname]` with at most one of
//! `failure[message]`, `error[message]`, `skipped[message]` (testmoapp/junitxml describes the common part). A suite is a
//! runtime, a case a metric of a cell. Regression = failure, failed = error; unavailable and undecided = skipped with
//! the reason, because neither is a pass.

use super::xml::escape;
use crate::gate::compare::Comparison;
use crate::gate::finding::Class;
use crate::gate::words;
use crate::summary::{CellSummary, Status, Summary};

/// What became of a case.
enum End {
    Passed(String),
    Failure(String),
    Error(String),
    Skipped(String),
}

struct Case {
    suite: String,
    name: String,
    class: String,
    end: End,
}

/// A comparison: one case per finding and per loss.
#[must_use]
pub fn of_comparison(name: &str, comparison: &Comparison) -> String {
    let lost = comparison.lost.iter().map(|lost| Case {
        suite: lost.runtime.clone(),
        name: words::lost(lost),
        class: lost.scenario.clone(),
        end: match lost.class {
            Class::Regression => End::Error(words::loss(lost)),
            _ => End::Skipped(words::loss(lost)),
        },
    });
    let found = comparison.findings.iter().map(|finding| Case {
        suite: finding.runtime.clone(),
        name: words::title(finding),
        class: finding.scenario.clone(),
        end: match finding.class {
            _ if !finding.decides => End::Passed(format!("shown only: {}", words::sentence(finding))),
            Class::Regression => End::Failure(words::sentence(finding)),
            Class::Inconclusive => End::Skipped(words::sentence(finding)),
            Class::Improvement | Class::None => End::Passed(words::sentence(finding)),
        },
    });
    write(name, lost.chain(found).collect())
}

/// A run by itself: one case per cell.
#[must_use]
pub fn of_summary(summary: &Summary) -> String {
    let case = |cell: &CellSummary| {
        let blank = if cell.params.is_empty() { "" } else { " " };
        let reason = cell.reason.clone().unwrap_or_default();
        let remedy = cell.remedy.as_ref().map_or_else(String::new, |remedy| format!("; remedy: {remedy}"));
        Case {
            suite: cell.runtime.clone(),
            name: format!("{} {}{blank}{}", cell.runtime, cell.scenario, cell.params),
            class: cell.scenario.clone(),
            end: match cell.status {
                Status::Ok => End::Passed(medians(cell)),
                Status::Failed => End::Error(reason),
                Status::Skipped => End::Skipped(format!("{reason}{remedy}")),
            },
        }
    };
    write(&summary.run.id, summary.cells.iter().map(case).collect())
}

fn medians(cell: &CellSummary) -> String {
    let one = |m: &crate::summary::MetricSummary| {
        let median = m.median?;
        Some(format!("{} {}", m.name, crate::fmt::quantity(&m.unit, median.0, None)))
    };
    cell.metrics.iter().filter_map(one).collect::<Vec<_>>().join(", ")
}

fn write(name: &str, cases: Vec<Case>) -> String {
    let mut suites: Vec<(String, Vec<Case>)> = Vec::new();
    for case in cases {
        match suites.iter_mut().find(|(suite, _)| *suite == case.suite) {
            Some((_, all)) => all.push(case),
            None => suites.push((case.suite.clone(), vec![case])),
        }
    }
    let all = suites.iter().flat_map(|(_, cases)| cases);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str(&format!("<testsuites name=\"isomark {}\" {}>\n", escape(name), counts(all)));
    for (suite, cases) in &suites {
        out.push_str(&format!("  <testsuite name=\"{}\" {}>\n", escape(suite), counts(cases.iter())));
        cases.iter().for_each(|case| one(&mut out, case));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        match case.end {
            End::Passed(_) => {}
            End::Failure(_) => failures += 1,
            End::Error(_) => errors += 1,
            End::Skipped(_) => skipped += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

fn one(out: &mut String, case: &Case) {
    let (name, class) = (escape(&case.name), escape(&case.class));
    out.push_str(&format!("    <testcase name=\"{name}\" classname=\"{class}\">"));
    let (tag, text) = match &case.end {
        End::Passed(text) => ("system-out", text),
        End::Failure(text) => ("failure", text),
        End::Error(text) => ("error", text),
        End::Skipped(text) => ("skipped", text),
    };
    let text = escape(text);
    out.push_str(&match tag {
        "system-out" => format!("<system-out>{text}</system-out>"),
        tag => format!("<{tag} message=\"{text}\"/>"),
    });
    out.push_str("</testcase>\n");
}
