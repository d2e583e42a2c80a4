//! A verdict in words: for a newcomer in one sentence, for a reader of files with its reason.
//!
//! Sentences name the layer of each value and each layer that has none; they say no more than the intervals carry.

use isomark_core::runtime::Kind;

use super::file::{Part, Says};
use super::layers::{Layer, Layers};
use super::outcome::{LayerOutcome, Measured, Missing, PartOutcome, PointOutcome};
use super::verdict::Verdict;
use crate::dataset::Dataset;
use crate::fmt;
use crate::words::{self, is_english, named, say, tell};

/// What measures a claim that a run left out.
const PLAN: &str = "isomark run --plan claims";

/// A value with its unit.
#[must_use]
pub fn value(point: &PointOutcome) -> String {
    amount(&point.unit, point.value.0, point.ci95.map(|ci| ci.map(|x| x.0)))
}

/// The interval of a value, without the unit.
#[must_use]
pub fn interval(point: &PointOutcome) -> Option<String> {
    let ci95 = point.ci95?.map(|x| x.0);
    // What is counted has no width.
    if ci95[0] == ci95[1] {
        return None;
    }
    Some(match &*point.unit {
        "×" | "ratio" => fmt::ratio_interval(point.value.0, ci95),
        "%" | "points" => {
            let (value, [low, high]) = (100.0 * point.value.0, ci95.map(|x| 100.0 * x));
            let digits = digits(value, Some([low, high]));
            fmt::between(&format!("{low:.digits$}"), &format!("{high:.digits$}"))
        }
        unit => fmt::interval(unit, point.value.0, ci95),
    })
}

/// An amount of a unit.
#[must_use]
pub fn amount(unit: &str, value: f64, ci95: Option<[f64; 2]>) -> String {
    match unit {
        "×" | "ratio" => fmt::ratio(value, ci95),
        "%" | "points" => {
            let (value, ci95) = (100.0 * value, ci95.map(|ci| ci.map(|x| 100.0 * x)));
            format!("{value:.*} {}", digits(value, ci95), named("unit", unit))
        }
        _ => fmt::quantity(unit, value, ci95),
    }
}

/// Decimals of a percentage: two are enough, unless it would be written as nothing.
fn digits(value: f64, ci95: Option<[f64; 2]>) -> usize {
    let most = if value != 0.0 && value.abs() < 0.01 { 4 } else { 2 };
    fmt::decimals(value, ci95).min(most)
}

/// The values of a layer: one, or from the smallest to the largest.
#[must_use]
pub fn spread(layer: &LayerOutcome) -> String {
    let Some(decided) = layer.decided() else { return "~".to_owned() };
    let [low, high] = layer.range.map(|x| x.0);
    if layer.points.len() == 1 { value(decided) } else { range(&decided.unit, low, high) }
}

/// `2.1 ms in a microVM`; a layer that is compared with several is told once, from the smallest to the largest.
fn in_layer(same: &[&LayerOutcome]) -> String {
    let Some(first) = same.first() else { return String::new() };
    let against = others(same);
    let against = match &*against {
        [] => String::new(),
        all => tell("claims.against", &[("layer", &listed(all))]),
    };
    let (values, layer) = (span(same), words::data(&first.name));
    tell("claims.in", &[("values", &values), ("layer", &layer), ("against", &against)])
}

/// What a layer is compared with: the runtime if it is one, else the layers.
pub(super) fn others(same: &[&LayerOutcome]) -> Vec<String> {
    let points = || same.iter().flat_map(|layer| &layer.points);
    let against = points().find_map(|point| point.against.as_ref());
    if points().any(|point| point.against.as_ref() != against) {
        return same.iter().filter_map(|layer| layer.against.clone()).collect();
    }
    against.iter().map(|name| fmt::clean(name)).collect()
}

/// A size that the host's own noise covers is told by what it is at most: "0 B" would be read as a finding.
fn lost_in_noise(layer: &LayerOutcome) -> Option<String> {
    let point = layer.decided().filter(|point| &*point.unit == "byte" && layer.points.len() == 1)?;
    let [low, high] = point.ci95?.map(|x| x.0);
    let most = (low <= 0.0 && high > 0.0).then(|| amount(&point.unit, high, None))?;
    Some(tell("claims.at_most", &[("value", &most)]))
}

