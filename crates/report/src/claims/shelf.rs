//! The claims that come with isomark: data, embedded.
//!
//! A new claim is one file in `scenarios/claims/` and one line here.

use isomark_core::Error;

use super::file::File;
use super::layers::Layers;

macro_rules! claims {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../scenarios/claims/", $name, ".toml")))),*]
    };
}

/// Layers by file name and text.
const LAYERS: (&str, &str) = ("layers.toml", include_str!("../../../../scenarios/claims/layers.toml"));

/// All claims in the order of a report: name and text.
pub const CLAIMS: &[(&str, &str)] = claims![
    "vm-start-minutes",
    "container-start-ms",
    "start-orders-of-magnitude",
    "creation-rate",
    "fast-deploy",
    "vm-memory",
    "vm-cpu",
    "no-multiple-os",
    "disk-three-guests",
    "container-disk",
    "numeric-optimisation",
    "numeric-counterproductive",
    "os-level-overhead",
    "isolation-complete",
    "containers-no-interface",
    "resource-groups",
    "utilisation-30",
    "utilisation-vm-lower",
    "dozens-on-a-laptop",
    "xen-small-loss",
    "use-cases",
];

/// Layers and claims, read and checked.
///
/// # Errors
/// [`Error::Input`] naming file, line and key.
pub fn load() -> Result<(Layers, Vec<File>), Error> {
    let layers = Layers::parse(LAYERS.0, LAYERS.1)?;
    let files = CLAIMS.iter().map(|(name, text)| File::parse(&format!("{name}.toml"), text, &layers));
    let files = files.collect::<Result<_, _>>()?;
    Ok((layers, files))
}
