#include "router_service/simulation/csv_table.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace penstock::router {

size_t CsvHeader::Find(absl::string_view name) const {
  return static_cast<size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
}

absl::StatusOr<size_t> CsvHeader::Require(absl::string_view file, absl::string_view name) const {
  const size_t at = Find(name);
  if (at < columns.size()) return at;
  return absl::InvalidArgumentError(absl::StrCat(file, ":1: wanted a column ", name, ", found ",
                                                 absl::StrJoin(columns, ", ")));
}

bool SplitCsvLine(absl::string_view line, std::vector<std::string>& cells) {
  size_t count = 0;
  const auto next = [&]() -> std::string& {
    if (count == cells.size()) cells.emplace_back();
    cells[count].clear();
    return cells[count++];
  };
  size_t at = 0;
  while (true) {
    std::string& cell = next();
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at == line.size()) return false;
        if (line[at] == '"') {
          if (at + 1 == line.size() || line[at + 1] != '"') break;
          ++at;
        }
        cell += line[at];
      }
      ++at;
      if (at < line.size() && line[at] != ',') return false;
    } else {
      const size_t end = std::min(line.find(',', at), line.size());
      cell.assign(line.data() + at, end - at);
      at = end;
    }
    if (at >= line.size()) break;
    ++at;
  }
  cells.resize(count);
  return true;
}

absl::Status ReadCsv(absl::string_view file, absl::string_view text,
                     const std::function<absl::Status(const CsvHeader&)>& begin,
                     const std::function<absl::Status(absl::Span<const std::string>)>& row,
                     MalformedRows& malformed) {
  CsvHeader header;
  std::vector<std::string> cells;
  size_t line_number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    absl::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    line = absl::StripSuffix(line, "\r");
    if (line_number == 1) {
      line = absl::StripPrefix(line, "\xEF\xBB\xBF");
      if (!SplitCsvLine(line, header.columns) || line.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(file, ":1: wanted a header of column names"));
      }
      PENSTOCK_RETURN_IF_ERROR(begin(header));
      continue;
    }
    if (line.find_first_not_of(" \t") == absl::string_view::npos) continue;
    absl::Status status;
    if (!SplitCsvLine(line, cells)) {
      status = absl::InvalidArgumentError("a quote is not closed");
    } else if (cells.size() != header.columns.size()) {
      status = absl::InvalidArgumentError(absl::StrCat(cells.size(), " cells, the header has ",
                                                       header.columns.size()));
    } else {
      status = row(cells);
    }
    if (!status.ok()) PENSTOCK_RETURN_IF_ERROR(malformed.Skip(file, line_number, status.message()));
  }
  if (line_number == 0) return absl::InvalidArgumentError(absl::StrCat(file, " is empty"));
  return absl::OkStatus();
}

absl::StatusOr<double> ParseCell(absl::string_view what, absl::string_view text, double least) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value) || value < least) {
    return absl::InvalidArgumentError(absl::StrCat(what, " is \"", text.substr(0, 40),
                                                   "\", wanted a finite number of at least ", least));
  }
  return value;
}

}  // namespace penstock::router
