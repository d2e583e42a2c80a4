//! What goes wrong beside the kill of a run, drawn from the seed.
//!
//! Each misfortune is one that a host knows: the out-of-memory killer takes the guard or who cleans up, too; a job is stopped
//! by a terminal; the power goes while a line is being written.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use isomark_core::payload::data::SplitMix;

use crate::Failure;

/// When the guard of a run is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guard {
    Lives,
    /// Before the run is.
    Before,
    /// So long after the run was: it may be at work.
    After(Duration),
}

/// What becomes of a file that grows when the power goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Torn {
    /// So many bytes of the last line are missing.
    Cut(usize),
    /// The next line was begun.
    Half,
    /// The file has its length already, and not its content.
    Zeros(usize),
}

/// The misfortunes of one turn.
#[derive(Debug)]
pub(crate) struct Luck {
    pub(crate) guard: Guard,
    /// Kills of the commands that settle, by how long each has run.
    pub(crate) settlers: Vec<Duration>,
    /// How long the run is stopped before it is killed, and whether it goes on in between.
    pub(crate) stopped: Option<(Duration, bool)>,
    pub(crate) torn: Option<Torn>,
}

impl Luck {
    /// As many numbers are drawn whatever comes of them: one change of a chance does not move all that follows.
    pub(crate) fn draw(rng: &mut SplitMix) -> Self {
        let (guard, after) = (rng.below(8), from_to(rng, 0.1, 40.0));
        let (times, first, second) = (rng.below(4), from_to(rng, 1.0, 60.0), from_to(rng, 1.0, 60.0));
        let (stop, stopped, goes_on) = (rng.below(8), from_to(rng, 5.0, 400.0), rng.below(2) == 0);
        let (torn, bytes) = (rng.below(8), rng.below(4096));
        let guard = match guard {
            0 | 1 => Guard::Before,
            2 => Guard::After(after),
            _ => Guard::Lives,
        };
        let settlers = match (guard, times) {
            // A guard that lives leaves nothing to settle.
            (Guard::Before, 1 | 2) => vec![first],
            (Guard::Before, 3) => vec![first, second],
            _ => Vec::new(),
        };
        let torn = match torn {
            0 => Some(Torn::Cut(1 + bytes % 100)),
            1 => Some(Torn::Half),
            2 => Some(Torn::Zeros(1 + bytes)),
            _ => None,
        };
        Self { guard, settlers, stopped: (stop == 0).then_some((stopped, goes_on)), torn }
    }
}

/// A time between two bounds in ms, short ones as likely as long ones: what is at work early is as much as what is late.
fn from_to(rng: &mut SplitMix, least: f64, most: f64) -> Duration {
    let part = rng.below(1000) as f64 / 1000.0;
    Duration::from_secs_f64(least * (most / least).powf(part) / 1000.0)
}

impl Torn {
    /// Does it to a file of lines; a file without any is left as it is. How many whole lines it has then.
    pub(crate) fn tear(self, path: &Path) -> Result<usize, Failure> {
        let bytes = fs::read(path)?;
        let last = bytes.split_inclusive(|b| *b == b'\n').next_back().unwrap_or_default();
        if !bytes.is_empty() {
            let mut file = OpenOptions::new().append(true).open(path)?;
            match self {
                Self::Cut(most) => file.set_len((bytes.len() - most.min(last.len())) as u64)?,
                Self::Half => file.write_all(&last[..last.len() / 2])?,
                Self::Zeros(count) => file.write_all(&vec![0; count])?,
            }
        }
        Ok(fs::read(path)?.iter().filter(|b| **b == b'\n').count())
    }
}
