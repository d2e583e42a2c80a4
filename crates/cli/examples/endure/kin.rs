//! Processes that descend from this one.
//!
//! We are the parent of orphans, so whatever a command has started and nobody has ended is among them, whatever it calls
//! itself and whichever groups it went to. Nobody else is ever signalled.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Parent, name, and whether it has ended.
type Known = BTreeMap<i32, (i32, String, bool)>;

fn everybody() -> Known {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
        let name = head.split_once('(').map_or("", |(_, name)| name).to_owned();
        Some((pid, (parent, name, matches!(state, "Z" | "X"))))
    })
    .collect()
}

/// Everybody that descends from a process, zombies left out, by pid: their names.
pub(crate) fn descendants_of(pid: i32) -> BTreeMap<i32, String> {
    let all = everybody();
    let (mut todo, mut found) = (vec![pid], BTreeMap::new());
    while let Some(of) = todo.pop() {
        for (pid, (_, name, dead)) in all.iter().filter(|(_, (parent, ..))| *parent == of) {
            todo.push(*pid);
            if !dead {
                found.insert(*pid, name.clone());
            }
        }
    }
    found
}

/// Everybody that descends from this process.
pub(crate) fn descendants() -> BTreeMap<i32, String> {
    descendants_of(own())
}

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// The guard beside a command, once it stands.
pub(crate) fn guard_of(command: i32) -> Option<i32> {
    descendants_of(command).into_keys().find(|pid| is_guard(*pid))
}

/// Whether a process is a guard, and lives.
pub(crate) fn is_guard(pid: i32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|b| *b == 0).nth(1) == Some(b"guard")
}

/// Kills one of our descendants; whether it was there. Nobody else can have its pid: who was not reaped keeps it, and we reap.
pub(crate) fn end(pid: i32) -> bool {
    descendants().contains_key(&pid) && kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
}

/// Waits until nobody descends from us, but not for ever: who is left.
pub(crate) fn wait_for_nobody(bound: Duration) -> BTreeMap<i32, String> {
    let until = Instant::now() + bound;
    loop {
        reap();
        let left = descendants();
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        sleep(Duration::from_millis(5));
    }
}

/// Kills everybody that descends from us, and whoever comes meanwhile, but not for ever.
pub(crate) fn end_everybody(bound: Duration) {
    let until = Instant::now() + bound;
    loop {
        reap();
        let left = descendants();
        if left.is_empty() || Instant::now() > until {
            return;
        }
        for pid in left.keys() {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        sleep(Duration::from_millis(5));
    }
}

fn reap() {
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
    {
    }
}
