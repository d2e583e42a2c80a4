//! The same run gives the same answers, to the byte.
//!
//! `tests/data/run` is a run folder like any other. `ISOMARK_REGENERATE=1` makes it anew, on purpose only; look at
//! the difference before keeping it.

mod english;
mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use isomark_core::Error;
use isomark_core::store::Folder;
use isomark_report::summary::Trust;
use isomark_report::{Options, Summary, render, text};

const INPUT: [&str; 3] = ["run.json", "samples.jsonl", "blocks.jsonl"];
const OUTPUT: [&str; 4] = ["summary.json", "summary.md", "samples.csv", "report.html"];
const BLOCKS: u32 = 24;

/// The stored run; made anew first, once, if that is asked for.
fn stored() -> &'static Path {
    static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/run");
        if std::env::var_os("ISOMARK_REGENERATE").is_some_and(|v| v == "1") {
            regenerate(&dir).expect("a new golden run");
        }
        dir
    });
    &RUN
}

fn regenerate(dir: &Path) -> Result<(), Error> {
    let fail = |e| Error::os("replace the golden run", e);
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(fail)?;
    }
    let (folder, run) = fixture::write(dir, BLOCKS)?;
    render(&folder, &run, &Options::default())?;
    folder.replace("pictures.txt", pictures(dir).as_bytes())?;
    fs::write(chinese(), fs::read(rendered_in(dir, "zh")?.path().join("report.html")).map_err(fail)?)
        .map_err(fail)?;
    fs::remove_dir_all(dir.join("charts")).map_err(fail)
}

/// The page of the stored run in Chinese.
fn chinese() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/report.zh.html")
}

/// Renders a copy of the stored run.
fn rendered(dir: &Path) -> Result<Summary, Error> {
    render_copy(stored(), dir, &Options::default())
}

fn render_copy(from: &Path, dir: &Path, options: &Options) -> Result<Summary, Error> {
    for name in INPUT {
        fs::copy(from.join(name), dir.join(name)).map_err(|e| Error::os(format!("copy {name}"), e))?;
    }
    let (folder, run) = Folder::open(dir)?;
    render(&folder, &run, options)
}

/// A copy of a run, rendered in a language.
fn rendered_in(from: &Path, language: &str) -> Result<tempfile::TempDir, Error> {
    let dir = tempfile::tempdir().map_err(|e| Error::os("make a directory", e))?;
    let options = Options { language: Some(language.to_owned()), ..Options::default() };
    render_copy(from, dir.path(), &options)?;
    Ok(dir)
}

/// Name, size and FNV-1a hash of each picture: too large to store, too important to change unseen.
fn pictures(dir: &Path) -> String {
    let mut names: Vec<_> = fs::read_dir(dir.join("charts")).into_iter().flatten().flatten().collect();
    names.sort_by_key(fs::DirEntry::file_name);
    let line = |entry: &fs::DirEntry| {
        let bytes = fs::read(entry.path()).unwrap_or_default();
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{} {} {hash:016x}\n", entry.file_name().display(), bytes.len())
    };
    names.iter().map(line).collect()
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    rendered(dir.path()).unwrap();
    for name in OUTPUT {
        let (found, wanted) =
            (fs::read(dir.path().join(name)).unwrap(), fs::read(stored().join(name)).unwrap());
        let line = found.split(|b| *b == b'\n').zip(wanted.split(|b| *b == b'\n')).position(|(a, b)| a != b);
        assert!(
            found == wanted,
            "{name} differs from line {:?} on; see ISOMARK_REGENERATE",
            line.map(|l| l + 1)
        );
    }
    let wanted = fs::read_to_string(stored().join("pictures.txt")).unwrap();
    assert_eq!(pictures(dir.path()), wanted, "the pictures differ; look at them, then ISOMARK_REGENERATE");
}

