//! `report.html`: one file that opens anywhere, offline, and asks nobody for anything.
//!
//! The look is in `report-templates/`, built in and replaceable by a folder at run time. Everything from outside is
//! escaped by the template engine; only our own SVG is inserted as it is.

use std::path::Path;

use isomark_core::Error;
use isomark_core::store::read_named;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::policy::policy;
use crate::view::View;
use crate::words;

/// Files of the look, by name.
const BUILT_IN: [(&str, &str); 20] = [
    ("macros.html", include_str!("../../../report-templates/macros.html")),
    ("words.html", include_str!("../../../report-templates/words.html")),
    ("head.html", include_str!("../../../report-templates/head.html")),
    ("plain.html", include_str!("../../../report-templates/plain.html")),
    ("bar.html", include_str!("../../../report-templates/bar.html")),
    ("contents.html", include_str!("../../../report-templates/contents.html")),
    ("run.html", include_str!("../../../report-templates/run.html")),
    ("history.html", include_str!("../../../report-templates/history.html")),
    ("fleet.html", include_str!("../../../report-templates/fleet.html")),
    ("tradeoff.html", include_str!("../../../report-templates/tradeoff.html")),
    ("claims.html", include_str!("../../../report-templates/claims.html")),
    ("claim.html", include_str!("../../../report-templates/claim.html")),
    ("headline.html", include_str!("../../../report-templates/headline.html")),
    ("section.html", include_str!("../../../report-templates/section.html")),
    ("table.html", include_str!("../../../report-templates/table.html")),
    ("host.html", include_str!("../../../report-templates/host.html")),
    ("controls.html", include_str!("../../../report-templates/controls.html")),
    ("method.html", include_str!("../../../report-templates/method.html")),
    ("style.css", include_str!("../../../report-templates/style.css")),
    ("script.js", include_str!("../../../report-templates/script.js")),
];

/// Largest template file accepted, in bytes.
const MAX_TEMPLATE: u64 = 1 << 20;

/// The page of a view. Files in `templates` replace the built-in ones of the same name.
///
/// # Errors
/// [`Error::Input`] naming file and line of a template that cannot be used.
pub fn html(view: &View, templates: Option<&Path>) -> Result<String, Error> {
    page("run.html", view, templates)
}

/// Refuses a folder of templates that no page can be made with.
///
/// # Errors
/// [`Error::Input`] naming the folder, or file and line of a template that cannot be read.
pub(crate) fn check(templates: Option<&Path>) -> Result<(), Error> {
    engine(&sources(templates)?, templates).map(drop)
}

/// Name and text of every template.
fn sources(templates: Option<&Path>) -> Result<Vec<(&'static str, String)>, Error> {
    if let Some(dir) = templates.filter(|dir| !dir.is_dir()) {
        return Err(Error::Input(format!("templates {}: there is no such folder", dir.display())));
    }
    BUILT_IN.iter().map(|(name, text)| Ok((*name, source(name, text, templates)?))).collect()
}

fn engine<'s>(
    sources: &'s [(&'static str, String)],
    templates: Option<&Path>,
) -> Result<Environment<'s>, Error> {
    let mut engine = Environment::new();
    // A name that a template spells wrong is a mistake to report, not a blank to print.
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    speaking(&mut engine);
    for (name, text) in sources {
        engine.add_template(name, text).map_err(|e| refuse(&e, templates))?;
    }
    Ok(engine)
}

/// The page that a template makes of a view.
pub(crate) fn page(name: &str, view: &impl Serialize, templates: Option<&Path>) -> Result<String, Error> {
    let sources = sources(templates)?;
    let mut engine = engine(&sources, templates)?;
    let [style, script] = ["style.css", "script.js"].map(|name| inline(&engine, name, view, templates));
    let (style, script) = (style?, script?);
    engine.add_global("policy", policy(&style, &script));
    engine.add_global("style", Value::from_safe_string(style));
    engine.add_global("script", Value::from_safe_string(script));
    let page = engine.get_template(name).map_err(|e| refuse(&e, templates))?;
    page.render(Serde(view)).map_err(|e| refuse(&e, templates))
}

/// What stands inside of the one `style` and the one `script` element: the text that the policy names by its hash.
fn inline(
    engine: &Environment<'_>,
    name: &str,
    view: &impl Serialize,
    templates: Option<&Path>,
) -> Result<String, Error> {
    let text = engine.get_template(name).and_then(|template| template.render(Serde(view)));
    let text = text.map_err(|e| refuse(&e, templates))?;
    if text.to_ascii_lowercase().contains("</s") {
        return Err(Error::Input(format!(
            "template {name}: \"</s\" would end the element that it stands in"
        )));
    }
    // A browser reads line ends as \n before it hashes.
    Ok(text.replace("\r\n", "\n"))
}

/// What templates ask for words: `say(KEY, name=…)`, `language()` and the filter `word`.
fn speaking(engine: &mut Environment<'_>) {
    let say = |key: &str, with: Kwargs| -> Result<String, minijinja::Error> {
        let given: Vec<(&str, Value)> =
            with.args().map(|name| Ok((name, with.get(name)?))).collect::<Result<_, minijinja::Error>>()?;
        let given: Vec<(&str, &dyn std::fmt::Display)> =
            given.iter().map(|(name, value)| (*name, value as &dyn std::fmt::Display)).collect();
        let unknown = || {
            let why = format!("say({key:?}): no such text in lang/{}.toml", words::ENGLISH);
            minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, why)
        };
        words::known(key, &given).ok_or_else(unknown)
    };
    engine.add_function("say", say);
    engine.add_function("language", words::language);
    engine.add_filter("word", |name: &str| words::named("word", name));
}

fn source(name: &str, built_in: &str, templates: Option<&Path>) -> Result<String, Error> {
    let Some(path) = templates.map(|dir| dir.join(name)).filter(|path| path.exists()) else {
        return Ok(built_in.to_owned());
    };
    read_named(&path, MAX_TEMPLATE).map_err(|e| Error::Input(format!("template {}", e.chain())))
}

/// Names the file that its user can mend: the one in `templates`, where there is one of that name.
fn refuse(e: &minijinja::Error, templates: Option<&Path>) -> Error {
    // An error in an included template arrives wrapped in one of the template that includes it.
    let mut inner = e;
    while let Some(next) = std::error::Error::source(inner).and_then(|source| source.downcast_ref()) {
        inner = next;
    }
    let own = |name: &str| templates.map(|dir| dir.join(name)).filter(|path| path.exists());
    let file = |name: &str| own(name).map_or_else(|| name.to_owned(), |path| path.display().to_string());
    let place = match (inner.name().map(file), inner.line()) {
        (Some(name), Some(line)) => format!("template {name} line {line}"),
        (Some(name), None) => format!("template {name}"),
        (None, _) => "template".to_owned(),
    };
    let what = inner.detail().map_or_else(|| inner.kind().to_string(), str::to_owned);
    Error::Input(format!("{place}: {what}"))
}
