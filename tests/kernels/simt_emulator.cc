#include "tests/kernels/simt_emulator.h"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/device/aligned_buffer.h"
#include "kernels/device/simt.h"
#include "kernels/linear/weight_format.h"

namespace penstock::kernels {
namespace {

constexpr size_t kStackBytes = size_t{256} << 10;  // frames under AddressSanitizer are large
constexpr int kNanByte = 0xFF;                     // floats of it, and bfloat16, are NaN

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "simt emulator: %s\n", what);
  std::abort();
}

void Demand(bool holds, const char* what) {
  if (!holds) Fail(what);
}

bool IsAligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

struct Copy {
  void* shared;
  const void* global;
  int bytes;
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  std::vector<Copy> open;                // copies of the group that is not closed
  std::deque<std::vector<Copy>> groups;  // closed, not landed
  bool done = false;
};

enum class WarpOp { kNone, kLoadMatrix4, kLoadMatrix2, kMultiply, kShuffleXor };

// Lanes leave what they bring and where results go; the last one serves all.
struct Warp {
  WarpOp op = WarpOp::kNone;
  int arrived = 0;
  int64_t meetings = 0;
  std::array<const void*, kWarpLanes> rows;
  std::array<float*, kWarpLanes> c;
  std::array<const uint32_t*, kWarpLanes> a;
  std::array<const uint32_t*, kWarpLanes> b;
  std::array<uint32_t*, kWarpLanes> r;
  std::array<float, kWarpLanes> values;
  std::array<int, kWarpLanes> masks;
};

class Emulator {
 public:
  Emulator(const SimtLaunch& launch, const std::function<void()>& body)
      : launch_(launch),
        body_(body),
        random_(launch.seed),
        shared_(std::max(launch.shared_bytes, size_t{16})),
        fibers_(static_cast<size_t>(launch.threads)),
        warps_(static_cast<size_t>((launch.threads + kWarpLanes - 1) / kWarpLanes)) {
    Demand(launch.threads % kWarpLanes == 0, "threads are not whole warps");
  }

  void Run() {
    std::vector<int64_t> blocks(static_cast<size_t>(launch_.blocks));
    std::iota(blocks.begin(), blocks.end(), int64_t{0});
    std::shuffle(blocks.begin(), blocks.end(), random_);
    for (const int64_t block : blocks) RunBlock(block);
  }

  const SimtLaunch& launch() const { return launch_; }
  int64_t block() const { return block_; }
  int thread() const { return current_; }
  int lane() const { return current_ % kWarpLanes; }
  char* shared() { return static_cast<char*>(shared_.data()); }
  Fiber& fiber() { return fibers_[static_cast<size_t>(current_)]; }
  Warp& warp() { return warps_[static_cast<size_t>(current_ / kWarpLanes)]; }

  // Of 16 bytes of it.
  char* SharedAt(int at) {
    Demand(at >= 0 && static_cast<size_t>(at) + 16 <= launch_.shared_bytes,
           "an operand is outside shared memory");
    return shared() + at;
  }

  // Until all threads are here.
  void Sync() {
    ++progress_;
    if (++synced_ == launch_.threads) {
      synced_ = 0;
      ++syncs_;
      return;
    }
    for (const int64_t before = syncs_; syncs_ == before;) Yield();
  }

  // Until all lanes of the warp are here; the last runs `serve` for all.
  template <typename Serve>
  void Meet(WarpOp op, const Serve& serve) {
    Warp& w = warp();
    ++progress_;
    Demand(w.arrived == 0 || w.op == op, "lanes of a warp meet in different operations");
    w.op = op;
    if (++w.arrived == kWarpLanes) {
      serve(w);
      w.arrived = 0;
      ++w.meetings;
      return;
    }
    for (const int64_t before = w.meetings; w.meetings == before;) Yield();
  }

  void Enter() {
    body_();
    Fiber& self = fiber();
    Demand(self.open.empty() && self.groups.empty(), "a thread ends before its copies have come");
    self.done = true;
    ++progress_;
  }

 private:
  void RunBlock(int64_t block);
  void Yield() { swapcontext(&fiber().context, &scheduler_); }

  const SimtLaunch launch_;
  const std::function<void()>& body_;
  std::mt19937 random_;
  AlignedBuffer shared_;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  ucontext_t scheduler_ = {};
  int64_t block_ = 0;
  int current_ = 0;
  int synced_ = 0;
  int64_t syncs_ = 0;
  int64_t progress_ = 0;
};

Emulator* running = nullptr;

void EnterFiber() { running->Enter(); }

void Emulator::RunBlock(int64_t block) {
  block_ = block;
  std::memset(shared_.data(), kNanByte, shared_.bytes());
  for (Fiber& fiber : fibers_) {
    fiber.done = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &scheduler_;
    makecontext(&fiber.context, EnterFiber, 0);
  }
  std::vector<int> order(fibers_.size());
  std::iota(order.begin(), order.end(), 0);
  while (!order.empty()) {
    std::shuffle(order.begin(), order.end(), random_);
    const int64_t before = progress_;
    for (const int thread : order) {
      current_ = thread;
      swapcontext(&scheduler_, &fibers_[static_cast<size_t>(thread)].context);
    }
    Demand(progress_ != before, "threads wait for ever");
    std::erase_if(order, [&](int thread) { return fibers_[static_cast<size_t>(thread)].done; });
  }
  Demand(synced_ == 0, "a thread ends while others wait for it");
}

