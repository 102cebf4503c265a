#pragma once

#include "nlohmann/json.hpp"
#include "router_service/learning/train_report.h"

namespace penstock::cli {

// The report of `penstock train --json`.
nlohmann::ordered_json TrainReportJson(const router::TrainReport& report);

}  // namespace penstock::cli
