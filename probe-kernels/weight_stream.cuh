// A product with weights that are read once: Y[m][n] = sum_k X[m][k] * W[n][k], for a few rows of X, as in a decode step.
//
// * Weights are packed in the order of the A fragments of mma.m16n8k16. Every warp has a ring of its own in shared memory and
//   keeps STAGES - 1 groups of 2 KiB in flight with cp.async. No barrier stands in the main loop; warps drift, and that hides
//   the latency.
// * Weights stand on the 16-row side of the tensor core, the batch on the 8-column side: batch 1 to 8 costs one mma for
//   256 weights.
// * X is staged for the whole block, X_GROUPS groups of k at a time and one chunk ahead; the one barrier of the loop stands
//   where a chunk ends.
// * k is permuted inside a step of 64 so that the 16 values of X that a lane needs are 32 contiguous bytes: lane t of four has
//   those from 16 t on, four for each mma.
// * Blocks take equal contiguous ranges of groups ("stream-K"), so no wave of blocks runs half empty. A tile that several
//   blocks share is added up by the last of them to arrive, in the order of the blocks: the result does not depend on time.
// * With CLUSTER blocks to a tile (compute capability 9.0) the exchange through L2, 3.4 us on an H100, is none: each block pushes
//   its sums into the shared memory of the block that adds them up, and one barrier of the cluster stands between.
//
// Weights come in units of 256 outputs (n) x GROUP k = 16 KiB, k-minor, n-major. In a unit, 16 bytes of a lane stand at
//   (((w * 2 + step) * 2 + i) * 32 + r * 4 + t) * 16    with w = n%256/32, i = n%32/16, r = n%8, t = k%64/16
// N divides by 256, K by GROUP. What a step of k is, and what the 16 bytes hold, is up to Weights:
//   GROUP          k of a unit
//   GROUP_SCALES   whether each group of k has scales of its own, else each output has one
//   fragment       the A fragment of product j of what 16 bytes hold
//   operand        X as it goes into the product
//   LIFT           what the sums are multiplied with besides the scale of the output
//   CENTRED        whether fragments have an offset: OFFSET_TOP in the first eight outputs, OFFSET_BOTTOM in the others takes it
//                  away as the A of one more product, `centre` for each fragment
// Group scales: s[((n/256 * K/GROUP + k/GROUP) * 8 + w) * 32 + r * 4 + i * 2 + n%16/8].
#pragma once
#include "primitives.cuh"

constexpr u32 BLOCK_N = 256;
constexpr u32 UNIT_BYTES = 16384;
constexpr u32 STRIP_BYTES = 2048; // 32 outputs of a unit

// WEIGHTS: how weights are stored and become fragments. COLUMNS: tiles of eight rows of X. STRIPS: 32 outputs each, of a warp. STAGES: groups in the ring of a warp. X_GROUPS: groups of k in a chunk of X.
// CLUSTER: blocks that share a tile, in consecutive equal parts of its k; 1: blocks take ranges of all tiles.
template <typename Weights, typename T, int COLUMNS, int STRIPS, int STAGES, int X_GROUPS, int CLUSTER>
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
  const u32 rank = CLUSTER > 1 ? block % CLUSTER : block, tiles_before = CLUSTER > 1 ? block / CLUSTER * groups : 0;
  const Ranges ranges(CLUSTER > 1 ? groups : total, CLUSTER > 1 ? (u32)CLUSTER : blocks);
  const u32 begin = tiles_before + ranges.start(rank), end = tiles_before + ranges.start(rank + 1);
  if (CLUSTER == 1 && begin >= end) return;
  allow_next_kernel();
  if (CLUSTER > 1) cluster_arrive(); // this block runs: its shared memory may be written

  constexpr u32 FRAGMENTS = TILES * COLUMNS, RECEIVED_BYTES = CLUSTER > 1 ? WARPS * FRAGMENTS * 512 : 0;
  const u32 x_chunks = shared_address(memory), received = x_chunks + 2 * X_BYTES;
  const u32 ring = received + RECEIVED_BYTES + warp * (STAGES * STAGE_BYTES), ring_end = ring + STAGES * STAGE_BYTES;
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
  // Row `row` of a chunk: its 16-byte units change places in pairs in odd rows, so that the two rows that a quarter of a warp
  // reads at once never meet in a bank. Rows past M stay as they are: their outputs are never stored.
  auto load_x = [&](u32 chunk, u32 buffer) {
    constexpr u32 UNITS = X_ROW / 16;
    const u32 valid = groups - chunk * X_GROUPS < X_GROUPS ? (groups - chunk * X_GROUPS) * (GROUP_ROW / 16) : UNITS;
    for (u32 i = thread; i < (u32)M * UNITS; i += WARPS * 32) {
      const u32 row = i / UNITS, unit = i % UNITS;
      if (unit < valid)
        copy_async_16(x_chunks + buffer * X_BYTES + row * X_ROW + ((unit ^ (row & 1)) << 4), (const u8*)(x + (u64)row * K) + (u64)chunk * X_ROW + unit * 16);
    }
  };
  u32 n_block = CLUSTER > 1 ? block / CLUSTER : begin / groups, first = begin - n_block * groups; // the tile, and the first group of it that is ours
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) load_group(); // weights do not depend on the kernel before
  wait_for_previous_kernel();
  load_x(first / X_GROUPS, 0);
  copy_async_commit();
  u32 use = ring, buffer = 0;
  int since_x = -1; // iterations since the coming chunk of X was asked for; -1: the prologue did

  for (u32 at = begin; CLUSTER > 1 || at < end; ++n_block, first = 0) {
    const u32 count = groups - first < end - at ? groups - first : end - at;
    float sum[TILES][COLUMNS][4];
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int e = 0; e < 4; e++) sum[i][f][e] = 0.f;

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
            v[f][unit] = Weights::operand(load_shared_16(x_stage + (f * 8 + r) * X_ROW + (all >> 1) * 128 + ((all & 1) ? 16 - (r & 1) * 16 : (r & 1) * 16)));
          }
        if (Weights::GROUP_SCALES && step == 0) {
#pragma unroll
          for (int i = 0; i < TILES; i++)
#pragma unroll
            for (int f = 0; f < COLUMNS; f++)
#pragma unroll
              for (int e = 0; e < 4; e++) part[i][f][e] = 0.f;
        }
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
#pragma unroll
        for (int j = 0; j < 2 * X_UNITS; j++)