/// The values of a layer against everything that it is compared with.
pub(super) fn span(same: &[&LayerOutcome]) -> String {
    if let [one] = same {
        return lost_in_noise(one).unwrap_or_else(|| spread(one));
    }
    let unit = same.iter().find_map(|layer| layer.decided()).map_or("", |point| &point.unit);
    let low = same.iter().map(|layer| layer.range[0].0).fold(f64::INFINITY, f64::min);
    let high = same.iter().map(|layer| layer.range[1].0).fold(f64::NEG_INFINITY, f64::max);
    range(unit, low, high)
}

fn range(unit: &str, low: f64, high: f64) -> String {
    let [from, to] = [low, high].map(|x| amount(unit, x, None));
    if from == to { from } else { tell("range", &[("from", &from), ("to", &to)]) }
}

/// The outcomes of a part by layer: a layer that is compared with several has one for each.
pub(super) fn alike(part: &PartOutcome) -> Vec<Vec<&LayerOutcome>> {
    part.layers.chunk_by(|a, b| a.layer == b.layer).map(|same| same.iter().collect()).collect()
}

/// The layers of a part; with the name of the quantity where another stands beside it.
fn of_quantity(part: &PartOutcome, several: bool) -> String {
    let values = listed(&alike(part).iter().map(|same| in_layer(same)).collect::<Vec<_>>());
    let about = words::data(&part.about);
    if several { tell("claims.of", &[("about", &about), ("values", &values)]) } else { values }
}

fn listed(parts: &[String]) -> String {
    if parts.is_empty() { say("claims.none") } else { words::listed(parts) }
}

/// What a sentence for newcomers is made of.
pub(super) enum Case<'s> {
    /// Nothing could be measured here; with the words of the file, if it has some.
    NotTestable(Option<&'s str>),
    /// The run has no such cells.
    Unmeasured,
    /// Too few trials are all that stands in the way.
    Few,
    /// What was measured decides, and something was not.
    Partly,
    /// The words of the file.
    Told(&'s str),
}

/// Which case a verdict is.
pub(super) fn case<'s>(says: &'s Says, measured: &Measured, verdict: Verdict) -> Case<'s> {
    let layers = || measured.parts.iter().filter(|part| !part.reported).flat_map(|part| &part.layers);
    if verdict == Verdict::NotTestable {
        return Case::NotTestable(says.not_testable.as_deref());
    }
    if layers().next().is_none() {
        return Case::Unmeasured;
    }
    let open = || layers().filter(|layer| layer.verdict == Verdict::Inconclusive);
    let few = open().count() > 0 && open().all(|layer| layer.points.iter().any(|point| point.few));
    let told = |words: &'s Option<String>| Case::Told(words.as_deref().unwrap_or_default());
    match verdict {
        Verdict::Inconclusive if few => Case::Few,
        Verdict::Inconclusive if open().count() == 0 => Case::Partly,
        Verdict::Supported => told(&says.supported),
        Verdict::Refuted => told(&says.refuted),
        Verdict::Inconclusive | Verdict::NotTestable => told(&says.inconclusive),
    }
}

/// The parts whose values a sentence tells. What decided comes first; a rule that says something else is told by its own
/// line.
pub(super) fn shown(measured: &Measured, verdict: Verdict) -> Vec<&PartOutcome> {
    let counts = |part: &&PartOutcome| !part.reported && !part.layers.is_empty();
    let deciding = measured.parts.iter().filter(counts).filter(|part| part.verdict == verdict);
    let deciding: Vec<&PartOutcome> = deciding.collect();
    if deciding.is_empty() { measured.parts.iter().filter(counts).collect() } else { deciding }
}

