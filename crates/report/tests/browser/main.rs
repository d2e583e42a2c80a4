//! Does the page do in a browser what its templates promise? Driven in headless Chromium.
//!
//! A host without Chromium, or without axe-core for its rules on accessibility, prints `SKIPPED`;
//! `ISOMARK_REQUIRE=chromium,axe` turns that into a failure. `scripts/setup-host` installs both.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod devtools;
#[path = "../fixture/mod.rs"]
mod fixture;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use devtools::Page;
use isomark_report::claims::verdict::Verdict;
use isomark_report::dataset::Dataset;
use isomark_report::summary::Claim;
use isomark_report::{charts, claims, html, scoreboard, summarise, view};
use serde_json::json;

const CHECKS: &str = include_str!("checks.js");

fn skipped(what: &str, why: &str) {
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == what), "{what} is required: {why}");
    eprintln!("SKIPPED {what}: {why}");
}

/// A browser's tab, or a word about why there is none.
fn browser() -> Option<Page> {
    let program = devtools::chromium();
    if program.is_none() {
        skipped("chromium", "not found along PATH; scripts/setup-host installs it");
    }
    program.map(Page::new)
}

/// axe-core, if the host has it.
fn axe() -> Option<String> {
    let uid = fs::metadata("/proc/self").map(|meta| meta.uid()).unwrap_or_default();
    let state = std::env::var_os("ISOMARK_STATE")
        .map_or_else(|| format!("/var/tmp/isomark-{uid}").into(), PathBuf::from);
    let path = state.join("axe/axe.min.js");
    let found = fs::read_to_string(&path).ok();
    if found.is_none() {
        skipped("axe", &format!("there is no {}; scripts/setup-host puts it there", path.display()));
    }
    found
}

/// The committed report.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/run/report.html")
}

/// The claims of a run with every verdict that there is, each among those of which it says something, and the first one
/// with texts as long as they come.
fn judged(data: &Dataset<'_>) -> Vec<Claim> {
    let mut all = claims::claims(data).unwrap();
    let verdicts = [Verdict::Supported, Verdict::Refuted, Verdict::Inconclusive, Verdict::NotTestable];
    let measured = all.iter_mut().filter(|claim| scoreboard::was_measured(claim));
    let mut found = 0;
    for (claim, verdict) in measured.zip(verdicts.into_iter().cycle()) {
        claim.verdict = verdict;
        for layer in claim.measured.parts.iter_mut().flat_map(|part| &mut part.layers) {
            layer.verdict = verdict;
        }
        if found == 0 {
            claim.title = "A title of a claim that goes on and on, as nobody would ever write one ".repeat(3);
            claim.says =
                "A sentence for newcomers with values of many layers and what they mean. ".repeat(12);
            claim.text = "AnUnbreakableWordOfGreatLength".repeat(8);
        }
        found += 1;
    }
    assert!(found >= 8, "{found} claims are measured in the fixture");
    all
}

/// The report of a run of everything in seventeen runtimes.
fn full() -> &'static str {
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        let run = fixture::full::run();
        let samples = fixture::full::samples(&run);
        let data = Dataset::new(&run, &samples, fixture::noise(&run)).unwrap();
        let mut summary = summarise::summarise(&data);
        summary.claims = judged(&data);
        let drawn = charts::charts(&data, &summary);
        html::html(&view::view(&run, &summary, &drawn), None).unwrap()
    });
    &PAGE
}

/// What is wrong with the page that is open, by one of [`CHECKS`].
#[track_caller]
fn check(page: &mut Page, name: &str, when: &str) {
    let wrong = page.eval(&format!("checks.{name}()"));
    assert_eq!(wrong, json!([]), "{name} {when}");
}

#[track_caller]
fn untroubled(page: &mut Page, when: &str) {
    assert_eq!(page.trouble(), Vec::<String>::new(), "{when}");
}

