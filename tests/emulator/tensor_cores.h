// What a warp does together on a tensor core: functions for `meet_warp`, and the floats of 16 bits that they read.
#pragma once
#include <cstring>

#include "fibers.h"

namespace emulator {
// mma.m16n8k16 with the fragment layouts of the PTX ISA: four words of A, two of B and four of C a lane; four of the result.
void multiply_f16(const u32* all, u32* result);
void multiply_bf16(const u32* all, u32* result);

// ldmatrix .x4: lane 8m + i gives the address of row i of matrix m, and gets four words.
void load_matrices(const u32* all, u32* result);
void load_matrices_transposed(const u32* all, u32* result);

inline float float_of(u32 bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline u32 bits_of(float value) {
  u32 bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
// The exponent of a wider float is 112 larger; what is infinite or not a number stays so.
inline float f16_value(u16 half) {
  const u32 special = (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0, sign = (u32)(half & 0x8000) << 16;
  return float_of(bits_of(float_of((u32)(half & 0x7fff) << 13) * 0x1p112f) | special | sign);
}
inline float bf16_value(u16 half) { return float_of((u32)half << 16); }
} // namespace emulator
