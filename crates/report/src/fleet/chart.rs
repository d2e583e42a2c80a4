//! Hosts as points: one chart per question, a panel per runtime, a row per class.
//!
//! Only the headline metric of a cell is drawn. A dot is a host; rows of one panel can be read against each other, because
//! each dot is a comparison within its own host.

use isomark_core::{Error, Params};

use super::summary::{ClassSummary, FleetCell, FleetMetric, FleetSummary};
use crate::charts::axis::RATIO;
use crate::charts::scene::{Ink, Scene};
use crate::charts::strip::{self, Panel, Row, Scale};
use crate::charts::{NARROW, WIDE, file_name, raster, slide, words};
use crate::fmt;
use crate::reference::REFERENCE;
use crate::words::{say, tell};

/// Charts of one fleet at most: a page with more is read by nobody.
const MOST: usize = 40;

/// A chart at both widths.
pub(super) struct Chart {
    /// Name of its file, without folder and ending.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) wide: Scene,
    pub(super) narrow: Scene,
}

impl Chart {
    pub(super) fn png(&self, summary: &FleetSummary) -> Result<Vec<u8>, Error> {
        let origin = tell("fleet.origin", &[("name", &summary.name), ("plan", &summary.plan)]);
        let origin = [fmt::clean(&origin)];
        raster::png(&slide::framed(self.wide.clone(), &self.title, &self.caption, &origin))
    }
}

/// All charts, in the order of the plan.
pub(super) fn charts(summary: &FleetSummary) -> Vec<Chart> {
    let mut questions: Vec<(&str, &Params)> = Vec::new();
    for cell in summary.classes.iter().flat_map(|class| &class.cells) {
        if !questions.contains(&(&*cell.scenario, &cell.params)) {
            questions.push((&cell.scenario, &cell.params));
        }
    }
    let drawn = questions.iter().enumerate().filter_map(|(at, question)| chart(summary, at, question));
    drawn.take(MOST).collect()
}

fn chart(summary: &FleetSummary, at: usize, (scenario, params): &(&str, &Params)) -> Option<Chart> {
    let asks = |cell: &&FleetCell| cell.scenario == *scenario && cell.params == **params;
    let mut runtimes: Vec<&str> = Vec::new();
    for cell in summary.classes.iter().flat_map(|class| class.cells.iter().filter(asks)) {
        if !runtimes.contains(&&*cell.runtime) {
            runtimes.push(&cell.runtime);
        }
    }
    let first = summary
        .classes
        .iter()
        .flat_map(|class| class.cells.iter().filter(asks))
        .find_map(|c| c.metrics.first())?;
    let ratios = runtimes.iter().any(|name| *name != REFERENCE) && first.unit != "byte";
    let panel = |runtime: &&str| {
        let rows = summary.classes.iter().enumerate().filter_map(|(place, class)| {
            let cell = class.cells.iter().filter(asks).find(|cell| cell.runtime == *runtime)?;
            row(class, place, cell.metrics.first()?, ratios)
        });
        let rows: Vec<Row> = rows.collect();
        (!rows.is_empty()).then(|| Panel { title: fmt::clean(runtime), rows })
    };
    let panels: Vec<Panel> = runtimes.iter().filter_map(panel).collect();
    if panels.is_empty() {
        return None;
    }
    let (unit, axis) =
        if ratios { (RATIO, say("fleet.ratio_axis")) } else { (&*first.unit, say("fleet.median_axis")) };
    let draw = |width| strip::draw(&panels, Scale::Log, unit, &axis, width);
    let blank = if params.is_empty() { "" } else { ", " };
    let caption = say(if ratios { "fleet.ratio_caption" } else { "fleet.median_caption" });
    Some(Chart {
        name: format!("fleet-{:02}-{}-{}", at + 1, file_name(scenario), file_name(&first.name)),
        title: fmt::clean(&format!("{scenario} · {}{blank}{}", first.name, words(params))),
        caption,
        wide: draw(WIDE),
        narrow: draw(NARROW),
    })
}

fn row(class: &ClassSummary, place: usize, metric: &FleetMetric, ratios: bool) -> Option<Row> {
    let versus = metric.versus.as_ref();
    let (values, middle, ci95, value) = if ratios {
        let values: Vec<f64> = metric.points.iter().filter_map(|p| p.ratio).collect();
        let (ratio, ci95) = (versus?.ratio?, versus?.ci95);
        (values, ratio, ci95, fmt::ratio(ratio, ci95))
    } else {
        let values = metric.points.iter().map(|p| p.median.0).collect();
        let middle = metric.median?.0;
        (values, middle, None, fmt::quantity(&metric.unit, middle, None))
    };
    let label = fmt::clean(&class.label);
    let tip = tell("fleet.tip", &[("who", &label), ("value", &value), ("n", &metric.hosts)]);
    Some(Row {
        label,
        value,
        ink: Ink::Runtime(place),
        values,
        median: middle,
        modes: None,
        ci95,
        floor: None,
        tip,
    })
}
