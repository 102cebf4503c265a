#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/store/store.h"
#include "router_service/pacing/leasing/shared_window_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"
#include "tests/support/switched_store.h"

namespace penstock::router {

// A router's way to a store that others have too, and its ledger.
struct LeasingRouter {
  LeasingRouter(Store& store, FakeTimers& timers, const FakeClock& clock,
                SharedWindowLedger::Options options)
      : link(store),
        ledger(std::make_shared<SharedWindowLedger>(link, timers, clock, std::move(options))) {
    ledger->Start();
  }

  SwitchedStore link;
  std::shared_ptr<SharedWindowLedger> ledger;
};

// What is left moves to whom asks for it.
inline bool ComesLater(WindowAnswer answer) {
  return answer == WindowAnswer::kElsewhere || answer == WindowAnswer::kNotLeased;
}

inline SharedWindowLedger::Options OwnedBy(std::string owner) {
  SharedWindowLedger::Options options;
  options.owner = std::move(owner);
  return options;
}

}  // namespace penstock::router
