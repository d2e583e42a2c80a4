//! Which cell is a cell compared with?
//!
//! The cell of the reference in the same scenario with the same parameters. Parameters that every runtime has in
//! its own words (`provision`) are left out only if that leaves exactly one candidate; otherwise there is no
//! comparison rather than an arbitrary one.

use isomark_core::Params;
use isomark_core::record::{Cell, Run};
use isomark_core::runtime::Kind;

/// The runtime that everything is compared with.
pub const REFERENCE: &str = "process";
/// Scenario in which the floors are measured.
const FLOORS: &str = "startup";
/// Parameters whose values belong to one runtime.
const OWN: [&str; 1] = ["provision"];

/// Index of the cell of the plain process that answers the same question; none for the process itself.
#[must_use]
pub fn process(run: &Run, index: usize) -> Option<usize> {
    let cell = run.cells.get(index).filter(|cell| cell.runtime != REFERENCE)?;
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
    let candidates = || {
        let all = run.cells.iter().enumerate();
        all.filter(move |(_, other)| other.runtime == runtime && other.scenario == cell.scenario)
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
