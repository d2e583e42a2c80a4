//! A number that is written as an integer if it is one.
//!
//! Beyond 2^53 an f64 no longer holds every integer, and none is pretended.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that is written as an integer if it is one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Beyond 2^53 an f64 no longer holds every integer.
        if self.0.fract() == 0.0 && self.0.abs() < 9_007_199_254_740_992.0 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_as_integers() {
        let write = |x: f64| serde_json::to_string(&Number(x)).unwrap();
        assert_eq!([write(3.0), write(-2.0), write(0.5), write(1e300)], ["3", "-2", "0.5", "1e+300"]);
        let back: [Number; 2] = serde_json::from_str("[3,0.5]").unwrap();
        assert_eq!(back, [Number(3.0), Number(0.5)]);
    }
}
