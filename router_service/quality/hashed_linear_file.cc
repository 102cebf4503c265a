// How a hashed linear model stands in a file.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/quality/artifact_checksum.h"
#include "router_service/quality/hashed_linear_quality.h"

namespace penstock::router {
namespace {

template <typename T>
SafetensorsTensor Raw(std::string name, std::vector<int64_t> shape, std::string dtype,
                      const std::vector<T>& values) {
  return {std::move(name), std::move(shape), {}, std::move(dtype),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))};
}

// The names of the tensors [experts], and where they go.
using OfExperts = std::vector<float> HashedLinearQuality::Parameters::*;
constexpr std::array<std::pair<const char*, OfExperts>, 7> kOfExperts = {{
    {"mean", &HashedLinearQuality::Parameters::mean},
    {"residual", &HashedLinearQuality::Parameters::residual},
    {"length_mean", &HashedLinearQuality::Parameters::length_mean},
    {"work_scale", &HashedLinearQuality::Parameters::work_scale},
    {"mean_quality", &HashedLinearQuality::Parameters::mean_quality},
    {"mean_joules", &HashedLinearQuality::Parameters::mean_joules},
    {"mean_tokens", &HashedLinearQuality::Parameters::mean_tokens},
}};

// The heads of `experts` out of [columns, 2 * all], in that order.
template <typename T>
std::vector<T> TakenHeads(const T* from, size_t columns, size_t all,
                          const std::vector<size_t>& experts) {
  std::vector<T> result;
  result.reserve(columns * 2 * experts.size());
  for (size_t place = 0; place < columns; ++place, from += 2 * all) {
    for (const size_t expert : experts) result.push_back(from[expert]);
    for (const size_t expert : experts) result.push_back(from[all + expert]);
  }
  return result;
}

}  // namespace

std::vector<SafetensorsTensor> HashedLinearQuality::Tensors(const Parameters& parameters,
                                                            size_t most_float_bytes) {
  const int64_t experts = static_cast<int64_t>(parameters.experts.size());
  const int64_t columns = static_cast<int64_t>(parameters.columns.size());
  std::vector<SafetensorsTensor> tensors;
  tensors.push_back(Raw("columns", {columns}, "U32", parameters.columns));
  tensors.push_back({"idf", {columns}, parameters.idf});
  tensors.push_back({"squares", {columns}, parameters.squares});
  tensors.push_back({"idf_unseen", {1}, {parameters.idf_unseen}});
  tensors.push_back({"lambda", {1}, {static_cast<float>(parameters.lambda)}});
  for (const auto& [name, member] : kOfExperts) {
    tensors.push_back({name, {experts}, parameters.*member});
  }
  const int64_t dense = static_cast<int64_t>(parameters.dense_mean.size());
  if (dense > 0) {
    tensors.push_back({"dense_mean", {dense}, parameters.dense_mean});
    tensors.push_back({"dense_scale", {dense}, parameters.dense_scale});
  }
  if (parameters.weight.size() * sizeof(float) <= most_float_bytes) {
    tensors.push_back({"weight", {columns, 2 * experts}, parameters.weight});
    return tensors;
  }
  const size_t width = 2 * parameters.experts.size();
  std::vector<int8_t> quantised(parameters.weight.size());
  std::vector<float> quantum(parameters.columns.size());
  for (size_t place = 0; place < quantum.size(); ++place) {
    const float* weight = parameters.weight.data() + place * width;
    float most = 0;
    for (size_t h = 0; h < width; ++h) most = std::max(most, std::abs(weight[h]));
    quantum[place] = most / 127.0f;
    for (size_t h = 0; h < width && most > 0; ++h) {
      quantised[place * width + h] = static_cast<int8_t>(std::lround(weight[h] / quantum[place]));
    }
  }
  tensors.push_back(Raw("weight", {columns, 2 * experts}, "I8", quantised));
  tensors.push_back({"quantum", {columns}, quantum});
  return tensors;
}

std::map<std::string, std::string> HashedLinearQuality::Metadata(
    const Parameters& parameters, const std::vector<SafetensorsTensor>& tensors) {
  return {{"kind", kKind},
          {"version", "1"},
          {"experts", ExpertsMetadata(parameters.experts)},
          {"buckets", absl::StrCat(parameters.buckets)},
          {"checksum", ArtifactChecksum(tensors)}};
}

