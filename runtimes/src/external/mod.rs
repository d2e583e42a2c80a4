//! Any tool with verbs, driven by a stanza: data says what is run, this code says when and what becomes of it.
//!
//! Commands are started without a shell and every wait is bounded. What instances share (daemons, images, namespaces) is
//! made outside of what is timed and goes with isomark's command.

mod bundle;
mod command;
mod common;
mod family;
mod ground;
mod group;
mod instance;
mod root;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use isomark_core::nearest::meant;
use isomark_core::{
    Ability, Error, Identity, Instance, Kind, Phase, Runtime, Site, Spec, Unavailable, Variant,
};

use crate::catalogue::Stanza;
use crate::catalogue::stanza::{ExitForm, GroupUse, Need};
use crate::catalogue::template::{Value, Values, fill, fill_all};
use bundle::CHOICES;
pub(crate) use command::{Command, find};
use common::{Common, text};
use instance::Tool;

/// Bound on asking a tool for its version.
pub(crate) const PROBE: Duration = Duration::from_secs(10);

/// A tool of the catalogue, or a variant of it.
pub(crate) struct External<'s> {
    site: &'s Site,
    stanza: Arc<Stanza>,
    /// As the variant prints itself.
    name: String,
    binary: Option<PathBuf>,
    /// Every parameter with its word, defaults filled in.
    choices: BTreeMap<String, String>,
    identity: OnceLock<Result<Identity, Unavailable>>,
    common: Mutex<Option<Arc<Common>>>,
}

impl<'s> External<'s> {
    /// A tool as the user named it.
    ///
    /// # Errors
    /// [`Error::Input`] for a parameter that the stanza does not declare, or a word that it does not allow.
    pub(crate) fn new(site: &'s Site, stanza: &Arc<Stanza>, variant: &Variant) -> Result<Self, Error> {
        let choices = choose(stanza, &variant.params)?;
        Ok(Self {
            site,
            stanza: Arc::clone(stanza),
            name: variant.to_string(),
            binary: variant.binary.clone(),
            choices,
            identity: OnceLock::new(),
            common: Mutex::new(None),
        })
    }

    /// Where its programs are.
    fn tools(&self) -> Result<BTreeMap<String, PathBuf>, Unavailable> {
        let mut all = BTreeMap::new();
        for (key, name) in &self.stanza.tools {
            let named = self.binary.as_deref().filter(|_| key == "tool").map(text);
            let name = named.as_deref().unwrap_or(name.get_ref());
            let path = find(name).ok_or_else(|| {
                let where_ = if name.contains('/') { "is not a file" } else { "is not found along PATH" };
                Unavailable::new(format!("{name} {where_}"), self.remedy())
            })?;
            all.insert(key.clone(), path);
        }
        Ok(all)
    }

    /// How it is got.
    fn remedy(&self) -> String {
        let install = &self.stanza.install;
        let ways = [
            install.debian.as_ref().map(|package| format!("apt-get install {package}")),
            install.cargo.as_ref().map(|how| format!("cargo install {how}")),
            install.other.clone(),
        ];
        let ways = ways.into_iter().flatten().collect::<Vec<_>>();
        if ways.is_empty() { format!("see {}", self.stanza.homepage) } else { ways.join(", or: ") }
    }

    /// Placeholders that tools and parameters give.
    fn values(&self, tools: &BTreeMap<String, PathBuf>) -> Values {
        let mut values = tools.iter().map(|(key, path)| (key.clone(), text(path).into())).collect::<Values>();
        for (name, word) in &self.choices {
            let param = self.stanza.params.get(name);
            let value = match param.and_then(|param| param.arguments.get(word)) {
                Some(arguments) => Value::Many(arguments.clone()),
                None => Value::One(word.clone()),
            };
            values.insert(name.clone(), value);
        }
        values
    }

