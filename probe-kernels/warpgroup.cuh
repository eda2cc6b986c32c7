// The product of weight_stream.cuh for 17 to 64 rows on cards of compute capability 9.0, by the instruction that four warps share.
//
// * mma.sync takes X from registers: every warp loads all of it, and with 32 rows that leaves registers for eight warps. wgmma reads X
//   in shared memory, once for the four warps of a warpgroup, so that sixteen warps run on a multiprocessor and unpack in turn.
// * A block has 512 outputs, each of its warps a strip of them, and all of k: no sums are exchanged. With 64 rows it has half as many.
// * Weights become A fragments in registers, as for mma.sync. The k of a product that a lane has there are four neighbours in the order
//   of weight_unit.cuh, and wgmma wants them in two places of a row of X: a thread deals out 4 x 4 words on their way through registers.
//   What a warp deals out it copies itself, 128 bytes of a row by eight lanes: asked for in 32 bytes, X takes longer than the weights.
// * No barrier stops a block: X has two chunks or three, each with a barrier in memory for "all of it is there" and one for "all have
//   left it", and is dealt out ahead of its use, so that warps may drift.
// * What limits this on an H100 is its power. A nibble that is masked out of a word, where it stands, is a subnormal bf16, and one fused
//   multiply-add makes a number of it: fewer shifts than with an exponent or-ed in.
#pragma once
#include "weight_unit.cuh"

