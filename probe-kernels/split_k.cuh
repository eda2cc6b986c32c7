// The product of weight_stream.cuh for matrices that are read in a dozen microseconds: every multiprocessor gets one tile, or half of
// one, and the warps of a block split its k. With sixteen rows it is also the faster one for long matrices, tile after tile.
//
// * What a short launch takes is what it waits for, not what it reads. So each multiprocessor gets one block and each block the same
//   work: on an H100 clusters of eight, two blocks to a multiprocessor, do not fit the card in one wave, and those of two do.
// * A block has SETS sets of STRIPS warps. The warps of a set have a strip of the tile each and a part of k in common; with BLOCKS = 2
//   (compute capability 9.0) a tile has two blocks, and k twice as many parts. All parts are added up at the end in shared memory,
//   in their order, each block half of the tile: nothing is exchanged through L2.
// * What is asked for queues: a chunk of X arrives after all weights that were asked for before it. So only one group of weights goes
//   before the first chunk, and chunks are asked for X_CHUNKS - 1 ahead, at least as far as the weights.
// * The sums of X that offsets of weights are taken away with are made by the threads that copied it, before the one barrier of a chunk.
#pragma once
#include "weight_unit.cuh"

// WEIGHTS, COLUMNS, STAGES: as in weight_stream.cuh. X_GROUPS: groups of k in a chunk of X. X_CHUNKS: chunks in the ring of a set.
template <typename Weights, typename T, int COLUMNS, int STRIPS, int SETS, int BLOCKS, int STAGES, int X_GROUPS, int X_CHUNKS>
DEVICE void split_k(const u8* weights, const u8* scales, const u16* x, u16* y, int M, int N, int K) {
  DYNAMIC_SHARED(memory);
  constexpr int X_UNITS = Weights::GROUP / 64; // of 16 bytes: the X that goes with 16 bytes of weights
  constexpr int WARPS = STRIPS * SETS, SET = STRIPS * 32, PARTS = SETS * BLOCKS;
  constexpr u32 STAGE_BYTES = STRIP_BYTES + (Weights::GROUP_SCALES ? 64 : 0); // weights, then scales
  constexpr u32 GROUP_ROW = Weights::GROUP * 2, GROUP_UNITS = GROUP_ROW / 16, X_ROW = X_GROUPS * GROUP_ROW, UNITS = X_ROW / 16;
  constexpr u32 SUMS = COLUMNS * 8 * X_ROW, CHUNK_BYTES = SUMS + (Weights::CENTRED ? X_GROUPS * COLUMNS * 8 * 4 : 0); // X, then its sums
  constexpr u32 COPIES = COLUMNS * 8 * UNITS / SET; // of a thread, for a chunk
  constexpr u32 FRAGMENTS = 2 * COLUMNS, SHARE = STRIPS * FRAGMENTS / BLOCKS; // of a strip; that a block adds up
  static_assert(COPIES * SET == COLUMNS * 8 * UNITS && SHARE * BLOCKS == STRIPS * FRAGMENTS, "equal shares");
  static_assert(STAGES <= (X_CHUNKS - 1) * X_GROUPS && X_CHUNKS - 2 < STAGES, "a chunk of X is asked for before the weights that it meets");
  const int thread = thread_index(), lane = thread & 31, warp = thread >> 5, r = lane >> 2, t = lane & 3;
  const u32 strip = warp % STRIPS, set = warp / STRIPS, in_set = thread % SET;
  const u32 groups = (u32)K / Weights::GROUP, rank = BLOCKS > 1 ? blockIdx.x % BLOCKS : 0, tile = blockIdx.x / BLOCKS, part = rank * SETS + set;
  const Ranges ranges(groups, PARTS);
  const u32 first = ranges.start(part), count = ranges.start(part + 1) - first; // groups of this set
  allow_next_kernel();

  const u32 chunks = shared_address(memory) + set * (X_CHUNKS * CHUNK_BYTES), chunks_end = chunks + X_CHUNKS * CHUNK_BYTES;
  const u32 received = shared_address(memory) + SETS * X_CHUNKS * CHUNK_BYTES;
  const u32 ring = received + WARPS * FRAGMENTS * 512 + warp * (STAGES * STAGE_BYTES), ring_end = ring + STAGES * STAGE_BYTES;
  const u32 strip_at = tile * STRIPS + strip, unit = strip_at / 8 * groups + first; // of the matrix
  const u8* w_next = weights + (u64)unit * UNIT_BYTES + strip_at % 8 * STRIP_BYTES + lane * 16;
  const u8* s_next = scales + (u64)unit * 512 + strip_at % 8 * 64 + lane * 16;
  const u8* x_next = (const u8*)(x + (u64)first * Weights::GROUP);
  u32 w_asked = 0, w_fill = ring, x_asked = 0, x_fill = chunks;
  auto load_group = [&]() {
    if (w_asked < count) {
#pragma unroll
      for (int c = 0; c < 4; c++) copy_async_16(w_fill + c * 512 + lane * 16, w_next + c * 512);
      if (Weights::GROUP_SCALES && lane < 4) copy_async_16(w_fill + STRIP_BYTES + lane * 16, s_next);
    }
    w_next += UNIT_BYTES;
    s_next += 512;
    ++w_asked;
    w_fill = w_fill + STAGE_BYTES == ring_end ? ring : w_fill + STAGE_BYTES;
  };
  // Copy c of this thread. Rows past M stay as they are: their outputs are never stored.
  auto row_of = [&](u32 c) { return (in_set + c * SET) / UNITS; };
  auto unit_of = [&](u32 c) { return (in_set + c * SET) % UNITS; };
  auto load_x = [&]() {
    if (x_asked < count) {
      const u32 valid = count - x_asked < X_GROUPS ? (count - x_asked) * GROUP_UNITS : UNITS;
#pragma unroll
      for (u32 c = 0; c < COPIES; c++)
        if (row_of(c) < (u32)M && unit_of(c) < valid)
          copy_async_16(x_fill + row_of(c) * X_ROW + x_unit(row_of(c), unit_of(c)), x_next + (u64)row_of(c) * K * 2 + unit_of(c) * 16);
    }
    x_next += X_ROW;
    x_asked += X_GROUPS;
    x_fill = x_fill + CHUNK_BYTES == chunks_end ? chunks : x_fill + CHUNK_BYTES;
  };
  load_group(); // weights do not depend on the kernel before
  wait_for_previous_kernel();
  load_x();
  copy_async_commit();
#pragma unroll
  for (int s = 1; s < STAGES; s++) {
    load_group();
    if (s < X_CHUNKS - 1) load_x();
    copy_async_commit();
  }
  if (BLOCKS > 1) cluster_arrive_relaxed(); // this block runs: its shared memory may be written

  u32 w_use = ring, x_use = chunks, in_chunk = 0;
  float sum[2][COLUMNS][4];
  clear(sum);
  for (u32 i = 0; i < count; ++i) {
    copy_async_wait<STAGES - 1>(); // for group i, and for the X that was asked for before it
    if (in_chunk == 0) {
      if (Weights::CENTRED) {
#pragma unroll
        for (u32 c = 0; c < COPIES; c++) { // GROUP_UNITS neighbouring lanes have a row's part of a group
          const uint4 q = load_shared_16(x_use + row_of(c) * X_ROW + x_unit(row_of(c), unit_of(c)));
          float s = ((Format<T>::low(q.x) + Format<T>::high(q.x)) + (Format<T>::low(q.y) + Format<T>::high(q.y))) +
                    ((Format<T>::low(q.z) + Format<T>::high(q.z)) + (Format<T>::low(q.w) + Format<T>::high(q.w)));
#pragma unroll
          for (int d = GROUP_UNITS / 2; d; d >>= 1) s += __shfl_xor_sync(0xffffffffu, s, d);
          if (unit_of(c) % GROUP_UNITS == 0) store_shared_4(x_use + SUMS + (unit_of(c) / GROUP_UNITS * COLUMNS * 8 + row_of(c)) * 4, s);
        }
      }
      named_barrier(1 + (int)set, SET);
      load_x();
    } else {
      __syncwarp(); // every lane's copies are there
    }
    const u32 x_stage = x_use + in_chunk * GROUP_ROW + t * 32;
    uint2 scale[1];
    float of_group[2][COLUMNS][4], (&into)[2][COLUMNS][4] = Weights::GROUP_SCALES ? of_group : sum;
#pragma unroll
    for (int step = 0; step < 2; step++) { // 16 bytes of each tile of weights for a lane, and the X that they are multiplied with
      uint4 w[2], v[COLUMNS][X_UNITS];
#pragma unroll
      for (int n = 0; n < 2; n++) w[n] = load_shared_16(w_use + step * 1024 + n * 512 + lane * 16);
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int u = 0; u < X_UNITS; u++) v[f][u] = Weights::operand(load_shared_16(x_stage + (f * 8 + r) * X_ROW + x_unit_of_lane(step * X_UNITS + u, r)));
      if (step == 0 && Weights::CENTRED) {
        const float top = Format<T>::low(Weights::OFFSET_TOP), bottom = Format<T>::low(Weights::OFFSET_BOTTOM);
#pragma unroll
        for (int f = 0; f < COLUMNS; f++) {
          const uint2 s = load_shared_8(x_use + SUMS + (in_chunk * COLUMNS * 8 + f * 8 + 2 * t) * 4);
#pragma unroll
          for (int n = 0; n < 2; n++) {
            of_group[n][f][0] = as_float(s.x) * top;
            of_group[n][f][1] = as_float(s.y) * top;
            of_group[n][f][2] = as_float(s.x) * bottom;
            of_group[n][f][3] = as_float(s.y) * bottom;
          }
        }
      } else if (step == 0 && Weights::GROUP_SCALES) {
        clear(of_group);
      }
      if (step == 1) {
        if (Weights::GROUP_SCALES) scale[0] = load_shared_8(w_use + STRIP_BYTES + r * 8);
        __syncwarp(); // every lane has read the stage
        load_group();
        copy_async_commit();
        w_use = w_use + STAGE_BYTES == ring_end ? ring : w_use + STAGE_BYTES;
      }
      multiply_step<Weights, T, false>(w, v, into);
    }
    if (Weights::GROUP_SCALES) add_scaled<T>(sum, of_group, scale);
    if (++in_chunk == X_GROUPS) {
      in_chunk = 0;
      x_use = x_use + CHUNK_BYTES == chunks_end ? chunks : x_use + CHUNK_BYTES;
    }
  }

  // The fragments of all strips in equal shares: block b adds up those from b * SHARE on. It holds them part by part.
  if (BLOCKS > 1) cluster_wait(); // for the blocks to run
