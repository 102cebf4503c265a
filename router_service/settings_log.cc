#include "router_service/settings_log.h"

#include <spdlog/spdlog.h>

namespace penstock::router {

SharedSettings::Events LoggedSettings() {
  SharedSettings::Events events;
  events.adopted = [](const v1::BudgetSetting& setting) {
    spdlog::info("pool={} budget=\"{}\" read from the store that routers share", setting.pool(),
                 setting.budget().ShortDebugString());
  };
  events.refused = [](const absl::Status& why) {
    spdlog::error("a budget of the store is left out: {}", why.ToString());
  };
  return events;
}

}  // namespace penstock::router