#[test]
fn another_language_changes_what_people_read_and_no_number() {
    let dir = rendered_in(stored(), "zh").unwrap();
    let read = |path: &Path| fs::read(path).unwrap();
    for name in ["summary.json", "samples.csv"] {
        assert!(
            read(&dir.path().join(name)) == read(&stored().join(name)),
            "{name} is a contract, in English"
        );
    }
    let page = read(&dir.path().join("report.html"));
    assert!(page == read(&chinese()), "the Chinese page differs; look at it, then ISOMARK_REGENERATE");
    for name in ["report.html", "summary.md"] {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        let left = english::sentences(&text, name.ends_with("html"));
        assert!(left.is_empty(), "{name} is not all Chinese:\n{}", left.join("\n"));
        assert!(text.contains("4.04×") || text.contains('×'), "{name} has ratios");
    }
    let english = fs::read_to_string(stored().join("report.html")).unwrap();
    assert!(english::sentences(&english, true).len() > 50, "the search for English finds English");
}

#[test]
fn summary_json_keeps_its_contract() {
    let text = fs::read_to_string(stored().join("summary.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["schema"], "isomark.summary/1");
    for field in ["id", "started", "plan", "seed", "payload_sha256"] {
        assert!(!json["run"][field].is_null(), "run.{field}");
    }
    for field in ["kvm_class", "cgroup", "kernel", "cpu"] {
        assert!(json["run"]["host"][field].is_string(), "run.host.{field}");
    }
    let cell = json["cells"].as_array().unwrap().iter().find(|c| c["runtime"] == "microvm").unwrap();
    assert_eq!((&cell["status"], &cell["reason"]), (&"ok".into(), &serde_json::Value::Null));
    let metric = &cell["metrics"][0];
    assert_eq!(
        (&metric["name"], &metric["unit"], &metric["better"]),
        (&"startup".into(), &"ns".into(), &"lower".into())
    );
    assert_eq!((&metric["n"], &metric["failed"]), (&23.into(), &1.into()));
    for field in ["min", "median", "p95"] {
        assert!(metric[field].is_i64(), "{field} is an integer: {}", metric[field]);
    }
    assert_eq!(metric["ci95"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&metric["versus"]["runtime"], &metric["versus"]["verdict"]),
        (&"process".into(), &"slower".into())
    );
    assert_eq!(metric["floor"]["runtime"], "floor-microvm");
    assert!(json["claims"].is_array());
    let back: Summary = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(back).unwrap(), json);
}

#[test]
fn what_was_planted_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let summary = rendered(dir.path()).unwrap();
    let cell = |runtime: &str, scenario: &str, params: &str| {
        let mut all = summary.scenario(scenario).filter(|c| c.runtime == runtime);
        all.find(|c| c.params.to_string().contains(params)).unwrap().clone()
    };
    // The fixture's true ratios: lu runs at 0.992, sort at 0.985, triad at 1.03, random at 1.09, getpid at 0.0036.
    for (kernel, ratio, verdict) in [
        ("kernel=lu", 0.992, "equivalent"),
        ("kernel=random", 1.09, "faster"),
        ("kernel=getpid", 0.0036, "slower"),
    ] {
        let versus = cell("microvm", "throughput", kernel).metrics[0].versus.clone().unwrap();
        assert!((versus.ratio.unwrap() / ratio - 1.0).abs() < 0.01, "{kernel} {versus:?}");
        assert_eq!(versus.verdict.word(), verdict, "{kernel}");
        assert!(versus.bootstrap.is_some() && versus.quiet.is_some_and(|q| q.n == 22));
    }
    let few = cell("microvm", "memory", "instances=8").metrics[0].versus.clone().unwrap();
    assert!(few.why.unwrap().contains("6 of 20") && few.ci95.is_some());
    let process = cell("process", "startup", "cache=warm");
    assert!(process.metrics.iter().all(|m| m.versus.is_none()));
    assert_eq!(process.metrics[1].folded, Some(isomark_core::Phase::Start));
    let namespace = cell("namespace", "startup", "cache=warm");
    assert!(namespace.metrics[1].versus.is_none(), "create is folded in the reference");
    // Two ways of provisioning against the one of the process.
    assert!(cell("namespace", "disk", "tmpfs").metrics[0].versus.is_some());
    let skipped = cell("microvm", "throughput", "kernel=fork");
    assert_eq!((skipped.status.word(), skipped.metrics.len()), ("skipped", 0));
    let names: Vec<_> = cell("process", "memory", "idle").metrics.iter().map(|m| m.name.clone()).collect();
    assert_eq!(names, ["pss", "uss", "rss"], "what a process does not have is absent, not failed");
}

