// W8A16 GEMM with weights in fp8 e4m3 and a scale for each output: Y[m][n] = s[n] * sum_k X[m][k] * q[n][k].
//
// What it measures: how fast 8-bit weights stream from HBM through dequantisation into the tensor cores, for 1 to 64 rows of X. It
// is how fp8 checkpoints are served on cards that do not multiply fp8, and with activations left in 16 bits.
// What it does not: products of fp8 with fp8, scales of groups or blocks, integers, NaN among the weights (0x7f reads as 480).
//
// * e4m3 becomes fp16 or bf16 with logic alone: sign, exponent and mantissa shifted into place are the value times 2^-8 or 2^-120.
//   2^-8 is made up for by the scales. Sums of values of 2^-120 would leave the range of f32: there X is multiplied by 2^100 first,
//   an eighth of the work that the weights would be, and the scales do the rest. X may be up to 2^27 and is not rounded.
// * The sums stay in the accumulators: the scale of an output is applied where it is stored.
//
// Layout: a step is 32 k, the eight of k%16/8 for each of four lanes. Of the 16 bytes of a lane, word 2 * (k%8/4) + n%16/8 holds four
// weights; that of k%4 = 0, 1, 2, 3 is byte 1, 3, 0, 2 of it. Scales: s[n].
#include "split_k.cuh"
#include "weight_stream.cuh"

template <typename T> struct E4M3;
template <> struct E4M3<F16> {
  static constexpr int GROUP = 64;
  static constexpr bool GROUP_SCALES = false, CENTRED = false;
  static constexpr float LIFT = 256.f; // 2^8
  static constexpr u32 OFFSET_TOP = 0, OFFSET_BOTTOM = 0;
  static DEVICE uint4 operand(uint4 x) { return x; }
  static DEVICE void fragment(uint4 words, int j, u32* a) {
    const u32 top = j ? words.z : words.x, bottom = j ? words.w : words.y;
    a[0] = and_or(top, 0x80008000u, (top >> 1) & 0x3f803f80u);
    a[1] = and_or(bottom, 0x80008000u, (bottom >> 1) & 0x3f803f80u);
    a[2] = and_or(top << 8, 0x80008000u, (top << 7) & 0x3f803f80u);
    a[3] = and_or(bottom << 8, 0x80008000u, (bottom << 7) & 0x3f803f80u);
  }
  static DEVICE void centre(u32*) {}
};
#if ARCH >= 800
template <> struct E4M3<BF16> {
  static constexpr int GROUP = 64;
  static constexpr bool GROUP_SCALES = false, CENTRED = false;
  static constexpr float LIFT = 1048576.f; // 2^20
  static constexpr u32 OFFSET_TOP = 0, OFFSET_BOTTOM = 0;
  static DEVICE uint4 operand(uint4 x) { // times 2^100, plus -0
    return make_uint4(fma_bf16x2(x.x, 0x71807180u, 0x80008000u), fma_bf16x2(x.y, 0x71807180u, 0x80008000u), fma_bf16x2(x.z, 0x71807180u, 0x80008000u),
                      fma_bf16x2(x.w, 0x71807180u, 0x80008000u));
  }
  static DEVICE void fragment(uint4 words, int j, u32* a) {
    const u32 top = j ? words.z : words.x, bottom = j ? words.w : words.y;
    a[0] = and_or(top, 0x80008000u, (top >> 4) & 0x07f007f0u);
    a[1] = and_or(bottom, 0x80008000u, (bottom >> 4) & 0x07f007f0u);
    a[2] = and_or(top << 8, 0x80008000u, (top << 4) & 0x07f007f0u);
    a[3] = and_or(bottom << 8, 0x80008000u, (bottom << 4) & 0x07f007f0u);
  }
  static DEVICE void centre(u32*) {}
};
#endif

#define W8A16(name, T, columns, strips, stages, x_groups, blocks_per_sm) WEIGHT_STREAM(name, E4M3, T, columns, strips, stages, x_groups, blocks_per_sm)
#define W8A16_SPLIT(name, T, columns, strips, sets, blocks, stages, x_groups, x_chunks) \
  SPLIT_K(name, E4M3, T, columns, strips, sets, blocks, stages, x_groups, x_chunks)
#if ARCH >= 800
W8A16(w8a16_bf16_m8, BF16, 1, 2, 3, 8, 3)
W8A16(w8a16_bf16_m16, BF16, 2, 2, 3, 8, 3)
W8A16(w8a16_bf16_m32, BF16, 4, 1, 3, 4, 2)
W8A16(w8a16_bf16_m64, BF16, 8, 1, 3, 2, 1)
#if ARCH >= 900
W8A16_SPLIT(w8a16_bf16_m8_split8, BF16, 1, 2, 8, 1, 2, 2, 2)
W8A16_SPLIT(w8a16_bf16_m8_split16, BF16, 1, 2, 8, 2, 2, 2, 2)
W8A16_SPLIT(w8a16_bf16_m16_split8, BF16, 2, 4, 4, 2, 3, 2, 3)
#else
W8A16(w8a16_f16_m8, F16, 1, 2, 3, 8, 3)
W8A16(w8a16_f16_m16, F16, 2, 2, 3, 8, 3)
W8A16(w8a16_f16_m32, F16, 4, 2, 3, 4, 2)
#endif
#else // 64 KiB of shared memory
W8A16(w8a16_f16_m8, F16, 1, 1, 2, 8, 1)
W8A16(w8a16_f16_m16, F16, 2, 1, 2, 4, 1)
W8A16(w8a16_f16_m32, F16, 4, 1, 2, 2, 1)
#endif
