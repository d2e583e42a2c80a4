//! The page and its companions, whatever a run holds: hostile words, few samples, very many, unknown scenarios.

mod fixture;

use std::fs;
use std::io::Write;

use isomark_core::record::{Cell, Failure, Outcome, Run, Sample};
use isomark_core::{Metric, Params};
use isomark_report::dataset::Dataset;
use isomark_report::{
    Options, Summary, charts, claims, html, markdown, policy, render, samples_csv, summarise, text, view,
};

const HOSTILE: &str = "</title><script>alert(1)</script>\u{1b}[31m|`*\u{202e}\"'<b>";

fn summarised(run: &Run, samples: &[Sample]) -> Summary {
    judged(&Dataset::new(run, samples, fixture::noise(run)).expect("samples of this run"))
}

fn judged(data: &Dataset<'_>) -> Summary {
    let mut summary = summarise::summarise(data);
    summary.claims = claims::claims(data).expect("claims that can be judged");
    summary
}

fn page(run: &Run, samples: &[Sample]) -> String {
    let data = Dataset::new(run, samples, fixture::noise(run)).expect("samples of this run");
    let summary = judged(&data);
    let drawn = charts::charts(&data, &summary);
    html::html(&view::view(run, &summary, &drawn), None).expect("the built-in templates")
}

#[test]
fn the_page_is_self_contained_and_accessible() {
    let run = fixture::run(24);
    let page = page(&run, &fixture::samples(&run));
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    let between =
        |from: &str, to: &str| page.split(from).nth(1).and_then(|rest| rest.split(to).next()).unwrap();
    // A browser takes only this very style and this very script; a test that drives one sees it do so.
    let allowed = policy::policy(between("<style>", "</style>"), between("<script>", "</script>"));
    assert!(
        page.contains(&format!("http-equiv=\"Content-Security-Policy\" content=\"{}", html_quoted(&allowed)))
    );
    assert!(!page.contains("unsafe-inline") && !page.contains(" style=\"") && !page.contains(" onclick"));
    for outside in ["http:", "https:", "url(", "@import", " src=", "<link", "<img"] {
        assert!(!page.replace("<link rel=\"icon\" href=\"data:,\">", "").contains(outside), "{outside}");
    }
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
    assert_eq!(page.matches("<h1").count(), 1);
    assert_eq!(page.matches("<svg ").count(), page.matches("role=\"img\" aria-label=\"").count());
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&link), "#{link} leads nowhere");
    }
}

/// As the template engine writes a value into an attribute.
fn html_quoted(text: &str) -> String {
    text.replace('\'', "&#x27;").replace('/', "&#x2f;")
}

#[test]
fn words_from_outside_stay_words() {
    let mut run = fixture::run(8);
    run.id = HOSTILE.into();
    run.plan = HOSTILE.into();
    run.argv.push(HOSTILE.into());
    run.host.name = HOSTILE.into();
    run.host.kvm_evidence = HOSTILE.into();
    run.host.facts.insert(HOSTILE.into(), HOSTILE.into());
    run.runtimes[1].name = HOSTILE.into();
    for cell in run.cells.iter_mut().filter(|cell| cell.runtime == "namespace") {
        cell.runtime = HOSTILE.into();
        cell.params.set(HOSTILE, HOSTILE);
    }
    let mut samples = fixture::samples(&run);
    for sample in samples.iter_mut().filter(|s| s.block == 1) {
        sample.steps = vec![(HOSTILE.into(), 5)];
        let (kind, message) = (HOSTILE.to_owned(), HOSTILE.to_owned());
        sample.outcome = Outcome::Failed(Failure { phase: None, kind, message });
    }
    let page = page(&run, &samples);
    assert_eq!(page.matches("<script>").count(), 1, "only our own");
    assert!(!page.contains("<b>") && !page.contains("alert(1)</script>"));
    let summary = summarised(&run, &samples);
    let texts = [
        page,
        markdown::markdown(&summary),
        text::table(&summary),
        String::from_utf8(samples_csv::samples_csv(&run, &samples).unwrap()).unwrap(),
    ];
    for text in &texts[1..3] {
        assert!(!text.contains("<script>") || text.lines().all(|line| line.chars().count() <= 80));
    }
    assert!(!texts[1].contains("<script"), "Markdown may hold HTML");
    for text in texts {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        let before = bad.and_then(|bad| text.find(bad)).map(|at| text[..at].chars().rev().take(80).collect());
        let before: String = before.unwrap_or_default();
        assert_eq!(bad, None, "after {:?}", before.chars().rev().collect::<String>());
    }
}

