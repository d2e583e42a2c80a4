//! Which cells run: a plan file, what the command line selects of it, and what the host can do.
//!
//! Whatever cannot run here is a skipped cell with its reason and remedy; nothing disappears silently.

use std::collections::{BTreeMap, BTreeSet};

use isomark_core::nearest::meant;
use isomark_core::record::{Cell, RuntimeRecord, Skip};
use isomark_core::{
    Ability, Bench, Error, Features, Identity, Kind, Params, Refusal, Runtime, Scenario, Unavailable, Value,
};
use serde::Deserialize;

use crate::controls::{self, Controls};

/// A plan as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What it is for, in one line.
    #[serde(default)]
    pub about: String,
    /// Blocks.
    pub blocks: u32,
    /// Trials of each cell before the first block, stored and left out of statistics.
    #[serde(default)]
    pub warmup: u32,
    /// The run is done after so many seconds, unless the command line says otherwise: cells get fewer trials then.
    #[serde(default)]
    pub budget_s: Option<u64>,
    /// Measure until intervals are this narrow, and at most `blocks`: `auto`, or half a width such as `2 %`.
    #[serde(default)]
    pub precision: Option<String>,
    /// What is asked.
    #[serde(default)]
    pub ask: Vec<Ask>,
}

/// One entry of a plan: a scenario and its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Scenario.
    pub scenario: String,
    /// Its cells take part in every block whose number is divisible by this.
    #[serde(default = "one")]
    pub every: u32,
    /// Whether it is asked of the catalogue's runtimes too when nobody names one: a host may have twenty of them.
    #[serde(default = "yes")]
    pub catalogue: bool,
    /// Kinds of runtimes that it is asked of when nobody names one; left out: all.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Controls beside its cells; left out: the first of a scenario's cells once again.
    #[serde(default)]
    pub controls: Option<Controls>,
    /// Parameters; a list stands for one cell a value.
    #[serde(default)]
    pub params: BTreeMap<String, Values>,
}

const fn one() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

/// One value or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a parameter is a word, a whole number from 0 on, true or false, or a list of these"
)]
pub enum Values {
    /// A single value.
    One(Value),
    /// One cell for each.
    Many(Vec<Value>),
}

/// What the command line selects.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Runtimes by name; empty: all but those that only a plan or the user asks for.
    pub runtimes: Vec<String>,
    /// Scenarios by name; empty: all of the plan's.
    pub scenarios: Vec<String>,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// [`Error::Input`] naming file, line and field.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let plan: Self = toml::from_str(text).map_err(|e| Error::Input(format!("plan {file}: {e}")))?;
        let refuse = |why: &str| Err(Error::Input(format!("plan {file}: {why}")));
        match &plan {
            Self { blocks: 0 | 100_001.., .. } => refuse("blocks must be 1 to 100000"),
            Self { warmup: 1001.., .. } => refuse("warmup must be at most 1000"),
            Self { ask, .. } if ask.is_empty() => refuse("no [[ask]]: nothing would be measured"),
            Self { ask, .. } if ask.iter().any(|a| a.every == 0) => refuse("every must be at least 1"),
            plan if size(plan) > MOST_CELLS => refuse(&format!(
                "params stand for more than {MOST_CELLS} cells a runtime; ask for fewer values"
            )),
            _ => Ok(plan),
        }
    }
}

/// A runtime as the engine found it.
pub struct Found<'a> {
    /// The runtime.
    pub runtime: &'a dyn Runtime,
    /// Who it is here, or why it cannot run.
    pub probe: Result<Identity, Unavailable>,
}

impl<'a> Found<'a> {
    /// Asks a runtime.
    #[must_use]
    pub fn probe(runtime: &'a dyn Runtime) -> Self {
        Self { runtime, probe: runtime.probe() }
    }

    /// What is stored of it.
    #[must_use]
    pub fn record(&self) -> RuntimeRecord {
        RuntimeRecord {
            name: self.runtime.name().to_owned(),
            kind: self.runtime.kind(),
            identity: self.probe.as_ref().ok().cloned(),
            unavailable: self.probe.as_ref().err().map(skip),
        }
    }
}

fn skip(why: &Unavailable) -> Skip {
    Skip { reason: why.reason.clone(), remedy: why.remedy.clone() }
}

