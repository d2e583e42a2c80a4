//! Which features of the host's CPU an instance is shown: a word of plans, and the bits of CPUID that it takes away.
//!
//! `host` (all), `baseline` (what every x86-64 has), `avx2` (no AVX-512 and nothing after it), and each of these without
//! more: `host-avx512f`, `avx2-fma-sha`; `-avx512f` is short for the first. A feature goes with everything that needs it, and
//! with the register state of its own: what CPUID hides because of XCR0 must not work either. A mask is believed only once the
//! payload has been asked ([`Features::check`]).

use std::fmt;
use std::str::FromStr;

use isomark_payload::{Isa, Reply};

use crate::error::Error;

/// The best instruction-set path of the payload that this CPU has and its operating system enables.
#[must_use]
pub fn best_path() -> Isa {
    use std::arch::is_x86_feature_detected as has;
    let avx512 =
        has!("avx512f") && has!("avx512vl") && has!("avx512bw") && has!("avx512dq") && has!("avx512cd");
    match (avx512, has!("avx2") && has!("fma")) {
        (true, _) => Isa::Avx512,
        (false, true) => Isa::Avx2,
        (false, false) => Isa::Baseline,
    }
}

/// One bit of CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Feature {
    /// Its name, as QEMU and Linux spell it, without dashes.
    pub name: &'static str,
    /// Leaf and subleaf.
    pub leaf: (u32, u32),
    /// 0 to 3: EAX, EBX, ECX, EDX.
    pub register: u8,
    /// Number of the bit.
    pub bit: u8,
    /// What it cannot be without.
    needs: &'static str,
}

const fn f(name: &'static str, leaf: (u32, u32), register: u8, bit: u8, needs: &'static str) -> Feature {
    Feature { name, leaf, register, bit, needs }
}

const BASIC: (u32, u32) = (1, 0);
const SEVEN: (u32, u32) = (7, 0);
const SEVEN_ONE: (u32, u32) = (7, 1);
const AMD: (u32, u32) = (0x8000_0001, 0);
const EAX: u8 = 0;
const EBX: u8 = 1;
const ECX: u8 = 2;
const EDX: u8 = 3;

/// What programs can tell from x86-64 as it began (Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E). In an order in which
/// everything comes after what it needs.
pub const FEATURES: [Feature; 57] = [
    f("sse3", BASIC, ECX, 0, ""),
    f("pclmulqdq", BASIC, ECX, 1, ""),
    f("ssse3", BASIC, ECX, 9, "sse3"),
    f("cx16", BASIC, ECX, 13, ""),
    f("sse4.1", BASIC, ECX, 19, "ssse3"),
    f("sse4.2", BASIC, ECX, 20, "sse4.1"),
    f("movbe", BASIC, ECX, 22, ""),
    f("popcnt", BASIC, ECX, 23, ""),
    f("aes", BASIC, ECX, 25, ""),
    f("xsave", BASIC, ECX, 26, ""),
    f("avx", BASIC, ECX, 28, "xsave"),
    f("fma", BASIC, ECX, 12, "avx"),
    f("f16c", BASIC, ECX, 29, "avx"),
    f("rdrand", BASIC, ECX, 30, ""),
    f("lahf", AMD, ECX, 0, ""),
    f("abm", AMD, ECX, 5, ""),
    f("sse4a", AMD, ECX, 6, "sse3"),
    f("xop", AMD, ECX, 11, "avx"),
    f("fma4", AMD, ECX, 16, "avx"),
    f("tbm", AMD, ECX, 21, ""),
    f("bmi1", SEVEN, EBX, 3, ""),
    f("avx2", SEVEN, EBX, 5, "avx"),
    f("bmi2", SEVEN, EBX, 8, ""),
    f("rdseed", SEVEN, EBX, 18, ""),
    f("adx", SEVEN, EBX, 19, ""),
    f("sha", SEVEN, EBX, 29, ""),
    f("gfni", SEVEN, ECX, 8, ""),
    f("vaes", SEVEN, ECX, 9, "avx2"),
    f("vpclmulqdq", SEVEN, ECX, 10, "avx2"),
    f("sha512", SEVEN_ONE, EAX, 0, "avx2"),
    f("sm3", SEVEN_ONE, EAX, 1, "avx"),
    f("sm4", SEVEN_ONE, EAX, 2, "avx2"),
    f("avxvnni", SEVEN_ONE, EAX, 4, "avx2"),
    f("avxifma", SEVEN_ONE, EAX, 23, "avx2"),
    f("avxvnniint8", SEVEN_ONE, EDX, 4, "avx2"),
    f("avxneconvert", SEVEN_ONE, EDX, 5, "avx2"),
    f("avxvnniint16", SEVEN_ONE, EDX, 10, "avx2"),
    f("avx512f", SEVEN, EBX, 16, "avx2"),
    f("avx512dq", SEVEN, EBX, 17, "avx512f"),
    f("avx512ifma", SEVEN, EBX, 21, "avx512f"),
    f("avx512pf", SEVEN, EBX, 26, "avx512f"),
    f("avx512er", SEVEN, EBX, 27, "avx512f"),
    f("avx512cd", SEVEN, EBX, 28, "avx512f"),
    f("avx512bw", SEVEN, EBX, 30, "avx512f"),
    f("avx512vl", SEVEN, EBX, 31, "avx512f"),
    f("avx512vbmi", SEVEN, ECX, 1, "avx512f"),
    f("avx512vbmi2", SEVEN, ECX, 6, "avx512f"),
    f("avx512vnni", SEVEN, ECX, 11, "avx512f"),
    f("avx512bitalg", SEVEN, ECX, 12, "avx512f"),
    f("avx512vpopcntdq", SEVEN, ECX, 14, "avx512f"),
    f("avx512vp2intersect", SEVEN, EDX, 8, "avx512f"),
    f("avx512fp16", SEVEN, EDX, 23, "avx512f"),
    f("avx512bf16", SEVEN_ONE, EAX, 5, "avx512f"),
    f("avx10", SEVEN_ONE, EDX, 19, "avx512f"),
    f("amxtile", SEVEN, EDX, 24, "xsave"),
    f("amxbf16", SEVEN, EDX, 22, "amxtile"),
    f("amxint8", SEVEN, EDX, 25, "amxtile"),
];

