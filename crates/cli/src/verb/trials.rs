//! `isomark trials` (hidden): carries out single trials for another isomark that compares builds or payloads.
//!
//! One JSON line in, one out. First a greeting that says who this is; then for each request the sample of one trial,
//! timed here by this build's own stopwatch. Ends with its input, so that it never outlives who asked.

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use isomark_core::Variant;
use isomark_engine::interrupt::Interrupt;
use isomark_engine::plan::Found;
use isomark_engine::run::one;
use isomark_runtimes::Shelf;
use isomark_scenarios::SHELF;

use crate::args;
use crate::elsewhere::{Greeting, Request};
use crate::exit;
use crate::measure;
use crate::place::Place;
use crate::spec::Named;

/// The verb.
pub(crate) fn trials(args: &args::Trials) -> Result<u8> {
    // A terminal's Ctrl-C reaches this process too; who asked decides when it is over.
    let interrupt = Interrupt::install().context("install signal handlers")?;
    let place = Place::take()?;
    let shelf = Shelf::open(place.site(), args.catalogue.as_deref())?;
    let (payload, record) = measure::payload(args.payload.as_deref(), place.site())?;
    let variant = args.runtime.parse::<Variant>()?;
    let inner = shelf.find(&variant)?;
    place.guard()?;
    let named = Named { name: args.runtime.clone(), inner };
    let found = [Found::probe(&named)];
    let (bench, _) = measure::bench(args.deadline, payload, None, place.site());
    let mut out = std::io::stdout().lock();
    let runtime = found[0].record();
    let isomark = env!("CARGO_PKG_VERSION").to_owned();
    let greeting = Greeting { schema: Greeting::SCHEMA.into(), isomark, payload: record, runtime };
    writeln!(out, "{}", serde_json::to_string(&greeting)?)?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?).context("read a request")?;
        let sample = one(&request.cell, request.seed, &found, SHELF, &bench);
        writeln!(out, "{}", serde_json::to_string(&sample)?)?;
        out.flush()?;
        if interrupt.signal().is_some() {
            break;
        }
    }
    Ok(exit::FINE)
}
