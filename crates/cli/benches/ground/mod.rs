//! Where a bench stands: a site like any command's, so that the next one takes away what a killed bench left.

use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use isomark_core::runtime::Program;
use isomark_core::trial::DEFAULT_TASKS;
use isomark_core::{Features, Image, Origin, Site, Spec};
use isomark_engine::settle;
use isomark_runtimes::embedded;

/// A bench's site; left clean when dropped.
pub(crate) struct Ground {
    pub(crate) site: Site,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let state = settle::state_dir();
        settle::prepare(&state).expect("a state directory; see ISOMARK_STATE");
        let _ = settle::settle(&state, false);
        Self { site: Site::open(&state).expect("a site of its own") }
    }

    /// The payload with its wire in an instance of 128 MiB, provisioned in the runtime's cheapest way.
    pub(crate) fn spec(&self) -> Spec {
        let image: Image = embedded::payload(&self.site).expect("the payload on disk");
        Spec {
            program: Program::payload(image),
            memory: 128 << 20,
            cpus: 1,
            tasks: DEFAULT_TASKS,
            origin: Origin::Fresh,
            cpu: Features::default(),
            provision: None,
            huge_pages: true,
            deadline: Duration::from_secs(60),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = settle::leave(&self.site);
    }
}

/// Enough samples for criterion's intervals, few enough that the whole takes a minute or two; flags go first.
pub(crate) fn settings(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(50).sampling_mode(criterion::SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
}