#[test]
fn the_page_is_sound_at_every_width_in_light_and_dark() {
    let Some(mut page) = browser() else { return };
    let axe = axe();
    for (width, dark) in [(1400, false), (1400, true), (390, false), (390, true)] {
        let when = format!("at {width} px, dark {dark}");
        page.view(width, dark);
        page.open(&golden(), "");
        page.eval(CHECKS);
        untroubled(&mut page, &when);
        check(&mut page, "overflow", &when);
        // A table that is wider than its box shows that it goes on.
        page.holds("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done([...document.querySelectorAll('.scroll')].filter((e) => e.checkVisibility()).every((e) => e.classList.contains('more') === (e.scrollWidth > e.clientWidth + 4))))))");
        // Nothing is hidden from the checks.
        page.eval("document.querySelectorAll('details:not(.menu)').forEach((one) => { one.open = true; })");
        check(&mut page, "overflow", &format!("{when}, opened"));
        check(&mut page, "charts", &when);
        check(&mut page, "focus", &when);
        if let Some(axe) = &axe {
            page.eval(axe);
            check(&mut page, "axe", &when);
        }
        untroubled(&mut page, &when);
    }
}

#[test]
fn a_full_run_of_seventeen_runtimes_is_a_page_that_can_be_read() {
    let text = full();
    assert!(text.len() < 2 << 20, "{} bytes", text.len());
    println!("a full run: {} bytes", text.len());
    let Some(mut page) = browser() else { return };
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = dir.path().join("report.html");
    fs::write(&file, text).unwrap();
    let axe = axe();
    for (width, dark) in [(1400, false), (1400, true), (390, false), (390, true)] {
        let when = format!("at {width} px, dark {dark}");
        page.view(width, dark);
        page.open(&file, "");
        page.eval(CHECKS);
        untroubled(&mut page, &when);
        check(&mut page, "overflow", &when);
        // Why a claim has its verdict is read without a pointer and without opening anything.
        page.holds("[...document.querySelectorAll('.claims > article')].filter((e) => e.checkVisibility()).every((e) => e.querySelector('.why')?.checkVisibility())");
        page.holds("['supported', 'refuted', 'inconclusive', 'not-testable'].every((one) => document.querySelector(`article .v-${one}`))");
        page.eval("document.querySelectorAll('details:not(.menu)').forEach((one) => { one.open = true; })");
        check(&mut page, "overflow", &format!("{when}, opened"));
        check(&mut page, "charts", &when);
        if let Some(axe) = &axe {
            page.eval(axe);
            check(&mut page, "axe", &when);
        }
        untroubled(&mut page, &when);
    }
}

// Chromium keeps a box for a group of a drawing that is not displayed (masks may need it) and calls it visible.
const VISIBLE: &str = "(selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility() \
                       && getComputedStyle(e).display !== 'none').length";

#[test]
fn runtimes_can_be_hidden_and_the_address_remembers_it() {
    let Some(mut page) = browser() else { return };
    page.view(1400, false);
    page.open(&golden(), "");
    page.eval(&format!("window.visible = {VISIBLE}"));
    let all = page.eval("visible('tr[data-runtime=microvm]')").as_u64().unwrap();
    assert!(all > 10, "{all} rows");
    // By keyboard alone: open the menu, go to the box, press it.
    page.eval("document.querySelector('#toggles summary').focus()");
    page.key("Enter");
    page.holds("document.getElementById('toggles').open");
    page.eval("document.querySelector('#toggles input[value=microvm]').focus()");
    page.key("Space");
    page.holds("!document.querySelector('#toggles input[value=microvm]').checked");
    page.key("Escape");
    page.holds("!document.getElementById('toggles').open && document.activeElement.localName === 'summary'");
    let gone = "visible('[data-runtime=microvm]') === 0 && visible('tr[data-runtime=namespace]') > 10";
    page.holds(gone);
    page.holds("location.hash === '#&hide=microvm'");
    // A link within the page keeps the choice, and so does whoever is sent the address.
    page.click("nav.contents a[href='#method']");
    page.holds("new Promise((done) => setTimeout(() => done(location.hash === '#method&hide=microvm'), 50))");
    page.open(&golden(), "#s-memory&hide=microvm,process");
    page.eval(&format!("window.visible = {VISIBLE}"));
    page.holds(gone);
    page.holds("visible('tr[data-runtime=process]') === 0");
    page.holds("Math.abs(document.getElementById('s-memory').getBoundingClientRect().top) < 120");
    page.click("#toggles summary");
    page.click("#toggles [data-all=show]");
    page.holds("location.hash === '#s-memory' && visible('tr[data-runtime=microvm]') > 10");
    untroubled(&mut page, "after toggles");
}

