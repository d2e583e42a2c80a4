//! What a user submits, from a fleet's description: a script for sbatch or an object for kubectl, one for each class.
//!
//! The texts are templates beside this file. Values are quoted by where they stand, and not by who wrote the template:
//! in a shell script every value becomes one word, in YAML and TOML every text becomes a quoted one; what is put in as it
//! is says `raw`, and was checked to be harmless there.

use isomark_core::Error;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, context, escape_formatter};

use super::description::{Class, Fleet, Kubernetes};

/// Templates by name.
const TEMPLATES: [(&str, &str); 4] = [
    ("measure.sh", include_str!("templates/measure.sh")),
    ("slurm.sh", include_str!("templates/slurm.sh")),
    ("kubernetes.yaml", include_str!("templates/kubernetes.yaml")),
    ("pod.toml", include_str!("templates/pod.toml")),
];
/// The line that ends a plan within a script.
const END: &str = "ISOMARK_PLAN";
/// Depth of a script within a manifest.
const DEPTH: usize = 14;
/// Tries of an index after its first, where trying again is allowed.
const RETRIES: u32 = 2;

/// Who is going to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Slurm's sbatch.
    Slurm,
    /// Kubernetes' Job.
    Kubernetes,
}

/// The plan of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its own name, as stored runs have it.
    pub name: String,
    /// Its text, if it is a file: it travels within what is submitted.
    pub text: Option<String>,
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// How it is submitted, if it is.
    pub submit: Option<String>,
}

/// Renders a fleet. `file` is where its description came from, for refusals.
///
/// # Errors
/// [`Error::Input`] naming the key that the engine needs and the description lacks.
pub fn render(file: &str, fleet: &Fleet, plan: &Plan, engine: Engine) -> Result<Vec<Rendered>, Error> {
    let refuse = |why: String| Error::Input(format!("{file}: {why}"));
    if let Some(text) = &plan.text {
        fits_a_script(text).map_err(|why| Error::Input(format!("plan {}: {why}", fleet.plan.get_ref())))?;
    }
    let templates = templates()?;
    let mut files = Vec::new();
    for (at, class) in fleet.classes().iter().enumerate() {
        let key = |name: &str| format!("key class[{at}].{name}");
        files.push(match engine {
            Engine::Slurm => {
                let chosen = class
                    .selector
                    .slurm
                    .as_ref()
                    .is_some_and(|s| s.partition.is_some() || s.constraint.is_some());
                apart(fleet, chosen, "slurm.constraint")
                    .map_err(|why| refuse(format!("{}{why}", key("selector"))))?;
                slurm(&templates, fleet, class, plan)?
            }
            Engine::Kubernetes => {
                let chosen = !class.selector.kubernetes.is_empty();
                apart(fleet, chosen, "kubernetes")
                    .map_err(|why| refuse(format!("{}{why}", key("selector"))))?;
                let pods = fleet.kubernetes.as_ref().ok_or_else(|| {
                    refuse(
                        "key kubernetes: there is none; name image, claim and kvm below [kubernetes]".into(),
                    )
                })?;
                let lacking = [(class.cpus.is_none(), "cpus"), (class.memory.is_none(), "memory")];
                if let Some((_, name)) = lacking.iter().find(|(lacks, _)| *lacks) {
                    return Err(refuse(format!(
                        "{}: there is none; without it a pod's QoS class is not Guaranteed",
                        key(name)
                    )));
                }
                if fleet.results.get_ref().contains(':') {
                    return Err(refuse(
                        "key results: Kubernetes mounts nothing at a path with a colon".into(),
                    ));
                }
                job(&templates, fleet, class, plan, pods)?
            }
        });
    }
    if let (Engine::Kubernetes, Some(pods)) = (engine, &fleet.kubernetes) {
        files.extend(pod(&templates, pods)?);
    }
    Ok(files)
}

/// Several classes without selectors would be the same hosts.
fn apart(fleet: &Fleet, chosen: bool, key: &str) -> Result<(), String> {
    if chosen || fleet.classes().len() == 1 {
        return Ok(());
    }
    Err(format!(
        ".{key}: there is none, but {} classes; say how the hosts of each are found",
        fleet.classes().len()
    ))
}

fn fits_a_script(text: &str) -> Result<(), String> {
    let bad = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    for (at, line) in text.lines().enumerate() {
        if line.trim() == END || line.contains(bad) {
            let line = at + 1;
            return Err(format!(
                "line {line}: a control character, or {END} alone: it cannot travel within a script"
            ));
        }
    }
    Ok(())
}

