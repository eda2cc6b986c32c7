// A libcuda.so.1 without a GPU: device memory is host memory, kernels run through the emulator.
//
// What it says of itself is set by variables: EMULATED_SMS (multiprocessors, 3), EMULATED_DEVICES (1), EMULATED_FREE_MIB (96), EMULATED_HELD_MIB (0),
// EMULATED_CAPABILITY (80), EMULATED_CLOCK_KHZ (memory clock, 1: any rate is far above what such a card could reach), EMULATED_PEERS (1; 0: devices do not reach each other), and
// EMULATED_FAIL=function:code, or function:hang: that call fails, or never returns; function:code@N, from the N-th such call on.
// Device memory ends at pages that cannot be touched, and what is freed cannot be touched again.
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fibers.h"
#include "kernels.h"

namespace {
constexpr size_t PAGE = 4096;

long setting(const char* name, long otherwise) {
  const char* value = getenv(name);
  return value ? atol(value) : otherwise;
}

// The code that `function` is to return without doing anything, or 0.
int injected(const char* function) {
  const char* wanted = getenv("EMULATED_FAIL");
  const size_t length = strlen(function);
  if (!wanted || strncmp(wanted, function, length) != 0 || wanted[length] != ':') return 0;
  static long calls = 0;
  const char* from = strchr(wanted, '@');
  if (from && ++calls < atol(from + 1)) return 0;
  if (strcmp(wanted + length + 1, "hang") == 0)
    for (;;) pause();
  return atoi(wanted + length + 1);
}
#define MAY_FAIL                                     \
  if (const int code = injected(__func__)) return code

struct Event { double seconds; };
struct Function { std::string name; Kernel kernel; };
typedef std::vector<std::function<void()>> Graph;

std::map<u64, size_t> allocations;
size_t allocated = 0;
Graph* capturing = nullptr;

std::map<std::string, Kernel>& kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
size_t total_memory() { return (size_t)setting("EMULATED_FREE_MIB", 96) << 20; }
// What other programs hold.
size_t held_memory() { return (size_t)setting("EMULATED_HELD_MIB", 0) << 20; }

// Runs now, or when the graph that is being captured is launched.
int enqueue(std::function<void()> work) {
  if (capturing) capturing->push_back(std::move(work));
  else work();
  return 0;
}

int launch(emulator::Position grid, emulator::Position block, unsigned cluster, size_t shared, void* function, void** arguments) {
  const std::shared_ptr<const Call> call(((Function*)function)->kernel(arguments));
  return enqueue([=] { emulator::run_grid(grid, block, cluster, shared, [](const void* call) { ((const Call*)call)->run(); }, call.get()); });
}
} // namespace

bool add_kernel(const char* name, Kernel kernel) {
  kernels()[name] = kernel;
  return true;
}

extern "C" {
int cuInit(unsigned) { MAY_FAIL; return 0; }
int cuDriverGetVersion(int* version) { *version = 12040; return 0; }
int cuGetErrorName(int code, const char** name) {
  switch (code) {
    case 2: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case 209: *name = "CUDA_ERROR_NO_BINARY_FOR_GPU"; break;
    case 218: *name = "CUDA_ERROR_INVALID_PTX"; break;
    case 221: *name = "CUDA_ERROR_JIT_COMPILER_NOT_FOUND"; break;
    case 222: *name = "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"; break;
    case 223: *name = "CUDA_ERROR_JIT_COMPILATION_DISABLED"; break;
    case 719: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case 715: *name = "CUDA_ERROR_ILLEGAL_INSTRUCTION"; break;
    default: *name = "CUDA_ERROR_INJECTED";
  }
  return 0;
}
int cuDeviceGetCount(int* count) { MAY_FAIL; *count = (int)setting("EMULATED_DEVICES", 1); return 0; }
int cuDeviceGet(int* device, int ordinal) { *device = ordinal; return ordinal < setting("EMULATED_DEVICES", 1) ? 0 : 101; }
int cuDeviceGetName(char* name, int length, int) { snprintf(name, (size_t)length, "Emulated GPU"); return 0; }
int cuDeviceGetPCIBusId(char* id, int length, int device) { snprintf(id, (size_t)length, "0000:%02x:00.0", device + 1); return 0; }
int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = total_memory(); return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
  const long capability = setting("EMULATED_CAPABILITY", EMULATED_ARCH / 10);
  switch (attribute) {
    case 16: *value = (int)setting("EMULATED_SMS", 3); break;
    case 36: *value = (int)setting("EMULATED_CLOCK_KHZ", 1); break;
    case 37: *value = 64; break;
    case 38: *value = 256 << 10; break;
    case 75: *value = (int)(capability / 10); break;
    case 76: *value = (int)(capability % 10); break;
    case 97: *value = (int)setting("EMULATED_SHARED_KIB", EMULATED_ARCH >= 900 ? 227 : EMULATED_ARCH >= 800 ? 163 : 64) << 10; break;
    default: *value = 0;
  }
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) { MAY_FAIL; *context = (void*)(uintptr_t)(device + 1); return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuCtxEnablePeerAccess(void*, unsigned) { MAY_FAIL; return 0; }
int cuDeviceCanAccessPeer(int* can, int, int) { *can = setting("EMULATED_PEERS", 1) != 0; return 0; }

int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  MAY_FAIL;
  *total = total_memory();
  *free_bytes = *total - held_memory() - allocated;
  return 0;
}
int cuMemAlloc_v2(u64* address, size_t size) {
  MAY_FAIL;
  if (allocated + size > total_memory() - held_memory()) return 2;
  const size_t length = (size + PAGE - 1) / PAGE * PAGE;
  u8* pages = (u8*)mmap(nullptr, length + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return 2;
  mprotect(pages + PAGE, length, PROT_READ | PROT_WRITE);
  memset(pages + PAGE, 0xff, length);
  *address = (u64)(pages + PAGE + (length - (size + 15) / 16 * 16));
  allocations[*address] = size;
  allocated += size;
  return 0;
}
int cuMemFree_v2(u64 address) {
  const auto found = allocations.find(address);
  if (found == allocations.end()) return 1;
  munmap((void*)(address / PAGE * PAGE), (found->second + PAGE - 1) / PAGE * PAGE);
  allocated -= found->second;
  allocations.erase(found);
  return 0;
}
int cuMemHostAlloc(void** pointer, size_t size, unsigned) { MAY_FAIL; *pointer = malloc(size); return *pointer ? 0 : 2; }
int cuMemFreeHost(void* pointer) { free(pointer); return 0; }
int cuMemcpyHtoD_v2(u64 to, const void* from, size_t size) { memcpy((void*)to, from, size); return 0; }
int cuMemcpyDtoH_v2(void* to, u64 from, size_t size) { MAY_FAIL; memcpy(to, (void*)from, size); return 0; }
int cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t size, void*) {
  return enqueue([=] { memcpy((void*)to, from, size); });
}
int cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t size, void*) {
  return enqueue([=] { memcpy(to, (void*)from, size); });
}
int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t size, void*) {
  return enqueue([=] { memmove((void*)to, (void*)from, size); });
}
int cuMemcpyPeerAsync(u64 to, void*, u64 from, void*, size_t size, void*) {
  MAY_FAIL;
  if (capturing) return 900; // as on an H200: a graph cannot hold it
  return enqueue([=] { memmove((void*)to, (void*)from, size); });
}
int cuMemsetD8Async(u64 to, unsigned char value, size_t size, void*) {
  return enqueue([=] { memset((void*)to, value, size); });
}

