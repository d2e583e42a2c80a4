//! Several things done at once, each in a thread of its own, all begun at the same moment.
//!
//! An instance dies with the thread that created it (the parent-death signal of `prctl(2)` follows the thread, not the
//! process), so a thread that creates instances here must also end them, or be the caller's own.

use std::sync::Barrier;
use std::thread;

use crate::error::Error;

/// Does `work` for every item at once and gives what came out, in the items' order.
///
/// # Errors
/// The first failure in the items' order; all others have ended by then, too.
pub fn together<I: Send, T: Send>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(usize, I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let items = items.into_iter().collect::<Vec<_>>();
    let begin = Barrier::new(items.len());
    thread::scope(|scope| {
        let (work, begin) = (&work, &begin);
        let one = |(at, item)| {
            let doing = move || {
                begin.wait();
                work(at, item)
            };
            thread::Builder::new().spawn_scoped(scope, doing)
        };
        let begun = items.into_iter().enumerate().map(one).collect::<Vec<_>>();
        begun.into_iter().map(ended).collect()
    })
}

fn ended<T>(begun: std::io::Result<thread::ScopedJoinHandle<'_, Result<T, Error>>>) -> Result<T, Error> {
    let thread = begun.map_err(|e| Error::os("start a thread", e))?;
    // A panic is a bug of ours and goes on as one.
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn all_run_at_once_and_come_back_in_order() {
        let (running, most) = (AtomicUsize::new(0), Barrier::new(4));
        let out = together(["a", "b", "c", "d"], |at, word| {
            running.fetch_add(1, Ordering::SeqCst);
            // Nobody passes before all four are here.
            most.wait();
            Ok((at, word, running.load(Ordering::SeqCst)))
        });
        assert_eq!(out.unwrap(), [(0, "a", 4), (1, "b", 4), (2, "c", 4), (3, "d", 4)]);
        assert!(together(Vec::<u8>::new(), |_, _| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn the_first_failure_is_told_and_everybody_is_done_by_then() {
        let done = AtomicUsize::new(0);
        let out = together(0..3, |_, n| {
            done.fetch_add(1, Ordering::SeqCst);
            if n == 0 { Ok(()) } else { Err(Error::Unsupported(format!("{n} failed"))) }
        });
        assert_eq!(out.unwrap_err().to_string(), "1 failed");
        assert_eq!(done.load(Ordering::SeqCst), 3);
    }
}