/// The runtimes a selection names, in the order of the shelf, each with the floor it stands on.
///
/// # Errors
/// [`Error::Input`] for a name that is not on the shelf.
pub fn select<'a>(shelf: &[&'a dyn Runtime], selection: &Selection) -> Result<Vec<Found<'a>>, Error> {
    let known = || shelf.iter().map(|r| r.name()).filter(|name| !name.starts_with(FLOOR)).collect::<Vec<_>>();
    if let Some(name) = selection.runtimes.iter().find(|name| !shelf.iter().any(|r| r.name() == *name)) {
        return Err(Error::Input(format!("runtime {name:?} is not on the shelf: {}", known().join(", "))));
    }
    let named = |name: &str| selection.runtimes.iter().any(|r| r == name);
    let wanted = |r: &&&dyn Runtime| {
        let all = selection.runtimes.is_empty() && !r.on_request();
        all || named(stands_on(r.name()))
    };
    let chosen = shelf.iter().filter(wanted);
    Ok(chosen.map(|r| Found::probe(*r)).collect())
}

/// How the floor of a runtime is called; a second one has a word of its own after a dot (`floor-namespace.vfork`).
const FLOOR: &str = "floor-";

/// The runtime that a floor is the floor of; for any other its own name.
fn stands_on(name: &str) -> &str {
    name.strip_prefix(FLOOR).map_or(name, |floor| floor.split('.').next().unwrap_or(floor))
}

/// The cells of a plan.
///
/// # Errors
/// [`Error::Input`] for a scenario that is not on the shelf or a parameter it refuses.
pub fn expand(
    plan: &Plan,
    found: &[Found<'_>],
    shelf: &[Scenario],
    selection: &Selection,
    bench: &Bench,
) -> Result<Vec<Cell>, Error> {
    let known = || shelf.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    let named = |name: &str| {
        let scenario = shelf.iter().find(|s| s.name == name);
        let meant = || meant(name, shelf.iter().map(|s| s.name));
        let refuse = || format!("scenario {name:?} is not on the shelf; {}known: {}", meant(), known());
        scenario.ok_or_else(|| Error::Input(refuse()))
    };
    selection.scenarios.iter().try_for_each(|name| named(name).map(drop))?;
    let mut cells = Vec::new();
    for ask in &plan.ask {
        let scenario = named(&ask.scenario)?;
        if !selection.scenarios.is_empty() && !selection.scenarios.contains(&ask.scenario) {
            continue;
        }
        let asked = |found: &&Found<'_>| {
            let runtime = found.runtime;
            let kind = ask.kinds.is_empty() || ask.kinds.contains(&runtime.kind());
            !selection.runtimes.is_empty() || kind && (ask.catalogue || !runtime.of_catalogue())
        };
        // A kernel without vectors settles every path to one: what an ask comes to twice is measured once.
        let mut told = BTreeSet::new();
        for params in product(&ask.params) {
            for runtime in found.iter().filter(asked) {
                let mut more = of_runtime(ask, scenario, &params, runtime, bench)?;
                more.retain(|cell| told.insert((cell.runtime.clone(), cell.params.to_string())));
                add(&mut cells, more, ask, runtime)?;
            }
        }
    }
    Ok(cells)
}

/// Adds cells, each followed by the controls that its plan asks for; a floor has none.
fn add(cells: &mut Vec<Cell>, more: Vec<Cell>, ask: &Ask, found: &Found<'_>) -> Result<(), Error> {
    let wanted = ask.controls.filter(|_| found.runtime.kind() != Kind::Floor).unwrap_or(Controls::Off);
    for cell in more {
        let controls = controls::of(&cell, cells.len(), wanted)?;
        cells.push(cell);
        cells.extend(controls);
    }
    Ok(())
}

/// The cells of one runtime for one set of parameters: several where the runtime fills in "each".
fn of_runtime(
    ask: &Ask,
    scenario: &Scenario,
    params: &Params,
    found: &Found<'_>,
    bench: &Bench,
) -> Result<Vec<Cell>, Error> {
    let floor = found.runtime.kind() == Kind::Floor;
    let mut cells = Vec::new();
    for params in each_provision(params, found) {
        let settled = (scenario.settle)(&params, bench);
        let (params, refused) = match settled {
            Ok(params) => (params, None),
            Err(Refusal::Host(why)) => (params, Some(why)),
            Err(Refusal::Input(why)) => return Err(Error::Input(why)),
        };
        let needs = [(scenario.needs)(&params), hidden(&params)].concat();
        // A floor is no runtime to ask questions of: it stands beside the startup of one and nowhere else.
        if floor && !needs.is_empty() {
            continue;
        }
        let missing = missing(found, &params, &needs);
        let skipped = found.probe.as_ref().err().cloned().or(refused).or(missing);
        cells.push(Cell {
            runtime: found.runtime.name().to_owned(),
            scenario: scenario.name.to_owned(),
            metrics: (scenario.metrics)(&params),
            params,
            every: ask.every,
            skipped: skipped.as_ref().map(skip),
            arm: None,
        });
    }
    Ok(cells)
}

