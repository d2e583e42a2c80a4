//! The documents' claims as the page, the Markdown and the terminal show them.
//!
//! Words only: verdict, measured values with their intervals beside published ones, and a sentence that a newcomer
//! understands. Claims that a run does not decide are named with what would decide them, below the others.

use serde::Serialize;

use crate::claims::outcome::{LayerOutcome, PartOutcome};
use crate::claims::verdict::Verdict;
use crate::claims::words as claim_words;
use crate::fmt;
use crate::summary::{Claim, Summary};
use crate::view::{ChartView, unbroken};
use crate::words::{comma, data, named, say, tell};

/// The claims on the page.
#[derive(Clone, Debug, Serialize)]
pub struct Scoreboard {
    /// How many of each verdict, in a sentence.
    pub answer: String,
    /// Claims about which the run says something.
    pub decided: Vec<ClaimView>,
    /// Claims that it did not measure, or that nobody could.
    pub open: Vec<ClaimView>,
    /// Isolation against cost.
    pub tradeoff: Vec<ChartView>,
    /// The layers below the program.
    pub stacks: Vec<ChartView>,
    /// What to do for a trade-off chart, where there is none.
    pub missing: Option<String>,
}

/// A claim on the page.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimView {
    /// Its name, as a fragment of an address.
    pub anchor: String,
    /// The claim in a few words.
    pub title: String,
    /// The sentence.
    pub text: String,
    /// Who says it, and where.
    pub source: String,
    /// The verdict in words.
    pub verdict: String,
    /// Class of its colour.
    pub class: String,
    /// For a newcomer.
    pub says: String,
    /// Why the verdict is what it is, in a sentence; empty where nothing was measured.
    pub reason: String,
    /// How many layers were not measured.
    pub unasked: String,
    /// Which ones.
    pub absent: String,
    /// Measured values, one a layer.
    pub measured: Vec<ValueView>,
    /// Measured values that did not find room.
    pub more: usize,
    /// Published values.
    pub published: Vec<PublishedView>,
    /// All of them.
    pub sources: Vec<PublishedView>,
    /// The rules with their reasons.
    pub rules: Vec<RuleView>,
}

/// A measured value.
#[derive(Clone, Debug, Serialize)]
pub struct ValueView {
    /// The value.
    pub value: String,
    /// Its interval; empty for none.
    pub interval: String,
    /// Which quantity, at which layer, in which runtime.
    pub what: String,
    /// Verdict in words and class of its colour.
    pub verdict: String,
}

/// A published value.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedView {
    /// The value.
    pub value: String,
    /// What was measured.
    pub what: String,
    /// Who published it, and how good the evidence is.
    pub source: String,
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleView {
    /// Its name.
    pub rule: String,
    /// What it asks.
    pub asks: String,
    /// Its verdict.
    pub verdict: String,
    /// Why.
    pub why: String,
}

/// Lines of measured values that a claim gets.
const LINES: usize = 3;
/// Published values that a claim shows at once.
const PUBLISHED: usize = 2;

/// The claims of a summary; none where they were not judged.
#[must_use]
pub fn scoreboard(summary: &Summary, charts: &[ChartView]) -> Option<Scoreboard> {
    if summary.claims.is_empty() {
        return None;
    }
    let (decided, open): (Vec<&Claim>, Vec<&Claim>) = summary.claims.iter().partition(|c| was_measured(c));
    let charts = charts.iter().filter(|chart| chart.scenario == "claims").cloned();
    let (tradeoff, stacks): (Vec<ChartView>, Vec<ChartView>) =
        charts.partition(|chart| chart.anchor == "f-trade-off");
    let missing = tradeoff.is_empty();
    Some(Scoreboard {
        answer: counts(&summary.claims),
        decided: decided.into_iter().map(claim).collect(),
        open: open.into_iter().map(claim).collect(),
        tradeoff,
        stacks,
        missing: missing.then(|| say("claims.no_trade_off")),
    })
}

/// Whether the run has a number that counts for a claim.
#[must_use]
pub fn was_measured(claim: &Claim) -> bool {
    claim.measured.parts.iter().any(|part| !part.reported && !part.layers.is_empty())
}

/// `3 supported, 5 refuted, …`.
#[must_use]
pub fn counts(claims: &[Claim]) -> String {
    let of = |verdict: Verdict| claims.iter().filter(|c| was_measured(c) && c.verdict == verdict).count();
    let open = claims.iter().filter(|c| !was_measured(c)).count();
    let words = [Verdict::Supported, Verdict::Refuted, Verdict::Inconclusive]
        .map(|verdict| (of(verdict), named("word", verdict.word())))
        .into_iter()
        .chain([(open, say("claims.not_here"))])
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| tell("claims.count", &[("n", &n), ("word", &word)]));
    tell("claims.counts", &[("n", &claims.len()), ("counts", &comma(&words.collect::<Vec<_>>()))])
}

