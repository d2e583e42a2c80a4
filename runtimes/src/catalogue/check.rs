//! Reading a stanza: what its form cannot say is checked here, before anything runs.
//!
//! Every refusal names file, line and key, and what would be right.

use std::collections::BTreeSet;
use std::ops::Range;

use isomark_core::{Error, Kind};

use super::stanza::{ExitForm, GroupUse, Hook, Need, Stanza, Text};
use super::template;

/// Placeholders of an instance.
const OF_INSTANCE: [&str; 8] =
    ["name", "host-name", "dir", "memory", "memory-mib", "cpus", "pids", "program"];
/// Placeholders of what all instances share.
const SHARED: [&str; 2] = ["home", "site"];

/// Reads one stanza, whose name must not be one of those that are `taken`.
///
/// # Errors
/// [`Error::Input`] naming file, line and key.
pub(crate) fn parse(file: &str, text: &str, taken: &[String]) -> Result<Stanza, Error> {
    let stanza: Stanza = toml::from_str(text).map_err(|e| Error::Input(format!("stanza {file}: {e}")))?;
    let reader = Reader { file, text, taken };
    reader.check(&stanza)?;
    Ok(stanza)
}

struct Reader<'f> {
    file: &'f str,
    text: &'f str,
    taken: &'f [String],
}

impl Reader<'_> {
    fn refuse(&self, at: Option<Range<usize>>, key: &str, why: &str) -> Error {
        let line = at.map_or(String::new(), |span| {
            let line = self.text.get(..span.start).unwrap_or(self.text).matches('\n').count() + 1;
            format!(" line {line}:")
        });
        Error::Input(format!("stanza {}:{line} {key}: {why}", self.file))
    }

    fn check(&self, stanza: &Stanza) -> Result<(), Error> {
        self.names(stanza)?;
        self.streams(stanza)?;
        self.params(stanza)?;
        self.hooks(stanza)?;
        self.texts(stanza)
    }

    fn names(&self, stanza: &Stanza) -> Result<(), Error> {
        let name = stanza.name.get_ref();
        let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(safe) {
            let why = format!("{name:?} is not made of a-z, 0-9 and -");
            return Err(self.refuse(Some(stanza.name.span()), "name", &why));
        }
        if self.taken.contains(name) || name == "all" || name.starts_with("floor-") {
            let why = format!("{name:?} is taken by isomark itself");
            return Err(self.refuse(Some(stanza.name.span()), "name", &why));
        }
        if !matches!(stanza.kind.get_ref(), Kind::Container | Kind::Vm) {
            let why = "must be \"container\" or \"vm\"";
            return Err(self.refuse(Some(stanza.kind.span()), "kind", why));
        }
        if !stanza.tools.contains_key("tool") {
            return Err(self.refuse(None, "tools", "no \"tool\": the main program must have that name"));
        }
        let version = &stanza.probe.version;
        if version.get_ref().matches("{}").count() != 1 {
            let why = "must hold one {}, which stands for the version";
            return Err(self.refuse(Some(version.span()), "probe.version", why));
        }
        Ok(())
    }

    /// One command has the program's streams; where it ends before the program does, the program must be found.
    fn streams(&self, stanza: &Stanza) -> Result<(), Error> {
        let created = stanza.create.as_ref().is_some_and(|verb| verb.streams);
        let at = stanza.start.command.first().map(Text::span);
        match (created, stanza.start.streams) {
            (true, true) => Err(self.refuse(at, "start.streams", "create has the program's streams already")),
            (false, false) => {
                Err(self.refuse(at, "start.streams", "neither create nor start has the program's streams"))
            }
            (true, false) if stanza.program.pid_file.is_none() => {
                let why =
                    "is missing: create has the streams and ends, so the program's process must be told";
                Err(self.refuse(at, "program.pid-file", why))
            }
            (false, true) if stanza.exit == ExitForm::Own => {
                Err(self.refuse(at, "exit", "\"own\" is for a program that isomark reaps itself"))
            }
            _ => Ok(()),
        }
    }

    fn params(&self, stanza: &Stanza) -> Result<(), Error> {
        for (name, param) in &stanza.params {
            let key = format!("params.{name}");
            let at = Some(param.default.span());
            if param.words.is_empty() == param.arguments.is_empty() {
                return Err(self.refuse(at, &key, "must have either words or arguments"));
            }
            if !param.allowed().contains(&param.default.get_ref().as_str()) {
                let why = format!("{:?} is none of {}", param.default.get_ref(), param.allowed().join(", "));
                return Err(self.refuse(at, &format!("{key}.default"), &why));
            }
            if own_names(stanza).contains(name) {
                return Err(self.refuse(at, &key, "that name is a placeholder already"));
            }
        }
        Ok(())
    }

    fn hooks(&self, stanza: &Stanza) -> Result<(), Error> {
        let has = |hook| stanza.hooks.contains(&hook);
        for hook in [Hook::OwnRun, Hook::WithoutEmptyCgroup2] {
            if has(hook) && !has(Hook::PrivateMounts) {
                let why = format!("{hook:?} needs \"private-mounts\" beside it");
                return Err(self.refuse(None, "hooks", &why));
            }
        }
        Ok(())
    }

    /// Every text against the placeholders that have a value where it stands.
    fn texts(&self, stanza: &Stanza) -> Result<(), Error> {
        let (words, lists): (Vec<_>, Vec<_>) =
            stanza.params.iter().partition(|(_, param)| param.arguments.is_empty());
        let words = words.into_iter().map(|(name, _)| name.clone());
        let tools = stanza.tools.keys().cloned().chain(words).collect::<BTreeSet<_>>();
        let lists = lists.into_iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
        let with = |more: &[&str]| -> BTreeSet<String> {
            tools.iter().cloned().chain(more.iter().map(|s| (*s).to_owned())).collect()
        };
        let shared = with(&[&SHARED[..], parent(stanza)].concat());
        let prepare = with(&[&SHARED[..], parent(stanza), image(stanza), &["program"]].concat());
        // There, each parameter is the word that was chosen.
        let facts = with(oci_facts(stanza)).union(&lists).cloned().collect::<BTreeSet<_>>();
        let instance = own_names(stanza).into_iter().chain(tools.iter().cloned()).collect::<BTreeSet<_>>();
        let none = BTreeSet::new();
        let mut arguments = lists.clone();
        arguments.extend(["args", "env"].map(str::to_owned));
        for (key, text) in commands(stanza).into_iter().chain(plain(stanza)) {
            let (one, many) = match key.split('.').next().unwrap_or_default() {
                "service" | "env" | "probe" | "files" => (&shared, &lists),
                "prepare" => (&prepare, &lists),
                "facts" => (&facts, &none),
                _ => (&instance, &arguments),
            };
            self.text(&key, text, one, many)?;
        }
        let variable = ["key", "value"].map(str::to_owned).into();
        stanza.pass_env.iter().try_for_each(|text| self.text("pass-env", text, &variable, &BTreeSet::new()))
    }

    fn text(
        &self,
        key: &str,
        text: &Text,
        one: &BTreeSet<String>,
        many: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let checked = template::check(text.get_ref(), one, many);
        checked.map_err(|why| self.refuse(Some(text.span()), key, &why))
    }
}

