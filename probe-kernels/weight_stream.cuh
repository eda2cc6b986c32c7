// A product with weights that are read once: Y[m][n] = sum_k X[m][k] * W[n][k], for a few rows of X, as in a decode step.
// For matrices that keep all blocks busy for long; what weights look like is in weight_unit.cuh.
//
// * Every warp has a ring of its own in shared memory and keeps STAGES - 1 groups of 2 KiB in flight with cp.async. No barrier
//   stands in the main loop; warps drift, and that hides the latency.
// * X is staged for the whole block, X_GROUPS groups of k at a time and one chunk ahead; the one barrier of the loop stands
//   where a chunk ends.
// * Blocks take equal contiguous ranges of groups ("stream-K"), so no wave of blocks runs half empty. A tile that several
//   blocks share is added up by the last of them to arrive, in the order of the blocks: the result does not depend on time.
#pragma once
#include "weight_unit.cuh"

// WEIGHTS: how weights are stored and become fragments. COLUMNS: tiles of eight rows of X. STRIPS: 32 outputs each, of a warp. STAGES: groups in the ring of a warp. X_GROUPS: groups of k in a chunk of X.
template <typename Weights, typename T, int COLUMNS, int STRIPS, int STAGES, int X_GROUPS>
DEVICE void stream_weights(const u8* weights, const u8* scales, const u16* x, u16* y, float* partials, int* arrived, int M, int N, int K) {
  DYNAMIC_SHARED(memory);
  constexpr int X_UNITS = Weights::GROUP / 64; // of 16 bytes: the X that goes with 16 bytes of weights
  constexpr bool CENTRE_BY_MMA = Weights::CENTRED && COLUMNS <= 2;
  constexpr int TILES = 2 * STRIPS; // of 16 outputs for each warp
  constexpr int WARPS = 8 / STRIPS;
  constexpr u32 STAGE_BYTES = STRIPS * (STRIP_BYTES + (Weights::GROUP_SCALES ? 64 : 0)); // weights, then scales
  constexpr u32 GROUP_ROW = Weights::GROUP * 2, X_ROW = X_GROUPS * GROUP_ROW, X_BYTES = COLUMNS * 8 * X_ROW;
  const int thread = thread_index(), lane = thread & 31, warp = thread >> 5, r = lane >> 2, t = lane & 3;
  const u32 groups = (u32)K / Weights::GROUP, total = groups * ((u32)N / BLOCK_N), blocks = gridDim.x, block = blockIdx.x;
  const Ranges ranges(total, blocks);
  const u32 begin = ranges.start(block), end = ranges.start(block + 1);
  if (begin >= end) return;
  allow_next_kernel();

  const u32 x_chunks = shared_address(memory), ring = x_chunks + 2 * X_BYTES + warp * (STAGES * STAGE_BYTES), ring_end = ring + STAGES * STAGE_BYTES;
  const u8* w_next = weights + (u64)begin * UNIT_BYTES + warp * (STRIPS * STRIP_BYTES) + lane * 16;
  const u8* s_next = scales + (u64)begin * 512 + warp * (STRIPS * 64) + lane * 16;
  u32 to_load = end - begin, fill = ring;
  auto load_group = [&]() {
    if (to_load) {
#pragma unroll
      for (int c = 0; c < 4 * STRIPS; c++) copy_async_16(fill + c * 512 + lane * 16, w_next + c * 512);
      if (Weights::GROUP_SCALES && lane < 4 * STRIPS) copy_async_16(fill + STRIPS * STRIP_BYTES + lane * 16, s_next);
      w_next += UNIT_BYTES;
      s_next += 512;
      --to_load;
      fill = fill + STAGE_BYTES == ring_end ? ring : fill + STAGE_BYTES;
    }
    copy_async_commit();
  };
  // Rows past M stay as they are: their outputs are never stored.
  auto load_x = [&](u32 chunk, u32 buffer) {
    constexpr u32 UNITS = X_ROW / 16;
    const u32 valid = groups - chunk * X_GROUPS < X_GROUPS ? (groups - chunk * X_GROUPS) * (GROUP_ROW / 16) : UNITS;
    for (u32 i = thread; i < (u32)M * UNITS; i += WARPS * 32) {
      const u32 row = i / UNITS, unit = i % UNITS;
      if (unit < valid)
        copy_async_16(x_chunks + buffer * X_BYTES + row * X_ROW + x_unit(row, unit), (const u8*)(x + (u64)row * K) + (u64)chunk * X_ROW + unit * 16);
    }
  };
  u32 n_block = begin / groups, first = begin - n_block * groups; // the tile, and the first group of it that is ours
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) load_group(); // weights do not depend on the kernel before
  wait_for_previous_kernel();
  load_x(first / X_GROUPS, 0);
  copy_async_commit();
  u32 use = ring, buffer = 0;
  int since_x = -1; // iterations since the coming chunk of X was asked for; -1: the prologue did

  for (u32 at = begin; at < end; ++n_block, first = 0) {
    const u32 count = groups - first < end - at ? groups - first : end - at;
    float sum[TILES][COLUMNS][4];
    clear(sum);

    u32 group = first;
    for (u32 left = count; left; --left, ++group) {
      const u32 in_chunk = group % X_GROUPS;
      if (in_chunk == 0 || group == first) { // a new chunk of X
        // Copies complete in order: X is there once the weights asked for after it are, STAGES - 1 iterations on.
        if (since_x >= 0 && since_x >= STAGES - 1) copy_async_wait<STAGES - 2>();
        else copy_async_wait<0>();
        __syncthreads();
        buffer = at == begin && group == first ? 0 : buffer ^ 1;
        const u32 rest = X_GROUPS - in_chunk < left ? group / X_GROUPS + 1 : 0; // the chunk after this one
        if (at + count < end || X_GROUPS - in_chunk < left) load_x(X_GROUPS - in_chunk < left ? rest : 0, buffer ^ 1);
        since_x = 0;
      } else {
        copy_async_wait<STAGES - 2>();
        __syncwarp(); // every lane's copies are there, and every lane has left the stage that is refilled now
      }
      load_group();
      ++since_x;
      const u32 x_stage = x_chunks + buffer * X_BYTES + in_chunk * GROUP_ROW + t * 32;
      float part[TILES][COLUMNS][4], (&into)[TILES][COLUMNS][4] = Weights::GROUP_SCALES ? part : sum;
#pragma unroll
      for (int step = 0; step < 2; step++) { // 16 bytes of each tile of weights for a lane, and the X that they are multiplied with
        uint4 w[TILES], v[COLUMNS][X_UNITS];
#pragma unroll
        for (int i = 0; i < TILES; i++) w[i] = load_shared_16(use + (i >> 1) * STRIP_BYTES + step * 1024 + (i & 1) * 512 + lane * 16);
#pragma unroll
        for (int f = 0; f < COLUMNS; f++)
#pragma unroll
          for (int unit = 0; unit < X_UNITS; unit++) {
            const int all = step * X_UNITS + unit;
            v[f][unit] = Weights::operand(load_shared_16(x_stage + (f * 8 + r) * X_ROW + x_unit_of_lane(all, r)));
          }
        if (Weights::GROUP_SCALES && step == 0) clear(part);
        if (CENTRE_BY_MMA) {
          const u32 offset[4] = {Weights::OFFSET_TOP, Weights::OFFSET_BOTTOM, Weights::OFFSET_TOP, Weights::OFFSET_BOTTOM};
#pragma unroll
          for (int f = 0; f < COLUMNS; f++) {
            float c[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
            for (int j = 0; j < 2 * X_UNITS; j++) {
              const uint4 q = v[f][j >> 1];
              multiply_accumulate<T>(c, offset, (j & 1) ? q.z : q.x, (j & 1) ? q.w : q.y);
            }
#pragma unroll
            for (int i = 0; i < TILES; i++)
#pragma unroll
              for (int e = 0; e < 4; e++) part[i][f][e] = step == 0 ? c[e] : part[i][f][e] + c[e];
          }
        }
        multiply_step<Weights, T, !CENTRE_BY_MMA>(w, v, into);
      }
      if (Weights::GROUP_SCALES) {
        uint2 scale[STRIPS];
#pragma unroll
        for (int c = 0; c < STRIPS; c++) scale[c] = load_shared_8(use + STRIPS * STRIP_BYTES + c * 64 + r * 8);
        add_scaled<T>(sum, part, scale);
      }
      use = use + STAGE_BYTES == ring_end ? ring : use + STAGE_BYTES;
    }
    at += count;

    auto store = [&](int i, int f, const float* v) {
      store_outputs<Weights, T>(y, scales, f * 8 + t * 2, (u64)n_block * BLOCK_N + warp * (STRIPS * 32) + i * 16 + r, v, M, N);
    };
    if (count == groups) {
#pragma unroll
      for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int f = 0; f < COLUMNS; f++) store(i, f, sum[i][f]);
      continue;
    }
    // A shared tile. Only the first range of a block can begin inside a tile and only the last can end inside one: two slots.
    constexpr u32 SLOT = WARPS * TILES * COLUMNS * 128; // floats
    auto slot = [&](u32 b, u32 which) { return partials + ((u64)b * 2 + which) * SLOT + (warp * TILES * COLUMNS) * 128 + lane * 4; };
    float* mine = slot(block, at - count == begin ? 0u : 1u);
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
        *(float4*)(mine + (i * COLUMNS + f) * 128) = make_float4(sum[i][f][0], sum[i][f][1], sum[i][f][2], sum[i][f][3]);
    __threadfence();
    __syncwarp();
    int before = 0;
    int* counter = arrived + n_block * WARPS + warp;
    if (lane == 0) before = atomicAdd(counter, (int)count);
    before = __shfl_sync(0xffffffffu, before, 0);
    if (before + (int)count != (int)groups) continue;
    if (lane == 0) *counter = 0;
    __threadfence();
    const u32 tile_begin = n_block * groups, tile_end = tile_begin + groups;
    const u32 from = ranges.part_of(tile_begin), to = ranges.part_of(tile_end - 1);
    const u32 from_slot = ranges.start(from) < tile_begin ? 1 : 0; // only this range can have begun in an earlier tile
    clear(sum);
#pragma unroll 4
    for (u32 b = from; b <= to; ++b) {
      const float* part = slot(b, b == from ? from_slot : 0);
#pragma unroll
      for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int f = 0; f < COLUMNS; f++) {
          const float4 p = load_from_l2_16(part + (i * COLUMNS + f) * 128);
          sum[i][f][0] += p.x; sum[i][f][1] += p.y; sum[i][f][2] += p.z; sum[i][f][3] += p.w;
        }
    }
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
      for (int f = 0; f < COLUMNS; f++) store(i, f, sum[i][f]);
  }
}

// A kernel of it: `stored` is the template of the weights, by type of X.
#define WEIGHT_STREAM(name, stored, T, columns, strips, stages, x_groups, blocks_per_sm) \
  KERNEL(256 / strips, blocks_per_sm) name(const u8* weights, const u8* scales, const u16* x, u16* y, float* partials, int* arrived, int M, int N, int K) { \
    stream_weights<stored<T>, T, columns, strips, stages, x_groups>(weights, scales, x, y, partials, arrived, M, N, K); \
  }
