#include "expert_service/quantization/quantize_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/stored_matrix.h"
#include "expert_service/quantization/bit_allocation.h"
#include "expert_service/quantization/output_error.h"

namespace penstock::expert {
namespace {

using kernels::CodedMatrix;
using kernels::WeightFormat;

// A unit in a format, and what that does to its weights.
struct Candidate {
  UnitFormat stored;
  std::vector<CodedMatrix> coded;  // of each member; empty: as the file has it
  int64_t bytes = 0;
  double weight_error = 0;
  std::optional<double> output_error;
};

int64_t GroupFor(const QuantizeOptions& options, WeightFormat format, int64_t in) {
  if (format == WeightFormat::kTernary || format == WeightFormat::kPot4) return 0;
  if (options.group) return *options.group;
  for (const int64_t group : {128, 64, 32}) {
    if (in % group == 0) return group;
  }
  return 0;
}

class Quantizer {
 public:
  Quantizer(const config::v1::Model& config, const Safetensors& file,
            const QuantizeOptions& options)
      : config_(config), file_(file), options_(options) {}

  absl::StatusOr<QuantizedModel> Run() {
    PENSTOCK_ASSIGN_OR_RETURN(units_, WeightUnits(config_, file_));
    if (units_.empty()) {
      return absl::FailedPreconditionError(
          "the model has no linear, gated_mlp or moe block: nothing to quantise");
    }
    if (!options_.inputs.empty()) {
      PENSTOCK_ASSIGN_OR_RETURN(error_, OutputError::Create(config_, file_, options_.inputs));
    }
    for (size_t u = 0; u < units_.size(); ++u) PENSTOCK_RETURN_IF_ERROR(AddCandidates(u));
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<size_t> chosen, Choose());
    return Build(chosen);
  }

 private:
  // With a budget: what its bits may be; without: the one format.
  absl::Status AddCandidates(size_t u) {
    const WeightUnit& unit = units_[u];
    std::vector<WeightFormat> formats = {options_.format};
    if (options_.budget_bytes) {
      formats = {WeightFormat::kTernary, WeightFormat::kInt4, WeightFormat::kInt8};
    }
    std::vector<Candidate>& candidates = candidates_.emplace_back();
    for (size_t i = 0; i < formats.size(); ++i) {
      PENSTOCK_ASSIGN_OR_RETURN(Candidate candidate, Coded(unit, formats[i]));
      if (error_) {
        PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> changed,
                                  Changed({{u, &candidate}}));
        PENSTOCK_ASSIGN_OR_RETURN(candidate.output_error, error_->Of(*changed));
      }
      candidates.push_back(std::move(candidate));
      if (options_.progress) {
        options_.progress((static_cast<double>(u) + static_cast<double>(i + 1) /
                                                        static_cast<double>(formats.size())) /
                          static_cast<double>(units_.size()));
      }
    }
    if (options_.budget_bytes) {
      const int64_t bytes = BytesBefore(unit);
      candidates.push_back({{Before(unit), 0}, {}, bytes, 0, error_ ? std::optional(0.0) : std::nullopt});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<float>> Weights(const WeightUnit& unit,
                                             const WeightUnit::Member& member) const {
    const int64_t size = unit.out * unit.in;
    if (member.expert < 0) return file_.Floats(member.tensor, {unit.out, unit.in});
    if (stacked_name_ != member.tensor) {  // one stacked tensor is held at a time
      PENSTOCK_ASSIGN_OR_RETURN(stacked_, file_.Floats(member.tensor, {-1, unit.out, unit.in}));
      stacked_name_ = member.tensor;
    }
    const auto begin = stacked_.begin() + member.expert * size;
    if ((member.expert + 1) * size > static_cast<int64_t>(stacked_.size())) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", member.tensor, " has no expert ", member.expert));
    }
    return std::vector<float>(begin, begin + size);
  }

