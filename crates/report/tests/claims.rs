//! Every claim, fed with data whose truth is known: on each side of its thresholds, and across them.
//!
//! The data follows from the rule alone (layers, estimate, thresholds), so a new claim is covered by its file. Two seeds
//! must agree on every verdict.

mod plant;

use isomark_core::Params;
use isomark_core::record::{Cell, Outcome, Sample};
use isomark_report::claims::file::{Estimator, File, Part};
use isomark_report::claims::layers::Layers;
use isomark_report::claims::outcome::PartOutcome;
use isomark_report::claims::verdict::Verdict;
use isomark_report::claims::{claim, shelf};
use isomark_report::dataset::Dataset;
use isomark_report::summary::Claim;

use plant::{BASE, GAIN, Plant, Truth, edge, inside, name_at};

/// Gains are planted after the change, against a cell before it that has the base.
fn judged(layers: &Layers, file: &File, part: &Part, truth: Truth, seed: u64) -> (Claim, PartOutcome) {
    let mut plant = Plant::new(layers, part, seed);
    if matches!(part.estimate, Estimator::Gain | Estimator::Interaction) {
        let share = if part.estimate == Estimator::Interaction { GAIN } else { 1.0 };
        for id in &part.against {
            plant.layer_cells(id, Truth { value: BASE, spread: 0.0 }, GAIN, "");
        }
        for id in &part.layers {
            let layer = plant.layer(id);
            let name = name_at(layer);
            plant.layer_cells(id, Truth { value: BASE, spread: 0.0 }, 1.0, "");
            let after = plant.run.cells.len() - 1;
            plant.samples.retain(|sample| sample.cell != after);
            let cell = plant.run.cells.pop().expect("the cell after the change");
            let truth = Truth { value: truth.value * BASE * share, spread: truth.spread * BASE * share };
            plant.cell(&name, cell.params, truth, "");
        }
        let data = Dataset::new(&plant.run, &plant.samples, Vec::new()).expect("samples of this run");
        let claim = claim(&data, layers, file);
        let rule = part.rule.get_ref();
        let outcome = claim.measured.parts.iter().find(|one| one.rule == *rule).expect("the part").clone();
        return (claim, outcome);
    }
    plant.judged(file, truth)
}

#[track_caller]
fn expect(file: &File, part: &Part, layers: &Layers, truth: Truth, expected: Verdict) {
    for seed in [3, 4] {
        let (claim, outcome) = judged(layers, file, part, truth, seed);
        let name = format!("{} {} planted {} ± {}", claim.id, outcome.rule, truth.value, truth.spread);
        assert_eq!(outcome.verdict, expected, "{name}: {}", outcome.why);
        assert!(!outcome.layers.is_empty() && outcome.missing.is_empty(), "{name}: {outcome:?}");
        for id in &part.layers {
            let mine: Vec<_> = outcome.layers.iter().filter(|layer| layer.layer == *id).collect();
            assert_eq!(
                mine.len(),
                part.against.len().max(1).min(if part.estimate == Estimator::Gain { 1 } else { 99 })
            );
            assert!(mine.iter().all(|layer| layer.verdict == expected), "{name} at {id}");
        }
        let deciding = file.rules.iter().filter(|rule| rule.not_testable.is_none() && !rule.reported).count();
        if deciding == 1 && !part.reported {
            assert_eq!(claim.verdict, expected, "{name}");
            assert!(!claim.says.contains('{') && !claim.says.contains("Not measured"), "{}", claim.says);
            let layer = layers.get(&part.layers[0]).expect("a layer");
            assert!(claim.says.contains(&layer.name), "{name}: {} does not name its layer", claim.says);
        }
    }
}

