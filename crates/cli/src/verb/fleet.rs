//! `isomark fleet`: what an engine is given for a fleet, and what came back.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use isomark_core::Error;
use isomark_engine::Plan;
use isomark_report::fleet::collected::Status;
use isomark_report::fleet::render::{self, Rendered};
use isomark_report::fleet::{self, Fleet};

use crate::args::{self, Engine, FleetVerb, Format};
use crate::ci;
use crate::exit;

/// Largest description accepted, in bytes.
const MOST: u64 = 1 << 20;

/// The verb.
pub(crate) fn fleet(args: &args::Fleet) -> Result<u8> {
    match &args.verb {
        FleetVerb::Render { engine, file, out } => render(*engine, file, out.as_deref()),
        FleetVerb::Collect { dir, fleet, out, format } => {
            collect(dir, fleet.as_deref(), out.as_deref(), *format)
        }
    }
}

fn render(engine: Engine, file: &Path, out: Option<&Path>) -> Result<u8> {
    let (name, text) = (file.display().to_string(), read(file)?);
    let fleet = Fleet::parse(&name, &text)?;
    let (engine, word) = match engine {
        Engine::Slurm => (render::Engine::Slurm, "slurm"),
        Engine::Kubernetes => (render::Engine::Kubernetes, "kubernetes"),
    };
    let plan = plan(&fleet, file)?;
    let files = fleet::render(&name, &fleet, &plan, engine)?;
    let out = out.map_or_else(|| PathBuf::from(format!("{}-{word}", fleet.name.get_ref())), Path::to_owned);
    for Rendered { name, text, .. } in &files {
        ci::write(&out.join(name), text.as_bytes())?;
    }
    // Collecting compares with what was asked for.
    ci::write(&out.join("fleet.toml"), text.as_bytes())?;
    for Rendered { name, submit, .. } in &files {
        eprintln!("{}", out.join(name).display());
        if let Some(submit) = submit {
            println!("{submit}");
        }
    }
    eprintln!(
        "submit from {}; then: isomark fleet collect {} --fleet {name}",
        out.display(),
        fleet.results.get_ref()
    );
    Ok(exit::FINE)
}

fn collect(dir: &Path, file: Option<&Path>, out: Option<&Path>, format: Format) -> Result<u8> {
    let described = match file {
        Some(file) => {
            let fleet = Fleet::parse(&file.display().to_string(), &read(file)?)?;
            let plan = plan(&fleet, file)?.name;
            Some((fleet, plan))
        }
        None => None,
    };
    let found = fleet::collect(dir, described.as_ref().map(|(fleet, plan)| (fleet, plan.as_str())))?;
    let usable = found.usable().count();
    if let Some(out) = out.filter(|_| usable > 0) {
        found.write(dir, out)?;
    }
    let mut stdout = std::io::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut stdout, &found)?;
            writeln!(stdout)?;
        }
        Format::Human => write!(stdout, "{}", fleet::told(&found))?,
    }
    if let Some(out) = out.filter(|_| usable > 0) {
        eprintln!("collected: {0}; render it with: isomark report {0}", out.display());
    }
    Ok(match usable {
        0 => exit::NOTHING,
        _ if found.hosts.iter().any(|host| host.status != Status::Ok) => exit::UNFIT,
        _ => exit::FINE,
    })
}

/// The plan of a fleet: known by name, or a file beside the description.
fn plan(fleet: &Fleet, file: &Path) -> Result<render::Plan, Error> {
    let named = fleet.plan.get_ref();
    if isomark_scenarios::PLANS.iter().any(|(known, _)| known == named) {
        return Ok(render::Plan { name: named.clone(), text: None });
    }
    let path = file.parent().unwrap_or(Path::new("")).join(named);
    let known = isomark_scenarios::PLANS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    let text = read(&path).map_err(|e| {
        Error::Input(format!("{}: key plan: {}; known by name: {known}", file.display(), e.chain()))
    })?;
    let plan = Plan::parse(&path.display().to_string(), &text)?;
    Ok(render::Plan { name: plan.name, text: Some(text) })
}

fn read(path: &Path) -> Result<String, Error> {
    let fail = |why: String| Error::Input(format!("{}: {why}", path.display()));
    let meta = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?;
    if !meta.is_file() || meta.len() > MOST {
        return Err(fail(format!("not a file of at most {MOST} bytes")));
    }
    std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))
}
