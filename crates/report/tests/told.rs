//! What the gate tells CI services: bounded, escaped, and complete about what it leaves out.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

use isomark_core::{Better, Params};
use isomark_report::export::junit;
use isomark_report::gate::compare::{Comparison, Lost, SCHEMA};
use isomark_report::gate::finding::{Basis, Class, Finding};
use isomark_report::gate::{annotate, comment, words};
use isomark_report::region::Region;
use isomark_report::stats::verdict::Verdict;
use isomark_report::summary::{Difference, Number};
use proptest::prelude::*;

fn finding(runtime: &str, class: Class) -> Finding {
    let verdict = match class {
        Class::Regression => Verdict::Slower,
        Class::Improvement => Verdict::Faster,
        Class::None => Verdict::Equivalent,
        Class::Inconclusive => Verdict::Inconclusive,
    };
    Finding {
        runtime: runtime.into(),
        scenario: "startup".into(),
        params: Params::new().with("cache", "warm"),
        metric: "startup".into(),
        unit: "ns".into(),
        better: Better::Lower,
        basis: Basis::RatioTo("process".into()),
        base: Some(Number(1e6)),
        head: Some(Number(1.1e6)),
        ratio: Some(1.1),
        ci95: Some([1.08, 1.12]),
        difference: None,
        band: None,
        limit: Region { relative: 0.03, absolute: None },
        equal: [1.0 / 1.03, 1.03],
        n: 40,
        verdict,
        why: (class == Class::Inconclusive).then(|| "8 of 20 pairs".to_owned()),
        class,
        decides: true,
        p: None,
    }
}

fn comparison(findings: Vec<Finding>) -> Comparison {
    let (lost, new, apart, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (head, base) = ("head".to_owned(), vec!["base".to_owned()]);
    Comparison { schema: SCHEMA.to_owned(), head, base, findings, lost, new, apart, notes }
}

#[test]
fn a_sentence_holds_change_interval_limit_and_reason() {
    let said = words::sentence(&finding("microvm", Class::Regression));
    let expected = "microvm startup cache=warm: startup slower: +10.0 % [+8.0, +12.0], 1.00 ms → 1.10 ms, equal \
                    within ±3.0 %, n = 40";
    assert_eq!(said, expected);
    let mut size = finding("microvm", Class::Regression);
    size.unit = "byte".into();
    let ci95 = Some([Number(131_072.0), Number(139_264.0)]);
    size.difference = Some(Difference { median: Number(135_168.0), ci95 });
    size.equal = [-65_536.0, 65_536.0];
    assert_eq!(words::change(&size), "+132 KiB [128.0, 136.0]");
    assert_eq!(words::equal(&size), "±64.0 KiB");
    let flat = Finding { ratio: Some(1.000_01), ci95: None, ..finding("x", Class::None) };
    assert_eq!(words::change(&flat), "0.0 % [~]");
}

#[test]
fn a_comment_is_below_its_limit_and_counts_what_it_leaves_out() {
    let many = (0..3000).map(|at| finding(&format!("runtime-{at}"), Class::Inconclusive));
    let worst = finding("the-worst", Class::Regression);
    let all = comparison(many.chain([worst]).collect());
    let text = comment::comment("nightly", &all);
    assert!(text.len() < comment::MOST && text.starts_with("<!-- isomark:nightly -->\n"), "{}", text.len());
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains("startup")).count();
    assert!(text.contains(&format!("{} more rows are left out", 3001 - rows)), "{rows} rows");
    // What matters comes first, whatever is left out.
    assert!(text.contains("the-worst") && text.contains("1 regression, "));
    assert!(!comment::marker("a-->b --").contains("-->b"));
}

#[test]
fn at_most_ten_annotations_of_a_kind() {
    for (count, shown) in [(0, 0), (1, 1), (10, 10), (11, 10), (400, 10)] {
        let all = comparison((0..count).map(|_| finding("a", Class::Regression)).collect());
        let lines = annotate::annotations(&all);
        assert_eq!(lines.len(), shown);
        if count > 10 {
            assert!(lines[9].ends_with(&format!("{} more; see the summary of the job", count - 9)));
        }
    }
    let ignored = Finding { decides: false, ..finding("a", Class::Regression) };
    assert!(annotate::annotations(&comparison(vec![ignored])).is_empty());
}

#[test]
fn a_loss_is_told_everywhere() {
    let lost = Lost {
        runtime: "microvm".into(),
        scenario: "startup".into(),
        params: Params::new(),
        metric: None,
        how: "failed".into(),
        reason: "no\nway: 100 %".into(),
        class: Class::Regression,
    };
    let all = Comparison { lost: vec![lost], ..comparison(Vec::new()) };
    assert!(!all.is_empty() && all.counts().regressions == 1);
    assert!(annotate::annotations(&all)[0].ends_with("::microvm startup failed: no way: 100 %25"));
    assert!(comment::summary(&all).contains("❌ failed: no way"));
    assert!(junit::of_comparison("x", &all).contains("errors=\"1\""));
    assert!(comparison(Vec::new()).is_empty());
}

/// What a terminal or a service could take for an order.
const CONTROL: [char; 4] = ['\n', '\r', '\u{7}', '\u{1b}'];

proptest! {
    #[test]
    fn nothing_from_a_run_becomes_markup(name in any::<String>(), why in any::<String>()) {
        let mut hostile = finding(&name, Class::Inconclusive);
        hostile.metric.clone_from(&name);
        hostile.unit.clone_from(&why);
        hostile.why = Some(why.clone());
        let all = Comparison { notes: vec![why], ..comparison(vec![hostile]) };
        for line in annotate::annotations(&all) {
            prop_assert!(!line.contains(CONTROL));
        }
        let terminal = words::terminal(&all, true);
        prop_assert!(!terminal.replace('\n', "").contains(CONTROL));
        let markdown = comment::summary(&all);
        prop_assert!(!markdown.replace('\n', "").contains(CONTROL));
        // A mention is a name behind an at-sign; alone it is a letter like any other.
        let mentions = markdown.split('@').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
        prop_assert!(!markdown.contains("<script") && !mentions);
        let table: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
        for row in table {
            // Eight bars that are not escaped: seven columns.
            let bars = row.replace("\\\\", "").replace("\\|", "").matches('|').count();
            prop_assert_eq!(bars, 8, "{}", row);
        }
    }
}