    fn ask(&self) -> Result<Identity, Unavailable> {
        if self.stanza.root && !nix::unistd::geteuid().is_root() {
            return Err(Unavailable::new("it needs root", "run isomark as root"));
        }
        let tools = self.tools()?;
        let values = self.values(&tools);
        let version = self.version(&values)?;
        let mut can = vec![Ability::Jobs, Ability::Fork, Ability::Memory, Ability::Programs];
        let provision = self.provision();
        can.extend(provision.is_some().then_some(Ability::Disk));
        can.extend(self.limits().then_some(Ability::Limits));
        let binary = tools.get("tool").cloned().unwrap_or_default();
        Ok(Identity {
            version,
            can,
            folded: if self.stanza.create.is_none() {
                vec![(Phase::Create, Phase::Start)]
            } else {
                Vec::new()
            },
            provisions: provision.into_iter().collect(),
            details: self.details(&binary, &values),
            files: vec![binary],
            ..Identity::default()
        })
    }

    /// Whether instances get the spec's limits: from a group that isomark makes, a bundle, or the stanza's commands.
    fn limits(&self) -> bool {
        let bundle = self.stanza.needs.contains(&Need::OciBundle);
        let on = self.choices.get("limits").is_some_and(|word| word == "on");
        self.stanza.limits || self.stanza.group == GroupUse::Join || (bundle && on)
    }

    fn provision(&self) -> Option<String> {
        let rooted = self.stanza.needs.iter().any(|need| matches!(need, Need::Rootfs | Need::OciBundle));
        self.stanza.disk.provision.clone().or_else(|| rooted.then(|| "directory".into()))
    }

    /// No version, no measurement: a result must say of what it is.
    fn version(&self, values: &Values) -> Result<String, Unavailable> {
        let probe = &self.stanza.probe;
        let argv = fill_all(probe.command.iter().map(|text| text.get_ref().as_str()), values);
        let argv = argv.map_err(|why| Unavailable::new(why, "mend the stanza"))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut env = vec![format!("PATH={path}:/usr/sbin:/sbin"), "HOME=/".into(), "LANG=C.UTF-8".into()];
        for (key, value) in &self.stanza.env {
            env.extend(fill(value.get_ref(), values).ok().map(|value| format!("{key}={value}")));
        }
        let command = Command { argv, env, ..Command::default() };
        let words = command.words();
        let unknown = |why: String| {
            Unavailable::new(
                format!("its version cannot be told: {why}"),
                format!("look at: {words}; {}", self.remedy()),
            )
        };
        let told = command.run(PROBE).map_err(|e| unknown(e.chain()))?;
        let said = format!("{}\n{}", told.stdout, told.stderr);
        read_version(&said, probe.version.get_ref())
            .ok_or_else(|| unknown(format!("{:?} is not in what it prints", probe.version.get_ref())))
    }

    fn details(&self, binary: &std::path::Path, values: &Values) -> BTreeMap<String, String> {
        let mut values = values.clone();
        for choice in CHOICES {
            let word = self.choices.get(choice.name);
            let fact = choice.words.iter().find(|(name, _)| word.is_some_and(|word| word == name));
            let fact = fact.map_or("", |(_, fact)| fact);
            values.insert(format!("oci-{}", choice.name), fact.into());
        }
        let lists = self.choices.iter().map(|(name, word)| (name.clone(), Value::One(word.clone())));
        values.extend(lists);
        let mut details = BTreeMap::new();
        for (key, fact) in self.stanza.facts.all() {
            details.insert(key.to_owned(), fill(fact.get_ref(), &values).unwrap_or_default());
        }
        let sha256 = std::fs::read(binary).map(|bytes| isomark_core::image::sha256(&bytes));
        details.insert("binary".into(), text(binary));
        details.insert("binary sha256".into(), sha256.unwrap_or_default());
        details.insert("about".into(), self.stanza.about.clone());
        for (name, word) in &self.choices {
            details.insert(format!("parameter {name}"), word.clone());
        }
        if self.stanza.exit == ExitForm::Lossy {
            details.insert("exit status".into(), "does not tell which signal ended a program".into());
        }
        if !self.stanza.verified {
            details.insert("verified".into(), "no: this stanza was never tried".into());
        }
        details
    }

    fn common(&self, spec: &Spec) -> Result<Arc<Common>, Error> {
        let mut common = self.common.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(common) = common.as_ref() {
            return Ok(Arc::clone(common));
        }
        let tools = self.tools().map_err(|why| Error::Unsupported(why.reason))?;
        let made = Common::open(self.site, &self.stanza, self.values(&tools), self.choices.clone())?;
        let made = Arc::new(made);
        made.prepared(spec)?;
        Ok(Arc::clone(common.insert(made)))
    }
}