int cuLaunchHostFunc(void*, void (*function)(void*), void* data) { return enqueue([=] { function(data); }); }
int cuStreamCreate(void** stream, unsigned) { *stream = (void*)1; return 0; }
int cuStreamSynchronize(void*) { MAY_FAIL; return 0; }
int cuStreamBeginCapture_v2(void*, int) { MAY_FAIL; capturing = new Graph; return 0; }
int cuStreamEndCapture(void*, void** graph) { *graph = capturing; capturing = nullptr; return 0; }
int cuGraphInstantiateWithFlags(void** executable, void* graph, u64) { *executable = new Graph(*(Graph*)graph); return 0; }
int cuGraphLaunch(void* executable, void*) {
  MAY_FAIL;
  for (const auto& work : *(Graph*)executable) work();
  return 0;
}
int cuGraphDestroy(void* graph) { delete (Graph*)graph; return 0; }
int cuGraphExecDestroy(void* executable) { delete (Graph*)executable; return 0; }
int cuEventCreate(void** event, unsigned) { *event = new Event{0}; return 0; }
int cuEventRecord(void* event, void*) { ((Event*)event)->seconds = now(); return 0; }
int cuEventSynchronize(void*) { return 0; }
int cuEventElapsedTime(float* milliseconds, void* from, void* to) {
  *milliseconds = (float)((((Event*)to)->seconds - ((Event*)from)->seconds) * 1e3) + 1e-4f;
  return 0;
}
int cuEventDestroy_v2(void* event) { delete (Event*)event; return 0; }

// The image is kept to see which kernels it has, and for which target it was made.
int cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
  MAY_FAIL;
  const char* target = strstr((const char*)image, ".target sm_");
  if (!target || atoi(target + strlen(".target sm_")) > setting("EMULATED_CAPABILITY", EMULATED_ARCH / 10)) return 218;
  *module = new std::string((const char*)image);
  return 0;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  const auto found = kernels().find(name);
  if (found == kernels().end() || ((std::string*)module)->find(std::string(".entry ") + name + "(") == std::string::npos) return 500;
  *function = new Function{name, found->second};
  return 0;
}
int cuFuncSetAttribute(void*, int, int) { return 0; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void*, int, size_t) { *blocks = 2; return 0; }
int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void*,
                   void** arguments, void**) {
  MAY_FAIL;
  return launch({gx, gy, gz}, {bx, by, bz}, 1, shared, function, arguments);
}
struct LaunchAttribute { int id, padding; unsigned value[16]; };
struct LaunchConfig {
  unsigned gx, gy, gz, bx, by, bz, shared;
  void* stream;
  LaunchAttribute* attributes;
  unsigned count;
};
int cuLaunchKernelEx(const LaunchConfig* c, void* function, void** arguments, void** extra) {
  MAY_FAIL;
  unsigned cluster = 1;
  for (unsigned i = 0; i < c->count; i++)
    if (c->attributes[i].id == 4) cluster = c->attributes[i].value[0]; // CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
  (void)extra;
  return launch({c->gx, c->gy, c->gz}, {c->bx, c->by, c->bz}, cluster, c->shared, function, arguments);
}
}
