//! What lies between the hardware and the program, and what does each of it weigh?
//!
//! The documents' drawing: a stack per runtime, boxes of one height from the infrastructure up. What an instance takes of
//! its own is coloured and carries its memory; what all share once is grey and carries none. A bar at the foot of a box
//! has the length of its weight, on one scale for all stacks. Which boxes a runtime has is data
//! (`scenarios/claims/layers.toml`).

use isomark_core::Params;
use isomark_core::record::Cell;

use super::scene::{Anchor, Ink, Scene, Style, Weight};
use super::{Chart, counts, ink, letters, texts};
use crate::claims::estimate::taken;
use crate::claims::file::Taken;
use crate::claims::layers::{Layers, Storey};
use crate::claims::shelf;
use crate::dataset::Dataset;
use crate::fmt;
use crate::reference::REFERENCE;
use crate::stats::paired::{Estimate, location};
use crate::summary::Summary;
use crate::words::{data as in_words, named, say, tell};

/// Height of a box.
const BOX: f64 = 40.0;
/// Room between boxes.
const GAP: f64 = 3.0;
/// Room between stacks.
const APART: f64 = 16.0;
/// Least width of a stack.
const LEAST: f64 = 158.0;
/// Most stacks side by side.
const ABREAST: usize = 4;

/// One stack.
struct Stack {
    name: String,
    layer: String,
    ink: Ink,
    boxes: Vec<Weighed>,
    foot: Vec<String>,
}

/// One box with its weight.
struct Weighed {
    name: String,
    what: String,
    shared: bool,
    weight: Option<Estimate>,
}

/// The stacks of a run; none where no memory was measured.
pub(super) fn chart(data: &Dataset<'_>, summary: &Summary) -> Option<Chart> {
    let (layers, _) = shelf::load().ok()?;
    let rows = summary.headline.rows.iter().filter(|row| row.reason.is_none());
    let stacks: Vec<Stack> = rows.filter_map(|row| stack(data, summary, &layers, &row.runtime)).collect();
    if stacks.is_empty() {
        return None;
    }
    let weights = stacks.iter().flat_map(|stack| &stack.boxes).filter_map(|one| one.weight);
    let n = counts(weights.map(|weight| weight.n));
    let caption = tell("chart.layers_caption", &[("n", &n)]);
    let draw = |width: f64| draw(&stacks, width);
    let said = stacks.iter().map(|stack| {
        let names: Vec<&str> = stack.boxes.iter().rev().map(|one| one.name.as_str()).collect();
        format!("{}: {}", stack.name, names.join(&say("list.comma")))
    });
    let says = texts::listing(texts::LAYERS_SAY, said.collect());
    let title = say("chart.layers");
    Some(Chart::new(("layers", "claims"), title, caption, draw).saying(says))
}

fn stack(data: &Dataset<'_>, summary: &Summary, layers: &Layers, runtime: &str) -> Option<Stack> {
    let cell = idle(data, runtime)?;
    let layer = layers.of(data.run, runtime, &Params::new())?;
    let boxes: Vec<Weighed> = layer.stack.iter().rev().map(|storey| weighed(data, cell, storey)).collect();
    boxes.iter().any(|one| one.weight.is_some()).then(|| Stack {
        name: fmt::clean(runtime),
        layer: format!("{} · {}", named("kind", layer.kind.word()), layer.id),
        ink: ink(summary, runtime),
        boxes,
        foot: foot(summary, runtime),
    })
}

/// The cell with one idle instance of a runtime.
fn idle(data: &Dataset<'_>, runtime: &str) -> Option<usize> {
    let wanted = |cell: &Cell| {
        cell.runtime == runtime
            && cell.scenario == "memory"
            && cell.params.text("load") == Some("idle")
            && cell.params.number("instances").is_none()
            && !cell.arm.as_ref().is_some_and(|arm| arm.control)
    };
    data.run.cells.iter().position(wanted)
}

fn weighed(data: &Dataset<'_>, cell: usize, storey: &Storey) -> Weighed {
    let process = || idle(data, REFERENCE);
    let own = Taken::Metric("pss".to_owned());
    let weight = match (&storey.memory, storey.program) {
        (_, true) => process().and_then(|at| left(data, at, &own, None)),
        (Some(memory), false) => {
            let less = storey.less.as_ref().map(|less| (process(), less));
            match less {
                Some((None, _)) => None,
                Some((Some(at), less)) => left(data, cell, memory, Some((at, less))),
                None => left(data, cell, memory, None),
            }
        }
        (None, false) => None,
    };
    Weighed { name: in_words(&storey.name), what: in_words(&storey.what), shared: storey.shared, weight }
}

/// Median over blocks of what a cell has, less what another has.
fn left(data: &Dataset<'_>, cell: usize, memory: &Taken, less: Option<(usize, &Taken)>) -> Option<Estimate> {
    let top = taken(&data.cells[cell], memory)?;
    let Some((base, less)) = less else {
        return location(&top.into_values().collect::<Vec<_>>());
    };
    let bottom = taken(&data.cells[base], less)?;
    let both = top.iter().filter_map(|(block, x)| Some(x - bottom.get(block)?));
    location(&both.collect::<Vec<_>>())
}