/// Register state by the feature that uses it, as bits of XCR0 (SDM vol. 1, 13.1).
const STATES: [(&str, u64); 4] =
    [("xsave", !3), ("avx", 1 << 2), ("avx512f", 0b111 << 5), ("amxtile", 0b11 << 17)];

/// Words that stand for a set, and what it is without, beside all that needs it.
const SETS: [(&str, &[&str]); 3] = [
    ("host", &[]),
    (
        "baseline",
        &[
            "sse3",
            "pclmulqdq",
            "cx16",
            "movbe",
            "popcnt",
            "aes",
            "xsave",
            "rdrand",
            "lahf",
            "abm",
            "tbm",
            "bmi1",
            "bmi2",
            "rdseed",
            "adx",
            "sha",
            "gfni",
        ],
    ),
    ("avx2", &["avx512f", "amxtile"]),
];

/// What an instance is shown of its CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    word: String,
    /// In the order of [`FEATURES`].
    removed: Vec<Feature>,
}

impl Default for Features {
    fn default() -> Self {
        Self { word: SETS[0].0.into(), removed: Vec::new() }
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

impl FromStr for Features {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        let mut parts = word.split('-');
        let first = parts.next().filter(|first| !first.is_empty()).unwrap_or(SETS[0].0);
        let set = SETS.iter().find(|(name, _)| *name == first).filter(|_| !word.is_empty());
        let unknown = |what: &str| {
            let sets = SETS.map(|(name, _)| name).join(", ");
            let all = FEATURES.map(|feature| feature.name).join(", ");
            Error::Input(format!(
                "cpu = {word:?}: {what:?} is none of {sets}; behind a dash may stand what is taken away besides \
                 (host-avx512f): {all}"
            ))
        };
        let mut gone = set.ok_or_else(|| unknown(first))?.1.to_vec();
        for name in parts {
            let feature = FEATURES.iter().find(|feature| feature.name == name);
            gone.push(feature.ok_or_else(|| unknown(name))?.name);
        }
        let mut removed = Vec::<Feature>::new();
        for feature in FEATURES {
            let falls = removed.iter().any(|other| other.name == feature.needs);
            if falls || gone.contains(&feature.name) {
                removed.push(feature);
            }
        }
        Ok(Self { word: word.to_owned(), removed })
    }
}

impl Features {
    /// Whether nothing is taken away.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        self.removed.is_empty()
    }

    /// What is taken away.
    #[must_use]
    pub fn removed(&self) -> &[Feature] {
        &self.removed
    }

    /// Bits of XCR0 that may not be set.
    #[must_use]
    pub fn states(&self) -> u64 {
        let gone = |name: &str| self.removed.iter().any(|feature| feature.name == name);
        STATES.iter().filter(|(name, _)| gone(name)).fold(0, |all, (_, bits)| all | bits)
    }

    /// Whether the payload sees what it should, by its answer to the job `features`.
    ///
    /// # Errors
    /// [`Error::WrongAnswer`] naming what it sees all the same.
    pub fn check(&self, seen: &Reply) -> Result<(), Error> {
        let wrong = |what: String| Error::WrongAnswer(format!("cpu = {self}: {what}"));
        let field = |key: &str| seen.str(key).map_err(|e| wrong(e.to_string()));
        let words = field("cpuid")?.split(',').filter_map(|one| one.split_once('.')).collect::<Vec<_>>();
        for feature in &self.removed {
            let place = feature.place();
            let word = words.iter().find(|(at, _)| *at == place).map(|(_, word)| *word);
            let word = word.and_then(|word| u32::from_str_radix(word, 16).ok());
            let word = word.ok_or_else(|| wrong(format!("the payload does not tell CPUID {place}")))?;
            if word >> feature.bit & 1 == 1 {
                return Err(wrong(format!("the CPU inside shows {} all the same", feature.name)));
            }
        }
        let xcr0 = field("xcr0")?.trim_start_matches("0x");
        let xcr0 = u64::from_str_radix(xcr0, 16).map_err(|e| wrong(format!("xcr0 {xcr0:?}: {e}")))?;
        if xcr0 & self.states() != 0 {
            return Err(wrong(format!("XCR0 inside is {xcr0:#x}: register state is enabled that is hidden")));
        }
        Ok(())
    }
}

