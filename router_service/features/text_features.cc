#include "router_service/features/text_features.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

using Values = absl::InlinedVector<absl::string_view, 8>;

absl::Status Check(const config::v1::TextFeatures& config) {
  const auto within = [](const char* field, uint32_t value, uint32_t least, uint32_t most) {
    if (value >= least && value <= most) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("features.text.", field, " is ", value,
                                                   ", wanted [", least, ", ", most, "]"));
  };
  if (config.has_bits()) PENSTOCK_RETURN_IF_ERROR(within("bits", config.bits(), 8, 24));
  if (config.has_character_ngrams()) {
    PENSTOCK_RETURN_IF_ERROR(within("character_ngrams", config.character_ngrams(), 2, 8));
  }
  if (config.has_max_bytes()) {
    PENSTOCK_RETURN_IF_ERROR(within("max_bytes", config.max_bytes(), 64, 1u << 20));
  }
  if (!config.input().empty() && !config.parameter().empty()) {
    return absl::InvalidArgumentError(
        "features.text: input and parameter are both set, wanted one place for the prompt");
  }
  if (config.has_embeddings() && config.embeddings().folder().empty()) {
    return absl::InvalidArgumentError("features.text.embeddings.folder is empty");
  }
  return absl::OkStatus();
}

// Null: none are asked for.
absl::StatusOr<std::shared_ptr<const StaticEmbeddings>> OpenEmbeddings(
    const config::v1::TextFeatures& config) {
  if (!config.has_embeddings()) return std::shared_ptr<const StaticEmbeddings>();
  absl::StatusOr<std::shared_ptr<const StaticEmbeddings>> embeddings =
      StaticEmbeddings::Open(config.embeddings().folder());
  if (embeddings.ok()) return embeddings;
  return absl::Status(
      embeddings.status().code(),
      absl::StrCat("features.text.embeddings.folder: ", embeddings.status().message()));
}

bool Continues(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// At most `most` bytes, no character cut.
absl::string_view Head(absl::string_view text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  for (int i = 0; i < 3 && end > 0 && Continues(text[end]); ++i) --end;
  return text.substr(0, end);
}
absl::string_view Tail(absl::string_view text, size_t most) {
  if (text.size() <= most) return text;
  size_t begin = text.size() - most;
  for (int i = 0; i < 3 && begin < text.size() && Continues(text[begin]); ++i) ++begin;
  return text.substr(begin);
}

// The strings of a BYTES tensor whose lengths have been checked, `flat` its data.
void SplitStrings(absl::string_view flat, Values& values) {
  for (size_t at = 0; at < flat.size();) {
    uint32_t size = 0;
    std::memcpy(&size, flat.data() + at, sizeof(size));
    at += sizeof(size);
    values.push_back(flat.substr(at, size));
    at += size;
  }
}

}  // namespace

TextFeatures::TextFeatures(const config::v1::TextFeatures& config, std::string input,
                           std::shared_ptr<const StaticEmbeddings> embeddings)
    : input_(std::move(input)),
      parameter_(config.parameter()),
      bits_(config.has_bits() ? config.bits() : kBits),
      surface_(config.surface()),
      max_bytes_(config.has_max_bytes() ? config.max_bytes() : kMaxBytes),
      grams_(bits_, config.character_ngrams(), config.fold_compatibility()),
      embeddings_(std::move(embeddings)),
      words_(!config.embeddings().alone()) {}

absl::StatusOr<std::unique_ptr<const FeatureExtractor>> TextFeatures::Create(
    const config::v1::TextFeatures& config, const std::vector<config::v1::TensorSpec>& inputs) {
  PENSTOCK_RETURN_IF_ERROR(Check(config));
  std::string input;
  if (config.parameter().empty()) {
    const auto spec = std::find_if(inputs.begin(), inputs.end(), [&](const auto& tensor) {
      return config.input().empty() ? tensor.datatype() == "BYTES"
                                    : tensor.name() == config.input();
    });
    if (spec == inputs.end()) {
      return absl::InvalidArgumentError(
          config.input().empty()
              ? "features.text: the pool has no BYTES input, wanted one or features.text.parameter"
              : absl::StrCat("features.text.input is \"", config.input(),
                             "\", but the pool has no input of that name"));
    }
    if (spec->datatype() != "BYTES") {
      return absl::InvalidArgumentError(absl::StrCat("features.text.input \"", spec->name(),
                                                     "\" is ", spec->datatype(),
                                                     ", wanted BYTES"));
    }
    input = spec->name();
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<const StaticEmbeddings> embeddings,
                            OpenEmbeddings(config));
  return std::unique_ptr<const FeatureExtractor>(
      new TextFeatures(config, std::move(input), std::move(embeddings)));
}

absl::StatusOr<TextFeatures> TextFeatures::FromSettings(const config::v1::TextFeatures& config) {
  PENSTOCK_RETURN_IF_ERROR(Check(config));
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<const StaticEmbeddings> embeddings,
                            OpenEmbeddings(config));
  return TextFeatures(config, config.input(), std::move(embeddings));
}