#pragma unroll
  for (int n = 0; n < 2; n++)
#pragma unroll
    for (int f = 0; f < COLUMNS; f++) {
      const u32 fragment = strip * FRAGMENTS + n * COLUMNS + f, to = received + ((part * SHARE + fragment % SHARE) * 32 + lane) * 16;
      const float4 v = make_float4(sum[n][f][0], sum[n][f][1], sum[n][f][2], sum[n][f][3]);
      if (BLOCKS > 1) store_cluster_16(to, fragment / SHARE, v);
      else store_shared_16(to, v);
    }
  if (BLOCKS > 1) {
    cluster_arrive();
    cluster_wait(); // for the sums
  } else {
    __syncthreads();
  }
  for (u32 item = thread; item < SHARE * 32; item += WARPS * 32) {
    float all[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
    for (u32 b = 0; b < (u32)PARTS; b++) {
      const uint4 p = load_shared_16(received + (b * SHARE * 32 + item) * 16);
      all[0] += as_float(p.x); all[1] += as_float(p.y); all[2] += as_float(p.z); all[3] += as_float(p.w);
    }
    const u32 fragment = rank * SHARE + item / 32, in_strip = fragment % FRAGMENTS, of_lane = item % 32;
    store_outputs<Weights, T>(y, scales, (int)(in_strip % COLUMNS * 8 + of_lane % 4 * 2),
                              (u64)(tile * STRIPS + fragment / FRAGMENTS) * 32 + in_strip / COLUMNS * 16 + of_lane / 4, all, M, N);
  }
}

// A kernel of it: `stored` is the template of the weights, by type of X. Takes the arguments of weight_stream.cuh's and leaves two alone.
#define SPLIT_K(name, stored, T, columns, strips, sets, blocks, stages, x_groups, x_chunks) \
  KERNEL(strips * sets * 32, 1) name(const u8* weights, const u8* scales, const u16* x, u16* y, float*, int*, int M, int N, int K) { \
    split_k<stored<T>, T, columns, strips, sets, blocks, stages, x_groups, x_chunks>(weights, scales, x, y, M, N, K); \
  }
