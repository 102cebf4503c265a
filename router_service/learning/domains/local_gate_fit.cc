#include "router_service/learning/domains/local_gate_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "router_service/learning/domains/domain_rows.h"
#include "router_service/learning/linear/linear_design.h"
#include "router_service/learning/linear/logistic_heads.h"
#include "router_service/learning/risk/conformal_threshold.h"

namespace penstock::router {
namespace {

// Below, the global answer is the more probable one to be right.
constexpr double kLeastTau = 0.5;

bool GlobalRight(const CustomisationRow& row) { return LargestOf(row.global) == row.label; }
bool LocalRight(const CustomisationRow& row) { return LargestOf(row.local) == row.label; }

absl::Status CheckRow(size_t index, const CustomisationRow& row, size_t labels, size_t dimension) {
  const auto bad = [&](absl::string_view field, absl::string_view detail) {
    return absl::InvalidArgumentError(absl::StrCat("row ", index, ": ", field, ": ", detail));
  };
  if (absl::Status status = CheckDistribution(row.global, labels); !status.ok()) {
    return bad("global", status.message());
  }
  if (absl::Status status = CheckDistribution(row.local, labels); !status.ok()) {
    return bad("local", status.message());
  }
  if (row.z.size() != dimension) {
    return bad("z", absl::StrCat(row.z.size(), " features, wanted ", dimension));
  }
  if (row.label < labels) return absl::OkStatus();
  return bad("label", absl::StrCat(row.label, " of ", labels));
}

std::vector<float> MeanOf(absl::Span<const CustomisationRow> rows,
                          const std::vector<size_t>& taken) {
  std::vector<double> sum(rows[taken[0]].z.size(), 0.0);
  for (const size_t i : taken) {
    for (size_t d = 0; d < sum.size(); ++d) sum[d] += rows[i].z[d];
  }
  std::vector<float> mean;
  for (const double value : sum) {
    mean.push_back(static_cast<float>(value / static_cast<double>(taken.size())));
  }
  return mean;
}

LocalGate::Features FeaturesOf(const LocalGate& gate, const CustomisationRow& row) {
  return LocalGate::FeaturesOf(row.global, row.local, gate.Distance(row.z));
}

absl::StatusOr<size_t> FitWeights(absl::Span<const CustomisationRow> rows,
                                  const std::vector<size_t>& own, LocalGate& gate) {
  std::vector<float> x, take_local;
  for (const size_t i : own) {
    if (!GlobalRight(rows[i]) && !LocalRight(rows[i])) continue;
    const LocalGate::Features features = FeaturesOf(gate, rows[i]);
    x.insert(x.end(), features.begin(), features.end());
    take_local.push_back(GlobalRight(rows[i]) ? 0.0f : 1.0f);
  }
  const size_t count = take_local.size();
  const double ones = std::accumulate(take_local.begin(), take_local.end(), 0.0);
  if (ones == 0 || ones == static_cast<double>(count)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "of the tenant's ", own.size(), " rows the local expert alone is right on ", ones,
        " and the global one on ", static_cast<double>(count) - ones, ": wanted some of either"));
  }
  const Standardisation scale = Standardisation::Of(x, count, LocalGate::kFeatures);
  std::vector<size_t> all(count);
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<double> parameters(LocalGate::kFeatures + 1, 0.0);
  FitLogistic(LinearDesign(scale.Apply(x), LocalGate::kFeatures, all), take_local, 1,
              1 / static_cast<double>(count), {}, parameters);
  scale.Fold(absl::MakeSpan(parameters).subspan(0, LocalGate::kFeatures), parameters.back());
  // As the file has them: tau below is of the gate that will serve.
  for (size_t i = 0; i < LocalGate::kFeatures; ++i) {
    gate.weight[i] = static_cast<float>(parameters[i]);
  }
  gate.bias = static_cast<float>(parameters.back());
  return count;
}

// As fp32, not below what was calibrated.
double RoundedUp(double tau) {
  const float rounded = static_cast<float>(tau);
  return rounded >= tau ? rounded : std::nextafter(rounded, std::numeric_limits<float>::infinity());
}