/// The sentence for newcomers.
#[must_use]
pub fn says(says: &Says, measured: &Measured, verdict: Verdict) -> String {
    let reasons = || measured.parts.iter().map(|part| part.why.clone()).collect::<Vec<_>>();
    let words = match case(says, measured, verdict) {
        Case::NotTestable(Some(words)) if is_english() => return words.to_owned(),
        Case::NotTestable(_) => return tell("claims.untestable", &[("why", &listed(&reasons()))]),
        Case::Unmeasured => {
            let mut missing =
                measured.parts.iter().filter(|part| !part.reported).flat_map(|part| &part.missing);
            let head = say("claims.alone_head");
            return match missing.find_map(|missing| missing.why.strip_prefix(&head)) {
                Some(how) => tell("claims.unmeasured_so", &[("how", &how)]),
                None => tell("claims.unmeasured", &[("command", &PLAN)]),
            };
        }
        Case::Few => say("claims.few"),
        Case::Partly => partly(measured),
        Case::Told(words) if is_english() => words.to_owned(),
        // The claims' own sentences are English; other languages have one for all of a kind.
        Case::Told(_) => match verdict {
            Verdict::Supported => say("claims.supported"),
            Verdict::Refuted => say("claims.refuted"),
            Verdict::Inconclusive | Verdict::NotTestable => say("claims.undecided"),
        },
    };
    // A claim of several parts names the quantity of each, also where only one of them is at hand.
    let several = measured.parts.iter().filter(|part| !part.reported && !part.about.is_empty()).count() > 1;
    let shown = shown(measured, verdict);
    let values =
        shown.iter().map(|part| of_quantity(part, several)).collect::<Vec<_>>().join(&say("list.semicolon"));
    let mut text = words.replace("{measured}", &values);
    text.push_str(&otherwise(measured, verdict));
    text.push_str(&absent(measured));
    text
}

/// For a claim of which the run measured a part only.
fn partly(measured: &Measured) -> String {
    let deciding = || measured.parts.iter().filter(|part| !part.reported);
    let left = deciding().filter(|part| part.verdict == Verdict::Inconclusive && part.layers.is_empty());
    let names: Vec<String> = left.map(|part| words::data(&part.about)).collect();
    let against = deciding().any(|part| part.verdict == Verdict::Refuted);
    let key = if against { "claims.partly_against" } else { "claims.partly_for" };
    tell(key, &[("parts", &listed(&names)), ("command", &PLAN)])
}

/// Layers that say the opposite.
fn otherwise(measured: &Measured, verdict: Verdict) -> String {
    let mut text = String::new();
    if verdict == Verdict::Refuted {
        let mut holds: Vec<String> = Vec::new();
        let parts = measured.parts.iter().filter(|part| part.verdict == Verdict::Refuted);
        for layer in parts.flat_map(|part| &part.layers).filter(|l| l.verdict == Verdict::Supported) {
            if !holds.contains(&layer.name) {
                holds.push(words::data(&layer.name));
            }
        }
        if !holds.is_empty() {
            text.push_str(&tell("claims.holds", &[("layers", &listed(&holds))]));
        }
    }
    text
}

/// Layers that nobody asked, for the end of a sentence.
#[must_use]
pub fn absent(measured: &Measured) -> String {
    let absent = unasked(measured);
    if absent.is_empty() { String::new() } else { tell("claims.absent", &[("layers", &listed(&absent))]) }
}

/// Names of the layers that nobody asked.
#[must_use]
pub fn unasked(measured: &Measured) -> Vec<String> {
    let layers = || measured.parts.iter().flat_map(|part| &part.layers);
    let mut absent: Vec<String> = Vec::new();
    for missing in measured.parts.iter().flat_map(|part| &part.missing) {
        let name = words::data(&missing.name);
        if !absent.contains(&name) && !layers().any(|layer| layer.layer == missing.layer) {
            absent.push(name);
        }
    }
    absent
}

/// Why the claim has its verdict: the reasons of the parts that decided it.
#[must_use]
pub fn why(measured: &Measured, verdict: Verdict) -> String {
    let deciding = measured.parts.iter().filter(|part| part.verdict == verdict && !part.reported);
    let all: Vec<String> = deciding.map(|part| format!("{}: {}", part.rule, part.why)).collect();
    all.join(" | ")
}

/// Why a part has its verdict: the deciding point of each layer.
#[must_use]
pub fn of_part(part: &PartOutcome) -> String {
    let layers = part.layers.iter().filter_map(|layer| {
        let point = layer.decided()?;
        let against =
            layer.against.as_ref().map_or_else(String::new, |id| tell("claims.against", &[("layer", id)]));
        let interval = interval(point).map_or_else(String::new, |text| format!(" [{text}]"));
        let choice = chosen(point);
        Some(format!(
            "{}{against} {}: {}{interval}, n = {}, {}{choice}: {}",
            layer.layer,
            named("word", layer.verdict.word()),
            value(point),
            point.n,
            point.configuration,
            point.why
        ))
    });
    let all: Vec<String> = layers.chain(left_out(&part.missing)).collect();
    if all.is_empty() {
        tell("claims.part_unmeasured", &[("command", &PLAN)])
    } else {
        all.join(&say("list.semicolon"))
    }
}