#[test]
fn light_and_dark_are_chosen_by_a_button_and_kept_in_the_address() {
    let Some(mut page) = browser() else { return };
    page.view(1400, false);
    page.open(&golden(), "");
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = page.eval(ground);
    page.click("#theme");
    let dark = page.eval(ground);
    assert_ne!(light, dark);
    page.holds(
        "location.hash === '#&theme=dark' && document.getElementById('theme').textContent === 'Light'",
    );
    page.open(&golden(), "#&theme=dark");
    assert_eq!(page.eval(ground), dark);
    // A reader who likes it dark can have it light, and paper always is.
    page.view(1400, true);
    page.open(&golden(), "");
    assert_eq!(page.eval(ground), dark);
    page.click("#theme");
    assert_eq!(page.eval(ground), light);
    page.open(&golden(), "#&theme=dark");
    page.media("print", true);
    page.holds("getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'");
    page.holds("localStorage.length === 0 && document.cookie === ''");
}

#[test]
fn tables_are_sorted_and_filtered() {
    let Some(mut page) = browser() else { return };
    page.view(1400, false);
    page.open(&golden(), "");
    let column = r"(() => { const t = document.querySelector('#t-startup-median table');
        const at = [...t.tHead.rows[0].cells].findIndex((c) => c.textContent.startsWith('median'));
        return [...t.tBodies[0].rows].map((r) => Number(r.cells[at].dataset.sort)); })()";
    let press = r"(() => { const h = [...document.querySelectorAll('#t-startup-median th[scope=col]')].find((c) => c.textContent.startsWith('median'));
        h.querySelector('button').focus(); return h; })()";
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let first = numbers(&page.eval(column));
    assert!(first.len() > 5 && !first.is_sorted(), "{first:?}");
    page.eval(press);
    page.key("Enter");
    assert!(numbers(&page.eval(column)).is_sorted());
    page.holds("document.querySelectorAll('#t-startup-median th[aria-sort=ascending]').length === 1");
    page.key("Enter");
    assert!(numbers(&page.eval(column)).is_sorted_by(|a, b| a >= b));
    page.key("Enter");
    assert_eq!(numbers(&page.eval(column)), first, "a third time: as it was");
    // A row without a value is last, whichever way.
    let reasons = "[...document.querySelector('#t-throughput-median tbody').rows].findIndex((r) => r.querySelector('[colspan]'))";
    page.eval("document.querySelector('#t-throughput-median th:nth-child(3) button').focus()");
    for _ in 0..2 {
        page.key("Enter");
        assert_eq!(page.eval(reasons), 23, "the skipped cell");
    }
    page.eval("document.querySelector('#t-throughput-median input[type=search]').focus()");
    page.write("microvm SORT");
    page.holds("[...document.querySelectorAll('#t-throughput-median tbody tr')].filter((r) => r.checkVisibility()).length === 1");
    page.holds("document.querySelector('#t-throughput-median output').textContent === '1 of 24 rows'");
    untroubled(&mut page, "after sorting");
}

#[test]
fn marks_tell_their_values_to_a_pointer_and_to_the_keyboard() {
    let Some(mut page) = browser() else { return };
    page.view(1400, false);
    page.open(&golden(), "");
    page.holds("document.querySelector('.tip').hidden");
    let told = page.eval(
        "(() => { const m = [...document.querySelectorAll('#s-startup svg.wide title')].map((t) => t.parentElement)[0]; m.id = 'probe'; return m.querySelector('title').textContent; })()",
    );
    let at = page.middle("#probe");
    page.hover(at);
    page.holds(&format!(
        "!document.querySelector('.tip').hidden && document.querySelector('.tip').textContent === {told}"
    ));
    page.holds("(() => { const b = document.querySelector('.tip').getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth && b.top >= 0 && b.bottom <= innerHeight; })()");
    page.hover((1.0, 1.0));
    page.holds("document.querySelector('.tip').hidden");
    page.eval("document.querySelector('#s-startup svg.wide').focus()");
    page.key("ArrowRight");
    page.holds(&format!("document.querySelector('.tip').textContent === {told}"));
    page.key("ArrowRight");
    page.holds(&format!(
        "!document.querySelector('.tip').hidden && document.querySelector('.tip').textContent !== {told}"
    ));
    page.key("Escape");
    page.holds("document.querySelector('.tip').hidden");
    untroubled(&mut page, "after hovering");
}

