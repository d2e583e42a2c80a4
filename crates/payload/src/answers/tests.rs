//! A right reply passes, and every field is load-bearing.

use super::*;
use crate::wire::Job;

const N: u64 = 1000;

fn asked() -> Job {
    Job::Kernel { name: "triad".into(), n: N, isa: Isa::Auto, millis: 5, tsc_hz: 1_000_000, injected: 0 }
}

/// A right reply, built by hand: Σ (i mod 1021) + 3 (i mod 1019 + 1) for i < 1000.
fn right() -> Reply {
    let bits = (0..N).fold(EMPTY, |h, i| fold(h, ((i + 3 * (i + 1)) as f64).to_bits()));
    Reply::new()
        .with("name", "triad")
        .with("n", N)
        .with("isa", "avx2")
        .with("work", 24 * N)
        .with("windows", 10)
        .with("best_ticks", 500)
        .with("best_work", 48 * N)
        .with("total_ticks", 6000)
        .with("total_work", 480 * N)
        .with("answer", N * (N - 1) / 2 + 3 * N * (N + 1) / 2)
        .with("bits", format_args!("{bits:016x}"))
}

#[test]
fn a_right_reply_passes() {
    assert_eq!(check(&asked(), &right()), Ok(()));
}

#[track_caller]
fn caught(field: &str, value: &str) {
    let error = check(&asked(), &right().with(field, value)).expect_err("must be caught");
    assert!(error.to_string().contains(field), "{field}={value} gave {error}");
}

#[test]
fn each_wrong_field_is_caught() {
    caught("name", "add");
    caught("n", "999");
    caught("isa", "auto");
    caught("work", "23999");
    caught("windows", "9");
    caught("best_ticks", "0");
    caught("best_work", "48001");
    caught("best_work", "0");
    caught("total_work", "480001");
    caught("answer", "1");
    caught("answer", "2001000,1");
    caught("answer", "");
    caught("bits", "0123456789abcdef");
    caught("bits", "12");
    caught("total_ticks", "4999");
    // A best window slower than the sum of all allows.
    let slow = check(&asked(), &right().with("best_ticks", 601)).expect_err("must be caught");
    assert!(slow.to_string().contains("total_ticks"), "{slow}");
}

#[test]
fn each_missing_field_is_named() {
    for (field, _) in right().iter() {
        let rest = right().iter().filter(|f| f.0 != field).fold(Reply::new(), |r, (k, v)| r.with(k, v));
        let error = check(&asked(), &rest).expect_err("must be caught").to_string();
        assert!(error.contains(&format!("field {field} is missing")), "{field}: {error}");
    }
}

#[test]
fn a_path_that_was_not_asked_for_is_caught() {
    let forced = Job::Kernel {
        name: "triad".into(),
        n: N,
        isa: Isa::Avx512,
        millis: 5,
        tsc_hz: 1_000_000,
        injected: 0,
    };
    assert!(matches!(check(&forced, &right()), Err(Wrong::Field { name: "isa", .. })));
    let unknown =
        Job::Kernel { name: "knitting".into(), n: N, isa: Isa::Auto, millis: 5, tsc_hz: 1, injected: 0 };
    assert!(matches!(check(&unknown, &right()), Err(Wrong::Job(_))));
}

fn answers_work(steps: u64, check: u64) -> bool {
    super::check(&Job::Work { steps }, &Reply::new().with("check", check)).is_ok()
}

#[test]
fn simple_jobs_are_checked_too() {
    let echo = |token: u64| Reply::new().with("token", token);
    assert_eq!(check(&Job::Echo(7), &echo(7)), Ok(()));
    assert!(check(&Job::Echo(7), &echo(8)).is_err());
    let touch = |bytes: u64, pages: u64, sum: u64| {
        let reply = Reply::new().with("bytes", bytes).with("pages", pages).with("sum", sum);
        check(&Job::Touch { bytes: 8000 }, &reply).is_ok()
    };
    let sum = mix(0).wrapping_add(mix(1));
    assert!(touch(8000, 2, sum) && !touch(8192, 2, sum) && !touch(8000, 3, sum) && !touch(8000, 2, 0));
    let write = |bytes: u64, sum: u64| {
        check(&Job::Write { bytes: 9 }, &Reply::new().with("bytes", bytes).with("check", sum)).is_ok()
    };
    let sum = fold(fold(EMPTY, mix(0)), mix(1) & 0xff);
    assert!(write(9, sum) && !write(8, sum) && !write(9, sum ^ 1));
    let work = |check: u64| answers_work(3, check);
    assert!(work(fold(fold(fold(EMPTY, 0), 1), 2)) && !work(0));
    let features = |reported: &str, enabled: &str| {
        check(&Job::Features, &Reply::new().with("reported", reported).with("enabled", enabled)).is_ok()
    };
    assert!(features("baseline,avx2", "baseline") && !features("baseline", "baseline,avx2"));
    assert!(!features("mmx", "mmx"));
}

#[test]
fn a_rounded_answer_is_checked_within_its_tolerance_and_with_its_residual() {
    let expected = Expected::near(&[(2.0, 1e-9)], &[("residual", 16.0)]);
    let told = |answer: &str, residual: &str| {
        let reply = Reply::new().with("answer", answer).with("residual", residual);
        values(&reply.with("bits", "0123456789abcdef"), &expected).is_ok()
    };
    assert!(told("2", "0") && told("2.0000000005e0", "16"));
    assert!(!told("2.00000001", "0") && !told("NaN", "0") && !told("2", "17") && !told("2", "NaN"));
    assert!(!told("2", "-1") && !told("2,2", "0") && !told("inf", "0"));
}