absl::Status TextFeatures::Extract(const FeatureRequest& request, FeatureBuffer& buffer) const {
  if (!parameter_.empty()) {
    for (const Parameter& parameter : request.parameters) {
      if (parameter.name != parameter_) continue;
      const std::string* text = std::get_if<std::string>(&parameter.value);
      if (text == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("parameter ", parameter_, " is no string, wanted the prompt"));
      }
      ExtractText(*text, buffer);
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("parameter ", parameter_, " is missing, wanted the prompt"));
  }
  for (const Tensor& tensor : request.inputs) {
    if (tensor.name != input_) continue;
    if (tensor.datatype != DataType::kBytes) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", input_, "\" is ",
                                                     DataTypeName(tensor.datatype),
                                                     ", wanted BYTES"));
    }
    PENSTOCK_RETURN_IF_ERROR(ValidateTensor(tensor));
    std::string storage;
    Values values;
    SplitStrings(tensor.data.Flat(storage), values);
    ExtractValues(values, buffer);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("input \"", input_, "\" is missing"));
}

void TextFeatures::ExtractText(absl::string_view text, FeatureBuffer& buffer) const {
  ExtractValues({&text, 1}, buffer);
}

void TextFeatures::ExtractValues(absl::Span<const absl::string_view> values,
                                 FeatureBuffer& buffer) const {
  buffer.Clear();
  std::vector<uint32_t>& buckets = buffer.scratch;
  buckets.clear();
  SurfaceCounts counts;
  size_t total = 0;
  for (const absl::string_view value : values) total += value.size();
  thread_local StaticEmbeddings::Scratch tokens;
  tokens.ids.clear();
  const auto append = [&](absl::string_view text) {
    if (words_ || surface_) grams_.Append(text, buckets, &counts);
    if (embeddings_ != nullptr) embeddings_->AppendTokens(text, tokens);
  };
  if (total <= max_bytes_) {
    for (const absl::string_view value : values) append(value);
  } else {
    size_t left = max_bytes_ / 2;
    for (size_t i = 0; i < values.size() && left > 0; ++i) {
      append(Head(values[i], left));
      left -= std::min(left, values[i].size());
    }
    // From the end backwards, then in order.
    left = max_bytes_ / 2;
    size_t first = values.size();
    while (first > 0 && values[first - 1].size() <= left) left -= values[--first].size();
    if (first > 0 && left > 0) append(Tail(values[first - 1], left));
    for (size_t i = first; i < values.size(); ++i) append(values[i]);
  }
  if (words_) CountBuckets(bits_, buckets, buffer.scratch2, buffer.indices, buffer.values);
  if (surface_) {
    const auto of_surface = counts.Values();
    buffer.dense.assign(of_surface.begin(), of_surface.end());
  }
  if (embeddings_ != nullptr) embeddings_->AppendMean(tokens, buffer.dense);
}

absl::StatusOr<int64_t> TextFeatures::ExtractRows(absl::Span<const Tensor> inputs,
                                                  std::vector<float>& z,
                                                  std::vector<uint8_t>& finite) const {
  for (const Tensor& tensor : inputs) {
    if (tensor.name != input_ || !parameter_.empty()) continue;
    PENSTOCK_RETURN_IF_ERROR(ValidateTensor(tensor));
    if (tensor.datatype != DataType::kBytes || tensor.shape.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("input \"", input_, "\" has no rows of BYTES"));
    }
    std::string storage;
    Values values;
    SplitStrings(tensor.data.Flat(storage), values);
    const size_t rows = static_cast<size_t>(tensor.shape[0]);
    const size_t of_row = rows == 0 ? 0 : values.size() / rows;
    FeatureBuffer buffer;
    z.clear();
    for (size_t row = 0; row < rows; ++row) {
      ExtractValues(absl::MakeConstSpan(values).subspan(row * of_row, of_row), buffer);
      z.insert(z.end(), buffer.dense.begin(), buffer.dense.end());
    }
    finite.assign(rows, 1);
    return tensor.shape[0];
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "input \"", input_, "\" is missing: rows need their prompts in an input"));
}

std::string TextFeaturesMetadata(const config::v1::TextFeatures& config,
                                 absl::string_view embeddings_checksum) {
  std::string metadata = absl::StrCat(
      "text/1 bits=", config.has_bits() ? config.bits() : TextFeatures::kBits,
      " character_ngrams=", config.character_ngrams(), " surface=", config.surface() ? 1 : 0,
      " max_bytes=", config.has_max_bytes() ? config.max_bytes() : TextFeatures::kMaxBytes,
      config.fold_compatibility() ? " fold_compatibility=1" : "");
  if (config.has_embeddings()) {
    absl::StrAppend(&metadata, " embeddings=", embeddings_checksum,
                    config.embeddings().alone() ? " alone=1" : "");
  }
  return metadata;
}

absl::StatusOr<std::string> ReadTextFeaturesMetadata(const config::v1::TextFeatures& config) {
  if (!config.has_embeddings()) return TextFeaturesMetadata(config);
  PENSTOCK_ASSIGN_OR_RETURN(const std::string checksum,
                            StaticEmbeddings::Checksum(config.embeddings().folder()));
  return TextFeaturesMetadata(config, checksum);
}

}  // namespace penstock::router
