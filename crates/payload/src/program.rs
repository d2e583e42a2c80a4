//! The payload's life: say ready, answer jobs, leave at end of file.
//!
//! The ready line is the first thing that happens, before any allocation. Every line gets exactly one answer in
//! one write; nothing a line says can end the program.

use crate::kernels;
use crate::lines::{Line, Lines, write_all};
use crate::sys::{Array, Fd};
use crate::windows::Asked;
use crate::wire::{Job, READY, Reply, WireError};
use crate::{cpu, files};

/// Runs until end of file. Returns the exit status: 0, or 1 if the pipe to the harness broke.
#[must_use]
pub fn run() -> i32 {
    i32::from(write_all(&Fd::STDOUT, READY.as_bytes()).and_then(|()| serve()).is_err())
}

fn serve() -> Result<(), WireError> {
    let mut held = Vec::new();
    let mut lines = Lines::new(&Fd::STDIN);
    while let Some(line) = lines.next()? {
        let reply = match line {
            Line::Text(text) => text.parse().and_then(|job| answer(&job, &mut held)),
            Line::Bad(why) => Err(why),
        };
        write_all(&Fd::STDOUT, render(reply).as_bytes())?;
    }
    Ok(())
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

/// What `touch` maps stays in `held` until the end.
fn answer(job: &Job, held: &mut Vec<Array<u64>>) -> Result<Reply, WireError> {
    match job {
        Job::Echo(token) => Ok(Reply::new().with("token", token)),
        Job::Touch { bytes } => {
            let (map, reply) = files::touch(*bytes)?;
            held.push(map);
            Ok(reply)
        }
        Job::Write { bytes } => files::write(*bytes),
        Job::Kernel { name, n, isa, millis, tsc_hz, injected } => {
            let asked = Asked { millis: *millis, tsc_hz: *tsc_hz, injected: *injected };
            kernels::job(name, *n, *isa, asked)
        }
        Job::Features => Ok(cpu::features()),
    }
}
