//! Which cell is a cell compared with?
//!
//! The second of two variants with the first, every other one with the cell of the reference in the same scenario with the same parameters. Parameters that every runtime has in
//! its own words (`provision`) are left out only if that leaves exactly one candidate; otherwise there is no
//! comparison rather than an arbitrary one.

use isomark_core::Params;
use isomark_core::record::{Arm, Cell, Run};
use isomark_core::runtime::Kind;

/// The runtime that everything is compared with.
pub const REFERENCE: &str = "process";
/// Scenario in which the floors are measured.
const FLOORS: &str = "startup";
/// Parameters whose values belong to one runtime.
const OWN: [&str; 1] = ["provision"];

/// Index of the cell that a cell is compared with: the variant that its arm names, else the cell of the plain process
/// that answers the same question; none for the process itself and for controls, which answer for the method.
#[must_use]
pub fn process(run: &Run, index: usize) -> Option<usize> {
    let cell = run.cells.get(index)?;
    match &cell.arm {
        Some(arm) if arm.control => return None,
        Some(Arm { of: Some(of), .. }) => return Some(*of).filter(|of| *of < run.cells.len()),
        _ if cell.runtime == REFERENCE => return None,
        _ => {}
    }
    counterpart(run, cell, REFERENCE)
}

/// Index of the cell of the floor below this one, if the run has it.
#[must_use]
pub fn floor(run: &Run, index: usize) -> Option<usize> {
    let cell = run.cells.get(index).filter(|cell| cell.scenario == FLOORS)?;
    let name = format!("floor-{}", cell.runtime);
    is_floor(run, &name).then(|| counterpart(run, cell, &name))?
}

/// Whether a runtime is a floor: not a way of running things.
#[must_use]
pub fn is_floor(run: &Run, runtime: &str) -> bool {
    run.runtimes.iter().any(|record| record.name == runtime && record.kind == Kind::Floor)
}

fn counterpart(run: &Run, cell: &Cell, runtime: &str) -> Option<usize> {
    counterpart_in(&run.cells, cell, runtime)
}

fn counterpart_in(cells: &[Cell], cell: &Cell, runtime: &str) -> Option<usize> {
    let candidates = || {
        let all = cells.iter().enumerate();
        let same = move |other: &Cell| other.runtime == runtime && other.scenario == cell.scenario;
        // A control is the same cell again, and never what others are compared with.
        all.filter(move |(_, other)| same(other) && !other.arm.as_ref().is_some_and(|arm| arm.control))
    };
    if let Some((exact, _)) = candidates().find(|(_, other)| other.params == cell.params) {
        return Some(exact);
    }
    let wanted = shared(&cell.params);
    let mut loose = candidates().filter(|(_, other)| shared(&other.params) == wanted);
    let (found, _) = loose.next()?;
    loose.next().is_none().then_some(found)
}

/// The parameters that mean the same for every runtime.
fn shared(params: &Params) -> Vec<(&str, &isomark_core::Value)> {
    params.iter().filter(|(key, _)| !OWN.contains(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(runtime: &str, provision: &str, arm: Option<Arm>) -> Cell {
        let params = Params::new().with("provision", provision);
        let (scenario, metrics) = ("disk".to_owned(), Vec::new());
        Cell { runtime: runtime.to_owned(), scenario, params, every: 1, metrics, skipped: None, arm }
    }

    #[test]
    fn a_control_takes_nobodys_reference_away() {
        let again = Arm { label: "again".into(), of: Some(0), control: true, handicap: 0.0 };
        let cells =
            vec![cell("process", "host", None), cell("process", "host", Some(again)), cell("a", "x", None)];
        let found = counterpart_in(&cells, &cells[2], "process");
        assert_eq!(found, Some(0));
        assert_eq!(counterpart_in(&cells[1..], &cells[2], "process"), None);
    }
}
