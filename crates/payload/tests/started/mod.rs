//! The payload's program as its harness starts it: in a folder of its own, with a line down and a line up.
//!
//! Dropped, its input ends and it is waited for, so that whatever it planted has gone with it.

#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test; the exception for tests does not see helpers"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use isomark_payload::wire::MAX_LINE;
use isomark_payload::{Job, Probe, READY, Reply, answers};

pub(crate) struct Program {
    pub(crate) child: Child,
    /// Where `write` and `fill` leave their file.
    pub(crate) folder: tempfile::TempDir,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_isomark-payload"))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut program = Self { child, folder, input, output };
        assert_eq!(program.line() + "\n", READY);
        program
    }

    /// Its next line, whole and without its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line.pop(), Some('\n'), "a whole line after {line:?}");
        line
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn ask(&mut self, job: &Job) {
        self.send(format!("{job}\n").as_bytes());
    }

    /// No more lines from us.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    #[track_caller]
    pub(crate) fn answers(&mut self, job: &Job) -> Reply {
        self.ask(job);
        let line = self.line();
        assert!(line.len() < MAX_LINE);
        let reply = Reply::parse(&line).unwrap_or_else(|e| panic!("{job}: {e}"));
        answers::check(job, &reply).unwrap_or_else(|e| panic!("{job}: {e}"));
        reply
    }

    #[track_caller]
    pub(crate) fn refuses(&mut self, line: &[u8], with: &str) {
        self.send(line);
        let answer = self.line();
        assert!(answer.starts_with("error ") && answer.contains(with), "{answer}");
    }

    /// Whether a probe sees.
    #[track_caller]
    pub(crate) fn sees(&mut self, probe: Probe) -> bool {
        self.answers(&Job::Probe(probe)).u64("seen") == Ok(1)
    }

    /// The end of a payload whose job has no answer.
    #[track_caller]
    pub(crate) fn ends(mut self, job: &Job) -> ExitStatus {
        self.ask(job);
        self.rest()
    }

    /// Closes its input: no more lines, exit 0.
    #[track_caller]
    pub(crate) fn leaves(mut self) {
        self.hang_up();
        assert_eq!(self.rest().code(), Some(0));
    }

    /// Its end, before which it says nothing.
    #[track_caller]
    fn rest(&mut self) -> ExitStatus {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.hang_up();
        let _ = self.child.wait();
    }
}
