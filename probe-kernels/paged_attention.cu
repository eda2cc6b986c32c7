// Paged attention of a decode step: one query token for each sequence, grouped-query heads, KV in pages, split KV.
//
// What it measures: how fast K and V stream from scattered pages through the tensor cores (flash decoding).
// What it does not: prefill, sliding windows, soft caps, more than 16 query heads for a KV head.
//
// * Work is a list of tiles of 16 tokens: sequence by sequence, KV head by KV head. Blocks take equal contiguous ranges of it,
//   so ragged batches and single long sequences load all SMs alike. A block's warps take its tiles in turn.
// * Where shared memory is large a multiprocessor gets one block of eight warps: half as many parts to combine as with two of four.
// * Every warp streams its tiles through a ring of its own with cp.async, across the borders of sequences; no barrier stands
//   between tiles. 16-byte chunks are swizzled, so that ldmatrix reads without bank conflicts.
// * Tokens stand on the 16-row side of the tensor core and query heads on the 8-column side: S^T = K Q^T, O^T = V^T P^T. A
//   group of up to eight heads wastes nothing, and accumulators are half of what heads as rows would need.
// * The running maximum is moved only when it grew by more than 2^8: below that the exponentials stay in range, and the
//   rescaling of the accumulators is skipped.
// * fp8 e4m3 becomes fp16 with logic alone: the byte shifted into place is the value times 2^-8, which the scales absorb; even
//   and odd bytes form fragments of their own, so no byte is moved. Runs on cards without fp8 instructions; those of compute
//   capability 9.0 convert two bytes at a time.
// * A (sequence, head) that several blocks share is combined by the last of them to arrive, in the order of the blocks.
//
// KV element (page p, slot s, KV head h, d): p * page_stride + s * token_stride + h * head_stride + d, in elements.
#include "tile_list.cuh"

constexpr float LOWEST = -3.0e38f;

// What K and V are stored in, and the format in which the tensor core multiplies them.
struct KvF16 { typedef F16 Math; static constexpr int SIZE = 2; };
struct KvBF16 { typedef BF16 Math; static constexpr int SIZE = 2; };
struct KvE4M3 { typedef F16 Math; static constexpr int SIZE = 1; };

// The high bytes of both halves of x, read as e4m3, as fp16 of the value times 2^-8.
DEVICE u32 e4m3_high_bytes(u32 x) { return and_or(x, 0x80008000u, (x >> 1) & 0x3f803f80u); }
DEVICE u32 e4m3_low_bytes(u32 x) { return and_or(x << 8, 0x80008000u, (x << 7) & 0x3f803f80u); }

#if ARCH >= 900
constexpr bool CONVERTS_E4M3 = true;
constexpr float E4M3_LIFT = 1.f;
#else
constexpr bool CONVERTS_E4M3 = false;
constexpr float E4M3_LIFT = 256.f; // what the tensor cores get is the value times 2^-8
#endif

// Four e4m3 values of two rows (words a and b: k of 4t to 4t + 3) as the pairs of an A fragment: two of k, then the other two.
// Without an instruction that converts, even and odd bytes form the pairs; `query_pairs` deals out Q alike.
DEVICE void key_fragment(u32 a, u32 b, u32* fragment) {
  if (CONVERTS_E4M3) {
    fragment[0] = e4m3x2_to_f16x2(a);
    fragment[1] = e4m3x2_to_f16x2(b);
    fragment[2] = e4m3x2_to_f16x2(a >> 16);
    fragment[3] = e4m3x2_to_f16x2(b >> 16);
  } else {
    fragment[0] = e4m3_low_bytes(a);
    fragment[1] = e4m3_low_bytes(b);
    fragment[2] = e4m3_high_bytes(a);
    fragment[3] = e4m3_high_bytes(b);
  }
}
template <typename In, typename Math> DEVICE void query_pairs(uint2 q, u32* pairs) {
  const float x0 = Format<In>::low(q.x), x1 = Format<In>::high(q.x), x2 = Format<In>::low(q.y), x3 = Format<In>::high(q.y);
  pairs[0] = CONVERTS_E4M3 ? Format<Math>::pack(x0, x1) : Format<Math>::pack(x0, x2);
  pairs[1] = CONVERTS_E4M3 ? Format<Math>::pack(x2, x3) : Format<Math>::pack(x1, x3);
}
// Two neighbouring d of two tokens (bytes: token 2t d, d + 1; token 2t + 1 d, d + 1) as a pair of tokens for each d.
DEVICE void value_pairs(u32 x, u32* even, u32* odd) {
  if (CONVERTS_E4M3) {
    const u32 dealt = __byte_perm(x, 0, 0x3120);
    *even = e4m3x2_to_f16x2(dealt);
    *odd = e4m3x2_to_f16x2(dealt >> 16);
  } else {
    *even = e4m3_low_bytes(x);
    *odd = e4m3_high_bytes(x);
  }
}

