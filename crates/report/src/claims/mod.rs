//! What do the documents claim, and does it hold here?
//!
//! A claim is data (`scenarios/claims/*.toml`); this module selects its cells by layer, estimates, and decides by rules
//! that were fixed before the run. The same run gives the same verdicts; a layer that was not measured is named and never
//! spoken for by another.

pub mod among;
pub mod estimate;
pub mod file;
pub mod layers;
pub mod outcome;
pub mod points;
pub mod shelf;
pub mod verdict;
pub mod words;
pub mod zh;

use isomark_core::Error;

use crate::dataset::Dataset;
use crate::stats::order;
use crate::summarise::rounded;
use crate::summary::{Claim, Number};
use among::{Among, Shape};
use file::{File, Part};
use layers::{Layer, Layers};
use outcome::{Figure, LayerOutcome, Measured, Missing, PartOutcome, PointOutcome};
use points::{Point, points};
use verdict::{Verdict, judge};

/// The verdicts of a run on all claims.
///
/// # Errors
/// [`Error::Input`] if a claim's file cannot be judged, naming file, line and key.
pub fn claims(data: &Dataset<'_>) -> Result<Vec<Claim>, Error> {
    let (layers, files) = shelf::load()?;
    Ok(files.iter().map(|file| claim(data, &layers, file)).collect())
}

/// The verdict of a run on one claim.
#[must_use]
pub fn claim(data: &Dataset<'_>, layers: &Layers, file: &File) -> Claim {
    let found: Vec<Vec<Group<'_>>> = file.rules.iter().map(|rule| groups(data, layers, rule)).collect();
    let shares = among::shares(file.parts, &shapes(file, &found));
    let rules = file.rules.iter().zip(&found).zip(shares);
    let parts: Vec<PartOutcome> =
        rules.map(|((rule, found), shares)| part(data, layers, rule, found, &shares)).collect();
    let deciding = parts.iter().filter(|part| !part.reported);
    let verdicts: Vec<Verdict> = deciding.map(|part| part.verdict).collect();
    let verdict = file.parts.of(&verdicts);
    let measured = Measured { parts };
    Claim {
        id: file.id.get_ref().clone(),
        title: file.title.clone(),
        title_zh: file.title_zh.clone(),
        text: file.text.clone(),
        text_zh: file.text_zh.clone(),
        documents: file.documents.clone(),
        place: file.place.clone(),
        verdict,
        why: words::why(&measured, verdict),
        says: words::says(&file.says, &measured, verdict),
        sentence_zh: file.sentence_zh.as_ref().map(|says| zh::says(says, &measured, verdict, layers)),
        measured,
        published: file.published.iter().map(figure).collect(),
    }
}

fn figure(found: &file::Published) -> Figure {
    let file::Published { what, value, source, evidence } = found.clone();
    Figure { what, value, source, evidence }
}

/// What a rule finds at one layer, against another where it compares.
struct Group<'d> {
    layer: &'d Layer,
    against: Option<String>,
    points: Vec<Point<'d>>,
}

fn groups<'d>(data: &'d Dataset<'d>, layers: &'d Layers, rule: &Part) -> Vec<Group<'d>> {
    let mut found: Vec<Group<'d>> = Vec::new();
    for point in points(data, layers, rule) {
        let against = point.against.map(|(_, layer)| layer.id.clone());
        let same = |group: &&mut Group<'d>| group.layer.id == point.layer.id && group.against == against;
        match found.iter_mut().find(same) {
            Some(group) => group.points.push(point),
            None => found.push(Group { layer: point.layer, against, points: vec![point] }),
        }
    }
    // In the order of the rule, which goes from the thinnest layer up.
    found.sort_by_key(|group| rule.layers.iter().position(|id| *id == group.layer.id));
    found
}

/// How many points of each rule and layer chance could make stray: what is counted, or has no interval, cannot.
fn shapes<'f>(file: &'f File, found: &[Vec<Group<'_>>]) -> Vec<Shape<'f>> {
    let sampled = |part: &Part, group: &Group<'_>| {
        group.points.iter().filter(|point| !part.exact && point.found.ci95().is_some()).count()
    };
    let shape = |(part, groups): (&'f Part, &Vec<Group<'_>>)| Shape {
        part,
        layers: groups.iter().map(|group| sampled(part, group)).collect(),
    };
    file.rules.iter().zip(found).map(shape).collect()
}

