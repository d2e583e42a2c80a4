//! Which neighbour hurts whom?
//!
//! Storms downwards, runtimes across, with limits and without: the slowdown in words on a ground that is the stronger the
//! worse it is. A slowdown whose interval includes 1 has no ground.

use isomark_core::Params;

use super::matrix::{self, Cell, Group, Row, Sign};
use super::params;
use super::scene::Ink;
use super::{Chart, counts, texts};
use crate::answers::bounds;
use crate::fmt;
use crate::summary::{CellSummary, Summary};
use crate::words::{find, say, tell};

/// The metric shown.
const METRIC: &str = "slowdown";
/// A factor at which the ground is at its strongest.
const FULL: f64 = 16.0;

/// The heat map of a run; none where no neighbour was let loose.
pub(super) fn chart(summary: &Summary) -> Option<Chart> {
    let cells: Vec<&CellSummary> =
        summary.scenario("interference").filter(|cell| cell.metric(METRIC).is_some()).collect();
    let named = summary.headline.rows.iter().map(|row| row.runtime.as_str());
    let columns: Vec<&str> = named.filter(|name| cells.iter().any(|cell| cell.runtime == *name)).collect();
    if columns.is_empty() {
        return None;
    }
    let mut groups: Vec<Group> = Vec::new();
    for params in unique(&cells) {
        let (title, label) = names(params, &cells);
        let like = |name: &&str| cells.iter().find(|c| c.runtime == **name && c.params == *params);
        let found = columns.iter().map(|name| one(like(name)?, &label)).collect();
        let row = Row { label, note: String::new(), cells: found };
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group::new(title, vec![row])),
        }
    }
    let n = counts(cells.iter().filter_map(|cell| cell.metric(METRIC)).map(|metric| metric.n));
    let says = texts::listing(
        texts::INTERFERENCE_SAYS,
        columns.iter().filter_map(|name| worst(&cells, name)).collect(),
    );
    let columns: Vec<String> = columns.into_iter().map(fmt::clean).collect();
    let draw = |width| matrix::draw(&columns, &groups, width);
    let name = ("interference", "interference");
    Some(
        Chart::new(name, say("chart.interference"), tell("chart.interference_caption", &[("n", &n)]), draw)
            .saying(says),
    )
}

fn unique<'s>(cells: &[&'s CellSummary]) -> Vec<&'s Params> {
    let mut all: Vec<&Params> = Vec::new();
    for cell in cells {
        if !all.contains(&&cell.params) {
            all.push(&cell.params);
        }
    }
    all
}

/// Heading and label of a set of parameters: the limits above, the storm and where it rages beside, anything else that
/// differs after it.
fn names(params: &Params, cells: &[&CellSummary]) -> (String, String) {
    let part = |wanted: &[&str], all: bool| {
        let chosen = params.iter().filter(|(key, value)| {
            let differs = cells.iter().any(|cell| cell.params.get(key) != Some(value));
            wanted.contains(key) == all && (all || differs)
        });
        chosen.fold(Params::new(), |all, (key, value)| all.with(key, value.clone()))
    };
    let storm = params.text("storm").unwrap_or_default();
    let storm = find("param", &format!("storm-{storm}")).unwrap_or_else(|| storm.to_owned());
    let place = params::words(&part(&["place"], true));
    // Memory, limits and victim follow from the storm.
    let rest = part(&["storm", "place", "limits", "victim", "memory"], false);
    let rest = [place, params::words(&rest)].into_iter().filter(|words| !words.is_empty());
    let label = std::iter::once(storm).chain(rest).collect::<Vec<_>>().join(&say("list.comma"));
    (crate::answers::capital(&params::words(&part(&["limits"], true))), fmt::clean(&label))
}

fn one(cell: &CellSummary, label: &str) -> Option<Cell> {
    let metric = cell.metric(METRIC)?;
    let (slowdown, ci95) = (metric.median?.0, bounds(metric.ci95));
    let words = fmt::ratio(slowdown, ci95);
    let worse = ci95.is_some_and(|ci| ci[0] > 1.0) && slowdown > 1.02;
    let strength = 0.08 + 0.5 * (slowdown.max(1.0).ln() / FULL.ln()).min(1.0);
    let interval = ci95.map_or_else(String::new, |ci| format!(" [{}]", fmt::ratio_interval(slowdown, ci)));
    let excess = cell.metric("excess").and_then(|metric| metric.median);
    let excess = excess
        .map_or_else(String::new, |excess| tell("chart.beyond", &[("ratio", &fmt::ratio(excess.0, None))]));
    let tip = format!("{}, {label}: {words}{interval}{excess}, n = {}", fmt::clean(&cell.runtime), metric.n);
    let ground = Some(if worse { (Ink::Worse, strength) } else { (Ink::Grid, 0.45) });
    let range = ci95.map_or_else(String::new, |ci| fmt::ratio_interval(slowdown, ci));
    Some(Cell {
        ground,
        words: if worse { words } else { format!("~{words}") },
        range,
        sign: Sign::None,
        tip,
    })
}

/// The slowdown of a runtime beside the neighbour that hurts it most.
fn worst(cells: &[&CellSummary], runtime: &str) -> Option<String> {
    let mine = cells.iter().filter(|cell| cell.runtime == runtime);
    let all = mine.filter_map(|cell| Some((cell.metric(METRIC)?.median?.0, *cell)));
    let (slowdown, cell) = all.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (title, label) = names(&cell.params, cells);
    let between = if title.is_empty() { String::new() } else { say("list.comma") };
    Some(format!(
        "{} {} ({label}{between}{})",
        fmt::clean(runtime),
        fmt::ratio(slowdown, None),
        title.to_lowercase()
    ))
}
