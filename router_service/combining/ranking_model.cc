#include "router_service/combining/ranking_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "nlohmann/json.hpp"
#include "router_service/features/text_grams.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

constexpr char kKind[] = "ranking";
constexpr uint32_t kLeastBits = 8, kMostBits = 12;
constexpr size_t kMostObjectives = 64;

absl::Status Bad(absl::string_view where, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", detail));
}

// Hashed words at length 1, then the surface.
void AppendText(const TextFeatures& features, absl::string_view text, std::vector<float>& z) {
  FeatureBuffer buffer;
  features.ExtractText(text, buffer);
  const size_t begin = z.size();
  z.resize(begin + features.sparse_dimension(), 0.0f);
  double squares = 0;
  for (const float value : buffer.values) squares += static_cast<double>(value) * value;
  const double inverse = squares > 0 ? 1 / std::sqrt(squares) : 0;
  for (size_t i = 0; i < buffer.indices.size(); ++i) {
    z[begin + buffer.indices[i]] = static_cast<float>(buffer.values[i] * inverse);
  }
  z.insert(z.end(), buffer.dense.begin(), buffer.dense.end());
}

double Dot(absl::Span<const float> weight, absl::Span<const float> x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(weight[i]) * x[i];
  return sum;
}

absl::StatusOr<TextFeatures> Hashed(uint32_t bits) {
  config::v1::TextFeatures settings;
  settings.set_bits(bits);
  settings.set_surface(true);
  return TextFeatures::FromSettings(settings);
}

absl::StatusOr<uint32_t> Bits(const Safetensors& file, const std::string& path,
                              const std::string& key) {
  const auto found = file.metadata().find(key);
  uint32_t bits = 0;
  if (found == file.metadata().end() || !absl::SimpleAtoi(found->second, &bits)) {
    return Bad(path, absl::StrCat("metadata \"", key, "\" is no number"));
  }
  return bits;
}

absl::StatusOr<std::vector<std::string>> Objectives(const Safetensors& file,
                                                    const std::string& path) {
  const auto found = file.metadata().find("objectives");
  const nlohmann::json names = found == file.metadata().end()
                                   ? nlohmann::json()
                                   : nlohmann::json::parse(found->second, nullptr, false);
  std::vector<std::string> objectives;
  if (names.is_array()) {
    for (const nlohmann::json& name : names) {
      if (name.is_string()) objectives.push_back(name.get<std::string>());
    }
  }
  if (objectives.empty() || objectives.size() > kMostObjectives ||
      objectives.size() != names.size()) {
    return Bad(path, absl::StrCat("metadata \"objectives\" is no list of 1 to ", kMostObjectives,
                                  " names"));
  }
  return objectives;
}

}  // namespace

