//! Which system calls untrusted code reaches.
//!
//! All numbers are tried in one instance; where a call ends the program, the numbers are halved and tried again in fresh
//! instances until the one that kills stands alone.

use std::time::Duration;

use isomark_core::payload::{Class, Job};
use isomark_core::{Error, Kind, Spec, Trial};

use super::wrong;

/// Numbers of Linux on x86-64 as of 6.17; later ones answer like unknown ones.
pub const LAST: u64 = 469;
/// Bound on a sweep: one that hangs has been stopped by what it called.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sweeps, and notes how many calls there are of each class.
pub(super) fn sweep(trial: &Trial<'_>) -> Result<(), Error> {
    let classes = between(0, LAST, &|first, last| batch(trial, first, last))?;
    let count = |class: Class| classes.matches(class.word()).count() as f64;
    let reached = count(Class::Reached);
    trial.note("calls-reached", reached);
    trial.note("calls-refused", count(Class::Refused));
    trial.note("calls-absent", count(Class::Absent));
    trial.note("calls-killed", count(Class::Killed));
    interface(trial, reached).into_iter().for_each(|calls| trial.note("interface", calls));
    trial.remark("classes", classes);
    Ok(())
}

/// The calls of the host's kernel that stand behind those: what the monitor may call, or what the program itself reaches.
///
/// A container may have a kernel of its own in user space (its facts name it): what is reached is then that kernel's, and
/// what that one asks of the host's is known to nobody but itself.
fn interface(trial: &Trial<'_>, reached: f64) -> Option<f64> {
    let identity = trial.identity();
    let shared =
        matches!(trial.kind(), Kind::Process | Kind::Container) && !identity.details.contains_key("kernel");
    identity.monitor_calls.map(|calls| calls as f64).or(shared.then_some(reached))
}

/// The classes of these numbers, or nothing if the program did not survive them.
fn batch(trial: &Trial<'_>, first: u64, last: u64) -> Result<Option<String>, Error> {
    let mut sandbox = trial.create(&Spec { deadline: DEADLINE, ..trial.spec() })?;
    sandbox.start()?;
    match sandbox.run(&Job::Sweep { first, last }) {
        Ok(reply) => {
            let classes = reply.str("classes").map_err(wrong)?.to_owned();
            // What the sweep did to the instance must not matter: whether it ends well is no part of the question.
            drop(sandbox);
            Ok(Some(classes))
        }
        Err(Error::Died { .. } | Error::Timeout { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The classes of all numbers from `first` to `last`: halves what did not survive.
///
/// # Errors
/// The first that `batch` gives.
pub fn between(
    first: u64,
    last: u64,
    batch: &dyn Fn(u64, u64) -> Result<Option<String>, Error>,
) -> Result<String, Error> {
    match batch(first, last)? {
        Some(classes) => Ok(classes),
        None if first == last => Ok(Class::Killed.word().to_owned()),
        None => {
            let middle = first + (last - first) / 2;
            Ok(between(first, middle, batch)? + &between(middle + 1, last, batch)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_kills_is_found_by_halving() {
        let asked = Cell::new(0);
        let batch = |first: u64, last: u64| {
            asked.set(asked.get() + 1);
            let dies = [3, 7].iter().any(|nr| (first..=last).contains(nr));
            Ok((!dies).then(|| (first..=last).map(|_| "r").collect::<String>()))
        };
        assert_eq!(between(0, 9, &batch).unwrap(), "rrrkrrrkrr");
        assert!(asked.get() < 20);
        let refused = between(0, 9, &|_, _| Err(Error::Unsupported("no".into())));
        assert!(refused.is_err());
    }
}
