#include "router_service/learning/cascades/cascade_file.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "router_service/quality/cascade/slow_estimate.h"

namespace penstock::router {

std::optional<CascadeFile> MakeCascadeFile(const CascadeParts& parts,
                                           const std::vector<std::string>& experts,
                                           const std::vector<std::string>& stages,
                                           const CascadeRiskReport* risk) {
  const std::vector<uint8_t>& told = parts.pairs.can_stand;
  const bool any = std::any_of(told.begin(), told.end(), [](uint8_t v) { return v != 0; });
  if (!any && !parts.policy) return std::nullopt;
  const int64_t e = static_cast<int64_t>(experts.size());
  CascadeFile file;
  file.tensors = {
      {"weight", {e, e, 3}, parts.pairs.weight},
      {"can_stand", {e}, std::vector<float>(told.begin(), told.end())},
      {"ece", {e, e}, parts.errors},
      {"fixed_from", {e}, parts.fixed.from},
      {"fixed_next", {e}, std::vector<float>(parts.fixed.next.begin(), parts.fixed.next.end())}};
  file.metadata = {{"kind", "cascade_quality"}};
  if (parts.slow) {
    file.tensors.push_back({"slow_weight",
                            {e, e, static_cast<int64_t>(SlowEstimate::kParameters)},
                            parts.slow->weight});
    file.tensors.push_back(
        {"slow_knows",
         {e},
         std::vector<float>(parts.slow->knows.begin(), parts.slow->knows.end())});
    file.metadata["verifier"] = experts[parts.slow->verifier];
  }
  if (parts.policy) {
    file.tensors.insert(file.tensors.end(), parts.policy->tensors.begin(),
                        parts.policy->tensors.end());
    file.metadata.insert(parts.policy->metadata.begin(), parts.policy->metadata.end());
    file.metadata["policy"] = parts.policy_name;
    file.metadata["stages"] = absl::StrJoin(stages, ",");
  } else if (risk != nullptr) {
    file.tensors.push_back({"least_lead", {1}, {static_cast<float>(risk->after.lead)}});
    file.metadata["stages"] = absl::StrJoin(risk->stages, ",");
    file.metadata["risk"] = absl::StrCat(risk->alpha);
    file.metadata["risk_rows"] = absl::StrCat(risk->rows);
  }
  return file;
}

}  // namespace penstock::router
