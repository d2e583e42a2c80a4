//! The program over its pipes: ready, one answer per line whatever the line, leave at end of file.

mod started;

use isomark_payload::wire::MAX_LINE;
use isomark_payload::{Isa, Job, KERNELS};
use started::Program;

#[test]
fn every_job_is_answered_rightly() {
    let mut program = Program::start();
    program.answers(&Job::Echo(42));
    program.answers(&Job::Features);
    for bytes in [0, 1, 4096, 1_000_000] {
        program.answers(&Job::Touch { bytes });
        program.answers(&Job::Write { bytes });
    }
    for kernel in KERNELS {
        let n = kernel.default_n.min(1024);
        let job = Job::Kernel {
            name: kernel.name.into(),
            n,
            isa: Isa::Auto,
            millis: 1,
            tsc_hz: 1_000_000_000,
            injected: 0,
        };
        let reply = program.answers(&job);
        assert!(kernel.vectorised || reply.str("isa") == Ok("baseline"), "{}", kernel.name);
    }
    program.leaves();
}

#[test]
fn nothing_a_line_says_ends_the_program() {
    let mut program = Program::start();
    program.refuses(b"\n", "unknown");
    program.refuses(b"knit\n", "\"knit\" is unknown");
    program.refuses(b"echo\n", "token is missing");
    program.refuses(b"echo token=minus\n", "not an unsigned number");
    program.refuses(b"echo token\n", "not key=value");
    program.refuses(b"\xff\xfe\n", "not UTF-8");
    program.refuses(b"touch bytes=18446744073709551615\n", "");
    program.refuses(b"touch bytes=9000000000000000\n", "mmap");
    program.refuses(b"kernel name=dgemm n=64 isa=mmx millis=1 tsc_hz=1000000\n", "isa \"mmx\"");
    program.refuses(b"kernel name=fft n=100 isa=auto millis=1 tsc_hz=1000000\n", "power of two");
    program.refuses(b"kernel name=\x1b[2J n=1 isa=auto millis=1 tsc_hz=1000000\n", "unknown");
    program.answers(&Job::Echo(1));
    program.leaves();
}

#[test]
fn a_flood_without_newlines_meets_a_bound_and_is_answered_once() {
    let mut program = Program::start();
    program.send(&vec![b'x'; 20 * MAX_LINE]);
    program.refuses(b"\n", "4096 bytes");
    program.send(b"echo token=1\necho token=2\necho tok");
    assert_eq!([program.line(), program.line()], ["done token=1", "done token=2"]);
    program.send(b"en=3\n");
    assert_eq!(program.line(), "done token=3");
    let exact = format!("{:width$}\n", "echo token=4", width = MAX_LINE);
    program.send(exact.as_bytes());
    assert_eq!(program.line(), "done token=4");
    program.refuses(format!("{:width$}\n", "echo token=5", width = MAX_LINE + 1).as_bytes(), "4096 bytes");
    program.leaves();
}

#[test]
fn a_last_line_needs_no_newline() {
    let mut program = Program::start();
    program.send(b"echo token=9");
    program.hang_up();
    assert_eq!(program.line(), "done token=9");
    program.leaves();
}
