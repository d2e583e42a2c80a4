//! Every kernel on every path of this CPU against its oracle.

use super::{job, prepare};
use crate::answers;
use crate::cpu;
use crate::simd::Path;
use crate::windows::Asked;
use crate::wire::{Isa, Job, Reply};

const HZ: u64 = 1_000_000_000;

const fn asked(tsc_hz: u64) -> Asked {
    Asked { millis: 0, tsc_hz, injected: 0 }
}

/// Runs a job as the program does, and checks the reply after a trip over the wire.
#[track_caller]
fn reply(name: &str, n: u64, isa: Isa) -> Reply {
    let reply = job(name, n, isa, asked(HZ)).unwrap_or_else(|e| panic!("{name} {n} {isa}: {e}"));
    let reply = Reply::parse(&reply.to_string()).expect("the reply is one of the wire");
    let asked = Job::Kernel { name: name.into(), n, isa, millis: 0, tsc_hz: HZ, injected: 0 };
    answers::check(&asked, &reply).unwrap_or_else(|e| panic!("{name} {n} {isa}: {e}"));
    reply
}

#[track_caller]
fn answers_on_every_path(name: &str, sizes: &[u64]) {
    for isa in cpu::available() {
        for &n in sizes {
            let first = reply(name, n, isa);
            let again = reply(name, n, isa);
            assert_eq!(first.str("bits"), again.str("bits"), "{name} {n} {isa}");
        }
    }
}

#[test]
fn dgemm_is_right_at_the_edges_of_its_tiles_and_blocks() {
    answers_on_every_path("dgemm", &[1, 2, 7, 23, 24, 25, 31, 33, 64, 65, 130, 257, 300]);
}

#[test]
fn lu_is_right_at_the_edges_of_its_leaves_and_joins() {
    answers_on_every_path("lu", &[1, 2, 7, 8, 9, 16, 23, 31, 33, 64, 65, 130, 200, 257]);
}

#[test]
fn fft_is_right_for_every_mix_of_radices() {
    answers_on_every_path("fft", &[2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 8192]);
}

#[test]
fn nbody_is_right_with_and_without_padding() {
    answers_on_every_path("nbody", &[2, 3, 15, 16, 17, 100]);
}

#[test]
fn fma_peak_counts_what_it_does() {
    answers_on_every_path("fma-peak", &[1, 47, 48, 49, 10_000]);
}

#[test]
fn stream_loops_are_right_with_odd_ends() {
    for name in ["copy", "scale", "add", "triad"] {
        answers_on_every_path(name, &[1, 7, 8, 9, 63, 1000, 5003]);
    }
}

#[test]
fn exact_kernels_give_the_only_possible_answer() {
    for (name, sizes) in [
        ("spmv", [1, 2, 10, 143, 144, 10_000]),
        ("pi", [1, 2, 3, 10, 1000, 50_000]),
        ("sha256", [1, 55, 56, 64, 1000, 10_000]),
        ("sort", [1, 2, 3, 50, 1000, 10_000]),
        ("random", [8, 16, 1024, 1 << 16, 1 << 17, 1 << 18]),
    ] {
        sizes.iter().for_each(|&n| drop(reply(name, n, Isa::Auto)));
    }
}

#[test]
fn kernels_that_cross_into_the_system_count_what_came_back() {
    for (name, n) in [("getpid", 64), ("pipe", 300), ("mmap", 3), ("first-touch", 10_000), ("fork", 2)] {
        assert_eq!(reply(name, n, Isa::Avx512).str("isa"), Ok("baseline"), "{name} has one path only");
    }
}

#[test]
fn bits_do_not_depend_on_how_often_a_kernel_ran() {
    for kernel in crate::KERNELS.iter().filter(|k| k.name != "fork") {
        let n = if kernel.name == "fft" || kernel.name == "random" { 1 << 10 } else { 100 };
        let path = Path::resolve(Isa::Auto).unwrap();
        let after = |times: usize| {
            let mut ready = prepare(kernel.name, n, path).unwrap();
            (0..times).for_each(|_| ready.iterate().unwrap());
            ready.answer().map(|a| a.bits)
        };
        assert_eq!(after(1), after(4), "{}", kernel.name);
    }
}

#[track_caller]
fn refuses(name: &str, n: u64, hz: u64, with: &str) {
    let error = job(name, n, Isa::Baseline, asked(hz)).expect_err("must be refused").to_string();
    assert!(error.contains(with), "{name} {n}: {error}");
}

#[test]
fn jobs_that_cannot_be_done_are_refused() {
    refuses("knitting", 1, HZ, "unknown");
    refuses("dgemm", 0, HZ, "nothing to measure");
    refuses("dgemm", 4, 0, "nothing to measure");
    refuses("dgemm", u64::MAX, HZ, "not between");
    refuses("fft", 48, HZ, "power of two");
    refuses("random", 1000, HZ, "power of two");
    refuses("nbody", 1, HZ, "not between");
    refuses("sha256", 1 << 60, HZ, "not between");
}