fn part(
    data: &Dataset<'_>,
    layers: &Layers,
    rule: &Part,
    found: &[Group<'_>],
    shares: &[Among],
) -> PartOutcome {
    let found: Vec<LayerOutcome> =
        found.iter().zip(shares).map(|(group, share)| of_layer(data, rule, group, *share)).collect();
    let missing = missing(data, layers, rule, &found);
    let verdict = overall(rule, &found, &missing);
    let mut outcome = PartOutcome {
        rule: rule.rule.get_ref().clone(),
        about: rule.about.clone(),
        about_zh: rule.about_zh.clone(),
        asks: rule.asks.clone(),
        verdict,
        reported: rule.reported,
        why: String::new(),
        layers: found,
        missing,
    };
    outcome.why =
        rule.not_testable.as_deref().map(crate::words::data).unwrap_or_else(|| words::of_part(&outcome));
    outcome
}

fn of_layer(data: &Dataset<'_>, rule: &Part, group: &Group<'_>, share: Among) -> LayerOutcome {
    let share = if rule.exact { Among::ALONE } else { share };
    let points: Vec<PointOutcome> =
        group.points.iter().map(|point| measured(data, rule, point, share)).collect();
    let mut runtimes: Vec<String> = Vec::new();
    for point in &points {
        if !runtimes.contains(&point.runtime) {
            runtimes.push(point.runtime.clone());
        }
    }
    let mut layer = LayerOutcome {
        layer: group.layer.id.clone(),
        name: group.layer.name.clone(),
        against: group.against.clone(),
        verdict: Verdict::Inconclusive,
        runtimes,
        range: [Number(0.0); 2],
        deciding: 0,
        points,
    };
    decide(&mut layer, rule);
    layer
}

fn overall(rule: &Part, found: &[LayerOutcome], missing: &[Missing]) -> Verdict {
    let verdicts: Vec<Verdict> = found.iter().map(|layer| layer.verdict).collect();
    // Layers of which the run has no runtime at all say nothing about what this host can do.
    let impossible = missing.iter().any(|layer| layer.impossible)
        && missing.iter().all(|layer| layer.impossible || layer.absent);
    if rule.not_testable.is_some() || (found.is_empty() && impossible) {
        Verdict::NotTestable
    } else {
        rule.across.of(&verdicts)
    }
}

fn measured(data: &Dataset<'_>, rule: &Part, point: &Point<'_>, share: Among) -> PointOutcome {
    let cell = &data.run.cells[point.cell];
    let verdict::Judged { verdict, why, few } = judge(&point.found, rule, share);
    let together = share.most();
    let unit = &point.found.unit;
    let number = |x: f64| Number(if matches!(&**unit, "ns" | "byte") { x.round() } else { rounded(x) });
    let wide = point.found.interval(order::TAIL / together as f64);
    PointOutcome {
        runtime: cell.runtime.clone(),
        against: point.against.map(|(base, _)| data.run.cells[base].runtime.clone()),
        params: cell.params.clone(),
        configuration: configuration(data, point.layer, point.cell),
        unit: unit.clone(),
        value: number(point.found.value),
        ci95: point.found.ci95().map(|ci| ci.map(number)),
        ci90: point.found.ci90().map(|ci| ci.map(number)),
        among: together,
        ci_among: wide.filter(|_| together > 1).map(|ci| ci.map(number)),
        n: point.found.n,
        verdict,
        why,
        few,
    }
}

/// What exactly stands for the layer: runtime, machine, memory, what is inside.
fn configuration(data: &Dataset<'_>, layer: &Layer, cell: usize) -> String {
    let cell = &data.run.cells[cell];
    let mut words = vec![cell.runtime.clone()];
    if layer.kind == isomark_core::runtime::Kind::Vm {
        words.push(machine(data, &cell.runtime));
    }
    let limits = layer.kind != isomark_core::runtime::Kind::Process;
    if let Some(memory) = cell.params.number("memory").filter(|_| limits) {
        words.push(crate::fmt::quantity("byte", memory as f64, None));
    }
    words.push(crate::words::data(&layer.inside));
    crate::words::comma(&words)
}

/// What the virtual CPU is.
fn machine(data: &Dataset<'_>, runtime: &str) -> String {
    let record = data.run.runtimes.iter().find(|record| record.name == runtime);
    let details = record.and_then(|record| Some(&record.identity.as_ref()?.details));
    match details.and_then(|details| details.get("accel")).map(String::as_str) {
        None | Some("kvm") => format!("{} KVM", data.run.host.kvm_class),
        Some("none") => crate::words::say("claims.no_cpu"),
        Some(other) => crate::words::tell("claims.emulated", &[("how", &other)]),
    }
}

/// Joins the points of a layer and names the one that decided.
fn decide(layer: &mut LayerOutcome, rule: &Part) {
    let verdicts: Vec<Verdict> = layer.points.iter().map(|point| point.verdict).collect();
    layer.verdict = rule.within.of(&verdicts);
    let values = || layer.points.iter().map(|point| point.value.0);
    layer.range =
        [Number(values().fold(f64::INFINITY, f64::min)), Number(values().fold(f64::NEG_INFINITY, f64::max))];
    let edge = |x: f64| {
        let bounds = [rule.supported, rule.refuted].into_iter().flatten().flat_map(|bound| bound.range());
        bounds.filter(|b| b.is_finite()).map(|b| (x - b).abs()).fold(f64::INFINITY, f64::min)
    };
    let agreeing = layer.points.iter().enumerate().filter(|(_, point)| point.verdict == layer.verdict);
    let nearest = agreeing.min_by(|a, b| edge(a.1.value.0).total_cmp(&edge(b.1.value.0)));
    layer.deciding = nearest.map_or(0, |(at, _)| at);
}

/// Layers that the rule names and this run has no number for.
fn missing(data: &Dataset<'_>, layers: &Layers, rule: &Part, found: &[LayerOutcome]) -> Vec<Missing> {
    let absent = rule.layers.iter().filter(|id| !found.iter().any(|layer| layer.layer == **id));
    let known = absent.filter_map(|id| layers.get(id));
    known.filter_map(|layer| words::missing(data, layers, layer, rule)).collect()
}
