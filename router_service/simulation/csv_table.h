#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "router_service/simulation/malformed_rows.h"

namespace penstock::router {

// Comma-separated text with a header. Cells may stand in double quotes, "" inside for one quote; a
// quoted cell does not go over a line's end.
struct CsvHeader {
  std::vector<std::string> columns;
  // Of the column; columns.size() where there is none.
  size_t Find(absl::string_view name) const;
  // INVALID_ARGUMENT with what the file has, where it is missing.
  absl::StatusOr<size_t> Require(absl::string_view file, absl::string_view name) const;
};

// False: a quote is not closed, or text follows it.
bool SplitCsvLine(absl::string_view line, std::vector<std::string>& cells);

// Lines of `text` after the header, which `begin` sees first; blank lines are passed over. A row
// with another number of cells than the header, or to which `row` says no, is skipped and counted.
absl::Status ReadCsv(absl::string_view file, absl::string_view text,
                     const std::function<absl::Status(const CsvHeader&)>& begin,
                     const std::function<absl::Status(absl::Span<const std::string>)>& row,
                     MalformedRows& malformed);

// A finite number of at least `least`; `what` names the cell in the error.
absl::StatusOr<double> ParseCell(absl::string_view what, absl::string_view text, double least);

}  // namespace penstock::router
