//! What a trial keeps.

use super::*;
use crate::error::Unavailable;

/// A runtime of which nothing is asked.
struct Nothing;

impl Runtime for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }

    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        Ok(Identity::default())
    }

    fn create(&self, _: &Spec) -> Result<Box<dyn Instance>, Error> {
        Err(Error::Unsupported("nothing is made here".into()))
    }
}

/// The headers of a static x86-64 program with one segment.
fn elf() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([0x40_0078_u64, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([0_u64, 0x40_0000, 0x40_0000, 120, 120, 4096].map(u64::to_le_bytes).concat());
    elf
}

fn bench(dir: &std::path::Path) -> Bench {
    let path = dir.join("payload");
    std::fs::write(&path, elf()).unwrap();
    Bench {
        payload: Image::open(&path).unwrap(),
        program: None,
        tsc_hz: 1000,
        cpus: 1,
        llc: 1,
        deadline: Duration::from_secs(1),
        scratch: dir.to_owned(),
    }
}

#[test]
fn a_series_holds_numbers_only_and_a_failure_its_phase() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, identity, params) = (bench(dir.path()), Identity::default(), Params::new());
    let trial = Trial::new(&Nothing, &identity, &params, &bench);
    trial.series("s", vec![1.0, f64::NAN, 2.0, f64::INFINITY]);
    assert!(trial.create(&trial.spec()).is_err());
    let log = trial.finish();
    assert_eq!(log.series["s"], [1.0, 2.0]);
    assert_eq!((log.current, log.phases.len()), (Some(Phase::Create), 1));
}

#[test]
fn chance_is_of_seed_and_purpose_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, identity, params) = (bench(dir.path()), Identity::default(), Params::new());
    let word = |seed: u64, purpose: &str| {
        Trial::new(&Nothing, &identity, &params, &bench).seeded(seed).chance(purpose).word()
    };
    assert_eq!(word(1, "a"), word(1, "a"));
    assert!(word(1, "a") != word(2, "a") && word(1, "a") != word(1, "b"));
}
