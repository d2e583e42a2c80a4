//! The tables behind the charts: what a screen reader, a sceptic or a spreadsheet wants.
//!
//! A cell without numbers has a row with its reason. A column exists for all rows or not at all.

use isomark_core::record::Run;
use isomark_core::{Params, Phase, Value};
use serde::Serialize;

use crate::answers::{self, bounds};
use crate::charts::{file_name, of_another_origin, words};
use crate::controls::percent;
use crate::fmt;
use crate::summary::{CellSummary, Control, MetricSummary, Number, Status, Summary};
use crate::view::ink;
use crate::words::{data, find, named, say, tell};

/// A table in words.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Where it is on the page.
    pub anchor: String,
    /// What it shows.
    pub caption: String,
    /// Titles of its columns.
    pub columns: Vec<Heading>,
    /// Its rows.
    pub rows: Vec<Line>,
    /// Rows that it would have had, where the page has no room for all.
    pub of: Option<usize>,
    /// What cells refer to by number, from 1 on.
    pub notes: Vec<String>,
}

/// Title of a column.
#[derive(Clone, Debug, Serialize)]
pub struct Heading {
    /// The words.
    pub title: String,
    /// Whether its cells are numbers.
    pub numeric: bool,
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Class of its runtime's colour.
    pub ink: String,
    /// Runtime.
    pub runtime: String,
    /// The other cells; a row without numbers has one, across all columns that are left.
    pub cells: Vec<Entry>,
    /// Columns that the last cell spans.
    pub span: usize,
}

/// A cell.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// What is read.
    pub text: String,
    /// What it is sorted by; empty: the text. Nothing and `~` come last either way.
    pub sort: String,
    /// A verdict, for its colour.
    pub verdict: String,
    /// Why it is so: a note below the table by its number; 0 for none.
    pub note: usize,
    /// Whether it is a sentence, which may take several lines.
    pub long: bool,
    /// The note itself, until it has a number.
    #[serde(skip)]
    why: String,
}

impl Entry {
    fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A number with its unit. One that is written as a plain number or a ratio is sorted by that.
    fn number(text: String, sort: f64) -> Self {
        let plain = text.trim_end_matches('×').parse::<f64>().is_ok();
        let sort = if plain { String::new() } else { format!("{sort:.5e}") };
        Self { text, sort, ..Self::default() }
    }
}

/// Gives the reasons of verdicts their numbers: few reasons stand for many rows, and paper has no pointer.
fn noted(mut table: Table) -> Table {
    for cell in table.rows.iter_mut().flat_map(|row| &mut row.cells) {
        cell.note = number_of(&mut table.notes, &cell.why);
    }
    table
}

/// The number of a note, which is added if it is new; 0 for an empty one.
pub(crate) fn number_of(notes: &mut Vec<String>, note: &str) -> usize {
    if note.is_empty() {
        return 0;
    }
    let at = notes.iter().position(|known| known == note).unwrap_or_else(|| {
        notes.push(note.to_owned());
        notes.len() - 1
    });
    at + 1
}

/// Rows that a table of details has at most: a page of every number of a large run would be slow to read and to load.
const ROWS: usize = 300;

/// The table, or its beginning and how long it would have been.
fn shortened(mut table: Table) -> Table {
    table.of = Some(table.rows.len()).filter(|rows| *rows > ROWS);
    table.rows.truncate(ROWS);
    // Notes to rows that are gone are gone with them.
    table.notes.clear();
    noted(table)
}

/// A table's name as a fragment of an address: it stays the same from run to run.
fn anchor(scenario: &str, which: &str) -> String {
    format!("t-{}-{which}", file_name(scenario))
}

/// Titles of columns by their keys in the section `table`; a parameter's own name stands for itself.
fn titles(names: &[(&str, bool)]) -> Vec<Heading> {
    let title = |name: &str| fmt::clean(&named("table", name));
    names.iter().map(|(name, numeric)| Heading { title: title(name), numeric: *numeric }).collect()
}

/// The headline metric of each cell of a scenario.
#[must_use]
pub fn headline(run: &Run, summary: &Summary, scenario: &str) -> Table {
    let mut cells: Vec<&CellSummary> = summary.scenario(scenario).collect();
    // What all runtimes do first, then what some of them do, then what was not measured.
    cells.sort_by_key(|cell| (cell.status == Status::Skipped, of_another_origin(&cell.params)));
    let wanted: Vec<Wanted<'_>> = cells.iter().map(|cell| (*cell, cell.metrics.first())).collect();
    let names: Vec<&str> = wanted.iter().filter_map(|(_, metric)| Some(&*metric.as_ref()?.name)).collect();
    // Cells with different parameters may answer with different metrics.
    let mixed = names.iter().any(|name| Some(name) != names.first());
    let what = names.first().filter(|_| !mixed).map_or_else(|| say("table.headline_metric"), |n| capital(n));
    let table = metrics(run, summary, &wanted, &tell("table.medians", &[("what", &what)]), mixed, false);
    Table { anchor: anchor(scenario, "median"), ..table }
}

