//! Where a bench stands: a site like any command's, so that the next one takes away what a killed bench left.

use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use isomark_core::runtime::Program;
use isomark_core::{Image, Site, Spec};
use isomark_engine::Place;
use isomark_runtimes::embedded;

/// A bench's site; left clean when dropped.
pub(crate) struct Ground {
    place: Place,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self { place: Place::take().expect("a state directory; see ISOMARK_STATE") }
    }

    pub(crate) const fn site(&self) -> &Site {
        self.place.site()
    }

    /// The payload with its wire in an instance of 128 MiB, provisioned in the runtime's cheapest way.
    pub(crate) fn spec(&self) -> Spec {
        let image: Image = embedded::payload(self.site()).expect("the payload on disk");
        Spec::new(Program::payload(image))
    }
}

/// Enough samples for criterion's intervals, few enough that the whole takes a minute or two; flags go first.
pub(crate) fn settings(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(50).sampling_mode(criterion::SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
}
