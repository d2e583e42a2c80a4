//! How much may a `run.json` tell of?
//!
//! Whoever reads a run compares its cells with each other and writes their names a hundred times: a file that others made ends
//! in a message, and not in hours or in a full memory. What isomark itself measures stays far below; a run that would not is
//! refused before its first sample.

use crate::record::Run;

/// Most cells of a run.
const CELLS: usize = 20_000;
/// Most runtimes of a run.
const RUNTIMES: usize = 1_000;
/// Most metrics of a cell.
const METRICS: usize = 1_000;
/// Longest name, in bytes: of a runtime with another binary and parameters, of a scenario, of a metric.
const NAME: usize = 1_024;

/// Refuses a run that nobody could be told of.
pub(crate) fn check(run: &Run) -> Result<(), String> {
    most("cells", run.cells.len(), CELLS)?;
    most("runtimes", run.runtimes.len(), RUNTIMES)?;
    for (at, record) in run.runtimes.iter().enumerate() {
        named(&format!("runtimes[{at}].name"), &record.name)?;
    }
    for (at, cell) in run.cells.iter().enumerate() {
        let field = |name: &str| format!("cells[{at}].{name}");
        most(&field("metrics"), cell.metrics.len(), METRICS)?;
        named(&field("runtime"), &cell.runtime)?;
        named(&field("scenario"), &cell.scenario)?;
        named(&field("params"), &cell.params.to_string())?;
        if let Some(arm) = &cell.arm {
            named(&field("arm.label"), &arm.label)?;
        }
        for (metric, of) in cell.metrics.iter().enumerate() {
            named(&field(&format!("metrics[{metric}].name")), &of.name)?;
            named(&field(&format!("metrics[{metric}].unit")), &of.unit)?;
        }
    }
    Ok(())
}

fn most(field: &str, found: usize, most: usize) -> Result<(), String> {
    if found <= most {
        Ok(())
    } else {
        Err(format!("field {field} has {found} entries, and {most} is the most"))
    }
}

fn named(field: &str, text: &str) -> Result<(), String> {
    if text.len() <= NAME {
        return Ok(());
    }
    Err(format!("field {field} is {} bytes long, and {NAME} is the most", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metric;
    use crate::record::{Arm, Cell};

    #[test]
    fn what_is_too_much_is_refused_by_its_field() {
        let long = || "x".repeat(NAME + 1);
        let cell = |runtime: &str| Cell::new(runtime, "startup", vec![Metric::time("startup")]);
        let run = |cells| Run::new("plan", cells);
        assert_eq!(check(&run(vec![cell("process"); CELLS])), Ok(()));
        let mut params = cell("a");
        params.params.set("key", &*long());
        let mut metric = cell("a");
        metric.metrics.push(Metric { name: long().into(), ..Metric::time("x") });
        let arm = Arm { label: long(), of: None, control: false, handicap: 0.0 };
        for (run, field) in [
            (run(vec![cell("process"); CELLS + 1]), "field cells has 20001 entries"),
            (run(vec![cell("a"), cell(&long())]), "field cells[1].runtime is 1025 bytes"),
            (run(vec![Cell { scenario: long(), ..cell("a") }]), "cells[0].scenario"),
            (run(vec![params]), "cells[0].params"),
            (run(vec![metric]), "cells[0].metrics[1].name"),
            (run(vec![Cell { arm: Some(arm), ..cell("a") }]), "cells[0].arm.label"),
            (
                run(vec![Cell::new("a", "b", vec![Metric::time("x"); METRICS + 1])]),
                "cells[0].metrics has 1001",
            ),
        ] {
            let why = check(&run).unwrap_err();
            assert!(why.contains(field), "{why}");
        }
    }
}
