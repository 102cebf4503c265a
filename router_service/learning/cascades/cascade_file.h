#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "router_service/learning/cascade_fit.h"
#include "router_service/learning/cascades/cascade_trainer.h"
#include "router_service/learning/cascades/fixed_confidence_fit.h"
#include "router_service/learning/cascades/slow_fit.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// All that cascade.safetensors is made from.
struct CascadeParts {
  CascadeFit pairs;
  std::vector<float> errors;  // CalibrationErrors
  FixedConfidenceFit fixed;
  std::optional<SlowFit> slow;
  std::optional<TrainedCascade> policy;
  std::string policy_name;
};

struct CascadeFile {
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
};
// What CascadeQuality reads; `risk` null: none was stated. Stages are the policy's. Unset where
// the table tells no confidence and no policy does without.
std::optional<CascadeFile> MakeCascadeFile(const CascadeParts& parts,
                                           const std::vector<std::string>& experts,
                                           const std::vector<std::string>& stages,
                                           const CascadeRiskReport* risk);

}  // namespace penstock::router
