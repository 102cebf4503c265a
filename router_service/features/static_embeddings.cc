#include "router_service/features/static_embeddings.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/read_file.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

constexpr char kTable[] = "embeddings";
constexpr char kWeights[] = "weights";
constexpr char kMapping[] = "mapping";
constexpr size_t kLargestConfig = size_t{1} << 20;
constexpr size_t kLargestTokenizer = size_t{256} << 20;

std::string Within(const std::string& folder, const char* name) {
  return (std::filesystem::path(folder) / name).string();
}

absl::Status Bad(const std::string& path, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
}

absl::StatusOr<bool> ReadNormalize(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kLargestConfig));
  constexpr int kMostNested = 32;
  bool too_deep = false;
  const auto within_depth = [&too_deep](int depth, nlohmann::json::parse_event_t,
                                        const nlohmann::json&) {
    too_deep |= depth > kMostNested;
    return depth <= kMostNested;
  };
  const nlohmann::json config = nlohmann::json::parse(text, within_depth, /*exceptions=*/false);
  if (config.is_discarded() || too_deep || !config.is_object()) return Bad(path, "is no JSON object");
  const auto found = config.find("normalize");
  if (found == config.end() || found->is_null()) return false;
  if (!found->is_boolean()) return Bad(path, "normalize is neither true nor false");
  return found->get<bool>();
}

absl::StatusOr<std::vector<float>> ReadTable(const Safetensors& file, const std::string& path,
                                             size_t& dimension) {
  const Safetensors::Entry* table = file.Find(kTable);
  if (table == nullptr) return Bad(path, "tensor 'embeddings' is missing, wanted [tokens, dim]");
  const auto within = [](int64_t value, size_t most) {
    return value >= 1 && static_cast<uint64_t>(value) <= most;
  };
  if (table->shape.size() != 2 || !within(table->shape[0], StaticEmbeddings::kMostTokens) ||
      !within(table->shape[1], StaticEmbeddings::kMostDimension) ||
      table->shape[0] * table->shape[1] >
          static_cast<int64_t>(StaticEmbeddings::kMostBytes / sizeof(float))) {
    return Bad(path, absl::StrCat("tensor 'embeddings' has the shape ", ShapeString(table->shape),
                                  ", wanted at most [", StaticEmbeddings::kMostTokens, ",",
                                  StaticEmbeddings::kMostDimension, "] and ",
                                  StaticEmbeddings::kMostBytes >> 30, " GiB as FP32"));
  }
  dimension = static_cast<size_t>(table->shape[1]);
  std::vector<float> rows;
  if (table->dtype == "I8") {
    // Without a scale: it is the same for all, and models of it scale each dimension.
    rows.reserve(table->data.size());
    for (const char value : table->data) rows.push_back(static_cast<float>(static_cast<int8_t>(value)));
    return rows;
  }
  absl::StatusOr<std::vector<float>> floats = file.Floats(kTable, {-1, -1});
  if (!floats.ok()) return Bad(path, floats.status().message());
  if (!std::all_of(floats->begin(), floats->end(), [](float x) { return std::isfinite(x); })) {
    return Bad(path, "tensor 'embeddings' has a value that is not finite");
  }
  return floats;
}

template <typename Integer>
bool TakeIntegers(absl::string_view data, std::vector<uint32_t>& values) {
  for (size_t at = 0; at + sizeof(Integer) <= data.size(); at += sizeof(Integer)) {
    Integer value = 0;
    std::memcpy(&value, data.data() + at, sizeof(value));
    if (std::less<Integer>()(value, 0) ||
        static_cast<uint64_t>(value) >= StaticEmbeddings::kMostTokens) {
      return false;
    }
    values.push_back(static_cast<uint32_t>(value));
  }
  return true;
}

// The row of each token; empty: there is no such tensor.
absl::StatusOr<std::vector<uint32_t>> ReadMapping(const Safetensors& file, const std::string& path,
                                                  size_t rows) {
  std::vector<uint32_t> mapping;
  const Safetensors::Entry* entry = file.Find(kMapping);
  if (entry == nullptr) return mapping;
  if (entry->shape.size() != 1 || entry->shape[0] < 1 ||
      static_cast<uint64_t>(entry->shape[0]) > StaticEmbeddings::kMostTokens) {
    return Bad(path, absl::StrCat("tensor 'mapping' has the shape ", ShapeString(entry->shape),
                                  ", wanted at most [", StaticEmbeddings::kMostTokens, "]"));
  }
  bool good = false;
  if (entry->dtype == "I64") {
    good = TakeIntegers<int64_t>(entry->data, mapping);
  } else if (entry->dtype == "I32") {
    good = TakeIntegers<int32_t>(entry->data, mapping);
  } else if (entry->dtype == "U32") {
    good = TakeIntegers<uint32_t>(entry->data, mapping);
  } else {
    return Bad(path, absl::StrCat("tensor 'mapping' is ", entry->dtype, ", wanted I64, I32 or U32"));
  }
  for (const uint32_t row : mapping) good = good && row < rows;
  if (!good) return Bad(path, absl::StrCat("tensor 'mapping' names a row beyond the ", rows,
                                           " of 'embeddings'"));
  return mapping;
}

