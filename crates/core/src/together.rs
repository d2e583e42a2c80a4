//! Several things done at once, each in a thread of its own, all begun at the same moment.
//!
//! An instance dies with the thread that created it (the parent-death signal of `prctl(2)` follows the thread, not the
//! process), so a thread that creates instances here must also end them, or be the caller's own.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use crate::error::Error;

/// Holds threads back until all of them are there, or sends them home if one never comes: a host without room for another
/// thread must not make the others wait for it.
struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    missing: usize,
    closed: bool,
}

impl Gate {
    const fn new(wanted: usize) -> Self {
        Self { state: Mutex::new(State { missing: wanted, closed: false }), moved: Condvar::new() }
    }

    /// Waits for the others; whether they have all come.
    fn pass(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.missing = state.missing.saturating_sub(1);
        if state.missing == 0 {
            self.moved.notify_all();
        }
        let waits = |state: &mut State| state.missing > 0 && !state.closed;
        let state = self.moved.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        state.missing == 0
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.moved.notify_all();
    }
}

/// Does `work` for every item at once and gives what came out, in the items' order.
///
/// # Errors
/// The first failure in the items' order; all others have ended by then, too. Nothing is done for any of them if one
/// cannot have its thread.
pub fn together<I: Send, T: Send>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(usize, I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let items = items.into_iter().collect::<Vec<_>>();
    let gate = Gate::new(items.len());
    thread::scope(|scope| {
        let (work, gate) = (&work, &gate);
        let mut begun = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let doing = move || gate.pass().then(|| work(at, item));
            match thread::Builder::new().spawn_scoped(scope, doing) {
                Ok(thread) => begun.push(thread),
                Err(e) => {
                    gate.close();
                    return Err(Error::os("start a thread", e));
                }
            }
        }
        // A panic is a bug of ours and goes on as one.
        let ended = begun
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
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

    #[test]
    fn nobody_waits_for_a_thread_that_never_comes() {
        let gate = Gate::new(3);
        thread::scope(|scope| {
            let early = [(); 2].map(|()| scope.spawn(|| gate.pass()));
            gate.close();
            assert_eq!(early.map(|thread| thread.join().unwrap()), [false, false]);
        });
        assert!(Gate::new(1).pass());
    }
}
