#include "cli/train/train_domains.h"

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/train/pool_yaml.h"
#include "common/status_macros.h"
#include "router_service/learning/domains/domain_smoothing_fit.h"
#include "router_service/learning/domains/local_gate_fit.h"

namespace penstock::cli {
namespace {

absl::StatusOr<std::string> OutputFile(const std::string& folder, const std::string& name) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output ", folder, " cannot be made: ", error.message()));
  }
  return (std::filesystem::path(folder) / name).string();
}

}  // namespace

absl::Status TrainDomainSmoothing(const std::string& table,
                                  const std::vector<uint32_t>& in_domain_labels,
                                  const std::string& output_folder) {
  PENSTOCK_ASSIGN_OR_RETURN(const router::LabelGroups groups,
                            router::LabelGroups::Create(in_domain_labels));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<router::DomainRow> rows,
                            router::ReadDomainRows(table));
  PENSTOCK_ASSIGN_OR_RETURN(const router::DomainSmoothingFit fit,
                            router::FitDomainSmoothing(rows, groups));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string path,
                            OutputFile(output_folder, "domain_smoothing.safetensors"));
  PENSTOCK_RETURN_IF_ERROR(router::WriteDomainGate(path, fit.gate));
  const std::string yaml = absl::StrCat(
      "  combiner: SMOOTHED_DOMAINS\n"
      "  domain_smoothing: {in_domain: NAME, general: NAME, in_domain_labels: [",
      absl::StrJoin(in_domain_labels, ", "), "], file: ", path,
      "}\n"
      "  selection: {max_experts: 2}\n");
  std::printf("%s\nwrote %s\n%s", router::FormatDomainSmoothingFit(fit).c_str(), path.c_str(),
              HowToServe(yaml).c_str());
  return absl::OkStatus();
}

absl::Status TrainLocalGate(const std::string& table, const std::string& tenant,
                            const std::string& output_folder) {
  if (tenant.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("--local_gate ", tenant, ": wanted no slash"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<router::CustomisationRow> rows,
                            router::ReadCustomisationRows(table));
  PENSTOCK_ASSIGN_OR_RETURN(const router::LocalGateFit fit, router::FitLocalGate(rows, tenant));
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::string path,
      OutputFile(output_folder, absl::StrCat("local_gate_", tenant, ".safetensors")));
  PENSTOCK_RETURN_IF_ERROR(router::WriteLocalGate(path, tenant, fit.gate));
  const std::string yaml =
      absl::StrCat("  customisation: {global_expert: NAME, tenants: {", tenant,
                   ": {expert: NAME, file: ", path, "}}}\n");
  std::printf("%s\nwrote %s\n%s", router::FormatLocalGateFit(fit).c_str(), path.c_str(),
              HowToServe(yaml).c_str());
  return absl::OkStatus();
}

}  // namespace penstock::cli
