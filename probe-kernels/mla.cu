// Decode of multi-head latent attention (MLA): one query token for each sequence, all heads over one latent row a token, in pages.
//
// What it measures: how fast rows of 576 values (512 of the latent, 64 that carry the position) stream from scattered pages, and
// with 64 heads a block how fast tensor cores are fed: 128 heads make 242 operations of every byte, near what an H100 has for it.
// What it does not: the projections around it, prefill, fp8 rows, sparse attention.
//
// * A row is key and value at once: scores take all 576 values, outputs the first 512. It is loaded once for both.
// * A block takes HEADS query heads. Blocks of the same tokens and other heads have neighbouring numbers: they run at the same time,
//   and L2 serves all but the first of them.
// * Work is a list of tiles of 16 tokens, sequence by sequence; blocks take equal contiguous ranges of it. A step is TOKENS of them.
// * The accumulators of 512 values a head fill the registers, so that warps share a step: each has a quarter of the 576 values for
//   the scores, and a part of the 512 for the outputs. Between stand shared memory and two barriers.
// * Queries stay in registers as fragments. The scores of the next step are computed together with the outputs of this one: between
//   two barriers the tensor cores have both.
// * Heads stand on the 16-row side of the tensor core: S = Q K^T, O = P V. Rows are swizzled in 128 bytes, so that ldmatrix reads
//   them without bank conflicts, and every address is one constant from another.
// * The running maximum is moved only when it grew by more than 2^8: below that the exponentials stay in range, and the
//   rescaling of the accumulators is skipped.
// * A sequence that several blocks share is combined by a second kernel: 128 KiB of accumulators a block are too much for the
//   last of them to arrive.
//
// Row element (page p, slot s, d): p * page_stride + s * token_stride + d, in elements.
#include "tile_list.cuh"

#if ARCH >= 800
constexpr int LATENT = 512, VALUES = 576; // of an output; of a query and a row
constexpr int ROW = VALUES * 2;           // bytes
constexpr int QUARTERS = 4, STEPS = VALUES / 16 / QUARTERS;
constexpr float LOWEST = -3.0e38f;

// A thread's place in its block. Each part of the kernel asks again: an answer that is kept, and every address made of it, would
// cost registers that the accumulators need.
struct Me {
  int thread, lane, warp, r, t;
  DEVICE Me() : thread(thread_index()), lane(thread & 31), warp(thread >> 5), r(lane >> 2), t(lane & 3) {}
};

