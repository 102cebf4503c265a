#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "router_service/recording/chain/log_head.h"

namespace penstock::router {

// Keeps the heads of a router's decision log in a store (kept_heads.h), once a second at most. It
// reads what earlier runs told before it writes anything, since that is what shows that the log was
// cut in between. Thread-safe.
class HeadPublisher {
 public:
  static constexpr absl::Duration kEvery = absl::Seconds(1);
  // A head that stays the same is told again, for a store that has forgotten it.
  static constexpr absl::Duration kAgain = absl::Minutes(1);
  // A log lies where it is when its router is gone, and may be looked into much later.
  static constexpr absl::Duration kLife = absl::Hours(24 * 366);
  static constexpr absl::Duration kPatience = absl::Milliseconds(500);  // of a call

  // `on_problem`: what people should know of, say that the log was cut before this run. Runs once
  // at most, on any thread. Store and clock outlive the publisher.
  HeadPublisher(Store& store, const Clock& clock,
                std::function<void(const std::string& problem)> on_problem);
  // The last head is told, where the store can be reached within a second.
  ~HeadPublisher();

  // As LogWriterOptions::head_synced. Calls no store.
  void HeadSynced(const LogHead& head);
  // A few times a second, on any thread. Never blocks.
  void Tick();

 private:
  class State;
  const std::shared_ptr<State> state_;  // callbacks keep it
};

}  // namespace penstock::router
