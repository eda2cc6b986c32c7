//! The bridges between a PCI device and the processor: the folders that its own is in.

use std::path::Path;

use super::pci::is_address;
use crate::probe::root::Root;

/// From the nearest to the root.
pub(super) fn above(root: &Root, link: &str) -> Vec<String> {
    let Ok(place) = fs_err::canonicalize(root.at(link)) else { return Vec::new() };
    let folders = place.ancestors().skip(1).map(|folder| folder.file_name().map(Path::new));
    let bridges = folders.map_while(|name| name.filter(|name| is_address(name)));
    bridges.map(|name| name.display().to_string()).collect()
}
