#include "router_service/combining/domain_smoothing.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "router_service/combining/answer_set.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

constexpr char kKind[] = "domain_smoothing";

double Sigma(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

// Where a distribution puts nothing on the group, nothing is known within it: uniform.
void ScaleToOne(std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  for (double& value : values) {
    value = sum > 0 ? value / sum : 1 / static_cast<double>(values.size());
  }
}

absl::Status Bad(absl::string_view path, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", detail));
}

absl::Status CheckGate(absl::string_view path, const DomainGate& gate) {
  if (!(gate.temperature > 0) || !std::isfinite(gate.temperature)) {
    return Bad(path, absl::StrCat("temperature is ", gate.temperature, ", wanted above 0"));
  }
  double sum = gate.bias + gate.threshold;
  for (const double weight : gate.weight) sum += weight;
  return std::isfinite(sum) ? absl::OkStatus() : Bad(path, "a weight is not finite");
}

const ExpertAnswer* FindAnswer(const AnswerSet& set, absl::string_view name) {
  for (const ExpertAnswer& answer : set.answers) {
    if (answer.name == name) return &answer;
  }
  return nullptr;
}

}  // namespace

double DomainGate::Score(const Features& features) const {
  double score = bias;
  for (size_t i = 0; i < kFeatures; ++i) score += weight[i] * features[i];
  return score;
}

double DomainGate::OutOfDomain(double score) const {
  return Sigma((threshold - score) / temperature);
}

absl::StatusOr<LabelGroups> LabelGroups::Create(absl::Span<const uint32_t> in_domain) {
  constexpr uint32_t kMostLabels = 1 << 20;
  LabelGroups groups;
  for (const uint32_t label : in_domain) {
    if (label >= kMostLabels) {
      return absl::InvalidArgumentError(
          absl::StrCat("in_domain_labels: ", label, ", wanted below ", kMostLabels));
    }
    if (groups.InDomain(label)) {
      return absl::InvalidArgumentError(
          absl::StrCat("in_domain_labels: ", label, " stands there twice"));
    }
    if (groups.is_in_.size() <= label) groups.is_in_.resize(label + 1, 0);
    groups.is_in_[label] = 1;
  }
  if (in_domain.empty()) {
    return absl::InvalidArgumentError("in_domain_labels: wanted at least one");
  }
  groups.in_count_ = in_domain.size();
  return groups;
}

absl::Status LabelGroups::Check(size_t labels) const {
  if (is_in_.size() <= labels && in_count_ < labels) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "an answer has ", labels, " labels; in_domain_labels names ", in_count_, " up to ",
      is_in_.size() - 1, ", and at least one must be the general expert's"));
}

DomainGate::Features LabelGroups::Features(absl::Span<const float> general,
                                           absl::Span<const float> in_domain) const {
  std::vector<double> of_general, of_in_domain;
  for (size_t label = 0; label < general.size(); ++label) {
    if (InDomain(label)) {
      of_in_domain.push_back(
          std::pow(static_cast<double>(in_domain[label]), 1 / DomainGate::kSoftening));
    } else {
      of_general.push_back(general[label]);
    }
  }
  ScaleToOne(of_general);
  ScaleToOne(of_in_domain);
  DomainGate::Features features{};
  size_t at = 0;
  for (std::vector<double>* values : {&of_general, &of_in_domain}) {
    const size_t count = std::min(values->size(), DomainGate::kLargest);
    std::partial_sort(values->begin(), values->begin() + static_cast<std::ptrdiff_t>(count),
                      values->end(), std::greater<>());
    std::copy_n(values->begin(), count, features.begin() + static_cast<std::ptrdiff_t>(at));
    at += DomainGate::kLargest;
  }
  return features;
}

void LabelGroups::Smooth(double out_of_domain, absl::Span<const float> general,
                         absl::Span<const float> in_domain, absl::Span<float> mixed) const {
  double of_general = 0, of_in_domain = 0;
  for (size_t label = 0; label < mixed.size(); ++label) {
    (InDomain(label) ? of_in_domain : of_general) +=
        InDomain(label) ? in_domain[label] : general[label];
  }
  const double in_count = static_cast<double>(in_count_);
  const double out_count = static_cast<double>(mixed.size()) - in_count;
  for (size_t label = 0; label < mixed.size(); ++label) {
    const bool in = InDomain(label);
    const double trust = in ? 1 - out_of_domain : out_of_domain;
    const double count = in ? in_count : out_count;
    const double sum = in ? of_in_domain : of_general;
    const double value = in ? in_domain[label] : general[label];
    const double within = sum > 0 ? value / sum : 1 / count;
    mixed[label] = static_cast<float>(trust * (trust * within + (1 - trust) / count));
  }
}

