//! In which order the loop calls a runtime, and what it makes of every way in which that can go wrong.
//!
//! A scripted runtime writes each call into a log, and a test pins the whole log as one text: one line a trial, its
//! calls, and after "=" what was stored of it.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

mod stage;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use isomark_core::record::{Outcome, Sample};
use isomark_core::{Bench, Error, Kind, Params, Phase, Runtime, Scenario};
use isomark_engine::interrupt::Interrupt;
use isomark_engine::plan::{Found, expand};
use isomark_engine::run::{End, Setup};
use isomark_engine::{Plan, Selection, schedule};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

use stage::{Act, Keeper, Log, ONE, Scripted, Stage, bench, divide, forget, life, pins, scenario, stored};

#[test]
fn warm_ups_come_first_then_every_block_in_an_order_of_its_own() {
    let log = Log::default();
    let (a, b) = (Scripted::new("a", &log), Scripted::new("b", &log));
    let (runtimes, scenarios): ([&dyn Runtime; 2], _) = ([&a, &b], [scenario("life", life)]);
    let plan = "name='t'\nblocks=3\nwarmup=1\n[[ask]]\nscenario='life'";
    let told = Stage::new(&log, &runtimes, &scenarios, plan).play();
    assert!(matches!(told.end, Ok(End::Complete)));
    pins(
        &told.log,
        "
1/8 a life: create start run stop remove = warm-up 0 ok x
2/8 b life: create start run stop remove = warm-up 0 ok x
3/8 b life: create start run stop remove = block 0 ok x
4/8 a life: create start run stop remove = block 0 ok x
-- block 0
5/8 a life: create start run stop remove = block 1 ok x
6/8 b life: create start run stop remove = block 1 ok x
-- block 1
7/8 a life: create start run stop remove = block 2 ok x
8/8 b life: create start run stop remove = block 2 ok x
-- block 2
",
    );
}

#[test]
fn the_order_is_that_of_the_schedule_and_so_of_the_seed() {
    let log = Log::default();
    let all = ["a", "b", "c", "d"].map(|name| Scripted::new(name, &log));
    let runtimes = all.iter().map(|r| r as &dyn Runtime).collect::<Vec<_>>();
    let scenarios = [scenario("life", life)];
    let plan = "name='t'\nblocks=4\n[[ask]]\nscenario='life'";
    let of = |seed| Stage { seed, ..Stage::new(&log, &runtimes, &scenarios, plan) }.play().trials();
    let expected = |seed| {
        let block = |block| {
            schedule::order(seed, block, &[1; 4], &[0; 4]).into_iter().map(move |c| (c, block, false))
        };
        (0..4).flat_map(block).collect::<Vec<_>>()
    };
    assert_eq!((of(5), of(6)), (expected(5), expected(6)));
    assert_ne!(of(5), of(6));
}