fn slurm(templates: &Environment<'_>, fleet: &Fleet, class: &Class, plan: &Plan) -> Result<Rendered, Error> {
    let label = class.label.get_ref();
    let name = format!("{label}.sbatch");
    let selector = class.selector.slurm.as_ref();
    let option =
        |name: &'static str, value: Option<&super::description::Text>| Some((name, value?.get_ref().clone()));
    let options: Vec<_> = [
        option("partition", selector.and_then(|s| s.partition.as_ref())),
        option("constraint", selector.and_then(|s| s.constraint.as_ref())),
        option("account", selector.and_then(|s| s.account.as_ref())),
        option("qos", selector.and_then(|s| s.qos.as_ref())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let more = context! {
        file => name.clone(),
        options,
        // 0: all of the node.
        memory_mib => class.memory_bytes().map_or(0, |bytes| bytes >> 20),
        minutes => fleet.limit_s().div_ceil(60),
        requeue => fleet.requeue,
        engine => "slurm",
        ..measured(fleet, class, plan)
    };
    let text = filled(templates, "slurm.sh", more)?;
    Ok(Rendered { submit: Some(format!("sbatch {name}")), name, text })
}

fn job(
    templates: &Environment<'_>,
    fleet: &Fleet,
    class: &Class,
    plan: &Plan,
    pods: &Kubernetes,
) -> Result<Rendered, Error> {
    let label = class.label.get_ref();
    let name = format!("{label}.yaml");
    let script =
        filled(templates, "measure.sh", context! { engine => "kubernetes", ..measured(fleet, class, plan) })?;
    let indent = |line: &str| if line.is_empty() { String::new() } else { format!("{:DEPTH$}{line}", "") };
    let kvm = pods.kvm.get_ref().as_str();
    let retries = if fleet.requeue { RETRIES } else { 0 };
    let replicas = *class.replicas.get_ref();
    let selector: Vec<_> =
        class.selector.kubernetes.iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect();
    let more = context! {
        file => name.clone(),
        job => format!("isomark-{}-{label}", fleet.name.get_ref()),
        namespace => pods.namespace.as_ref().map(|n| n.get_ref().as_str()),
        retries,
        backoff => replicas.saturating_mul(retries + 1),
        deadline_s => fleet.limit_s().saturating_mul(u64::from(retries) + 1),
        requeue => fleet.requeue,
        selector,
        image => pods.image.get_ref(),
        claim => pods.claim.get_ref(),
        cpus => class.cpus.as_ref().map(|c| *c.get_ref()),
        memory => format!("{}Mi", class.memory_bytes().unwrap_or(0) >> 20),
        device => (!matches!(kvm, "none" | "host-path")).then_some(kvm),
        privileged => kvm == "host-path",
        script => script.lines().map(indent).collect::<Vec<_>>().join("\n"),
        ..measured(fleet, class, plan)
    };
    let text = filled(templates, "kubernetes.yaml", more)?;
    Ok(Rendered { submit: Some(format!("kubectl create -f {name}")), name, text })
}

/// A stanza that measures pods of a RuntimeClass, if the description names one.
fn pod(templates: &Environment<'_>, pods: &Kubernetes) -> Result<Option<Rendered>, Error> {
    let Some(class) = pods.runtime_class.as_ref().map(|class| class.get_ref().as_str()) else {
        return Ok(None);
    };
    let overrides = serde_json::json!({ "spec": { "runtimeClassName": class } }).to_string();
    let stanza = format!("pod-{class}");
    let more = context! {
        runtime_class => class,
        about => format!("A pod with RuntimeClass {class}, through kubectl"),
        namespace => pods.namespace.as_ref().map_or("default", |n| n.get_ref().as_str()),
        image => pods.image.get_ref(),
        // Braces of a stanza are placeholders.
        overrides => overrides.replace('{', "{{").replace('}', "}}"),
        stanza => stanza.clone(),
    };
    let name = format!("catalogue/{stanza}.toml");
    Ok(Some(Rendered { name, text: filled(templates, "pod.toml", more)?, submit: None }))
}

/// What every measurement needs to know.
fn measured(fleet: &Fleet, class: &Class, plan: &Plan) -> Value {
    let label = class.label.get_ref();
    let words =
        |list: &[super::description::Text]| list.iter().map(|w| w.get_ref().clone()).collect::<Vec<_>>();
    let environment: Vec<_> =
        fleet.environment.iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect();
    context! {
        name => fleet.name.get_ref(),
        class => label,
        replicas => *class.replicas.get_ref(),
        environment,
        isomark => fleet.isomark.path.get_ref(),
        sha256 => fleet.isomark.sha256.get_ref(),
        results => fleet.results.get_ref(),
        plan => fleet.plan.get_ref(),
        plan_text => plan.text.as_deref().map(str::trim_end),
        seed => fleet.seed(label, 0),
        // What is left of the time is for the last trials and the report.
        budget_s => (fleet.limit_s() * 9 / 10).max(1),
        runs => fleet.runs.as_ref().map(|runs| *runs.get_ref()),
        runtimes => words(&fleet.runtimes),
        scenarios => words(&fleet.scenarios),
        require => words(&class.require),
    }
}

fn templates() -> Result<Environment<'static>, Error> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|name| {
        if name.ends_with(".sh") { AutoEscape::Custom("shell".into()) } else { AutoEscape::Json }
    });
    engine.set_formatter(write);
    engine.add_filter("raw", |value: Value| Value::from_safe_string(value.to_string()));
    for (name, text) in TEMPLATES {
        engine.add_template(name, text).map_err(|e| broken(&e))?;
    }
    Ok(engine)
}

fn filled(templates: &Environment<'_>, name: &str, more: Value) -> Result<String, Error> {
    let text = templates.get_template(name).and_then(|t| t.render(more)).map_err(|e| broken(&e))?;
    Ok(format!("{}\n", text.trim_end()))
}

fn broken(e: &minijinja::Error) -> Error {
    Error::os("render a template of the fleet", std::io::Error::other(format!("{e:#}")))
}

fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if matches!(state.auto_escape(), AutoEscape::Custom(_)) && !value.is_safe() {
        return out.write_str(&word(&value.to_string())).map_err(minijinja::Error::from);
    }
    if value.is_safe() {
        return out.write_str(&value.to_string()).map_err(minijinja::Error::from);
    }
    escape_formatter(out, state, value)
}

/// A text as one word of a POSIX shell (XCU 2.2.2): nothing but the quote itself means anything between single quotes.
fn word(text: &str) -> String {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"_./:@%+,-".contains(&b);
    if !text.is_empty() && text.bytes().all(harmless) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