#[test]
fn controls_answer_for_the_method_and_not_for_a_runtime() {
    let dir = tempfile::tempdir().unwrap();
    let summary = rendered(dir.path()).unwrap();
    let named: Vec<_> =
        summary.cells.iter().map(|c| (&c.runtime, &c.scenario, c.params.to_string())).collect();
    let unique: std::collections::BTreeSet<_> = named.iter().collect();
    assert_eq!(unique.len(), named.len(), "a control stands among the cells");
    let of = |runtime: &str, scenario: &str, label: &str| {
        let mut all = summary.controls.iter().filter(|c| c.runtime == runtime && c.headline);
        all.find(|c| c.scenario == scenario && c.label == label).unwrap().clone()
    };
    for runtime in ["process", "namespace", "microvm"] {
        let again = of(runtime, "startup", "again");
        assert!((0.98..1.02).contains(&again.ratio.unwrap()) && again.verdict == Trust::Quiet, "{again:?}");
        assert!((0.005..0.05).contains(&again.band.unwrap()), "{again:?}");
        assert!(again.false_alarm_rate.unwrap() <= 0.03 && again.resamples == 400, "{again:?}");
        assert!(again.blocked_p.is_some() && again.detection_rate.is_none());
        let slowed = of(runtime, "startup", "+10 %");
        assert!(
            (1.07..1.13).contains(&slowed.ratio.unwrap()) && slowed.verdict == Trust::Found,
            "{slowed:?}"
        );
        assert!(slowed.detection_rate.unwrap() >= 0.95 && slowed.band == again.band, "{slowed:?}");
        assert!(
            of(runtime, "startup", "+5 %").detection_rate.unwrap() < slowed.detection_rate.unwrap() + 1e-9
        );
    }
    // The band of the one kernel that was repeated stands for the others of its runtime.
    let cell = summary
        .scenario("throughput")
        .find(|c| c.runtime == "microvm" && c.params.text("kernel") == Some("sort"));
    let versus = cell.unwrap().metrics[0].versus.clone().unwrap();
    let (own, base) = (of("microvm", "throughput", "again"), of("process", "throughput", "again"));
    assert_eq!(versus.band, [own.band, base.band].into_iter().flatten().reduce(f64::max));
    let told = text::table(&summary);
    assert!(told.contains("A/A startup: band ± ") && told.contains("+10 % "), "{told}");
    let markdown = fs::read_to_string(dir.path().join("summary.md")).unwrap();
    assert!(markdown.contains("A/A startup: band ± "));
    let csv = fs::read_to_string(dir.path().join("samples.csv")).unwrap();
    assert!(
        csv.lines().any(|line| line.ends_with(",again")) && csv.lines().any(|line| line.ends_with(",+5 %"))
    );
}

#[test]
fn companions_stand_beside_the_headline_and_agree_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let summary = rendered(dir.path()).unwrap();
    let mut tests = 0;
    for cell in summary.cells.iter().filter(|c| !c.runtime.starts_with("floor-")) {
        let Some(versus) = cell.metrics.first().and_then(|m| m.versus.as_ref()) else { continue };
        let wilcoxon = versus.wilcoxon.unwrap();
        assert!(wilcoxon.p <= wilcoxon.p_holm && wilcoxon.p_holm <= 1.0);
        tests += 1;
        if let (Some(ratio), Some(shift), Some(cliff)) = (versus.ratio, versus.hodges_lehmann, versus.cliff) {
            assert!((shift.ratio / ratio - 1.0).abs() < 0.02, "{versus:?}");
            assert!((ratio - 1.0).abs() < 0.01 || (ratio > 1.0) == (cliff > 0.0), "{versus:?}");
        }
    }
    assert!(tests > 20, "{tests}");
}
