// Device memory: read, write and copy rates, the latency of dependent loads, an empty kernel, and test data.
//
// What it measures: what the memory system gives to plain loads and stores of 16 bytes a lane, the ceiling of every other
// kernel here; what a load costs that must wait for the one before it; what a launch costs that does nothing.
// What it does not: copies by the copy engines (the runner times those itself), atomics, small accesses.
//
// Bytes moved: read and write count each byte once, copy twice.
#include "primitives.cuh"

// What `write` leaves in 32-bit word `i`: distinct for all i < 2^32, and its sum is known without adding it up.
DEVICE u32 pattern(u32 i, u32 seed) { return i * 0x9e3779b1u + seed; }

// Adds all 32-bit words of `count` units of 16 bytes to *sum, modulo 2^32: no load can be left out, and a wrong one shows.
KERNEL(1024, 1) read(const uint4* in, u64 count, u32* sum) {
  constexpr int LOADS = 4;
  const u64 threads = (u64)gridDim.x * blockDim.x;
  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  u32 a = 0, b = 0, c = 0, d = 0;
  for (; i + (LOADS - 1) * threads < count; i += LOADS * threads) {
    uint4 v[LOADS];
#pragma unroll
    for (int k = 0; k < LOADS; k++) v[k] = load_streaming(in + i + k * threads);
#pragma unroll
    for (int k = 0; k < LOADS; k++) { a += v[k].x; b += v[k].y; c += v[k].z; d += v[k].w; }
  }
  for (; i < count; i += threads) {
    const uint4 v = load_streaming(in + i);
    a += v.x; b += v.y; c += v.z; d += v.w;
  }
  u32 s = a + b + c + d;
#pragma unroll
  for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
  if ((threadIdx.x & 31) == 0) atomicAdd(sum, s);
}

KERNEL(1024, 1) write(uint4* out, u64 count, u32 seed) {
  const u64 threads = (u64)gridDim.x * blockDim.x;
  for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += threads) {
    const u32 w = (u32)i * 4;
    store_streaming(out + i, make_uint4(pattern(w, seed), pattern(w + 1, seed), pattern(w + 2, seed), pattern(w + 3, seed)));
  }
}

KERNEL(1024, 1) copy(const uint4* in, uint4* out, u64 count) {
  constexpr int LOADS = 4;
  const u64 threads = (u64)gridDim.x * blockDim.x;
  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  for (; i + (LOADS - 1) * threads < count; i += LOADS * threads) {
    uint4 v[LOADS];
#pragma unroll
    for (int k = 0; k < LOADS; k++) v[k] = load_streaming(in + i + k * threads);
#pragma unroll
    for (int k = 0; k < LOADS; k++) store_streaming(out + i + k * threads, v[k]);
  }
  for (; i < count; i += threads) store_streaming(out + i, load_streaming(in + i));
}

// Follows `steps` links from `start`: each element holds the index of the next. One thread. The last index goes to *end.
KERNEL(32, 1) chase(const u32* links, u32 start, u32 steps, u32* end) {
  if (threadIdx.x != 0) return;
  u32 at = start;
  for (u32 i = 0; i < steps; i++) at = load_uncached(links + at);
  *end = at;
}

KERNEL(32, 1) empty() {}

// Test data: word i is a hash of i and the seed, cut to the bits of `mask`, with the bits of `ones` set. The two turn hashes into
// the format that is wanted: 16-bit floats of a few exponents, say. The runner computes the same words where it checks a result.
// The hash is `lowbias32` of github.com/skeeto/hash-prospector (public domain).
KERNEL(256, 1) fill(u32* out, u64 words, u32 seed, u32 mask, u32 ones) {
  const u64 threads = (u64)gridDim.x * blockDim.x;
  for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < words; i += threads) {
    u32 x = (u32)i * 0x9e3779b9u + seed;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    out[i] = (x & mask) | ones;
  }
}
