#include "router_service/learning/outcome_table.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/features/feature_extractor.h"

namespace penstock::router {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 3> kCosts = {"joules", "flops", "seconds"};
// The library prints and frees values recursively: hostile nesting would overflow the stack.
constexpr int kMostNested = 32;
constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

// What one line says of one expert.
struct Cell {
  float quality = kUnknown;
  AnswerConfidence confidence{-1, -1};
  std::array<float, kCosts.size()> costs = {kUnknown, kUnknown, kUnknown};
  size_t answer = 0;
};

class Reader {
 public:
  explicit Reader(const OutcomeTableSource& source) : source_(source), names_(source.experts) {}

  absl::StatusOr<OutcomeTable> Read() {
    PENSTOCK_RETURN_IF_ERROR(ReadInputs());
    PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzipped(source_.file));
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      ++line_;
      const absl::string_view line(text.data() + at, end - at);
      at = end + 1;
      if (line.find_first_not_of(" \t\r") == absl::string_view::npos) continue;
      PENSTOCK_RETURN_IF_ERROR(ReadLine(line));
    }
    if (table_.ids.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(source_.file, " has no outcomes"));
    }
    if (names_.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(source_.file, " names no experts"));
    }
    PENSTOCK_RETURN_IF_ERROR(TakeIndexedInputs());
    return Finish();
  }

 private:
  absl::Status Bad(absl::string_view field, absl::string_view problem) const {
    return BadAt(line_, field, problem);
  }
  absl::Status BadAt(size_t line, absl::string_view field, absl::string_view problem) const {
    return absl::InvalidArgumentError(
        absl::StrCat(source_.file, ":", line, ": ", field, field.empty() ? "" : ": ", problem));
  }

  absl::Status ReadInputs() {
    if (source_.inputs_file.empty()) return absl::OkStatus();
    if (source_.input_dimension == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("input_dimension is 0: wanted the values per row of ", source_.inputs_file));
    }
    PENSTOCK_ASSIGN_OR_RETURN(const std::string raw, ReadMaybeGzipped(source_.inputs_file));
    const size_t row = source_.input_dimension * sizeof(float);
    if (raw.empty() || raw.size() % row != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(source_.inputs_file, " has ", raw.size(), " bytes, wanted rows of ",
                       source_.input_dimension, " fp32 values, ", row, " bytes each"));
    }
    inputs_.resize(raw.size() / sizeof(float));
    std::memcpy(inputs_.data(), raw.data(), raw.size());
    return absl::OkStatus();
  }

  absl::Status ReadLine(absl::string_view text) {
    bool too_deep = false;
    const auto within_depth = [&too_deep](int depth, Json::parse_event_t, const Json&) {
      too_deep |= depth > kMostNested;
      return depth <= kMostNested;
    };
    const Json line =
        Json::parse(text.data(), text.data() + text.size(), within_depth, /*exceptions=*/false);
    if (line.is_discarded()) return Bad("", "no JSON object");
    if (too_deep) return Bad("", absl::StrCat("nested more than ", kMostNested, " deep"));
    if (!line.is_object()) return Bad("", absl::StrCat("wanted an object, found ", Shown(line)));
    const auto id = line.find("id");
    table_.ids.push_back(id == line.end()  ? absl::StrCat("line ", line_)
                         : id->is_string() ? id->get<std::string>()
                                           : Shown(*id));
    lines_.push_back(line_);
    PENSTOCK_RETURN_IF_ERROR(ReadInput(line));
    return ReadExperts(line);
  }

  // --- z ---

  absl::Status ReadInput(const Json& line) {
    if (source_.features.kind_case() == config::v1::Features::kNone) return absl::OkStatus();
    if (const auto features = line.find("features"); features != line.end()) {
      std::vector<float> z;
      std::vector<int64_t> shape;
      PENSTOCK_RETURN_IF_ERROR(ReadNumbers(*features, "features", 0, z, shape));
      if (shape.size() != 1) return Bad("features", "wanted a list of numbers");
      return AddFeatures(z);
    }
    const auto input = line.find("input");
    const Json& holder = input == line.end() ? line : *input;
    if (!holder.is_object())
      return Bad("input", absl::StrCat("wanted an object, found ", Shown(holder)));
    for (const char* field : {"row", "image_index"}) {
      const auto index = holder.find(field);
      if (index == holder.end() || index->is_array()) continue;
      return AddIndex(*index, field);
    }
    if (input == line.end()) {
      return Bad("", "has neither \"features\" nor \"input\" nor \"row\"");
    }
    const std::string& wanted = source_.features.tensor_pooling().input();
    for (const auto& [name, value] : input->items()) {
      if (!wanted.empty() && name != wanted) continue;
      std::vector<float> values;
      std::vector<int64_t> shape;
      PENSTOCK_RETURN_IF_ERROR(ReadNumbers(value, absl::StrCat("input.", name), 0, values, shape));
      return AddTensor(name, std::move(shape), values);
    }
    return Bad("input",
               wanted.empty() ? "has no tensor" : absl::StrCat("has no tensor \"", wanted, "\""));
  }

  // Nested lists of numbers, all of one shape.
  absl::Status ReadNumbers(const Json& value, const std::string& field, size_t depth,
                           std::vector<float>& values, std::vector<int64_t>& shape) const {
    if (!value.is_array() || value.empty() || depth >= 8) {
      return Bad(field, absl::StrCat("wanted a list of numbers, found ", Shown(value)));
    }
    const int64_t size = static_cast<int64_t>(value.size());
    if (shape.size() == depth) {
      shape.push_back(size);
    } else if (shape[depth] != size) {
      return Bad(field, absl::StrCat("lists of ", shape[depth], " and of ", size, " entries"));
    }
    for (const Json& entry : value) {
      if (!entry.is_number()) {
        PENSTOCK_RETURN_IF_ERROR(ReadNumbers(entry, field, depth + 1, values, shape));
        continue;
      }
      if (shape.size() != depth + 1) return Bad(field, "numbers beside lists");
      values.push_back(entry.get<float>());
    }
    return absl::OkStatus();
  }

  absl::Status AddIndex(const Json& index, const char* field) {
    if (source_.inputs_file.empty()) {
      return Bad(field, "points into a matrix file, but no inputs file was given");
    }
    if (!index.is_number_unsigned() ||
        index.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Bad(field, absl::StrCat("wanted a row number from 0, found ", Shown(index)));
    }
    const uint64_t row = index.get<uint64_t>();
    const bool beyond = row >= inputs_.size() / source_.input_dimension;
    if (beyond && absl::string_view(field) == "row") {
      return Bad(field, absl::StrCat("is ", row, ", but ", source_.inputs_file, " has ",
                                     inputs_.size() / source_.input_dimension, " rows"));
    }
    if (!indices_.empty() && indices_.size() + 1 != table_.ids.size()) {
      return Bad(field, "beside lines that hold their inputs themselves");
    }
    names_only_ = names_only_ || beyond;
    indices_.push_back(row);
    return absl::OkStatus();
  }

  absl::Status TakeIndexedInputs() {
    if (indices_.empty()) return absl::OkStatus();
    const size_t rows = inputs_.size() / source_.input_dimension;
    if (names_only_ && rows != indices_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          source_.file, ": an image_index lies beyond the ", rows, " rows of ", source_.inputs_file,
          ", and its ", indices_.size(), " lines are not as many, so they cannot go together"));
    }
    const std::string& wanted = source_.features.tensor_pooling().input();
    for (size_t i = 0; i < indices_.size(); ++i) {
      line_ = lines_[i];
      const size_t row = names_only_ ? i : static_cast<size_t>(indices_[i]);
      const auto first =
          inputs_.begin() + static_cast<std::ptrdiff_t>(row * source_.input_dimension);
      PENSTOCK_RETURN_IF_ERROR(AddTensor(
          wanted.empty() ? "input" : wanted, {static_cast<int64_t>(source_.input_dimension)},
          {first, first + static_cast<std::ptrdiff_t>(source_.input_dimension)}));
    }
    return absl::OkStatus();
  }

  // Through the extractor that the router will use.
  absl::Status AddTensor(const std::string& name, std::vector<int64_t> shape,
                         const std::vector<float>& values) {
    if (extractor_ == nullptr) {
      config::v1::Features features = source_.features;
      features.mutable_tensor_pooling()->set_input(name);
      config::v1::TensorSpec spec;
      spec.set_name(name);
      spec.set_datatype("FP32");
      spec.add_shape(shape.back());
      PENSTOCK_ASSIGN_OR_RETURN(extractor_, MakeFeatureExtractor(features, {spec}));
    }
    FeatureBuffer buffer;
    const Tensor tensor = FloatTensor(name, std::move(shape), values);
    const absl::Status status =
        extractor_->Extract(absl::MakeConstSpan(&tensor, 1), buffer);
    if (!status.ok()) return Bad("input", status.message());
    return AddFeatures(buffer.dense);
  }

  absl::Status AddFeatures(const std::vector<float>& z) {
    if (table_.dimension == 0) table_.dimension = z.size();
    if (z.size() != table_.dimension) {
      return Bad("features", absl::StrCat("found ", z.size(), " values, but ", table_.dimension,
                                          " in earlier lines"));
    }
    if (!std::all_of(z.begin(), z.end(), [](float v) { return std::isfinite(v); })) {
      return Bad("features", "a value is not finite");
    }
    table_.features.insert(table_.features.end(), z.begin(), z.end());
    return absl::OkStatus();
  }

  // --- experts ---

  absl::Status ReadExperts(const Json& line) {
    const auto experts = line.find("experts");
    if (experts == line.end() || !experts->is_object()) {
      return Bad("experts", experts == line.end()
                                ? "missing"
                                : absl::StrCat("wanted an object, found ", Shown(*experts)));
    }
    std::vector<Cell>& cells = cells_.emplace_back(names_.size());
    for (const auto& [name, value] : experts->items()) {
      auto at = std::find(names_.begin(), names_.end(), name);
      if (at == names_.end()) {
        if (!source_.experts.empty()) continue;
        at = names_.insert(names_.end(), name);
      }
      cells.resize(names_.size());
      PENSTOCK_RETURN_IF_ERROR(ReadCell(value, absl::StrCat("experts.", name),
                                        cells[static_cast<size_t>(at - names_.begin())]));
    }
    return absl::OkStatus();
  }

  absl::Status ReadCell(const Json& value, const std::string& field, Cell& cell) const {
    if (!value.is_object())
      return Bad(field, absl::StrCat("wanted an object, found ", Shown(value)));
    const auto quality = value.find("quality");
    if (quality == value.end()) return Bad(absl::StrCat(field, ".quality"), "missing");
    if (quality->is_boolean()) {
      cell.quality = quality->get<bool>() ? 1 : 0;
    } else if (!quality->is_null()) {
      PENSTOCK_ASSIGN_OR_RETURN(cell.quality, Number(*quality, field + ".quality", 1));
    }
    for (size_t i = 0; i < kCosts.size(); ++i) {
      const auto cost = value.find(kCosts[i]);
      if (cost == value.end() || cost->is_null()) continue;
      PENSTOCK_ASSIGN_OR_RETURN(cell.costs[i], Number(*cost, absl::StrCat(field, ".", kCosts[i]),
                                                      std::numeric_limits<double>::max()));
    }
    if (const auto answer = value.find("answer"); answer != value.end() && !answer->is_null()) {
      cell.answer = std::max<size_t>(
          1, std::hash<std::string>{}(answer->dump(-1, ' ', true, Json::error_handler_t::replace)));
    }
    const auto confidence = value.find("confidence");
    if (confidence == value.end() || confidence->is_null()) return absl::OkStatus();
    const std::string where = field + ".confidence";
    if (!confidence->is_array() || confidence->size() != 2) {
      return Bad(where,
                 absl::StrCat("wanted the two largest probabilities, found ", Shown(*confidence)));
    }
    PENSTOCK_ASSIGN_OR_RETURN(cell.confidence.first, Number((*confidence)[0], where, 1));
    PENSTOCK_ASSIGN_OR_RETURN(cell.confidence.second, Number((*confidence)[1], where, 1));
    if (cell.confidence.second > cell.confidence.first) {
      return Bad(where, absl::StrCat("wanted the larger first, found ", Shown(*confidence)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<float> Number(const Json& value, const std::string& field, double largest) const {
    const double number = value.is_number() ? value.get<double>() : -1;
    if (number >= 0 && number <= largest) return static_cast<float>(number);
    return Bad(field, largest == 1
                          ? absl::StrCat("wanted a number in [0, 1], found ", Shown(value))
                          : absl::StrCat("wanted a number not below 0, found ", Shown(value)));
  }

  absl::StatusOr<OutcomeTable> Finish() {
    const size_t rows = table_.ids.size();
    table_.experts = names_;
    table_.quality.assign(names_.size() * rows, kUnknown);
    table_.cost.assign(names_.size() * rows, kUnknown);
    table_.confidence.assign(names_.size() * rows, {-1, -1});
    table_.answers.assign(names_.size() * rows, 0);
    std::array<bool, kCosts.size()> told = {true, true, true};
    for (size_t row = 0; row < rows; ++row) {
      cells_[row].resize(names_.size());
      for (const Cell& cell : cells_[row]) {
        if (std::isnan(cell.quality)) continue;
        for (size_t i = 0; i < kCosts.size(); ++i) told[i] = told[i] && !std::isnan(cell.costs[i]);
      }
    }
    const size_t unit =
        static_cast<size_t>(std::find(told.begin(), told.end(), true) - told.begin());
    if (unit < kCosts.size()) table_.cost_unit = kCosts[unit];
    for (size_t e = 0; e < names_.size(); ++e) {
      bool known = false;
      for (size_t row = 0; row < rows; ++row) {
        const Cell& cell = cells_[row][e];
        const size_t at = table_.At(e, row);
        table_.quality[at] = cell.quality;
        table_.confidence[at] = cell.confidence;
        table_.answers[at] = cell.answer;
        if (unit < kCosts.size()) table_.cost[at] = cell.costs[unit];
        known = known || !std::isnan(cell.quality);
      }
      if (!known) {
        return absl::InvalidArgumentError(
            absl::StrCat(source_.file, " tells no quality of expert \"", names_[e], "\""));
      }
    }
    return std::move(table_);
  }

  const OutcomeTableSource& source_;
  size_t line_ = 0;
  OutcomeTable table_;
  std::vector<std::string> names_;
  std::vector<size_t> lines_;
  std::vector<std::vector<Cell>> cells_;  // [rows][experts known so far]
  std::vector<float> inputs_;
  std::vector<uint64_t> indices_;
  bool names_only_ = false;
  std::unique_ptr<const FeatureExtractor> extractor_;
};

}  // namespace

OutcomeTable OutcomeTable::Subset(absl::Span<const size_t> taken) const {
  OutcomeTable result;
  result.experts = experts;
  result.dimension = dimension;
  result.cost_unit = cost_unit;
  for (const size_t row : taken) {
    if (partial()) {
      result.asked.push_back(asked[row]);
      result.propensity.push_back(propensity[row]);
    }
    result.ids.push_back(ids[row]);
    const auto first = features.begin() + static_cast<std::ptrdiff_t>(row * dimension);
    result.features.insert(result.features.end(), first,
                           first + static_cast<std::ptrdiff_t>(dimension));
  }
  for (size_t e = 0; e < experts.size(); ++e) {
    for (const size_t row : taken) {
      result.quality.push_back(quality[At(e, row)]);
      result.cost.push_back(cost[At(e, row)]);
      result.confidence.push_back(confidence[At(e, row)]);
      result.answers.push_back(answers[At(e, row)]);
    }
  }
  return result;
}

absl::StatusOr<OutcomeTable> ReadOutcomeTable(const OutcomeTableSource& source) {
  return Reader(source).Read();
}

absl::StatusOr<std::string> ReadMaybeGzipped(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::string text;
  std::vector<char> buffer(1 << 20);
  while (true) {
    const int read = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    if (read < 0) {
      int code = 0;
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read ", path, ": ", gzerror(file.get(), &code)));
    }
    text.append(buffer.data(), static_cast<size_t>(read));
    if (read < static_cast<int>(buffer.size())) break;
  }
  int code = Z_OK;
  const char* problem = gzerror(file.get(), &code);
  if (code != Z_OK && code != Z_STREAM_END) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", problem));
  }
  return text;
}

}  // namespace penstock::router
