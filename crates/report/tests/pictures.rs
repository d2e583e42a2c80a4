//! Every kind of chart: drawn, inside its picture, legible, nothing over anything else, and the same to the byte.
//!
//! `tests/data/pictures.txt` holds name, size and hash of each PNG; `ISOMARK_REGENERATE=1` makes it anew, on purpose only:
//! look at the pictures first (`cargo test -p isomark-report --test pictures` leaves them below the target directory).

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use isomark_core::record::{Cell, Outcome, Run, Sample};
use isomark_core::{Metric, Params};
use isomark_report::charts::scene::{Anchor, Mark, Scene};
use isomark_report::charts::{self, Chart, letters};
use isomark_report::dataset::Dataset;
use isomark_report::words::Words;
use isomark_report::{Summary, summarise};

/// All kinds, by the names of their files.
const KINDS: [&str; 18] = [
    "trade-off",
    "layers",
    "startup-distribution",
    "startup-phases",
    "memory-modes",
    "memory-marginal",
    "memory-slopes",
    "memory-marginal-host",
    "memory-slopes-host",
    "disk",
    "throughput-best",
    "throughput-sustained",
    "throughput-profile",
    "isolation-matrix",
    "interference",
    "containment",
    "density-ramp",
    "reclaim",
];
const BOXES: [&str; 3] = ["process", "namespace", "microvm"];
const STORMS: [(&str, &str); 4] =
    [("spin", "same"), ("fork", "free"), ("allocate", "free"), ("sync", "free")];
/// What stops a ramp beside its cap.
const SLOW: &str = "requests take more than twice as long as with one instance";
/// The fewest pixels of a letter's em that can be read on a telephone.
const LEGIBLE: f64 = 11.0;

/// The fixture's run with the scenarios that it does not have.
fn run() -> Run {
    let mut run = fixture::run(24);
    let mut add = |runtime: &str, scenario: &str, params: Params, metrics: Vec<Metric>| {
        let (runtime, scenario) = (runtime.to_owned(), scenario.to_owned());
        run.cells.push(Cell { runtime, scenario, params, every: 3, metrics, skipped: None, arm: None });
    };
    for name in BOXES {
        let metrics = ["interface", "calls-reached"].map(Metric::count);
        let metrics = [Metric::ratio("leak")].into_iter().chain(metrics).collect();
        add(name, "isolation", Params::new(), metrics);
        for (storm, place) in STORMS {
            for limits in ["off", "on"] {
                let params = Params::new().with("storm", storm).with("place", place).with("limits", limits);
                let params = params.with("memory", 64 << 20).with("millis", 80);
                add(name, "interference", params, ["slowdown", "excess"].map(Metric::ratio).to_vec());
            }
        }
        for how in ["crash", "memory"] {
            let verdicts = ["contained", "neighbour"].map(|name| Metric::count(name).higher()).to_vec();
            add(name, "containment", Params::new().with("how", how), verdicts);
        }
        let load = Params::new().with("load", "light").with("memory", 32 << 20);
        add(name, "density", load, vec![Metric::count("instances").higher(), Metric::time("p95-one")]);
        add(name, "reclaim", Params::new(), vec![Metric::ratio("returned").higher()]);
    }
    run
}

/// The same with so many runtimes more, all with long names.
fn many(more: usize) -> Run {
    let mut run = run();
    let (record, cells) = (run.runtimes[2].clone(), run.cells.clone());
    for at in 0..more {
        let name = format!("a-runtime-called-{at:02}");
        run.runtimes.push(isomark_core::record::RuntimeRecord { name: name.clone(), ..record.clone() });
        let own = cells.iter().filter(|cell| cell.runtime == "microvm" && cell.arm.is_none());
        run.cells.extend(own.map(|cell| Cell { runtime: name.clone(), ..cell.clone() }));
    }
    run
}

fn samples(run: &Run) -> Vec<Sample> {
    let mut all = fixture::samples(run);
    for sample in &mut all {
        fill(&run.cells[sample.cell], sample);
    }
    all
}

