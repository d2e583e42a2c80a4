//! Which colour is what?
//!
//! Keys in reading order that wrap where the line ends.

use super::letters;
use super::scene::{Ink, Scene, Style, Weight};

const SIZE: f64 = 12.0;
const LINE: f64 = 20.0;

/// Draws keys from `top` on and returns where they end.
pub fn draw(scene: &mut Scene, keys: &[(Ink, String)], top: f64) -> f64 {
    let (mut x, mut y) = (0.0, top);
    for (ink, words) in keys {
        let taken = 16.0 + letters::room(words, SIZE, Weight::Regular);
        if x > 0.0 && x + taken > scene.width {
            x = 0.0;
            y += LINE;
        }
        scene.rect([x, y + 3.0, 11.0, 11.0], 2.0, *ink);
        scene.text((x + 16.0, y + 13.0), words, Style::new(Ink::Text).size(SIZE));
        x += taken + 18.0;
    }
    let end = if keys.is_empty() { top } else { y + LINE };
    scene.height = scene.height.max(end);
    end
}
