// Device primitives of the probe kernels: one small function for each instruction that a kernel names.
//
// No CUDA headers are included: NVRTC alone compiles this, so the tool chain of the kernels is a single wheel.
// With -DEMULATED the same sources build with a host C++ compiler against the emulator in tests/emulator/.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef EMULATED
#include "emulator.h"
#define WARPGROUP_INSTRUCTIONS (ARCH == 900)
#else

#define DEVICE __device__ __forceinline__
#define KERNEL(threads, blocks_per_sm) extern "C" __global__ void __launch_bounds__(threads, blocks_per_sm)
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#define SHARED __shared__
#define ARCH __CUDA_ARCH__
// PTX for one architecture alone (sm_90a) may name instructions that newer cards do not have; build.py says for which it is.
#ifdef ONE_ARCHITECTURE
#define WARPGROUP_INSTRUCTIONS (ARCH == 900)
#else
#define WARPGROUP_INSTRUCTIONS 0
#endif

// The thread's index. Volatile, so that the compiler keeps it in a register instead of reading SR_TID again in a hot loop.
DEVICE int thread_index() {
  int r;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(r));
  return r;
}

// A pointer to shared memory as the 32-bit address that the shared-space instructions take.
DEVICE u32 shared_address(const void* p) {
  u32 r;
  asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(r) : "l"(p));
  return r;
}

// ---- programmatic dependent launch (compute capability 9.0): the next kernel of the stream may start while this one ends ----------
#if ARCH >= 900
// Lets the next kernel start its prologue as soon as SMs have room.
DEVICE void allow_next_kernel() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
// Waits until the kernel before has ended: from here on its results may be read and its workspace written.
DEVICE void wait_for_previous_kernel() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
#else
DEVICE void allow_next_kernel() {}
DEVICE void wait_for_previous_kernel() {}
#endif

// ---- clusters (compute capability 9.0): blocks that run at the same time and write into each other's shared memory -----------------
#if ARCH >= 900
// The two halves of a barrier of all threads of a cluster: what a thread wrote before it arrives is there for those that waited.
DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.aligned;" ::: "memory"); }
// The first half without what was written: the thread is there, no more. `cluster_arrive` waits for copies under way, 1.5 us on an H100.
DEVICE void cluster_arrive_relaxed() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.aligned;" ::: "memory"); }
// 16 bytes to shared address `a` of block `rank` of the cluster.
DEVICE void store_cluster_16(u32 a, u32 rank, float4 v) {
  asm volatile("{ .reg .u32 there; mapa.shared::cluster.u32 there, %0, %1; st.shared::cluster.v4.f32 [there], {%2,%3,%4,%5}; }" ::"r"(a), "r"(rank),
               "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
               : "memory");
}
#else // Nothing calls them.
DEVICE void cluster_arrive() {}
DEVICE void cluster_arrive_relaxed() {}
DEVICE void cluster_wait() {}
DEVICE void store_cluster_16(u32, u32, float4) {}
#endif

// ---- asynchronous copies from global to shared memory, 16 bytes a lane, past L1 -------------------------------------------
#if ARCH >= 800
DEVICE void copy_async_16(u32 shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(global) : "memory");
}
// Copies `bytes` (0 or 16) and fills the rest of the 16 with zeros.
DEVICE void copy_async_16(u32 shared, const void* global, u32 bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(bytes) : "memory");
}
DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING> DEVICE void copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }
#else // Turing has no cp.async: a load and a store do the same, without the overlap.
DEVICE void copy_async_16(u32 shared, const void* global, u32 bytes) {
  u32 a = 0, b = 0, c = 0, d = 0;
  if (bytes) asm volatile("ld.global.nc.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "l"(global));
  asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};" ::"r"(shared), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}
DEVICE void copy_async_16(u32 shared, const void* global) { copy_async_16(shared, global, 16); }
DEVICE void copy_async_commit() {}
template <int PENDING> DEVICE void copy_async_wait() {}
#endif

// ---- shared memory ------------------------------------------------------------------------------------------------------------
DEVICE uint4 load_shared_16(u32 a) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(a) : "memory");
  return v;
}
DEVICE uint2 load_shared_8(u32 a) {
  uint2 v;
  asm volatile("ld.shared.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(a) : "memory");
  return v;
}

DEVICE void store_shared_16(u32 a, float4 v) {
  asm volatile("st.shared.v4.f32 [%0], {%1,%2,%3,%4};" ::"r"(a), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
}
DEVICE void store_shared_16(u32 a, uint4 v) {
  asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};" ::"r"(a), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}
DEVICE void store_shared_4(u32 a, float v) { asm volatile("st.shared.f32 [%0], %1;" ::"r"(a), "f"(v) : "memory"); }

// ---- the barrier of some warps of a block: `name` 1 to 15, which have `threads` threads. __syncthreads is number 0 --------------
DEVICE void named_barrier(int name, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory"); }

// ---- barriers in shared memory (8 bytes): arriving and waiting are apart. A phase ends when `count` threads have arrived -----------
#if ARCH >= 900
DEVICE void barrier_init(u32 a, u32 count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(a), "r"(count) : "memory"); }
DEVICE void barrier_arrive(u32 a) { asm volatile("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }" ::"r"(a) : "memory"); }
// Waits for the end of the phase with that parity: the first has 0, the next 1. What threads wrote before they arrived is there then.
DEVICE void barrier_wait(u32 a, u32 parity) {
  u32 ended;
  do {
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }" : "=r"(ended) : "r"(a), "r"(parity) : "memory");
  } while (!ended);
}
#endif

// ---- matrices from shared memory into tensor-core fragments ------------------------------------------------------------------
DEVICE void load_matrices(u32* m, u32 shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(shared) : "memory");
}
DEVICE void load_matrices_transposed(u32* m, u32 shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(shared) : "memory");
}