/// What the fixture does not know: values, series and notes of the other scenarios.
fn fill(cell: &Cell, sample: &mut Sample) {
    let place = BOXES.iter().position(|name| *name == cell.runtime).unwrap_or(2) as f64;
    let wobble = 1.0 + f64::from(sample.block % 5) * 0.01;
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    let mut set = |name: &str, value: f64| _ = values.insert(name.to_owned(), value);
    match cell.scenario.as_str() {
        "memory" if cell.params.number("instances").is_some() => {
            let alive = [0.0, 1.0, 2.0, 4.0, 8.0];
            // As much as the fixture's own slopes.
            let own = [0.19, 0.22, 2.9][place as usize] * 1_048_576.0 * wobble;
            let bend =
                |n: f64| n * own + f64::sin(n * 3.0 + wobble) * 20_000.0 * f64::from(u8::from(n > 0.0));
            sample.series.insert("alive".into(), alive.to_vec());
            sample.series.insert("pss".into(), alive.map(bend).to_vec());
            sample.series.insert("available".into(), alive.map(|n| 6e9 - bend(n) * 1.4).to_vec());
            return;
        }
        "isolation" => {
            set("leak", 0.9 - 0.4 * place);
            set("calls-reached", 330.0 - 100.0 * place);
            set("interface", 330.0 - 140.0 * place);
            let asked = ["process", "abstract socket", "file", "host name"];
            let facts = ["boot identity", "kernel command line", "CPU time of the whole host", "CPU model"];
            let seen =
                |names: [&str; 4]| names[..4 - place as usize * 2 + usize::from(place > 1.0)].join(", ");
            let notes = [
                ("canaries-planted", asked.join(", ")),
                ("canaries-visible", seen(asked)),
                ("facts-asked", facts.join(", ")),
                ("facts-visible", seen(facts)),
                ("not planted", "message queue".to_owned()),
                ("not told by the host", "temperature, energy".to_owned()),
            ];
            sample.notes.extend(notes.map(|(name, words)| (name.to_owned(), words)));
        }
        "interference" => {
            let limited = if cell.params.text("limits") == Some("on") { 0.4 } else { 1.0 };
            let storm = cell.params.text("storm").map_or(1.0, |storm| storm.len() as f64);
            let slowdown = (1.0 + (storm - 3.0) * 0.8 * limited / (1.0 + place)) * wobble;
            set("slowdown", slowdown);
            set("excess", slowdown / 1.1);
        }
        "density" => {
            set("instances", 32.0);
            set("p95-one", 260e3);
            let alive = [1.0, 2.0, 4.0, 8.0, 12.0, 18.0, 27.0, 32.0];
            let p95 = alive.map(|n: f64| 260e3 * wobble * (1.0 + place * 0.3) * (1.0 + n / 40.0));
            sample.series.insert("alive".into(), alive.to_vec());
            sample.series.insert("p95".into(), p95.to_vec());
            let rule = if place > 1.0 && sample.block.is_multiple_of(2) { SLOW } else { "cap" };
            sample.notes.insert("stopped by".into(), rule.into());
        }
        "containment" => {
            let fine =
                cell.params.text("how") == Some("crash") || (place > 0.0 && sample.block.is_multiple_of(2));
            set("contained", f64::from(u8::from(fine)));
            set("neighbour", 1.0);
        }
        "reclaim" => set("returned", 1.0 - place * 0.3 * wobble),
        _ => return,
    }
    sample.outcome = Outcome::Values(values);
}

fn drawn(run: &Run) -> (Summary, Vec<Chart>) {
    let samples = samples(run);
    let data = Dataset::new(run, &samples, fixture::noise(run)).expect("samples of this run");
    let summary = summarise::summarise(&data);
    let charts = charts::charts(&data, &summary);
    (summary, charts)
}

