//! Bounded nuisances: what a bad neighbour does, in rounds of a few milliseconds.
//!
//! A storm ends when the next line comes, when its time is over, or with the payload; the time-stamp counter is its
//! only clock. Resource limits stand behind that: they hold where the runtime sets none, and where a bound here is wrong.
//! What the kernel refuses is counted and is no error: to be refused is what limits are for.

use crate::clock::ticks;
use crate::data::{EMPTY, fold, mix};
use crate::lines::write_all;
use crate::sys::call::limit;
use crate::sys::child::Brood;
use crate::sys::{Array, Fd};
use crate::wire::{Reply, Storm, WireError};
use std::ffi::c_long;
use std::hint::black_box;

/// Bytes of one step of streaming, mapping and writing.
const STEP: usize = 4 << 20;
/// Words of a page.
const PAGE_WORDS: usize = 512;
/// Bytes written before each sync.
const BURST: usize = 64 << 10;
/// How long a child of a fork storm lives, in ms.
const CHILD_MILLIS: u64 = 5;

/// What the program itself has beside what the storm takes, in bytes, at the most.
const OWN: u64 = 256 << 20;
/// CPU time that it has beside the storm's own, in s, at the most.
const OWN_SECONDS: u64 = 30;

/// Limits of the process and of each of its children: address space, size of a file, CPU time.
fn bound(most: u64, millis: u64) {
    limit(libc::RLIMIT_AS as c_long, most.saturating_add(OWN));
    limit(libc::RLIMIT_FSIZE as c_long, most.saturating_add(OWN));
    limit(libc::RLIMIT_CPU as c_long, (millis / 1000).saturating_add(OWN_SECONDS));
}

/// A storm that rages.
pub(crate) struct Raging {
    kind: Storm,
    most: u64,
    per_ms: u64,
    began: u64,
    until: u64,
    rounds: u64,
    refused: u64,
    ended: Option<u64>,
    what: What,
}

/// What a storm holds meanwhile.
enum What {
    Spin(u64),
    Stream(Array<u64>, Array<u64>, usize),
    Thrash(Array<u64>, u64),
    Fork(Brood),
    Allocate(Vec<Array<u64>>),
    Sync(Fd, u64),
}

impl Raging {
    /// Makes ready and does the first round, so that the reply means: it rages.
    ///
    /// # Errors
    /// If the kernel knows no such thing, or `most` is too small for anything.
    pub(crate) fn begin(
        kind: Storm,
        most: u64,
        millis: u64,
        tsc_hz: u64,
    ) -> Result<(Self, Reply), WireError> {
        let per_ms = tsc_hz / 1000;
        if per_ms == 0 || most == 0 || millis == 0 {
            return Err(WireError(format!(
                "most={most}, millis={millis} and tsc_hz={tsc_hz} leave no storm"
            )));
        }
        bound(most, millis);
        let before = ticks();
        let words = usize::try_from(most / 8).unwrap_or(0).max(STEP / 4);
        let what = match kind {
            Storm::Spin => What::Spin(EMPTY),
            Storm::Stream => What::Stream(touched(words / 2)?, touched(words / 2)?, 0),
            Storm::Thrash => What::Thrash(touched(words)?, 0),
            Storm::Fork => What::Fork(Brood::default()),
            Storm::Allocate => What::Allocate(Vec::new()),
            Storm::Sync => What::Sync(Fd::create(c"isomark.storm")?, 0),
        };
        let began = ticks();
        let until = began.saturating_add(millis.saturating_mul(per_ms));
        let mut storm = Self { kind, most, per_ms, began, until, rounds: 0, refused: 0, ended: None, what };
        storm.round()?;
        if storm.refused > 0 && storm.idle() {
            return Err(WireError(format!("storm {}: refused at once", kind.word())));
        }
        let reply = Reply::new().with("kind", kind.word()).with("setup_ticks", began.saturating_sub(before));
        Ok((storm, reply))
    }

