//! Network interfaces and RDMA ports, from sysfs, and what the machine's own name means.

use std::net::ToSocketAddrs;

use crate::capture::host::{Interface, RdmaPort};
use crate::probe::root::{Root, file_name};
use crate::reading::Reading;

/// Most interfaces that are listed: a node of a cluster has one for each container.
const MOST: usize = 64;
/// Most entries of a table of GIDs that are looked at.
const MOST_GIDS: u32 = 16;

/// All that sysfs has.
pub(super) fn read(root: &Root) -> (Vec<Interface>, Vec<RdmaPort>) {
    let names = root.names("/sys/class/net").into_known().unwrap_or_default();
    // Those of containers say nothing about the machine.
    let own = names.iter().filter(|name| !["veth", "cali", "lxc", "br-"].iter().any(|prefix| name.starts_with(prefix)));
    let interfaces = own.take(MOST).map(|name| interface(root, name)).collect();
    let devices = root.names("/sys/class/infiniband").into_known().unwrap_or_default();
    let rdma = devices.iter().take(MOST).flat_map(|device| ports(root, device)).collect();
    (interfaces, rdma)
}

fn interface(root: &Root, name: &str) -> Interface {
    let folder = format!("/sys/class/net/{name}");
    let number = |file: &str| root.line(&format!("{folder}/{file}")).and_then(|text| Reading::from(text.parse().ok()));
    Interface {
        name: name.to_owned(),
        state: root.line(&format!("{folder}/operstate")),
        speed_mbps: number("speed"),
        mtu: number("mtu"),
        pci: root.link(&format!("{folder}/device")).map(|target| file_name(&target)),
        driver: root.link(&format!("{folder}/device/driver")).map(|target| file_name(&target)),
    }
}

fn ports(root: &Root, device: &str) -> Vec<RdmaPort> {
    let folder = format!("/sys/class/infiniband/{device}");
    let ports = root.names(&format!("{folder}/ports")).into_known().unwrap_or_default();
    let numbers = ports.iter().filter_map(|port| port.parse().ok());
    let read = |port: u32| {
        let line = |file: &str| root.line(&format!("{folder}/ports/{port}/{file}"));
        RdmaPort {
            device: device.to_owned(),
            port,
            state: line("state"),
            physical_state: line("phys_state"),
            link_layer: line("link_layer"),
            rate: line("rate"),
            pci: root.link(&format!("{folder}/device")).map(|target| file_name(&target)),
            gid_types: gid_types(root, &format!("{folder}/ports/{port}")),
        }
    };
    numbers.map(read).collect()
}

/// The kinds of addresses that are set; the addresses themselves are nobody's business.
fn gid_types(root: &Root, port: &str) -> Vec<String> {
    let set = (0..MOST_GIDS).filter(|index| {
        let gid = root.line(&format!("{port}/gids/{index}")).into_known().unwrap_or_default();
        gid.chars().any(|c| c.is_ascii_hexdigit() && c != '0')
    });
    let mut types: Vec<String> = set.filter_map(|index| root.line(&format!("{port}/gid_attrs/types/{index}")).into_known()).collect();
    types.sort_unstable();
    types.dedup();
    types
}

/// Whether the machine's own name resolves to a loopback address, so that other machines cannot be told it.
pub(super) fn host_is_loopback() -> Reading<bool> {
    let Ok(name) = nix::unistd::gethostname() else { return Reading::unreadable("the machine has no name") };
    let name = name.to_string_lossy().into_owned();
    let addresses = (name.as_str(), 0).to_socket_addrs();
    match addresses {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.collect();
            Reading::Known(!addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback()))
        }
        Err(error) => Reading::Unreadable(format!("the machine's own name cannot be resolved: {}", error.kind())),
    }
}