absl::StatusOr<RankingFeatures> RankingFeatures::Create(uint32_t prompt_bits,
                                                        uint32_t answer_bits) {
  for (const uint32_t bits : {prompt_bits, answer_bits}) {
    if (bits >= kLeastBits && bits <= kMostBits) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("bits are ", bits, ", wanted [", kLeastBits, ", ", kMostBits, "]"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(TextFeatures prompt, Hashed(prompt_bits));
  PENSTOCK_ASSIGN_OR_RETURN(TextFeatures answer, Hashed(answer_bits));
  return RankingFeatures(prompt_bits, answer_bits, std::move(prompt), std::move(answer));
}

size_t RankingFeatures::prompt_dimension() const {
  return prompt_.sparse_dimension() + SurfaceCounts::kDimension;
}

size_t RankingFeatures::answer_dimension() const {
  return answer_.sparse_dimension() + 2 * SurfaceCounts::kDimension;
}

std::vector<float> RankingFeatures::Prompt(absl::string_view prompt) const {
  std::vector<float> z;
  AppendText(prompt_, prompt, z);
  return z;
}

std::vector<float> RankingFeatures::Answer(absl::string_view prompt,
                                           absl::string_view answer) const {
  std::vector<float> e;
  AppendText(answer_, answer, e);
  FeatureBuffer buffer;
  prompt_.ExtractText(prompt, buffer);
  e.insert(e.end(), buffer.dense.begin(), buffer.dense.end());
  return e;
}

double RankingModel::Length(absl::Span<const float> answer) const {
  return Dot(length_head, answer) + length_bias;
}

std::vector<double> RankingModel::Rewards(absl::Span<const float> answer) const {
  const double length = Length(answer);
  std::vector<double> rewards;
  for (size_t k = 0; k < objectives.size(); ++k) {
    const auto head = absl::MakeConstSpan(heads).subspan(k * answer.size(), answer.size());
    rewards.push_back(Dot(head, answer) + heads_bias[k] - penalty[k] * length);
  }
  return rewards;
}

std::vector<double> RankingModel::Weights(absl::Span<const float> prompt) const {
  std::vector<double> weights;
  for (size_t k = 0; k < objectives.size(); ++k) {
    const auto head = absl::MakeConstSpan(gate).subspan(k * prompt.size(), prompt.size());
    weights.push_back((Dot(head, prompt) + gate_bias[k]) / temperature);
  }
  const double largest = *std::max_element(weights.begin(), weights.end());
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - largest);
  for (double& weight : weights) weight /= sum;
  return weights;
}

std::vector<double> RankingModel::Contributions(absl::Span<const double> weights,
                                                absl::Span<const double> rewards) const {
  std::vector<double> parts;
  for (size_t k = 0; k < weights.size(); ++k) parts.push_back(scale * weights[k] * rewards[k]);
  return parts;
}

absl::Status WriteRankingModel(const std::string& path, const RankingModel& model,
                               const RankingFeatures& features) {
  const auto k = static_cast<int64_t>(model.objectives.size());
  const auto answer = static_cast<int64_t>(features.answer_dimension());
  const auto prompt = static_cast<int64_t>(features.prompt_dimension());
  const std::vector<SafetensorsTensor> tensors = {
      {"heads", {k, answer}, model.heads},
      {"heads_bias", {k}, model.heads_bias},
      {"length_head", {answer}, model.length_head},
      {"length_bias", {1}, {model.length_bias}},
      {"penalty", {k}, model.penalty},
      {"gate", {k, prompt}, model.gate},
      {"gate_bias", {k}, model.gate_bias},
      {"temperature", {1}, {static_cast<float>(model.temperature)}},
      {"scale", {1}, {static_cast<float>(model.scale)}}};
  return WriteSafetensors(path, tensors,
                          {{"kind", kKind},
                           {"objectives", nlohmann::json(model.objectives).dump()},
                           {"prompt_bits", absl::StrCat(features.prompt_bits())},
                           {"answer_bits", absl::StrCat(features.answer_bits())},
                           {"checksum", ArtifactChecksum(tensors)}});
}

absl::StatusOr<LoadedRanking> ReadRankingModel(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, OpenArtifact(path));
  const auto kind = file->metadata().find("kind");
  if (kind == file->metadata().end() || kind->second != kKind) {
    return Bad(path, absl::StrCat("metadata \"kind\" is not ", kKind));
  }
  RankingModel model;
  PENSTOCK_ASSIGN_OR_RETURN(model.objectives, Objectives(*file, path));
  PENSTOCK_ASSIGN_OR_RETURN(const uint32_t prompt_bits, Bits(*file, path, "prompt_bits"));
  PENSTOCK_ASSIGN_OR_RETURN(const uint32_t answer_bits, Bits(*file, path, "answer_bits"));
  absl::StatusOr<RankingFeatures> features = RankingFeatures::Create(prompt_bits, answer_bits);
  if (!features.ok()) return Bad(path, features.status().message());
  const auto k = static_cast<int64_t>(model.objectives.size());
  const auto answer = static_cast<int64_t>(features->answer_dimension());
  const auto prompt = static_cast<int64_t>(features->prompt_dimension());
  std::vector<float> length_bias, temperature, scale;
  struct Wanted {
    const char* name;
    std::vector<int64_t> shape;
    std::vector<float>* values;
  };
  for (const Wanted& wanted :
       {Wanted{"heads", {k, answer}, &model.heads}, Wanted{"heads_bias", {k}, &model.heads_bias},
        Wanted{"length_head", {answer}, &model.length_head},
        Wanted{"length_bias", {1}, &length_bias}, Wanted{"penalty", {k}, &model.penalty},
        Wanted{"gate", {k, prompt}, &model.gate}, Wanted{"gate_bias", {k}, &model.gate_bias},
        Wanted{"temperature", {1}, &temperature}, Wanted{"scale", {1}, &scale}}) {
    absl::StatusOr<std::vector<float>> values = file->Floats(wanted.name, wanted.shape);
    if (!values.ok()) return Bad(path, values.status().message());
    if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); })) {
      return Bad(path, absl::StrCat("tensor ", wanted.name, " has values that are not finite"));
    }
    *wanted.values = *std::move(values);
  }
  model.length_bias = length_bias[0];
  model.temperature = temperature[0];
  model.scale = scale[0];
  if (!(model.temperature > 0)) return Bad(path, "temperature: wanted above 0");
  return LoadedRanking{std::move(model), *std::move(features)};
}

}  // namespace penstock::router
