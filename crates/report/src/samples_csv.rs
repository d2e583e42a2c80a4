//! `samples.csv`: every value in a row of its own, for spreadsheets and statistics programs.
//!
//! Warm-ups and failures are rows too, so nothing has to be read from another file; a failure has a message where
//! a value would be. Column `arm` is empty but for variants (`a`, `b`) and controls (`again`, `+5 %`): who asks for a
//! runtime's own values leaves controls out. Names stand as they are: a quote before one that a spreadsheet would take for a
//! formula (`=…`) would make it another name for every program that reads the file.

use isomark_core::record::{Cell, Outcome, Run, Sample};
use isomark_core::{Error, Phase};

use crate::fmt::clean;

const HEADER: [&str; 15] = [
    "runtime",
    "scenario",
    "params",
    "block",
    "warmup",
    "at_ns",
    "kind",
    "name",
    "unit",
    "better",
    "value",
    "failed_in",
    "failure",
    "message",
    "arm",
];

/// The samples of a run as CSV (RFC 4180), one row per value.
///
/// Column `kind` is `metric`, `phase` (ns per lifecycle call) or `failure`.
///
/// # Errors
/// [`Error::Input`] naming the line of a sample whose cell the run does not have.
pub fn samples_csv(run: &Run, samples: &[Sample]) -> Result<Vec<u8>, Error> {
    let mut csv = csv::Writer::from_writer(Vec::with_capacity(samples.len() * 128));
    csv.write_record(HEADER).map_err(fail)?;
    let heads: Vec<Head> = run.cells.iter().map(Head::of).collect();
    for (line, sample) in samples.iter().enumerate() {
        let (Some(cell), Some(head)) = (run.cells.get(sample.cell), heads.get(sample.cell)) else {
            let line = line + 1;
            return Err(Error::Input(format!(
                "samples.jsonl line {line}: no cell {} in run.json",
                sample.cell
            )));
        };
        rows(cell, head, sample, &mut csv).map_err(fail)?;
    }
    csv.into_inner().map_err(|e| Error::os("write CSV", e.into_error()))
}

/// What all rows of a cell share.
struct Head {
    runtime: String,
    scenario: String,
    params: String,
    arm: String,
}

impl Head {
    fn of(cell: &Cell) -> Self {
        Self {
            runtime: clean(&cell.runtime),
            scenario: clean(&cell.scenario),
            params: clean(&cell.params.to_string()),
            arm: cell.arm.as_ref().map_or(String::new(), |arm| clean(&arm.label)),
        }
    }
}

fn fail(e: csv::Error) -> Error {
    Error::os("write CSV", std::io::Error::other(e))
}

fn rows(cell: &Cell, of: &Head, sample: &Sample, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    let (block, at) = (sample.block.to_string(), sample.at_ns.to_string());
    let warmup = if sample.warmup { "true" } else { "false" };
    let head = [&*of.runtime, &*of.scenario, &*of.params, &*block, warmup, &*at];
    let mut row = |tail: [&str; 8]| csv.write_record(head.into_iter().chain(tail).chain([&*of.arm]));
    match &sample.outcome {
        Outcome::Values(values) => {
            for (name, value) in values {
                let metric = cell.metrics.iter().find(|m| m.name == *name);
                let unit = metric.map_or("", |m| &*m.unit);
                let better = metric.map_or("", |m| match m.better {
                    isomark_core::Better::Lower => "lower",
                    isomark_core::Better::Higher => "higher",
                });
                row(["metric", &clean(name), &clean(unit), better, &value.to_string(), "", "", ""])?;
            }
        }
        Outcome::Failed(failure) => {
            let phase = failure.phase.map_or("", Phase::word);
            row(["failure", "", "", "", "", phase, &clean(&failure.kind), &clean(&failure.message)])?;
        }
    }
    for (phase, ns) in &sample.phases {
        row(["phase", phase.word(), "ns", "lower", &ns.to_string(), "", "", ""])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_csv_as_they_are_and_no_cell_ends_early() {
        let name = "=cmd|' /C calc'!A0,\"x\"\n@SUM(1)";
        let run = Run::new("demo", vec![Cell::new(name, "-1+1", Vec::new())]);
        let samples = [Sample::new(0, 0, Outcome::of([("+metric", 1.0)]))];
        let bytes = samples_csv(&run, &samples).unwrap();
        let mut rows = csv::Reader::from_reader(&*bytes);
        let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        let cell = |at: usize| rows[0].get(at).unwrap();
        // A line break would be one for readers that know no quotes.
        assert_eq!((cell(0), cell(1), cell(7)), (&*name.replace('\n', " "), "-1+1", "+metric"));
    }
}
