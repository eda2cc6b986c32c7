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
enum class Waits { no, for_block, for_some, for_phase, for_warp, for_cluster };
// What a barrier in shared memory is made of.
struct Phases { u16 count, missing; u32 ended; };
// What a thread starts, in groups. A wait makes the oldest of them happen, until no more than so many are pending.
template <class T> struct Groups {
  std::vector<T> open;
  std::vector<std::vector<T>> committed;
  void commit() {
    committed.push_back(std::move(open));
    open.clear();
  }
  template <class Happen> void wait(int pending, Happen happen) {
    while ((int)committed.size() > pending) {
      const std::vector<T> group = std::move(committed.front());
      committed.erase(committed.begin());
      for (const T& one : group) happen(one);
    }
  }
  void clear() {
    open.clear();
    committed.clear();
  }
};
struct Member;
struct Warp;

struct Fiber {
  std::vector<unsigned char> stack = std::vector<unsigned char>(64 << 10);
#if defined(__x86_64__)
  void* pointer = nullptr;
#else
  ucontext_t context;
#endif
  Position position{};
  int index = 0;       // in its block
  unsigned member = 0; // its block in the cluster
  Member* own_block = nullptr;
  Warp* own_warp = nullptr;
  unsigned phase = 0;  // of the cluster's barrier, when it arrived there
  int barrier = 0;     // the named one at which it waits, or the address of one in shared memory
  bool late = false;   // of a warp that runs only when no other can
  bool done = false;
  Waits waits = Waits::no;
  unsigned meetings = 0;
  Groups<Copy> copies;
  Groups<Work> work;
};
// What the lanes brought to the last two meetings, `counts` words each, and what was made of it.
struct Warp {
  u32 words[2][32 * MOST_WORDS], results[2][32 * 4];
  int counts[2] = {0, 0};
  int arrived = 0, alive = 0;
};

// A block of the cluster that runs.
struct Member {
  Position position{};
  std::vector<unsigned char> memory;
  unsigned char* memory_start = nullptr;
  std::vector<Warp> warps;
  int at_barrier = 0, alive = 0, late_warp = 0;
  int at_named[16] = {}; // threads at each named barrier
};

std::vector<Fiber> fibers;
std::vector<Member> members;
Fiber* running = nullptr;
Position grid, block;
size_t memory_size = 0;
int alive_in_cluster = 0, at_cluster_barrier = 0;
unsigned cluster_phase = 0;
Body kernel = nullptr;
const void* kernel_told = nullptr;
// The order of this round, how far it has got, and whether anything ran in it.
std::vector<int> order;
size_t place = 0;
bool moved = false, late_ones = false;
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
  fprintf(stderr, "emulator: %s (block %u, thread %d)\n", what, running ? members[running->member].position.x : 0, running ? running->index : -1);
  _Exit(70);
}

// The next fiber that can run, or none when all have ended. Each round has a random order of its own; in some blocks one warp has a turn
// when all others wait.
Fiber* next_fiber() {
  for (;;) {
    for (; place < order.size(); ++place) {
      Fiber& fiber = fibers[order[place]];
      if (fiber.done || fiber.waits != Waits::no || (fiber.late && !late_ones)) continue;
      moved = true;
      return &fiber;
    }
    if (!alive_in_cluster) return nullptr;
    if (!moved && late_ones) die("threads wait for each other for ever");
    late_ones = !moved;
    std::shuffle(order.begin(), order.end(), dice());
    place = 0;
    moved = false;
  }
}

// Goes on with the next fiber, straight from this one or from run_cluster; after the last one, with run_cluster.
void leave() {
  Fiber *from = running, *next = next_fiber();
  if (next == from) return;
  running = next;
#if defined(__x86_64__)
  switch_stack(from ? &from->pointer : &scheduler, next ? next->pointer : scheduler);
#else
  swapcontext(from ? &from->context : &scheduler, next ? &next->context : &scheduler);
#endif
}

Member& own_block() { return *running->own_block; }
Warp& own_warp() { return *running->own_warp; }