#[test]
fn links_lead_into_folded_parts() {
    let Some(mut page) = browser() else { return };
    page.view(1400, false);
    page.open(&golden(), "#t-startup-metrics");
    let arrived = "(id) => { const e = document.getElementById(id); const b = e.getBoundingClientRect(); return e.checkVisibility() && e.closest('details').open && b.top > -5 && b.top < 300; }";
    page.holds(&format!("({arrived})('t-startup-metrics')"));
    page.holds("document.querySelectorAll('.permalink').length > 30");
    let broken = "[...document.querySelectorAll('a[href^=\"#\"]')].filter((a) => !document.getElementById(a.hash.slice(1))).map((a) => a.hash)";
    assert_eq!(page.eval(broken), json!([]));
    // Every section, figure, table and claim has an address of its own, shown once it is pointed at.
    page.holds("[...document.querySelectorAll('main > section:not(#verdict), figure, .table, article')].every((e) => e.id && e.querySelector(`.permalink[href='#${e.id}']`))");
    page.open(&golden(), "");
    page.eval("document.querySelector('#claims-open').open = true");
    page.click("#claims-open article .permalink");
    page.holds("new Promise((done) => setTimeout(() => done(location.hash.startsWith('#c-')), 50))");
    page.eval("document.querySelector('#claims-open').open = false; document.querySelector('#claims-open article').id = 'probe'; const a = document.createElement('a'); a.href = '#probe'; a.id = 'link'; a.textContent = 'x'; document.querySelector('main').prepend(a)");
    page.click("#link");
    page.holds("document.querySelector('#claims-open').open");
    untroubled(&mut page, "after following links");
}

#[test]
fn without_a_script_and_on_paper_everything_is_there() {
    let Some(mut page) = browser() else { return };
    page.view(1400, false);
    page.call("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    page.open(&golden(), "");
    // Nothing is offered that only a script could do, and nothing but it is missing.
    page.holds("![...document.querySelectorAll('#theme, #toggles, .tip, .filter, .sort')].some((e) => e.checkVisibility())");
    page.holds("[...document.querySelectorAll('main > section, main table, article h3')].filter((e) => !e.closest('details')).every((e) => e.checkVisibility())");
    page.holds("[...document.querySelectorAll('figure')].filter((f) => !f.closest('details')).every((f) => [...f.querySelectorAll('svg')].filter((s) => s.checkVisibility()).length === 1)");
    page.holds("document.querySelector('nav.contents').getClientRects().length > 0");
    page.eval("document.querySelector('main details summary').focus()");
    page.key("Enter");
    page.holds("document.querySelector('main details').open");
    page.eval(CHECKS);
    check(&mut page, "overflow", "without a script");
    // Paper has no folds and no navigation.
    page.media("print", false);
    page.holds(
        "![...document.querySelectorAll('nav, button, .permalink, .menu')].some((e) => e.checkVisibility())",
    );
    // What folds a reason is opened, tables of every number are not: a sentence says where they are.
    page.holds("document.querySelector('article .rules').checkVisibility()");
    page.holds("[...document.querySelectorAll('details.raw')].every((e) => !e.querySelector('table').checkVisibility() && e.querySelector('.paper').checkVisibility())");
    let paper = page.call(
        "Page.printToPDF",
        &json!({"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": true}),
    );
    assert!(paper["data"].as_str().is_some_and(|data| data.starts_with("JVBERi") && data.len() > 50_000));
    untroubled(&mut page, "on paper");
}
