#pragma once

#include <cstddef>
#include <cstdint>

namespace penstock::kernels {

class ThreadPool;

// What a caller lends one call. Scratch memory: contents undefined before and after, any alignment,
// since *WorkspaceBytes() leave room to align. Threads that may help: they do where the memory has
// room for them all, the `threads` of *WorkspaceBytes(). No thread count changes a result's bits.
struct Workspace {
  void* data = nullptr;
  size_t bytes = 0;
  ThreadPool* pool = nullptr;  // null: the caller's thread alone
};

// Parts start on cache lines, so that no two share one.
inline constexpr size_t kWorkspaceAlign = 64;

// always_inline here and below: SIMD files call these, and a copy compiled with their flags must
// not reach the linker.
[[gnu::always_inline]] constexpr size_t WorkspaceFloats(int64_t count) {
  return (static_cast<size_t>(count) * sizeof(float) + kWorkspaceAlign - 1) / kWorkspaceAlign *
         kWorkspaceAlign;
}

[[gnu::always_inline]] inline char* WorkspaceStart(const Workspace& workspace) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(workspace.data);
  return static_cast<char*>(workspace.data) +
         (kWorkspaceAlign - at % kWorkspaceAlign) % kWorkspaceAlign;
}

// The next part; advances.
[[gnu::always_inline]] inline float* TakeFloats(char** at, int64_t count) {
  float* part = reinterpret_cast<float*>(*at);
  *at += WorkspaceFloats(count);
  return part;
}

}  // namespace penstock::kernels
