//! The functions of libcuda and of libcudart. Device memory is host memory, which is given back; a context is the device's
//! ordinal plus one.

use super::*;

/// What the kernel of the launch test writes.
const ANSWER: u64 = 0x6770_7564_6173_6b73;

/// The names of the errors that a launch meets.
const NAMES: [(c_int, &str); 32] = [
    (1, "CUDA_ERROR_INVALID_VALUE\0"),
    (2, "CUDA_ERROR_OUT_OF_MEMORY\0"),
    (3, "CUDA_ERROR_NOT_INITIALIZED\0"),
    (34, "CUDA_ERROR_STUB_LIBRARY\0"),
    (36, "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER\0"),
    (46, "CUDA_ERROR_DEVICE_UNAVAILABLE\0"),
    (100, "CUDA_ERROR_NO_DEVICE\0"),
    (101, "CUDA_ERROR_INVALID_DEVICE\0"),
    (102, "CUDA_ERROR_DEVICE_NOT_LICENSED\0"),
    (209, "CUDA_ERROR_NO_BINARY_FOR_GPU\0"),
    (214, "CUDA_ERROR_ECC_UNCORRECTABLE\0"),
    (217, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED\0"),
    (218, "CUDA_ERROR_INVALID_PTX\0"),
    (221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND\0"),
    (222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION\0"),
    (304, "CUDA_ERROR_OPERATING_SYSTEM\0"),
    (700, "CUDA_ERROR_ILLEGAL_ADDRESS\0"),
    (716, "CUDA_ERROR_MISALIGNED_ADDRESS\0"),
    (719, "CUDA_ERROR_LAUNCH_FAILED\0"),
    (800, "CUDA_ERROR_NOT_PERMITTED\0"),
    (801, "CUDA_ERROR_NOT_SUPPORTED\0"),
    (802, "CUDA_ERROR_SYSTEM_NOT_READY\0"),
    (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH\0"),
    (804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE\0"),
    (805, "CUDA_ERROR_MPS_CONNECTION_FAILED\0"),
    (806, "CUDA_ERROR_MPS_RPC_FAILURE\0"),
    (807, "CUDA_ERROR_MPS_SERVER_NOT_READY\0"),
    (808, "CUDA_ERROR_MPS_MAX_CLIENTS_REACHED\0"),
    (809, "CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED\0"),
    (810, "CUDA_ERROR_MPS_CLIENT_TERMINATED\0"),
    (919, "CUDA_ERROR_FABRIC_NOT_READY\0"),
    (999, "CUDA_ERROR_UNKNOWN\0"),
];

fn devices() -> usize {
    setting("devices", setting("gpus", 1)) as usize
}

fn context(device: c_int) -> *mut c_void {
    (device as usize + 1) as *mut c_void
}

/// What was allocated and not given back: its address and its length.
static MEMORY: Mutex<Vec<(u64, usize)>> = Mutex::new(Vec::new());

fn allocate(length: usize) -> u64 {
    let place = Box::leak(vec![0_u8; length].into_boxed_slice()).as_mut_ptr() as u64;
    MEMORY.lock().unwrap().push((place, length));
    place
}

unsafe fn free(place: u64) {
    let mut memory = MEMORY.lock().unwrap();
    if let Some(index) = memory.iter().position(|(other, _)| *other == place) {
        let (place, length) = memory.swap_remove(index);
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(place as *mut u8, length)) });
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(code: c_int, name: *mut *const c_char) -> c_int {
    let Some((_, text)) = NAMES.iter().find(|(known, _)| *known == code) else { return 1 };
    unsafe { name.write(text.as_ptr().cast()) };
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn cudaGetErrorName(code: c_int) -> *const c_char {
    let text = NAMES.iter().find(|(known, _)| *known == code).map_or("unrecognized error code\0", |(_, text)| *text);
    text.as_ptr().cast()
}

fake! {
    cuInit(_flags: c_uint) => {}
    cuDriverGetVersion(version: *mut c_int) => { version.write(setting("cuda", 13000) as c_int) }
    cuDeviceGetCount(count: *mut c_int) => { count.write(devices() as c_int) }
    cuDeviceGet(device: *mut c_int, ordinal: c_int) of ordinal as usize => { device.write(ordinal) }
    cuDeviceGetName(place: *mut c_char, length: c_int, device: c_int) of device as usize => { write("cuDeviceGetName", "NVIDIA H100 80GB HBM3", place, length as usize) }
    cuDeviceGetUuid_v2(place: *mut u8, device: c_int) of device as usize => {
        let mut bytes = [0x89, 0x32, 0xf9, 0x37, 0xd7, 0x2c, 0x41, 0x06, 0xc1, 0x2f, 0, 0, 0, 0, 0, 0];
        bytes[15] = device as u8 + 1;
        place.cast::<[u8; 16]>().write(bytes)
    }
    cuDeviceGetPCIBusId(place: *mut c_char, length: c_int, device: c_int) of device as usize => {
        write("cuDeviceGetPCIBusId", &format!("0000:{:02X}:00.0", 0x18 + device), place, length as usize)
    }
    cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) of device as usize => { bytes.write(79 << 30) }
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) of device as usize => {
        value.write(match attribute {
            75 => 9,
            16 => 132,
            32 | 41 | 102 | 103 => 1,
            _ => 0,
        })
    }
    cuDevicePrimaryCtxRetain(place: *mut *mut c_void, device: c_int) of device as usize => { place.write(context(device)) }
    cuCtxSetCurrent(_context: *mut c_void) => {}
    cuCtxSynchronize() => {}
    cuCtxEnablePeerAccess(_peer: *mut c_void, _flags: c_uint) => {}
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize) => {
        free.write(78 << 30);
        total.write(79 << 30)
    }
    cuMemAlloc_v2(place: *mut u64, length: usize) => { place.write(allocate(length)) }
    cuMemFree_v2(place: u64) => { free(place) }
    cuMemsetD8_v2(place: u64, value: u8, length: usize) => { (place as *mut u8).write_bytes(value, length) }
    cuMemcpyHtoD_v2(place: u64, from: *const c_void, length: usize) => { (place as *mut u8).copy_from(from.cast(), length) }
    cuMemcpyDtoH_v2(into: *mut c_void, place: u64, length: usize) => { into.cast::<u8>().copy_from(place as *const u8, length) }
    cuMemcpyPeerAsync(into: u64, _target: *mut c_void, from: u64, _source: *mut c_void, length: usize, _stream: *mut c_void) => {
        (into as *mut u8).copy_from(from as *const u8, length);
        if setting("corrupt", 0) == 1 {
            let last = (into as *mut u8).add(length - 1);
            last.write(!last.read())
        }
    }
    cuModuleLoadData(module: *mut *mut c_void, _image: *const c_void) => { module.write(1 as *mut c_void) }
    cuModuleGetFunction(function: *mut *mut c_void, _module: *mut c_void, _name: *const c_char) => { function.write(1 as *mut c_void) }
    cuLaunchKernel(_f: *mut c_void, _a: c_uint, _b: c_uint, _c: c_uint, _d: c_uint, _e: c_uint, _g: c_uint, _h: c_uint, _stream: *mut c_void, arguments: *mut *mut c_void, _extra: *mut *mut c_void) => {
        let place = arguments.read().cast::<u64>().read() as *mut u64;
        place.write_unaligned(if setting("wrong", 0) == 1 { 42 } else { ANSWER })
    }
    cuDeviceCanAccessPeer(can: *mut c_int, from: c_int, _to: c_int) of from as usize => { can.write(setting("peer", 1) as c_int) }
    cuDeviceGetP2PAttribute(value: *mut c_int, _attribute: c_int, from: c_int, _to: c_int) of from as usize => { value.write(1) }
    cuStreamCreate(stream: *mut *mut c_void, _flags: c_uint) => { stream.write(1 as *mut c_void) }
    cuStreamSynchronize(_stream: *mut c_void) => {}
    cuEventCreate(event: *mut *mut c_void, _flags: c_uint) => { event.write(1 as *mut c_void) }
    cuEventRecord(_event: *mut c_void, _stream: *mut c_void) => {}
    cuEventElapsedTime(milliseconds: *mut f32, _start: *mut c_void, _end: *mut c_void) => { milliseconds.write(0.05) }
    cudaRuntimeGetVersion(version: *mut c_int) => { version.write(12080) }
    cudaDriverGetVersion(version: *mut c_int) => { version.write(13000) }
    cudaGetDeviceCount(count: *mut c_int) => { count.write(devices() as c_int) }
}