double ShareRight(absl::Span<const CustomisationRow> rows, const std::vector<size_t>& taken,
                  const LocalGate* gate) {
  double right = 0;
  for (const size_t i : taken) {
    const bool local = gate != nullptr && gate->TakesLocal(FeaturesOf(*gate, rows[i]));
    right += local ? LocalRight(rows[i]) : GlobalRight(rows[i]);
  }
  return taken.empty() ? 0 : right / static_cast<double>(taken.size());
}

}  // namespace

absl::StatusOr<LocalGateFit> FitLocalGate(absl::Span<const CustomisationRow> rows,
                                          const std::string& tenant, double most_loss) {
  if (tenant.empty()) return absl::InvalidArgumentError("tenant is empty");
  std::vector<size_t> own, generic;
  LocalGateFit fit;
  for (size_t i = 0; i < rows.size(); ++i) {
    PENSTOCK_RETURN_IF_ERROR(CheckRow(i, rows[i], rows[0].global.size(), rows[0].z.size()));
    if (rows[i].tenant == tenant) {
      own.push_back(i);
    } else if (rows[i].tenant.empty()) {
      generic.push_back(i);
    } else {
      ++fit.other_tenants_rows;
    }
  }
  if (own.empty()) return absl::InvalidArgumentError(absl::StrCat("no rows of tenant ", tenant));
  fit.tenant_rows = own.size();
  fit.generic_rows = generic.size();
  fit.gate.centroid = MeanOf(rows, own);
  PENSTOCK_ASSIGN_OR_RETURN(fit.fitted_rows, FitWeights(rows, own, fit.gate));
  std::vector<LossCurve> curves;
  for (const size_t i : generic) {
    LossCurve& curve = curves.emplace_back();
    if (!GlobalRight(rows[i]) || LocalRight(rows[i])) continue;
    curve.push_back({fit.gate.Probability(FeaturesOf(fit.gate, rows[i])), 1});
  }
  PENSTOCK_ASSIGN_OR_RETURN(const ConformalThreshold threshold,
                            CalibrateThreshold(curves, {most_loss, 1}));
  fit.gate.tau = RoundedUp(std::max(kLeastTau, threshold.threshold));
  fit.tenant_global = ShareRight(rows, own, nullptr);
  fit.tenant_gated = ShareRight(rows, own, &fit.gate);
  fit.generic_global = ShareRight(rows, generic, nullptr);
  fit.generic_gated = ShareRight(rows, generic, &fit.gate);
  return fit;
}

absl::StatusOr<std::vector<CustomisationRow>> ReadCustomisationRows(const std::string& path) {
  std::vector<CustomisationRow> rows;
  PENSTOCK_RETURN_IF_ERROR(ReadJsonRows(path, [&](const nlohmann::json& json) -> absl::Status {
    CustomisationRow& row = rows.emplace_back();
    if (const auto tenant = json.find("tenant"); tenant != json.end() && !tenant->is_null()) {
      if (!tenant->is_string()) return absl::InvalidArgumentError("tenant: wanted a name");
      row.tenant = tenant->get<std::string>();
    }
    PENSTOCK_ASSIGN_OR_RETURN(row.global, NumbersOf(json, "global"));
    PENSTOCK_ASSIGN_OR_RETURN(row.local, NumbersOf(json, "local"));
    if (json.contains("z")) {
      PENSTOCK_ASSIGN_OR_RETURN(row.z, NumbersOf(json, "z"));
    }
    PENSTOCK_ASSIGN_OR_RETURN(row.label, IndexOf(json, "label"));
    return absl::OkStatus();
  }));
  return rows;
}

std::string FormatLocalGateFit(const LocalGateFit& fit) {
  std::string text = absl::StrFormat(
      "gate fitted on %d of the tenant's %d rows, tau %g chosen on %d generic ones\n"
      "%-20s %10s %10s\n%-20s %10.4f %10.4f\n%-20s %10.4f %10.4f\n",
      fit.fitted_rows, fit.tenant_rows, fit.gate.tau, fit.generic_rows, "share right", "global",
      "gated", "tenant's rows", fit.tenant_global, fit.tenant_gated, "generic rows",
      fit.generic_global, fit.generic_gated);
  if (fit.other_tenants_rows > 0) {
    absl::StrAppendFormat(&text, "%d rows of other tenants were left out\n",
                          fit.other_tenants_rows);
  }
  if (!(fit.gate.tau < 1)) {
    absl::StrAppend(&text,
                    "the gate never takes the local answer: too few generic rows for the bound\n");
  }
  return text;
}

}  // namespace penstock::router
