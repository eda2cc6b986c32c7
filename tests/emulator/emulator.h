// The device subset that the probe kernels use, for a host compiler: what primitives.cuh includes with -DEMULATED.
//
// A CUDA thread is a fiber; barriers and warp collectives are where fibers meet. Everything that real hardware leaves open is
// chosen badly on purpose: threads and blocks run in a random order and now and then one warp behind all others, asynchronous copies and products
// of warpgroups happen as late as their wait allows, shared memory starts as NaN. Accesses to shared memory are checked for bounds
// and alignment, as cp.async sources are.
// Not emulated: the text of the inline assembly (ptxas reads that), weak memory ordering between blocks, time.
#pragma once
#include <cmath>
#include <cstring>
#include <type_traits>

#include "fibers.h"
#include "tensor_cores.h"

#ifndef EMULATED_ARCH
#define EMULATED_ARCH 800
#endif
#define ARCH EMULATED_ARCH
#define DEVICE inline
#define KERNEL(threads, blocks_per_sm) extern "C" void
#define DYNAMIC_SHARED(name) unsigned char* name = emulator::shared_memory()
#define SHARED static // one block runs at a time
#define threadIdx (emulator::thread_position())
#define blockIdx (emulator::block_position())
#define gridDim (emulator::grid_size())
#define blockDim (emulator::block_size())

struct uint2 { u32 x, y; };
struct uint4 { u32 x, y, z, w; };
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
DEVICE uint2 make_uint2(u32 x, u32 y) { return {x, y}; }
DEVICE uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }
DEVICE float2 make_float2(float x, float y) { return {x, y}; }
DEVICE float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

