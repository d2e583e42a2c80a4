//! What a SPEC stands for: a runtime of the shelf under a name of its own, or another isomark.
//!
//! Parameters that a scenario knows go to the scenario; `payload` and a binary of a built-in runtime mean another
//! process that carries the trials out.

use isomark_core::record::{RuntimeRecord, Skip};
use isomark_core::runtime::Kind;
use isomark_core::{Error, Identity, Instance, Params, Runtime, Spec, Unavailable, Value, Variant, image};
use isomark_runtimes::Shelf;

use crate::args;
use crate::elsewhere::{Build, Worker};

/// A runtime under the name that the user gave it.
pub(crate) struct Named<'r> {
    /// The SPEC.
    pub name: String,
    /// The runtime of the shelf.
    pub inner: Box<dyn Runtime + 'r>,
}

impl Runtime for Named<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        self.inner.kind()
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        self.inner.probe()
    }

    fn prepare(&self, spec: &Spec) -> Result<(), Error> {
        self.inner.prepare(spec)
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        self.inner.create(spec)
    }
}

/// Key of the parameter that names another payload.
const PAYLOAD: &str = "payload";

/// Whether the trials of a variant are carried out by another process.
pub(crate) fn is_elsewhere(variant: &Variant, shelf: &Shelf<'_>) -> bool {
    let other_isomark = variant.binary.is_some() && shelf.is_built_in(&variant.runtime);
    other_isomark || variant.params.contains_key(PAYLOAD)
}

/// The variant as its runtime sees it: without what is for the scenario or for isomark.
pub(crate) fn of_runtime(variant: &Variant, shelf: &Shelf<'_>) -> Variant {
    let own = |key: &str| shelf.takes(&variant.runtime, key);
    let params = variant.params.iter().filter(|(key, _)| own(key));
    let params = params.map(|(key, value)| (key.clone(), value.clone())).collect();
    let binary = variant.binary.clone().filter(|_| !shelf.is_built_in(&variant.runtime));
    Variant { runtime: variant.runtime.clone(), binary, params }
}

/// The process that carries out the trials of a variant: this very program unless it names another.
pub(crate) fn build(variant: &Variant, shelf: &Shelf<'_>) -> Result<Build, Error> {
    let own = || std::env::current_exe().map_err(|e| Error::os("find the own program", e));
    Ok(Build {
        binary: variant
            .binary
            .clone()
            .filter(|_| shelf.is_built_in(&variant.runtime))
            .map_or_else(own, Ok)?,
        runtime: of_runtime(variant, shelf).to_string(),
        payload: variant.params.get(PAYLOAD).map(Into::into),
    })
}

/// The parameters of a variant that are for the scenario.
pub(crate) fn params(variant: &Variant, shelf: &Shelf<'_>, common: &[(String, String)]) -> Params {
    let scenarios = |key: &str| key != PAYLOAD && !shelf.takes(&variant.runtime, key);
    let own = variant.params.iter().filter(|(key, _)| scenarios(key));
    let all = common.iter().map(|(key, value)| (key, value)).chain(own);
    all.fold(Params::new(), |params, (key, text)| params.with(key, value(text)))
}

/// `64M` and `40` are numbers, `true` is a switch, anything else a word.
fn value(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => args::size(text)
            .ok()
            .or_else(|| text.parse().ok())
            .map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    }
}

/// What is stored of a variant that another process runs.
pub(crate) fn record(variant: &Variant, build: &Build, worker: &Worker) -> Result<RuntimeRecord, Error> {
    let greeting = &worker.greeting;
    let bytes = std::fs::read(&build.binary)
        .map_err(|e| Error::Input(format!("isomark {}: {e}", build.binary.display())))?;
    let mut record = greeting.runtime.clone();
    record.name = variant.to_string();
    if let Some(identity) = &mut record.identity {
        let details = [
            ("isomark", greeting.isomark.clone()),
            ("isomark binary", build.binary.display().to_string()),
            ("isomark sha256", image::sha256(&bytes)),
            ("payload sha256", greeting.payload.sha256.clone()),
        ];
        identity.details.extend(details.map(|(key, value)| (key.to_owned(), value)));
    }
    Ok(record)
}

/// Why a runtime that is recorded as unavailable cannot be compared.
pub(crate) fn unavailable(name: &str, skip: &Skip) -> String {
    format!("{name} cannot run here: {}; remedy: {}", skip.reason, skip.remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        assert_eq!(value("64M"), Value::Number(64 << 20));
        assert_eq!(value("0"), Value::Number(0));
        assert_eq!(value("true"), Value::Bool(true));
        assert_eq!(value("dgemm"), Value::Text("dgemm".into()));
    }

    #[test]
    fn the_variant_has_the_last_word_and_the_payload_is_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let site = isomark_core::Site::open(dir.path()).unwrap();
        let shelf = Shelf::open(&site, None).unwrap();
        let variant: Variant = "process{memory=64M,payload=/p}".parse().unwrap();
        let common = [("memory".to_owned(), "1M".to_owned()), ("cache".to_owned(), "warm".to_owned())];
        let expected = Params::new().with("cache", "warm").with("memory", 64 << 20);
        assert_eq!(params(&variant, &shelf, &common), expected);
        let elsewhere = |text: &str| is_elsewhere(&text.parse().unwrap(), &shelf);
        assert!(is_elsewhere(&variant, &shelf) && elsewhere("process@/other"));
        assert!(!elsewhere("process{memory=1M}") && !elsewhere("crun@/other"));
        assert_eq!(build(&variant, &shelf).unwrap().payload, Some("/p".into()));
        assert_eq!(of_runtime(&variant, &shelf).to_string(), "process");
    }
}
