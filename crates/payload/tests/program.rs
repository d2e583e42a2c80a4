//! The program over its pipes: ready, one answer per line whatever the line, leave at end of file.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

use isomark_payload::wire::MAX_LINE;
use isomark_payload::{Isa, Job, KERNELS, READY, Reply, answers};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    // Where `write` leaves its file; removed at the end.
    _folder: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_isomark-payload"))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut program = Self { child, input, output, _folder: folder };
        assert_eq!(program.line() + "\n", READY);
        program
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line.pop(), Some('\n'), "a whole line after {line:?}");
        line
    }

    fn send(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    #[track_caller]
    fn answers(&mut self, job: &Job) -> Reply {
        self.send(format!("{job}\n").as_bytes());
        let line = self.line();
        assert!(line.len() < MAX_LINE);
        let reply = Reply::parse(&line).unwrap_or_else(|e| panic!("{job}: {e}"));
        answers::check(job, &reply).unwrap_or_else(|e| panic!("{job}: {e}"));
        reply
    }

    #[track_caller]
    fn refuses(&mut self, line: &[u8], with: &str) {
        self.send(line);
        let answer = self.line();
        assert!(answer.starts_with("error ") && answer.contains(with), "{answer}");
    }

    /// Closes its input: no more lines, exit 0.
    fn leaves(mut self) {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), self.child.wait().unwrap().code()), ("", Some(0)));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    drop(program.input.take());
    assert_eq!(program.line(), "done token=9");
    program.leaves();
}