fn capital(name: &str) -> String {
    match (name, find("metric", name)) {
        ("pss" | "uss" | "rss", _) => name.to_uppercase(),
        (_, Some(known)) => answers::capital(&known),
        (_, None) => answers::capital(&fmt::clean(name)),
    }
}

type Wanted<'s> = (&'s CellSummary, Option<&'s MetricSummary>);

/// All metrics of a scenario, the floors, and the inner steps as told.
#[must_use]
pub fn details(run: &Run, summary: &Summary, scenario: &str) -> Vec<Table> {
    let cells: Vec<&CellSummary> = summary.scenario(scenario).collect();
    let wanted: Vec<Wanted<'_>> = cells
        .iter()
        .flat_map(|cell| {
            let none = cell.metrics.is_empty().then_some((*cell, None));
            cell.metrics.iter().map(|metric| (*cell, Some(metric))).chain(none)
        })
        .collect();
    let mut all = Vec::new();
    if wanted.len() > cells.len() {
        let table = metrics(run, summary, &wanted, &say("table.all_metrics"), true, true);
        all.push(shortened(Table { anchor: anchor(scenario, "metrics"), ..table }));
    }
    // Each scenario launches: the same inner steps again say something new only where time is the question.
    let timed = cells.iter().any(|cell| cell.metrics.first().is_some_and(|metric| metric.unit == "ns"));
    all.extend(timed.then(|| steps(summary, scenario, &cells)).flatten());
    all
}

fn metrics(
    run: &Run,
    summary: &Summary,
    wanted: &[Wanted<'_>],
    caption: &str,
    named: bool,
    all: bool,
) -> Table {
    let cells: Vec<&CellSummary> = wanted.iter().map(|(cell, _)| *cell).collect();
    let (varying, constant) = parameters(&cells, !all);
    let present = |has: fn(&MetricSummary) -> bool| wanted.iter().any(|(_, m)| m.is_some_and(has));
    let apart = |(cell, metric): &Wanted<'_>| {
        let floor = crate::reference::is_floor(run, &cell.runtime);
        !floor && metric.and_then(|m| m.versus.as_ref()).and_then(widened).is_some()
    };
    let shape = Shape {
        widened: wanted.iter().any(apart),
        varying,
        named,
        p95: present(|m| m.p95.is_some() && m.unit == "ns"),
        versus: present(|m| m.versus.is_some()),
        quiet: all && present(|m| m.versus.as_ref().is_some_and(|versus| versus.quiet.is_some())),
        floor: present(|m| m.floor.is_some()),
        failed: present(|m| m.failed > 0),
    };
    let caption = if constant.is_empty() {
        caption.to_owned()
    } else {
        tell("table.with", &[("caption", &caption), ("constant", &constant)])
    };
    let columns = shape.columns();
    let rows = wanted.iter().map(|(cell, metric)| shape.row(run, summary, cell, *metric, columns.len()));
    noted(Table { caption, rows: rows.collect(), columns, ..Table::default() })
}