// Q is [sequence][query head][576], OUT [sequence][query head][512]. ROWS: tiles of 16 heads whose scores one warp computes.
// TOKENS: of a step. STAGES: steps in the ring.
template <int HEADS, int ROWS, int TOKENS, int STAGES>
DEVICE void mla(const u16* q, const u8* cache, const int* table, const int* lengths, u16* out, float* partial_o, float* partial_ml, const Shape& s) {
  constexpr int WARPS = QUARTERS * HEADS / 16 / ROWS, THREADS = WARPS * 32;
  constexpr int STAGE = TOKENS * ROW, TILES = TOKENS / TILE, HEAD_TILES = HEADS / 16;
  constexpr int SCORE_ROW = TOKENS + 8, WEIGHT_ROW = TOKENS * 2 + 16; // floats; bytes; padded, so that rows fall on different banks
  constexpr int COLUMNS = LATENT / WARPS / 8;                         // tiles of 8 output values of a warp
  constexpr int PASSES = TOKENS / WARPS / 4;                          // a warp copies 4 rows at a time
  constexpr int A_HEAD = THREADS / HEADS;                             // threads that turn the scores of a head into weights
  static_assert(PASSES * WARPS * 4 == TOKENS && STAGES >= 3, "rows are dealt out evenly; two steps are in use and one is on its way");
  DYNAMIC_SHARED(memory); // the ring, a quarter of the scores each, the weights
  SHARED float factors[HEADS];
  SHARED Place cursors[2][WARPS]; // what each warp would keep, had it registers for it
  // Warps that score the same heads, each a quarter of the values.
  auto quarter_of = [](const Me& me) { return me.warp % QUARTERS; };
  auto first_head_of = [](const Me& me) { return me.warp / QUARTERS * ROWS * 16; };
  const u32 groups = (u32)s.query_heads / HEADS, group = blockIdx.x % groups;
  const Ranges ranges(all_tiles(lengths, s, Me().lane), gridDim.x / groups);
  const u32 begin = ranges.start(blockIdx.x / groups), end = ranges.start(blockIdx.x / groups + 1);
  if (begin >= end) return;
  allow_next_kernel();

  const u32 ring = shared_address(memory), weights = ring + STAGES * STAGE + QUARTERS * HEADS * SCORE_ROW * 4;
  float* const scores = (float*)(memory + STAGES * STAGE);
  u32* const weight_pairs = (u32*)(memory + STAGES * STAGE + QUARTERS * HEADS * SCORE_ROW * 4);

  // ---- the loader: page numbers are read one step before they are needed
  {
    const Me me;
    cursors[0][me.warp] = cursors[1][me.warp] = find(begin, lengths, s, me.lane);
  }
  u32 ahead_at = begin, fill = 0;
  int rows = 0, pages[PASSES], slots[PASSES]; // rows: of the coming step; slots: in the page
  auto row_of = [](const Me& me, int pass) { return me.warp * (TOKENS / WARPS) + (me.lane >> 3) + pass * 4; };
  auto look_up = [&](bool in_prologue) {
    rows = 0;
    if (ahead_at >= end) return;
    const Me me;
    __syncwarp();
    Place ahead = cursors[0][me.warp];
    if (ahead_at >= ahead.end) {
      advance(ahead, ahead_at, lengths, s);
      __syncwarp();
      cursors[0][me.warp] = ahead;
    }
    const u32 stop = ahead.end < end ? ahead.end : end, tile = ahead_at - ahead.begin;
    const int tiles = stop - ahead_at < (u32)TILES ? (int)(stop - ahead_at) : TILES, left = ahead.length - (int)tile * TILE;
    rows = left < tiles * TILE ? left : tiles * TILE;
    if (in_prologue && rows == left) wait_for_previous_kernel(); // it wrote the newest token
#pragma unroll
    for (int p = 0; p < PASSES; p++) {
      const int row = row_of(me, p), in = (int)tile + row / TILE;
      pages[p] = row < tiles * TILE ? load_index(table + (long long)ahead.sequence * s.table_stride + (in >> s.page_shift)) : 0;
      slots[p] = (in & ((1 << s.page_shift) - 1)) * TILE + row % TILE;
    }
    ahead_at += (u32)tiles;
  };
  auto load_step = [&](bool in_prologue) {
    if (rows) {
      const Me me;
      const int chunk = me.lane & 7;
#pragma unroll
      for (int p = 0; p < PASSES; p++) {
        const int row = row_of(me, p);
        const u8* from = cache + ((long long)pages[p] * s.page_stride + (long long)slots[p] * s.token_stride) * 2 + chunk * 16;
        const u32 to = ring + fill * STAGE + row * ROW + ((chunk ^ (row & 7)) << 4), bytes = row < rows ? 16u : 0u;
#pragma unroll
        for (int c = 0; c < ROW / 128; c++) copy_async_16(to + c * 128, from + c * 128, bytes);
      }
      fill = fill + 1 == STAGES ? 0 : fill + 1;
      look_up(in_prologue);
    }
    copy_async_commit();
  };
  look_up(true);
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) load_step(i + 1 < STAGES - 1);
  wait_for_previous_kernel();

  u32 use = 0;
  for (u32 at = begin; at < end;) { // one sequence at a time
    // Where the range of this sequence ends, in tiles, and its tokens, counted from the first tile of the list.
    u32 stop, tokens_end;
    u32 query[ROWS][STEPS][4];
    {
      const Me me;
      __syncwarp();
      Place here = cursors[1][me.warp];
      advance(here, at, lengths, s);
      __syncwarp();
      cursors[1][me.warp] = here;
      stop = here.end < end ? here.end : end;
      tokens_end = here.begin * TILE + (u32)here.length < stop * TILE ? here.begin * TILE + (u32)here.length : stop * TILE;

      // ---- query fragments: every fourth step of 16 values
      const u16* first = q + ((u64)here.sequence * s.query_heads + group * HEADS + first_head_of(me) + me.r) * VALUES + quarter_of(me) * 16 + 2 * me.t;
#pragma unroll
      for (int m = 0; m < ROWS; m++)
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
          const u16* p = first + m * 16 * VALUES + k * QUARTERS * 16;
          query[m][k][0] = *(const u32*)p;
          query[m][k][1] = *(const u32*)(p + 8 * VALUES);
          query[m][k][2] = *(const u32*)(p + 8);
          query[m][k][3] = *(const u32*)(p + 8 * VALUES + 8);
        }
    }
    float o[HEAD_TILES][COLUMNS][4], top = LOWEST, sum = 0.f;
