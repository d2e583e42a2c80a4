//! The payload's life: say ready, answer jobs, leave at end of file.
//!
//! The ready line is the first thing that happens, before any allocation. Every line gets exactly one answer in
//! one write; nothing a line says can end the program, except `break`, whose purpose it is.

use crate::data::{EMPTY, fold};
use crate::kernels;
use crate::lines::{Line, Lines, write_all};
use crate::probe::{self, Canaries};
use crate::storm::Raging;
use crate::sys::{Array, Fd};
use crate::windows::Asked;
use crate::wire::{Job, READY, Reply, WireError};
use crate::{cpu, files, sweep, wreck};

/// Runs until end of file. Returns the exit status: 0, or 1 if the pipe to the harness broke.
#[must_use]
pub fn run() -> i32 {
    i32::from(write_all(&Fd::STDOUT, READY.as_bytes()).and_then(|()| serve()).is_err())
}

/// What jobs leave behind for later ones.
#[derive(Default)]
struct Held {
    /// What `touch` mapped, until `free`.
    touched: Vec<Array<u64>>,
    /// The storm that rages between lines, until `calm`.
    storm: Option<Raging>,
    /// What was planted, until the end.
    canaries: Vec<Canaries>,
}

fn serve() -> Result<(), WireError> {
    let mut held = Held::default();
    let mut lines = Lines::new(&Fd::STDIN);
    loop {
        held.rage(&lines);
        let Some(line) = lines.next()? else { return Ok(()) };
        let reply = match line {
            Line::Text(text) => text.parse().and_then(|job| answer(&job, &mut held)),
            Line::Bad(why) => Err(why),
        };
        write_all(&Fd::STDOUT, render(reply).as_bytes())?;
    }
}

impl Held {
    /// Lets the storm rage until a line waits or its time is over.
    fn rage(&mut self, lines: &Lines<'_>) {
        let Some(storm) = &mut self.storm else { return };
        while !storm.over() && !lines.waits() {
            if storm.round().is_err() {
                // A disk that is full or gone: there is nobody to tell until the next line.
                return;
            }
        }
    }
}

/// One line, newline included. An error quotes what it was given, so it is kept to one line of bounded length.
fn render(reply: Result<Reply, WireError>) -> String {
    match reply {
        Ok(reply) => format!("{reply}\n"),
        Err(WireError(why)) => {
            let plain = why.chars().map(|c| if c.is_control() { ' ' } else { c });
            format!("error {}\n", plain.take(500).collect::<String>())
        }
    }
}

fn answer(job: &Job, held: &mut Held) -> Result<Reply, WireError> {
    match job {
        Job::Echo(token) => Ok(Reply::new().with("token", token)),
        Job::Touch { bytes } => {
            let (map, reply) = files::touch(*bytes)?;
            held.touched.push(map);
            Ok(reply)
        }
        Job::Free => {
            let bytes: usize = held.touched.drain(..).map(|map| map.len() * 8).sum();
            Ok(Reply::new().with("bytes", bytes))
        }
        Job::Write { bytes } => files::write(*bytes),
        Job::Kernel { name, n, isa, millis, tsc_hz, injected } => {
            let asked = Asked { millis: *millis, tsc_hz: *tsc_hz, injected: *injected };
            kernels::job(name, *n, *isa, asked)
        }
        Job::Work { steps } => Ok(Reply::new().with("check", (0..*steps).fold(EMPTY, fold))),
        Job::Features => Ok(cpu::features()),
        Job::Storm { kind, most, millis, tsc_hz } => {
            let (storm, reply) = Raging::begin(*kind, *most, *millis, *tsc_hz)?;
            held.storm = Some(storm);
            Ok(reply)
        }
        Job::Calm => {
            let storm = held.storm.take().ok_or_else(|| WireError("calm: there is no storm".into()))?;
            Ok(storm.calm())
        }
        Job::Break { how, most, millis, tsc_hz } => wreck::job(*how, *most, *millis, *tsc_hz),
        Job::Probe(probe) => probe::job(probe),
        Job::Plant { token } => {
            let (canaries, reply) = probe::plant(*token)?;
            held.canaries.push(canaries);
            Ok(reply)
        }
        Job::Sweep { first, last } => sweep::job(*first, *last),
    }
}
