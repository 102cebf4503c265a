#pragma once

// Replaces operator new by one that counts: for the one source of a program that says so.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace penstock {

// Of this thread.
inline thread_local uint64_t allocations = 0;

inline void* CountedAllocation(size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace penstock

void* operator new(size_t size) { return penstock::CountedAllocation(size); }
void* operator new[](size_t size) { return penstock::CountedAllocation(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
