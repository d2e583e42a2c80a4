//! Cells whose truth is known: the same again, and the same with a little more work.
//!
//! A comparison of a runtime with itself shows how often a run cries wolf, and one with injected work how well it hears.
//! Controls take part in the same blocks as what they answer for (A/A calibration and positive controls, Mytkowicz et
//! al. 2009; Laaber et al. 2019).

use std::collections::BTreeSet;

use isomark_core::record::{Arm, Cell};
use isomark_core::{Error, Kind, Metric};
use serde::Deserialize;

use crate::plan::{Found, Plan};

/// Injected work of the positive controls, in thousandths.
pub const INJECTED: [u32; 2] = [50, 100];

/// Which controls a plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controls {
    /// None.
    Off,
    /// Each runtime a second time.
    Again,
    /// That, and each runtime with 5 % and 10 % more work.
    Injected,
}

/// The controls of the cell at `of`.
///
/// # Errors
/// [`Error::Input`] if work is to be injected where no time is measured.
pub fn of(cell: &Cell, of: usize, controls: Controls) -> Result<Vec<Cell>, Error> {
    if cell.skipped.is_some() || controls == Controls::Off {
        return Ok(Vec::new());
    }
    let again = arm(cell, of, "again".into(), 0, cell.metrics.clone());
    if controls == Controls::Again {
        return Ok(vec![again]);
    }
    let headline = cell.metrics.first().filter(|m| m.unit == "ns" || m.unit.ends_with("/s"));
    let headline = headline.ok_or_else(|| {
        let text = "controls = \"injected\" needs a headline that is a time or a rate; write \"again\"";
        Error::Input(format!("{}: {text}", cell.scenario))
    })?;
    let slowed = INJECTED.map(|thousandths| {
        let label = format!("+{} %", thousandths / 10);
        arm(cell, of, label, thousandths, vec![headline.clone()])
    });
    Ok(std::iter::once(again).chain(slowed).collect())
}

fn arm(cell: &Cell, of: usize, label: String, thousandths: u32, metrics: Vec<Metric>) -> Cell {
    let handicap = f64::from(thousandths) / 1000.0;
    Cell { metrics, arm: Some(Arm { label, of: Some(of), control: true, handicap }), ..cell.clone() }
}

/// Gives every scenario of which the plan says nothing the least: the first cell of each runtime again.
pub fn ensure(plan: &Plan, found: &[Found<'_>], cells: &mut Vec<Cell>) {
    let floor = |cell: &Cell| {
        found.iter().any(|f| f.runtime.name() == cell.runtime && f.runtime.kind() == Kind::Floor)
    };
    let spoken = |cell: &Cell| plan.ask.iter().any(|a| a.scenario == cell.scenario && a.controls.is_some());
    let mut have: BTreeSet<(String, String)> = BTreeSet::new();
    for at in 0..cells.len() {
        let cell = &cells[at];
        let open = cell.arm.is_none() && cell.skipped.is_none() && !floor(cell) && !spoken(cell);
        if open && have.insert((cell.scenario.clone(), cell.runtime.clone())) {
            let again = arm(cell, at, "again".into(), 0, cell.metrics.clone());
            cells.push(again);
        }
    }
}

#[cfg(test)]
mod tests {
    use isomark_core::Params;

    use super::*;

    fn cell(metric: Metric) -> Cell {
        Cell {
            runtime: "r".into(),
            scenario: "s".into(),
            params: Params::new(),
            every: 2,
            metrics: vec![metric, Metric::size("other")],
            skipped: None,
            arm: None,
        }
    }

    #[test]
    fn work_is_injected_into_what_takes_time() {
        let timed = of(&cell(Metric::time("t")), 7, Controls::Injected).unwrap();
        let labels = timed.iter().map(|c| c.arm.clone().unwrap()).collect::<Vec<_>>();
        assert_eq!(labels.iter().map(|a| a.label.as_str()).collect::<Vec<_>>(), ["again", "+5 %", "+10 %"]);
        assert!(labels.iter().all(|a| a.of == Some(7) && a.control));
        assert_eq!(labels.iter().map(|a| a.handicap).collect::<Vec<_>>(), [0.0, 0.05, 0.1]);
        assert_eq!(timed.iter().map(|c| c.metrics.len()).collect::<Vec<_>>(), [2, 1, 1]);
        let error = of(&cell(Metric::size("bytes")), 0, Controls::Injected).unwrap_err().to_string();
        assert!(error.contains("controls") && error.contains("again"), "{error}");
        assert_eq!(of(&cell(Metric::size("bytes")), 0, Controls::Again).unwrap().len(), 1);
        assert!(of(&cell(Metric::time("t")), 0, Controls::Off).unwrap().is_empty());
    }

    #[test]
    fn every_scenario_has_its_control_unless_the_plan_speaks() {
        let text = |controls: &str| format!("name='p'\nblocks=1\n[[ask]]\nscenario='s'\n{controls}");
        for (controls, expected) in [("", 1), ("controls='off'", 0)] {
            let plan = Plan::parse("p", &text(controls)).unwrap();
            let mut cells = vec![cell(Metric::time("t")), cell(Metric::time("t"))];
            ensure(&plan, &[], &mut cells);
            let arms = cells.iter().filter_map(|c| c.arm.as_ref()).collect::<Vec<_>>();
            assert_eq!(arms.len(), expected, "{controls}");
            assert!(arms.iter().all(|a| a.of == Some(0)));
        }
    }
}