absl::StatusOr<DomainGate> ReadDomainGate(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, OpenArtifact(path));
  const auto kind = file->metadata().find("kind");
  if (kind == file->metadata().end() || kind->second != kKind) {
    return Bad(path, absl::StrCat("metadata \"kind\" is not ", kKind));
  }
  DomainGate gate;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> weight,
                            file->Floats("weight", {static_cast<int64_t>(DomainGate::kFeatures)}));
  std::copy(weight.begin(), weight.end(), gate.weight.begin());
  for (const auto& [name, value] : {std::pair<const char*, double*>{"bias", &gate.bias},
                                    {"temperature", &gate.temperature},
                                    {"threshold", &gate.threshold}}) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> read, file->Floats(name, {1}));
    *value = read[0];
  }
  PENSTOCK_RETURN_IF_ERROR(CheckGate(path, gate));
  return gate;
}

absl::Status WriteDomainGate(const std::string& path, const DomainGate& gate) {
  const std::vector<float> weight(gate.weight.begin(), gate.weight.end());
  const auto one = [](const char* name, double value) {
    return SafetensorsTensor{name, {1}, {static_cast<float>(value)}};
  };
  const std::vector<SafetensorsTensor> tensors = {
      {"weight", {static_cast<int64_t>(weight.size())}, weight},
      one("bias", gate.bias),
      one("temperature", gate.temperature),
      one("threshold", gate.threshold)};
  return WriteSafetensors(path, tensors,
                          {{"kind", kKind}, {"checksum", ArtifactChecksum(tensors)}});
}

absl::StatusOr<std::unique_ptr<const Combiner>> SmoothedDomains::Create(
    const config::v1::DomainSmoothing& config, std::string combined_output) {
  if (config.in_domain().empty() || config.general().empty() ||
      config.in_domain() == config.general()) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain_smoothing: wanted two experts, in_domain is \"", config.in_domain(),
                     "\", general is \"", config.general(), "\""));
  }
  absl::StatusOr<LabelGroups> groups = LabelGroups::Create(config.in_domain_labels());
  if (!groups.ok()) {
    return Bad("domain_smoothing", groups.status().message());
  }
  PENSTOCK_ASSIGN_OR_RETURN(DomainGate gate, ReadDomainGate(config.file()));
  if (config.has_temperature()) gate.temperature = config.temperature();
  if (config.has_threshold()) gate.threshold = config.threshold();
  PENSTOCK_RETURN_IF_ERROR(CheckGate("domain_smoothing", gate));
  return std::make_unique<const SmoothedDomains>(
      config.in_domain(), config.general(), *std::move(groups), gate, std::move(combined_output));
}

absl::StatusOr<std::vector<Tensor>> SmoothedDomains::Combine(
    absl::Span<const ExpertAnswer> answers) const {
  PENSTOCK_ASSIGN_OR_RETURN(const AnswerSet set, MakeAnswerSet(answers));
  const ExpertAnswer* in_domain = FindAnswer(set, in_domain_);
  const ExpertAnswer* general = FindAnswer(set, general_);
  if (in_domain == nullptr || general == nullptr) {
    const ExpertAnswer* only = in_domain != nullptr ? in_domain : general;
    return only != nullptr ? *only->outputs : *set.answers[set.heaviest].outputs;
  }
  const int combined = CombinedOutput(*general->outputs, combined_output_);
  if (combined < 0 ||
      (*general->outputs)[static_cast<size_t>(combined)].datatype != DataType::kFp32) {
    return absl::InternalError(
        absl::StrCat("expert \"", general_, "\" has no FP32 output of probabilities to smooth"));
  }
  const size_t index = static_cast<size_t>(combined);
  const Tensor& like = (*general->outputs)[index];
  const size_t labels = like.shape.empty() ? 1 : static_cast<size_t>(like.shape.back());
  PENSTOCK_RETURN_IF_ERROR(groups_.Check(labels));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> of_general,
                            CheckedFloats(general_, like, true));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> of_in_domain,
                            CheckedFloats(in_domain_, (*in_domain->outputs)[index], true));
  std::vector<float> mixed(of_general.size());
  bool first_is_general = true;
  for (size_t at = 0; at < mixed.size(); at += labels) {
    const auto general_row = absl::MakeConstSpan(of_general).subspan(at, labels);
    const auto in_row = absl::MakeConstSpan(of_in_domain).subspan(at, labels);
    const double out_of_domain =
        gate_.OutOfDomain(gate_.Score(groups_.Features(general_row, in_row)));
    groups_.Smooth(out_of_domain, general_row, in_row, absl::MakeSpan(mixed).subspan(at, labels));
    if (at == 0) first_is_general = out_of_domain >= 0.5;
  }
  std::vector<Tensor> result = first_is_general ? *general->outputs : *in_domain->outputs;
  result[index] = FloatTensor(like.name, like.shape, mixed);
  return result;
}

}  // namespace penstock::router
