#pragma once

#ifdef PENSTOCK_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace penstock {

// The system's build of gRPC is not instrumented, so ThreadSanitizer does not see that what a
// thread wrote before it handed an object to gRPC comes before what another does when gRPC gives it
// back. These say so; in every other build they do nothing. Only the address counts: the object may
// be gone.

inline void HandToGrpc([[maybe_unused]] void* object) {
#ifdef PENSTOCK_TSAN
  __tsan_release(object);
#endif
}

inline void TakeFromGrpc([[maybe_unused]] void* object) {
#ifdef PENSTOCK_TSAN
  __tsan_acquire(object);
#endif
}

}  // namespace penstock