#[test]
fn every_rule_supports_refutes_and_hesitates() {
    let (layers, files) = shelf::load().unwrap();
    let mut rules = 0;
    for file in &files {
        for part in file.rules.iter().filter(|part| part.not_testable.is_none()) {
            let (Some(supported), Some(refuted)) = (part.supported, part.refuted) else { panic!("checked") };
            for (bound, verdict) in [(supported, Verdict::Supported), (refuted, Verdict::Refuted)] {
                let value = inside(bound);
                let spread = if part.exact { 0.0 } else { 0.002 * value.abs() };
                expect(file, part, &layers, Truth { value, spread }, verdict);
            }
            if part.estimate != Estimator::Same {
                let value = edge(supported);
                let spread = if value == 0.0 { 0.5 } else { 0.1 * value.abs() };
                expect(file, part, &layers, Truth { value, spread }, Verdict::Inconclusive);
            }
            rules += 1;
        }
    }
    assert!(rules >= 30, "{rules}");
}

#[test]
fn few_blocks_decide_only_what_is_far_beyond() {
    let (layers, files) = shelf::load().unwrap();
    let file = files.iter().find(|file| file.id.get_ref() == "container-start-ms").unwrap();
    let part = &file.rules[0];
    for (value, blocks, expected) in [
        (30e6, 40, Verdict::Supported),
        (30e6, 10, Verdict::Inconclusive),
        (20e6, 10, Verdict::Supported),
        (20e6, 5, Verdict::Inconclusive),
        (200e6, 6, Verdict::Refuted),
    ] {
        let mut plant = Plant::new(&layers, part, 1);
        plant.layer_cells("N", Truth { value, spread: 1e5 }, 1.0, "");
        plant.samples.retain(|sample| sample.block < blocks);
        let data = Dataset::new(&plant.run, &plant.samples, Vec::new()).unwrap();
        let found = claim(&data, &layers, file);
        assert_eq!(found.verdict, expected, "{value} in {blocks} blocks: {}", found.why);
    }
}

#[test]
fn a_layer_that_was_not_measured_is_named_and_not_spoken_for() {
    let (layers, files) = shelf::load().unwrap();
    let file = files.iter().find(|file| file.id.get_ref() == "vm-start-minutes").unwrap();
    let mut plant = Plant::new(&layers, &file.rules[0], 1);
    plant.layer_cells("V-min", Truth { value: 2e6, spread: 1e4 }, 1.0, "");
    let data = Dataset::new(&plant.run, &plant.samples, Vec::new()).unwrap();
    let found = claim(&data, &layers, file);
    assert_eq!(found.verdict, Verdict::Refuted);
    assert!(found.says.contains("2.000 ms in a microVM without a guest OS"), "{}", found.says);
    assert!(found.says.contains("Not measured here:"), "{}", found.says);
    assert!(found.says.contains("a VM with a distribution"), "{}", found.says);
    assert!(found.why.contains("microvm, hardware KVM, no guest OS"), "{}", found.why);
    assert!(
        found.why.contains("V-snap, V-linux, V-emu and V-dist not measured")
            && found.why.contains("isomark run --plan claims")
    );
}

#[test]
fn a_run_without_the_cells_says_which_plan_has_them() {
    let (layers, files) = shelf::load().unwrap();
    let file = files.iter().find(|file| file.id.get_ref() == "vm-memory").unwrap();
    let plant = Plant::new(&layers, &file.rules[0], 1);
    let data = Dataset::new(&plant.run, &[], Vec::new()).unwrap();
    let found = claim(&data, &layers, file);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert!(found.says.contains("isomark run --plan claims"), "{}", found.says);
    let open = files.iter().filter(|file| file.rules.iter().all(|rule| rule.not_testable.is_some()));
    for file in open {
        let found = claim(&data, &layers, file);
        assert_eq!(found.verdict, Verdict::NotTestable, "{}", found.id);
        assert!(!found.says.is_empty() && found.why.len() > 20, "{found:?}");
    }
}

const GOOD: &str = r#"
id = "x"
title = "t"
text = "t"
documents = ["D1"]
place = "p"
[says]
supported = "s {measured}"
refuted = "r"
inconclusive = "i"
[[part]]
rule = "R"
about = "time"
asks = "?"
layers = ["N"]
scenario = "startup"
value = "startup"
supported = { at-least = 2 }
refuted = { below = 2 }
"#;

