// Runs a grid of CUDA threads on one thread of the host: every CUDA thread is a fiber.
#pragma once
#include <cstddef>
#include <functional>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

namespace emulator {
struct Position { unsigned x, y, z; };

// Runs `body` with `told` once for every thread of the grid, clusters of `cluster` blocks one after another. `shared` bytes of
// dynamic shared memory for each block.
typedef void (*Body)(const void* told);
void run_grid(Position grid, Position block, unsigned cluster, size_t shared, Body body, const void* told);

// ---- for the thread that runs
Position thread_position();
Position block_position();
Position grid_size();
Position block_size();
int lane();

// Waits for all living threads of the block.
void meet_block();
// Waits at barrier `name` of the block, 1 to 15, until `threads` threads of whole warps do.
void meet_some(int name, int threads);
// A barrier in the 8 bytes of shared memory at `at`: a phase ends when `count` threads have arrived. Waits until that with `parity` has.
void barrier_init(u32 at, u32 count);
void barrier_arrive(u32 at);
void barrier_wait(u32 at, u32 parity);
// The barrier of all living threads of the cluster, in two halves.
void arrive_in_cluster();
void meet_cluster();
// The most words that a lane brings to a meeting of its warp.
constexpr int MOST_WORDS = 10;
// What the last lane to arrive makes of the words of all: four words a lane.
typedef void (*Combine)(const u32* all, u32* result);
// Every lane of the warp brings `count` words. Returns those of all lanes, lane by lane, or what `combine` made of them. Valid
// until the warp has met twice more.
const u32* meet_warp(const u32* own, int count, Combine combine = nullptr);

// ---- shared memory and asynchronous copies into it
unsigned char* shared_memory();
// The `size` bytes at shared address `at`. Ends the process if they are out of bounds or not aligned to their size.
unsigned char* shared(u32 at, u32 size);
// The same of block `rank` of the cluster, which must not have ended.
unsigned char* shared_of(u32 rank, u32 at, u32 size);
// 16 bytes to shared address `to`: `bytes` of `from`, then zeros. Before 8.0 at once, else when a wait makes it land.
void copy_async(u32 to, const void* from, u32 bytes);
void commit_copies();
void wait_for_copies(int pending);

// ---- work that a thread starts and a wait makes happen, as late as that allows
typedef std::function<void()> Work;
void start_work(Work work);
void commit_work();
void wait_for_work(int pending);
} // namespace emulator