/// What a runtime costs beside memory, from the headline table.
fn foot(summary: &Summary, runtime: &str) -> Vec<String> {
    let Some(row) = summary.headline.rows.iter().find(|row| row.runtime == runtime) else {
        return Vec::new();
    };
    let words = |(column, figure): (&crate::summary::Column, &Option<crate::summary::Figure>)| {
        let figure = figure.as_ref()?;
        match column.scenario.as_str() {
            "startup" => Some(tell("chart.starts_in", &[("value", &crate::answers::value(figure))])),
            "memory" => {
                let key =
                    if figure.metric.starts_with("marginal") { "chart.one_more" } else { "chart.one_idle" };
                Some(tell(key, &[("value", &crate::answers::value(figure))]))
            }
            "disk" => Some(tell("chart.disk_of", &[("value", &crate::answers::value(figure))])),
            _ => None,
        }
    };
    summary.headline.columns.iter().zip(&row.figures).filter_map(words).collect()
}

fn draw(stacks: &[Stack], width: f64) -> Scene {
    let mut scene = Scene::new(width);
    // Columns so wide that no words are cut, where the page has that room.
    let boxes = stacks.iter().flat_map(|stack| &stack.boxes);
    let words = boxes.map(|one| letters::room(&one.what, 11.0, Weight::Regular) + 14.0);
    let least = words.fold(LEAST, f64::max).min(width);
    let fits = ((width + APART) / (least + APART)).floor().max(1.0) as usize;
    let abreast = fits.min(ABREAST).min(stacks.len());
    let column = ((width + APART) / abreast as f64 - APART).min(290.0);
    let weights = stacks.iter().flat_map(|stack| &stack.boxes).filter_map(|one| one.weight);
    let most = weights.map(|found| found.value).fold(1.0, f64::max);
    let mut top = 4.0;
    for row in stacks.chunks(abreast) {
        let high = row.iter().map(|stack| stack.boxes.len()).max().unwrap_or(0) as f64 * (BOX + GAP);
        for (at, stack) in row.iter().enumerate() {
            let left = at as f64 * (column + APART);
            let from = scene.items.len();
            scene.place(one(stack, column, high, most), left, top);
            scene.own(from, &stack.name);
        }
        top = scene.height + 14.0;
    }
    scene
}

fn one(stack: &Stack, width: f64, high: f64, most: f64) -> Scene {
    let mut scene = Scene::new(width);
    scene.rect([0.0, 3.0, 11.0, 11.0], 2.0, stack.ink);
    scene.text(
        (16.0, 13.0),
        &fits(&stack.name, width - 16.0, 13.0),
        Style::new(Ink::Text).size(13.0).medium(),
    );
    let taken = letters::room(&stack.name, 13.0, Weight::Medium) + 24.0;
    if taken + letters::room(&stack.layer, 11.0, Weight::Regular) <= width {
        scene.text((taken, 13.0), &stack.layer, Style::new(Ink::Muted).size(11.0));
    }
    // Stacks stand on one ground, as in the drawing.
    let mut y = 22.0 + high - stack.boxes.len() as f64 * (BOX + GAP);
    for weighed in &stack.boxes {
        storey(&mut scene, stack, weighed, [y, width, most]);
        y += BOX + GAP;
    }
    for words in &stack.foot {
        scene.text((2.0, y + 13.0), &fits(words, width, 11.0), Style::new(Ink::Muted).size(11.0));
        y += 15.0;
    }
    scene.height = y + 4.0;
    scene
}

fn storey(scene: &mut Scene, stack: &Stack, weighed: &Weighed, [y, width, most]: [f64; 3]) {
    let fill = if weighed.shared { Ink::Grid } else { stack.ink };
    let tip = tip(stack, weighed);
    let alpha = if weighed.shared { 0.75 } else { 0.15 };
    scene.rect([0.0, y, width, BOX], 4.0, fill).alpha(alpha).tip(tip);
    let mut room = width - 12.0;
    if let Some(found) = weighed.weight {
        let words = weight(found.value);
        let style = Style::new(Ink::Text).size(12.0).medium().anchor(Anchor::End);
        scene.text((width - 7.0, y + 16.0), &words, style);
        room -= letters::room(&words, 12.0, Weight::Medium) + 8.0;
        let length = (found.value.max(0.0) / most * (width - 4.0)).max(1.0);
        scene.rect([2.0, y + BOX - 5.0, length, 3.5], 1.5, stack.ink);
    }
    let style = Style::new(Ink::Text).size(12.0);
    scene.text((7.0, y + 16.0), &fits(&weighed.name, room, 12.0), style);
    scene.text((7.0, y + 30.0), &fits(&weighed.what, width - 12.0, 11.0), Style::new(Ink::Muted).size(11.0));
}

/// A weight in words: a difference may be nothing, and may be less than nothing by the noise of sharing.
fn weight(bytes: f64) -> String {
    if bytes.abs() < 4096.0 { "~0".to_owned() } else { fmt::quantity("byte", bytes, None) }
}

fn tip(stack: &Stack, weighed: &Weighed) -> String {
    let head = format!("{} {}: {}", stack.name, weighed.name, weighed.what);
    match (&weighed.weight, weighed.shared) {
        (Some(found), _) => {
            let interval = found
                .ci95
                .map_or_else(String::new, |ci| format!(" [{}]", fmt::interval("byte", found.value, ci)));
            format!("{head}, {}{interval}, n = {}", fmt::quantity("byte", found.value, found.ci95), found.n)
        }
        (None, true) => format!("{head}{}{}", say("list.comma"), say("chart.once")),
        (None, false) => format!("{head}{}{}", say("list.comma"), say("chart.unmeasured")),
    }
}

/// Words cut to a width.
fn fits(words: &str, width: f64, size: f64) -> String {
    let mut text = words.to_owned();
    let mut limit = text.chars().count();
    while limit > 3 && letters::room(&text, size, Weight::Regular) > width {
        limit -= 1;
        text = fmt::shortened(words, limit);
    }
    text
}