#[test]
fn a_mistake_is_named_with_file_line_and_key() {
    let (layers, _) = shelf::load().unwrap();
    File::parse("x.toml", GOOD, &layers).unwrap();
    for (from, to, words) in [
        ("id = \"x\"", "id = \"y\"", ["line 2", "key id"]),
        ("about = \"time\"\n", "", ["line 12", "key about"]),
        ("[\"N\"]", "[\"M\"]", ["line 12", "\"M\" is none of P, N, O"]),
        ("value = \"startup\"\n", "", ["line 12", "value"]),
        ("value = \"startup\"", "vallue = \"startup\"", ["line 17", "vallue"]),
        ("at-least = 2", "at-least = 1", ["line 12", "overlap"]),
        ("at-least = 2", "at-least = 2, above = 1", ["supported", "exactly one"]),
        ("at-least = 2", "within = [3, 2]", ["supported", "smaller to the larger"]),
        (
            "scenario = \"startup\"",
            "scenario = \"startup\"\nestimate = \"ratio\"",
            ["line 12", "key against"],
        ),
        (
            "scenario = \"startup\"",
            "scenario = \"startup\"\nagainst = [\"P\"]",
            ["line 12", "compares nothing"],
        ),
        ("scenario = \"startup\"", "scenario = \"startup\"\nestimate = \"mean\"", ["line 17", "mean"]),
        ("scenario = \"startup\"", "scenario = \"startup\"\nleast = 5", ["line 12", "key least"]),
        ("{measured}", "{measure}", ["line 2", "{measured}"]),
        ("inconclusive = \"i\"\n", "", ["line 2", "says.inconclusive"]),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let refused = File::parse("x.toml", &text, &layers).unwrap_err().to_string();
        for word in words.iter().chain([&"x.toml"]) {
            assert!(refused.contains(word), "{to}: {refused}");
        }
    }
}

/// The rule of [`GOOD`] for all that a scenario measured, or for one of it; its threshold is 2 ms.
fn over_all(layers: &Layers, within: &str) -> File {
    let words = format!("scenario = \"startup\"\nleast = 6\nwithin = \"{within}\"");
    let text = GOOD.replacen("scenario = \"startup\"", &words, 1).replace("= 2 }", "= 2e6 }");
    File::parse("x.toml", &text, layers).expect("a good rule")
}

/// Cells of one runtime; their values fall evenly within half a millisecond of their true medians, in ms.
fn scattered<'p>(layers: &'p Layers, part: &'p Part, medians: &[f64], blocks: u32, seed: u64) -> Plant<'p> {
    let mut plant = Plant::new(layers, part, seed);
    plant.layer_cells("N", Truth { value: 1.0, spread: 0.0 }, 1.0, "");
    let (cell, sample) = (plant.run.cells.remove(0), plant.samples.remove(0));
    plant.samples.clear();
    for (at, median) in medians.iter().enumerate() {
        let params = Params::new().with("kernel", format!("k{at}").as_str());
        plant.run.cells.push(Cell { params, ..cell.clone() });
        for block in 0..blocks {
            let value = 1e6 * (median + plant.random.unit() - 0.5);
            let outcome = Outcome::Values([("startup".to_owned(), value)].into());
            plant.samples.push(Sample { cell: at, block, outcome, ..sample.clone() });
        }
    }
    plant
}