#pragma unroll
    for (int m = 0; m < HEAD_TILES; m++)
#pragma unroll
      for (int n = 0; n < COLUMNS; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) o[m][n][e] = 0.f;

    // ---- this quarter's part of the scores of a step
    auto score = [&](u32 stage) {
      const Me me;
      const int row = (me.lane & 7) + (me.lane >> 4) * 8;
      const u32 key = ring + stage * STAGE + row * ROW + (((2 * quarter_of(me) + ((me.lane >> 3) & 1)) ^ (row & 7)) << 4);
#pragma unroll
      for (int tile = 0; tile < TILES; tile++) {
        float c[ROWS][2][4];
#pragma unroll
        for (int m = 0; m < ROWS; m++)
#pragma unroll
          for (int e = 0; e < 4; e++) c[m][0][e] = c[m][1][e] = 0.f;
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
          u32 b[4];
          load_matrices(b, key + tile * (TILE * ROW) + k * 128);
#pragma unroll
          for (int m = 0; m < ROWS; m++) {
            multiply_accumulate<BF16>(c[m][0], query[m][k], b[0], b[1]);
            multiply_accumulate<BF16>(c[m][1], query[m][k], b[2], b[3]);
          }
        }
#pragma unroll
        for (int m = 0; m < ROWS; m++)
#pragma unroll
          for (int n = 0; n < 2; n++) {
            float* to = scores + (quarter_of(me) * HEADS + first_head_of(me) + m * 16 + me.r) * SCORE_ROW + tile * TILE + n * 8 + 2 * me.t;
            *(float2*)to = make_float2(c[m][n][0], c[m][n][1]);
            *(float2*)(to + 8 * SCORE_ROW) = make_float2(c[m][n][2], c[m][n][3]);
          }
      }
    };

    // ---- online softmax, base 2: A_HEAD threads for a head, pairs of tokens in turn
    auto weigh = [&](int valid) {
      const Me me;
      const int head = me.thread / A_HEAD, part = me.thread % A_HEAD;
      constexpr int PAIRS = TOKENS / 2 / A_HEAD;
      float x[PAIRS][2], highest = LOWEST;
#pragma unroll
      for (int j = 0; j < PAIRS; j++) {
        const int token = 2 * (part + A_HEAD * j);
        x[j][0] = x[j][1] = 0.f;
#pragma unroll
        for (int w = 0; w < QUARTERS; w++) {
          const float2 v = *(const float2*)(scores + (w * HEADS + head) * SCORE_ROW + token);
          x[j][0] += v.x;
          x[j][1] += v.y;
        }
#pragma unroll
        for (int e = 0; e < 2; e++) {
          x[j][e] = token + e < valid ? x[j][e] * s.scale_log2 : LOWEST;
          highest = fmaxf(highest, x[j][e]);
        }
      }
#pragma unroll
      for (int d = 1; d < A_HEAD; d *= 2) highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, d));
      float factor = 1.f;
      if (highest > top + 8.f) {
        factor = exp2_approximate(top - highest);
        top = highest;
        sum *= factor;
      }
      if (part == 0) factors[head] = factor;
