#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace penstock::router {

// What happens next. Events of one moment come out in the order in which they went in. Not
// thread-safe.
template <typename What>
class EventQueue {
 public:
  struct Event {
    double at_s = 0;
    uint64_t number = 0;
    What what;
  };

  void Push(double at_s, What what) {
    heap_.push_back({at_s, next_++, what});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  bool empty() const { return heap_.empty(); }
  const Event& top() const { return heap_.front(); }
  Event Pop() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    const Event event = heap_.back();
    heap_.pop_back();
    return event;
  }

 private:
  static bool Later(const Event& a, const Event& b) {
    return a.at_s != b.at_s ? a.at_s > b.at_s : a.number > b.number;
  }

  std::vector<Event> heap_;
  uint64_t next_ = 0;
};

}  // namespace penstock::router