absl::StatusOr<std::unique_ptr<const QualityModel>> HashedLinearQuality::FromTensors(
    const Safetensors& file, const std::string& path, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_RETURN_IF_ERROR(CheckArtifactChecksum(file, path));
  const auto bad = [&path](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  };
  if (const auto version = file.metadata().find("version");
      version == file.metadata().end() || version->second != "1") {
    return bad(absl::StrCat("metadata \"version\" is ",
                            version == file.metadata().end() ? "missing" : version->second,
                            ", wanted 1: train it again"));
  }
  Parameters parameters;
  size_t all = 0;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<size_t> experts,
                            ExpertColumns(file, path, expert_names, all));
  const auto buckets = file.metadata().find("buckets");
  if (buckets == file.metadata().end() ||
      !absl::SimpleAtoi(buckets->second, &parameters.buckets) || parameters.buckets == 0 ||
      parameters.buckets > size_t{1} << 24) {
    return bad("metadata \"buckets\" is no number in [1, 2^24]");
  }
  const Safetensors::Entry* columns = file.Find("columns");
  if (columns == nullptr || columns->dtype != "U32" || columns->shape.size() != 1) {
    return bad("tensor \"columns\" is missing or no list of U32");
  }
  parameters.columns.resize(columns->data.size() / sizeof(uint32_t));
  // A model of the mean has no columns, and memcpy takes no null pointer.
  if (!parameters.columns.empty()) {
    std::memcpy(parameters.columns.data(), columns->data.data(), columns->data.size());
  }
  const int64_t count = static_cast<int64_t>(parameters.columns.size());
  const int64_t of_experts = static_cast<int64_t>(all);
  PENSTOCK_ASSIGN_OR_RETURN(parameters.idf, file.Floats("idf", {count}));
  PENSTOCK_ASSIGN_OR_RETURN(parameters.squares, file.Floats("squares", {count}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> unseen, file.Floats("idf_unseen", {1}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> lambda, file.Floats("lambda", {1}));
  parameters.idf_unseen = unseen[0];
  parameters.lambda = lambda[0];
  for (const auto& [name, member] : kOfExperts) {
    PENSTOCK_ASSIGN_OR_RETURN(parameters.*member, file.Floats(name, {of_experts}));
    for (const float value : parameters.*member) {
      if (!std::isfinite(value)) return bad(absl::StrCat(name, " has a value that is not finite"));
    }
  }
  if (file.Find("dense_mean") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(parameters.dense_mean, file.Floats("dense_mean", {-1}));
    PENSTOCK_ASSIGN_OR_RETURN(
        parameters.dense_scale,
        file.Floats("dense_scale", {static_cast<int64_t>(parameters.dense_mean.size())}));
  }
  if (parameters.dense_mean.size() != feature_dimension) {
    return bad(absl::StrCat("was trained on ", parameters.dense_mean.size(),
                            " dense features, but the pool's features give ", feature_dimension));
  }
  const size_t places = parameters.buckets + parameters.dense_mean.size();
  for (size_t i = 0; i < parameters.columns.size(); ++i) {
    if (parameters.columns[i] >= places ||
        (i > 0 && parameters.columns[i] <= parameters.columns[i - 1])) {
      return bad("tensor \"columns\" does not ascend, or goes beyond the features");
    }
  }
  if (!(parameters.lambda > 0)) return bad("lambda is not above 0");
  for (const float mean : parameters.mean_quality) {
    if (!(mean >= 0 && mean <= 1)) return bad("mean_quality is not within [0, 1]");
  }

  auto model = absl::WrapUnique(new HashedLinearQuality());
  model->TakeExperts(parameters, experts);
  const Safetensors::Entry* weight = file.Find("weight");
  if (weight != nullptr && weight->dtype == "I8") {
    if (weight->shape != std::vector<int64_t>{count, 2 * of_experts}) {
      return bad("tensor \"weight\" does not have a row per column and two entries per expert");
    }
    PENSTOCK_ASSIGN_OR_RETURN(model->quantum_, file.Floats("quantum", {count}));
    model->quantised_ =
        TakenHeads(reinterpret_cast<const int8_t*>(weight->data.data()),
                   parameters.columns.size(), all, experts);
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> values,
                              file.Floats("weight", {count, 2 * of_experts}));
    model->weight_ = TakenHeads(values.data(), parameters.columns.size(), all, experts);
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  for (const std::vector<float>* values : {&model->weight_, &model->quantum_, &model->idf_,
                                           &model->dense_mean_, &model->dense_scale_}) {
    if (!std::all_of(values->begin(), values->end(), finite)) {
      return bad("has weights that are not finite");
    }
  }
  return std::unique_ptr<const QualityModel>(std::move(model));
}

}  // namespace penstock::router