impl Feature {
    /// Leaf, subleaf and register, as the payload writes them: `7:0:1`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{:x}:{:x}:{}", self.leaf.0, self.leaf.1, self.register)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str) -> Vec<&'static str> {
        word.parse::<Features>().unwrap().removed.iter().map(|feature| feature.name).collect()
    }

    #[test]
    fn what_needs_a_feature_goes_with_it() {
        assert!(names("host").is_empty() && Features::default().is_host());
        assert_eq!(names("baseline").len(), FEATURES.len(), "nothing is left of what came later");
        assert_eq!(names("-popcnt"), ["popcnt"]);
        assert_eq!(names("host-ssse3"), ["ssse3", "sse4.1", "sse4.2"]);
        let avx2 = names("avx2");
        assert!(
            avx2.iter().all(|name| name.starts_with("avx512") || name.starts_with("amx") || *name == "avx10")
        );
        let more = names("avx2-fma");
        assert_eq!(more.iter().filter(|name| !avx2.contains(name)).collect::<Vec<_>>(), [&"fma"]);
        assert!(names("host-xsave").contains(&"avx512vbmi2"), "three steps away");
    }

    #[test]
    fn everything_comes_after_what_it_needs_and_no_bit_twice() {
        for (at, feature) in FEATURES.iter().enumerate() {
            let before = &FEATURES[..at];
            assert!(
                feature.needs.is_empty() || before.iter().any(|f| f.name == feature.needs),
                "{feature:?}"
            );
            let same =
                |f: &Feature| f.name == feature.name || (f.place(), f.bit) == (feature.place(), feature.bit);
            assert!(!before.iter().any(same), "{feature:?}");
            assert!(feature.bit < 32 && feature.register < 4);
        }
        for (_, gone) in SETS {
            assert!(gone.iter().all(|name| FEATURES.iter().any(|f| f.name == *name)), "{gone:?}");
        }
    }

    #[test]
    fn register_state_goes_with_its_feature() {
        let states = |word: &str| word.parse::<Features>().unwrap().states();
        assert_eq!((states("host"), states("-fma")), (0, 0));
        assert_eq!(states("avx2") & 0xff, 0xe0);
        assert_eq!(states("-avx") & 0xff, 0xe4);
        assert_eq!(states("baseline") & 0xff, 0xfc);
    }

    #[test]
    fn a_word_that_means_nothing_is_refused_by_name() {
        for (word, with) in [
            ("", "\"host\" is none"),
            ("sse9", "\"sse9\" is none of host, baseline, avx2"),
            ("host-", "\"\" is none"),
            ("host-avx512", "\"avx512\" is none"),
            ("Baseline", "\"Baseline\" is none"),
        ] {
            let error = word.parse::<Features>().expect_err(word).to_string();
            assert!(error.contains(with) && error.contains(&format!("cpu = {word:?}")), "{word:?}: {error}");
        }
    }

    /// What a payload would say that sees these bits of leaf 7, EBX, and nothing else.
    fn reply(ebx: u32, xcr0: &str) -> Reply {
        let zeros = ["1:0:2", "7:0:2", "7:0:3", "7:1:0", "7:1:3", "80000001:0:2"].map(|at| format!("{at}.0"));
        let cpuid = format!("{},7:0:1.{ebx:x}", zeros.join(","));
        Reply::new().with("cpuid", cpuid).with("xcr0", xcr0)
    }

    #[test]
    fn a_mask_that_does_not_hold_is_found() {
        let mask = "avx2".parse::<Features>().unwrap();
        assert!(mask.check(&reply(1 << 5, "0x7")).is_ok());
        for (seen, with) in [
            (reply(1 << 16, "0x7"), "shows avx512f"),
            (reply(1 << 31, "0x7"), "shows avx512vl"),
            (reply(0, "0xe7"), "XCR0 inside is 0xe7"),
            (reply(0, "none"), "xcr0"),
            (Reply::new(), "cpuid is missing"),
            (Reply::new().with("cpuid", "7:0:1.0").with("xcr0", "0x7"), "does not tell CPUID 7:0:2"),
        ] {
            let error = mask.check(&seen).expect_err(with).to_string();
            assert!(error.contains(with) && error.contains("cpu = avx2"), "{error}");
        }
        assert!(Features::default().check(&reply(u32::MAX, "0xe7")).is_ok());
    }
}
