//! Which colour is what?
//!
//! Keys in reading order that wrap where the line ends.

use super::letters;
use super::scene::{Ink, Scene, Style, Weight};

const SIZE: f64 = 12.0;
const LINE: f64 = 20.0;

/// Draws keys from `top` on and returns where they end. The one in the ink of axes is as thin as what it stands for.
pub fn draw(scene: &mut Scene, keys: &[(Ink, String)], top: f64) -> f64 {
    let keys: Vec<(Ink, &str)> = keys.iter().map(|(ink, words)| (*ink, words.as_str())).collect();
    lines(scene, &keys, top, |scene, at, corner| {
        let (down, high, round) = if keys[at].0 == Ink::Axis { (2.5, 6.0, 0.0) } else { (0.0, 11.0, 2.0) };
        scene.rect([corner.0, corner.1 + down, 11.0, high], round, keys[at].0);
    })
}

/// The same for series that have a shape each beside their ink, and whose keys go with them.
pub fn shapes(scene: &mut Scene, keys: &[(usize, Ink, &str)], top: f64) -> f64 {
    let named: Vec<(Ink, &str)> = keys.iter().map(|(_, ink, words)| (*ink, *words)).collect();
    lines(scene, &named, top, |scene, at, (x, y)| {
        let (shape, ink, _) = keys[at];
        scene.marker(shape, (x + 5.5, y + 5.5), 5.2, ink);
    })
}

fn lines(
    scene: &mut Scene,
    keys: &[(Ink, &str)],
    top: f64,
    mark: impl Fn(&mut Scene, usize, (f64, f64)),
) -> f64 {
    let (mut x, mut y) = (0.0, top);
    for (at, (ink, words)) in keys.iter().enumerate() {
        let taken = 16.0 + letters::room(words, SIZE, Weight::Regular);
        if x > 0.0 && x + taken > scene.width {
            x = 0.0;
            y += LINE;
        }
        let before = scene.items.len();
        mark(scene, at, (x, y + 3.0));
        scene.text((x + 16.0, y + 13.0), words, Style::new(Ink::Text).size(SIZE));
        if let Ink::Runtime(_) = ink {
            scene.own(before, words);
        }
        x += taken + 18.0;
    }
    let end = if keys.is_empty() { top } else { y + LINE };
    scene.height = scene.height.max(end);
    end
}