// Eight rows of 16 bytes are read at once: they must lie in different banks, eight groups of 16
// bytes every 128.
void LoadMatrices(Warp& w, int matrices) {
  for (int i = 0; i < matrices; ++i) {
    uint32_t banks = 0;
    for (int row = 0; row < 8; ++row) {
      const void* at = w.rows[static_cast<size_t>(8 * i + row)];
      Demand(IsAligned(at, 16), "a matrix row is not on 16 bytes");
      banks |= 1u << (reinterpret_cast<uintptr_t>(at) / 16 % 8);
    }
    Demand(banks == 0xFF, "rows of a matrix share banks");
    for (size_t lane = 0; lane < kWarpLanes; ++lane) {
      const auto* row = static_cast<const char*>(w.rows[static_cast<size_t>(8 * i) + lane / 4]);
      std::memcpy(&w.r[lane][i], row + lane % 4 * 4, 4);
    }
  }
}

// Element [row, column] of the operands of mma.m16n8k16, as the PTX manual lays them out: 16-bit
// elements two a register.
float LeftElement(const Warp& w, int row, int k) {
  const int lane = row % 8 * 4 + k % 8 / 2, i = row / 8 + k / 8 * 2;
  const uint32_t word = w.a[static_cast<size_t>(lane)][i];
  return k % 2 == 0 ? LowBf16(word) : HighBf16(word);
}
float RightElement(const Warp& w, int k, int column) {
  const int lane = column * 4 + k % 8 / 2, i = k / 8;
  const uint32_t word = w.b[static_cast<size_t>(lane)][i];
  return k % 2 == 0 ? LowBf16(word) : HighBf16(word);
}

void MultiplyFragments(Warp& w) {
  float left[16][16], right[8][16];
  for (int k = 0; k < 16; ++k) {
    for (int row = 0; row < 16; ++row) left[row][k] = LeftElement(w, row, k);
    for (int column = 0; column < 8; ++column) right[column][k] = RightElement(w, k, column);
  }
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float& c = w.c[static_cast<size_t>(row % 8 * 4 + column / 2)][row / 8 * 2 + column % 2];
      for (int k = 0; k < 16; ++k) c += left[row][k] * right[column][k];
    }
  }
}

}  // namespace

void RunSimt(const SimtLaunch& launch, const std::function<void()>& body) {
  Emulator emulator(launch, body);
  running = &emulator;
  emulator.Run();
  running = nullptr;
}

int Simt::Thread() { return running->thread(); }
int Simt::Threads() { return running->launch().threads; }
int64_t Simt::Block() { return running->block(); }
int64_t Simt::Blocks() { return running->launch().blocks; }
void Simt::Sync() { running->Sync(); }
char* Simt::Shared() { return running->shared(); }

void Simt::CopyAsync16(int at, const void* global, int bytes) {
  char* shared = running->SharedAt(at);
  Demand(IsAligned(shared, 16) && IsAligned(global, 16), "a copy is not on 16 bytes");
  Demand(bytes >= 0 && bytes <= 16, "a copy is not of 0 to 16 bytes");
  running->fiber().open.push_back({shared, global, bytes});
}

void Simt::CopyCommit() {
  Fiber& self = running->fiber();
  self.groups.push_back(std::move(self.open));
  self.open.clear();
}

void Simt::CopyWaitUntil(int open) {
  Fiber& self = running->fiber();
  while (self.groups.size() > static_cast<size_t>(open)) {
    for (const Copy& copy : self.groups.front()) {
      std::memset(copy.shared, 0, 16);
      std::memcpy(copy.shared, copy.global, static_cast<size_t>(copy.bytes));
    }
    self.groups.pop_front();
  }
}

void Simt::LoadMatrix4(uint32_t (&r)[4], int at) {
  Warp& w = running->warp();
  w.rows[static_cast<size_t>(running->lane())] = running->SharedAt(at);
  w.r[static_cast<size_t>(running->lane())] = r;
  running->Meet(WarpOp::kLoadMatrix4, [](Warp& all) { LoadMatrices(all, 4); });
}

void Simt::LoadMatrix2(uint32_t (&r)[2], int at) {
  Warp& w = running->warp();
  w.rows[static_cast<size_t>(running->lane())] = running->SharedAt(at);
  w.r[static_cast<size_t>(running->lane())] = r;
  running->Meet(WarpOp::kLoadMatrix2, [](Warp& all) { LoadMatrices(all, 2); });
}

void Simt::Multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Warp& w = running->warp();
  const auto lane = static_cast<size_t>(running->lane());
  w.c[lane] = c;
  w.a[lane] = a;
  w.b[lane] = b;
  running->Meet(WarpOp::kMultiply, MultiplyFragments);
}

float Simt::ShuffleXor(float value, int mask) {
  Warp& w = running->warp();
  const auto lane = static_cast<size_t>(running->lane());
  float result = 0;
  w.values[lane] = value;
  w.masks[lane] = mask;
  w.c[lane] = &result;
  running->Meet(WarpOp::kShuffleXor, [](Warp& all) {
    for (size_t l = 0; l < kWarpLanes; ++l) {
      Demand(all.masks[l] == all.masks[0], "lanes of a shuffle differ in its mask");
      *all.c[l] = all.values[l ^ static_cast<size_t>(all.masks[l])];
    }
  });
  return result;
}

Words4 Simt::LoadOnce(const void* global) {
  Demand(IsAligned(global, 16), "a load is not on 16 bytes");
  Words4 v;
  std::memcpy(&v, global, sizeof(v));
  return v;
}

uint32_t Simt::PackBf16(float low, float high) {
  return ToBf16(low) | static_cast<uint32_t>(ToBf16(high)) << 16;
}

float Simt::Product(float a, float b) { return a * b; }
float Simt::Sum(float a, float b) { return a + b; }

}  // namespace penstock::kernels