/// Placeholders that a stanza has without its parameters.
fn own_names(stanza: &Stanza) -> BTreeSet<String> {
    let mut names =
        OF_INSTANCE.into_iter().chain(SHARED).chain(parent(stanza).iter().copied()).collect::<Vec<_>>();
    names.extend(image(stanza));
    if stanza.needs.iter().any(|need| matches!(need, Need::Rootfs | Need::OciBundle)) {
        names.push("rootfs");
    }
    if stanza.needs.contains(&Need::OciBundle) {
        names.push("bundle");
    }
    if stanza.group == GroupUse::Path {
        names.extend(["group", "group-relative"]);
    }
    if stanza.config.is_some() {
        names.push("config");
    }
    names.into_iter().map(str::to_owned).chain(stanza.tools.keys().cloned()).collect()
}

fn parent(stanza: &Stanza) -> &'static [&'static str] {
    if stanza.group == GroupUse::Path { &["parent"] } else { &[] }
}

fn image(stanza: &Stanza) -> &'static [&'static str] {
    if stanza.needs.contains(&Need::ImageArchive) { &["image", "image-name"] } else { &[] }
}

/// What the choices of a bundle come to.
fn oci_facts(stanza: &Stanza) -> &'static [&'static str] {
    let facts = &["oci-network", "oci-seccomp", "oci-userns", "oci-limits"];
    if stanza.needs.contains(&Need::OciBundle) { facts } else { &[] }
}

/// All commands, with the key that names them.
fn commands(stanza: &Stanza) -> Vec<(String, &Text)> {
    let verbs =
        [("create", stanza.create.as_ref()), ("start", Some(&stanza.start)), ("stop", stanza.stop.as_ref())];
    let removes = stanza.remove.iter().map(|verb| ("remove", Some(verb)));
    let verbs = verbs.into_iter().chain(removes);
    let of = |key: &str, command: &'_ [Text]| -> Vec<(String, usize)> {
        (0..command.len()).map(|at| (format!("{key}.command"), at)).collect()
    };
    let mut all = Vec::new();
    let mut add = |key: &str, command| {
        let command: &[Text] = command;
        all.extend(of(key, command).into_iter().map(|(key, at)| (key, &command[at])));
    };
    for (key, verb) in verbs {
        verb.into_iter().for_each(|verb| add(key, &verb.command));
    }
    stanza.prepare.iter().for_each(|verb| add("prepare", &verb.command));
    for service in &stanza.service {
        add("service", &service.command);
        add("service.ready", &service.ready);
    }
    add("probe", &stanza.probe.command);
    add("program", &stanza.program.command);
    add("disk.private", &stanza.disk.private_command);
    all
}

/// All other texts.
fn plain(stanza: &Stanza) -> Vec<(String, &Text)> {
    let env = stanza.env.iter().map(|(key, text)| (format!("env.{key}"), text));
    let facts = stanza.facts.all().into_iter().map(|(key, text)| (format!("facts.{key}"), text));
    let disk = stanza.disk.shared.iter().map(|text| ("disk.shared".to_owned(), text));
    let file = stanza.program.pid_file.iter().map(|text| ("program.pid-file".to_owned(), text));
    let config = stanza.config.iter().map(|text| ("config".to_owned(), text));
    let work = stanza.work_in.iter().map(|text| ("work-in".to_owned(), text));
    let files = stanza.files.iter().map(|(name, text)| (format!("files.{name}"), text));
    env.chain(facts).chain(disk).chain(file).chain(config).chain(work).chain(files).collect()
}
