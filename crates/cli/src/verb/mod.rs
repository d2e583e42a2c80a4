//! One file a verb.

pub(crate) mod ab;
pub(crate) mod baseline;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod merge;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod trials;