// 8x8 matrix of 16-bit values, spread over a warp as the accumulators are (row r, columns 2t and 2t+1), transposed.
DEVICE u32 transpose(u32 x, int r, int t) {
  const u32 a = __shfl_sync(0xffffffffu, x, (2 * t) * 4 + (r >> 1)), b = __shfl_sync(0xffffffffu, x, (2 * t + 1) * 4 + (r >> 1));
  return (r & 1) ? high_halves(a, b) : low_halves(a, b);
}

// Q and OUT are [sequence][query head][D] in the 16-bit format In. HEADS: 8 or 16 columns for the heads of a group. STAGES: slots in
// the ring of a warp. APART: K and V of a tile have a slot each, which lets an odd number of them fill the shared memory.
template <typename Kv, typename In, int D, int HEADS, int WARPS, int STAGES, bool APART>
DEVICE void paged_attention(const u16* q, const u8* k_cache, const u8* v_cache, const int* table, const int* lengths, u16* out, float* partial_o,
                            float* partial_ml, int* arrived, const Shape& s) {
  typedef typename Kv::Math Math;
  constexpr int ROW = D * Kv::SIZE, TILE_BYTES = TILE * ROW, STAGE = (APART ? 1 : 2) * TILE_BYTES;
  constexpr int AHEAD = APART ? (STAGES - 1) / 2 : STAGES - 1; // tiles that are on their way while one is used
  constexpr int CHUNKS = ROW / 16, COPIES = TILE * CHUNKS / 32, ROWS_A_COPY = 32 / CHUNKS;
  constexpr int COLUMNS = HEADS / 8, STEPS = D / 16;
  static_assert(HEADS * D * 4 <= STAGE && (!APART || STAGES % 2), "the accumulators of a warp fit into a slot; K is asked for where K is used");
  DYNAMIC_SHARED(memory); // the ring of every warp
  SHARED float shared_max[WARPS][HEADS], shared_sum[WARPS][HEADS];
  SHARED int shared_last;
  SHARED u32 shared_stage[WARPS];
  const int thread = thread_index(), lane = thread & 31, warp = thread >> 5, r = lane >> 2, t = lane & 3;
  const u32 block = blockIdx.x, blocks = gridDim.x;
  const int group = s.query_heads / s.kv_heads;
  const float lift = Kv::SIZE == 1 ? E4M3_LIFT : 1.f, scale_log2 = s.scale_log2 * lift, v_scale = s.v_scale * lift;
  const u32 total = all_tiles(lengths, s, lane);
  const Ranges ranges(total, blocks);
  const u32 begin = ranges.start(block), end = ranges.start(block + 1);
  if (begin >= end) return;

  allow_next_kernel();
  const u32 ring = shared_address(memory) + warp * (STAGES * STAGE);
  Place here = find(begin, lengths, s, lane), ahead = here;

  // ---- the loader: the offsets of 32 tiles of this warp at a time, one a lane
  const u32 mine = begin + warp < end ? (end - begin - warp + WARPS - 1) / WARPS : 0;
  long long offset = 0;
  int valid = 0;
  auto look_up = [&](u32 i) {
    i += lane;
    if (i >= mine) return;
    const u32 tile = begin + warp + WARPS * i;
    advance(ahead, tile, lengths, s);
    const int at = (int)(tile - ahead.begin), page = load_index(table + (long long)ahead.sequence * s.table_stride + (at >> s.page_shift));
    offset = ((long long)page * s.page_stride + (long long)((at & ((1 << s.page_shift) - 1)) * TILE) * s.token_stride + (long long)ahead.head * s.head_stride) *
             Kv::SIZE;
    valid = ahead.length - at * TILE;
  };
  const int row0 = lane / CHUNKS, chunk = lane % CHUNKS;
  const long long lane_offset = ((long long)row0 * s.token_stride) * Kv::SIZE + chunk * 16, copy_stride = (long long)ROWS_A_COPY * s.token_stride * Kv::SIZE;
  u32 fill = 0;
  // Tile i: K, V (`first` 1) or both (`last` 2).
  auto load_tile = [&](u32 i, int first, int last, bool early) {
    if (i < mine) {
      if (first == 0 && i && (i & 31) == 0) look_up(i);
      const long long from = __shfl_sync(0xffffffffu, offset, (int)(i & 31)) + lane_offset;
      const int rows = __shfl_sync(0xffffffffu, valid, (int)(i & 31));
      if (early && rows <= TILE) wait_for_previous_kernel(); // it wrote the newest token
      const u32 to = ring + fill * STAGE;
#pragma unroll
      for (int kv = first; kv < last; kv++) {
        const u8* source = (kv ? v_cache : k_cache) + from;
#pragma unroll
        for (int c = 0; c < COPIES; c++) {
          const int row = c * ROWS_A_COPY + row0;
          copy_async_16(to + (kv - first) * TILE_BYTES + row * ROW + ((chunk ^ (row & 7)) << 4), source, row < rows ? 16u : 0u);
          source += copy_stride;
        }
      }
      fill = fill + 1 == STAGES ? 0 : fill + 1;
    }
    copy_async_commit();
  };
  look_up(0);
#pragma unroll
  for (int n = 0; n < STAGES - 1; n++) load_tile(APART ? n / 2 : n, APART ? n & 1 : 0, APART ? (n & 1) + 1 : 2, true);

  wait_for_previous_kernel();
  u32 use = 0, i = 0;
  for (u32 at = begin; at < end; at = here.end) { // one (sequence, head) at a time
    advance(here, at, lengths, s);
    const u32 stop = here.end < end ? here.end : end;

    // ---- query fragments: B of S^T = K Q^T. Columns are heads; those past the group are zero.
    u32 query[STEPS][COLUMNS][2];
#pragma unroll
    for (int f = 0; f < COLUMNS; f++)
#pragma unroll
      for (int k = 0; k < STEPS; k++) {
        const int head = f * 8 + r;
        u32 pairs[2] = {0, 0};
        if (head < group) {
          const u16* p = q + ((u64)here.sequence * s.query_heads + (u64)here.head * group + head) * D + k * 16;
          if (Kv::SIZE == 1) {
            query_pairs<In, Math>(*(const uint2*)(p + 4 * t), pairs);
          } else {
            pairs[0] = *(const u32*)(p + 2 * t);
            pairs[1] = *(const u32*)(p + 2 * t + 8);
          }
        }
        query[k][f][0] = pairs[0];
        query[k][f][1] = pairs[1];
      }

    float o[STEPS][COLUMNS][4], top[COLUMNS][2], sum[COLUMNS][2];
#pragma unroll
    for (int m = 0; m < STEPS; m++)
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int e = 0; e < 4; e++) o[m][f][e] = 0.f;
#pragma unroll
    for (int f = 0; f < COLUMNS; f++)
#pragma unroll
      for (int e = 0; e < 2; e++) { top[f][e] = LOWEST; sum[f][e] = 0.f; }

    for (; i < mine && begin + warp + WARPS * i < stop; ++i) {
      copy_async_wait<STAGES - 2>();
      __syncwarp();
      load_tile(i + AHEAD, 0, APART ? 1 : 2, false);
      const u32 k_tile = ring + use * STAGE;
      if (APART) use = use + 1 == STAGES ? 0 : use + 1;

      // ---- S^T: 16 tokens x heads
      float score[COLUMNS][4];
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int e = 0; e < 4; e++) score[f][e] = 0.f;
      {
        const int row = (lane & 7) + ((lane >> 3) & 1) * 8, half = lane >> 4;
        const u32 base = k_tile + row * ROW;
#pragma unroll
        for (int k = 0; k < STEPS; k += 3 - Kv::SIZE) {
          u32 a[4];
          if (Kv::SIZE == 1) {
            load_matrices(a, base + (((k + half) ^ (row & 7)) << 4));
            u32 first[4], second[4];
            key_fragment(a[0], a[1], first);
            key_fragment(a[2], a[3], second);
#pragma unroll
            for (int f = 0; f < COLUMNS; f++) {
              multiply_accumulate<Math>(score[f], first, query[k][f][0], query[k][f][1]);
              multiply_accumulate<Math>(score[f], second, query[k + 1 < STEPS ? k + 1 : k][f][0], query[k + 1 < STEPS ? k + 1 : k][f][1]);
            }
          } else {
            load_matrices(a, base + (((2 * k + half) ^ (row & 7)) << 4));
#pragma unroll
            for (int f = 0; f < COLUMNS; f++) multiply_accumulate<Math>(score[f], a, query[k][f][0], query[k][f][1]);
          }
        }
      }

      // ---- online softmax, base 2
      const int left = here.length - (int)(begin + warp + WARPS * i - here.begin) * TILE;
      if (left < TILE) {
#pragma unroll
        for (int f = 0; f < COLUMNS; f++)
#pragma unroll
          for (int e = 0; e < 4; e++)
            if (r + (e >> 1) * 8 >= left) score[f][e] = LOWEST;
      }
      bool grew = false;
      float highest[COLUMNS][2];
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float m = fmaxf(score[f][e], score[f][e + 2]);
          m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 4));
          m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 8));
          m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 16));
          highest[f][e] = m * scale_log2;
          grew |= highest[f][e] > top[f][e] + 8.f;
        }
      if (__any_sync(0xffffffffu, grew)) {
#pragma unroll
        for (int f = 0; f < COLUMNS; f++)
#pragma unroll
          for (int e = 0; e < 2; e++) {
            const float next = fmaxf(top[f][e], highest[f][e]), factor = exp2_approximate(top[f][e] - next);
            top[f][e] = next;
            sum[f][e] *= factor;
#pragma unroll
            for (int m = 0; m < STEPS; m++) { o[m][f][e] *= factor; o[m][f][e + 2] *= factor; }
          }
      }
      u32 p[COLUMNS][2];