#[test]
fn every_kind_of_chart_is_drawn_and_keeps_its_bytes() {
    let (summary, charts) = drawn(&run());
    let mut names: Vec<&str> = charts.iter().map(|chart| chart.name.as_str()).collect();
    for kind in KINDS {
        assert!(names.contains(&kind), "{kind} is not among {names:?}");
    }
    names.sort_unstable();
    let mut lines = Vec::new();
    for chart in &charts {
        let png = chart.png(&summary).unwrap();
        assert_eq!(png, chart.png(&summary).unwrap(), "{} is not the same twice", chart.name);
        look(chart, &summary, &format!("{}.png", chart.name));
        let hash = png.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        lines.push(format!("{} {} {hash:016x}\n", chart.name, png.len()));
    }
    lines.sort_unstable();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures.txt");
    if std::env::var_os("ISOMARK_REGENERATE").is_some_and(|v| v == "1") {
        fs::write(&stored, lines.concat()).unwrap();
    }
    let wanted = fs::read_to_string(&stored).unwrap();
    assert_eq!(
        lines.concat(),
        wanted,
        "look at the pictures below the target directory, then ISOMARK_REGENERATE"
    );
}

/// Where a chart is left to be looked at.
fn look(chart: &Chart, summary: &Summary, name: &str) {
    let look = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    fs::create_dir_all(&look).expect("a folder for pictures");
    let png = chart.png(summary).expect("a picture");
    fs::write(look.join(name), png).expect("room for a picture");
}

#[test]
fn a_band_wider_than_the_region_is_drawn_beside_it() {
    let run = run();
    let mut samples = samples(&run);
    let again = |sample: &Sample| {
        let cell = &run.cells[sample.cell];
        cell.scenario == "throughput" && cell.arm.is_some()
    };
    let told = |samples: &[Sample]| {
        let data = Dataset::new(&run, samples, fixture::noise(&run)).unwrap();
        let summary = summarise::summarise(&data);
        let charts = charts::charts(&data, &summary);
        let best = charts.iter().find(|chart| chart.name == "throughput-best").unwrap();
        look(best, &summary, "throughput-best-noisy.png");
        let tips = best.wide.items.iter().filter_map(|item| item.tip.as_deref());
        tips.filter(|tip| tip.contains("A/A band")).count()
    };
    assert_eq!(told(&samples), 0, "a quiet host widens nothing");
    for sample in samples.iter_mut().filter(|sample| again(sample)) {
        let noise = [0.9, 1.1][sample.block as usize % 2];
        if let Outcome::Values(values) = &mut sample.outcome {
            values.values_mut().for_each(|value| *value *= noise);
        }
    }
    assert!(told(&samples) > 4, "the band of a noisy host is not drawn");
}

/// All words of a scene.
fn words(scene: &Scene) -> Vec<&str> {
    let mut all = Vec::new();
    for item in &scene.items {
        if let Mark::Text { words, .. } = &item.mark {
            all.push(words.as_str());
        }
    }
    all
}

#[test]
fn an_axis_names_what_its_panel_counts() {
    let (_, charts) = drawn(&run());
    let disk = charts.iter().find(|chart| chart.name == "disk").unwrap();
    let words = words(&disk.wide);
    let axis_below = |head: &str| {
        let at = words.iter().position(|word| word.starts_with(head)).unwrap_or_else(|| panic!("{words:?}"));
        // A panel is placed as a whole: its grid with the axis first, then its words.
        words[..at].iter().rev().find(|word| ["allocated", "sum of file lengths"].contains(word)).copied()
    };
    assert_eq!(axis_below("logical:"), Some("sum of file lengths"));
    assert_eq!(axis_below("marginal:"), Some("allocated"));
}

#[test]
fn what_is_read_from_the_whole_host_stands_beside() {
    let (_, charts) = drawn(&run());
    let find = |name: &str| charts.iter().find(|chart| chart.name == name).unwrap();
    let says = |name: &str, what: &str| words(&find(name).wide).contains(&what);
    assert!(says("memory-marginal", "by PSS") && !says("memory-marginal", "by MemAvailable"));
    assert!(says("memory-marginal-host", "by MemAvailable") && !says("memory-marginal-host", "by PSS"));
    let beside: Vec<&str> = charts.iter().filter(|chart| chart.beside).map(|chart| &*chart.name).collect();
    assert_eq!(beside, ["memory-marginal-host", "memory-slopes-host"]);
}