impl Runtime for External<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        *self.stanza.kind.get_ref()
    }

    fn of_catalogue(&self) -> bool {
        true
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        self.identity.get_or_init(|| self.ask()).clone()
    }

    fn prepare(&self, spec: &Spec) -> Result<(), Error> {
        self.common(spec)?.prepared(spec).map(drop)
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        let provision = self.provision();
        if let Some(asked) = &spec.provision
            && provision.as_ref() != Some(asked)
        {
            let known = provision.as_deref().unwrap_or("none that can be told");
            return Err(Error::Input(format!("provision {asked:?}: {} knows {known}", self.name)));
        }
        let common = self.common(spec)?;
        Ok(Box::new(Tool::create(&common, self.site.instance_name(), spec)?))
    }
}

/// The version in what a tool prints: what stands for `{}` in the pattern, up to a blank.
fn read_version(said: &str, pattern: &str) -> Option<String> {
    let (before, after) = pattern.split_once("{}")?;
    let rest = said.trim_start().split_once(before)?.1;
    let end = rest.find(|c: char| c.is_whitespace() || after.starts_with(c)).unwrap_or(rest.len());
    let version = rest[..end].trim_end_matches([',', ';']);
    (!version.is_empty() && rest[end..].starts_with(after)).then(|| version.to_owned())
}

/// Parameters by name: what each is, and the words that it allows.
type Allowed<'s> = BTreeMap<&'s str, (&'s str, Vec<&'s str>)>;

/// Whether a stanza has a parameter of that name.
pub(crate) fn takes(stanza: &Stanza, name: &str) -> bool {
    let bundle = stanza.needs.contains(&Need::OciBundle);
    stanza.params.contains_key(name) || (bundle && CHOICES.iter().any(|choice| choice.name == name))
}

/// Every parameter with its word.
fn choose(stanza: &Stanza, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Error> {
    let mut choices = BTreeMap::new();
    let mut allowed: Allowed<'_> = BTreeMap::new();
    for (name, param) in &stanza.params {
        allowed.insert(name, (param.about.as_str(), param.allowed()));
        choices.insert(name.clone(), param.default.get_ref().clone());
    }
    if stanza.needs.contains(&Need::OciBundle) {
        // A stanza may say how its tool is told one of them.
        for choice in CHOICES.iter().filter(|choice| !stanza.params.contains_key(choice.name)) {
            let words = choice.words.iter().map(|(word, _)| *word).collect();
            allowed.insert(choice.name, (choice.about, words));
            choices.insert(choice.name.to_owned(), choice.words[0].0.to_owned());
        }
    }
    let of = stanza.name.get_ref();
    for (name, word) in given {
        let Some((_, words)) = allowed.get(name.as_str()) else {
            return Err(Error::Input(unknown_parameter(of, name, &allowed)));
        };
        if !words.contains(&word.as_str()) {
            let words = words.join(", ");
            return Err(Error::Input(format!("runtime {of}: {name}={word:?} is none of {words}")));
        }
        choices.insert(name.clone(), word.clone());
    }
    Ok(choices)
}

fn unknown_parameter(of: &str, name: &str, allowed: &Allowed<'_>) -> String {
    if allowed.is_empty() {
        return format!("runtime {of} has no parameter {name:?}: it has none at all");
    }
    let one =
        |(name, (about, words)): (&&str, &(&str, Vec<&str>))| format!("{name}={} ({about})", words.join("|"));
    let all = allowed.iter().map(one).collect::<Vec<_>>().join(", ");
    let meant = meant(name, allowed.keys().copied());
    format!("runtime {of} has no parameter {name:?}; {meant}known: {all}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_or_there_is_none() {
        let cases = [
            ("runc version 1.1.5+ds1\ncommit: x", "runc version {}", Some("1.1.5+ds1")),
            ("Docker version 20.10.24, build 5", "Docker version {}", Some("20.10.24")),
            ("systemd 252 (252.39-1)", "systemd 252 ({})", Some("252.39-1")),
            ("5.0.2", "{}", Some("5.0.2")),
            ("crun 1", "runc version {}", None),
            ("runc version ", "runc version {}", None),
        ];
        for (said, pattern, version) in cases {
            assert_eq!(read_version(said, pattern).as_deref(), version, "{pattern}");
        }
    }
}