#[test]
fn a_failure_in_any_phase_is_a_row_and_the_next_trial_goes_on() {
    let log = Log::default();
    let script = |a: Scripted, (nth, phase): (usize, &Phase)| a.with(nth, Act::Fail(*phase));
    let a = Phase::ALL.iter().enumerate().fold(Scripted::new("a", &log), script);
    let plan = "name='t'\nblocks=6\n[[ask]]\nscenario='life'";
    let told = Stage::new(&log, &[&a], &[scenario("life", life)], plan).play();
    pins(&told.log, "
1/6 a life: create = block 0 failed in create, os: scripted create: Input/output error (os error 5)
-- block 0
2/6 a life: create start drop = block 1 failed in start, os: scripted start: Input/output error (os error 5)
-- block 1
3/6 a life: create start run drop = block 2 failed in run, os: scripted run: Input/output error (os error 5)
-- block 2
4/6 a life: create start run stop drop = block 3 failed in stop, os: scripted stop: Input/output error (os error 5)
-- block 3
5/6 a life: create start run stop remove drop = block 4 failed in remove, os: scripted remove: Input/output error (os error 5)
-- block 4
6/6 a life: create start run stop remove = block 5 ok x
-- block 5
");
    let rows = told.samples.iter().map(|s| s.phases.iter().map(|(p, _)| *p).collect::<Vec<_>>());
    let lives = (1..=5).chain([5]).map(|n| Phase::ALL[..n].to_vec());
    assert!(rows.eq(lives), "the phases that were reached are kept: {:?}", told.samples);
}

#[test]
fn a_host_that_is_short_for_some_is_a_row_that_is_to_be_repeated() {
    let log = Log::default();
    let (a, b) = (Scripted::new("a", &log), Scripted::new("b", &log).with(0, Act::Short));
    let plan = "name='t'\nblocks=2\n[[ask]]\nscenario='life'";
    let runtimes: [&dyn Runtime; 2] = [&a, &b];
    let scenarios = [scenario("life", life)];
    let told = Stage::new(&log, &runtimes, &scenarios, plan).play();
    assert!(matches!(told.end, Ok(End::Complete)));
    let short = told.samples.iter().filter(|s| s.is_exhausted()).map(|s| (s.cell, s.block, s.warmup));
    let short = short.collect::<Vec<_>>();
    assert_eq!((short.len(), told.samples.len()), (1, 4), "{}", told.log);
    // What is stored for the run that goes on is the rest: that trial alone is repeated.
    let done = told.trials_without(&short);
    let again = Stage { done, ..Stage::new(&log, &runtimes, &scenarios, plan) }.play();
    assert_eq!((again.trials(), again.end.unwrap()), (short, End::Complete));
}

#[test]
fn a_block_that_is_too_much_for_the_host_ends_the_run() {
    let log = Log::default();
    // The first block is fine, of the second nobody can begin.
    let [a, b] = ["a", "b"].map(|name| Scripted::new(name, &log).with(1, Act::Short));
    let plan = "name='t'\nblocks=9\n[[ask]]\nscenario='life'";
    let told = Stage::new(&log, &[&a, &b], &[scenario("life", life)], plan).play();
    let error = told.end.expect_err("must end");
    assert_eq!(error.kind(), "exhausted");
    let why = error.chain();
    assert!(why.contains("clone3: Resource temporarily unavailable") && why.contains("pids.max"), "{why}");
    let blocks = told.samples.iter().map(|s| (s.block, s.is_exhausted())).collect::<Vec<_>>();
    assert_eq!(blocks, [(0, false), (0, false), (1, true), (1, true)], "{}", told.log);
}

#[test]
fn an_instance_does_not_outlive_a_fault_of_our_own() {
    let log = Log::default();
    let a = Scripted::new("a", &log).with(1, Act::Panic);
    let stored = RefCell::new(0);
    let count = |samples| {
        *stored.borrow_mut() = samples;
        Ok(())
    };
    let plan = "name='t'\nblocks=9\n[[ask]]\nscenario='life'";
    let (runtimes, scenarios): ([&dyn Runtime; 1], _) = ([&a], [scenario("life", life)]);
    let stage = Stage { on_sample: &count, ..Stage::new(&log, &runtimes, &scenarios, plan) };
    let play = std::panic::AssertUnwindSafe(|| stage.play());
    assert!(std::panic::catch_unwind(play).is_err(), "{}", log.text());
    // What came before is stored; the instance of the trial under way was dropped on the way out.
    assert_eq!(*stored.borrow(), 1);
    assert!(log.text().ends_with("2/9 a life: create start drop"), "{}", log.text());
}

#[test]
fn the_failed_cell_alone_fails() {
    let log = Log::default();
    let (a, b) = (Scripted::new("a", &log).with(0, Act::Fail(Phase::Run)), Scripted::new("b", &log));
    let told = Stage::new(&log, &[&a, &b], &[scenario("life", life)], ONE).play();
    let fine = |cell| told.samples.iter().any(|s| s.cell == cell && matches!(s.outcome, Outcome::Values(_)));
    assert!(told.samples.len() == 2 && !fine(0) && fine(1), "{}", told.log);
}

#[test]
fn what_is_declared_and_not_recorded_is_missing() {
    let log = Log::default();
    let a = Scripted::new("a", &log);
    let scenarios = [scenario("forget", forget), scenario("divide", divide)];
    let plan = "name='t'\nblocks=1\n[[ask]]\nscenario='forget'\n[[ask]]\nscenario='divide'";
    let told = Stage::new(&log, &[&a], &scenarios, plan).play();
    pins(
        &told.log,
        "
1/2 a divide: create remove = block 0 failed in -, missing: scenario divide did not record its metric x
2/2 a forget: create remove = block 0 failed in -, missing: scenario forget did not record its metric x
-- block 0
",
    );
}

#[test]
fn a_wrong_answer_is_a_row_and_no_number() {
    let log = Log::default();
    let a = Scripted::new("a", &log).with(0, Act::Lie);
    let told = Stage::new(&log, &[&a], &[scenario("life", life)], ONE).play();
    pins(
        &told.log,
        "1/1 a life: create start run drop = block 0 failed in -, wrong-answer: wrong answer: \
         the payload told token=8, must be 7\n-- block 0",
    );
}

#[test]
fn other_bits_than_the_neighbours_are_a_wrong_answer() {
    let log = Log::default();
    let (a, b) = (Scripted::new("a", &log), Scripted::new("b", &log).with(1, Act::OtherBits));
    let plan = "name='t'\nblocks=2\n[[ask]]\nscenario='life'";
    let told = Stage::new(&log, &[&a, &b], &[scenario("life", life)], plan).play();
    let failed = told.samples.iter().filter_map(|s| match &s.outcome {
        Outcome::Failed(f) => Some((s.cell, s.block, f.kind.as_str(), f.message.as_str())),
        Outcome::Values(_) => None,
    });
    let failed = failed.collect::<Vec<_>>();
    let [(1, 1, "wrong-answer", message)] = failed[..] else { panic!("{failed:?}") };
    assert!(message.contains("its result is f00d") && message.contains("was cafe"), "{message}");
}

#[test]
fn what_was_skipped_never_runs() {
    let log = Log::default();
    let (a, b) = (Scripted::new("a", &log), Scripted::new("b", &log).unavailable());
    let plan =
        "name='t'\nblocks=1\nwarmup=1\n[[ask]]\nscenario='life'\n[[ask]]\nscenario='life'\nparams={disk='x'}";
    let told = Stage::new(&log, &[&a, &b], &[scenario("life", life)], plan).play();
    pins(
        &told.log,
        "
1/2 a life: create start run stop remove = warm-up 0 ok x
2/2 a life: create start run stop remove = block 0 ok x
-- block 0
",
    );
    assert!(matches!(told.end, Ok(End::Complete)));
}

#[test]
fn a_runtime_that_has_gone_since_is_a_failed_row() {
    // As on resuming: the cells are from before, the probe is from now.
    let log = Log::default();
    let dir = tempfile::tempdir().unwrap();
    let (scenarios, bench) = ([scenario("life", life)], bench(dir.path()));
    let (before, now) = (Scripted::new("a", &log), Scripted::new("a", &log).unavailable());
    let plan = Plan::parse("test", ONE).unwrap();
    let cells = expand(&plan, &[Found::probe(&before)], &scenarios, &Selection::default(), &bench).unwrap();
    let (found, done) = ([Found::probe(&now)], BTreeSet::new());
    let (seed, blocks, warmup, until) = (3, 1, 0, None);
    let (cells, found, scenarios, bench) = (&cells[..], &found[..], &scenarios[..], &bench);
    let setup = Setup {
        cells,
        found,
        scenarios,
        bench,
        seed,
        blocks,
        part: None,
        warmup,
        until,
        precision: false,
        elsewhere: &[],
        stored: &stored(&done),
    };
    let mut sink = Keeper { log: log.clone(), samples: Vec::new(), on_sample: &|_| Ok(()) };
    let end = isomark_engine::run(&setup, &Interrupt::default(), &mut sink).unwrap();
    assert_eq!(end, End::Complete);
    let failed = |s: &Sample| matches!(&s.outcome, Outcome::Failed(f) if f.kind == "unsupported");
    assert!(sink.samples.len() == 1 && failed(&sink.samples[0]), "{:?}", sink.samples);
}

#[test]
fn a_cell_takes_part_in_every_nth_block() {
    let log = Log::default();
    let a = Scripted::new("a", &log);
    let scenarios = [scenario("life", life), scenario("rare", life)];
    let plan = "name='t'\nblocks=4\nwarmup=1\n[[ask]]\nscenario='life'\n[[ask]]\nscenario='rare'\nevery=3";
    let told = Stage::new(&log, &[&a], &scenarios, plan).play();
    let of =
        |cell| told.trials().into_iter().filter(|t| t.0 == cell).map(|t| (t.1, t.2)).collect::<BTreeSet<_>>();
    let blocks = |all: &[u32]| all.iter().map(|b| (*b, false)).chain([(0, true)]).collect::<BTreeSet<_>>();
    assert_eq!((of(0), of(1)), (blocks(&[0, 1, 2, 3]), blocks(&[0, 3])));
}

#[test]
fn the_catalogue_is_left_out_only_where_the_plan_says_so_and_nobody_names_it() {
    let log = Log::default();
    let (a, b) = (Scripted::new("a", &log), Scripted::new("b", &log).of_catalogue());
    let found = [Found::probe(&a as &dyn Runtime), Found::probe(&b)];
    let scenarios = [scenario("life", life), scenario("dear", life)];
    let plan = "name='t'\nblocks=1\n[[ask]]\nscenario='life'\n[[ask]]\nscenario='dear'\ncatalogue=false";
    let plan = Plan::parse("test", plan).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (names, expected) in [
        (vec![], vec![("a", "life"), ("b", "life"), ("a", "dear")]),
        (vec!["b"], vec![("a", "life"), ("b", "life"), ("a", "dear"), ("b", "dear")]),
    ] {
        let names = names.into_iter().map(str::to_owned).collect();
        let selection = Selection { runtimes: names, ..Selection::default() };
        let cells = expand(&plan, &found, &scenarios, &selection, &bench(dir.path())).unwrap();
        let cells = cells.iter().map(|c| (&*c.runtime, &*c.scenario)).collect::<Vec<_>>();
        assert_eq!(cells, expected);
    }
}

#[test]
fn what_an_ask_comes_to_twice_is_measured_once() {
    let log = Log::default();
    let (a, b) = (Scripted::new("a", &log), Scripted::new("b", &log));
    let found = [Found::probe(&a as &dyn Runtime), Found::probe(&b)];
    // One of them has no use for the path, and settles each to the same.
    let path = |params: &Params, _: &Bench| {
        let plain = params.text("kernel") == Some("plain");
        Ok(if plain { params.clone().with("isa", "baseline") } else { params.clone() })
    };
    let scenarios = [Scenario { settle: path, ..scenario("life", life) }];
    let ask = "[[ask]]\nscenario='life'\nparams={ kernel=['plain','wide'], isa=['auto','avx2'] }\n";
    let dir = tempfile::tempdir().unwrap();
    for (asks, cells) in [(1, 6), (2, 12)] {
        let plan = Plan::parse("test", &format!("name='t'\nblocks=1\n{}", ask.repeat(asks))).unwrap();
        let all = expand(&plan, &found, &scenarios, &Selection::default(), &bench(dir.path())).unwrap();
        assert_eq!(all.len(), cells, "{asks}: an ask of its own is asked on purpose");
    }
}

#[test]
fn a_plan_names_the_kinds_that_it_asks_unless_somebody_names_a_runtime() {
    let log = Log::default();
    let a = Scripted::new("a", &log);
    let b = Scripted { kind: Kind::Vm, ..Scripted::new("b", &log) };
    let found = [Found::probe(&a as &dyn Runtime), Found::probe(&b)];
    let scenarios = [scenario("life", life), scenario("dear", life)];
    let plan =
        "name='t'\nblocks=1\n[[ask]]\nscenario='life'\n[[ask]]\nscenario='dear'\nkinds=['container','vm']";
    let plan = Plan::parse("test", plan).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (names, expected) in [
        (vec![], vec![("a", "life"), ("b", "life"), ("b", "dear")]),
        (vec!["a"], vec![("a", "life"), ("b", "life"), ("a", "dear"), ("b", "dear")]),
    ] {
        let runtimes = names.into_iter().map(str::to_owned).collect();
        let selection = Selection { runtimes, ..Selection::default() };
        let cells = expand(&plan, &found, &scenarios, &selection, &bench(dir.path())).unwrap();
        assert_eq!(cells.iter().map(|c| (&*c.runtime, &*c.scenario)).collect::<Vec<_>>(), expected);
    }
}

/// Three cells of two runtimes, one of them rare, with warm-ups.
const MANY: &str =
    "name='t'\nblocks=5\nwarmup=2\n[[ask]]\nscenario='life'\n[[ask]]\nscenario='rare'\nevery=2";

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resuming_runs_what_is_missing_in_the_order_it_would_have_had(seed: u64, keep in prop::collection::vec(any::<bool>(), 24)) {
        let log = Log::default();
        let (a, b) = (Scripted::new("a", &log), Scripted::new("b", &log));
        let (runtimes, scenarios): ([&dyn Runtime; 2], _) = ([&a, &b], [scenario("life", life), scenario("rare", life)]);
        let stage = || Stage { seed, ..Stage::new(&log, &runtimes, &scenarios, MANY) };
        let whole = stage().play().trials();
        prop_assert_eq!(whole.len(), 24);
        let done = whole.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(t, _)| *t).collect::<BTreeSet<_>>();
        let rest = Stage { done: done.clone(), ..stage() }.play().trials();
        let missing = whole.into_iter().filter(|t| !done.contains(t)).collect::<Vec<_>>();
        prop_assert_eq!(rest, missing);
    }
}

