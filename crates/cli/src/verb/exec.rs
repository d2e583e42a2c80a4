//! `isomark exec`: any static program, once, in a runtime, as if it were started by the shell.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use isomark_core::runtime::{Program, Stdio};
use isomark_core::{Ability, Error, Features, Identity, Image, Origin, Runtime, Spec, Usage, Variant};
use isomark_engine::{host, interrupt, settle};
use isomark_runtimes::Shelf;
use signal_hook::iterator::Signals;

use crate::args;
use crate::exit::{self, With};
use crate::place::Place;

/// "Without a deadline": longer than any program that is waited for.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The verb. Its exit code is the program's.
pub(crate) fn exec(args: &args::Exec) -> Result<u8> {
    let name = args.command.first().context("name a program after --")?;
    let image = Image::open(&find(name)?)?;
    let mut env = environment();
    for (key, value) in &args.env {
        env.retain(|(known, _)| known != key);
        env.push((key.clone(), value.clone()));
    }
    // Before anything is made: a probe starts processes too.
    let signals = Signals::new(interrupt::ends()).context("install signal handlers")?;
    let place = Place::take()?;
    let watch = watch(signals, place.site()).context("start a thread")?;
    let done = carry_out(args, &place, (image, env), &watch);
    while watch.asked.load(Ordering::Relaxed) {
        // The instance ended because it was taken away: that thread ends this process, with the signal's own code.
        watch.idle.store(true, Ordering::Relaxed);
        std::thread::park();
    }
    done
}

/// The program in its runtime, from beginning to end.
fn carry_out(
    args: &args::Exec,
    place: &Place,
    (image, env): (Image, Vec<(String, String)>),
    watch: &Watch,
) -> Result<u8> {
    let (name, rest) = args.command.split_first().context("name a program after --")?;
    let shelf = super::shelf(place.site(), &args.guest)?;
    let (runtime, origin, cpu) = pick(&shelf, &args.runtime)?;
    place.guard()?;
    let program = Program { image, name: name.clone(), args: rest.to_vec(), env, stdio: Stdio::Inherit };
    let spec = Spec {
        memory: args.memory,
        cpus: host::cpus(),
        origin,
        cpu,
        deadline: args.deadline.unwrap_or(FOREVER),
        ..Spec::new(program)
    };
    let usage = once(runtime.as_ref(), &spec, watch)?;
    if !usage.unserved.is_empty() {
        // Told by a process that held the program: words, and nothing else.
        let told = isomark_report::fmt::clean(&usage.unserved.join(", "));
        eprintln!("isomark: {} did not serve: {told}", args.runtime);
    }
    Ok(u8::try_from(usage.exit.shell_status() & 0xff).unwrap_or(exit::INTERNAL))
}

fn once(runtime: &dyn Runtime, spec: &Spec, watch: &Watch) -> Result<Usage, Error> {
    runtime.prepare(spec)?;
    let mut instance = runtime.create(spec)?;
    let started = instance.start();
    watch.idle.store(true, Ordering::Relaxed);
    let usage = started.and_then(|()| instance.stop());
    Error::join(usage, instance.remove())
}

/// The runtime that a SPEC names, the snapshot that it says an instance starts from, and the CPU that it is shown.
fn pick<'s>(shelf: &Shelf<'s>, name: &str) -> Result<(Box<dyn Runtime + 's>, Origin, Features)> {
    let mut variant: Variant = name.parse()?;
    let cpu: Features =
        variant.params.remove("cpu").map_or_else(|| Ok(Features::default()), |word| word.parse())?;
    let file = variant.params.remove("snapshot");
    let origin = file.map_or(Origin::Fresh, |file| Origin::Snapshot(Some(file.into())));
    let runtime = shelf.find(&variant)?;
    let identity = runtime.probe().map_err(|why| {
        With(exit::UNFIT, format!("{name} is unavailable: {}; remedy: {}", why.reason, why.remedy))
    })?;
    let masks = (!cpu.is_host()).then_some(Ability::Features);
    for (ability, parameter) in
        [(origin.needs(), "snapshot"), (masks, "cpu")].iter().filter_map(|(a, p)| a.map(|a| (a, *p)))
    {
        has(&identity, ability).map_err(|why| {
            Error::Input(format!("runtime {name:?}: {why}; remove the parameter {parameter}"))
        })?;
    }
    Ok((runtime, origin, cpu))
}

/// What a runtime must be able to do for a parameter, or why it cannot.
fn has(identity: &Identity, ability: Ability) -> Result<(), String> {
    if identity.can.contains(&ability) {
        return Ok(());
    }
    let why = identity.cannot.iter().find(|(known, _)| *known == ability);
    let why = why.map(|(_, why)| format!(" here: {why}")).unwrap_or_default();
    Err(format!("it does not offer {}{why}", ability.word()))
}

/// How far the end by a signal has come.
#[derive(Clone, Default)]
struct Watch {
    /// A signal has come.
    asked: Arc<AtomicBool>,
    /// The thread that makes things makes none any more.
    idle: Arc<AtomicBool>,
}

/// How long that thread is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends the instance with this process when a signal asks for it: instances die with the harness, and what it made on
/// the host is taken away first, once nobody makes more of it.
fn watch(mut signals: Signals, site: &isomark_core::Site) -> std::io::Result<Watch> {
    let (dir, tag) = (site.dir().to_owned(), site.tag().to_owned());
    let watch = Watch::default();
    let told = watch.clone();
    let work = move || {
        if let Some(signal) = signals.forever().next() {
            told.asked.store(true, Ordering::Relaxed);
            let until = Instant::now() + PATIENCE;
            while !told.idle.load(Ordering::Relaxed) && Instant::now() < until {
                settle::end_processes(&dir, &tag);
            }
            let _ = settle::leave_named(&dir, &tag);
            std::process::exit(128 + signal);
        }
    };
    std::thread::Builder::new().spawn(work).map(|_| watch)
}

/// A program by path, or by name along `PATH`.
pub(crate) fn find(name: &str) -> Result<PathBuf, Error> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| Error::Input(format!("program {name:?} is neither a path nor found along PATH")))
}

/// The environment of a user's program: the same in every runtime.
pub(crate) fn environment() -> Vec<(String, String)> {
    let or = |name: &str, default: &str| {
        (name.to_owned(), std::env::var(name).unwrap_or_else(|_| default.to_owned()))
    };
    vec![
        or("PATH", "/usr/local/bin:/usr/bin:/bin"),
        or("HOME", "/"),
        or("TERM", "dumb"),
        or("LANG", "C.UTF-8"),
    ]
}
