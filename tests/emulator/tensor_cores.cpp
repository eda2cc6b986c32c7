#include "tensor_cores.h"

namespace emulator {
namespace {
template <float (*VALUE)(u16)> void multiply(const u32* all, u32* result) {
  float a[16][16], b[16][8], c[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const u32* own = all + lane * 10;
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int e = 0; e < 2; e++) {
      for (int i = 0; i < 4; i++) a[group + (i & 1) * 8][pair + e + (i >> 1) * 8] = VALUE((u16)(own[i] >> (16 * e)));
      for (int i = 0; i < 2; i++) b[pair + e + i * 8][group] = VALUE((u16)(own[4 + i] >> (16 * e)));
      for (int i = 0; i < 2; i++) c[group + i * 8][pair + e] = float_of(own[6 + 2 * i + e]);
    }
  }
  // Every sum is made from the first k to the last.
  for (int row = 0; row < 16; row++)
    for (int k = 0; k < 16; k++)
      for (int column = 0; column < 8; column++) c[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < 32; lane++)
    for (int e = 0; e < 4; e++) result[lane * 4 + e] = bits_of(c[lane / 4 + (e >> 1) * 8][lane % 4 * 2 + (e & 1)]);
}

template <bool TRANSPOSED> void load(const u32* addresses, u32* result) {
  for (int m = 0; m < 4; m++) {
    u16 rows[8][8];
    for (int row = 0; row < 8; row++) memcpy(rows[row], shared(addresses[m * 8 + row], 16), 16);
    for (int lane = 0; lane < 32; lane++) {
      const int one = lane / 4, other = lane % 4 * 2;
      const u32 low = TRANSPOSED ? rows[other][one] : rows[one][other], high = TRANSPOSED ? rows[other + 1][one] : rows[one][other + 1];
      result[lane * 4 + m] = low | high << 16;
    }
  }
}
} // namespace

void multiply_f16(const u32* all, u32* result) { multiply<f16_value>(all, result); }
void multiply_bf16(const u32* all, u32* result) { multiply<bf16_value>(all, result); }
void load_matrices(const u32* all, u32* result) { load<false>(all, result); }
void load_matrices_transposed(const u32* all, u32* result) { load<true>(all, result); }
} // namespace emulator