#[test]
fn no_block_begins_once_the_budget_is_used_up() {
    let log = Log::default();
    let until = Instant::now() + Duration::from_millis(400);
    let (a, b) = (Scripted::new("a", &log).with(1, Act::SlowUntil(until)), Scripted::new("b", &log));
    let plan = "name='t'\nblocks=9\n[[ask]]\nscenario='life'";
    let runtimes: [&dyn Runtime; 2] = [&a, &b];
    let scenarios = [scenario("life", life)];
    let stage = |until| Stage { until: Some(until), ..Stage::new(&log, &runtimes, &scenarios, plan) };
    let told = stage(until).play();
    assert!(matches!(told.end, Ok(End::Budget)));
    // The block that was under way is whole: a cell that lacks a partner is no pair.
    let blocks = told.trials().iter().map(|t| t.1).collect::<Vec<_>>();
    assert_eq!(blocks, [0, 0, 1, 1], "{}", told.log);
    let none = stage(Instant::now()).play();
    assert!(matches!(none.end, Ok(End::Budget)) && none.samples.is_empty());
}

#[test]
fn a_signal_during_a_trial_drops_that_trial_and_keeps_the_others() {
    let log = Log::default();
    let interrupt = Interrupt::default();
    let a = Scripted::new("a", &log).with(2, Act::Signal(interrupt.clone(), 2));
    let plan = "name='t'\nblocks=9\n[[ask]]\nscenario='life'";
    let told = Stage { interrupt, ..Stage::new(&log, &[&a], &[scenario("life", life)], plan) }.play();
    assert!(matches!(told.end, Ok(End::Signal(2))));
    pins(
        &told.log,
        "
1/9 a life: create start run stop remove = block 0 ok x
-- block 0
2/9 a life: create start run stop remove = block 1 ok x
-- block 1
3/9 a life: create start run stop remove
",
    );
}

