//! What a VMM tells at its end: inner steps, counts, what was not served, and how the program ended.
//!
//! The text comes from a process that held a hostile guest, so it is read with a bound and believed in no more than
//! its form.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use isomark_core::Error;

/// Longest story read, in bytes; a pipe holds this much and the VMM writes no more than it takes.
const MAX_STORY: u64 = 64 << 10;

/// Most steps and most names of calls that a story may hold, and the longest of them, in bytes: they become part of a line of
/// the run's file, which has a bound of its own.
const MOST: usize = 600;
const LONGEST: usize = 64;

/// The reading end of a VMM's status pipe.
#[derive(Debug)]
pub(super) struct Story(File);

/// How a guest's program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It left with this status.
    Exit(i32),
    /// It was saved as a snapshot.
    Saved,
    /// It was ended by this signal.
    Signal(i32),
    /// The machine could not go on, in words.
    Broken(String),
    /// The file is not a program that can run here.
    Input(String),
}

/// A story that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) steps: Vec<(String, u64)>,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) unserved: Vec<String>,
    pub(super) end: Option<End>,
}

impl Story {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self(File::from(fd))
    }

    /// Reads everything; the VMM has ended, so nothing is waited for.
    pub(super) fn read(&mut self) -> Result<Told, Error> {
        let mut bytes = Vec::new();
        (&mut self.0)
            .take(MAX_STORY)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::os("read the VMM's story", e))?;
        Ok(parse(&String::from_utf8_lossy(&bytes)))
    }
}

fn parse(text: &str) -> Told {
    let mut told = Told::default();
    for line in text.lines() {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (verb, rest.rsplit_once(' ')) {
            ("step" | "unserved", _) if rest.len() > LONGEST => {}
            ("step", Some((name, ns))) if told.steps.len() < MOST => {
                told.steps.extend(ns.parse().ok().map(|ns| (name.to_owned(), ns)));
            }
            ("unserved", Some((name, count))) if told.unserved.len() < MOST => {
                told.unserved.push(format!("{name} ×{count}"));
            }
            ("exits" | "syscalls", _) => {
                told.counts.extend(rest.parse().ok().map(|count| (verb.to_owned(), count)));
            }
            ("end", _) => told.end = end(rest),
            _ => {}
        }
    }
    told
}

fn end(text: &str) -> Option<End> {
    let (how, rest) = text.split_once(' ').unwrap_or((text, ""));
    match how {
        "saved" => Some(End::Saved),
        "exit" => rest.parse::<u8>().ok().map(|code| End::Exit(code.into())),
        "signal" => rest.parse().ok().filter(|signal| (1..=64).contains(signal)).map(End::Signal),
        "unserved" => Some(End::Broken(format!("the program needs what microvm does not serve: {rest}"))),
        "fault" => Some(End::Broken(format!("the virtual machine stopped: {rest}"))),
        "program" => Some(End::Input(rest.to_owned())),
        "internal" => Some(End::Broken(format!("the VMM failed: {rest}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_is_read_line_by_line() {
        let told =
            parse("step vm made 12\nexits 3\nsyscalls 9\nunserved clone (threads or fork) 2\nend exit 7\n");
        assert_eq!(told.steps, [("vm made".to_owned(), 12)]);
        assert_eq!((told.counts["exits"], told.counts["syscalls"]), (3, 9));
        assert_eq!(told.unserved, ["clone (threads or fork) ×2"]);
        assert_eq!(told.end, Some(End::Exit(7)));
    }

    #[test]
    fn a_story_has_bounds_beside_its_length() {
        let long = "x".repeat(LONGEST);
        assert_eq!(parse(&format!("step {long} 1\nunserved {long} 1\n")), Told::default());
        let many = parse(&"step x 1\nunserved y 2\n".repeat(10 * MOST));
        assert_eq!((many.steps.len(), many.unserved.len()), (MOST, MOST));
    }

    #[test]
    fn nonsense_is_no_story() {
        assert_eq!(parse("step\nstep x y\nend\nend exit many\nexits -1\n\u{1b}[31m\n"), Told::default());
        assert_eq!(parse("end signal 11").end, Some(End::Signal(11)));
        // Numbers that no program can end with would be reckoned with: a shell's status is 128 and the signal.
        for text in ["end signal 2147483647", "end signal 0", "end signal 65", "end exit 256", "end exit -1"]
        {
            assert_eq!(parse(text), Told::default(), "{text}");
        }
        assert!(matches!(parse("end unserved socket").end, Some(End::Broken(why)) if why.contains("socket")));
    }
}