#pragma unroll
      for (int f = 0; f < COLUMNS; f++) {
        float w[4];
#pragma unroll
        for (int e = 0; e < 4; e++) w[e] = exp2_approximate(score[f][e] * scale_log2 - top[f][e & 1]);
        sum[f][0] += w[0] + w[2];
        sum[f][1] += w[1] + w[3];
        p[f][0] = transpose(Format<Math>::pack(w[0], w[1]), r, t);
        p[f][1] = transpose(Format<Math>::pack(w[2], w[3]), r, t);
      }

      // ---- O^T += V^T P^T
      if (APART) {
        copy_async_wait<STAGES - 2>();
        __syncwarp();
        load_tile(i + AHEAD, 1, 2, false);
      }
      const u32 v_tile = ring + use * STAGE + (APART ? 0 : TILE_BYTES);
      use = use + 1 == STAGES ? 0 : use + 1;
      {
        const int token = (lane & 7) + (Kv::SIZE == 1 ? (lane >> 3) & 1 : lane >> 4) * 8, half = Kv::SIZE == 1 ? lane >> 4 : (lane >> 3) & 1;
        const u32 base = v_tile + token * ROW;
#pragma unroll
        for (int m = 0; m < STEPS; m += 3 - Kv::SIZE) {
          u32 a[4];
          if (Kv::SIZE == 1) {
            load_matrices_transposed(a, base + (((m + half) ^ (token & 7)) << 4));
            u32 even[4], odd[4];
#pragma unroll
            for (int z = 0; z < 4; z++) value_pairs(a[(z >> 1) | (z & 1) << 1], &even[z], &odd[z]);
#pragma unroll
            for (int f = 0; f < COLUMNS; f++) {
              multiply_accumulate<Math>(o[m][f], even, p[f][0], p[f][1]);
              multiply_accumulate<Math>(o[m + 1 < STEPS ? m + 1 : m][f], odd, p[f][0], p[f][1]);
            }
          } else {
            load_matrices_transposed(a, base + (((2 * m + half) ^ (token & 7)) << 4));
#pragma unroll
            for (int f = 0; f < COLUMNS; f++) multiply_accumulate<Math>(o[m][f], a, p[f][0], p[f][1]);
          }
        }
      }
    }

    // ---- the warps into one: the common maximum first, then the warps add up in turn
