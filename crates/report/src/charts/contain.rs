//! When a program goes wrong, does the trouble stay inside?
//!
//! Ways of going wrong downwards, runtimes across: whether it was contained, whether the neighbour answered, whether the
//! host made a fresh instance. Words say it, the ground only repeats them; of trials that disagree the share is told.

use isomark_core::record::Cell as Asked;

use super::matrix::{self, Cell, Group, Row, Sign};
use super::scene::Ink;
use super::{Chart, counts, params, texts};
use crate::controls::is_control;
use crate::dataset::Dataset;
use crate::fmt;
use crate::summary::{CellSummary, Summary};
use crate::words::{say, tell};

/// The chart of a run; none where nothing went wrong on purpose.
pub(super) fn chart(data: &Dataset<'_>, summary: &Summary) -> Option<Chart> {
    let wanted = |cell: &Asked| cell.scenario == "containment" && !is_control(cell);
    let cells: Vec<usize> = (0..data.run.cells.len()).filter(|at| wanted(&data.run.cells[*at])).collect();
    let named = summary.headline.rows.iter().map(|row| row.runtime.as_str());
    let measured = |at: &usize| !data.cells[*at].series.is_empty();
    let columns: Vec<&str> = named
        .filter(|name| cells.iter().any(|at| data.run.cells[*at].runtime == **name && measured(at)))
        .collect();
    let groups: Vec<Group> = texts::CONTAINED
        .iter()
        .map(|(metric, title)| Group::new(say(title), rows(data, &cells, &columns, metric)))
        .filter(|group| !group.rows.is_empty())
        .collect();
    if columns.is_empty() || groups.is_empty() {
        return None;
    }
    let n = counts(summary.scenario("containment").filter_map(CellSummary::headline).map(|metric| metric.n));
    let said = columns.iter().map(|name| said(data, &cells, name)).collect();
    let names: Vec<String> = columns.iter().map(|name| fmt::clean(name)).collect();
    let draw = |width| matrix::draw(&names, &groups, width);
    let (title, caption) = (say("chart.containment"), tell("chart.containment_caption", &[("n", &n)]));
    Some(
        Chart::new(("containment", "containment"), title, caption, draw)
            .saying(texts::listing(texts::CONTAINMENT_SAYS, said)),
    )
}

fn rows(data: &Dataset<'_>, cells: &[usize], columns: &[&str], metric: &str) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    let kinds: Vec<_> = cells.iter().map(|at| &data.run.cells[*at].params).collect();
    for (params, label) in kinds.iter().zip(params::headings(&kinds)) {
        if all.iter().any(|row| row.label == label) {
            continue;
        }
        let of = |name: &&str| {
            let mine = |at: &&usize| {
                data.run.cells[**at].runtime == **name && data.run.cells[**at].params == **params
            };
            let at = *cells.iter().find(mine)?;
            one(name, &label, &data.cells[at].values(metric))
        };
        let found: Vec<Option<Cell>> = columns.iter().map(of).collect();
        if found.iter().any(Option::is_some) {
            all.push(Row { label, note: String::new(), cells: found });
        }
    }
    all
}

fn one(runtime: &str, label: &str, values: &[f64]) -> Option<Cell> {
    let (yes, of) = (values.iter().filter(|value| **value > 0.5).count(), values.len());
    let (words, ink, strength) = match (yes, of) {
        (_, 0) => return None,
        (0, _) => (say(texts::NO), Ink::Worse, 0.35),
        (yes, of) if yes == of => (say(texts::YES), Ink::Band, 1.0),
        (yes, of) => (format!("{yes}/{of}"), Ink::Worse, 0.18),
    };
    let tip = tell(
        "chart.contained_of",
        &[("who", &fmt::clean(runtime)), ("what", &label), ("n", &yes), ("all", &of)],
    );
    Some(Cell { ground: Some((ink, strength)), words, range: String::new(), sign: Sign::None, tip })
}

/// In how many ways of going wrong a runtime contained every trial.
fn said(data: &Dataset<'_>, cells: &[usize], runtime: &str) -> String {
    let mine = cells.iter().filter(|at| data.run.cells[**at].runtime == runtime);
    let values = mine.map(|at| data.cells[*at].values("contained")).filter(|values| !values.is_empty());
    let (held, all) = values.fold((0, 0), |(held, all), values| {
        (held + usize::from(values.iter().all(|value| *value > 0.5)), all + 1)
    });
    tell("chart.differs", &[("who", &fmt::clean(runtime)), ("n", &held), ("all", &all)])
}