#pragma unroll
          for (int i = 0; i < TILES; i++) {
            u32 a[4];
            Weights::fragment(w[i], j, a);
            if (!CENTRE_BY_MMA) Weights::centre(a);
#pragma unroll
            for (int f = 0; f < COLUMNS; f++) {
              const uint4 q = v[f][j >> 1];
              multiply_accumulate<T>(into[i][f], a, (j & 1) ? q.z : q.x, (j & 1) ? q.w : q.y);
            }
          }
      }
      if (Weights::GROUP_SCALES) {
        uint2 scale[STRIPS];
#pragma unroll
        for (int c = 0; c < STRIPS; c++) scale[c] = load_shared_8(use + STRIPS * STRIP_BYTES + c * 64 + r * 8);
#pragma unroll
        for (int i = 0; i < TILES; i++) {
          const u32 s = (i & 1) ? scale[i >> 1].y : scale[i >> 1].x;
          const float top = Format<T>::low(s), bottom = Format<T>::high(s);
#pragma unroll
          for (int f = 0; f < COLUMNS; f++) {
            sum[i][f][0] += top * part[i][f][0];
            sum[i][f][1] += top * part[i][f][1];
            sum[i][f][2] += bottom * part[i][f][2];
            sum[i][f][3] += bottom * part[i][f][3];
          }
        }
      }
      use = use + STAGE_BYTES == ring_end ? ring : use + STAGE_BYTES;
    }
    at += count;

    auto store_of = [&](u32 of_warp, int of_lane, int i, int f, const float* v) {
      const u64 n = (u64)n_block * BLOCK_N + of_warp * (STRIPS * 32) + i * 16 + (of_lane >> 2);
      const int m = f * 8 + (of_lane & 3) * 2;
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const u64 own = n + (e >> 1) * 8;
        const float scale = Weights::GROUP_SCALES ? 1.f : Weights::LIFT * Format<T>::low(((const u16*)scales)[own]);
        if (m + (e & 1) < M) y[(u64)(m + (e & 1)) * N + own] = Format<T>::store(Weights::GROUP_SCALES ? v[e] : v[e] * scale);
      }
    };
    auto store = [&](int i, int f, const float* v) { store_of(warp, lane, i, f, v); };
    if (CLUSTER > 1) {
      // The fragments of all warps in equal shares: block b adds up those from b * SHARE on. It holds them rank by rank.
      constexpr u32 SHARE = WARPS * FRAGMENTS / CLUSTER;
      static_assert(CLUSTER == 1 || SHARE * CLUSTER == WARPS * FRAGMENTS, "the shares are equal");
      cluster_wait(); // for the blocks to run
#pragma unroll
      for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int f = 0; f < COLUMNS; f++) {
          const u32 fragment = warp * FRAGMENTS + i * COLUMNS + f;
          store_cluster_16(received + ((rank * SHARE + fragment % SHARE) * 32 + lane) * 16, fragment / SHARE,
                           make_float4(sum[i][f][0], sum[i][f][1], sum[i][f][2], sum[i][f][3]));
        }
      cluster_arrive();
      cluster_wait(); // for the sums
      for (u32 item = thread; item < SHARE * 32; item += WARPS * 32) {
        float all[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
        for (u32 b = 0; b < (u32)CLUSTER; b++) {
          const uint4 p = load_shared_16(received + (b * SHARE * 32 + item) * 16);
          all[0] += as_float(p.x); all[1] += as_float(p.y); all[2] += as_float(p.z); all[3] += as_float(p.w);
        }
        const u32 fragment = rank * SHARE + item / 32, in_warp = fragment % FRAGMENTS;
        store_of(fragment / FRAGMENTS, (int)(item % 32), (int)(in_warp / COLUMNS), (int)(in_warp % COLUMNS), all);
      }
      return;
    }
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
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int e = 0; e < 4; e++) sum[i][f][e] = 0.f;
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

// A kernel of it: `stored` is the template of the weights, by type of X. CLUSTER as above.
#define WEIGHT_STREAM(name, stored, T, columns, strips, stages, x_groups, blocks_per_sm, cluster) \
  KERNEL(256 / strips, blocks_per_sm) name(const u8* weights, const u8* scales, const u16* x, u16* y, float* partials, int* arrived, int M, int N, int K) { \
    stream_weights<stored<T>, T, columns, strips, stages, x_groups, cluster>(weights, scales, x, y, partials, arrived, M, N, K); \
  }
