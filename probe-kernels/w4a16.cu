// W4A16 GEMM with group-128 scales: Y[m][n] = sum_k X[m][k] * (q[n][k] - 8) * s[n][k / 128].
//
// What it measures: how fast weights stream from HBM through dequantisation into the tensor cores, for 1 to 64 rows of X.
// What it does not: activation reordering, zero points, per-channel scales, more than 64 rows.
//
// * int4 becomes fp16/bf16 with one logic operation a pair (the nibble is or-ed into the mantissa of a constant). The constant
//   that this leaves (1024 or 64, 128 for bf16) plus the zero point 8 is removed by the tensor core: one mma of a constant
//   matrix with the same X is the initial accumulator. From 32 rows on that would cost more than subtracting, so there it subtracts.
// * The scale of a group is applied to the f32 accumulators.
//
// Layout: a step is 64 k. Word j of the 16 bytes, j = k%16/4, holds eight nibbles; that of (n, k) stands at bit
// 16 * (k & 1) + 8 * (k>>1 & 1) + 4 * (n%16/8).
#include "split_k.cuh"
#include "warpgroup.cuh"
#include "weight_stream.cuh"

template <typename T> struct Int4;
template <> struct Int4<F16> {
  static constexpr int GROUP = 128;
  static constexpr bool GROUP_SCALES = true, CENTRED = true;
  static constexpr float LIFT = 1.f;
  static constexpr u32 OFFSET_TOP = 0xe408e408u, OFFSET_BOTTOM = 0xd480d480u; // -1032, -72
  static DEVICE uint4 operand(uint4 x) { return x; }
  static DEVICE void fragment(uint4 words, int j, u32* a) {
    const u32 w = j == 0 ? words.x : j == 1 ? words.y : j == 2 ? words.z : words.w, h = w >> 8;
    a[0] = and_or(w, 0x000f000fu, 0x64006400u); // 1024 + q
    a[1] = and_or(w, 0x00f000f0u, 0x54005400u); //   64 + q
    a[2] = and_or(h, 0x000f000fu, 0x64006400u);
    a[3] = and_or(h, 0x00f000f0u, 0x54005400u);
  }
  static DEVICE void centre(u32* a) {
    a[0] = sub_f16x2(a[0], 0x64086408u);
    a[1] = sub_f16x2(a[1], 0x54805480u);
    a[2] = sub_f16x2(a[2], 0x64086408u);
    a[3] = sub_f16x2(a[3], 0x54805480u);
  }
};
#if ARCH >= 800
template <> struct Int4<BF16> {
  static constexpr int GROUP = 128;
  static constexpr bool GROUP_SCALES = true, CENTRED = true;
  static constexpr float LIFT = 1.f;
  static constexpr u32 OFFSET_TOP = 0xc308c308u, OFFSET_BOTTOM = 0xc308c308u; // -136
  static DEVICE uint4 operand(uint4 x) { return x; }
  static DEVICE void fragment(uint4 words, int j, u32* a) {
    const u32 w = j == 0 ? words.x : j == 1 ? words.y : j == 2 ? words.z : words.w;
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = and_or(w >> (4 * i), 0x000f000fu, 0x43004300u); // 128 + q
  }
  static DEVICE void centre(u32* a) {
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = fma_bf16x2(a[i], 0x3f803f80u, 0xc308c308u);
  }
};
#endif
#if WARPGROUP_INSTRUCTIONS
// A nibble at bits 0 or 4 of a half is a bf16 of q * 2^-133 or q * 2^-129: subnormal, or with the lowest exponent, which goes on evenly.
// Times 2^127, less what 8 is there: (q - 8) / 64 in the first eight outputs of a tile and (q - 8) / 4 in the others, both exact.
struct Int4Subnormal {
  static constexpr int GROUP = 128;
  static constexpr bool GROUP_SCALES = true;
  static constexpr float LIFT = 1.f, LIFT_TOP = 64.f, LIFT_BOTTOM = 4.f;
  static DEVICE void fragment(uint4 words, int j, u32* a) {
    const u32 w = j == 0 ? words.x : j == 1 ? words.y : j == 2 ? words.z : words.w, h = w >> 8;
    a[0] = w & 0x000f000fu;
    a[1] = w & 0x00f000f0u;
    a[2] = h & 0x000f000fu;
    a[3] = h & 0x00f000f0u;
  }
  static DEVICE void centre(u32* a) {
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = fma_bf16x2(a[i], 0x7f007f00u, (i & 1) ? 0xc000c000u : 0xbe00be00u); // 2^127; -2, -1/8
  }
};
#endif

#define W4A16(name, T, columns, strips, stages, x_groups, blocks_per_sm) WEIGHT_STREAM(name, Int4, T, columns, strips, stages, x_groups, blocks_per_sm)
#define W4A16_SPLIT(name, T, columns, strips, sets, blocks, stages, x_groups, x_chunks) \
  SPLIT_K(name, Int4, T, columns, strips, sets, blocks, stages, x_groups, x_chunks)
#if WARPGROUP_INSTRUCTIONS
WARPGROUPS(w4a16_bf16_m32_warpgroups, Int4Subnormal, BF16, 4, 2, 3, 4, 2, 2, 1)
WARPGROUPS(w4a16_bf16_m64_warpgroups, Int4Subnormal, BF16, 8, 1, 3, 2, 3, 0, 2)
#endif
// PTX of compute capability 9.0 exists for overlapped launches and clusters and holds the kernels that are measured so; the rest is
// in that of 8.0. That of 9.0 alone, which newer cards do not run, has only what needs it.
#if defined(ONE_ARCHITECTURE)
#elif ARCH >= 800
W4A16(w4a16_bf16_m8, BF16, 1, 2, 3, 4, 3)
W4A16(w4a16_bf16_m8_narrow, BF16, 1, 1, 3, 4, 2)
W4A16(w4a16_bf16_m16, BF16, 2, 2, 3, 4, 3)
W4A16(w4a16_bf16_m32, BF16, 4, 2, 3, 2, 2)
W4A16(w4a16_bf16_m64, BF16, 8, 1, 3, 1, 1)
#if ARCH >= 900
W4A16_SPLIT(w4a16_bf16_m8_split8, BF16, 1, 2, 8, 1, 2, 1, 3)
W4A16_SPLIT(w4a16_bf16_m8_split16, BF16, 1, 2, 8, 2, 3, 1, 4)
W4A16_SPLIT(w4a16_bf16_m16_split8, BF16, 2, 4, 4, 2, 2, 2, 2)
W4A16_SPLIT(w4a16_bf16_m16_split2, BF16, 2, 8, 2, 1, 2, 2, 2)
#else
W4A16(w4a16_f16_m8, F16, 1, 2, 3, 4, 3)
W4A16(w4a16_f16_m16, F16, 2, 2, 3, 4, 3)
W4A16(w4a16_f16_m32, F16, 4, 2, 3, 2, 2)
W4A16(w4a16_f16_m64, F16, 8, 1, 3, 1, 1)
#endif
#else // 64 KiB of shared memory
W4A16(w4a16_f16_m8, F16, 1, 1, 2, 4, 1)
W4A16(w4a16_f16_m16, F16, 2, 1, 2, 2, 1)
W4A16(w4a16_f16_m32, F16, 4, 1, 2, 1, 1)
#endif