// WEIGHTS, COLUMNS, STAGES, X_GROUPS: as in weight_stream.cuh. TILES: of 16 outputs, of a warp. X_CHUNKS: chunks of X that are dealt out.
// DEAL_AT: the group of a chunk with which the next one is. X_AHEAD: chunks that are asked for before. LIFT_TOP and LIFT_BOTTOM of
// Weights: what the sums of the first eight outputs of a tile, and of the others, are multiplied with besides their scales.
template <typename Weights, typename T, int COLUMNS, int TILES, int STAGES, int X_GROUPS, int X_CHUNKS, int DEAL_AT, int X_AHEAD>
DEVICE void multiply_in_warpgroups(const u8* weights, const u8* scales, const u16* x, u16* y, int M, int N, int K) {
  DYNAMIC_SHARED(memory);
  constexpr int WARPS = 16, THREADS = WARPS * 32;
  constexpr u32 ROWS = COLUMNS * 8, GROUP_ROW = Weights::GROUP * 2, STEP_ROW = 128; // bytes of a row of X: of a group, and of 64 k
  constexpr u32 PRODUCT_BYTES = ROWS * 32, GROUP_BYTES = Weights::GROUP / 16 * PRODUCT_BYTES, CHUNK_BYTES = X_GROUPS * GROUP_BYTES;
  constexpr u32 W_BYTES = TILES * (STRIP_BYTES / 2), STAGE_BYTES = W_BYTES + 64; // weights, then scales
  // X of a product as wgmma reads it: two halves of k, each of 8 x 8 values for every eight rows. 16 bytes are eight k of a row.
  constexpr u32 HALF_BYTES = PRODUCT_BYTES / 2, EIGHT_ROWS = 128;
  // A warp copies and deals out 64 k of sixteen rows. All warps have that of each chunk.
  constexpr u32 OWN_BYTES = 16 * STEP_ROW, COPIED_BYTES = WARPS * OWN_BYTES;
  static_assert(X_GROUPS * (Weights::GROUP / 64) * (ROWS / 16) == WARPS, "a share for each warp");
  const int thread = thread_index(), lane = thread & 31, warp = thread >> 5, r = lane >> 2, t = lane & 3;
  const u32 groups = (u32)K / Weights::GROUP, first_tile = (blockIdx.x * WARPS + warp) * TILES, strip = first_tile / 2, odd = first_tile % 2;
  allow_next_kernel();

  const u32 chunks = shared_address(memory), copied = chunks + X_CHUNKS * CHUNK_BYTES, own_x = copied + warp * OWN_BYTES;
  const u32 rings = copied + X_AHEAD * COPIED_BYTES, ring = rings + warp * (STAGES * STAGE_BYTES), ring_end = ring + STAGES * STAGE_BYTES;
  const u32 there = rings + WARPS * STAGES * STAGE_BYTES, left = there + X_CHUNKS * 8; // barriers of the chunks
  if (thread < 2 * X_CHUNKS) barrier_init(there + thread * 8, WARPS);
  __syncthreads();

  const u64 unit = (u64)(strip / 8) * groups;
  const u8* w_next = weights + unit * UNIT_BYTES + strip % 8 * STRIP_BYTES + odd * 512 + lane * 16;
  const u8* s_next = scales + unit * 512 + strip % 8 * 64 + lane * 16;
  u32 to_load = groups, fill = ring;
  auto load_group = [&]() {
    if (to_load) {
#pragma unroll
      for (int c = 0; c < 2 * TILES; c++) copy_async_16(fill + c * 512 + lane * 16, w_next + c * (1024 / TILES));
      if (lane < 4) copy_async_16(fill + W_BYTES + lane * 16, s_next);
      w_next += UNIT_BYTES;
      s_next += 512;
      --to_load;
      fill = fill + STAGE_BYTES == ring_end ? ring : fill + STAGE_BYTES;
    }
  };
  // Eight lanes copy a row's 128 bytes, four rows at a time. The units of 16 bytes change places by the row, so that those of eight rows
  // never meet in a bank.
  const u32 first_row = 2 * warp % COLUMNS * 8, step = warp * 16 / ROWS, copy_row = lane >> 3;
  const u8* x_next = (const u8*)(x + (u64)(first_row + copy_row) * K) + step * STEP_ROW + (lane & 7) * 16;
  u32 x_asked = 0; // groups
  // Rows past M stay as they are: their outputs are never stored.
  auto load_x = [&]() {
    const u32 to = own_x + x_asked / X_GROUPS % X_AHEAD * COPIED_BYTES + copy_row * STEP_ROW + (((lane & 7) ^ copy_row) << 4);
    if (x_asked + step / (Weights::GROUP / 64) < groups)
#pragma unroll
      for (u32 p = 0; p < 4; p++)
        if (first_row + copy_row + 4 * p < (u32)M) copy_async_16((to ^ (p & 1) << 6) + p * (4 * STEP_ROW), x_next + (u64)p * 8 * K);
    x_next += X_GROUPS * GROUP_ROW;
    x_asked += X_GROUPS;
  };
  // Of each 32 bytes, which are the k of lane t = p, a thread has half: words 0 and 1 are the two halves of one product, words 2 and 3
  // those of the next. What eight threads write next to each other never meets in a bank.
  auto deal_x = [&](u32 chunk) {
    __syncwarp(); // the copies of all lanes are there
    const u32 own_row = (lane & 7) + (lane >> 4) * 8, half = lane >> 3 & 1, row = first_row + own_row;
    const u32 from = own_x + chunk % X_AHEAD * COPIED_BYTES + own_row * STEP_ROW + ((half ^ (own_row & 7)) << 4);
    uint4 v[4];
#pragma unroll
    for (u32 p = 0; p < 4; p++) v[p] = load_shared_16(from ^ p << 5);
    const u32 to = chunks + chunk % X_CHUNKS * CHUNK_BYTES + (step * 4 + half * 2) * PRODUCT_BYTES + (row >> 3) * EIGHT_ROWS + (row & 7) * 16;
    store_shared_16(to, make_uint4(v[0].x, v[1].x, v[2].x, v[3].x));
    store_shared_16(to + HALF_BYTES, make_uint4(v[0].y, v[1].y, v[2].y, v[3].y));
    store_shared_16(to + PRODUCT_BYTES, make_uint4(v[0].z, v[1].z, v[2].z, v[3].z));
    store_shared_16(to + PRODUCT_BYTES + HALF_BYTES, make_uint4(v[0].w, v[1].w, v[2].w, v[3].w));
    show_to_tensor_cores();
    __syncwarp(); // every lane has stored, and left what is copied next
    if (lane == 0) barrier_arrive(there + chunk % X_CHUNKS * 8);
  };
  load_group(); // weights do not depend on the kernel before
  wait_for_previous_kernel();
  load_x();
  copy_async_commit();
#pragma unroll
  for (int s = 1; s < STAGES - 1; s++) {
    load_group();
    copy_async_commit();
  }
  copy_async_wait<STAGES - 2>();
  deal_x(0);
#pragma unroll
  for (int c = 0; c < X_AHEAD; c++) load_x(); // goes with the next group of weights

  u32 use = ring;
  float sum[TILES][COLUMNS][4];
  clear(sum);
  for (u32 group = 0; group < groups; ++group) {
    const u32 in_chunk = group % X_GROUPS, chunk = group / X_GROUPS;
    copy_async_wait<STAGES - 2>();
    __syncwarp(); // every lane's copies are there, and every lane has left the stage that is refilled now
    if (in_chunk == 0) barrier_wait(there + chunk % X_CHUNKS * 8, chunk / X_CHUNKS & 1);
    load_group();
    copy_async_commit();
    const u32 x_group = chunks + chunk % X_CHUNKS * CHUNK_BYTES + in_chunk * GROUP_BYTES;
    float part[TILES][COLUMNS][4];
    u32 a[2][TILES][4]; // those of two products: one is made while the other is read
#pragma unroll
    for (int step = 0; step < 2; step++) {
      uint4 w[TILES];
#pragma unroll
      for (int i = 0; i < TILES; i++) w[i] = load_shared_16(use + (step * TILES + i) * 512 + lane * 16);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int product = step * 4 + j;
        if (product > 1) warpgroup_wait<1>(); // the fragments that are overwritten now have been read
#pragma unroll
        for (int i = 0; i < TILES; i++) {
          Weights::fragment(w[i], j, a[j & 1][i]);
          Weights::centre(a[j & 1][i]);
        }
        warpgroup_fence();
#pragma unroll
        for (int i = 0; i < TILES; i++)
          warpgroup_multiply<T>(part[i], a[j & 1][i], x_group + product * PRODUCT_BYTES, HALF_BYTES, EIGHT_ROWS, product > 0);
        warpgroup_commit();
      }
    }
    uint2 scale[1] = {load_shared_8(use + W_BYTES + r * 8)};
    if (TILES == 1 && odd) scale[0].x = scale[0].y;
    use = use + STAGE_BYTES == ring_end ? ring : use + STAGE_BYTES;
    if (in_chunk == DEAL_AT && (chunk + 1) * X_GROUPS < groups) {
      // The next chunk was asked for in this place, X_AHEAD chunks ago; the first ones before the loop.
      constexpr int SINCE = X_AHEAD * X_GROUPS - 1;
      if (chunk == 0) copy_async_wait<DEAL_AT>();
      else copy_async_wait<(SINCE < X_GROUPS + DEAL_AT ? SINCE : X_GROUPS + DEAL_AT)>();
      if (chunk + 1 >= X_CHUNKS) barrier_wait(left + (chunk + 1) % X_CHUNKS * 8, (chunk + 1 - X_CHUNKS) / X_CHUNKS & 1);
      deal_x(chunk + 1);
      load_x();
    }
    warpgroup_wait<0>();
    if (in_chunk == X_GROUPS - 1 && lane == 0) barrier_arrive(left + chunk % X_CHUNKS * 8);
    add_scaled<T>(sum, part, scale, Weights::LIFT_TOP, Weights::LIFT_BOTTOM);
  }
#pragma unroll
  for (int i = 0; i < TILES; i++)
#pragma unroll
    for (int f = 0; f < COLUMNS; f++) store_outputs<Weights, T>(y, scales, f * 8 + t * 2, (u64)(first_tile + i) * 16 + r, sum[i][f], M, N);
}

// A kernel of it: `Weights` is the type of the weights. Takes the arguments of weight_stream.cuh's and leaves two alone.
#define WARPGROUPS(name, Weights, T, columns, tiles, stages, x_groups, x_chunks, deal_at, x_ahead) \
  KERNEL(512, 1) name(const u8* weights, const u8* scales, const u16* x, u16* y, float*, int*, int M, int N, int K) { \
    multiply_in_warpgroups<Weights, T, columns, tiles, stages, x_groups, x_chunks, deal_at, x_ahead>(weights, scales, x, y, M, N, K); \
  }
