#include "router_service/settings_log.h"

#include "common/logging/log.h"

namespace penstock::router {

SharedSettings::Events LoggedSettings() {
  SharedSettings::Events events;
  events.adopted = [](const v1::BudgetSetting& setting) {
    LogInfo("budget_adopted")
        .With("pool", setting.pool())
        .With("budget", setting.budget().ShortDebugString());
  };
  events.refused = [](const absl::Status& why) {
    LogError("budget_of_store_refused").With("reason", why.ToString());
  };
  return events;
}

}  // namespace penstock::router