#pragma unroll
      for (int j = 0; j < PAIRS; j++) {
        const float first = exp2_approximate(x[j][0] - top), second = exp2_approximate(x[j][1] - top);
        sum += first + second;
        weight_pairs[head * (WEIGHT_ROW / 4) + part + A_HEAD * j] = pack_bf16x2(first, second);
      }
    };

    // ---- O += P V for this warp's part of the latent
    auto accumulate = [&](u32 stage) {
      const Me me;
#pragma unroll
      for (int m = 0; m < HEAD_TILES; m++) {
        const float f0 = factors[m * 16 + me.r], f1 = factors[m * 16 + me.r + 8];
        if (__any_sync(0xffffffffu, f0 != 1.f || f1 != 1.f)) {
#pragma unroll
          for (int n = 0; n < COLUMNS; n++) { o[m][n][0] *= f0; o[m][n][1] *= f0; o[m][n][2] *= f1; o[m][n][3] *= f1; }
        }
      }
      const int row = me.lane & 15;
      const u32 weight = weights + row * WEIGHT_ROW + (me.lane >> 4) * 16;
      const u32 value = ring + stage * STAGE + row * ROW + me.warp * (COLUMNS * 16) + (((me.lane >> 4) ^ (row & 7)) << 4);
#pragma unroll
      for (int tile = 0; tile < TILES; tile++) {
        u32 p[HEAD_TILES][4];
#pragma unroll
        for (int m = 0; m < HEAD_TILES; m++) load_matrices(p[m], weight + m * (16 * WEIGHT_ROW) + tile * 32);
#pragma unroll
        for (int n = 0; n < COLUMNS; n += 2) {
          u32 b[4];
          load_matrices_transposed(b, ((value + tile * (TILE * ROW)) ^ ((n & 7) << 4)) + (n >> 3) * 128);
#pragma unroll
          for (int m = 0; m < HEAD_TILES; m++) {
            multiply_accumulate<BF16>(o[m][n], p[m], b[0], b[1]);
            multiply_accumulate<BF16>(o[m][n + 1], p[m], b[2], b[3]);
          }
        }
      }
    };

    copy_async_wait<STAGES - 2>();
    __syncthreads(); // the first step is there
    score(use);
    __syncthreads();
    weigh((int)(tokens_end - at * TILE));
    for (; at < stop; at += TILES) {
      const u32 next = use + 1 == STAGES ? 0 : use + 1;
      const bool more = at + TILES < stop;
      copy_async_wait<STAGES - 3>();
      __syncthreads(); // the weights and the next step are there, and all have left the step before
      load_step(false);
      accumulate(use);
      if (more) score(next);
      __syncthreads(); // the scores are there, and all have used the weights
      if (more) weigh((int)(tokens_end - (at + TILES) * TILE));
      use = next;
    }

    const Me me;
#pragma unroll
    for (int d = 1; d < A_HEAD; d *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
    at = stop;
    __syncwarp();
    const Place here = cursors[1][me.warp];
    const u64 first_row = (u64)here.sequence * s.query_heads + group * HEADS; // of OUT
    const int head = me.thread / A_HEAD, part = me.thread % A_HEAD;
    if (here.begin >= begin && here.end <= end) {
      if (part == 0) factors[head] = 1.f / sum;
      __syncthreads();
#pragma unroll
      for (int m = 0; m < HEAD_TILES; m++) {
        const float f0 = factors[m * 16 + me.r], f1 = factors[m * 16 + me.r + 8];
#pragma unroll
        for (int n = 0; n < COLUMNS; n++) {
          u16* to = out + (first_row + m * 16 + me.r) * LATENT + me.warp * (COLUMNS * 8) + n * 8 + 2 * me.t;
          *(u32*)to = pack_bf16x2(o[m][n][0] * f0, o[m][n][1] * f0);
          *(u32*)(to + 8 * LATENT) = pack_bf16x2(o[m][n][2] * f1, o[m][n][3] * f1);
        }
      }
      continue;
    }
    // A block's first range can end inside a sequence that began elsewhere, and its last can be cut: two slots a block.
    const u32 slot = blockIdx.x * 2 + (here.begin <= begin ? 0 : 1);
    if (part == 0) *(float2*)(partial_ml + ((u64)slot * HEADS + head) * 2) = make_float2(top, sum);
#pragma unroll
    for (int m = 0; m < HEAD_TILES; m++)
#pragma unroll
      for (int n = 0; n < COLUMNS; n++) {
        float* to = partial_o + ((u64)slot * HEADS + m * 16 + me.r) * LATENT + me.warp * (COLUMNS * 8) + n * 8 + 2 * me.t;
        *(float2*)to = make_float2(o[m][n][0], o[m][n][1]);
        *(float2*)(to + 8 * LATENT) = make_float2(o[m][n][2], o[m][n][3]);
      }
  }
  copy_async_wait<0>();
}

#define MLA(name, heads, rows, tokens, stages, blocks_per_sm) \
  KERNEL(128 * heads / 16 / rows, blocks_per_sm) name(const u16* q, const u8* cache, const int* table, const int* lengths, u16* out, float* partial_o, \
                                                      float* partial_ml, Shape shape) { \
    mla<heads, rows, tokens, stages>(q, cache, table, lengths, out, partial_o, partial_ml, shape); \
  }
MLA(mla_bf16_h64, 64, 2, 32, 3, 1)
MLA(mla_bf16_h16, 16, 1, 16, 4, 2)

