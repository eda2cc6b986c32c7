// The work list of paged attention: tiles of 16 tokens, sequence by sequence, KV head by KV head. Never stored: a block finds
// its own place in it from the lengths.
#pragma once
#include "primitives.cuh"

constexpr int TILE = 16; // tokens

struct Shape {
  int query_heads, kv_heads, sequences, table_stride, page_shift; // a page holds 16 << page_shift tokens
  float scale_log2, v_scale;
  long long page_stride;
  int token_stride, head_stride;
};

// Where a tile of the list stands. `begin` and `end` bound the tiles of its (sequence, KV head) in the list.
struct Place {
  int sequence, head, length;
  u32 begin, end;
};
DEVICE u32 tiles_of(int length) { return (u32)(length + TILE - 1) / TILE; }
DEVICE void advance(Place& p, u32 tile, const int* lengths, const Shape& s) {
  while (tile >= p.end) {
    if (++p.head == s.kv_heads) {
      p.head = 0;
      if (++p.sequence >= s.sequences) { p.end = 0xffffffffu; p.length = 0; return; }
      p.length = load_index(lengths + p.sequence);
    }
    p.begin = p.end;
    p.end += tiles_of(p.length);
  }
}
// The place of `tile`, by a running sum of the lengths, 32 sequences at a time. Also the number of tiles of all.
DEVICE Place find(u32 tile, const int* lengths, const Shape& s, int lane) {
  u32 before = 0;
  Place p;
  for (int base = 0;; base += 32) {
    const int length = base + lane < s.sequences ? load_index(lengths + base + lane) : 0;
    const u32 own = tiles_of(length) * (u32)s.kv_heads;
    u32 sum = own;
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
      const u32 other = __shfl_up_sync(0xffffffffu, sum, d);
      if (lane >= d) sum += other;
    }
    const u32 hit = __ballot_sync(0xffffffffu, tile < before + sum);
    if (hit == 0 && base + 32 < s.sequences) { before += __shfl_sync(0xffffffffu, sum, 31); continue; }
    const int who = hit ? __ffs((int)hit) - 1 : 31;
    p.sequence = base + who;
    p.length = __shfl_sync(0xffffffffu, length, who);
    const u32 start = before + __shfl_sync(0xffffffffu, sum - own, who), each = tiles_of(p.length);
    p.head = each ? (int)((tile - start) / each) : 0;
    p.begin = start + (u32)p.head * each;
    p.end = p.begin + each;
    return p;
  }
}
DEVICE u32 all_tiles(const int* lengths, const Shape& s, int lane) {
  u32 sum = 0;
  for (int i = lane; i < s.sequences; i += 32) sum += tiles_of(load_index(lengths + i));
#pragma unroll
  for (int d = 16; d; d >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, d);
  return sum * (u32)s.kv_heads;
}