void release_block(unsigned member) {
  for (Fiber& fiber : fibers)
    if (fiber.member == member && fiber.waits == Waits::for_block) fiber.waits = Waits::no;
  members[member].at_barrier = 0;
}
void release_cluster() {
  for (Fiber& fiber : fibers)
    if (fiber.waits == Waits::for_cluster) fiber.waits = Waits::no;
  at_cluster_barrier = 0;
  ++cluster_phase;
}

void start() {
  kernel(kernel_told);
  running->done = true;
  Member& own = own_block();
  --own.alive;
  --alive_in_cluster;
  Warp& warp = own_warp();
  --warp.alive;
  if (warp.arrived) die("a lane ended while others of its warp wait for it");
  if (own.alive && own.at_barrier == own.alive) release_block(running->member);
  if (alive_in_cluster && at_cluster_barrier == alive_in_cluster) release_cluster();
  leave();
}

void prepare(Fiber& fiber, int index, unsigned member) {
  fiber.index = index;
  fiber.member = member;
  fiber.own_block = &members[member];
  fiber.own_warp = &members[member].warps[index / 32];
  fiber.phase = 0;
  fiber.late = index / 32 == members[member].late_warp;
  fiber.position = {index % block.x, index / block.x % block.y, index / (block.x * block.y)};
  fiber.done = false;
  fiber.waits = Waits::no;
  fiber.meetings = 0;
  fiber.copies.clear();
  fiber.work.clear();
#if defined(__x86_64__)
  // Stacks that all begin at one offset of a page would share the same few lines of the caches.
  void** top = (void**)(((uintptr_t)fiber.stack.data() + fiber.stack.size() - (size_t)(index % 64) * 256) & ~(uintptr_t)15);
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
  unsigned char* to = own_block().memory_start + copy.to;
  memset(to, 0, 16);
  memcpy(to, copy.from, copy.bytes);
}

// Runs the blocks from `first` on, as many as `members` has.
void run_cluster(unsigned first, int threads) {
  alive_in_cluster = threads * (int)members.size();
  at_cluster_barrier = 0;
  cluster_phase = 0;
  for (unsigned m = 0; m < members.size(); m++) {
    Member& member = members[m];
    member.position = {first + m, 0, 0};
    std::fill(member.memory.begin(), member.memory.end(), 0xff);
    member.warps.assign((threads + 31) / 32, Warp());
    member.alive = threads;
    member.at_barrier = 0;
    member.late_warp = threads > 32 && dice()() % 4 == 0 ? (int)(dice()() % member.warps.size()) : -1; // each round costs more then
    std::fill(std::begin(member.at_named), std::end(member.at_named), 0);
    for (int i = 0; i < threads; i++) {
      prepare(fibers[m * threads + i], i, m);
      member.warps[i / 32].alive++;
    }
  }
  place = order.size();
  moved = true;
  leave();
}
} // namespace