// Combines what the blocks of the kernel before left of the sequences that they share. `blocks` of them ran, each with `heads` heads.
// Teams of 128 threads take a sequence and a head each, in turn.
constexpr int TEAMS = 4; // of a block
KERNEL(128 * TEAMS, 2) mla_merge(const float* partial_o, const float* partial_ml, const int* lengths, u16* out, int blocks, int heads, Shape s) {
  allow_next_kernel();
  wait_for_previous_kernel();
  const int lane = thread_index() & 31, thread = thread_index() & 127;
  const u32 teams = gridDim.x * TEAMS, team = ((u32)thread_index() >> 7) * gridDim.x + blockIdx.x;
  const u32 query_heads = (u32)s.query_heads, groups = query_heads / (u32)heads;
  const Ranges ranges(all_tiles(lengths, s, lane), (u32)blocks / groups);

  auto merge = [&](int sequence, u32 query_head, u32 begin, u32 first, u32 parts) {
    const u32 group = query_head / (u32)heads, head = query_head % (u32)heads;
    const u32 first_slot = ranges.start(first) < begin ? 1 : 0; // only this range can have begun before this sequence
    auto slot = [&](u32 part) { return (((u64)(first + part) * groups + group) * 2 + (part == 0 ? first_slot : 0)) * (u32)heads + head; };
    float m = LOWEST, l = 0.f;
    for (u32 p = lane; p < parts; p += 32) {
      const float2 v = load_from_l2_8(partial_ml + slot(p) * 2);
      const float next = fmaxf(m, v.x);
      l = l * exp2_approximate(m - next) + v.y * exp2_approximate(v.x - next);
      m = next;
    }
#pragma unroll
    for (int d = 16; d; d >>= 1) {
      const float om = __shfl_xor_sync(0xffffffffu, m, d), ol = __shfl_xor_sync(0xffffffffu, l, d), next = fmaxf(m, om);
      l = l * exp2_approximate(m - next) + ol * exp2_approximate(om - next);
      m = next;
    }
    float4 merged = make_float4(0.f, 0.f, 0.f, 0.f);
    for (u32 base = 0; base < parts; base += 32) {
      const float weight = base + lane < parts ? exp2_approximate(load_from_l2(partial_ml + slot(base + lane) * 2) - m) / l : 0.f;
      const u32 count = parts - base < 32 ? parts - base : 32;
#pragma unroll 8
      for (u32 p = 0; p < count; ++p) {
        const float w = __shfl_sync(0xffffffffu, weight, (int)p);
        const float4 v = load_from_l2_16(partial_o + slot(base + p) * LATENT + thread * 4);
        merged.x += v.x * w;
        merged.y += v.y * w;
        merged.z += v.z * w;
        merged.w += v.w * w;
      }
    }
    u16* to = out + ((u64)sequence * query_heads + query_head) * LATENT + thread * 4;
    *(uint2*)to = make_uint2(pack_bf16x2(merged.x, merged.y), pack_bf16x2(merged.z, merged.w));
  };

  // Teams take pairs of a sequence and a head in turn, and ask where the sequence begins in the list of tiles.
  int base = -32, own = 0;
  u32 before = 0, sum = 0; // tiles of the sequences before `base`; of those from `base` on to this lane's, with it
  for (u32 pair = team; pair < (u32)s.sequences * query_heads; pair += teams) {
    const int sequence = (int)(pair / query_heads);
    while (sequence >= base + 32) {
      before += base < 0 ? 0 : __shfl_sync(0xffffffffu, sum, 31);
      base += 32;
      own = base + lane < s.sequences ? load_index(lengths + base + lane) : 0;
      sum = tiles_of(own);
#pragma unroll
      for (int d = 1; d < 32; d *= 2) {
        const u32 other = __shfl_up_sync(0xffffffffu, sum, d);
        if (lane >= d) sum += other;
      }
    }
    const u32 end = before + __shfl_sync(0xffffffffu, sum, sequence - base), tiles = tiles_of(__shfl_sync(0xffffffffu, own, sequence - base));
    if (tiles == 0) continue;
    const u32 first = ranges.part_of(end - tiles), parts = ranges.part_of(end - 1) - first + 1;
    if (parts > 1) merge(sequence, pair % query_heads, end - tiles, first, parts); // else its block has stored the output
  }
}
#endif
