#pragma once

#include <string>
#include <vector>

#include "penstock/v1/decision_log.pb.h"
#include "router_service/recording/chain/record_line.h"

namespace penstock::cli {

// Records as rows of cells for people and spreadsheets. Cells hold no control characters, whatever
// the log holds.
const std::vector<std::string>& RecordColumns();
// `message` is that of `record`. A cell for each column; empty where there is nothing to say.
std::vector<std::string> RecordRow(const router::Record& record, const v1::LogRecord& message);

// A row of a table whose columns have fixed places: it can be shown before the next is known.
std::string AlignedRow(const std::vector<std::string>& cells);
// With tabs between the cells.
std::string TabbedRow(const std::vector<std::string>& cells);

}  // namespace penstock::cli
