// A libnccl.so.2 whose ranks are processes without a GPU: they meet in a file that all of them map, and add up host memory there.
//
// EMULATED_NCCL says what goes wrong, as function:code, function:hang, function:crash, or ncclAllReduce:wrong (one word of every sum);
// with function:what@RANK of that rank alone. EMULATED_NCCL_P2P=1: only while NCCL may use peer access.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {
constexpr size_t MOST = 4 << 20; // bytes of a rank's part in the file
constexpr int RANKS = 8;

struct Name { char path[128]; };
struct Meeting {
  std::atomic<int> arrived, round;
  unsigned char parts[RANKS][MOST];
};
struct Group { Meeting* meeting; int ranks, rank; };
struct Work { Group* group; const float* from; float* to; size_t count; };

int this_rank = -1;

bool without_p2p() {
  const char* value = getenv("NCCL_P2P_DISABLE");
  return value && strcmp(value, "0") != 0;
}

// What is to go wrong in `function`, or nothing.
const char* fault(const char* function) {
  const char* wanted = getenv("EMULATED_NCCL");
  const size_t length = strlen(function);
  if (!wanted || strncmp(wanted, function, length) != 0 || wanted[length] != ':') return nullptr;
  if (getenv("EMULATED_NCCL_P2P") && without_p2p()) return nullptr;
  const char* rank = strchr(wanted, '@');
  if (rank && atoi(rank + 1) != this_rank) return nullptr;
  return wanted + length + 1;
}

int injected(const char* function) {
  const char* what = fault(function);
  if (!what) return 0;
  if (strncmp(what, "hang", 4) == 0)
    for (;;) pause();
  if (strncmp(what, "crash", 5) == 0) abort();
  return atoi(what);
}
#define MAY_FAIL                                     \
  if (const int code = injected(__func__)) return code

// A line as the library writes it, with the name of the machine.
void tell(const char* text) {
  const char* place = getenv("NCCL_DEBUG_FILE");
  FILE* file = place ? fopen(place, "a") : nullptr;
  if (!file) return;
  fprintf(file, "secret-host:1:1 [%d] NCCL %s\n", this_rank, text);
  fclose(file);
}

void meet(const Group& group) {
  Meeting& meeting = *group.meeting;
  const int round = meeting.round;
  if (++meeting.arrived == group.ranks) {
    meeting.arrived = 0;
    ++meeting.round;
  } else {
    while (meeting.round == round) usleep(20);
  }
}

void reduce(void* data) {
  const Work& work = *(const Work*)data;
  const Group& group = *work.group;
  const size_t words = MOST / sizeof(float);
  for (size_t start = 0; start < work.count; start += words) {
    const size_t count = work.count - start < words ? work.count - start : words;
    memcpy(group.meeting->parts[group.rank], work.from + start, count * sizeof(float));
    meet(group);
    for (size_t i = 0; i < count; i++) {
      float sum = 0;
      for (int rank = 0; rank < group.ranks; rank++) sum += ((const float*)group.meeting->parts[rank])[i];
      work.to[start + i] = sum;
    }
    meet(group);
  }
  const char* what = fault("ncclAllReduce");
  if (what && strncmp(what, "wrong", 5) == 0) work.to[work.count / 2] += 1.0f;
}
} // namespace

extern "C" {
int ncclGetVersion(int* version) { MAY_FAIL; *version = 22809; return 0; }
int ncclGetUniqueId(Name* name) {
  MAY_FAIL;
  snprintf(name->path, sizeof name->path, "%s/nccl-emulated-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  const int file = mkstemp(name->path);
  if (file < 0 || ftruncate(file, sizeof(Meeting)) != 0) return 2;
  close(file);
  return 0;
}
int ncclCommInitRank(Group** group, int ranks, Name name, int rank) {
  this_rank = rank;
  if (const int code = injected(__func__)) {
    tell("WARN Error: failed to extend /dev/shm/nccl-abc to 4194660 bytes");
    return code;
  }
  const int file = open(name.path, O_RDWR);
  if (file < 0 || ranks > RANKS) return 2;
  void* place = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (place == MAP_FAILED) return 2;
  *group = new Group{(Meeting*)place, ranks, rank};
  char line[80];
  snprintf(line, sizeof line, "INFO Channel 00/0 : %d[%d] -> %d[%d] via %s", rank, rank, (rank + 1) % ranks, (rank + 1) % ranks,
           without_p2p() ? "SHM/direct/direct" : "P2P/CUMEM");
  tell(line);
  meet(**group);
  if (rank == 0) unlink(name.path);
  return 0;
}
int ncclAllReduce(const void* from, void* to, size_t count, int type, int operation, Group* group, void* stream) {
  MAY_FAIL;
  if (type != 7 || operation != 0) return 4; // 32-bit floats, sum
  // The driver's own queue, so that a graph can hold it.
  using Launch = int (*)(void*, void (*)(void*), void*);
  static const Launch launch = (Launch)dlsym(dlopen("libcuda.so.1", RTLD_NOW), "cuLaunchHostFunc");
  return launch(stream, reduce, new Work{group, (const float*)from, (float*)to, count}) ? 1 : 0;
}
int ncclCommGetAsyncError(Group*, int* code) { *code = injected(__func__); return 0; }
int ncclCommDestroy(Group* group) { MAY_FAIL; delete group; return 0; }
const char* ncclGetErrorString(int code) { return code == 2 ? "unhandled system error" : "unhandled cuda error"; }
const char* ncclGetLastError(void*) { return "the last thing\nthat went wrong"; }
}
