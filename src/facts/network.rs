//! The network: interfaces for several machines, and the way to model hubs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::capture::place::Opened;
use crate::reading::Reading;

/// The network.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Network {
    /// RDMA devices that the kernel lists.
    pub rdma_devices: Reading<u64>,
    /// RDMA ports that are active.
    pub rdma_active: Reading<u64>,
    /// Whether the RDMA device nodes can be opened here.
    pub rdma_nodes: Reading<bool>,
    /// What the first active port speaks: `InfiniBand` or `Ethernet`.
    pub rdma_link: Reading<String>,
    /// Whether this machine's own name leads to the loopback interface.
    pub name_is_loopback: Reading<bool>,
    /// The interface that `NCCL_SOCKET_IFNAME` or `GLOO_SOCKET_IFNAME` names and that is not there.
    pub missing_interface: Reading<String>,
    /// Whether a proxy is set.
    pub proxy: Reading<bool>,
    /// Whether the proxy also gets what is meant for this machine.
    pub proxy_takes_localhost: Reading<bool>,
    /// Whether the hub answered; asked only with `--online`.
    pub hub_reachable: Reading<bool>,
    /// The hub that was asked.
    pub hub: Reading<String>,
    /// Why it did not answer.
    pub hub_error: Reading<String>,
    /// Whether a hub token is set or stored.
    pub hub_token: Reading<bool>,
    /// Whether hubs are switched off (`HF_HUB_OFFLINE`).
    pub hub_offline: Reading<bool>,
}

/// Reads the network.
pub(super) fn read(capture: &Capture) -> Network {
    let network = &capture.network;
    let active = network.rdma.iter().filter(|port| port.state.known().is_some_and(|state| state.contains("ACTIVE")));
    let mut devices: Vec<&str> = network.rdma.iter().map(|port| port.device.as_str()).collect();
    devices.dedup();
    let variable = |name: &str| capture.variables.get(name).filter(|value| !value.is_empty());
    let proxy =
        ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].iter().any(|name| variable(name).is_some());
    let exceptions = ["no_proxy", "NO_PROXY"].iter().find_map(|name| variable(name));
    let spares = exceptions.is_some_and(|hosts| hosts.split(',').any(|host| matches!(host.trim(), "*" | "localhost" | "127.0.0.1")));
    let hub = capture.online.as_ref().and_then(|places| {
        Reading::from(places.iter().find(|place| {
            place.url.contains("huggingface")
                || Some(place.url.trim_end_matches('/')) == variable("HF_ENDPOINT").map(|url| url.trim_end_matches('/'))
        }))
    });
    let nodes: Vec<_> = capture.devices.iter().filter(|(path, _)| path.starts_with("/dev/infiniband/uverbs")).collect();
    let tokens = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].iter().any(|name| variable(name).is_some());
    let stored = capture.files.iter().any(|(path, text)| path.ends_with("huggingface/token") && text.known().is_some());
    Network {
        rdma_devices: Reading::Known(devices.len() as u64),
        rdma_active: Reading::Known(active.clone().count() as u64),
        rdma_nodes: Reading::Known(nodes.iter().any(|(_, node)| node.known().is_some_and(|node| !matches!(node.open, Opened::Refused(_))))),
        rdma_link: active.clone().next().map_or(Reading::Absent, |port| port.link_layer.clone()),
        name_is_loopback: network.host_is_loopback.clone(),
        missing_interface: missing_interface(capture),
        proxy: Reading::Known(proxy),
        proxy_takes_localhost: Reading::Known(proxy && !spares),
        hub_reachable: hub.clone().map(|place| place.status.known().is_some_and(|status| *status < 500)),
        hub_error: hub.clone().and_then(|place| Reading::from(place.status.reason().map(str::to_owned))),
        hub: hub.map(|place| place.url.clone()),
        hub_token: Reading::Known(tokens || stored),
        hub_offline: Reading::Known(
            ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
                .iter()
                .any(|name| variable(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))),
        ),
    }
}

/// The interface that NCCL or Gloo is told to use, where no interface has that name. `^`, `=` and lists are NCCL's.
fn missing_interface(capture: &Capture) -> Reading<String> {
    let interfaces = &capture.network.interfaces;
    let named = ["NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"]
        .iter()
        .filter_map(|name| capture.variables.get(*name))
        .filter(|value| !value.starts_with('^'));
    let there = |wanted: &str| match wanted.strip_prefix('=') {
        Some(exact) => interfaces.iter().any(|interface| interface.name == exact),
        None => interfaces.iter().any(|interface| interface.name.starts_with(wanted)),
    };
    if interfaces.is_empty() {
        return Reading::Absent;
    }
    Reading::from(named.into_iter().find(|value| !value.is_empty() && !value.split(',').any(|wanted| there(wanted.trim()))).cloned())
}