#pragma unroll
    for (int f = 0; f < COLUMNS; f++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        float v = sum[f][e];
        v += __shfl_xor_sync(0xffffffffu, v, 4);
        v += __shfl_xor_sync(0xffffffffu, v, 8);
        v += __shfl_xor_sync(0xffffffffu, v, 16);
        if (r == 0) { shared_max[warp][f * 8 + 2 * t + e] = top[f][e]; shared_sum[warp][f * 8 + 2 * t + e] = v; }
      }
    __syncthreads();
    // The slot that is filled next is free in every warp's ring: its accumulators go there, 16 bytes a lane and fragment.
    float4* mine_merged = (float4*)(memory + warp * (STAGES * STAGE) + fill * STAGE) + lane;
    if (lane == 0) shared_stage[warp] = fill;
#pragma unroll
    for (int m = 0; m < STEPS; m++)
#pragma unroll
      for (int f = 0; f < COLUMNS; f++) mine_merged[(m * COLUMNS + f) * 32] = make_float4(o[m][f][0], o[m][f][1], o[m][f][2], o[m][f][3]);
    __syncthreads();
    // Every warp adds up its share of the fragments.
    float top_of_all[COLUMNS][2], sum_of_all[COLUMNS][2], factor[WARPS][COLUMNS][2];
