//! Every rule of every claim speaks of scenarios, metrics and parameters that exist, and the plan `claims` measures them.
//!
//! Neither the report nor the scenarios may know the other; here both are at hand.

use isomark_core::{Params, Value};
use isomark_engine::plan::{Ask, Plan, Values};
use isomark_report::claims::file::{Estimator, Part, Taken};
use isomark_report::claims::shelf;

/// The plan by its name.
fn plan(name: &str) -> Plan {
    let (_, text) = isomark_scenarios::PLANS.iter().find(|(known, _)| *known == name).expect("a plan");
    Plan::parse(name, text).expect("a good plan")
}

/// The parameters of the first cell of an entry that a rule admits; what the entry leaves out is settled later.
fn asked(ask: &Ask, part: &Part) -> Option<Params> {
    let mut params = Params::new();
    for (key, values) in &ask.params {
        let all: Vec<Value> = match values {
            Values::One(value) => vec![value.clone()],
            Values::Many(all) => all.clone(),
        };
        let wanted = part.params.get(key);
        let value = all.iter().find(|value| wanted.is_none_or(|wanted| wanted.has(value)))?;
        params.set(key, value.clone());
    }
    for (key, wanted) in part.params.iter().filter(|(key, _)| !ask.params.contains_key(*key)) {
        params.set(key, wanted.first()?.clone());
    }
    Some(params)
}

#[test]
fn every_rule_is_measured_by_the_plan_claims() {
    let (_, files) = shelf::load().unwrap();
    let claims = plan("claims");
    for file in &files {
        for part in file.rules.iter().filter(|part| part.not_testable.is_none()) {
            let name = format!("{} {}", file.id.get_ref(), part.rule.get_ref());
            let scenario = part.scenario.as_deref().expect("a scenario");
            let known = isomark_scenarios::SHELF.iter().find(|one| one.name == scenario);
            let known = known.unwrap_or_else(|| panic!("{name}: no scenario {scenario}"));
            let wanted: Vec<&str> =
                [&part.value, &part.over].into_iter().flatten().flat_map(Taken::terms).map(|t| t.0).collect();
            let entries = claims.ask.iter().filter(|ask| ask.scenario == scenario);
            let cells: Vec<Params> = entries.filter_map(|ask| asked(ask, part)).collect();
            let has = |params: &Params| {
                let metrics = (known.metrics)(params);
                wanted.iter().all(|name| metrics.iter().any(|metric| metric.name == **name))
            };
            // A word that the payload notes is no metric.
            let found = part.estimate == Estimator::Same || cells.iter().any(has);
            assert!(
                !cells.is_empty() && found,
                "{name}: the plan claims has no cell of {scenario} with {wanted:?}"
            );
        }
    }
}
