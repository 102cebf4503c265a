#include "cli/plan/plan_table.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using Json = nlohmann::json;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kProblemsTold = 5;
constexpr size_t kLongestLine = size_t{64} << 20;
// The parser frees values recursively: hostile nesting would overflow the stack.
constexpr int kMostNested = 32;

struct Cell {
  std::string expert;
  float quality = kUnknown, joules = kUnknown, seconds = kUnknown, confidence = kUnknown;
};

absl::StatusOr<float> Figure(const Json& value, const char* field, double largest) {
  const double number = value.is_boolean()  ? (value.get<bool>() ? 1 : 0)
                        : value.is_number() ? value.get<double>()
                                            : -1;
  if (number >= 0 && number <= largest) return static_cast<float>(number);
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": wanted a number ", largest == 1 ? "in [0, 1]" : "not below 0", ", found ",
      value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40)));
}

class Reader {
 public:
  Reader(const std::string& path, size_t most_malformed)
      : path_(path), most_malformed_(most_malformed) {}

  absl::StatusOr<PlanTable> Read() {
    const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path_.c_str(), "rb"), gzclose);
    if (file == nullptr) return absl::NotFoundError(absl::StrCat("cannot open ", path_));
    std::vector<char> buffer(1 << 20);
    std::string line;
    while (true) {
      const int read = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
      if (read < 0) {
        int code = 0;
        return absl::InvalidArgumentError(
            absl::StrCat("cannot read ", path_, ": ", gzerror(file.get(), &code)));
      }
      if (read == 0) break;
      absl::string_view text(buffer.data(), static_cast<size_t>(read));
      while (!text.empty()) {
        const size_t end = text.find('\n');
        line.append(text.data(), std::min(end, text.size()));
        if (line.size() > kLongestLine) {
          return absl::InvalidArgumentError(
              absl::StrCat(path_, ":", line_ + 1, ": longer than ", kLongestLine, " bytes"));
        }
        if (end == absl::string_view::npos) break;
        text.remove_prefix(end + 1);
        PENSTOCK_RETURN_IF_ERROR(TakeLine(line));
        line.clear();
      }
    }
    if (!line.empty()) PENSTOCK_RETURN_IF_ERROR(TakeLine(line));
    if (table_.rows() == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          path_, " has no outcomes", table_.problems.empty() ? "" : "; " + table_.problems[0]));
    }
    return std::move(table_);
  }

 private:
  absl::Status TakeLine(const std::string& line) {
    ++line_;
    if (line.find_first_not_of(" \t\r") == std::string::npos) return absl::OkStatus();
    std::vector<Cell> cells;
    std::string name;
    const absl::Status status = Parse(line, name, cells);
    if (status.ok()) {
      Add(name, cells);
      return absl::OkStatus();
    }
    const std::string problem =
        absl::StrCat(path_, ":", line_, ": ", std::string(status.message()));
    if (++table_.skipped > most_malformed_) {
      return absl::InvalidArgumentError(
          absl::StrCat(problem, "; more than ", most_malformed_, " lines are malformed"));
    }
    if (table_.problems.size() < kProblemsTold) table_.problems.push_back(problem);
    return absl::OkStatus();
  }

  static absl::Status Parse(const std::string& text, std::string& class_name,
                            std::vector<Cell>& cells) {
    bool too_deep = false;
    const auto within_depth = [&too_deep](int depth, Json::parse_event_t, const Json&) {
      too_deep |= depth > kMostNested;
      return depth <= kMostNested;
    };
    const Json line = Json::parse(text, within_depth, /*allow_exceptions=*/false);
    if (line.is_discarded() || too_deep || !line.is_object()) {
      return absl::InvalidArgumentError("no JSON object");
    }
    class_name = "default";
    if (const auto of = line.find("class"); of != line.end()) {
      if (!of->is_string() || of->get<std::string>().empty()) {
        return absl::InvalidArgumentError("class: wanted a name");
      }
      class_name = of->get<std::string>();
    }
    const auto experts = line.find("experts");
    if (experts == line.end() || !experts->is_object() || experts->empty()) {
      return absl::InvalidArgumentError("experts: wanted an object with an entry an expert");
    }
    for (const auto& [name, value] : experts->items()) {
      if (!value.is_object()) {
        return absl::InvalidArgumentError(absl::StrCat("experts.", name, ": wanted an object"));
      }
      const absl::Status status = ParseCell(value, cells.emplace_back(Cell{.expert = name}));
      if (!status.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("experts.", name, ".", std::string(status.message())));
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ParseCell(const Json& value, Cell& cell) {
    constexpr double kAny = std::numeric_limits<float>::max();
    for (const auto& [field, largest, into] :
         {std::tuple<const char*, double, float*>{"quality", 1, &cell.quality},
          {"joules", kAny, &cell.joules},
          {"seconds", kAny, &cell.seconds}}) {
      const auto found = value.find(field);
      if (found == value.end() || found->is_null()) continue;
      PENSTOCK_ASSIGN_OR_RETURN(*into, Figure(*found, field, largest));
    }
    const auto confidence = value.find("confidence");
    if (confidence == value.end() || confidence->is_null()) return absl::OkStatus();
    if (confidence->is_array() && confidence->empty()) {
      return absl::InvalidArgumentError("confidence: wanted the two largest probabilities");
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        cell.confidence,
        Figure(confidence->is_array() ? (*confidence)[0] : *confidence, "confidence", 1));
    return absl::OkStatus();
  }

  void Add(const std::string& class_name, const std::vector<Cell>& cells) {
    const size_t row = table_.rows();
    const auto [of, is_new] =
        class_index_.emplace(class_name, static_cast<uint32_t>(table_.classes.size()));
    if (is_new) table_.classes.push_back(class_name);
    table_.class_of.push_back(of->second);
    for (auto* columns : {&table_.quality, &table_.joules, &table_.seconds, &table_.confidence}) {
      for (std::vector<float>& column : *columns) column.push_back(kUnknown);
    }
    for (const Cell& cell : cells) {
      const auto [expert, fresh] = expert_index_.emplace(cell.expert, table_.experts.size());
      if (fresh) {
        table_.experts.push_back(cell.expert);
        for (auto* columns :
             {&table_.quality, &table_.joules, &table_.seconds, &table_.confidence}) {
          columns->emplace_back(row + 1, kUnknown);
        }
      }
      const size_t i = expert->second;
      table_.quality[i][row] = cell.quality;
      table_.joules[i][row] = cell.joules;
      table_.seconds[i][row] = cell.seconds;
      table_.confidence[i][row] = cell.confidence;
    }
  }

  const std::string& path_;
  const size_t most_malformed_;
  size_t line_ = 0;
  PlanTable table_;
  std::map<std::string, size_t> expert_index_;
  std::map<std::string, uint32_t> class_index_;
};

}  // namespace

absl::StatusOr<PlanTable> ReadPlanTable(const std::string& path, size_t most_malformed) {
  return Reader(path, most_malformed).Read();
}

}  // namespace penstock::cli