#pragma unroll
    for (int f = 0; f < COLUMNS; f++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int head = f * 8 + 2 * t + e;
        float m = shared_max[0][head];
#pragma unroll
        for (int w = 1; w < WARPS; w++) m = fmaxf(m, shared_max[w][head]);
        float l = 0.f;
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
          factor[w][f][e] = exp2_approximate(shared_max[w][head] - m);
          l += shared_sum[w][head] * factor[w][f][e];
        }
        top_of_all[f][e] = m;
        sum_of_all[f][e] = l;
      }
    constexpr int MINE = STEPS * COLUMNS / WARPS; // fragments of a warp, from warp * MINE on
    float merged[MINE][4];
#pragma unroll
    for (int c = 0; c < MINE; c++) {
#pragma unroll
      for (int e = 0; e < 4; e++) merged[c][e] = 0.f;
      const int f = c % COLUMNS;
#pragma unroll
      for (int w = 0; w < WARPS; w++) {
        const float4 v = *((const float4*)(memory + w * (STAGES * STAGE) + shared_stage[w] * STAGE) + (warp * MINE + c) * 32 + lane);
        merged[c][0] += v.x * factor[w][f][0];
        merged[c][1] += v.y * factor[w][f][1];
        merged[c][2] += v.z * factor[w][f][0];
        merged[c][3] += v.w * factor[w][f][1];
      }
    }
    const u64 pair = (u64)here.sequence * s.kv_heads + here.head;
    u16* result = out + ((u64)here.sequence * s.query_heads + (u64)here.head * group) * D;
    auto store = [&](int c, const float* v) { // fragment c of this warp, as the output
      const int m = (warp * MINE + c) / COLUMNS, f = c % COLUMNS;
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int head = f * 8 + 2 * t + (e & 1);
        const int d = Kv::SIZE == 1 ? (m & ~1) * 16 + (e >> 1) * 16 + 2 * r + (m & 1) : m * 16 + r + (e >> 1) * 8;
        if (head < group) result[head * D + d] = Format<In>::store(v[e] * v_scale);
      }
    };
    if (at == here.begin && stop == here.end) {
#pragma unroll
      for (int c = 0; c < MINE; c++) {
#pragma unroll
        for (int e = 0; e < 4; e++) merged[c][e] /= sum_of_all[c % COLUMNS][e & 1];
        store(c, merged[c]);
      }
      __syncthreads(); // before a slot that held accumulators is filled again
      continue;
    }
    // A block's first range can end inside a pair that began elsewhere, and its last can be cut: two slots a block.
    const u64 own_slot = (u64)block * 2 + (at == begin ? 0 : 1);