/// Layers without a number, those with the same reason together.
fn left_out(missing: &[Missing]) -> Vec<String> {
    let mut all: Vec<(&str, Vec<String>)> = Vec::new();
    for one in missing {
        match all.iter_mut().find(|(why, _)| *why == one.why) {
            Some((_, layers)) => layers.push(one.layer.clone()),
            None => all.push((&one.why, vec![one.layer.clone()])),
        }
    }
    let one = |(why, layers): &(&str, Vec<String>)| {
        tell("claims.left_out_why", &[("layers", &listed(layers)), ("why", why)])
    };
    all.iter().map(one).collect()
}

/// The parameters that tell a point from its neighbours, in words.
fn chosen(point: &PointOutcome) -> String {
    let telling = [
        "kernel",
        "isa",
        "cpu",
        "pages",
        "provision",
        "storm",
        "place",
        "limits",
        "how",
        "concurrency",
        "policy",
    ];
    let words = point.params.iter().filter(|(key, _)| telling.contains(key));
    let words: Vec<String> = words.map(|(key, value)| format!("{key} {value}")).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// Why a layer has no number; none for a layer for runtimes that nobody placed, which need not exist.
#[must_use]
pub fn missing(data: &Dataset<'_>, layers: &Layers, layer: &Layer, rule: &Part) -> Option<Missing> {
    let run = data.run;
    let here = |runtime: &str| layers.of(run, runtime, &isomark_core::Params::new()).map(|l| &l.id);
    let mine: Vec<_> = run.runtimes.iter().filter(|r| here(&r.name) == Some(&layer.id)).collect();
    if layer.others && mine.is_empty() {
        return None;
    }
    let unavailable = mine.iter().filter_map(|record| Some((record, record.unavailable.as_ref()?)));
    let reasons: Vec<String> = unavailable
        .map(|(record, skip)| format!("{}: {}", record.name, words::retold(&skip.reason)))
        .collect();
    let scenario = rule.scenario.as_deref().unwrap_or_default();
    let cells = || {
        let own = run.cells.iter().filter(|cell| mine.iter().any(|record| record.name == cell.runtime));
        own.filter(|cell| cell.scenario == scenario && rule.admits(&cell.params))
    };
    let skipped: Vec<String> = cells()
        .filter_map(|cell| {
            Some(format!("{}: {}", cell.runtime, words::retold(&cell.skipped.as_ref()?.reason)))
        })
        .collect();
    let failed = cells().find(|cell| cell.skipped.is_none());
    let (why, impossible) = match (reasons.first(), skipped.first(), failed) {
        (Some(why), ..) if reasons.len() == mine.len() => (why.clone(), true),
        (_, Some(why), None) => (why.clone(), true),
        (.., Some(cell)) => {
            let why = || tell("claims.no_value", &[("scenario", &scenario), ("who", &cell.runtime)]);
            (alone(data, layers, rule).unwrap_or_else(why), false)
        }
        _ if layer.kind == Kind::Vm && run.host.kvm_class == "none" && mine.is_empty() => {
            (say("claims.no_kvm"), true)
        }
        _ if mine.is_empty() => (tell("claims.no_runtime", &[("how", &say("claims.naming"))]), false),
        _ => (tell("claims.not_in_run", &[("command", &PLAN)]), false),
    };
    let absent = mine.is_empty();
    Some(Missing { layer: layer.id.clone(), name: layer.name.clone(), why, impossible, absent })
}

/// The reason why a rule that compares has no value: no runtime of the other layers is in the run.
fn alone(data: &Dataset<'_>, layers: &Layers, rule: &Part) -> Option<String> {
    let none = isomark_core::Params::new();
    let mut placed = data.run.runtimes.iter().filter_map(|r| layers.of(data.run, &r.name, &none));
    if rule.against.is_empty() || placed.any(|layer| rule.against.contains(&layer.id)) {
        return None;
    }
    let names = rule.against.iter().filter_map(|id| layers.get(id).filter(|layer| !layer.others));
    let names: Vec<String> = names.map(|layer| words::data(&layer.name)).collect();
    let with: [(&str, &dyn std::fmt::Display); 3] =
        [("head", &say("claims.alone_head")), ("layers", &listed(&names)), ("how", &say("claims.naming"))];
    Some(tell("claims.alone", &with))
}
