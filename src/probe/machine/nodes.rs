//! Device nodes, and whether this process may open them: a container's rules show nowhere else.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::capture::place::{Node, Opened};
use crate::probe::root::{Root, not_read};
use crate::reading::Reading;

/// Nodes that must be there, so that not finding them is an answer.
const EXPECTED: [&str; 4] = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/dxg"];
/// Nodes that may be there.
const OTHERS: [&str; 9] = [
    "/dev/nvidia*",
    "/dev/nvidia-caps/*",
    "/dev/nvidia-caps-imex-channels/*",
    "/dev/infiniband/*",
    "/dev/nvmap",
    "/dev/nvhost-*",
    "/dev/nvgpu/*/*",
    "/dev/gdrdrv",
    "/dev/kfd",
];

/// All of them on this machine.
pub(super) fn paths(root: &Root) -> Vec<String> {
    let found = OTHERS.iter().flat_map(|pattern| root.expand(pattern)).filter(|path| root.exists(path));
    let mut paths: Vec<String> = EXPECTED.iter().map(|path| (*path).to_owned()).chain(found).collect();
    paths.retain(|path| !fs_err::metadata(root.at(path)).is_ok_and(|found| found.is_dir()));
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// One node.
pub(super) fn read(root: &Root, path: &str) -> Reading<Node> {
    let place = root.at(path);
    let metadata = match fs_err::metadata(&place) {
        Ok(metadata) => metadata,
        Err(error) => return not_read(&error),
    };
    let number = metadata.rdev();
    // The numbers as Linux packs them.
    let major = (((number >> 32) & 0xffff_f000) | ((number >> 8) & 0xfff)) as u32;
    let minor = (((number >> 12) & 0xffff_ff00) | (number & 0xff)) as u32;
    let is_device = metadata.file_type().is_char_device();
    let open = if is_device && may_be_opened(path) { open(&place) } else { Opened::NotTried };
    Reading::Known(Node { major, minor, mode: metadata.mode() & 0o7777, open })
}

/// The switches' nodes belong to the fabric manager; a Jetson's and an RDMA device's do more than answer.
fn may_be_opened(path: &str) -> bool {
    let name = path.trim_start_matches("/dev/");
    (name.starts_with("nvidia") && !name.contains("nvswitch") && !name.contains('/'))
        || name == "dxg"
        || name.starts_with("infiniband/uverbs")
}

fn open(place: &std::path::Path) -> Opened {
    match OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(place) {
        Ok(_) => Opened::Yes,
        Err(error) => {
            let code = error.raw_os_error().map(Errno::from_raw);
            Opened::Refused(code.map_or_else(|| error.kind().to_string(), |code| format!("{code:?}")))
        }
    }
}