#pragma unroll
    for (int c = 0; c < MINE; c++)
      *(float4*)(partial_o + own_slot * (HEADS * D) + ((warp * MINE + c) * 32 + lane) * 4) = make_float4(merged[c][0], merged[c][1], merged[c][2], merged[c][3]);
    if (warp == 0 && r == 0)
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float* to = partial_ml + (own_slot * HEADS + f * 8 + 2 * t + e) * 2;
          to[0] = top_of_all[f][e];
          to[1] = sum_of_all[f][e];
        }
    __syncthreads();
    if (thread == 0) {
      __threadfence(); // covers what the others stored before the barrier
      const int tiles = (int)(stop - at), all = (int)(here.end - here.begin);
      shared_last = atomicAdd(arrived + pair, tiles) + tiles == all;
      if (shared_last) arrived[pair] = 0;
    }
    __syncthreads();
    if (shared_last) {
      __threadfence();
      const u32 first = ranges.part_of(here.begin), parts = ranges.part_of(here.end - 1) - first + 1;
      const u32 first_slot = ranges.start(first) < here.begin ? 1 : 0; // only this range can have begun before this pair
      auto slot = [&](u32 part) { return (u64)(first + part) * 2 + (part == 0 ? first_slot : 0); };
      // Every thread combines its own fragments. Loads of several parts go out together: what combining takes is their latency.
      constexpr u32 AT_ONCE = MINE * COLUMNS == 1 ? 8 : MINE * COLUMNS == 2 ? 4 : 2;
      float top_so_far[COLUMNS][2], sum_so_far[COLUMNS][2];
#pragma unroll
      for (int f = 0; f < COLUMNS; f++)
#pragma unroll
        for (int e = 0; e < 2; e++) { top_so_far[f][e] = LOWEST; sum_so_far[f][e] = 0.f; }
#pragma unroll
      for (int c = 0; c < MINE; c++)
#pragma unroll
        for (int e = 0; e < 4; e++) merged[c][e] = 0.f;
      for (u32 base = 0; base < parts; base += AT_ONCE) {
        float4 ml[AT_ONCE][COLUMNS], o_part[AT_ONCE][MINE]; // ml: maximum and sum of a head, then of the next
#pragma unroll
        for (u32 p = 0; p < AT_ONCE; p++) {
          const u64 from = slot(base + p < parts ? base + p : parts - 1);
#pragma unroll
          for (int f = 0; f < COLUMNS; f++) ml[p][f] = load_from_l2_16(partial_ml + (from * HEADS + f * 8 + 2 * t) * 2);
#pragma unroll
          for (int c = 0; c < MINE; c++) o_part[p][c] = load_from_l2_16(partial_o + from * (HEADS * D) + ((warp * MINE + c) * 32 + lane) * 4);
        }
#pragma unroll
        for (int f = 0; f < COLUMNS; f++)
#pragma unroll
          for (int e = 0; e < 2; e++) {
            float next = top_so_far[f][e];
#pragma unroll
            for (u32 p = 0; p < AT_ONCE; p++) next = fmaxf(next, e ? ml[p][f].z : ml[p][f].x);
            const float earlier = exp2_approximate(top_so_far[f][e] - next);
            top_so_far[f][e] = next;
            sum_so_far[f][e] *= earlier;
#pragma unroll
            for (int c = f; c < MINE; c += COLUMNS) { merged[c][e] *= earlier; merged[c][e + 2] *= earlier; }
#pragma unroll
            for (u32 p = 0; p < AT_ONCE; p++) {
              const float w = base + p < parts ? exp2_approximate((e ? ml[p][f].z : ml[p][f].x) - next) : 0.f;
              sum_so_far[f][e] += w * (e ? ml[p][f].w : ml[p][f].y);
#pragma unroll
              for (int c = f; c < MINE; c += COLUMNS) {
                merged[c][e] += w * (e ? o_part[p][c].y : o_part[p][c].x);
                merged[c][e + 2] += w * (e ? o_part[p][c].w : o_part[p][c].z);
              }
            }
          }
      }
#pragma unroll
      for (int c = 0; c < MINE; c++)
#pragma unroll
        for (int e = 0; e < 4; e++) merged[c][e] /= sum_so_far[c % COLUMNS][e & 1];
#pragma unroll
      for (int c = 0; c < MINE; c++) store(c, merged[c]);
    }
    __syncthreads();
  }
  copy_async_wait<0>();
}

