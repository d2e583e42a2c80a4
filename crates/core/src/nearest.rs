//! Which valid name did the user mean?
//!
//! Edit distance of Damerau in its restricted form (a swap of neighbours is one slip), over characters. A name is
//! offered only if less than half of it had to be changed: a wild guess helps nobody.

/// The name most like `wrong`, if one is like it at all.
///
/// ```
/// use isomark_core::nearest::nearest;
/// assert_eq!(nearest("microvn", ["process", "namespace", "microvm"]), Some("microvm"));
/// assert_eq!(nearest("zzz", ["process"]), None);
/// ```
pub fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|name| (distance(wrong, name), name));
    let (slips, name) = scored.min_by_key(|(slips, _)| *slips)?;
    (slips * 2 <= name.chars().count().max(2)).then_some(name)
}

/// The end of an error message about an unknown name: the nearest valid one, or all of them.
#[must_use]
pub fn hint<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> String {
    match nearest(wrong, names.clone()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => {
            let mut all: Vec<&str> = names.into_iter().collect();
            all.sort_unstable();
            all.dedup();
            format!("known: {}", all.join(", "))
        }
    }
}

/// The same as a clause before what else there is to say: "did you mean …? " if a name is like it, and nothing if not.
#[must_use]
pub fn meant<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(wrong, names).map_or_else(String::new, |name| format!("did you mean {name:?}? "))
}

/// Slips of the pen between two words: characters added, left out, changed, or swapped with their neighbour.
#[must_use]
pub fn distance(one: &str, other: &str) -> usize {
    // A name is short; whoever writes a novel gets a bounded answer.
    let letters = |text: &str| text.chars().take(80).collect::<Vec<_>>();
    let (one, other) = (letters(one), letters(other));
    let width = other.len() + 1;
    let mut table = vec![0; width * (one.len() + 1)];
    for row in 0..=one.len() {
        for column in 0..width {
            table[row * width + column] = if row == 0 || column == 0 {
                row + column
            } else {
                let same = usize::from(one[row - 1] != other[column - 1]);
                let above = table[(row - 1) * width + column] + 1;
                let left = table[row * width + column - 1] + 1;
                let mut best = above.min(left).min(table[(row - 1) * width + column - 1] + same);
                let swapped = row > 1
                    && column > 1
                    && one[row - 1] == other[column - 2]
                    && one[row - 2] == other[column - 1];
                if swapped {
                    best = best.min(table[(row - 2) * width + column - 2] + 1);
                }
                best
            };
        }
    }
    table.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slips_are_counted() {
        let cases = [
            ("", "", 0),
            ("startup", "startup", 0),
            ("startup", "statrup", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ];
        for (one, other, slips) in cases {
            assert_eq!(distance(one, other), slips, "{one} {other}");
        }
    }

    #[test]
    fn hints_name_the_nearest_or_all() {
        assert_eq!(hint("startupp", ["memory", "startup"]), "did you mean \"startup\"?");
        assert_eq!(hint("qqqqqqq", ["memory", "disk", "disk"]), "known: disk, memory");
        assert_eq!(nearest("x", []), None);
        assert_eq!(meant("netwrok", ["seccomp", "network"]), "did you mean \"network\"? ");
        assert_eq!(meant("nosuch", ["youki", "crun"]), "");
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_bounded(a in "[a-d]{0,9}", b in "[a-d]{0,9}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }
}