  absl::StatusOr<Candidate> Coded(const WeightUnit& unit, WeightFormat format) const {
    Candidate candidate;
    candidate.stored = {format, GroupFor(options_, format, unit.in)};
    if (!kernels::IsScaled(format)) {
      return absl::InvalidArgumentError(
          "format: wanted int8, int4, fp8_e4m3, ternary or pot4: a model is stored in the others "
          "by whatever wrote it");
    }
    if (const kernels::Status status =
            kernels::CheckGroup(format, unit.in, candidate.stored.group);
        !status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(unit.name, " of ", unit.in, " inputs: ", status.message));
    }
    double difference = 0, square = 0;
    for (const WeightUnit::Member& member : unit.members) {
      PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> weights, Weights(unit, member));
      for (const float w : weights) {
        if (!std::isfinite(w)) {
          return absl::InvalidArgumentError(
              absl::StrCat("tensor ", member.tensor, ": wanted finite weights, found ", w));
        }
      }
      candidate.coded.push_back(
          kernels::Quantize(weights.data(), unit.in, unit.out, format, candidate.stored.group));
      std::vector<float> back(weights.size());
      kernels::Dequantize(candidate.coded.back(), back.data());
      for (size_t i = 0; i < weights.size(); ++i) {
        const double w = static_cast<double>(weights[i]), d = static_cast<double>(back[i]) - w;
        difference += d * d;
        square += w * w;
      }
    }
    candidate.weight_error = square > 0 ? std::sqrt(difference / square) : 0;
    candidate.bytes = UnitBytes(unit, candidate.stored);
    return candidate;
  }

  WeightFormat Before(const WeightUnit& unit) const {
    const std::string& dtype = file_.Find(unit.members[0].tensor)->dtype;
    return dtype == "F16"    ? WeightFormat::kF16
           : dtype == "BF16" ? WeightFormat::kBf16
                             : WeightFormat::kF32;
  }
  int64_t BytesBefore(const WeightUnit& unit) const {
    return UnitBytes(unit, {Before(unit), 0});
  }

  absl::StatusOr<std::vector<size_t>> Choose() const {
    if (!options_.budget_bytes) return std::vector<size_t>(units_.size(), 0);
    std::vector<std::vector<StorageChoice>> choices;
    int64_t least = 0;
    for (size_t u = 0; u < units_.size(); ++u) {
      std::vector<StorageChoice>& of_unit = choices.emplace_back();
      int64_t smallest = candidates_[u][0].bytes;
      for (const Candidate& candidate : candidates_[u]) {
        // Squares add up over units. Without inputs: of the weights, by how many there are.
        const double error = candidate.output_error.value_or(
            candidate.weight_error * candidate.weight_error *
            static_cast<double>(units_[u].weights()));
        of_unit.push_back({candidate.bytes, error});
        smallest = std::min(smallest, candidate.bytes);
      }
      least += smallest;
    }
    auto chosen = AllocateBits(choices, *options_.budget_bytes);
    if (!chosen) {
      return absl::InvalidArgumentError(
          absl::StrCat("budget_bytes: wanted at least ", least,
                       ", what the matrices take in their smallest formats, found ",
                       *options_.budget_bytes));
    }
    return *std::move(chosen);
  }

  // The file with some units stored otherwise.
  absl::StatusOr<std::shared_ptr<const Safetensors>> Changed(
      const std::map<size_t, const Candidate*>& changes) const {
    std::vector<SafetensorsTensor> tensors;
    std::map<std::string, std::string> metadata;
    Write(changes, tensors, metadata);
    PENSTOCK_ASSIGN_OR_RETURN(std::string bytes, SafetensorsBytes(tensors, metadata));
    return Safetensors::Parse(std::move(bytes));
  }

  void Write(const std::map<size_t, const Candidate*>& changes,
             std::vector<SafetensorsTensor>& tensors,
             std::map<std::string, std::string>& metadata) const {
    metadata = file_.metadata();
    // A stacked tensor falls apart as soon as one of its experts is stored otherwise.
    std::set<std::string> split;
    for (const auto& [u, candidate] : changes) {
      if (candidate->coded.empty()) continue;
      for (const WeightUnit::Member& member : units_[u].members) split.insert(member.tensor);
    }
    for (const auto& [name, entry] : file_.entries()) {
      if (split.count(name) == 0) {
        tensors.push_back({name, entry.shape, {}, entry.dtype, std::string(entry.data)});
        if (entry.dtype == "F32") ToValues(tensors.back());
      }
    }
    for (size_t u = 0; u < units_.size(); ++u) {
      const WeightUnit& unit = units_[u];
      const auto change = changes.find(u);
      const bool coded = change != changes.end() && !change->second->coded.empty();
      for (size_t m = 0; m < unit.members.size(); ++m) {
        const WeightUnit::Member& member = unit.members[m];
        if (split.count(member.tensor) == 0) continue;
        if (coded) {
          WriteCoded(member.stored_as, change->second->coded[m], tensors, metadata);
        } else {
          WriteSlice(unit, member, tensors);
        }
      }
    }
  }

  // An expert of a stacked tensor, as it was.
  void WriteSlice(const WeightUnit& unit, const WeightUnit::Member& member,
                  std::vector<SafetensorsTensor>& tensors) const {
    const Safetensors::Entry& entry = *file_.Find(member.tensor);
    const int64_t experts = member.expert < 0 ? 1 : entry.shape[0];
    const size_t size = entry.data.size() / static_cast<size_t>(experts);
    const size_t first = size * static_cast<size_t>(std::max<int64_t>(member.expert, 0));
    tensors.push_back({member.stored_as,
                       {unit.out, unit.in},
                       {},
                       entry.dtype,
                       std::string(entry.data.substr(first, size))});
    if (entry.dtype == "F32") ToValues(tensors.back());
  }

  // SafetensorsTensor holds F32 as numbers.
  static void ToValues(SafetensorsTensor& tensor) {
    tensor.values.resize(tensor.raw.size() / sizeof(float));
    std::memcpy(tensor.values.data(), tensor.raw.data(), tensor.raw.size());
    tensor.raw.clear();
  }

  absl::StatusOr<QuantizedModel> Build(const std::vector<size_t>& chosen) const {
    QuantizedModel model;
    std::map<size_t, const Candidate*> changes;
    for (size_t u = 0; u < units_.size(); ++u) {
      const Candidate& candidate = candidates_[u][chosen[u]];
      changes[u] = &candidate;
      model.units.push_back({units_[u], candidate.stored, candidate.bytes, candidate.weight_error,
                             candidate.output_error});
      model.bytes += candidate.bytes;
      model.weights += units_[u].weights();
      model.bytes_before += BytesBefore(units_[u]);
    }
    Write(changes, model.tensors, model.metadata);
    if (error_) {
      PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> changed,
                                Changed(changes));
      PENSTOCK_ASSIGN_OR_RETURN(model.output_error, error_->Of(*changed));
    }
    return model;
  }

  const config::v1::Model& config_;
  const Safetensors& file_;
  const QuantizeOptions& options_;
  std::vector<WeightUnit> units_;
  std::vector<std::vector<Candidate>> candidates_;  // of each unit
  std::optional<OutputError> error_;
  mutable std::string stacked_name_;
  mutable std::vector<float> stacked_;
};

}  // namespace

absl::StatusOr<QuantizedModel> QuantizeModel(const config::v1::Model& config,
                                             const Safetensors& file,
                                             const QuantizeOptions& options) {
  return Quantizer(config, file, options).Run();
}

}  // namespace penstock::expert