#[test]
fn what_rows_have_in_common_stands_above_them_and_no_label_is_cut() {
    let mut run = run();
    let kernels: Vec<Cell> =
        run.cells.iter().filter(|cell| cell.params.text("kernel") == Some("dgemm")).cloned().collect();
    assert!(!kernels.is_empty());
    for cell in kernels {
        let params = cell.params.clone().with("millis", 60).with("pages", "huge").with("isa", "avx512");
        run.cells.push(Cell { params, ..cell });
    }
    let (_, charts) = drawn(&run);
    let own = charts.iter().filter(|chart| chart.name.starts_with("throughput-"));
    for (name, scene) in own.flat_map(|chart| [(&chart.name, &chart.wide), (&chart.name, &chart.narrow)]) {
        legible(name, scene);
        let words = words(scene);
        assert!(words.iter().any(|word| word.contains("60 ms") && word.contains("huge pages")), "{words:?}");
        let cut: Vec<_> = words.iter().filter(|word| word.contains('…')).collect();
        assert!(cut.is_empty(), "{name}: {cut:?}");
    }
}

#[test]
fn values_that_gather_in_two_places_are_seen_there() {
    let run = run();
    let mut samples = samples(&run);
    for sample in &mut samples {
        let Outcome::Values(values) = &mut sample.outcome else { continue };
        for (_, value) in values.iter_mut().filter(|(name, _)| *name == "returned") {
            *value = [0.2, 0.8][sample.block as usize % 2] + f64::from(sample.block) * 1e-3;
        }
    }
    let data = Dataset::new(&run, &samples, fixture::noise(&run)).unwrap();
    let summary = summarise::summarise(&data);
    let charts = charts::charts(&data, &summary);
    let chart = charts.iter().find(|chart| chart.name == "reclaim").unwrap();
    look(chart, &summary, "reclaim-two-modes.png");
    let dots = chart.wide.items.iter().filter_map(|item| match &item.mark {
        Mark::Dots { at, .. } => Some(at.len()),
        _ => None,
    });
    assert_eq!(dots.sum::<usize>(), summary.scenario("reclaim").map(|cell| cell.trials).sum::<usize>());
    legible(&chart.name, &chart.wide);
}

#[test]
fn what_lies_below_zero_is_drawn_there() {
    let run = run();
    let mut samples = samples(&run);
    for sample in &mut samples {
        let cell = &run.cells[sample.cell];
        let shrinks = cell.runtime == "namespace" && cell.params.number("instances").is_some();
        let Outcome::Values(values) = &mut sample.outcome else { continue };
        for value in values.values_mut().filter(|_| shrinks) {
            *value = (f64::from(sample.block) - 14.0) * 40_960.0;
        }
    }
    let data = Dataset::new(&run, &samples, fixture::noise(&run)).unwrap();
    let summary = summarise::summarise(&data);
    let charts = charts::charts(&data, &summary);
    let chart = charts.iter().find(|chart| chart.name == "memory-marginal").unwrap();
    look(chart, &summary, "memory-marginal-below.png");
    legible(&chart.name, &chart.wide);
    let bars: Vec<([f64; 4], &str)> = chart
        .wide
        .items
        .iter()
        .filter_map(|item| match &item.mark {
            Mark::Rect { area, .. } if item.tip.is_some() => Some((*area, item.runtime.as_deref()?)),
            _ => None,
        })
        .collect();
    let starts = |name: &str| bars.iter().find(|(_, runtime)| *runtime == name).unwrap().0[0];
    let own = bars.iter().find(|(_, runtime)| *runtime == "namespace").unwrap().0;
    assert!(own[2] >= 1.0 && own[0] + own[2] <= starts("process") + 0.01, "{bars:?}");
}