void run_grid(Position grid_size, Position block_size, unsigned cluster, size_t shared_size, Body body, const void* told) {
  kernel = body;
  kernel_told = told;
  grid = grid_size;
  block = block_size;
  const int threads = (int)(block.x * block.y * block.z);
  memory_size = shared_size;
  members.resize(cluster);
  for (Member& member : members) {
    member.memory.assign(shared_size + 128, 0);
    member.memory_start = (unsigned char*)(((uintptr_t)member.memory.data() + 127) & ~(uintptr_t)127);
  }
  fibers.resize((size_t)threads * cluster);
  order.resize(fibers.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = (int)i;
  if (grid.x % cluster) die("the grid is not whole clusters");
  std::vector<unsigned> clusters(grid.x / cluster);
  for (unsigned i = 0; i < clusters.size(); i++) clusters[i] = i * cluster;
  std::shuffle(clusters.begin(), clusters.end(), dice());
  for (unsigned first : clusters) run_cluster(first, threads);
}

Position thread_position() { return running->position; }
Position block_position() { return own_block().position; }
Position grid_size() { return grid; }
Position block_size() { return block; }
int lane() { return running->index & 31; }
unsigned char* shared_memory() { return own_block().memory_start; }

void meet_block() {
  running->waits = Waits::for_block;
  Member& own = own_block();
  if (++own.at_barrier == own.alive) release_block(running->member);
  else leave();
}

void meet_some(int name, int threads) {
  if (name < 1 || name > 15) die("a block has barriers 1 to 15 besides that of all its threads");
  if (threads % 32) die("a barrier is for whole warps");
  Member& own = own_block();
  running->waits = Waits::for_some;
  running->barrier = name;
  if (++own.at_named[name] < threads) return leave();
  for (Fiber& fiber : fibers)
    if (fiber.member == running->member && fiber.waits == Waits::for_some && fiber.barrier == name) fiber.waits = Waits::no;
  own.at_named[name] = 0;
}

void barrier_init(u32 at, u32 count) { *(Phases*)shared(at, 8) = {(u16)count, (u16)count, 0}; }
void barrier_arrive(u32 at) {
  Phases& phases = *(Phases*)shared(at, 8);
  if (--phases.missing) return;
  phases.missing = phases.count;
  ++phases.ended;
  for (Fiber& fiber : fibers)
    if (fiber.member == running->member && fiber.waits == Waits::for_phase && fiber.barrier == (int)at) fiber.waits = Waits::no;
}
void barrier_wait(u32 at, u32 parity) {
  const Phases& phases = *(const Phases*)shared(at, 8);
  while ((phases.ended & 1) == parity) {
    running->waits = Waits::for_phase;
    running->barrier = (int)at;
    leave();
  }
}

void arrive_in_cluster() {
  running->phase = cluster_phase;
  if (++at_cluster_barrier == alive_in_cluster) release_cluster();
}
void meet_cluster() {
  if (running->phase != cluster_phase) return;
  running->waits = Waits::for_cluster;
  leave();
}

const u32* meet_warp(const u32* own, int count, Combine combine) {
  Warp& warp = own_warp();
  const unsigned turn = running->meetings++ & 1;
  u32* words = warp.words[turn];
  if (warp.arrived == 0) {
    warp.counts[turn] = count;
    if (warp.alive < 32) memset(words, 0, sizeof warp.words[turn]);
  }
  if (warp.counts[turn] != count) die("the lanes of a warp meet at different instructions");
  memcpy(&words[(running->index & 31) * count], own, count * sizeof(u32));
  running->waits = Waits::for_warp;
  if (++warp.arrived < warp.alive) leave();
  else {
    warp.arrived = 0;
    const size_t threads = fibers.size() / members.size(), first = running->index / 32 * 32;
    for (size_t i = first; i < first + 32 && i < threads; i++) {
      Fiber& fiber = fibers[running->member * threads + i];
      if (fiber.waits == Waits::for_warp) fiber.waits = Waits::no;
    }
    if (combine) combine(words, warp.results[turn]);
  }
  return combine ? warp.results[turn] : words;
}

unsigned char* shared(u32 at, u32 size) {
  if ((size_t)at + size > memory_size) die("shared memory is read or written out of bounds");
  if (at % size) die("an access to shared memory is not aligned");
  return own_block().memory_start + at;
}
unsigned char* shared_of(u32 rank, u32 at, u32 size) {
  const unsigned char* own = shared(at, size);
  if (rank >= members.size()) die("shared memory of a block that the cluster does not have");
  if (members[rank].alive == 0) die("shared memory of a block that has ended");
  return members[rank].memory_start + (own - own_block().memory_start);
}

void copy_async(u32 to, const void* from, u32 bytes) {
  if ((uintptr_t)from % 16) die("the source of an asynchronous copy is not aligned");
  shared(to, 16);
  const Copy copy = {to, (const unsigned char*)from, bytes};
#if EMULATED_ARCH >= 800
  running->copies.open.push_back(copy);
#else
  land(copy);
#endif
}
void commit_copies() { running->copies.commit(); }
void wait_for_copies(int pending) { running->copies.wait(pending, land); }

void start_work(Work work) { running->work.open.push_back(std::move(work)); }
void commit_work() { running->work.commit(); }
void wait_for_work(int pending) {
  running->work.wait(pending, [](const Work& work) { work(); });
}
} // namespace emulator