    /// Whether it has nothing of what it takes.
    fn idle(&self) -> bool {
        match &self.what {
            What::Fork(brood) => brood.len() == 0,
            What::Allocate(held) => held.is_empty(),
            What::Spin(_) | What::Stream(..) | What::Thrash(..) | What::Sync(..) => false,
        }
    }

    /// Whether its time is over; what it held is given back then.
    pub(crate) fn over(&mut self) -> bool {
        let now = ticks();
        if self.ended.is_none() && now >= self.until {
            self.end(now);
        }
        self.ended.is_some()
    }

    fn end(&mut self, now: u64) {
        self.ended = Some(now);
        self.what = What::Spin(0);
    }

    /// Ends it, if it has not ended by itself, and tells what it did.
    pub(crate) fn calm(mut self) -> Reply {
        let over = self.over();
        let now = self.ended.unwrap_or_else(ticks);
        Reply::new()
            .with("kind", self.kind.word())
            .with("rounds", self.rounds)
            .with("refused", self.refused)
            .with("ticks", now.saturating_sub(self.began))
            .with("over", u8::from(over))
    }

    /// A few milliseconds of it.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn round(&mut self) -> Result<(), WireError> {
        self.rounds += 1;
        let (most, lives) = (self.most, CHILD_MILLIS * self.per_ms);
        let refused = match &mut self.what {
            What::Spin(hash) => {
                *hash = black_box((0..1_000_000).fold(*hash, fold));
                false
            }
            What::Stream(from, to, at) => {
                *at = stream(from, to, *at);
                false
            }
            What::Thrash(table, index) => {
                *index = thrash(table, *index);
                false
            }
            What::Fork(brood) => fork(brood, most, lives),
            What::Allocate(held) => allocate(held, most),
            What::Sync(file, written) => return sync(file, written, most),
        };
        self.refused += u64::from(refused);
        Ok(())
    }
}

/// Fresh memory whose pages are all there.
fn touched(words: usize) -> Result<Array<u64>, WireError> {
    let mut array = Array::zeroed(words)?;
    array.iter_mut().step_by(PAGE_WORDS).for_each(|word| *word = 1);
    Ok(array)
}

/// Copies the next step and gives where the one after begins.
fn stream(from: &Array<u64>, to: &mut Array<u64>, at: usize) -> usize {
    let end = (at + STEP / 8).min(from.len());
    to[at..end].copy_from_slice(black_box(&from[at..end]));
    if end == from.len() { 0 } else { end }
}

fn thrash(table: &mut Array<u64>, index: u64) -> u64 {
    let entries = table.len() as u64;
    for value in (index..index + 65_536).map(mix) {
        table[(value % entries) as usize] ^= value;
    }
    index + 65_536
}

/// Fills the brood up and waits for one to end; true if the kernel refused one.
fn fork(brood: &mut Brood, most: u64, lives: u64) -> bool {
    let mut refused = false;
    while brood.len() < most && !refused {
        refused = brood.start(1, || while_ticks(lives)).is_err();
    }
    if brood.len() == 0 {
        while_ticks(lives);
    }
    brood.wait_one();
    refused
}

fn while_ticks(lives: u64) {
    let until = ticks() + lives;
    while ticks() < until {
        black_box((0..1000).fold(EMPTY, fold));
    }
}

/// Takes one step more, or gives all back at `most`; true if the kernel refused.
fn allocate(held: &mut Vec<Array<u64>>, most: u64) -> bool {
    if (held.len() + 1) * STEP > most as usize {
        held.clear();
    }
    match touched(STEP / 8) {
        Ok(more) => held.push(more),
        Err(_) => held.clear(),
    }
    held.is_empty()
}

fn sync(file: &Fd, written: &mut u64, most: u64) -> Result<(), WireError> {
    write_all(file, &[*written as u8; BURST])?;
    *written += BURST as u64;
    file.sync()?;
    if *written >= most {
        *written = 0;
        file.rewind()?;
    }
    Ok(())
}
