//! Going wrong on purpose: what an instance must survive or end at, and its neighbours must not notice.
//!
//! Each way has a bound of its own, in time and in size, that holds where the runtime sets none; what is taken before
//! that bound is told, so that the harness can see whose limit it was.

use crate::clock::ticks;
use crate::data::{EMPTY, fold};
use crate::sys::call::{crash, halt, limit, survive_file_limit};
use crate::sys::child::{Brood, leave, pause};
use crate::sys::{Array, Fd};
use crate::wire::{Break, Reply, WireError};
use std::ffi::c_long;
use std::hint::black_box;

/// Bytes of one step of taking memory and of filling a file.
const STEP: usize = 1 << 20;
/// What the program itself maps, in bytes, at the most: stays possible under the limit.
const OWN: u64 = 64 << 20;
/// With what status a payload leaves that was told to.
const STATUS: u8 = 3;

/// The answer to the job `break`, for the ways that have one.
///
/// # Errors
/// If a crash did not end the program, or nothing can be begun.
pub(crate) fn job(how: Break, most: u64, millis: u64, tsc_hz: u64) -> Result<Reply, WireError> {
    let reply = Reply::new().with("how", how.word());
    match how {
        Break::Crash => crash(),
        Break::Privileged => halt(),
        Break::Leave => leave(STATUS),
        Break::Memory => return Ok(took(reply, memory(most))),
        Break::Fork => return Ok(took(reply, children(most, millis))),
        Break::Fill => return fill(most).map(|end| took(reply, end)),
        Break::Spin => {
            let until = ticks().saturating_add(millis.saturating_mul(tsc_hz / 1000));
            while ticks() < until {
                black_box((0..100_000).fold(EMPTY, fold));
            }
            return Ok(took(reply, (millis, false)));
        }
    }
    Err(WireError(format!("break {}: the program is still there", how.word())))
}

/// How much was taken, and whether the kernel refused more.
fn took(reply: Reply, (taken, refused): (u64, bool)) -> Reply {
    reply.with("taken", taken).with("refused", u8::from(refused))
}

fn memory(most: u64) -> (u64, bool) {
    limit(libc::RLIMIT_AS as c_long, most.saturating_add(OWN));
    let mut held: Vec<Array<u64>> = Vec::new();
    while (held.len() as u64 + 1) * STEP as u64 <= most {
        let Ok(mut more) = Array::<u64>::zeroed(STEP / 8) else {
            return (held.len() as u64 * STEP as u64, true);
        };
        more.iter_mut().step_by(512).for_each(|word| *word = 1);
        held.push(more);
    }
    (held.len() as u64 * STEP as u64, false)
}

fn children(most: u64, millis: u64) -> (u64, bool) {
    let seconds = u32::try_from(millis / 1000 + 1).unwrap_or(60).min(60);
    let mut brood = Brood::default();
    while brood.len() < most {
        if brood.start(seconds, pause).is_err() {
            return (brood.len(), true);
        }
    }
    (brood.len(), false)
}

fn fill(most: u64) -> Result<(u64, bool), WireError> {
    limit(libc::RLIMIT_FSIZE as c_long, most);
    survive_file_limit();
    let file = Fd::create(c"isomark.dat")?;
    let chunk = vec![0xa5; STEP];
    let mut written = 0;
    while written < most {
        match file.write(&chunk) {
            Ok(put) if put > 0 => written += put as u64,
            _ => return Ok((written, true)),
        }
    }
    Ok((written, false))
}
