#pragma once

#include <string>

#include "router_service/learning/train_report.h"
#include "router_service/learning/trainer.h"

namespace penstock::cli {

// The fields that a pool needs to decide by the files of a training, two spaces in. Of a table of
// decisions (`report.partial`) the features are those of the pool that logged them.
std::string PoolYaml(const router::TrainOptions& options, const router::TrainReport& report);

// What every training that wrote files ends with. Empty where `pool_yaml` is.
std::string HowToServe(const std::string& pool_yaml);

}  // namespace penstock::cli