/// One runtime with thirteen points, each exactly at the threshold: who sees the error of each one on its own finds a
/// counterexample (or, for "some", an example) in every sixth run.
#[test]
fn of_many_points_at_the_threshold_chance_decides_in_one_run_of_twenty_at_most() {
    const RUNS: usize = 300;
    let (layers, _) = shelf::load().unwrap();
    for (within, by_chance) in [("every", Verdict::Refuted), ("some", Verdict::Supported)] {
        let file = over_all(&layers, within);
        let (mut wrong, mut alone) = (0, 0);
        for seed in 0..RUNS {
            let plant = scattered(&layers, &file.rules[0], &[2.0; 13], 21, seed as u64);
            let data = Dataset::new(&plant.run, &plant.samples, Vec::new()).unwrap();
            let found = claim(&data, &layers, &file);
            let points = &found.measured.parts[0].layers[0].points;
            assert!(points.len() == 13 && points.iter().all(|point| point.among == 13));
            let strays = |[low, high]: [f64; 2]| if within == "every" { high < 2e6 } else { low >= 2e6 };
            alone += usize::from(points.iter().any(|p| p.ci95.is_some_and(|ci| strays(ci.map(|x| x.0)))));
            wrong += usize::from(found.verdict == by_chance);
        }
        assert!(wrong * 20 <= RUNS, "{within}: {wrong} of {RUNS}");
        assert!(alone * 10 >= RUNS, "{within}: {alone} of {RUNS}: the test would see nothing");
    }
}

#[test]
fn one_true_counterexample_among_many_is_found_if_it_has_trials_enough() {
    let (layers, _) = shelf::load().unwrap();
    let file = over_all(&layers, "every");
    for (blocks, points, expected, why) in [
        (21, 13, Verdict::Refuted, "also when widened because any of 13 comparisons"),
        (6, 1, Verdict::Refuted, "is below"),
        // Six of six below by chance alone: one in 64, and four points have four tries.
        (6, 4, Verdict::Inconclusive, "6 of 8 trials"),
        (8, 4, Verdict::Refuted, "any of 4 comparisons"),
        (8, 13, Verdict::Inconclusive, "8 of 10 trials"),
    ] {
        let mut medians = vec![4.0; points];
        medians[points - 1] = 1.2;
        let plant = scattered(&layers, &file.rules[0], &medians, blocks, 7);
        let data = Dataset::new(&plant.run, &plant.samples, Vec::new()).unwrap();
        let found = claim(&data, &layers, &file);
        assert_eq!(found.verdict, expected, "{blocks} blocks of {points} points: {}", found.why);
        assert!(found.measured.parts[0].why.contains(why), "{}", found.measured.parts[0].why);
        assert_eq!(found.measured.parts[0].layers[0].runtimes.len(), 1);
        // What all must agree on takes no share.
        let all = scattered(&layers, &file.rules[0], &vec![4.0; points], blocks, 7);
        let data = Dataset::new(&all.run, &all.samples, Vec::new()).unwrap();
        assert_eq!(claim(&data, &layers, &file).verdict, Verdict::Supported, "{blocks} {points}");
    }
}

/// A run in which two runtimes do differently well under two policies, in the share of the host that does work.
fn utilisation<'p>(layers: &'p Layers, part: &'p Part, of: [[f64; 2]; 2], spread: f64) -> Plant<'p> {
    let mut plant = Plant::new(layers, part, 5);
    for (id, values) in ["N", "V-min"].into_iter().zip(of) {
        plant.layer_cells(id, Truth { value: values[0], spread }, 1.0, "");
        let at = plant.run.cells.len() - 1;
        let name = plant.run.cells[at].runtime.clone();
        plant.run.cells[at].params.set("policy", "shares");
        let partition = Params::new().with("policy", "partition");
        plant.cell(&name, partition, Truth { value: values[1], spread }, "");
    }
    plant
}

