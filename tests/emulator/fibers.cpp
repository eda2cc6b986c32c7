#include "fibers.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#if defined(__x86_64__)
// Saves what a function must keep (System V), leaves the stack pointer in *from and goes on where `to` left off.
extern "C" void switch_stack(void** from, void* to);
asm(R"(
.text
.globl switch_stack
.hidden switch_stack
.type switch_stack,@function
switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#else
#include <ucontext.h>
#endif

namespace emulator {
namespace {
struct Copy { u32 to; const unsigned char* from; u32 bytes; };
enum class Waits { no, for_block, for_warp };

struct Fiber {
  std::vector<unsigned char> stack = std::vector<unsigned char>(64 << 10);
#if defined(__x86_64__)
  void* pointer = nullptr;
#else
  ucontext_t context;
#endif
  Position position{};
  int index = 0;
  bool done = false;
  Waits waits = Waits::no;
  unsigned meetings = 0;
  std::vector<Copy> uncommitted;
  std::vector<std::vector<Copy>> groups;
};
struct Warp {
  std::vector<u32> words[2], results[2];
  int arrived = 0, alive = 0;
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
Fiber* running = nullptr;
Position block_at, grid, block;
std::vector<unsigned char> memory;
unsigned char* memory_start = nullptr;
size_t memory_size = 0;
int at_barrier = 0, alive = 0;
const std::function<void()>* kernel = nullptr;
#if defined(__x86_64__)
void* scheduler = nullptr;
#else
ucontext_t scheduler;
#endif

std::mt19937& dice() {
  static std::mt19937 engine([] {
    const char* seed = getenv("EMULATOR_SEED");
    return seed ? (unsigned)atoi(seed) : 1u;
  }());
  return engine;
}

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "emulator: %s (block %u, thread %d)\n", what, block_at.x, running ? running->index : -1);
  _Exit(70);
}

void leave() {
#if defined(__x86_64__)
  switch_stack(&running->pointer, scheduler);
#else
  swapcontext(&running->context, &scheduler);
#endif
}
void enter(Fiber& fiber) {
  running = &fiber;
#if defined(__x86_64__)
  switch_stack(&scheduler, fiber.pointer);
#else
  swapcontext(&scheduler, &fiber.context);
#endif
}

void release_block() {
  for (Fiber& fiber : fibers)
    if (fiber.waits == Waits::for_block) fiber.waits = Waits::no;
  at_barrier = 0;
}

void start() {
  (*kernel)();
  running->done = true;
  --alive;
  Warp& warp = warps[running->index / 32];
  --warp.alive;
  if (warp.arrived) die("a lane ended while others of its warp wait for it");
  if (alive && at_barrier == alive) release_block();
  leave();
}

void prepare(Fiber& fiber, int index) {
  fiber.index = index;
  fiber.position = {index % block.x, index / block.x % block.y, index / (block.x * block.y)};
  fiber.done = false;
  fiber.waits = Waits::no;
  fiber.meetings = 0;
  fiber.uncommitted.clear();
  fiber.groups.clear();
#if defined(__x86_64__)
  void** top = (void**)(((uintptr_t)fiber.stack.data() + fiber.stack.size()) & ~(uintptr_t)15);
  *--top = nullptr; // the stack is aligned where a function starts
  *--top = (void*)&start;
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber.pointer = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.data();
  fiber.context.uc_stack.ss_size = fiber.stack.size();
  makecontext(&fiber.context, start, 0);
#endif
}

void land(const Copy& copy) {
  memset(memory_start + copy.to, 0, 16);
  memcpy(memory_start + copy.to, copy.from, copy.bytes);
}

void run_block(int threads, std::vector<int>& order) {
  std::fill(memory.begin(), memory.end(), 0xff);
  warps.assign((threads + 31) / 32, Warp());
  alive = threads;
  at_barrier = 0;
  for (int i = 0; i < threads; i++) {
    prepare(fibers[i], i);
    warps[i / 32].alive++;
  }
  while (alive) {
    bool moved = false;
    std::shuffle(order.begin(), order.end(), dice());
    for (int i : order)
      while (!fibers[i].done && fibers[i].waits == Waits::no) {
        moved = true;
        enter(fibers[i]);
      }
    if (!moved) die("threads wait for each other for ever");
  }
  running = nullptr;
}
} // namespace

void run_grid(Position grid_size, Position block_size, size_t shared_size, const std::function<void()>& body) {
  kernel = &body;
  grid = grid_size;
  block = block_size;
  const int threads = (int)(block.x * block.y * block.z);
  memory.assign(shared_size + 128, 0);
  memory_start = (unsigned char*)(((uintptr_t)memory.data() + 127) & ~(uintptr_t)127);
  memory_size = shared_size;
  if (fibers.size() < (size_t)threads) fibers.resize(threads);
  std::vector<int> order(threads);
  for (int i = 0; i < threads; i++) order[i] = i;
  std::vector<unsigned> blocks(grid.x);
  for (unsigned i = 0; i < grid.x; i++) blocks[i] = i;
  std::shuffle(blocks.begin(), blocks.end(), dice());
  for (unsigned at : blocks) {
    block_at = {at, 0, 0};
    run_block(threads, order);
  }
}

Position thread_position() { return running->position; }
Position block_position() { return block_at; }
Position grid_size() { return grid; }
Position block_size() { return block; }
int lane() { return running->index & 31; }
unsigned char* shared_memory() { return memory_start; }

void meet_block() {
  running->waits = Waits::for_block;
  if (++at_barrier == alive) release_block();
  else leave();
}

const u32* meet_warp(const u32* own, int count, Combine combine, int results) {
  Warp& warp = warps[running->index / 32];
  const unsigned turn = running->meetings++ & 1;
  std::vector<u32>& words = warp.words[turn];
  if (warp.arrived == 0) words.assign(32 * count, 0);
  if (words.size() != (size_t)(32 * count)) die("the lanes of a warp meet at different instructions");
  memcpy(&words[(running->index & 31) * count], own, count * sizeof(u32));
  running->waits = Waits::for_warp;
  if (++warp.arrived < warp.alive) leave();
  else {
    warp.arrived = 0;
    const int first = running->index / 32 * 32;
    for (int i = 0; i < 32 && first + i < (int)fibers.size(); i++)
      if (fibers[first + i].waits == Waits::for_warp) fibers[first + i].waits = Waits::no;
    if (combine) {
      warp.results[turn].resize(32 * results);
      combine(words.data(), warp.results[turn].data());
    }
  }
  return combine ? warp.results[turn].data() : words.data();
}

unsigned char* shared(u32 at, u32 size) {
  if ((size_t)at + size > memory_size) die("shared memory is read or written out of bounds");
  if (at % size) die("an access to shared memory is not aligned");
  return memory_start + at;
}

void copy_async(u32 to, const void* from, u32 bytes) {
  if ((uintptr_t)from % 16) die("the source of an asynchronous copy is not aligned");
  shared(to, 16);
  const Copy copy = {to, (const unsigned char*)from, bytes};
#if EMULATED_ARCH >= 800
  running->uncommitted.push_back(copy);
#else
  land(copy);
#endif
}
void commit_copies() {
  running->groups.push_back(std::move(running->uncommitted));
  running->uncommitted.clear();
}
void wait_for_copies(int pending) {
  std::vector<std::vector<Copy>>& groups = running->groups;
  while ((int)groups.size() > pending) {
    for (const Copy& copy : groups.front()) land(copy);
    groups.erase(groups.begin());
  }
}

float f16_value(u16 bits) {
  static const std::vector<float> table = [] {
    std::vector<float> values(1 << 16);
    for (u32 i = 0; i < values.size(); i++) {
      const u16 half = (u16)i;
      _Float16 value;
      memcpy(&value, &half, sizeof value);
      values[i] = (float)value;
    }
    return values;
  }();
  return table[bits];
}
} // namespace emulator
