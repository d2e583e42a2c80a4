//! Everything that the page shows, in words, in the order of the page.
//!
//! Templates only arrange: a number never reaches them. All words from outside pass [`fmt::clean`] here and are
//! escaped there.

mod drawings;
mod glance;
mod reproduce;

use isomark_core::record::{Run, Warning};
use serde::Serialize;

use crate::answers;
use crate::charts::{self, Chart};
use crate::controls;
use crate::fairness::{Fairness, fairness};
use crate::fmt;
use crate::ranges;
use crate::scoreboard::{Scoreboard, scoreboard};
use crate::summary::Summary;
use crate::tables::{self, Table};
use crate::warnings::of_no_use;
use crate::words::{find, named, retold, say, tell};

/// The page.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// Name of the run.
    pub id: String,
    /// When, which plan, how many blocks.
    pub subtitle: String,
    /// The whole run in one sentence.
    pub answer: String,
    /// The documents' claims, if they were judged.
    pub scoreboard: Option<Scoreboard>,
    /// KVM class, the fact that decides most.
    pub kvm_class: String,
    /// What the class was concluded from.
    pub kvm_evidence: String,
    /// Facts of the host: name and value.
    pub host: Vec<(String, String)>,
    /// Further facts of the host.
    pub facts: Vec<(String, String)>,
    /// What was compared: runtime, kind, version or why not.
    pub runtimes: Vec<RuntimeView>,
    /// Questions of the headline table: title and what its figures are.
    pub columns: Vec<ColumnView>,
    /// Rows of the headline table.
    pub rows: Vec<RowView>,
    /// Why nothing can be said, where that is so: what its figures refer to by number, from 1 on.
    pub notes: Vec<String>,
    /// One section per scenario.
    pub sections: Vec<Section>,
    /// What the controls say, if there are some.
    pub controls: Option<ControlsView>,
    /// What else is different between the runtimes.
    pub fairness: Fairness,
    /// Warnings: cause and remedy.
    pub warnings: Vec<Warning>,
    /// What a runtime does not have and nobody can mend.
    pub lacks: Vec<Lack>,
    /// How much that is.
    pub lacking: usize,
    /// How to measure it again.
    pub reproduce: Vec<(String, String)>,
    /// The command line.
    pub command: String,
    /// Files beside the page: name and what is in them.
    pub files: Vec<(String, String)>,
}

/// What was not measured and cannot be, by the same word of what to do.
#[derive(Clone, Debug, Serialize)]
pub struct Lack {
    /// That there is nothing to do.
    pub remedy: String,
    /// What is lacking.
    pub causes: Vec<String>,
}

/// How far the verdicts can be trusted.
#[derive(Clone, Debug, Serialize)]
pub struct ControlsView {
    /// One sentence per scenario.
    pub sentences: Vec<String>,
    /// The headline controls.
    pub table: Table,
    /// All of them.
    pub details: Table,
}

/// A runtime that was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeView {
    /// Its name.
    pub name: String,
    /// Class of its colour.
    pub ink: String,
    /// What it is at heart.
    pub kind: String,
    /// Its version, or why it cannot run here.
    pub note: String,
}

/// A question of the headline table.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnView {
    /// Scenario.
    pub scenario: String,
    /// The same in the reader's language.
    pub name: String,
    /// Where its section is.
    pub anchor: String,
    /// What the figures are.
    pub what: String,
}

/// A row of the headline table.
#[derive(Clone, Debug, Serialize)]
pub struct RowView {
    /// Runtime.
    pub runtime: String,
    /// Class of its colour.
    pub ink: String,
    /// What it is at heart.
    pub kind: String,
    /// Why it has no figures.
    pub reason: Option<String>,
    /// The figures.
    pub figures: Vec<FigureView>,
}

/// One answer of the headline table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FigureView {
    /// The value, or `~`.
    pub value: String,
    /// The ratio to the process, if there is one.
    pub ratio: String,
    /// Its interval.
    pub interval: String,
    /// The verdict.
    pub verdict: String,
    /// Number of the note that says why nothing can be said; 0 for none.
    pub note: usize,
}