/// Names of parameters that tell cells apart, and the others in words.
fn parameters(cells: &[&CellSummary], brief: bool) -> (Vec<String>, String) {
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in cells.iter().flat_map(|cell| cell.params.iter()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // The kernel names the row; the rest tells it from its neighbours.
    keys.sort_by_key(|key| *key != "kernel");
    let values = |key: &str| cells.iter().map(|cell| cell.params.get(key)).collect::<Vec<_>>();
    let there = |key: &str| values(key).iter().map(Option::is_some).collect::<Vec<_>>();
    let single = |key: &str| {
        let found: Vec<&Value> = values(key).into_iter().flatten().collect();
        found.iter().all(|value| *value == found[0])
    };
    let (varying, mut constant): (Vec<&str>, Vec<&str>) =
        keys.iter().partition(|key| !single(key) || there(key).contains(&false));
    // What has one value wherever it is there, and is there where another one is, tells no row from another.
    let follows = |at: usize| {
        let (key, before) = (varying[at], &varying[..at]);
        single(key) && before.iter().any(|other| single(other) && there(other) == there(key))
    };
    // In brief, neither does what another one decides: the size of a kernel's work goes with its name.
    let decided =
        |at: usize| brief && varying[..at].iter().any(|other| decides(&values(other), &values(varying[at])));
    let (follow, own): (Vec<usize>, Vec<usize>) = (0..varying.len()).partition(|at| follows(*at));
    let own = own.into_iter().filter(|at| !decided(*at));
    constant.extend(follow.into_iter().map(|at| varying[at]));
    let value = |key: &&str| values(key).into_iter().flatten().next();
    let constant = constant.iter().fold(Params::new(), |params, key| match value(key) {
        Some(Value::Number(number)) => params.with(key, *number),
        Some(Value::Text(text)) => params.with(key, text.as_str()),
        Some(Value::Bool(_)) | None => params,
    });
    (own.map(|at| varying[at].to_owned()).collect(), words(&constant))
}

/// Whether cells that are alike in one parameter are alike in another.
fn decides(one: &[Option<&Value>], other: &[Option<&Value>]) -> bool {
    let mut known: Vec<(Option<&Value>, Option<&Value>)> = Vec::new();
    one.iter().zip(other).all(|(one, other)| match known.iter().find(|(key, _)| key == one) {
        Some((_, decided)) => decided == other,
        None => {
            known.push((*one, *other));
            true
        }
    })
}

/// Which columns a table of metrics has.
struct Shape {
    varying: Vec<String>,
    named: bool,
    p95: bool,
    versus: bool,
    widened: bool,
    quiet: bool,
    floor: bool,
    failed: bool,
}

impl Shape {
    fn columns(&self) -> Vec<Heading> {
        let mut all: Vec<(&str, bool)> = vec![("runtime", false)];
        all.extend(self.varying.iter().map(|key| (key.as_str(), false)));
        all.extend(self.named.then_some(("metric", false)));
        all.extend([("median", true), ("interval", true)]);
        all.extend(self.p95.then_some(("p95", true)));
        if self.versus {
            all.extend([("times_process", true), ("interval", true), ("verdict", false)]);
        }
        all.extend(self.widened.then_some(("widened", true)));
        all.extend(self.quiet.then_some(("times_quiet", true)));
        all.extend(self.floor.then_some(("times_floor", true)));
        all.push(("n", true));
        all.extend(self.failed.then_some(("failed", true)));
        titles(&all)
    }

    fn row(
        &self,
        run: &Run,
        summary: &Summary,
        cell: &CellSummary,
        metric: Option<&MetricSummary>,
        columns: usize,
    ) -> Line {
        let floor = crate::reference::is_floor(run, &cell.runtime);
        let mut cells: Vec<Entry> = self.varying.iter().map(|key| parameter(cell, key)).collect();
        if self.named {
            cells.push(Entry::words(metric.map_or_else(String::new, |m| fmt::clean(&m.name))));
        }
        match metric.map(|m| (m, m.folded)) {
            Some((_, Some(phase))) => {
                cells.push(Entry::words(tell("table.folded", &[("phase", &named("phase", phase.word()))])));
            }
            Some((m, None)) if m.n > 0 && cell.status != Status::Skipped => self.values(m, floor, &mut cells),
            _ => cells.push(reason(cell)),
        }
        let span = columns.saturating_sub(cells.len());
        let runtime = fmt::clean(&cell.runtime);
        let ink = if floor { "i-axis".to_owned() } else { ink(summary, &cell.runtime) };
        Line { ink, runtime, cells, span }
    }

    fn values(&self, metric: &MetricSummary, floor: bool, cells: &mut Vec<Entry>) {
        let blank = Entry::default;
        let middle = metric.median.map_or(f64::NAN, |m| m.0);
        let ci95 = bounds(metric.ci95);
        let median = Entry::number(fmt::quantity(&metric.unit, middle, ci95), middle);
        cells.push(match answers::modes(metric) {
            // With the number of a note behind it, no text is a plain number.
            Some(why) => Entry { why, sort: format!("{middle:.5e}"), ..median },
            None => median,
        });
        cells.push(Entry::words(ci95.map_or("~".to_owned(), |ci| fmt::interval(&metric.unit, middle, ci))));
        if self.p95 {
            let p95 = metric.p95.map(|p| Entry::number(fmt::quantity(&metric.unit, p.0, None), p.0));
            cells.push(p95.unwrap_or_else(|| Entry::words("~")));
        }
        if self.versus {
            // A floor is no way of running things: that it is slower than a process is no news about it.
            match metric.versus.as_ref().filter(|_| !floor) {
                Some(versus) => cells.extend(compared(metric, versus)),
                None => cells.extend([blank(), blank(), Entry::default()]),
            }
        }
        let versus = metric.versus.as_ref().filter(|_| !floor);
        if self.widened {
            let band = versus.and_then(widened);
            cells.push(band.map_or_else(blank, |band| Entry::number(format!("± {}", percent(band)), band)));
        }
        if self.quiet {
            let quiet = versus.and_then(|versus| versus.quiet);
            cells.push(quiet.map_or_else(blank, |quiet| {
                let text = with_interval(quiet.ratio, quiet.ci95);
                Entry::number(format!("{text}, n = {}", quiet.n), quiet.ratio)
            }));
        }
        if self.floor {
            let floor = metric.floor.as_ref();
            let floor = floor.map(|f| Entry::number(fmt::ratio(f.ratio, f.ci95), f.ratio));
            cells.push(floor.unwrap_or_else(blank));
        }
        cells.push(Entry::number(metric.n.to_string(), metric.n as f64));
        if self.failed {
            cells.push(Entry::number(metric.failed.to_string(), metric.failed as f64));
        }
    }
}

/// The A/A band that a verdict was judged against, where it is wider than the region of equivalence.
fn widened(versus: &crate::summary::Versus) -> Option<f64> {
    versus.band.filter(|band| *band > versus.region.relative)
}

/// Why a ratio far from 1 counts as equal, where that is so: sizes are judged by how far they are apart.
pub(crate) fn by_size(versus: &crate::summary::Versus) -> Option<String> {
    let least = versus.region.absolute?;
    let far = versus.ratio.is_none_or(|ratio| ratio.ln().abs() > versus.region.relative.ln_1p());
    let equal = versus.verdict == crate::stats::verdict::Verdict::Equivalent;
    (equal && far).then(|| tell("table.by_size", &[("amount", &fmt::quantity("byte", least, None))]))
}

fn with_interval(ratio: f64, ci95: Option<[f64; 2]>) -> String {
    let interval = ci95.map_or("~".to_owned(), |ci95| fmt::ratio_interval(ratio, ci95));
    format!("{} [{interval}]", fmt::ratio(ratio, ci95))
}

fn parameter(cell: &CellSummary, key: &str) -> Entry {
    match cell.params.get(key) {
        Some(Value::Number(number)) => {
            Entry::number(crate::charts::params::value(key, &Value::Number(*number)), *number as f64)
        }
        Some(value) => Entry::words(crate::charts::params::value(key, value)),
        None => Entry::words("–"),
    }
}

fn reason(cell: &CellSummary) -> Entry {
    let reason = cell.reason.as_deref().map_or_else(|| say("table.no_reason"), fmt::clean);
    let status = named("word", cell.status.word());
    Entry {
        verdict: cell.status.word().to_owned(),
        ..Entry::words(tell("table.reason", &[("status", &status), ("why", &reason)]))
    }
}

fn compared(metric: &MetricSummary, versus: &crate::summary::Versus) -> [Entry; 3] {
    let (ratio, interval) = match (versus.ratio, versus.difference) {
        (Some(ratio), _) => {
            let interval = versus.ci95.map_or("~".to_owned(), |ci95| fmt::ratio_interval(ratio, ci95));
            (Entry::number(fmt::ratio(ratio, versus.ci95), ratio), interval)
        }
        (None, Some(apart)) => {
            let text = fmt::difference(&metric.unit, apart.median.0, None);
            (Entry::number(text, f64::MAX), "~".to_owned())
        }
        (None, None) => (Entry::words("~"), "~".to_owned()),
    };
    let word = versus.verdict.word().to_owned();
    let why = versus.why.as_deref().map(fmt::clean).or_else(|| by_size(versus)).unwrap_or_default();
    let text = named("word", &word);
    [ratio, Entry::words(interval), Entry { text, verdict: word, why, ..Entry::default() }]
}

/// What the controls show: the headline metrics, or all of them.
#[must_use]
pub fn controls(summary: &Summary, headline: bool) -> Table {
    let wanted: Vec<&Control> = summary.controls.iter().filter(|c| c.headline || !headline).collect();
    // What all controls of a scenario share tells none of them from the others.
    let same = |a: &&Control, b: &&Control| a.scenario != b.scenario || a.params == b.params;
    let parted = !headline || wanted.iter().any(|a| wanted.iter().any(|b| !same(a, b)));
    let mut names = vec![("runtime", false), ("scenario", false)];
    names.extend(parted.then_some(("parameters", false)));
    names.extend(if headline { None } else { Some(("metric", false)) });
    names.extend([("control", false), ("ratio", true), ("interval", true), ("band", true)]);
    names.extend([("drawn", true), ("blocked_p", true), ("n", true), ("verdict", false)]);
    let reasons = wanted.iter().any(|control| control.why.is_some());
    names.extend(reasons.then_some(("why", false)));
    let row = |control: &&Control| {
        let mut cells = vec![Entry::words(fmt::clean(&control.scenario))];
        cells.extend(parted.then(|| Entry::words(words(&control.params))));
        cells.extend((!headline).then(|| Entry::words(fmt::clean(&control.metric))));
        cells.push(Entry::words(fmt::clean(&named("label", &control.label))));
        cells.extend(told(control));
        // No two of them are alike: they stand in their rows.
        let why = || control.why.as_deref().map(fmt::clean).unwrap_or_default();
        cells.extend(reasons.then(|| Entry { long: true, ..Entry::words(why()) }));
        Line { ink: ink(summary, &control.runtime), runtime: fmt::clean(&control.runtime), cells, span: 1 }
    };
    let caption = if headline { say("controls.caption") } else { say("controls.all") };
    let anchor = anchor("controls", if headline { "headline" } else { "metrics" });
    let rows = wanted.iter().map(row).collect();
    shortened(Table { anchor, caption, columns: titles(&names), rows, ..Table::default() })
}

fn told(control: &Control) -> Vec<Entry> {
    let blank = Entry::default;
    let rates = [(control.false_alarm_rate, "table.false_alarms"), (control.detection_rate, "table.found")];
    let rate = rates.into_iter().find_map(|(rate, what)| Some((rate?, what)));
    let rate = rate.map(|(rate, what)| Entry::number(tell(what, &[("share", &percent(rate))]), rate));
    let ratio = control
        .ratio
        .map_or_else(|| Entry::words("~"), |ratio| Entry::number(fmt::ratio(ratio, control.ci95), ratio));
    let interval = control.ratio.zip(control.ci95).map(|(ratio, ci95)| fmt::ratio_interval(ratio, ci95));
    let band = control.band.map(|band| Entry::number(format!("± {}", percent(band)), band));
    let p = control.blocked_p.map(|p| {
        let text = if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") };
        Entry::number(text, p)
    });
    let word = control.verdict.word().to_owned();
    [
        ratio,
        Entry::words(interval.unwrap_or_else(|| "~".to_owned())),
        band.unwrap_or_else(blank),
        rate.unwrap_or_else(blank),
        p.unwrap_or_else(blank),
        Entry::number(control.n.to_string(), control.n as f64),
    ]
    .into_iter()
    .chain([Entry { text: named("word", &word), verdict: word, ..Entry::default() }])
    .collect()
}

/// The inner steps as the runtimes told them.
fn steps(summary: &Summary, scenario: &str, cells: &[&CellSummary]) -> Option<Table> {
    let told: Vec<&&CellSummary> = cells.iter().filter(|cell| !cell.steps.is_empty()).collect();
    if told.is_empty() {
        return None;
    }
    let (varying, _) = parameters(cells, false);
    let mut names: Vec<(&str, bool)> = vec![("runtime", false)];
    names.extend(varying.iter().map(|key| (key.as_str(), false)));
    names.extend([("step", false), ("since_create", true), ("since_before", true), ("n", true)]);
    let mut rows = Vec::new();
    for cell in told {
        for step in &cell.steps {
            let mut entries: Vec<Entry> = varying.iter().map(|key| parameter(cell, key)).collect();
            let at = step.median.0;
            entries.push(Entry::words(fmt::clean(&data(&step.name))));
            entries.push(Entry::number(fmt::quantity("ns", at, None), at));
            let since = |ns: Number| Entry::number(fmt::quantity("ns", ns.0, None), ns.0);
            entries.push(step.since.map_or_else(|| Entry::words("–"), since));
            entries.push(Entry::number(step.n.to_string(), step.n as f64));
            let ink = ink(summary, &cell.runtime);
            rows.push(Line { ink, runtime: fmt::clean(&cell.runtime), cells: entries, span: 1 });
        }
    }
    let [start, stop] = [Phase::Start, Phase::Stop].map(|phase| named("phase", phase.word()));
    let caption = tell("table.steps", &[("start", &start), ("stop", &stop)]);
    let anchor = anchor(scenario, "steps");
    Some(shortened(Table { anchor, caption, columns: titles(&names), rows, ..Table::default() }))
}
