#include "common/store/redis/event_loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "common/notification.h"

namespace penstock {
namespace {

template <typename T>
T* OrBadAlloc(T* made) {
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

}  // namespace

void EventLoop::FreeBase::operator()(event_base* base) const { event_base_free(base); }
void EventLoop::FreeEvent::operator()(event* event) const { event_free(event); }

EventLoop::EventLoop()
    : base_(OrBadAlloc(event_base_new())), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  // Our own lock and descriptor wake it, so libevent needs no locks.
  wake_event_.reset(OrBadAlloc(event_new(
      base_.get(), wake_fd_, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* loop) { static_cast<EventLoop*>(loop)->RunTasks(); },
      this)));
  if (wake_fd_ < 0 || event_add(wake_event_.get(), nullptr) != 0) throw std::bad_alloc();
  thread_ = std::thread([this] { event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY); });
}

EventLoop::~EventLoop() {
  Post([this] { stopped_ = true; });
  thread_.join();
  wake_event_.reset();
  close(wake_fd_);
}

void EventLoop::Post(absl::AnyInvocable<void()> task) {
  bool was_empty = false;
  {
    MutexLock lock(mutex_);
    was_empty = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (was_empty) Wake();
}

void EventLoop::Run(absl::AnyInvocable<void()> task) {
  Notification done;
  Post([&] {
    task();
    done.Notify();
  });
  done.Wait();
}

void EventLoop::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the loop is awake.
  [[maybe_unused]] const ssize_t ignored = write(wake_fd_, &one, sizeof(one));
}

void EventLoop::RunTasks() {
  uint64_t wakes = 0;
  [[maybe_unused]] const ssize_t ignored = read(wake_fd_, &wakes, sizeof(wakes));
  std::vector<absl::AnyInvocable<void()>> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(tasks_);
  }
  for (absl::AnyInvocable<void()>& task : tasks) task();
  if (stopped_) event_base_loopbreak(base_.get());
}

LoopTimer::LoopTimer(EventLoop& loop, absl::AnyInvocable<void()> callback)
    : callback_(std::move(callback)),
      event_(OrBadAlloc(evtimer_new(
          loop.base(),
          [](evutil_socket_t, short, void* timer) { static_cast<LoopTimer*>(timer)->callback_(); },
          this))) {}

LoopTimer::~LoopTimer() { event_free(event_); }

void LoopTimer::Set(absl::Duration delay) {
  const timeval after = absl::ToTimeval(std::clamp(delay, absl::ZeroDuration(), absl::Hours(24)));
  evtimer_add(event_, &after);
}

void LoopTimer::Stop() { evtimer_del(event_); }

}  // namespace penstock
