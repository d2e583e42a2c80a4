//! What does a runtime itself tell of the time below a bar?
//!
//! A thin lane of boxes, one from each told step to the next, on the axis of the phases above it. The steps were never on
//! the stopwatch: they are drawn smaller, in the ink of no phase, and named as told wherever they have words.

use super::axis::Axis;
use super::letters;
use super::scene::{Ink, Scene, Style, Weight};
use crate::words::{comma, say, tell};

/// Height of a box.
const BOX: f64 = 6.0;
/// Room from a lane's top to where its words end.
const HIGH: f64 = 23.0;
/// Size of its words.
const SIZE: f64 = 11.0;
/// Narrower ones are drawn together with their neighbours: nobody could point at them.
const THINNEST: f64 = 3.0;

/// An inner step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// When it was done, in ns since `create` began.
    pub at: f64,
    /// How long after the step before, in ns.
    pub took: f64,
    /// The same in words.
    pub since: String,
}

/// What a lane draws as one: steps from one place to another.
struct Stretch<'s> {
    steps: Vec<&'s Step>,
    from: f64,
    to: f64,
}

/// Draws the lane below a bar that ends at `top`, and returns where it ends itself; nothing for nothing told.
pub fn lane(scene: &mut Scene, axis: &Axis, steps: &[Step], [left, right, top]: [f64; 3]) -> f64 {
    if steps.is_empty() {
        return top;
    }
    let stretches = stretches(axis, steps);
    for one in &stretches {
        let room = (one.to - one.from - 1.0).max(0.5);
        scene.rect([one.from, top + 2.0, room, BOX], 0.0, Ink::Axis).tip(tip(one));
    }
    let base = top + HIGH - 4.0;
    let style = Style::new(Ink::Muted).size(SIZE);
    scene.heading((left, base), &longest(steps, right - left), style);
    top + HIGH
}

/// Steps by their places on the axis, those that lie too close together as one.
fn stretches<'s>(axis: &Axis, steps: &'s [Step]) -> Vec<Stretch<'s>> {
    let mut all: Vec<Stretch<'s>> = Vec::new();
    let mut from = axis.at(0.0);
    for step in steps {
        let to = axis.at(step.at).max(from);
        match all.last_mut() {
            Some(last) if last.to - last.from < THINNEST || to - from < THINNEST && last.steps.len() > 1 => {
                last.steps.push(step);
                last.to = to;
            }
            _ => all.push(Stretch { steps: vec![step], from, to }),
        }
        from = to;
    }
    all
}

fn tip(one: &Stretch<'_>) -> String {
    let told = one.steps.iter().map(|step| format!("{} {}", step.name, step.since));
    tell("chart.told", &[("steps", &comma(&told.collect::<Vec<_>>()))])
}

/// The steps that took longest, as many as there is room for.
fn longest(steps: &[Step], room: f64) -> String {
    // By what is written, not by what the drawing makes of the medians: they need not add up.
    let mut lengths: Vec<&Step> = steps.iter().collect();
    lengths.sort_by(|a, b| b.took.total_cmp(&a.took));
    let mut parts: Vec<String> = Vec::new();
    let mut text = String::new();
    for step in lengths {
        parts.push(format!("{} {}", step.name, step.since));
        let all = parts.len() == steps.len();
        let key = if all { "chart.told" } else { "chart.told_longest" };
        let longer = tell(key, &[("steps", &comma(&parts))]);
        if letters::room(&longer, SIZE, Weight::Regular) > room {
            break;
        }
        text = longer;
    }
    if text.is_empty() {
        letters::fitted(&say("chart.told_legend"), room, SIZE, Weight::Regular)
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, at: f64) -> Step {
        Step { name: name.into(), at, took: at, since: format!("{at} ns") }
    }

    #[test]
    fn steps_too_close_to_point_at_are_drawn_together_and_none_is_lost() {
        let axis = Axis::from_zero(1000.0, "ns", 0.0, 1020.0);
        let steps = [step("a", 1.0), step("b", 2.0), step("c", 2.5), step("d", 400.0), step("e", 401.0)];
        let found = stretches(&axis, &steps);
        let names: Vec<Vec<&str>> =
            found.iter().map(|one| one.steps.iter().map(|step| &*step.name).collect()).collect();
        assert_eq!(names.concat(), ["a", "b", "c", "d", "e"]);
        assert!(found.len() < steps.len() && found.windows(2).all(|w| w[0].to == w[1].from));
    }

    #[test]
    fn the_longest_stand_first_by_what_is_written_of_them() {
        let mut steps = [step("a", 10.0), step("b", 20.0), step("c", 25.0)];
        steps[2].took = 90.0;
        let words = longest(&steps, 600.0);
        let at = |name: &str| words.find(&format!("{name} ")).expect("each step is named");
        assert!(at("c") < at("b") && at("b") < at("a"), "{words}");
    }

    #[test]
    fn nothing_told_takes_no_room() {
        let axis = Axis::from_zero(10.0, "ns", 0.0, 100.0);
        let mut scene = Scene::new(100.0);
        assert_eq!(lane(&mut scene, &axis, &[], [0.0, 100.0, 7.0]), 7.0);
        assert!(scene.items.is_empty());
    }
}
