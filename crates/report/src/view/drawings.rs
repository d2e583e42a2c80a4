//! Which charts a page has room for, and in which widths: where they are too many, the largest are in their PNG files only.

use super::ChartView;
use crate::charts::svg::svg;
use crate::charts::{self, Chart};

/// Bytes of drawings that a page holds at most.
const DRAWINGS: usize = 840 << 10;
/// Bytes from which on a drawing is not made a second time for telephones: there it is moved sideways.
const ONCE: usize = 40 << 10;

/// Bytes from which on a drawing need not be made a second time where the page has no room for all.
const TWICE: usize = 15 << 10;

/// The charts as a page has room for them.
pub(super) fn on_page(drawn: &[Chart]) -> Vec<ChartView> {
    let mut all: Vec<ChartView> = drawn.iter().map(chart).collect();
    for view in all.iter_mut().filter(|view| view.wide.len() > ONCE) {
        view.narrow.clear();
    }
    let bytes = |view: &ChartView| view.wide.len() + view.narrow.len();
    while all.iter().map(bytes).sum::<usize>() > DRAWINGS {
        let Some(at) = spared(&all) else { break };
        // First what is drawn twice, then the drawing.
        if all[at].narrow.is_empty() || all[at].wide.len() < TWICE {
            all[at].wide.clear();
        }
        all[at].narrow.clear();
    }
    all
}

/// The drawing that a page can best be without: one for telephones of a large one that serves there too; then what stands
/// beside; then what is not the first of its scenario; the largest of these.
fn spared(all: &[ChartView]) -> Option<usize> {
    let first = |at: usize| all.iter().position(|other| other.scenario == all[at].scenario) == Some(at);
    let rank = |at: usize| {
        let view = &all[at];
        let twice = !view.narrow.is_empty() && view.wide.len() >= TWICE;
        (twice, view.beside, !first(at), view.wide.len())
    };
    (0..all.len()).filter(|at| !all[*at].wide.is_empty()).max_by_key(|at| rank(*at))
}

fn chart(chart: &Chart) -> ChartView {
    let label = format!("{}. {}", chart.title, chart.says);
    ChartView {
        scenario: chart.scenario.clone(),
        beside: chart.beside,
        anchor: format!("f-{}", charts::file_name(&chart.name)),
        title: chart.title.clone(),
        caption: chart.caption.clone(),
        wide: svg(&chart.wide, "chart wide", &label),
        narrow: svg(&chart.narrow, "chart narrow", &label),
        file: format!("charts/{}.png", chart.name),
    }
}