#[test]
fn each_side_stands_with_the_policy_that_suits_it_best() {
    let (layers, files) = shelf::load().unwrap();
    let file = files.iter().find(|file| file.id.get_ref() == "utilisation-vm-lower").unwrap();
    for (of, rule, expected) in [
        // As good as each other, one by sharing and one by dividing; under each policy alone they are far apart.
        ([[0.6, 0.3], [0.3, 0.6]], 0, Verdict::Refuted),
        ([[0.6, 0.3], [0.3, 0.6]], 1, Verdict::Refuted),
        ([[0.6, 0.3], [0.4, 0.5]], 0, Verdict::Supported),
        ([[0.6, 0.3], [0.55, 0.2]], 0, Verdict::Inconclusive),
        // Who does better does not do worse.
        ([[0.4, 0.3], [0.6, 0.2]], 0, Verdict::Refuted),
    ] {
        let plant = utilisation(&layers, &file.rules[rule], of, 0.02);
        let data = Dataset::new(&plant.run, &plant.samples, Vec::new()).unwrap();
        let found = claim(&data, &layers, file);
        let part = &found.measured.parts[rule];
        assert_eq!(part.verdict, expected, "{of:?} by {}: {}", part.rule, part.why);
        assert_eq!(part.layers.iter().flat_map(|layer| &layer.points).count(), if rule == 0 { 1 } else { 2 });
    }
}

#[test]
fn every_claim_speaks_chinese_too() {
    let (layers, files) = shelf::load().unwrap();
    let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    for layer in &layers.layer {
        assert!(layer.name_zh.as_deref().is_some_and(chinese), "{}", layer.id);
    }
    for file in &files {
        let id = file.id.get_ref();
        for text in [&file.title_zh, &file.text_zh] {
            assert!(text.as_deref().is_some_and(chinese), "{id}: {text:?}");
        }
        let (says, zh) =
            (&file.says, file.sentence_zh.as_ref().unwrap_or_else(|| panic!("{id}: sentence_zh")));
        let pairs = [
            (&says.supported, &zh.supported),
            (&says.refuted, &zh.refuted),
            (&says.inconclusive, &zh.inconclusive),
            (&says.not_testable, &zh.not_testable),
        ];
        for (english, zh) in pairs {
            assert_eq!(english.is_some(), zh.is_some(), "{id}: {zh:?}");
            let (english, zh) = (english.clone().unwrap_or_default(), zh.clone().unwrap_or_default());
            assert_eq!(english.contains("{measured}"), zh.contains("{measured}"), "{id}: {zh}");
        }
        // Where several quantities stand in one sentence, each has its name.
        let deciding = file.rules.iter().filter(|part| part.not_testable.is_none() && !part.reported);
        if deciding.clone().count() > 1 {
            let named = |part: &Part| part.about_zh.as_deref().is_some_and(chinese);
            assert!(deciding.clone().all(named), "{id}: about_zh");
        }
    }
    let file = files.iter().find(|file| file.id.get_ref() == "vm-start-minutes").unwrap();
    let mut plant = Plant::new(&layers, &file.rules[0], 1);
    plant.layer_cells("V-min", Truth { value: 2e6, spread: 1e4 }, 1.0, "");
    let data = Dataset::new(&plant.run, &plant.samples, Vec::new()).unwrap();
    let told = claim(&data, &layers, file).sentence_zh.unwrap();
    assert!(told.contains("没有客户机操作系统的微型虚拟机 2.000 ms"), "{told}");
}

#[test]
fn every_claim_of_the_documents_is_there() {
    let (_, files) = shelf::load().unwrap();
    let ids: Vec<&str> = files.iter().map(|file| file.id.get_ref().as_str()).collect();
    assert_eq!(ids.len(), 21);
    let names: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(names.len(), ids.len());
    let rules: Vec<&str> = files.iter().flat_map(|f| &f.rules).map(|r| r.rule.get_ref().as_str()).collect();
    for rule in
        ["C1a", "C1b", "C1c", "C2", "C3a", "C3b", "C3c", "C4a", "C4b", "C5", "C6a", "C6b", "C6c", "C6d"]
    {
        assert!(rules.iter().any(|name| name.starts_with(rule)), "{rule}");
    }
    for rule in ["C6e", "C7a", "C7b", "C8", "C9a", "C9b-vm"] {
        assert!(rules.contains(&rule), "{rule}");
    }
}
