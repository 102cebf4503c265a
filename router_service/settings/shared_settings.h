#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/settings/budget_settings.h"

namespace penstock::router {

// Keeps this router's settings and the store's equal, whoever is ahead: what others set is read
// when it is announced, when the connection comes back and every ten seconds; what the store lacks,
// since it was away or came back empty, is written again. A value alone that is lost is found missing
// by who needs it and not by who has it: everybody puts its own values again once a minute.
//
//   budget_settings, window 0, totals: field = the budget, value = its latest version
//   budget_setting/BUDGET/VERSION: the setting of that version, a penstock.v1.BudgetSetting
//
// and the channel budget_settings says that there is something to read. Thread-safe.
class SharedSettings {
 public:
  struct Deps {
    BudgetSettings& settings;
    Store& store;
    const Clock& clock;
    Timers& timers;
  };
  // What an operator should see. Called by one thread at a time.
  struct Events {
    std::function<void(const v1::BudgetSetting&)> adopted;
    // Of a setting that this router cannot take, once a version: what it is of no use, or so long as
    // its version is too far ahead or its value is not there.
    std::function<void(const absl::Status& why)> refused;
  };

  SharedSettings(Deps deps, Events events);
  // Waits for what is being shared: each ends by its deadline.
  ~SharedSettings();

  absl::Status Start();
  // All that the store had has been read once.
  bool heard() const;
  // OK: the store has it. Else it is written later, unless this router ends before;
  // FAILED_PRECONDITION: not while the store has a larger version that routers cannot take.
  // `deadline` is not far off.
  void Share(const v1::BudgetSetting& setting, absl::Time deadline, Store::DoneStatus done);

 private:
  class State;
  const std::shared_ptr<State> state_;
  std::unique_ptr<StoreSubscription> subscription_;
};

}  // namespace penstock::router