#[test]
fn the_terminal_table_fits_eighty_columns() {
    let mut run = fixture::run(24);
    run.runtimes[2].name = "a-runtime-with-quite-a-long-name-indeed".into();
    for cell in run.cells.iter_mut().filter(|cell| cell.runtime == "microvm") {
        cell.runtime = run.runtimes[2].name.clone();
    }
    let table = text::table(&summarised(&run, &fixture::samples(&run)));
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
    for word in ["process", "namespace", "docker", "skipped: docker is not installed", "1 (reference)", "~"] {
        assert!(table.contains(word), "{word}\n{table}");
    }
}

#[test]
fn a_torn_last_line_and_a_run_cut_short_are_a_shorter_run() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, run) = fixture::write(dir.path(), 24).unwrap();
    let path = dir.path().join("samples.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    let kept: String = lines.lines().take(250).map(|line| format!("{line}\n")).collect();
    fs::write(&path, kept).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"{"cell":3,"block":4,"at_n"#).unwrap();
    let summary = render(&folder, &run, &Options::default()).unwrap();
    assert!(summary.run.blocks_done < 6 && summary.run.blocks == 24);
    let none = summary.cells[0].metrics[0].ci95;
    assert!(summary.cells[0].metrics[0].n <= 5 && none.is_none(), "{none:?}");
    let versus = summary.cells[1].metrics[0].versus.clone().unwrap();
    assert!(versus.ci95.is_none() && versus.why.unwrap().contains("no verdict below 6"));
    assert!(summary.warnings.iter().any(|w| w.remedy.contains("--resume")));
}

#[test]
fn a_run_without_a_sample_says_so_everywhere() {
    let run = fixture::run(24);
    let summary = summarised(&run, &[]);
    let not_skipped = |c: &&isomark_report::summary::CellSummary| c.status.word() != "skipped";
    assert!(
        summary.cells.iter().filter(not_skipped).all(|c| c.status.word() == "failed" && c.reason.is_some())
    );
    assert!(page(&run, &[]).contains("Nothing was measured"));
    assert!(text::table(&summary).contains('~'));
}

#[test]
fn a_scenario_that_nobody_knows_gets_a_table_and_a_chart() {
    let mut run = fixture::run(24);
    run.questions.insert("unheard of".into(), format!("How many {HOSTILE}?"));
    let metrics = vec![Metric::rate("requests", "request"), Metric::size("queue")];
    run.cells = ["process", "microvm"]
        .map(|name| Cell {
            runtime: name.into(),
            scenario: "unheard of".into(),
            params: Params::new().with("clients", 4),
            every: 1,
            metrics: metrics.clone(),
            skipped: None,
            arm: None,
        })
        .to_vec();
    let value = |block: u32, cell: usize| f64::from(1000 + block % 7) * if cell == 0 { 1.0 } else { 0.5 };
    let samples: Vec<Sample> = (0..24)
        .flat_map(|block| [0, 1].map(|cell| (block, cell)))
        .map(|(block, cell)| Sample {
            cell,
            block,
            warmup: false,
            at_ns: 0,
            phases: Vec::new(),
            series: std::collections::BTreeMap::new(),
            steps: Vec::new(),
            notes: std::collections::BTreeMap::new(),
            outcome: Outcome::Values(
                [("requests".to_owned(), value(block, cell)), ("queue".to_owned(), 0.0)].into(),
            ),
        })
        .collect();
    let summary = summarised(&run, &samples);
    let metrics = &summary.cells[1].metrics;
    assert_eq!(metrics[0].versus.as_ref().unwrap().verdict.word(), "slower");
    // Nothing against nothing: no ratio, and still no doubt.
    let queue = metrics[1].versus.as_ref().unwrap();
    assert_eq!((queue.ratio, queue.verdict.word()), (None, "equivalent"));
    let page = page(&run, &samples);
    assert!(page.contains("unheard-of.png") && page.contains("unheard of: requests"));
    // Its question is the run's own, for no language has it; of words from outside it stays words.
    assert!(page.contains("How many &lt;&#x2f;title&gt;") && !page.contains("alert(1)</script>"));
    run.questions.clear();
    assert!(!self::page(&run, &samples).contains("How many"));
}

