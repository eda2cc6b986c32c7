// What the products with quantised weights share: how weights and X are laid out, and the products of one step of k.
//
// * Weights are packed in the order of the A fragments of mma.m16n8k16. They stand on the 16-row side of the tensor core, the batch
//   on the 8-column side: batch 1 to 8 costs one mma for 256 weights.
// * k is permuted inside a step of 64 so that the 16 values of X that a lane needs are 32 contiguous bytes: lane t of four has
//   those from 16 t on, four for each mma.
//
// Weights come in units of 256 outputs (n) x GROUP k = 16 KiB, k-minor, n-major. In a unit, 16 bytes of a lane stand at
//   (((w * 2 + step) * 2 + i) * 32 + r * 4 + t) * 16    with w = n%256/32, i = n%32/16, r = n%8, t = k%64/16
// N divides by 256, K by GROUP. What a step of k is, and what the 16 bytes hold, is up to Weights:
//   GROUP          k of a unit
//   GROUP_SCALES   whether each group of k has scales of its own, else each output has one
//   fragment       the A fragment of product j of what 16 bytes hold
//   operand        X as it goes into the product
//   LIFT           what the sums are multiplied with besides the scale of the output
//   CENTRED        whether fragments have an offset: OFFSET_TOP in the first eight outputs, OFFSET_BOTTOM in the others, as the A of
//                  one more product or times the sum of X, takes it away; `centre` does for each fragment
// Group scales: s[((n/256 * K/GROUP + k/GROUP) * 8 + w) * 32 + r * 4 + i * 2 + n%16/8].
#pragma once
#include "primitives.cuh"

constexpr u32 BLOCK_N = 256;
constexpr u32 UNIT_BYTES = 16384;
constexpr u32 STRIP_BYTES = 2048; // 32 outputs of a unit

// Where 16-byte unit `unit` of row `row` of a chunk of X stands in its row: units change places in pairs in odd rows, so that the two
// rows that a quarter of a warp reads at once never meet in a bank.
DEVICE u32 x_unit(u32 row, u32 unit) { return (unit ^ (row & 1)) << 4; }
// Unit `all` of those of a lane in row r, from where the lane's 32 bytes of a step begin.
DEVICE u32 x_unit_of_lane(int all, int r) { return (all >> 1) * 128 + ((all & 1) ? 16 - (r & 1) * 16 : (r & 1) * 16); }

// The products of 16 bytes of each tile of 16 outputs with the X that goes with them.
template <typename Weights, typename T, bool CENTRES, int TILES, int COLUMNS, int X_UNITS>
DEVICE void multiply_step(const uint4 (&w)[TILES], const uint4 (&v)[COLUMNS][X_UNITS], float (&into)[TILES][COLUMNS][4]) {
#pragma unroll
  for (int j = 0; j < 2 * X_UNITS; j++)
#pragma unroll
    for (int i = 0; i < TILES; i++) {
      u32 a[4];
      Weights::fragment(w[i], j, a);
      if (CENTRES) Weights::centre(a);
#pragma unroll
      for (int f = 0; f < COLUMNS; f++) {
        const uint4 q = v[f][j >> 1];
        multiply_accumulate<T>(into[i][f], a, (j & 1) ? q.z : q.x, (j & 1) ? q.w : q.y);
      }
    }
}

// sum += scale * part; the scales of a lane for each strip: those of its two outputs in the first tile, then in the second. Those of the
// first eight outputs of a tile, and of the others, are multiplied with `lift_top` and `lift_bottom` before.
template <typename T, int TILES, int COLUMNS>
DEVICE void add_scaled(float (&sum)[TILES][COLUMNS][4], const float (&part)[TILES][COLUMNS][4], const uint2 (&scale)[(TILES + 1) / 2],
                       float lift_top = 1.f, float lift_bottom = 1.f) {
#pragma unroll
  for (int i = 0; i < TILES; i++) {
    const u32 s = (i & 1) ? scale[i >> 1].y : scale[i >> 1].x;
    const float top = lift_top * Format<T>::low(s), bottom = lift_bottom * Format<T>::high(s);
#pragma unroll
    for (int f = 0; f < COLUMNS; f++) {
      sum[i][f][0] += top * part[i][f][0];
      sum[i][f][1] += top * part[i][f][1];
      sum[i][f][2] += bottom * part[i][f][2];
      sum[i][f][3] += bottom * part[i][f][3];
    }
  }
}

template <int TILES, int COLUMNS> DEVICE void clear(float (&sum)[TILES][COLUMNS][4]) {
#pragma unroll
  for (int i = 0; i < TILES; i++)
#pragma unroll
    for (int f = 0; f < COLUMNS; f++)
#pragma unroll
      for (int e = 0; e < 4; e++) sum[i][f][e] = 0.f;
}

// Stores the four sums of a lane for rows m, m + 1 and outputs n, n + 8, those past M not.
template <typename Weights, typename T> DEVICE void store_outputs(u16* y, const u8* scales, int m, u64 n, const float* v, int M, int N) {
#pragma unroll
  for (int e = 0; e < 4; e++) {
    const u64 own = n + (e >> 1) * 8;
    const float scale = Weights::GROUP_SCALES ? 1.f : Weights::LIFT * Format<T>::low(((const u16*)scales)[own]);
    if (m + (e & 1) < M) y[(u64)(m + (e & 1)) * N + own] = Format<T>::store(Weights::GROUP_SCALES ? v[e] : v[e] * scale);
  }
}
