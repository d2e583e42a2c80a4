//! The real binary, as a user meets it: what it prints, what it leaves, what it refuses and how it ends.
//!
//! Every test has a directory and a state of its own below `/var/tmp`. What a host lacks is a printed skip, and
//! `ISOMARK_REQUIRE=namespace,microvm,busybox,gcc,root` turns each into a failure. No test asserts on how long
//! something took.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

mod ab;
mod across;
mod catalogue;
mod collect;
mod contract;
mod degraded;
mod density;
mod elf;
#[path = "../../../report/tests/english/mod.rs"]
mod english;
mod examples;
mod exec;
mod fleet;
mod gate;
mod ground;
mod inputs;
mod kernels;
mod killed;
mod laid;
mod ledger;
mod liar;
mod lock;
mod masks;
mod partition;
mod refusals;
mod straits;