#[test]
fn templates_can_be_replaced_and_mistakes_in_them_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, run) = fixture::write(&dir.path().join("run"), 6).unwrap();
    let options = Options { templates: Some(dir.path().to_owned()), ..Options::default() };
    fs::write(dir.path().join("method.html"), "<p>our own method for {{ id }}</p>").unwrap();
    render(&folder, &run, &options).unwrap();
    let page = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(page.contains("our own method for 2026"));
    fs::write(dir.path().join("method.html"), "fine\n{{ no_such_name }}").unwrap();
    let error = render(&folder, &run, &options).unwrap_err().chain();
    assert!(error.contains("method.html line 2"), "{error}");
    fs::write(dir.path().join("method.html"), "{% if %}").unwrap();
    let error = render(&folder, &run, &options).unwrap_err();
    assert!(error.kind() == "input" && error.chain().contains("method.html line 1"), "{}", error.chain());
}

#[test]
fn pictures_that_are_no_longer_drawn_are_taken_away_and_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, run) = fixture::write(dir.path(), 6).unwrap();
    let charts = dir.path().join("charts");
    let listed = || {
        let mut names: Vec<String> =
            fs::read_dir(&charts).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    render(&folder, &run, &Options::default()).unwrap();
    let drawn = listed();
    assert!(drawn.len() > 2, "{drawn:?}");
    for stale in ["startup-no-longer.png", "disk-7.png", "memory-.png"] {
        fs::write(charts.join(stale), "old").unwrap();
    }
    let theirs = ["a-slide.png", "startups.png", "startup-notes.txt", "startup.png.bak"];
    for name in theirs {
        fs::write(charts.join(name), "theirs").unwrap();
    }
    fs::create_dir(charts.join("startup-folder.png")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("run.json"), charts.join("startup-link.png")).unwrap();
    render(&folder, &run, &Options::default()).unwrap();
    let mut expected = drawn;
    let kept = theirs.into_iter().chain(["startup-folder.png", "startup-link.png"]);
    expected.extend(kept.map(str::to_owned));
    expected.sort();
    assert_eq!(listed(), expected);
}

#[test]
fn a_sample_of_another_run_is_refused_with_its_line() {
    let mut run = fixture::run(6);
    let samples = fixture::samples(&run);
    run.cells.truncate(10);
    let error = Dataset::new(&run, &samples, Vec::new()).unwrap_err().chain();
    assert!(error.contains("samples.jsonl line 11") && error.contains("10 cells"), "{error}");
}

#[test]
fn two_hundred_thousand_samples_are_no_trouble() {
    let mut run = fixture::run(6000);
    run.cells.truncate(41);
    let samples = fixture::samples(&run);
    assert!(samples.len() > 200_000, "{}", samples.len());
    let page = page(&run, &samples);
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    assert!(samples_csv::samples_csv(&run, &samples).unwrap().len() > 20 << 20);
}

#[test]
fn a_run_that_ended_because_it_was_precise_is_complete() {
    let mut run = fixture::run(24);
    run.cells.retain(|cell| cell.params.text("cache") == Some("warm"));
    let samples = fixture::samples(&run);
    run.blocks = 100;
    let told =
        |run: &Run| summarised(run, &samples).warnings.iter().any(|w| w.cause.contains("not complete"));
    assert!(told(&run));
    run.precision = Some("50%".into());
    assert!(!told(&run));
    run.precision = Some("0.1%".into());
    assert!(told(&run));
}