template <typename To, typename From> DEVICE To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "of one size");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
template <typename T> DEVICE T load(const void* from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

// ---- threads, warps, blocks ----------------------------------------------------------------------------------------------------
DEVICE int thread_index() { return (int)emulator::thread_position().x; }
DEVICE void __syncthreads() { emulator::meet_block(); }
DEVICE void __syncwarp() {
  const u32 nothing = 0;
  emulator::meet_warp(&nothing, 1);
}
DEVICE void __threadfence() {}
DEVICE void barrier_init(u32 a, u32 count) { emulator::barrier_init(a, count); }
DEVICE void barrier_arrive(u32 a) { emulator::barrier_arrive(a); }
DEVICE void barrier_wait(u32 a, u32 parity) { emulator::barrier_wait(a, parity); }
DEVICE void named_barrier(int name, int threads) { emulator::meet_some(name, threads); }
DEVICE void cluster_arrive() { emulator::arrive_in_cluster(); }
DEVICE void cluster_arrive_relaxed() { emulator::arrive_in_cluster(); }
DEVICE void cluster_wait() { emulator::meet_cluster(); }
DEVICE void store_cluster_16(u32 a, u32 rank, float4 v) { memcpy(emulator::shared_of(rank, a, 16), &v, sizeof v); }
DEVICE void allow_next_kernel() {}
DEVICE void wait_for_previous_kernel() {}
template <typename T> DEVICE T from_lane(T value, int lane) {
  const u32 word = same_bits<u32>(value);
  return same_bits<T>(emulator::meet_warp(&word, 1)[lane]);
}
template <typename T> DEVICE T __shfl_sync(u32, T value, int lane) { return from_lane(value, lane & 31); }
template <typename T> DEVICE T __shfl_xor_sync(u32, T value, int mask) { return from_lane(value, emulator::lane() ^ mask); }
template <typename T> DEVICE T __shfl_up_sync(u32, T value, int by) {
  const int lane = emulator::lane();
  return from_lane(value, lane >= by ? lane - by : lane);
}
// 64-bit values go as two words.
DEVICE long long __shfl_sync(u32 mask, long long value, int lane) {
  const u64 bits = (u64)value;
  const u64 low = __shfl_sync(mask, (u32)bits, lane), high = __shfl_sync(mask, (u32)(bits >> 32), lane);
  return (long long)(low | high << 32);
}
DEVICE u32 __ballot_sync(u32, bool value) {
  const u32 word = value;
  const u32* all = emulator::meet_warp(&word, 1);
  u32 ballot = 0;
  for (int i = 0; i < 32; i++) ballot |= (u32)(all[i] != 0) << i;
  return ballot;
}
DEVICE bool __any_sync(u32 mask, bool value) { return __ballot_sync(mask, value) != 0; }
DEVICE int __ffs(int x) { return __builtin_ffs(x); }
DEVICE int atomicAdd(int* p, int v) { const int old = *p; *p += v; return old; }
DEVICE u32 atomicAdd(u32* p, u32 v) { const u32 old = *p; *p += v; return old; }

// ---- memory ----------------------------------------------------------------------------------------------------------------------
DEVICE u32 shared_address(const void* p) { return (u32)((const unsigned char*)p - emulator::shared_memory()); }
DEVICE void copy_async_16(u32 shared, const void* global, u32 bytes) { emulator::copy_async(shared, global, bytes); }
DEVICE void copy_async_16(u32 shared, const void* global) { emulator::copy_async(shared, global, 16); }
DEVICE void copy_async_commit() { emulator::commit_copies(); }
template <int PENDING> DEVICE void copy_async_wait() { emulator::wait_for_copies(PENDING); }
DEVICE uint4 load_shared_16(u32 a) { return load<uint4>(emulator::shared(a, 16)); }
DEVICE uint2 load_shared_8(u32 a) { return load<uint2>(emulator::shared(a, 8)); }
DEVICE void store_shared_16(u32 a, float4 v) { memcpy(emulator::shared(a, 16), &v, sizeof v); }
DEVICE void store_shared_16(u32 a, uint4 v) { memcpy(emulator::shared(a, 16), &v, sizeof v); }
DEVICE void store_shared_4(u32 a, float v) { memcpy(emulator::shared(a, 4), &v, sizeof v); }
DEVICE uint4 load_streaming(const void* p) { return load<uint4>(p); }
DEVICE void store_streaming(void* p, uint4 v) { memcpy(p, &v, sizeof v); }
DEVICE float load_from_l2(const float* p) { return *p; }
DEVICE float2 load_from_l2_8(const void* p) { return load<float2>(p); }
DEVICE float4 load_from_l2_16(const void* p) { return load<float4>(p); }
DEVICE u32 load_uncached(const u32* p) { return *p; }
DEVICE int load_index(const int* p) { return *p; }

// ---- arithmetic ------------------------------------------------------------------------------------------------------------------
DEVICE u32 and_or(u32 a, u32 mask, u32 bits) { return (a & mask) | bits; }
DEVICE u32 __byte_perm(u32 a, u32 b, u32 order) {
  u32 r = 0;
  for (int i = 0; i < 4; i++) {
    const u32 from = order >> (4 * i) & 7;
    r |= ((from < 4 ? a : b) >> (from & 3) * 8 & 0xff) << (8 * i);
  }
  return r;
}
DEVICE u32 e4m3x2_to_f16x2(u32 x) {
  u32 r = 0;
  for (int i = 0; i < 2; i++) {
    const u32 byte = x >> (8 * i) & 0xff, exponent = byte >> 3 & 15;
    float value = exponent ? ldexpf(8 + (byte & 7), (int)exponent - 10) : ldexpf(byte & 7, -9);
    if ((byte & 0x7f) == 0x7f) value = NAN;
    r |= (u32)same_bits<u16>((_Float16)(byte & 0x80 ? -value : value)) << (16 * i);
  }
  return r;
}
DEVICE float exp2_approximate(float x) { return exp2f(x); }
DEVICE float as_float(u32 x) { return same_bits<float>(x); }
DEVICE u32 as_bits(float x) { return same_bits<u32>(x); }
DEVICE float f16_to_f32(u16 h) { return emulator::f16_value(h); }
DEVICE u16 f32_to_f16(float f) { return same_bits<u16>((_Float16)f); }
DEVICE u16 f32_to_bf16(float f) { // to nearest, ties to even
  const u32 x = as_bits(f);
  return std::isnan(f) ? 0x7fff : (u16)((x + 0x7fffu + ((x >> 16) & 1)) >> 16);
}
DEVICE u32 low_halves(u32 a, u32 b) { return (a & 0xffffu) | b << 16; }
DEVICE u32 high_halves(u32 a, u32 b) { return a >> 16 | (b & 0xffff0000u); }
DEVICE u32 pack_f16x2(float lo, float hi) { return (u32)f32_to_f16(lo) | (u32)f32_to_f16(hi) << 16; }
DEVICE u32 pack_bf16x2(float lo, float hi) { return (u32)f32_to_bf16(lo) | (u32)f32_to_bf16(hi) << 16; }
DEVICE u32 sub_f16x2(u32 a, u32 b) {
  return pack_f16x2(f16_to_f32((u16)a) - f16_to_f32((u16)b), f16_to_f32((u16)(a >> 16)) - f16_to_f32((u16)(b >> 16)));
}
DEVICE u32 fma_bf16x2(u32 a, u32 b, u32 c) {
  auto half = [](u32 x, int high) { return as_float(high ? x & 0xffff0000u : x << 16); };
  return pack_bf16x2(fmaf(half(a, 0), half(b, 0), half(c, 0)), fmaf(half(a, 1), half(b, 1), half(c, 1)));
}

// ---- tensor cores ------------------------------------------------------------------------------------------------------------------
struct F16 {};
struct BF16 {};
template <typename T> DEVICE void multiply_accumulate(float* c, const u32* a, u32 b0, u32 b1) {
  const u32 own[10] = {a[0], a[1], a[2], a[3], b0, b1, as_bits(c[0]), as_bits(c[1]), as_bits(c[2]), as_bits(c[3])};
  const u32* all = emulator::meet_warp(own, 10, std::is_same<T, F16>::value ? emulator::multiply_f16 : emulator::multiply_bf16);
  for (int e = 0; e < 4; e++) c[e] = as_float(all[emulator::lane() * 4 + e]);
}
DEVICE void load_matrices(u32* m, u32 shared) {
  memcpy(m, emulator::meet_warp(&shared, 1, emulator::load_matrices) + emulator::lane() * 4, 16);
}
DEVICE void load_matrices_transposed(u32* m, u32 shared) {
  memcpy(m, emulator::meet_warp(&shared, 1, emulator::load_matrices_transposed) + emulator::lane() * 4, 16);
}
// Products of a warpgroup. Each warp's rows are its own, so warps need not meet; registers and shared memory are read when a wait
// makes a product happen.
DEVICE void show_to_tensor_cores() {}
DEVICE void warpgroup_fence() {}
DEVICE void warpgroup_commit() { emulator::commit_work(); }
template <int PENDING> DEVICE void warpgroup_wait() { emulator::wait_for_work(PENDING); }
template <typename T, int COLUMNS> DEVICE void warpgroup_multiply(float (&c)[COLUMNS][4], const u32* a, u32 b, u32 next_k, u32 next_n, bool add) {
  float(*sums)[4] = c;
  emulator::start_work([=] {
    const u32 lane = (u32)emulator::lane(), own = b + lane / 4 * 16 + lane % 4 * 4;
    for (u32 f = 0; f < COLUMNS; f++) {
      if (!add) memset(sums[f], 0, sizeof sums[f]);
      const u32* low = (const u32*)emulator::shared(own + f * next_n, 4);
      const u32* high = (const u32*)emulator::shared(own + f * next_n + next_k, 4);
      multiply_accumulate<T>(sums[f], a, *low, *high);
    }
  });
}
