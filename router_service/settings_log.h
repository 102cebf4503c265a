#pragma once

#include "router_service/settings/shared_settings.h"

namespace penstock::router {

// Writes into the process's log what is read of budgets that were set by call.
SharedSettings::Events LoggedSettings();

}  // namespace penstock::router