// ---- global memory ---------------------------------------------------------------------------------------------------------------
// Data that is read once: do not keep it in L1.
DEVICE uint4 load_streaming(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
DEVICE uint2 load_streaming_8(const void* p) {
  uint2 v;
  asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
  return v;
}
// Data that all warps of an SM read: keep it in L1.
DEVICE uint4 load_shared_by_all(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
DEVICE void store_streaming(void* p, uint4 v) {
  asm volatile("st.global.cs.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}
// Data that another block wrote during this launch: from L2, never from a stale line of L1.
DEVICE float load_from_l2(const float* p) {
  float v;
  asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(v) : "l"(p) : "memory");
  return v;
}
DEVICE float2 load_from_l2_8(const void* p) {
  float2 v;
  asm volatile("ld.global.cg.v2.f32 {%0,%1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(p) : "memory");
  return v;
}
DEVICE float4 load_from_l2_16(const void* p) {
  float4 v;
  asm volatile("ld.global.cg.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p) : "memory");
  return v;
}
// Past every cache that may hold a stale copy: a pointer chase measures memory, also that of another GPU.
DEVICE u32 load_uncached(const u32* p) {
  u32 v;
  asm volatile("ld.volatile.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
DEVICE int load_index(const int* p) {
  int v;
  asm volatile("ld.global.nc.s32 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}

// ---- arithmetic --------------------------------------------------------------------------------------------------------------------
DEVICE u32 and_or(u32 a, u32 mask, u32 bits) { // (a & mask) | bits in one instruction
  u32 r;
  asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(r) : "r"(a), "r"(mask), "r"(bits));
  return r;
}
DEVICE float exp2_approximate(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
DEVICE float f16_to_f32(u16 h) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(h));
  return r;
}
DEVICE u16 f32_to_f16(float f) {
  u16 r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(f));
  return r;
}
DEVICE u32 sub_f16x2(u32 a, u32 b) {
  u32 r;
  asm("sub.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
DEVICE float as_float(u32 x) { return __int_as_float((int)x); }
DEVICE u32 as_bits(float x) { return (u32)__float_as_int(x); }
// Halves of two words: `low` the low half of both, `high` the high half of both.
DEVICE u32 low_halves(u32 a, u32 b) { return __byte_perm(a, b, 0x5410); }
DEVICE u32 high_halves(u32 a, u32 b) { return __byte_perm(a, b, 0x7632); }
#if ARCH >= 900
DEVICE u32 e4m3x2_to_f16x2(u32 x) { // the low 16 bits of x
  u32 r;
  asm("{ .reg .b16 pair; cvt.u16.u32 pair, %1; cvt.rn.f16x2.e4m3x2 %0, pair; }" : "=r"(r) : "r"(x));
  return r;
}
#else
DEVICE u32 e4m3x2_to_f16x2(u32) { return 0; } // nothing calls it
#endif
#if ARCH >= 800
DEVICE u32 pack_f16x2(float lo, float hi) {
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
DEVICE u32 pack_bf16x2(float lo, float hi) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
DEVICE u32 fma_bf16x2(u32 a, u32 b, u32 c) {
  u32 r;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
#else
DEVICE u32 pack_f16x2(float lo, float hi) { return (u32)f32_to_f16(lo) | ((u32)f32_to_f16(hi) << 16); }
#endif

// ---- tensor cores: C(16x8, f32) += A(16x16, row) * B(16x8, column) --------------------------------------------------------------------
struct F16 {};
struct BF16 {};
template <typename T> DEVICE void multiply_accumulate(float* c, const u32* a, u32 b0, u32 b1);
template <> DEVICE void multiply_accumulate<F16>(float* c, const u32* a, u32 b0, u32 b1) {
#if ARCH >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(b0));
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}
#if ARCH >= 800
template <> DEVICE void multiply_accumulate<BF16>(float* c, const u32* a, u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

// ---- tensor cores, for the four warps of a warpgroup at once: C(64x8n, f32) += A(64x16) * B(16x8n). Warp w has rows 16w of A and C, in
// registers as above; B is in shared memory, for all four. Products run on: registers are theirs until they have been waited for -----------
#if WARPGROUP_INSTRUCTIONS
// What this thread stored to shared memory is there for products, too.
DEVICE void show_to_tensor_cores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
// Registers that were written may be read by the products that follow.
DEVICE void warpgroup_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void warpgroup_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING> DEVICE void warpgroup_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory"); }
// B: 8 x 8 values are 128 bytes, a column's eight k together. `next_k` bytes on are the next eight k, `next_n` on the next eight
// columns. Without `add`, C is overwritten.
template <typename T> DEVICE void warpgroup_multiply(float (&c)[4][4], const u32* a, u32 b, u32 next_k, u32 next_n, bool add);
template <> DEVICE void warpgroup_multiply<BF16>(float (&c)[4][4], const u32* a, u32 b, u32 next_k, u32 next_n, bool add) {
  asm volatile(
      "{ .reg .pred p; .reg .b64 d; setp.ne.b32 p, %22, 0; mov.b64 d, {%20, %21};\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, d, p, 1, 1, 0; }"
      : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]),
        "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]), "+f"(c[3][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b >> 4 | (next_k >> 4) << 16), "r"(next_n >> 4), "r"((u32)add));
}
template <typename T> DEVICE void warpgroup_multiply(float (&c)[8][4], const u32* a, u32 b, u32 next_k, u32 next_n, bool add);
template <> DEVICE void warpgroup_multiply<BF16>(float (&c)[8][4], const u32* a, u32 b, u32 next_k, u32 next_n, bool add) {
  asm volatile(
      "{ .reg .pred p; .reg .b64 d; setp.ne.b32 p, %38, 0; mov.b64 d, {%36, %37};\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, d, p, 1, 1, 0; }"
      : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]), "+f"(c[1][3]),
        "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]), "+f"(c[3][3]),
        "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]),
        "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b >> 4 | (next_k >> 4) << 16), "r"(next_n >> 4), "r"((u32)add));
}
#endif
#endif // EMULATED

// ---- the two 16-bit formats ------------------------------------------------------------------------------------------------------------
template <typename T> struct Format;
template <> struct Format<F16> {
  static DEVICE float low(u32 x) { return f16_to_f32((u16)(x & 0xffffu)); }
  static DEVICE float high(u32 x) { return f16_to_f32((u16)(x >> 16)); }
  static DEVICE u32 pack(float lo, float hi) { return pack_f16x2(lo, hi); }
  static DEVICE u16 store(float x) { return f32_to_f16(x); }
};
#if ARCH >= 800
template <> struct Format<BF16> {
  static DEVICE float low(u32 x) { return as_float(x << 16); }
  static DEVICE float high(u32 x) { return as_float(x & 0xffff0000u); }
  static DEVICE u32 pack(float lo, float hi) { return pack_bf16x2(lo, hi); }
  static DEVICE u16 store(float x) { return (u16)(pack_bf16x2(x, 0.f) & 0xffffu); }
};
#endif

// Equal contiguous ranges of `total` items for `parts` blocks: the first `total % parts` of them take one item more.
struct Ranges {
  u32 each, longer; // items of a short range; how many ranges are longer by one
  DEVICE Ranges(u32 total, u32 parts) : each(total / parts), longer(total % parts) {}
  DEVICE u32 start(u32 part) const { return part * each + (part < longer ? part : longer); }
  DEVICE u32 part_of(u32 item) const {
    const u32 in_longer = longer * (each + 1);
    return item < in_longer ? item / (each + 1) : longer + (item - in_longer) / each;
  }
};