#define PAGED(name, Kv, In, D, heads, warps, stages, apart, blocks_per_sm) \
  KERNEL(warps * 32, blocks_per_sm) name(const u16* q, const u8* k_cache, const u8* v_cache, const int* table, const int* lengths, u16* out, \
                                         float* partial_o, float* partial_ml, int* arrived, Shape shape) { \
    paged_attention<Kv, In, D, heads, warps, stages, apart>(q, k_cache, v_cache, table, lengths, out, partial_o, partial_ml, arrived, shape); \
  }
// PTX of compute capability 9.0 exists for overlapped launches and holds the kernels that are measured so; the rest is in that of 8.0.
#if ARCH >= 800
PAGED(paged_bf16_d128_g8, KvBF16, BF16, 128, 8, 4, 3, false, 2)
#if ARCH >= 900
PAGED(paged_e4m3_d128_g8, KvE4M3, BF16, 128, 8, 4, 3, false, 3)
// For cards with more than 200 KiB of shared memory.
PAGED(paged_bf16_d128_g8_w8, KvBF16, BF16, 128, 8, 8, 7, true, 1)
PAGED(paged_e4m3_d128_g8_w8, KvE4M3, BF16, 128, 8, 8, 7, false, 1)
#else
PAGED(paged_e4m3_d128_g8, KvE4M3, BF16, 128, 8, 4, 4, false, 3)
PAGED(paged_f16_d128_g8, KvF16, F16, 128, 8, 4, 3, false, 2)
PAGED(paged_bf16_d128_g16, KvBF16, BF16, 128, 16, 4, 3, false, 2)
PAGED(paged_bf16_d64_g8, KvBF16, BF16, 64, 8, 4, 4, false, 2)
PAGED(paged_bf16_d256_g8, KvBF16, BF16, 256, 8, 4, 2, false, 1)
#endif
#else // 64 KiB of shared memory
PAGED(paged_f16_d128_g8, KvF16, F16, 128, 8, 2, 2, false, 2)
PAGED(paged_e4m3_d128_g8, KvE4M3, F16, 128, 8, 2, 4, false, 2)
#endif
