#pragma once

#include <pthread.h>
#include <signal.h>

namespace penstock {

// For the calling thread: libraries write to sockets whose other end may be gone, and not every
// program ignores the signal that would end it.
inline void BlockBrokenPipeSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace penstock