/// One scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Scenario.
    pub scenario: String,
    /// The same in the reader's language.
    pub name: String,
    /// Where it is on the page.
    pub anchor: String,
    /// Its question.
    pub question: String,
    /// Its answer in a sentence.
    pub answer: String,
    /// Its charts.
    pub charts: Vec<ChartView>,
    /// A second look at the same, which decides nothing.
    pub beside: Vec<ChartView>,
    /// The table of its headline metric.
    pub table: Table,
    /// Tables for those who want all of it.
    pub details: Vec<Table>,
}

/// A chart in the page.
#[derive(Clone, Debug, Serialize)]
pub struct ChartView {
    /// Scenario that it belongs to.
    pub scenario: String,
    /// Whether it stands beside the others.
    pub beside: bool,
    /// Where it is on the page.
    pub anchor: String,
    /// Heading.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// For a page with room; markup. Empty where the page has no room for it.
    pub wide: String,
    /// For a telephone; markup. Empty where the wide one serves.
    pub narrow: String,
    /// The PNG beside the page.
    pub file: String,
}

/// The view of a summary with its charts.
#[must_use]
pub fn view(run: &Run, summary: &Summary, drawn: &[Chart]) -> View {
    let info = &summary.run;
    let charts = drawings::on_page(drawn);
    let (rows, notes) = glance::rows(summary);
    View {
        id: fmt::clean(&info.id),
        subtitle: fmt::clean(&tell(
            "page.subtitle",
            &[
                ("started", &info.started),
                ("plan", &info.plan),
                ("done", &info.blocks_done),
                ("blocks", &info.blocks),
                ("seed", &info.seed),
            ],
        )),
        answer: unbroken(&ranges::overall(&summary.headline).unwrap_or_else(|| answers::overall(summary))),
        scoreboard: scoreboard(summary, &charts),
        kvm_class: fmt::clean(&info.host.kvm_class),
        kvm_evidence: fmt::clean(&retold(&run.host.kvm_evidence)),
        host: host(run),
        facts: run.host.facts.iter().map(|(k, v)| (fmt::clean(k), fmt::clean(v))).collect(),
        runtimes: runtimes(run, summary),
        columns: glance::columns(summary),
        rows,
        notes,
        sections: summary.scenarios().into_iter().map(|name| section(run, summary, name, &charts)).collect(),
        controls: controls(summary),
        fairness: fairness(run),
        warnings: warnings(summary),
        lacks: lacks(summary),
        lacking: summary.warnings.iter().filter(|one| of_no_use(one)).count(),
        reproduce: reproduce::facts(run),
        command: reproduce::again(run),
        files: files(drawn),
    }
}

/// Units that stay with their number at the end of a line.
const UNITS: [&str; 9] = ["%", "ns", "µs", "ms", "s", "B", "KiB", "MiB", "GiB"];

/// Words of which neither an interval nor a number with its unit is broken at the end of a line.
pub(crate) fn unbroken(text: &str) -> String {
    let text = text.replace('–', "\u{2060}–\u{2060}");
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(' ') {
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '%');
        if UNITS.contains(&bare)
            && out.ends_with(' ')
            && out.trim_end().ends_with(|c: char| c.is_ascii_digit())
        {
            out.pop();
            out.push('\u{a0}');
        }
        out.push_str(word);
    }
    out
}

/// Class of a runtime's colour.
pub(crate) fn ink(summary: &Summary, runtime: &str) -> String {
    let at = summary.headline.rows.iter().position(|row| row.runtime == runtime);
    at.map_or_else(|| "i-axis".to_owned(), |at| format!("r{}", at % charts::scene::SERIES))
}

fn host(run: &Run) -> Vec<(String, String)> {
    let host = &run.host;
    let facts = [
        ("host", host.name.clone()),
        ("cpu", tell("host.usable", &[("cpu", &host.cpu), ("n", &host.cpus)])),
        ("memory", fmt::quantity("byte", host.memory as f64, None)),
        ("llc", fmt::quantity("byte", host.llc as f64, None)),
        ("kernel", host.kernel.clone()),
        ("cgroup", host.cgroup.clone()),
        ("hypervisor", host.hypervisor.clone()),
        ("rights", host.user.clone()),
        ("isa", host.isa.clone()),
    ];
    facts.into_iter().map(|(name, value)| (named("host", name), fmt::clean(&value))).collect()
}