/// What a runtime must be able to do for the CPU that an instance is to be shown, whatever it is asked.
fn hidden(params: &Params) -> Vec<Ability> {
    let cpu = params.text("cpu").and_then(|word| word.parse::<Features>().ok()).unwrap_or_default();
    if cpu.is_host() { Vec::new() } else { vec![Ability::Features] }
}

fn missing(found: &Found<'_>, params: &Params, needs: &[Ability]) -> Option<Unavailable> {
    let identity = found.probe.as_ref().ok()?;
    let ways = &identity.provisions;
    if let Some(way) = params.text("provision")
        && !ways.is_empty()
        && !ways.iter().any(|known| known == way)
    {
        let reason = format!("{} does not provision a root by {way:?}", found.runtime.name());
        let remedy = format!("name one of its ways ({}), or \"each\"", ways.join(", "));
        return Some(Unavailable::new(reason, remedy));
    }
    let lacking = needs.iter().find(|need| !identity.can.contains(need))?;
    if let Some((_, why)) = identity.cannot.iter().find(|(ability, _)| ability == lacking) {
        let reason = format!("{} does not offer {} here: {why}", found.runtime.name(), lacking.word());
        return Some(Unavailable::new(reason, "nothing to do on this host; another can"));
    }
    let reason = format!("{} does not offer {}", found.runtime.name(), lacking.word());
    Some(Unavailable::new(reason, "nothing to do: this is how the runtime is"))
}

fn each_provision(params: &Params, found: &Found<'_>) -> Vec<Params> {
    match (&found.probe, params.text("provision")) {
        (Ok(identity), Some("each")) if !identity.provisions.is_empty() => {
            identity.provisions.iter().map(|way| params.clone().with("provision", way.as_str())).collect()
        }
        _ => vec![params.clone()],
    }
}

/// Most sets of parameters that a plan may stand for: lists multiply, and a short file could ask for more than there is
/// memory.
pub const MOST_CELLS: usize = 10_000;

/// How many sets of parameters a plan stands for.
#[must_use]
pub fn size(plan: &Plan) -> usize {
    let values = |values: &Values| match values {
        Values::One(_) => 1,
        Values::Many(all) => all.len(),
    };
    let product = |ask: &Ask| ask.params.values().map(values).fold(1, usize::saturating_mul);
    plan.ask.iter().map(product).fold(0, usize::saturating_add)
}

/// Every combination of the listed values, the last key changing fastest.
fn product(params: &BTreeMap<String, Values>) -> Vec<Params> {
    params.iter().fold(vec![Params::new()], |so_far, (key, values)| {
        let values = match values {
            Values::One(value) => std::slice::from_ref(value),
            Values::Many(values) => values.as_slice(),
        };
        let with =
            |base: &Params| values.iter().map(|v| base.clone().with(key, v.clone())).collect::<Vec<_>>();
        so_far.iter().flat_map(with).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, with: &str) {
        let error = Plan::parse("p.toml", text).expect_err("must be refused").to_string();
        assert!(error.contains("p.toml") && error.contains(with), "{error}");
    }

    #[test]
    fn a_bad_plan_names_file_and_field() {
        refused("blocks = 1", "name");
        refused("name = 'x'\nblocks = 0\n[[ask]]\nscenario='s'", "blocks must be");
        let list = (0..30).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let many = ["a", "b", "c", "d"].map(|key| format!("{key} = [{list}]")).join(", ");
        let ask = format!("name = 'x'\nblocks = 1\n[[ask]]\nscenario='s'\nparams = {{ {many} }}");
        refused(&ask, "more than 10000 cells");
        refused("name = 'x'\nblocks = 1", "nothing would be measured");
        refused("name = 'x'\nblocks = 1\nbloks = 2\n[[ask]]\nscenario='s'", "bloks");
        refused("name = 'x'\nblocks = 1\n[[ask]]\nscenario='s'\nevery=0", "every");
        refused("name = 'x'\nblocks = -1", "blocks");
        refused("name = 'x'\nblocks = 1\n[[ask]]\nscenario='s'\nkinds=['jail']", "jail");
        refused("name = ", "line 1");
    }

    #[test]
    fn lists_multiply() {
        let text = "name='x'\nblocks=1\n[[ask]]\nscenario='s'\nparams={ a=[1,2], b='c', d=[true,false] }";
        let plan = Plan::parse("p", text).unwrap();
        let all = product(&plan.ask[0].params).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(all, ["a=1 b=c d=true", "a=1 b=c d=false", "a=2 b=c d=true", "a=2 b=c d=false"]);
        assert_eq!(product(&BTreeMap::new()), [Params::new()]);
    }
}