#[test]
fn what_runtimes_tell_lies_below_their_phases() {
    let (_, charts) = drawn(&run());
    let chart = charts.iter().find(|chart| chart.name == "startup-phases").unwrap();
    let told = |scene: &Scene| {
        let tips = scene.items.iter().filter_map(|item| item.tip.clone());
        tips.filter(|tip| tip.starts_with("told: ")).collect::<Vec<_>>()
    };
    for scene in [&chart.wide, &chart.narrow] {
        let tips = told(scene).join("; ");
        for step in ["cgroup made", "root pivoted", "first exit", "kernel entered", "spawned"] {
            assert!(tips.contains(step), "{step} is not among {tips}");
        }
    }
    assert!(chart.caption.contains("not by the stopwatch"), "{}", chart.caption);
    assert!(told(&charts[0].wide).is_empty());
}

#[test]
fn charts_say_what_they_show() {
    let (_, charts) = drawn(&run());
    for chart in charts.iter().filter(|chart| KINDS.contains(&chart.name.as_str())) {
        assert!(chart.says != chart.caption, "{} says only how to read it", chart.name);
        assert!(chart.says.contains("microvm") && chart.says.len() > 20, "{}: {}", chart.name, chart.says);
        assert!(!chart.caption.is_empty() && !chart.title.is_empty());
        let owned = chart.wide.items.iter().filter(|item| item.runtime.as_deref() == Some("microvm"));
        assert!(owned.count() > 0, "no mark of {} is of microvm", chart.name);
    }
}

/// Where a text stands: left, top, right, bottom.
fn area(item: &Mark) -> Option<(&str, [f64; 4])> {
    let Mark::Text { at, words, size, weight, anchor, turn } = item else { return None };
    let width = letters::width(words, *size, *weight);
    let back = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => width / 2.0,
        Anchor::End => width,
    };
    let left = at.0 - back;
    (*turn == 0.0 && width > 0.0).then_some((words, [left, at.1 - size * 0.7, left + width, at.1]))
}

/// Whether words are the key of a text, which nobody asked for then.
fn is_key(words: &str) -> bool {
    static KEYS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let english = Words::load("en", None).expect("the texts that come with isomark");
        english.keys().map(|(key, _)| key.to_owned()).collect()
    });
    KEYS.contains(words)
}

fn legible(name: &str, scene: &Scene) {
    let texts: Vec<(&str, [f64; 4])> = scene.items.iter().filter_map(|item| area(&item.mark)).collect();
    for item in &scene.items {
        if let Mark::Text { size, words, .. } = &item.mark {
            assert!(*size >= LEGIBLE, "{name}: {words:?} is {size} pixels high");
            assert!(!is_key(words), "{name} shows the key {words:?} instead of its text");
        }
    }
    for (words, [left, top, right, bottom]) in &texts {
        let inside =
            *left >= -1.0 && *right <= scene.width + 1.0 && *top >= -1.0 && *bottom <= scene.height + 1.0;
        assert!(inside, "{name}: {words:?} runs out of the picture: {left} to {right} of {}", scene.width);
    }
    for (at, (one, a)) in texts.iter().enumerate() {
        for (other, b) in &texts[at + 1..] {
            let apart = a[2] <= b[0] + 0.5 || b[2] <= a[0] + 0.5 || a[3] <= b[1] + 0.5 || b[3] <= a[1] + 0.5;
            assert!(apart, "{name} ({} wide): {one:?} {a:?} lies over {other:?} {b:?}", scene.width);
        }
    }
}

#[test]
fn words_are_legible_and_lie_over_nothing_with_three_runtimes_and_with_seventeen() {
    for more in [0, 14] {
        let (_, charts) = drawn(&many(more));
        for chart in &charts {
            legible(&chart.name, &chart.wide);
            legible(&chart.name, &chart.narrow);
        }
    }
}