#[test]
fn a_trial_in_which_the_command_was_stopped_is_carried_out_again() {
    let log = Log::default();
    let interrupt = Interrupt::default();
    let stopped = Act::Signal(interrupt.clone(), 18);
    let a = Scripted::new("a", &log).with(1, stopped);
    // Before the first trial nothing was measured yet.
    interrupt.raise(18);
    let plan = "name='t'\nblocks=2\n[[ask]]\nscenario='life'";
    let told = Stage { interrupt, ..Stage::new(&log, &[&a], &[scenario("life", life)], plan) }.play();
    assert!(matches!(told.end, Ok(End::Complete)));
    pins(
        &told.log,
        "
1/2 a life: create start run stop remove = block 0 ok x
-- block 0
2/2 a life: create start run stop remove create start run stop remove = block 1 ok x
-- block 1
",
    );
}

#[test]
fn a_signal_between_trials_begins_no_other() {
    let log = Log::default();
    let interrupt = Interrupt::default();
    let a = Scripted::new("a", &log);
    let raise = |samples| {
        if samples == 2 {
            interrupt.raise(15);
        }
        Ok(())
    };
    let plan = "name='t'\nblocks=9\n[[ask]]\nscenario='life'";
    let told = Stage {
        interrupt: interrupt.clone(),
        on_sample: &raise,
        ..Stage::new(&log, &[&a], &[scenario("life", life)], plan)
    }
    .play();
    assert!(matches!(told.end, Ok(End::Signal(15))));
    assert_eq!(told.log.matches("create").count(), 2, "{}", told.log);
    assert_eq!(told.trials(), [(0, 0, false), (0, 1, false)]);
}

#[test]
fn a_run_ends_where_its_samples_can_no_longer_be_stored() {
    let log = Log::default();
    let a = Scripted::new("a", &log);
    let count = RefCell::new(0);
    let full = |samples| {
        *count.borrow_mut() = samples;
        if samples < 3 {
            return Ok(());
        }
        Err(Error::os("append to samples.jsonl", std::io::Error::from_raw_os_error(28)))
    };
    let plan = "name='t'\nblocks=9\n[[ask]]\nscenario='life'";
    let told = Stage { on_sample: &full, ..Stage::new(&log, &[&a], &[scenario("life", life)], plan) }.play();
    let why = told.end.expect_err("must end").chain();
    assert_eq!(why, "append to samples.jsonl: No space left on device (os error 28)");
    assert_eq!(told.log.matches("create").count(), 3);
}
