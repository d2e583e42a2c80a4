//! Small pictures side by side, as many as there is room for.
//!
//! One panel a runtime shows a curve without a knot of lines, however many runtimes there are.

use super::scene::Scene;

/// Room between panels.
const APART: f64 = 22.0;

/// Draws `count` panels in rows from `top` on, each at least `least` wide where the page has that.
pub fn place(scene: &mut Scene, count: usize, least: f64, top: f64, draw: impl Fn(usize, f64) -> Scene) {
    let fits = ((scene.width + APART) / (least + APART)).floor().max(1.0) as usize;
    let rows = count.max(1).div_ceil(fits);
    let abreast = if rows > 1 { fits } else { count.max(1) };
    let column = (scene.width + APART) / abreast as f64 - APART;
    let mut y = top;
    for from in (0..count).step_by(abreast) {
        for at in from..(from + abreast).min(count) {
            let x = (at - from) as f64 * (column + APART);
            scene.place(draw(at, column), x, y);
        }
        y = scene.height + 12.0;
    }
}