// Adds weight * row for up to four rows in one pass over `sum`.
void AddRows(const float* const (&rows)[4], const float (&weight)[4], size_t dimension,
             float* __restrict sum) {
  const float* __restrict a = rows[0];
  const float* __restrict b = rows[1];
  const float* __restrict c = rows[2];
  const float* __restrict d = rows[3];
  for (size_t j = 0; j < dimension; ++j) {
    sum[j] += (weight[0] * a[j] + weight[1] * b[j]) + (weight[2] * c[j] + weight[3] * d[j]);
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const StaticEmbeddings>> StaticEmbeddings::Open(
    const std::string& folder) {
  const std::string path = Within(folder, "model.safetensors");
  const std::string tokenizer_path = Within(folder, "tokenizer.json");
  PENSTOCK_ASSIGN_OR_RETURN(const TokenizerSettings settings, ReadTokenizerFile(tokenizer_path));
  auto made = absl::WrapUnique(new StaticEmbeddings(settings));
  PENSTOCK_ASSIGN_OR_RETURN(made->unit_length_, ReadNormalize(Within(folder, "config.json")));
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, Safetensors::Open(path));
  for (const auto& [name, entry] : file->entries()) {
    if (name == kTable || name == kWeights || name == kMapping) continue;
    return Bad(path, absl::StrCat("tensor '", name, "' is not supported, wanted embeddings, ",
                                  "weights and mapping alone"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(made->rows_, ReadTable(*file, path, made->dimension_));
  const size_t rows = made->rows_.size() / made->dimension_;
  PENSTOCK_ASSIGN_OR_RETURN(made->row_, ReadMapping(*file, path, rows));
  const size_t tokens = made->row_.empty() ? rows : made->row_.size();
  if (settings.largest_id >= tokens) {
    return Bad(path, absl::StrCat("tensor '", made->row_.empty() ? kTable : kMapping, "' has ",
                                  tokens, " tokens, but ", tokenizer_path, " has an id of ",
                                  settings.largest_id));
  }
  if (made->row_.empty()) {
    for (size_t i = 0; i < tokens; ++i) made->row_.push_back(static_cast<uint32_t>(i));
  }
  if (file->Find(kWeights) == nullptr) {
    made->weight_.assign(tokens, 1.0f);
  } else {
    absl::StatusOr<std::vector<float>> weights =
        file->Floats(kWeights, {static_cast<int64_t>(tokens)});
    if (!weights.ok()) return Bad(path, weights.status().message());
    if (!std::all_of(weights->begin(), weights->end(), [](float x) { return std::isfinite(x); })) {
      return Bad(path, "tensor 'weights' has a value that is not finite");
    }
    made->weight_ = *std::move(weights);
  }
  return std::shared_ptr<const StaticEmbeddings>(std::move(made));
}

absl::StatusOr<std::string> StaticEmbeddings::Checksum(const std::string& folder) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file,
                            Safetensors::Open(Within(folder, "model.safetensors")));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string tokenizer,
                            ReadFile(Within(folder, "tokenizer.json"), kLargestTokenizer));
  PENSTOCK_ASSIGN_OR_RETURN(const bool unit_length, ReadNormalize(Within(folder, "config.json")));
  return Sha256Hex(absl::StrCat(ArtifactChecksum(*file), " ", Sha256Hex(tokenizer), " ",
                                unit_length ? 1 : 0))
      .substr(0, 16);
}

void StaticEmbeddings::AppendTokens(absl::string_view text, Scratch& scratch) const {
  tokenizer_.Append(text, scratch.tokenizer, scratch.ids);
}

void StaticEmbeddings::AppendMean(const Scratch& scratch, std::vector<float>& z) const {
  constexpr size_t kAhead = 8;  // rows come from far, and their places are known early
  constexpr size_t kLine = 64 / sizeof(float);
  const std::vector<uint32_t>& ids = scratch.ids;
  const size_t begin = z.size();
  z.resize(begin + dimension_, 0.0f);
  float* const sum = z.data() + begin;
  const float* rows[4];
  float weight[4];
  size_t together = 0, known = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i + kAhead < ids.size()) {
      const float* ahead = rows_.data() + row_[ids[i + kAhead]] * dimension_;
      for (size_t j = 0; j < dimension_; j += kLine) __builtin_prefetch(ahead + j);
    }
    if (ids[i] == tokenizer_.unknown()) continue;
    ++known;
    rows[together] = rows_.data() + row_[ids[i]] * dimension_;
    weight[together] = weight_[ids[i]];
    if (++together < 4) continue;
    AddRows(rows, weight, dimension_, sum);
    together = 0;
  }
  if (known == 0) return;
  if (together > 0) {
    for (size_t i = together; i < 4; ++i) {
      rows[i] = rows[0];
      weight[i] = 0;
    }
    AddRows(rows, weight, dimension_, sum);
  }
  double square = 0;
  for (size_t j = 0; j < dimension_; ++j) {
    sum[j] /= static_cast<float>(known);
    square += static_cast<double>(sum[j]) * sum[j];
  }
  if (!unit_length_ || !(square > 0)) return;
  const float scale = static_cast<float>(1 / std::sqrt(square));
  for (size_t j = 0; j < dimension_; ++j) sum[j] *= scale;
}

}  // namespace penstock::router
