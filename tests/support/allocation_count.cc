#include "tests/support/allocation_count.h"

#include <cstdlib>
#include <new>

namespace penstock {
namespace {
thread_local uint64_t allocations = 0;
}  // namespace

uint64_t AllocationsOfThread() { return allocations; }

}  // namespace penstock

// In a file of their own: inlined, the compiler takes new and free for a mismatch.
void* operator new(size_t size) {
  ++penstock::allocations;
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
