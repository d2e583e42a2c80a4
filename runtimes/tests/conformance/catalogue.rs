//! The checks of the conformance suite for every runtime of the catalogue that is installed here.
//!
//! What is not installed is skipped with its printed reason; `ISOMARK_REQUIRE=a,b` turns that into a failure, and so is
//! whatever remains on the host. `ISOMARK_TEST_RUNTIME=a{x=y},b` names what is checked.

use std::time::Duration;

use crate::checks::{self, Ground, dropped, traces};
use isomark_core::{Runtime, Site, Variant};
use isomark_runtimes::{Shelf, embedded};

/// All checks on one runtime, one after the other: what it shares (a daemon, say) is made once.
fn conforms(site: &Site, dir: &std::path::Path, runtime: &dyn Runtime) {
    let ground =
        Ground { site, payload: embedded::payload(site).unwrap(), dir, patience: Duration::from_secs(3) };
    // One check by its words, where each start takes long.
    let one = std::env::var("ISOMARK_TEST_CHECK").unwrap_or_default();
    for (what, check) in checks::ALL.into_iter().filter(|(what, _)| what.contains(&one)) {
        eprintln!("{}: {what}", runtime.name());
        check(runtime, &ground);
    }
    if !one.is_empty() {
        return;
    }
    let before = traces(site);
    for until in [0, 1, 2, 3] {
        dropped(runtime, &ground, None, until);
        assert_eq!(traces(site), before, "{} dropped at {until}", runtime.name());
    }
}

/// Checks those that `chosen` takes.
fn check_all(chosen: &dyn Fn(&Shelf<'_>) -> Vec<Variant>) {
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    let parent = tempfile::tempdir_in("/var/tmp").unwrap();
    let site = Site::open(parent.path()).unwrap();
    let shelf = Shelf::open(&site, None).unwrap();
    for variant in chosen(&shelf) {
        let runtime = shelf.find(&variant).unwrap();
        match runtime.probe() {
            Ok(_) => conforms(&site, parent.path(), runtime.as_ref()),
            Err(why) => {
                eprintln!("SKIPPED {variant}: {}; remedy: {}", why.reason, why.remedy);
                assert!(!required.split(',').any(|name| name == variant.runtime), "{variant} is required");
            }
        }
        drop(runtime);
        let left = traces(&site).into_iter().filter(|path| path.starts_with("/sys")).collect::<Vec<_>>();
        assert!(left.is_empty(), "{variant} left {left:?}");
    }
}

#[test]
fn every_installed_runtime_conforms() {
    let named = std::env::var("ISOMARK_TEST_RUNTIME").unwrap_or_default();
    let named = Variant::list(&named).unwrap();
    check_all(&|shelf| {
        if !named.is_empty() {
            return named.clone();
        }
        let plain = |runtime: &dyn Runtime| runtime.name().parse::<Variant>().unwrap();
        let verified = |variant: &Variant| shelf.verified(&variant.runtime) == Some(true);
        shelf.catalogue().unwrap().iter().map(|runtime| plain(runtime.as_ref())).filter(verified).collect()
    });
}