fn claim(claim: &Claim) -> ClaimView {
    let parts = || claim.measured.parts.iter().filter(|part| !part.reported && !part.layers.is_empty());
    let several = parts().count() > 1;
    let mut measured: Vec<ValueView> =
        parts().flat_map(|part| part.layers.iter().filter_map(move |l| value(part, l, several))).collect();
    let more = measured.len().saturating_sub(LINES);
    measured.truncate(LINES);
    let absent = claim_words::absent(&claim.measured);
    let others = claim_words::unasked(&claim.measured).len();
    let (verdict, class) = chip(claim);
    ClaimView {
        anchor: format!("c-{}", crate::charts::file_name(&claim.id)),
        title: data(&claim.title),
        text: claim.text.clone(),
        source: format!("{}, {}", claim.documents.join(", "), claim.place),
        verdict,
        class,
        says: unbroken(&fmt::clean(claim.says.strip_suffix(&*absent).unwrap_or(&claim.says))),
        reason: unbroken(&reason(claim)),
        unasked: if others > 0 { tell("claims.absent_n", &[("n", &others)]) } else { String::new() },
        absent: absent.trim_start().to_owned(),
        measured,
        more,
        published: claim.published.iter().take(PUBLISHED).map(published).collect(),
        sources: claim.published.iter().map(published).collect(),
        rules: claim.measured.parts.iter().map(rule).collect(),
    }
}

/// Why the verdict is what it is: what decided in each layer, the same reason once.
fn reason(claim: &Claim) -> String {
    let parts = || claim.measured.parts.iter().filter(|part| !part.reported);
    let agree = parts().flat_map(|part| &part.layers).any(|layer| layer.verdict == claim.verdict);
    let layers = parts().flat_map(|part| &part.layers);
    let deciding = layers.filter(|layer| !agree || layer.verdict == claim.verdict);
    let mut reasons: Vec<&str> = Vec::new();
    for why in deciding.filter_map(|layer| layer.decided()).map(|point| point.why.as_str()) {
        if !why.is_empty() && !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    let why = fmt::clean(&reasons.join(&say("list.semicolon")));
    if why.is_empty() { why } else { tell("claims.reason", &[("why", &why)]) }
}

/// The verdict in words and its class; a claim that the run left out has none.
fn chip(claim: &Claim) -> (String, String) {
    let word = claim.verdict.word();
    match claim.verdict {
        Verdict::NotTestable => (say("claims.not_testable"), word.to_owned()),
        Verdict::Inconclusive if !was_measured(claim) => (say("claims.left_out"), "skipped".to_owned()),
        _ => (named("word", word), word.to_owned()),
    }
}

fn value(part: &PartOutcome, layer: &LayerOutcome, several: bool) -> Option<ValueView> {
    let point = layer.decided()?;
    let one = layer.points.len() == 1;
    let mut what =
        if several { format!("{}{}", data(&part.about), say("list.comma")) } else { String::new() };
    what.push_str(&data(&layer.name));
    what.push_str(&format!(" ({})", fmt::clean(&layer.runtimes.join(", "))));
    // By the name that stands in all tables; the layer's own is for reasons.
    if let Some(against) = point.against.as_ref().or(layer.against.as_ref()) {
        what.push_str(&tell("claims.against", &[("layer", &fmt::clean(against))]));
    }
    Some(ValueView {
        value: claim_words::spread(layer),
        interval: if one { claim_words::interval(point).unwrap_or_default() } else { String::new() },
        what,
        verdict: layer.verdict.word().to_owned(),
    })
}

fn published(figure: &crate::claims::outcome::Figure) -> PublishedView {
    let evidence = match figure.evidence.as_str() {
        "data" => say("evidence.data"),
        "text" => say("evidence.text"),
        "abstract" => say("evidence.abstract"),
        "memory" => say("evidence.memory"),
        _ => say("evidence.secondary"),
    };
    PublishedView {
        value: figure.value.clone(),
        what: figure.what.clone(),
        source: format!("{}; {evidence}", figure.source),
    }
}

fn rule(part: &PartOutcome) -> RuleView {
    let beside = if part.reported { say("claims.beside") } else { String::new() };
    RuleView {
        rule: part.rule.clone(),
        asks: format!("{}{beside}", part.asks),
        verdict: named("word", part.verdict.word()),
        why: fmt::clean(&part.why),
    }
}

/// Verdict and title of each claim that was measured, for a terminal.
#[must_use]
pub fn lines(summary: &Summary) -> Vec<(&'static str, &str)> {
    let measured = summary.claims.iter().filter(|claim| was_measured(claim));
    measured.map(|claim| (claim.verdict.word(), claim.title.as_str())).collect()
}