fn runtimes(run: &Run, summary: &Summary) -> Vec<RuntimeView> {
    let one = |record: &isomark_core::record::RuntimeRecord| RuntimeView {
        name: fmt::clean(&record.name),
        ink: ink(summary, &record.name),
        kind: named("kind", record.kind.word()),
        note: fmt::clean(&match (&record.unavailable, &record.identity) {
            (Some(skip), _) => retold(&skip.reason),
            (None, Some(identity)) => identity.version.clone(),
            (None, None) => String::new(),
        }),
    };
    run.runtimes.iter().map(one).collect()
}

/// A scenario's name as a fragment of an address.
fn anchor(scenario: &str) -> String {
    format!("s-{}", charts::file_name(scenario))
}

fn section(run: &Run, summary: &Summary, name: &str, charts: &[ChartView]) -> Section {
    let mine = charts.iter().filter(|chart| chart.scenario == name).cloned();
    let (beside, charts) = mine.partition(|chart| chart.beside);
    let answer = ranges::of_scenario(&summary.headline, name);
    let answer = answer.unwrap_or_else(|| answers::of_scenario(summary, name));
    Section {
        scenario: fmt::clean(name),
        name: named("scenario", &fmt::clean(name)),
        anchor: anchor(name),
        question: question(run, name),
        answer: unbroken(&answer),
        charts,
        beside,
        table: tables::headline(run, summary, name),
        details: tables::details(run, summary, name),
    }
}

/// In the reader's language where it has one, else as the scenario itself asks, else its name.
fn question(run: &Run, scenario: &str) -> String {
    let asked = find("question", scenario).or_else(|| run.questions.get(scenario).cloned());
    fmt::clean(&asked.unwrap_or_else(|| scenario.to_owned()))
}

fn controls(summary: &Summary) -> Option<ControlsView> {
    let said = controls::sentences(&summary.controls);
    let sentences = said.iter().map(|sentence| fmt::clean(sentence)).collect();
    (!summary.controls.is_empty()).then(|| ControlsView {
        sentences,
        table: tables::controls(summary, true),
        details: tables::controls(summary, false),
    })
}

fn warning(warning: &Warning) -> Warning {
    let words = |text: &str| answers::capital(&fmt::clean(&retold(text)));
    Warning { cause: words(&warning.cause), remedy: words(&warning.remedy) }
}

fn warnings(summary: &Summary) -> Vec<Warning> {
    summary.warnings.iter().filter(|one| !of_no_use(one)).map(warning).collect()
}

/// What nobody can mend, with one word of it for all of like remedy.
fn lacks(summary: &Summary) -> Vec<Lack> {
    let mut all: Vec<Lack> = Vec::new();
    for Warning { cause, remedy } in summary.warnings.iter().filter(|one| of_no_use(one)).map(warning) {
        match all.iter_mut().find(|lack| lack.remedy == remedy) {
            Some(lack) => lack.causes.push(cause),
            None => all.push(Lack { remedy, causes: vec![cause] }),
        }
    }
    all
}

fn files(drawn: &[Chart]) -> Vec<(String, String)> {
    let fixed = [
        ("summary.json", "file.summary_json"),
        ("summary.md", "file.summary_md"),
        ("samples.csv", "file.samples_csv"),
        ("samples.jsonl", "file.samples_jsonl"),
        ("blocks.jsonl", "file.blocks_jsonl"),
        ("run.json", "file.run_json"),
    ];
    let fixed = fixed.map(|(name, what)| (name.to_owned(), say(what)));
    let pictures = drawn.iter().map(|chart| (format!("charts/{}.png", chart.name), chart.title.clone()));
    fixed.into_iter().chain(pictures).collect()
}
